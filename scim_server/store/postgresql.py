"""A connection to PostgreSQL as statements use it (``store.sessions.Session``).

A statement is only handed on (libpq's pipeline mode). It goes out with the first one whose answer
somebody looks at, or with the COMMIT: a request crosses the network as often as it has to know
something, not once for every statement.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from time import monotonic
from typing import Any

from psycopg import Connection, DataError, Error, OperationalError
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from scim_server.store.sessions import Answer, Statement, Translate, Values, as_it_is

_MOST_PREPARED = 400
_PLANS_HOLD_SECONDS = 2
_SENT_AT_ONCE = 100
_MANY_ROWS = 20_000
_FINE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


class PostgresqlSession:
    """psycopg opens the connection, names its errors and reads its rows; the rest is libpq's.

    ``keeps_statements`` False: nothing is prepared, for the next transaction may meet another server.

    A plan is for the tables as they were when it was made. While the first people are pushed they grow
    a hundredfold before the server looks at them again, so plans are made anew every other second.
    """

    def __init__(self, connection: Connection[Any], *, keeps_statements: bool) -> None:
        self.translate: Translate = as_it_is
        self._libpq = connection.pgconn
        self._socket = select.poll()
        self._reader = Transformer(connection)
        self._keeps_statements = keeps_statements
        self._prepared: dict[bytes, None] = {}
        self._planned_at = monotonic()
        self._hands_on = False
        self._on_their_way: deque[_Sent] = deque()
        self._most_rows = 0

    @property
    def is_outgrown(self) -> bool:
        """libpq receives an answer whole, and keeps the room that the largest one took."""
        return self._most_rows > _MANY_ROWS

    # -- transactions

    def begin(self, command: str) -> None:
        self.say(command)

    def commit(self) -> None:
        self.say("COMMIT")
        commit = self._on_their_way[-1]
        try:
            self._receive()
        except Error as error:
            failure = self.translate(error)  # which also says that a lost connection is not used again
            # The server may have gone behind its answer: what it has kept must not be done again.
            if commit.result is None or commit.result.status not in _FINE:
                raise failure from error

    def rollback(self) -> None:
        try:
            if self._on_their_way or self._is_in_transaction():
                # Behind a statement that failed on its way nothing has run, this one neither.
                with suppress(Error):
                    self._say("ROLLBACK")
                    self._receive()
            if self._is_in_transaction():
                self._say("ROLLBACK")
                self._receive()
        except Error as error:
            raise self.translate(error) from error

    def settle(self) -> None:
        try:
            self._receive()
        except Error as error:
            raise self.translate(error) from error

    def lend(self) -> None:
        self.settle()
        if self._hands_on:
            self._libpq.exit_pipeline_mode()
            self._hands_on = False

    def _is_in_transaction(self) -> bool:
        return self._libpq.transaction_status != TransactionStatus.IDLE

    # -- statements

    def say(self, command: str) -> None:
        try:
            self._say(command)
        except Error as error:
            raise self.translate(error) from error

    def run(self, statement: Statement, values: Values) -> Answer:
        try:
            return self._hand_on(statement, [_as_text(value) for value in values])
        except Error as error:
            raise self.translate(error) from error

    def run_many(self, statement: Statement, many: Iterable[Values]) -> None:
        for values in many:
            self.run(statement, values)

    def _say(self, command: str) -> None:
        self._begin_to_hand_on()
        self._libpq.send_query_params(command.encode(), None)
        self._expect()

    def _hand_on(self, statement: Statement, values: Sequence[Any]) -> _Sent:
        self._begin_to_hand_on()
        if len(self._on_their_way) >= _SENT_AT_ONCE:  # so that neither side has to keep much for the other
            self._receive()
        if self._keeps_statements:
            self._libpq.send_query_prepared(self._prepare(statement), values)
        else:
            self._libpq.send_query_params(statement.sql.encode(), values)
        return self._expect()

    def _begin_to_hand_on(self) -> None:
        """Hand on from here on, until the connection is lent."""
        if not self._hands_on:
            self._libpq.enter_pipeline_mode()
            self._hands_on = True

    def _expect(self, *, prepares: bytes | None = None, forgets: bytes | None = None) -> _Sent:
        sent = _Sent(self, prepares=prepares, forgets=forgets)
        self._on_their_way.append(sent)
        return sent

    def _prepare(self, statement: Statement) -> bytes:
        """Return the name by which the server knows the statement."""
        if monotonic() - self._planned_at > _PLANS_HOLD_SECONDS:
            self._say("DISCARD PLANS")
            self._planned_at = monotonic()
        name = statement.name.encode()
        if name in self._prepared:
            self._prepared[name] = self._prepared.pop(name)  # the one that was used longest ago stands first
            return name
        if len(self._prepared) >= _MOST_PREPARED:
            self._forget(next(iter(self._prepared)))
        self._libpq.send_prepare(name, statement.sql.encode())
        self._expect(prepares=name)
        self._prepared[name] = None
        return name

    def _forget(self, name: bytes) -> None:
        self._libpq.send_query_params(b"DEALLOCATE %b" % name, None)
        self._expect(forgets=name)
        del self._prepared[name]

    # -- answers

    def rows_of(self, result: PGresult) -> list[Any]:
        """Return the rows of a result, with values of Python's types."""
        self._most_rows = max(self._most_rows, result.ntuples)
        self._reader.set_pgresult(result)
        return self._reader.load_rows(0, result.ntuples, tuple)

    def _receive(self) -> None:
        """Send what was handed on and read what is answered; raises what failed first, behind which nothing runs."""
        if not self._on_their_way:
            return
        self._libpq.pipeline_sync()
        self._send_everything()
        failure: PGresult | None = None
        not_run: list[_Sent] = []
        while (result := self._next_result()).status != ExecStatus.PIPELINE_SYNC:
            if not self._on_their_way:  # the server says why it goes; what follows is that it is gone
                failure = failure or result
                continue
            sent = self._on_their_way.popleft()
            sent.result = result
            if result.status not in _FINE:
                failure = failure or result
                not_run.append(sent)
        if failure is not None:
            self._take_back(not_run)
            raise error_from_result(failure, encoding="utf-8")

    def _take_back(self, not_run: Sequence[_Sent]) -> None:
        """What was to be prepared or forgotten behind a failure has not been: the last of it is taken back first."""
        for sent in reversed(not_run):
            if sent.prepares is not None:
                del self._prepared[sent.prepares]
            if sent.forgets is not None:
                self._prepared[sent.forgets] = None

    def _send_everything(self) -> None:
        # libpq would wait with the interpreter locked: for a server, it may be, that waits for another thread here.
        while self._libpq.flush():
            for _, event in self._wait(select.POLLIN | select.POLLOUT):
                if event & ~select.POLLOUT:
                    self._libpq.consume_input()

    def _next_result(self) -> PGresult:
        """Return the next result; libpq says None where one statement ends."""
        libpq = self._libpq
        while True:
            while libpq.is_busy():
                self._wait(select.POLLIN)
                libpq.consume_input()
            result = libpq.get_result()
            if result is not None:
                return result
            if libpq.status != ConnStatus.OK:
                self._on_their_way.clear()
                raise OperationalError(libpq.get_error_message())

    def _wait(self, events: int) -> list[tuple[int, int]]:
        self._socket.register(self._libpq.socket, events)
        return self._socket.poll()


