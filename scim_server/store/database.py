"""The engine, and ``Database``: one transaction for each operation, begun and ended here only."""

from __future__ import annotations

import fcntl
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from functools import partial
from itertools import count
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from scim_server.errors import Unavailable
from scim_server.store.connections import Connections
from scim_server.store.sessions import Session, SqliteSession
from scim_server.store.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")

_ATTEMPTS = 5
# Whoever removes somebody whom others keep adding to groups may lose to one after the other of them.
_RACES = 15
# Every statement finds its rows by an index. A plan that was made while the tables were empty would go on
# reading them whole, however large they have become, until somebody analyzes them. Where pages are thought as
# cheap in any order as in theirs, an index that has the order of a list is preferred to one that must be sorted.
_BY_INDEX = "; ".join(
    [
        *(f"SET enable_{way} = off" for way in ("seqscan", "hashjoin", "mergejoin", "material", "memoize")),
        "SET random_page_cost = 1",
    ]
)
_CACHED_STATEMENTS = 512  # more than this program has
# By so many commits the log has some 4,000 pages: a page that many of them wrote is copied once for all.
_COMMITS_BETWEEN_CHECKPOINTS = 200
_MOST_PAGES_OF_LOG = 10_000
# For other programs; the processes of this one queue. Whoever waits has the turn, and a thread that others' reads want.
_BUSY_MILLISECONDS = 2_000
_RETRIED_STATES = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock not available


class LostRace(Exception):
    """Another transaction won; the same operation, begun again, will see what it did."""


