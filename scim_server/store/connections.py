"""The connections of one process: opened when they are first needed, and kept.

A request that reads needs microseconds of the database; a pool that resets and inspects every
connection on its way in and out would cost as much again. Here a connection that comes back
is simply the next one that goes out: whoever had it has ended their transaction.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.exc import TimeoutError as PoolTimeout

_PATIENCE_SECONDS = 30


class Connections:
    """At most ``most`` connections of an engine, each lent to one transaction at a time."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine = engine
        self._idle: SimpleQueue[PoolProxiedConnection] = SimpleQueue()
        self._unopened = threading.Semaphore(most)

    def take(self) -> PoolProxiedConnection:
        """Return a connection in no transaction. Raises SQLAlchemy's TimeoutError where all stay in use."""
        with suppress(Empty):
            return self._idle.get_nowait()
        if self._unopened.acquire(blocking=False):
            return self._open()
        try:
            return self._idle.get(timeout=_PATIENCE_SECONDS)
        except Empty:
            raise PoolTimeout("All connections of this process stay in use.") from None

    def give_back(self, connection: PoolProxiedConnection) -> None:
        """Keep a connection for the next transaction, unless it was lost meanwhile."""
        if connection.is_valid:
            self._idle.put(connection)
        else:
            self._unopened.release()

    def forget_idle(self) -> None:
        """Close those that wait: where one is lost, so are probably all."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()
                self._unopened.release()

    def _open(self) -> PoolProxiedConnection:
        try:
            return self._engine.raw_connection()
        except BaseException:
            self._unopened.release()
            raise
