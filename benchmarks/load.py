"""A load generator: one thread, one epoll, keep-alive connections, the next request when an answer is there.

Requests are bytes made beforehand, and answers are only kept while the clock runs: whoever
sent them looks at each of them when it has stopped. So a request costs this side some twenty
microseconds, and checking every answer costs the measurement nothing.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

_CHUNK = 1 << 18
_PATIENCE = 120.0


class Broken(Exception):
    """A connection ended, or went silent, before the answer was whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for the request of a number; ``seconds`` from its first byte to the last of the answer."""

    number: int
    status: int
    head: bytes
    body: bytes
    seconds: float = 0.0

    def json(self) -> Any:
        return orjson.loads(self.body)

    def header(self, name: str) -> str | None:
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode()
        return None

    def __str__(self) -> str:
        return f"{self.status} {self.body[:160].decode(errors='replace')}".strip()


@dataclass(frozen=True, slots=True)
class Service:
    """Where requests go, and with which token."""

    host: str
    port: int
    path: str = ""
    token: str | None = None
    media_type: str = "application/scim+json"

    def request(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> bytes:
        """Return a request as it goes over the wire."""
        lines = {"Host": f"{self.host}:{self.port}", "Accept": "application/scim+json, application/json"}
        if self.token is not None:
            lines["Authorization"] = f"Bearer {self.token}"
        content = b""
        if body is not None:
            content = orjson.dumps(body)
            lines["Content-Type"] = self.media_type
            lines["Content-Length"] = str(len(content))
        lines |= headers or {}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {self.path}{path} HTTP/1.1\r\n{head}\r\n".encode() + content

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Send one request outside of any measurement. Raises Broken."""
        return run(self, [self.request(method, path, body)], connections=1).answers[0]


@dataclass(slots=True)
class Outcome:
    """What a run brought: its answers in the order in which they came, and how long it took."""

    answers: list[Answer] = field(default_factory=list)
    sent: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.answers) / self.seconds

    def milliseconds(self, share: float) -> float:
        """Return the time within which this share of the requests was answered."""
        times = sorted(answer.seconds for answer in self.answers)
        return times[min(int(len(times) * share), len(times) - 1)] * 1000


def run(service: Service, requests: Iterable[bytes], *, connections: int, seconds: float = 1e9) -> Outcome:
    """Send requests in their order, each as soon as one of the connections is free.

    After ``seconds`` no further one is begun; those on their way are waited for, so the ones
    that were sent are always the first ``sent``. Raises Broken.
    """
    outcome = Outcome()
    waiting = iter(requests)
    poll = select.epoll()
    lines = [_Connection(service, poll) for _ in range(connections)]
    by_number = {line.fileno: line for line in lines}
    begun = time.perf_counter()
    end = begun + seconds

    def send_next(line: _Connection) -> int:
        request = next(waiting, None) if time.perf_counter() < end else None
        if request is None:
            line.close()  # the other side may tire of an idle connection, which would be no fault
            return 0
        line.send(outcome.sent, request)
        outcome.sent += 1
        return 1

    try:
        busy = sum(send_next(line) for line in lines)
        while busy:
            ready = poll.poll(_PATIENCE)
            if not ready:
                raise Broken(f"no answer within {_PATIENCE:.0f} seconds")
            for number, _ in ready:
                line = by_number[number]
                answer = line.receive()
                if answer is None:
                    continue
                outcome.answers.append(answer)
                if line.is_over:
                    del by_number[number]
                    line.reopen()
                    by_number[line.fileno] = line
                busy += send_next(line) - 1
        outcome.seconds = time.perf_counter() - begun
    except OSError as error:
        raise Broken(str(error)) from error
    finally:
        for line in lines:
            line.close()
        poll.close()
    return outcome


class _Connection:
    """A keep-alive connection with at most one request on its way."""

    def __init__(self, service: Service, poll: select.epoll) -> None:
        self._address = (service.host, service.port)
        self._poll = poll
        self._open()

    def _open(self) -> None:
        try:
            self._socket = socket.create_connection(self._address, timeout=_PATIENCE)
        except OSError as error:
            raise Broken(str(error)) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fileno = self._socket.fileno()
        self._poll.register(self.fileno, select.EPOLLIN)
        self.is_over = False

    def reopen(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        self._socket.close()

    def send(self, number: int, request: bytes) -> None:
        self._number = number
        self._received = bytearray()
        self._reader: _Body | None = None
        self._since = time.perf_counter()
        self._socket.sendall(request)

    def receive(self) -> Answer | None:
        """Read what is there; return the answer once it is whole."""
        data = self._socket.recv(_CHUNK)
        if not data and not (self._reader and self._reader.until_close):
            raise Broken("the connection was closed before the answer was whole")
        self._received += data
        if self._reader is None:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return None
            self._reader = _Body(bytes(self._received[:end]), end + 4)
        body = self._reader.read(self._received, ended=not data)
        if body is None:
            return None
        self.is_over = self._reader.closes
        seconds = time.perf_counter() - self._since
        return Answer(self._number, self._reader.status, self._reader.head, body, seconds)


class _Body:
    """How the body of an answer is to be read, by its head (RFC 9112 §6.3)."""

    def __init__(self, head: bytes, start: int) -> None:
        self.head = head
        self.status = int(head[9:12])
        self._start = start
        lower = head.lower()
        has_none = self.status in (204, 304)
        self._is_chunked = not has_none and b"\r\ntransfer-encoding: chunked" in lower
        length = lower.find(b"\r\ncontent-length:")
        self._length = 0
        if length >= 0 and not has_none:
            self._length = int(lower[length + 17 :].split(b"\r\n", 1)[0])
        self.until_close = not has_none and not self._is_chunked and length < 0
        self.closes = self.until_close or b"\r\nconnection: close" in lower or lower.startswith(b"http/1.0")

    def read(self, received: bytearray, *, ended: bool) -> bytes | None:
        if self._is_chunked:
            return self._unchunked(received)
        if self.until_close:
            return bytes(received[self._start :]) if ended else None
        end = self._start + self._length
        return bytes(received[self._start : end]) if len(received) >= end else None

    def _unchunked(self, received: bytearray) -> bytes | None:
        if not received.endswith(b"0\r\n\r\n"):
            return None
        body, place = bytearray(), self._start
        while (end := received.find(b"\r\n", place)) >= 0:
            size = int(received[place:end].split(b";")[0], 16)
            if size == 0:
                return bytes(body)
            body += received[end + 2 : end + 2 + size]
            place = end + 2 + size + 2
        return None
