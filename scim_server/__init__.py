"""A SCIM 2.0 provisioning server with a seat policy. ``create_app`` makes the WSGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scim_server.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """Import the application only when it is asked for (PEP 562), so that its parts stay cheap to import."""
    if name == "create_app":
        from scim_server import app

        return app.create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
