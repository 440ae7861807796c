"""The security resource: the second factor, recovery codes and sign-ins of the caller; schemas, service functions, routes."""
