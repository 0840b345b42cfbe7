"""The schema of the database: brought up to date, and asked whether it is (Alembic)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from scim_server.errors import Unavailable
from scim_server.store.database import Database
from scim_server.store.transaction import Transaction

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
# The newest migration. Kept here so that a start that has nothing to upgrade need not load Alembic.
HEAD = "0001"
# Whoever upgrades PostgreSQL holds this lock until the transaction ends; the number means nothing else.
_UPGRADE_LOCK = 7643007644
# Every start and every look at /readyz asks for it; SQLAlchemy's inspector would take longer than all the rest.
_FIND_TABLE = {
    "sqlite": text("SELECT name FROM sqlite_master WHERE name = 'alembic_version'"),
    "postgresql": text("SELECT to_regclass('alembic_version')::text"),
}


def upgrade(database: Database) -> None:
    """Bring the schema up to date; does nothing where it is. Safe when several processes do it at once.

    Raises Unavailable where a newer version of this program made the database.
    """
    if not is_current(database):
        database.run(_upgrade)


def is_current(database: Database) -> bool:
    """Tell whether the schema is the one that this program works with."""
    return database.read(_revision) == HEAD


def alembic_config() -> Config:
    """Return the configuration that ``alembic`` runs with."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _upgrade(tx: Transaction) -> None:
    from alembic import command
    from alembic.util import CommandError

    if tx.dialect.name == "postgresql":
        tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
    config = alembic_config()
    config.attributes["connection"] = tx.connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Unavailable(
            f"The schema of the database is {_revision(tx)}, which this version of scim-seats does not know; "
            "install the version that made it."
        ) from error


def _revision(tx: Transaction) -> str | None:
    if tx.execute(_FIND_TABLE[tx.dialect.name]).scalar_one_or_none() is None:
        return None
    revision: str | None = tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return revision
