"""Transaction: what an operation is handed to read and write with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from scim_server.store.connections import Connections
from scim_server.store.integrity import broken_constraint
from scim_server.store.prepared import Parameters, Prepared

# What a session prepared is not what it takes for prepared: 26000 and 42P05. It is begun again on another connection.
_NOT_AS_PREPARED = ("26000", "42P05")


class Transaction:
    """A transaction on a connection of its own; ``store.database`` begins and ends it.

    Prepared statements go straight to the driver. What else there is to run goes through a
    SQLAlchemy connection over the same transaction, which is made when it is first needed.
    """

    __slots__ = ("_connection", "_connections", "_engine", "_lent", "_refusals", "_session", "dialect")

    def __init__(self, engine: Engine, connections: Connections) -> None:
        self._engine = engine
        self._connections = connections
        self._connection: Connection | None = None
        self._refusals: dict[str, Exception] = {}
        self.dialect: Dialect = engine.dialect
        try:
            self._lent = connections.take()
        except self.dialect.loaded_dbapi.Error as error:
            raise _as_sqlalchemy(error, self.dialect, is_lost=False) from error
        self._session = self._lent.session
        self._session.translate = self._translated

    @property
    def connection(self) -> Connection:
        """The transaction as SQLAlchemy sees it."""
        self._session.lend()
        if self._connection is None:
            self._connection = Connection(self._engine, self._lent.connection)
        return self._connection

    @property
    def raw(self) -> Any:
        """The transaction as the driver sees it."""
        self._session.lend()
        return self._lent.connection.dbapi_connection

    def begin(self, command: str) -> None:
        self._session.begin(command)

    def execute(self, statement: Any, parameters: Parameters | Sequence[Parameters] = ()) -> Any:
        """Run a statement: one that is prepared by the driver alone, another through SQLAlchemy.

        Where nobody looks at what it found, a failure may show as late as at the end of the transaction;
        ``settle`` waits for it.
        """
        if isinstance(statement, Prepared):
            return statement.run(self._session, self.dialect.name, parameters)
        return self.connection.execute(statement, parameters or None)

    def refuse_with(self, refusal: Exception, constraint: str) -> None:
        """Say what is raised where one of the next statements breaks a constraint."""
        if constraint in self._refusals:
            self.settle()  # what went before has a refusal of its own
        self._refusals[constraint] = refusal

    def settle(self) -> None:
        """Wait until everything has run; raises what failed."""
        self._session.settle()

    @contextmanager
    def savepoint(self, *, keeps: bool = True) -> Iterator[None]:
        """Undo what is done inside where an exception ends it or it does not ``keep``; the transaction goes on."""
        self.say("SAVEPOINT inside")
        try:
            yield
            self.settle()
        except BaseException:
            keeps = False
            with suppress(Exception):  # of a statement on its way, behind which nothing would be undone
                self.settle()
            raise
        finally:
            if not keeps:
                self.say("ROLLBACK TO SAVEPOINT inside")
            self.say("RELEASE SAVEPOINT inside")

    def say(self, command: str) -> None:
        """Run a command about transactions, in the words of the database."""
        self._session.say(command)

    def commit(self) -> None:
        self._session.commit()

    def rollback(self) -> None:
        """Undo everything; a connection on which that cannot be done is not used again."""
        try:
            self._session.rollback()
        except BaseException as error:
            if self._lent.connection.is_valid:
                self._lent.connection.invalidate(error)
            if not isinstance(error, DBAPIError):
                raise

    def close(self) -> None:
        """Give the connection to the next transaction; this one has been ended."""
        self._connections.give_back(self._lent)

    def _translated(self, error: Any) -> Exception:
        """Return what an error of the driver means, or else the error as SQLAlchemy names it.

        A connection that is lost is not used again.
        """
        is_lost = (
            self.dialect.is_disconnect(error, self._lent.connection.dbapi_connection, None)
            or getattr(error, "sqlstate", None) in _NOT_AS_PREPARED
        )
        if is_lost:
            self._lent.connection.invalidate(error)
            self._connections.forget_idle()
        translated = _as_sqlalchemy(error, self.dialect, is_lost=is_lost)
        if isinstance(translated, IntegrityError):
            return self._refusals.get(broken_constraint(translated) or "", translated)
        return translated


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
