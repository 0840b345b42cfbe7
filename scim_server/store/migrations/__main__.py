"""``python -m scim_server.store.migrations``: write a migration from what ``store/tables.py`` says."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import click
from alembic import command
from alembic.script import ScriptDirectory

from scim_server.store import schema
from scim_server.store.database import Database
from scim_server.store.transaction import Transaction


@click.command()
@click.argument("message")
@click.option("--rewrite", is_flag=True, help="Replace the newest migration; only while nobody has run it.")
def write(message: str, rewrite: bool) -> None:
    """Write the migration from the newest schema to what store/tables.py says; MESSAGE becomes its title.

    Read what was written, then put its number into HEAD of store/schema.py. Alembic does not see
    changed CHECK constraints, predicates of indexes and collations; the tests do.
    """
    revisions = list(ScriptDirectory.from_config(schema.alembic_config()).walk_revisions())
    if rewrite:
        Path(revisions.pop(0).path).unlink()
    with tempfile.TemporaryDirectory() as directory:
        database = Database(f"sqlite:///{directory}/scim.sqlite3")
        path = database.run(_write, message, f"{len(revisions) + 1:04}", bool(revisions))
        database.close()
    if find_spec("ruff"):
        subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", path], check=True)
        subprocess.run([sys.executable, "-m", "ruff", "check", "--quiet", "--fix", path], check=True)
    click.echo(path)


def _write(tx: Transaction, message: str, number: str, has_older: bool) -> Path:
    config = schema.alembic_config()
    config.attributes["connection"] = tx.connection
    if has_older:
        command.upgrade(config, "head")
    written = command.revision(config, message, autogenerate=True, rev_id=number)
    assert written is not None and not isinstance(written, list)
    return Path(written.path)


write()
