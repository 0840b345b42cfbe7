"""Runs migrations on the connection that ``store.schema`` hands over."""

from __future__ import annotations

from alembic import context

from scim_server.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,  # the caller's transaction is the one that counts
    user_module_prefix="tables.",
)
context.run_migrations()
