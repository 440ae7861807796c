"""The destinations resource: where a person wants to be told, of what, and when not. Schemas, service functions, routes."""