class _Sent:
    """The answer to a statement; on its way as long as there is no ``result``."""

    __slots__ = ("_session", "forgets", "prepares", "result")

    def __init__(
        self,
        session: PostgresqlSession,
        *,
        prepares: bytes | None = None,
        forgets: bytes | None = None,
    ) -> None:
        self._session = session
        self.result: PGresult | None = None
        self.prepares = prepares
        self.forgets = forgets

    @property
    def rows(self) -> list[Any]:
        result = self._received()
        return self._session.rows_of(result) if result.ntuples else []

    @property
    def rowcount(self) -> int:
        return self._received().command_tuples or 0

    def _received(self) -> PGresult:
        if self.result is None:
            self._session.settle()
        if self.result is None or self.result.status not in _FINE:
            raise LookupError("The statement was not run, for one before it failed.")
        return self.result


def _as_text(value: Any) -> bytes | None:
    """Return a value as PostgreSQL reads it."""
    if value is None:
        return None
    encode = _TEXTS.get(type(value)) or _inherited(type(value))
    text: bytes = encode(value)
    if b"\0" in text:  # where libpq would take it to end
        raise DataError("A value has a NUL character in it.")
    return text


def _inherited(type_: type) -> Callable[[Any], bytes]:
    """Find out how values of an enumeration are written, as those of the type that it is made of."""
    found = next(encode for known, encode in _TEXTS.items() if issubclass(type_, known))
    _TEXTS[type_] = found
    return found


def _array(values: Sequence[Any]) -> bytes:
    return b"{%b}" % b",".join([_element(value) for value in values])


def _element(value: Any) -> bytes:
    text = _as_text(value)
    return b"NULL" if text is None else b'"%b"' % text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


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
