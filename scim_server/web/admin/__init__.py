"""The Admin API: one module for each resource, put together in ``api``."""
