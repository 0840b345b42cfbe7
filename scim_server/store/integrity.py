"""From a broken constraint to the error that it means, by name, derived from the tables."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlalchemy import UniqueConstraint
from sqlalchemy.exc import IntegrityError

from scim_server.store.tables import metadata

_SQLITE_COLUMNS = re.compile(r"UNIQUE constraint failed: (.+)")


def _names_by_columns() -> Mapping[str, str]:
    """SQLite names the columns rather than the constraint; this is the way back."""
    names = {}
    for table in metadata.sorted_tables:
        for constraint in (table.primary_key, *table.constraints):
            if isinstance(constraint, UniqueConstraint) or constraint is table.primary_key:
                columns = ", ".join(f"{table.name}.{column.name}" for column in constraint.columns)
                names[columns] = str(constraint.name)
    return names


_NAMES_BY_COLUMNS = _names_by_columns()


def broken_constraint(error: IntegrityError) -> str | None:
    """Return the name of the constraint that refused the statement, None where the driver does not say."""
    diagnostics = getattr(error.orig, "diag", None)
    if diagnostics is not None:
        return str(diagnostics.constraint_name)
    text = str(error.orig)
    match = _SQLITE_COLUMNS.search(text)
    if match:
        return _NAMES_BY_COLUMNS.get(match[1])
    check = re.search(r"CHECK constraint failed: (\w+)", text)
    return check[1] if check else None
