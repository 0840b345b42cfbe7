"""A connection as statements use it: text and values in, an answer out; one kind for each database.

Everything that a driver would find out anew for every statement (the names and types of its
parameters, whether it is prepared) is known beforehand, so little stands between a
statement and the library of the database. This is SQLite's kind; PostgreSQL's is in ``store.postgresql``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from sqlite3 import Connection as SqliteConnection
from sqlite3 import Error as SqliteError
from typing import Any, NamedTuple, Protocol

Values = Sequence[Any]
Translate = Callable[[Exception], Exception]


class Statement(Protocol):
    """What a session needs of a compiled statement: its text, and a name that no other one has."""

    @property
    def name(self) -> str: ...

    @property
    def sql(self) -> str: ...


class Answer(Protocol):
    """What a statement found, and how many rows it found or changed.

    It may be on its way still: to look is to wait for it, and raises what the statement failed with.
    """

    @property
    def rows(self) -> list[Any]: ...

    @property
    def rowcount(self) -> int: ...


class Session(Protocol):
    """What a transaction does with its connection. Errors of the driver are raised as ``translate`` says."""

    translate: Translate

    @property
    def is_outgrown(self) -> bool:
        """Whether a large answer has left it with memory that nothing else needs."""

    def begin(self, command: str) -> None:
        """Begin a transaction."""

    def say(self, command: str) -> None:
        """Run a command without values and rows, as those about savepoints."""

    def run(self, statement: Statement, values: Values) -> Answer:
        """Run a statement."""

    def run_many(self, statement: Statement, many: Iterable[Values]) -> None:
        """Run a statement for each list of values."""

    def settle(self) -> None:
        """Wait until everything has run that was to run; raises what the first failure was."""

    def lend(self) -> None:
        """Leave the connection to others until the next statement."""

    def commit(self) -> None:
        """Keep everything. Raises what failed; then there is still a transaction to undo."""

    def rollback(self) -> None:
        """Undo everything; nothing where there is no transaction."""


class Fetched(NamedTuple):
    """An answer that is there."""

    rows: list[Any]
    rowcount: int


class SqliteSession:
    """A connection to SQLite, which answers at once."""

    is_outgrown = False

    def __init__(self, connection: SqliteConnection) -> None:
        self.translate: Translate = as_it_is
        self._connection = connection
        self._cursor = connection.cursor()

    def begin(self, command: str) -> None:
        self.say(command)

    def say(self, command: str) -> None:
        try:
            self._cursor.execute(command)
        except SqliteError as error:
            raise self.translate(error) from error

    def run(self, statement: Statement, values: Values) -> Fetched:
        try:
            cursor = self._cursor.execute(statement.sql, values)
            return Fetched(cursor.fetchall(), cursor.rowcount)
        except SqliteError as error:
            raise self.translate(error) from error

    def run_many(self, statement: Statement, many: Iterable[Values]) -> None:
        try:
            self._cursor.executemany(statement.sql, many)
        except SqliteError as error:
            raise self.translate(error) from error

    def settle(self) -> None:
        """Everything has run already."""

    def lend(self) -> None:
        """Nothing stands in the way of others."""

    def commit(self) -> None:
        try:
            self._connection.commit()
        except SqliteError as error:
            raise self.translate(error) from error

    def rollback(self) -> None:
        try:
            self._connection.rollback()
        except SqliteError as error:
            raise self.translate(error) from error


def as_it_is(error: Exception) -> Exception:
    """Return the error: what a session raises that no transaction has taken yet."""
    return error
