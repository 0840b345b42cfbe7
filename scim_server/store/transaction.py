"""Transaction: what an operation is handed to read and write with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, NestedTransaction

from scim_server.store.prepared import Parameters, Prepared


class Transaction:
    """A database transaction; ``store.database`` begins and ends it."""

    __slots__ = ("connection", "dialect")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.dialect: Dialect = connection.dialect

    def execute(self, statement: Any, parameters: Parameters | Sequence[Parameters] = ()) -> Any:
        """Run a statement: one that is prepared by the driver alone, another through SQLAlchemy."""
        if isinstance(statement, Prepared):
            return statement.execute(self.connection, parameters)
        return self.connection.execute(statement, parameters or None)

    def begin_nested(self) -> NestedTransaction:
        """Begin a savepoint, as a context manager."""
        return self.connection.begin_nested()
