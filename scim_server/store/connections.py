"""The connections of one process: opened when they are first needed, and kept.

A request that reads needs microseconds of the database; a pool that resets and inspects every
connection on its way in and out would cost as much again. Here a connection that comes back
is simply the next one that goes out: whoever had it has ended their transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.exc import TimeoutError as PoolTimeout

from scim_server.store.sessions import Session

_PATIENCE_SECONDS = 30


class Lent(NamedTuple):
    """A connection as SQLAlchemy keeps it, and as statements use it."""

    connection: PoolProxiedConnection
    session: Session


class Connections:
    """At most ``most`` connections of an engine, each lent to one transaction at a time."""

    def __init__(self, engine: Engine, most: int, session_of: Callable[[Any], Session]) -> None:
        self._engine = engine
        self._session_of = session_of
        self._idle: SimpleQueue[Lent] = SimpleQueue()
        self._unopened = threading.Semaphore(most)

    def take(self) -> Lent:
        """Return a connection in no transaction. Raises SQLAlchemy's TimeoutError where all stay in use."""
        try:
            return self._idle.get_nowait()
        except Empty:
            pass
        if self._unopened.acquire(blocking=False):
            return self._open()
        for _ in range(_PATIENCE_SECONDS):
            with suppress(Empty):
                return self._idle.get(timeout=1)
            if self._unopened.acquire(blocking=False):  # one was lost meanwhile
                return self._open()
        raise PoolTimeout("All connections of this process stay in use.")

    def give_back(self, lent: Lent) -> None:
        """Keep a connection for the next transaction, unless it was lost meanwhile or has grown too large."""
        if lent.connection.is_valid and not lent.session.is_outgrown:
            self._idle.put(lent)
            return
        if lent.connection.is_valid:
            lent.connection.close()
        self._unopened.release()

    def forget_idle(self) -> None:
        """Close those that wait: where one is lost, so are probably all."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().connection.close()
                self._unopened.release()

    def _open(self) -> Lent:
        try:
            connection = self._engine.raw_connection()
            return Lent(connection, self._session_of(connection.dbapi_connection))
        except BaseException:
            self._unopened.release()
            raise
