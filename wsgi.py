"""For WSGI servers that want a module: ``wsgi:app``."""

from scim_server import create_app

app = create_app()
