"""The messages resource: what a person was told, where, and what came of it. Schemas, service functions, routes."""
