"""The multi-account resource: addresses of an older API, answered by the services of ours."""