class Database:
    """A database, SQLite or PostgreSQL, behind two calls: ``run`` for writers, ``read`` for readers.

    Both hand a connection inside a transaction to an operation, commit when it returns and
    roll back when it raises. A transaction that lost a race (deadlock, serialization
    failure, ``LostRace``) is begun again a few times; nothing of the lost one remains.
    """

    def __init__(
        self, url: str, *, pool_size: int = 8, durability: str = "normal", pgbouncer: bool = False
    ) -> None:
        self.engine = _engine(url, durability=durability, pgbouncer=pgbouncer)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._connections = Connections(
            self.engine,
            pool_size,
            SqliteSession if self.is_sqlite else _postgresql_session(keeps_statements=not pgbouncer),
        )
        self._begin = "BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN"
        self._turns = _Turns(self.engine.url.database) if self.is_sqlite else None
        self._checkpoints = _Checkpoints(self.engine) if self.is_sqlite else None

    def run(
        self, operation: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a writing operation in a transaction of its own. Raises Unavailable when the database is away."""
        for attempt in count(1):
            try:
                with self._turns or nullcontext():
                    result = self._within(self._begin, operation, *args, **kwargs)
                if self._checkpoints is not None:
                    self._checkpoints.note_commit()
                return result
            except (LostRace, DBAPIError, PoolTimeout) as error:
                most = _RACES if isinstance(error, LostRace) else _ATTEMPTS
                if attempt >= most or not _is_worth_another_try(error):
                    raise _translated(error) from error
                time.sleep(random.uniform(0, 0.005 * 2 ** min(attempt, _ATTEMPTS)))
        raise AssertionError("unreachable")

    def run_if_free(
        self, operation: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Run a writing operation that may as well not happen: on SQLite not while somebody else writes.

        Raises Unavailable when the database is away.
        """
        if self._turns is None:
            self.run(operation, *args, **kwargs)
        elif self._turns.take_if_free():
            try:
                self._at_once(operation, *args, **kwargs)
            except (LostRace, DBAPIError, PoolTimeout) as error:
                raise _translated(error) from error
            finally:
                self._turns.give_back()

    def _at_once(
        self, operation: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Run a writing operation on SQLite; fail where another program writes, rather than wait for it."""

        def at_once(tx: Transaction) -> None:
            tx.say("PRAGMA busy_timeout=0")
            try:
                tx.begin(self._begin)
            finally:
                tx.say(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
            operation(tx, *args, **kwargs)
            tx.commit()

        self._within(None, at_once)

    def read(
        self, operation: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation that only reads. Raises Unavailable when the database is away.

        On SQLite all that it reads is of one moment; on PostgreSQL each statement sees what is committed by then.
        """
        return self._read("BEGIN" if self.is_sqlite else None, operation, *args, **kwargs)

    def look_up(
        self, operation: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation that reads by a single statement, or what need not be of one moment.

        It has no transaction around it, which would cost a look-up on SQLite a tenth of its time.
        """
        return self._read(None, operation, *args, **kwargs)

    def _read(
        self,
        begin: str | None,
        operation: Callable[Concatenate[Transaction, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._within(begin, operation, *args, **kwargs)
            except (DBAPIError, PoolTimeout) as error:
                if attempt == _ATTEMPTS or not _is_worth_another_try(error):
                    raise _translated(error) from error
        raise AssertionError("unreachable")

    def _within(
        self,
        begin: str | None,
        operation: Callable[Concatenate[Transaction, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Begin, commit what the operation did when it returns, undo it when it raises.

        On SQLite a writer says so at once: one that began as a reader would fail at its first write
        whenever somebody else wrote meanwhile.
        """
        tx = Transaction(self.engine, self._connections)
        try:
            if begin is not None:
                tx.begin(begin)
            result = operation(tx, *args, **kwargs)
            if begin is not None:
                tx.commit()
            else:
                tx.settle()
            return result
        except BaseException:
            tx.rollback()
            raise
        finally:
            tx.close()

    def ping(self) -> None:
        """Raise Unavailable unless the database answers."""
        self.look_up(lambda tx: tx.say("SELECT 1"))

    def close(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
        self._connections.forget_idle()
        self.engine.dispose()
        if self._turns is not None:
            self._turns.close()


class _Turns:
    """Whose turn it is to write to an SQLite database, over all threads and processes.

    SQLite has one writer at a time, and whoever finds it taken sleeps and looks again. Here they
    queue, and the next one is woken at once. It is an order among those who take part and
    nothing more: SQLite's own lock is the one that protects the data.
    """

    def __init__(self, path: str | None) -> None:
        self._thread = threading.Lock()
        self._path = f"{path}-turn" if path and path != ":memory:" else None
        self._file: int | None = None

    def __enter__(self) -> None:
        self._thread.acquire()
        self._lock_the_file(fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def take_if_free(self) -> bool:
        """Take the turn unless somebody has it, and return whether it was taken."""
        if not self._thread.acquire(blocking=False):
            return False
        try:
            self._lock_the_file(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def give_back(self) -> None:
        try:
            if self._file is not None:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._thread.release()

    def _lock_the_file(self, how: int) -> None:
        """Lock what the processes share. Where that fails, the turn is not taken."""
        try:
            if (file := self._opened()) is not None:
                fcntl.flock(file, how)
        except BaseException:
            self._thread.release()
            raise

    def _opened(self) -> int | None:
        """Return the file that the processes share. Where there can be none, there is no database to write either."""
        if self._file is None and self._path is not None:
            with suppress(OSError):
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _Checkpoints:
    """Copies what SQLite's log holds into the database, in a thread, after every so many commits.

    SQLite would let the writer do it whose commit makes the log too long, while all others wait for their turn and
    the disk. It still does where the log grows faster than it is copied.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._commits = 0
        self._due = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def note_commit(self) -> None:
        self._commits += 1
        if self._commits < _COMMITS_BETWEEN_CHECKPOINTS:
            return
        self._commits = 0
        self._due.set()
        with self._starting:
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._keep_up, name="checkpoints", daemon=True)
                self._thread.start()

    def close(self) -> None:
        with self._starting:
            self._is_closed = True
        if self._thread is not None:
            self._due.set()
            self._thread.join()

    def _keep_up(self) -> None:
        while self._due.wait() and not self._is_closed:
            self._due.clear()
            with (
                suppress(DBAPIError, self._engine.dialect.loaded_dbapi.Error),  # the next one copies it, too
                closing(self._engine.raw_connection()) as connection,
            ):
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")


def _engine(url: str, *, durability: str, pgbouncer: bool) -> Engine:
    # Parameters are people's data and the hashes of secrets: no message of an error may quote them.
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={"cached_statements": _CACHED_STATEMENTS, "check_same_thread": False},
        )
        _configure_sqlite(engine, synchronous="FULL" if durability == "full" else "NORMAL")
        return engine
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    # Behind PgBouncer the next transaction may meet another server, which has prepared nothing.
    engine = create_engine(
        parsed,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"prepare_threshold": None} if pgbouncer else {},
    )
    _configure_postgresql(engine, keeps_settings=not pgbouncer)
    return engine


def _postgresql_session(*, keeps_statements: bool) -> Callable[[Any], Session]:
    """Return what makes sessions. psycopg is a tenth of a start, so who serves from SQLite does not load it."""
    from scim_server.store.postgresql import PostgresqlSession

    return partial(PostgresqlSession, keeps_statements=keeps_statements)


def _configure_postgresql(engine: Engine, *, keeps_settings: bool) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.autocommit = True  # transactions begin as this program says
        if keeps_settings:
            connection.execute(_BY_INDEX)


def _configure_sqlite(engine: Engine, *, synchronous: str) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, as this program says
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
        _keep_a_log(connection)
        for pragma in (
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            "cache_size=-4000",  # the system has the file in its memory; more here is only there twice
            f"wal_autocheckpoint={_MOST_PAGES_OF_LOG}",
        ):
            connection.execute(f"PRAGMA {pragma}")


def _keep_a_log(connection: sqlite3.Connection) -> None:
    """Write through a log (WAL), which is a matter of the file: whoever opens a new one first switches it over.

    SQLite does not wait where others who opened it at the same moment keep it from that, but refuses at once.
    """
    given_up = time.monotonic() + _BUSY_MILLISECONDS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > given_up:
                raise
            time.sleep(random.uniform(0, 0.02))


def _is_worth_another_try(error: Exception) -> bool:
    if isinstance(error, LostRace):
        return True
    if isinstance(error, DBAPIError):
        return getattr(error.orig, "sqlstate", None) in _RETRIED_STATES or error.connection_invalidated
    return False


def _translated(error: Exception) -> Exception:
    if isinstance(error, (LostRace, PoolTimeout, OperationalError, InterfaceError)):
        return Unavailable("The database is not available at the moment; try again shortly.")
    if type(error) is DatabaseError:  # the class itself is what SQLite raises for a file that it cannot read
        return Unavailable("The file is damaged, or it is no SQLite database.")
    return error
