"""Transaction: what an operation is handed to read and write with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError

from scim_server.store.connections import Connections
from scim_server.store.prepared import Parameters, Prepared


class Transaction:
    """A transaction on a connection of its own; ``store.database`` begins and ends it.

    Prepared statements go straight to the driver. What else there is to run goes through a
    SQLAlchemy connection over the same transaction, which is made when it is first needed.
    """

    __slots__ = ("_connection", "_connections", "_engine", "_lent", "dialect", "raw")

    def __init__(self, engine: Engine, connections: Connections) -> None:
        self._engine = engine
        self._connections = connections
        self._connection: Connection | None = None
        self.dialect: Dialect = engine.dialect
        try:
            self._lent = connections.take()
        except self.dialect.loaded_dbapi.Error as error:
            raise _as_sqlalchemy(error, self.dialect, is_lost=False) from error
        self.raw: Any = self._lent.dbapi_connection

    @property
    def connection(self) -> Connection:
        """The transaction as SQLAlchemy sees it."""
        if self._connection is None:
            self._connection = Connection(self._engine, self._lent)
        return self._connection

    def execute(self, statement: Any, parameters: Parameters | Sequence[Parameters] = ()) -> Any:
        """Run a statement: one that is prepared by the driver alone, another through SQLAlchemy."""
        if not isinstance(statement, Prepared):
            return self.connection.execute(statement, parameters or None)
        try:
            return statement.run(self.raw, self.dialect, parameters)
        except self.dialect.loaded_dbapi.Error as error:
            raise self.translated(error) from error

    @contextmanager
    def savepoint(self, *, keeps: bool = True) -> Iterator[None]:
        """Undo what is done inside where an exception ends it or it does not ``keep``; the transaction goes on."""
        self.say("SAVEPOINT inside")
        try:
            yield
        except BaseException:
            keeps = False
            raise
        finally:
            if not keeps:
                self.say("ROLLBACK TO SAVEPOINT inside")
            self.say("RELEASE SAVEPOINT inside")

    def translated(self, error: Any) -> DBAPIError:
        """Return an error of the driver as SQLAlchemy names it; a connection that is lost is not used again."""
        is_lost = self.dialect.is_disconnect(error, self.raw, None)
        if is_lost:
            self._lent.invalidate(error)
            self._connections.forget_idle()
        return _as_sqlalchemy(error, self.dialect, is_lost=is_lost)

    def say(self, statement: str) -> None:
        """Run a statement about transactions, in the words of the database."""
        try:
            self.raw.execute(statement)
        except self.dialect.loaded_dbapi.Error as error:
            raise self.translated(error) from error

    def commit(self) -> None:
        try:
            self.raw.commit()
        except self.dialect.loaded_dbapi.Error as error:
            raise self.translated(error) from error

    def rollback(self) -> None:
        """Undo everything; a connection that is lost has nothing left to undo."""
        with suppress(self.dialect.loaded_dbapi.Error):
            self.raw.rollback()

    def close(self) -> None:
        """Give the connection to the next transaction; this one has been ended."""
        self._connections.give_back(self._lent)


def _as_sqlalchemy(error: Any, dialect: Dialect, *, is_lost: bool) -> DBAPIError:
    """Nothing in the message quotes parameters, which are people's data and the hashes of secrets."""
    translated = DBAPIError.instance(
        None,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=is_lost,
        dialect=dialect,
    )
    assert isinstance(translated, DBAPIError)
    return translated
