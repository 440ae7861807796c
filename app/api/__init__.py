"""The JSON API under /api: one package for each resource, with schemas, service functions and routes."""
