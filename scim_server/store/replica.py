"""Reading from a replica of the database (``SCIM_READ_DATABASE_URL``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from scim_server.errors import NotFound, Unavailable
from scim_server.store.database import Database
from scim_server.store.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")


class ReadReplica:
    """A copy of the database that may lag behind it, for operations that only read.

    What the copy does not have yet, and everything while it is away, is read from the database itself.
    """

    def __init__(self, copy: Database, database: Database) -> None:
        self._copy = copy
        self._database = database

    def read(
        self, operation: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation that only reads, and may be told how things stood a moment ago."""
        try:
            return self._copy.read(operation, *args, **kwargs)
        except (NotFound, Unavailable):
            return self._database.read(operation, *args, **kwargs)

    def look_up(
        self, operation: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Do what ``read`` does without a transaction around it."""
        try:
            return self._copy.look_up(operation, *args, **kwargs)
        except (NotFound, Unavailable):
            return self._database.look_up(operation, *args, **kwargs)

    def close(self) -> None:
        self._copy.close()
