"""A connection as statements use it: text and values in, rows out; one kind for each database.

Everything that a driver would find out anew for every statement (the names and types of its
parameters, whether it is prepared) is known beforehand here, so little stands between a
statement and the library of the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from sqlite3 import Connection as SqliteConnection
from time import monotonic
from typing import Any, Protocol

from psycopg import Connection as PostgresqlConnection
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

Values = Sequence[Any]
Fetched = tuple[list[Any], int]

_MOST_PREPARED = 400
_PLANS_HOLD_SECONDS = 2
_SENT_AT_ONCE = 100  # few enough for all answers to fit into what the network buffers


class Statement(Protocol):
    """What a session needs of a compiled statement: its text, and a name that no other one has."""

    @property
    def name(self) -> str: ...

    @property
    def sql(self) -> str: ...


class Session(Protocol):
    """What a transaction does with its connection."""

    def say(self, command: str) -> None:
        """Run a command without values and rows, as those that begin and end transactions."""

    def run(self, statement: Statement, values: Values) -> Fetched:
        """Run a statement; return its rows, and how many it found or changed."""

    def run_many(self, statement: Statement, many: Iterable[Values]) -> int:
        """Run a statement for each list of values; return how many rows it changed in all."""

    def commit(self) -> None: ...

    def rollback(self) -> None:
        """Undo everything; nothing where there is no transaction."""


class SqliteSession:
    """A connection to SQLite."""

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()

    def say(self, command: str) -> None:
        self._cursor.execute(command)

    def run(self, statement: Statement, values: Values) -> Fetched:
        cursor = self._cursor.execute(statement.sql, values)
        return cursor.fetchall(), cursor.rowcount

    def run_many(self, statement: Statement, many: Iterable[Values]) -> int:
        return self._cursor.executemany(statement.sql, many).rowcount

    def commit(self) -> None:
        self._connection.commit()

    def rollback(self) -> None:
        self._connection.rollback()


class PostgresqlSession:
    """A connection to PostgreSQL: psycopg opens it, names its errors and reads its rows.

    ``keeps_statements`` False: nothing is prepared, for the next transaction may meet another server.

    A plan is for the tables as they were when it was made. While the first people are pushed they grow
    a hundredfold before the server looks at them again, so plans are made anew every other second.
    """

    def __init__(self, connection: PostgresqlConnection[Any], *, keeps_statements: bool) -> None:
        self._libpq = connection.pgconn
        self._reader = Transformer(connection)
        self._keeps_statements = keeps_statements
        self._prepared: dict[bytes, None] = {}
        self._planned_at = monotonic()

    def say(self, command: str) -> None:
        self._checked(self._libpq.exec_(command.encode()))

    def run(self, statement: Statement, values: Values) -> Fetched:
        sent: list[Any] = [_as_text(value) for value in values]
        if self._keeps_statements:
            result = self._libpq.exec_prepared(self._prepare(statement), sent)
        else:
            result = self._libpq.exec_params(statement.sql.encode(), sent)
        self._checked(result)
        if not result.ntuples:
            return [], result.command_tuples or 0
        self._reader.set_pgresult(result)
        return self._reader.load_rows(0, result.ntuples, tuple), result.ntuples

    def run_many(self, statement: Statement, many: Iterable[Values]) -> int:
        if not self._keeps_statements:
            return sum(self.run(statement, values)[1] for values in many)
        name, waiting = self._prepare(statement), iter(many)
        changed = 0
        while together := list(islice(waiting, _SENT_AT_ONCE)):
            changed += self._run_together(name, together)
        return changed

    def _run_together(self, name: bytes, together: Sequence[Values]) -> int:
        """Send a statement several times before any answer is read (libpq's pipeline mode)."""
        libpq = self._libpq
        libpq.nonblocking = 0
        libpq.enter_pipeline_mode()
        try:
            for values in together:
                sent: list[Any] = [_as_text(value) for value in values]
                libpq.send_query_prepared(name, sent)
            libpq.pipeline_sync()
            results = list(self._results())
        finally:
            libpq.exit_pipeline_mode()
            libpq.nonblocking = 1
        for result in results:
            self._checked(result)
        return sum(result.command_tuples or 0 for result in results)

    def _results(self) -> Iterator[PGresult]:
        """Yield the answers up to where the pipeline ends; between two of them libpq says None."""
        while True:
            result = self._libpq.get_result()
            if result is None:
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                return
            yield result

    def commit(self) -> None:
        self.say("COMMIT")

    def rollback(self) -> None:
        if self._libpq.transaction_status != TransactionStatus.IDLE:
            self.say("ROLLBACK")

    def _prepare(self, statement: Statement) -> bytes:
        if monotonic() - self._planned_at > _PLANS_HOLD_SECONDS:
            self.say("DISCARD PLANS")
            self._planned_at = monotonic()
        name = statement.name.encode()
        if name not in self._prepared:
            if len(self._prepared) >= _MOST_PREPARED:
                oldest = next(iter(self._prepared))
                self.say(f"DEALLOCATE {oldest.decode()}")
                del self._prepared[oldest]
            self._checked(self._libpq.prepare(name, statement.sql.encode()))
            self._prepared[name] = None
        return name

    def _checked(self, result: PGresult) -> None:
        if result.status not in _FINE:
            raise error_from_result(result, encoding="utf-8")


_FINE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


def _as_text(value: Any) -> bytes | None:
    """Return a value as PostgreSQL reads it."""
    if value is None:
        return None
    encode = _TEXTS.get(type(value)) or _inherited(type(value))
    text: bytes = encode(value)
    return text


def _inherited(type_: type) -> Callable[[Any], bytes]:
    """Find out how values of an enumeration are written, as those of the type that it is made of."""
    found = next(encode for known, encode in _TEXTS.items() if issubclass(type_, known))
    _TEXTS[type_] = found
    return found


def _array(values: Sequence[str]) -> bytes:
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return ('{"' + '","'.join(quoted) + '"}').encode() if values else b"{}"


def _number(value: int | float | Decimal) -> bytes:
    return str(value).encode()


def _boolean(value: bool) -> bytes:
    return b"t" if value else b"f"


_TEXTS: dict[type, Callable[[Any], bytes]] = {
    str: str.encode,
    bool: _boolean,
    int: _number,
    float: _number,
    Decimal: _number,
    list: _array,
}
