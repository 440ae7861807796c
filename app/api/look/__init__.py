"""The look resource: schemas of the wire, service functions (used by routes and pages), routes."""
