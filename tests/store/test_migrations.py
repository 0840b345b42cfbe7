"""The migrations build exactly what ``store/tables.py`` says, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from scim_server.errors import Unavailable
from scim_server.store import schema
from scim_server.store.database import Database
from scim_server.store.tables import metadata
from scim_server.store.transaction import Transaction


@pytest.fixture(params=["sqlite", "postgresql"])
def make_empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Open one and the same empty database, each time as another process would; ``make_empty()``."""
    if request.param == "postgresql":
        url = request.getfixturevalue("make_postgresql")("migrations")
        emptied = Database(url)
        emptied.run(lambda tx: tx.execute(text("DROP SCHEMA public CASCADE")))
        emptied.run(lambda tx: tx.execute(text("CREATE SCHEMA public")))
        emptied.close()
    else:
        url = f"sqlite:///{tmp_path}/empty.sqlite3"
    opened = []

    def make() -> Database:
        opened.append(Database(url))
        return opened[-1]

    yield make
    for database in opened:
        database.close()


def definitions(tx: Transaction) -> set[tuple[str, ...]]:
    """Return all that the database says of its tables, in its own words."""
    if tx.dialect.name == "sqlite":
        rows = tx.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return {
            (name, line.strip().rstrip(",").replace('"', ""))
            for name, sql in rows
            if name != "alembic_version"
            for line in sql.splitlines()
        }
    return {
        tuple(str(value) for value in row)
        for query in (
            "SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name"
            " FROM information_schema.columns WHERE table_schema = current_schema()",
            "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE connamespace = current_schema()::regnamespace",
            "SELECT tablename, indexname, replace(indexdef, schemaname || '.', '')"
            " FROM pg_indexes WHERE schemaname = current_schema()",
        )
        for row in tx.execute(text(query))
        if str(row[0]) != "alembic_version"
    }


def definitions_of_the_tables(tx: Transaction) -> set[tuple[str, ...]]:
    """Return what an empty database says when the tables are made without migrations."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("CREATE SCHEMA directly"))
        tx.execute(text("SET LOCAL search_path TO directly"))
    metadata.create_all(tx.connection)
    return definitions(tx)


def test_migrations_build_what_the_tables_say(make_empty, tmp_path):
    """Column by column, constraint by constraint, collations and predicates of indexes included."""
    migrated = make_empty()
    schema.upgrade(migrated)
    direct = Database(f"sqlite:///{tmp_path}/direct.sqlite3") if migrated.is_sqlite else migrated

    expected = direct.run(definitions_of_the_tables)

    assert migrated.read(definitions) == expected
    if direct is not migrated:
        direct.close()


def test_alembic_finds_nothing_to_migrate(database):
    def differences(tx: Transaction) -> Any:
        return compare_metadata(MigrationContext.configure(tx.connection), metadata)

    assert database.read(differences) == []


def test_the_newest_migration_is_the_one_that_the_server_asks_for():
    heads = ScriptDirectory.from_config(schema.alembic_config()).get_heads()

    assert heads == [schema.HEAD]


def test_a_database_is_current_after_the_upgrade_and_not_before(make_empty):
    database = make_empty()
    before = schema.is_current(database)

    schema.upgrade(database)
    schema.upgrade(database)  # does nothing

    assert not before
    assert schema.is_current(database)


def test_processes_that_start_at_once_upgrade_once(make_empty):
    databases = [make_empty() for _ in range(4)]
    start = threading.Barrier(len(databases))
    failures = []

    def upgrade(database: Database) -> None:
        start.wait()
        try:
            schema.upgrade(database)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=upgrade, args=[database]) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert all(schema.is_current(database) for database in databases)


def test_every_migration_can_be_taken_back(make_empty):
    database = make_empty()
    schema.upgrade(database)

    def downgrade(tx: Transaction) -> None:
        config = schema.alembic_config()
        config.attributes["connection"] = tx.connection
        command.downgrade(config, "base")

    database.run(downgrade)

    assert database.read(definitions) == set()


def test_the_database_of_a_newer_version_is_left_alone(database):
    set_revision = "UPDATE alembic_version SET version_num = '{}'"
    database.run(lambda tx: tx.execute(text(set_revision.format("9999"))))

    with pytest.raises(Unavailable, match="9999, which this version of scim-seats does not know"):
        schema.upgrade(database)

    assert not schema.is_current(database)
    database.run(lambda tx: tx.execute(text(set_revision.format(schema.HEAD))))
