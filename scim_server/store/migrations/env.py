"""Runs migrations on the connection that ``store.schema`` hands over."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from scim_server.store.tables import Instant, metadata


def render_item(kind: str, item: Any, _autogenerate: Any) -> str | Literal[False]:
    """Write our own types as what they are in the database, so that no migration depends on ``tables``."""
    return "sa.BigInteger()" if kind == "type" and isinstance(item, Instant) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=render_item,
    render_as_batch=True,
    transactional_ddl=False,  # the caller's transaction is the one that counts
)
context.run_migrations()
