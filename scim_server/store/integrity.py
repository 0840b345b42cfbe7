"""From a broken constraint to the error that it means, by name, derived from the tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.exc import IntegrityError

from scim_server.store.tables import metadata

_SQLITE_COLUMNS = re.compile(r"UNIQUE constraint failed: (.+)")
_POSTGRESQL_COLUMNS = re.compile(r"\((.+?)\)=")


def _names_by_columns() -> Mapping[str, str]:
    """SQLite names the columns rather than the constraint, and a partition has one of its own; the way back."""
    names = {}
    for table in metadata.sorted_tables:
        for constraint in (table.primary_key, *table.constraints):
            if isinstance(constraint, UniqueConstraint) or constraint is table.primary_key:
                names[_columns(table.name, [column.name for column in constraint.columns])] = str(
                    constraint.name
                )
    return names


def _columns(table: str, columns: Iterable[str]) -> str:
    """Return columns as SQLite names them."""
    return ", ".join(f"{table}.{column}" for column in columns)


_NAMES_BY_COLUMNS = _names_by_columns()


def broken_constraint(error: IntegrityError) -> str | None:
    """Return the name of the constraint that refused the statement, None where the driver does not say."""
    diagnostics = getattr(error.orig, "diag", None)
    if diagnostics is not None:
        return _name_of(diagnostics)
    text = str(error.orig)
    match = _SQLITE_COLUMNS.search(text)
    if match:
        return _NAMES_BY_COLUMNS.get(match[1])
    check = re.search(r"CHECK constraint failed: (\w+)", text)
    return check[1] if check else None


def _name_of(diagnostics: Any) -> str:
    """Return what PostgreSQL calls the constraint; a partition ``users_0`` has those of ``users`` by other names."""
    name = str(diagnostics.constraint_name)
    columns = _POSTGRESQL_COLUMNS.search(diagnostics.message_detail or "")
    if columns is None:
        return name
    table = diagnostics.table_name.rpartition("_")[0]
    return _NAMES_BY_COLUMNS.get(_columns(table, columns[1].split(", ")), name)
