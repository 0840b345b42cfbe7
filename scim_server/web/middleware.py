"""The front door: what is true of every request before Flask looks at it.

It takes out what the server process put into the WSGI environment, brings the address
into one form, gives the request an id, bounds what is read, and adds the headers that never
change. What it refuses, it refuses with the same bodies as the rest of the program.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import IO, Any

from werkzeug.exceptions import UnsupportedMediaType

from scim_server.errors import InvalidSyntax, InvalidVers, PayloadTooLarge

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]

REQUEST_ID = "scim_seats.request_id"
STARTED = "scim_seats.started"

# The answers are JSON for programs: nothing may store, sniff, frame or refer to them.
SECURITY_HEADERS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Strict-Transport-Security", "max-age=31536000"),
    ("X-Content-Type-Options", "nosniff"),
)

_NAMES_OF_CONSTANTS = frozenset(name for name, _ in SECURITY_HEADERS)
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:=+/-]{1,128}", re.ASCII)
# A name, an IPv4 or a bracketed IPv6 address, with or without a port (RFC 9110 §7.2).
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
_OTHER_VERSION = re.compile(r"/+scim/+(v(?!2(?:/|\Z))\d[\w.]*)(?:/|\Z)", re.ASCII)
_SLASHES = re.compile(r"/{2,}")
# What a server sets for every request; anything else may have come from the environment of the process.
_OF_THE_REQUEST = frozenset(
    {
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
        "REMOTE_ADDR",
    }
)


class UriTooLong(Exception):
    """The address is longer than anything that could be meant (414)."""


class BodyIsEncoded(UnsupportedMediaType):
    """The body is compressed (415, RFC 9110 §15.5.16): no client needs it, and a small body can grow large."""

    description = "Send the body as it is, without a Content-Encoding."

    def get_headers(self, *args: Any, **kwargs: Any) -> Headers:
        return [*super().get_headers(*args, **kwargs), ("Accept-Encoding", "identity")]


class HeadersTooLarge(Exception):
    """The headers are larger than anything that could be meant (431)."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a request is looked at at all.

    The address may be long, for a filter in it is answered by the filter's own bound, which says more; granian
    takes half as much, other web servers have bounds of their own.
    """

    body: int
    url: int = 128 * 1024
    headers: int = 64 * 1024


class FrontDoor:
    """WSGI middleware. ``refuse`` makes the WSGI answer to a request that goes no further."""

    def __init__(
        self,
        app: Wsgi,
        *,
        bounds: Bounds,
        process_environment: Mapping[str, str],
        refuse: Callable[[Environ, Exception], Wsgi],
    ) -> None:
        self._app = app
        self._bounds = bounds
        self._process_environment = {
            key: value for key, value in process_environment.items() if key not in _OF_THE_REQUEST
        }
        self._refuse = refuse

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        leave_out_process_environment(environ, self._process_environment)
        environ[STARTED] = perf_counter()
        environ[REQUEST_ID] = request_id_of(environ)
        start = with_constant_headers(start_response, environ[REQUEST_ID])
        refusal = refusal_of(environ, self._bounds)
        if refusal is not None:
            return self._refuse(environ, refusal)(environ, start)
        environ["PATH_INFO"] = normal_path(environ.get("PATH_INFO", ""))
        environ["wsgi.input"] = BoundedInput(environ["wsgi.input"], self._bounds.body)
        return self._app(environ, start)


def with_constant_headers(start_response: StartResponse, request_id: str) -> StartResponse:
    """Return a ``start_response`` that adds what every answer has and what it does not say otherwise."""

    def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
        said = {name for name, _ in headers}
        constant: Sequence[tuple[str, str]] = SECURITY_HEADERS
        if not said.isdisjoint(_NAMES_OF_CONSTANTS):
            constant = [header for header in SECURITY_HEADERS if header[0] not in said]
        return start_response(status, [*headers, *constant, ("X-Request-Id", request_id)], exc_info)

    return start


def leave_out_process_environment(environ: Environ, inherited: Mapping[str, str]) -> None:
    """Take out what granian copies from ``os.environ``: ``HTTP_X`` set there would pass for a header."""
    for key in inherited.keys() & environ.keys():
        if environ[key] == inherited[key]:
            del environ[key]


def request_id_of(environ: Environ) -> str:
    """Return the caller's X-Request-Id where it is a harmless text, else a fresh one."""
    asked: str = environ.get("HTTP_X_REQUEST_ID", "")
    return asked if _SANE_REQUEST_ID.fullmatch(asked) else os.urandom(16).hex()


def normal_path(path: str) -> str:
    """Return the path without doubled and trailing slashes; identity providers send both (no redirect)."""
    if "//" in path:
        path = _SLASHES.sub("/", path)
    return path[:-1] if len(path) > 1 and path.endswith("/") else path


def refusal_of(environ: Environ, bounds: Bounds) -> Exception | None:
    """Return why a request goes no further, None where nothing speaks against it."""
    path, query = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
    if len(path) + len(query) > bounds.url:
        return UriTooLong(
            f"The address is longer than {bounds.url} bytes; use POST /.search for long queries."
        )
    if sum([len(key) + len(environ[key]) for key in environ if key.startswith("HTTP_")]) > bounds.headers:
        return HeadersTooLarge(f"The headers are larger than {bounds.headers} bytes.")
    if "\0" in path or "%00" in query:
        return InvalidSyntax("The address has a NUL character in it.")
    if not _HOST.fullmatch(environ.get("HTTP_HOST", "localhost")):
        return InvalidSyntax("The header Host names no host.")
    if environ.get("HTTP_CONTENT_ENCODING", "").strip().lower() not in ("", "identity"):
        return BodyIsEncoded()
    if version := _OTHER_VERSION.match(path):
        return InvalidVers(f"SCIM {version[1][:20]} is not spoken here; addresses begin with /scim/v2.")
    return _refusal_of_length(environ, bounds)


def _refusal_of_length(environ: Environ, bounds: Bounds) -> Exception | None:
    length = environ.get("CONTENT_LENGTH")
    if not length:
        return None
    if "HTTP_TRANSFER_ENCODING" in environ:
        return InvalidSyntax("Content-Length and Transfer-Encoding exclude each other.")
    if not (length.isascii() and length.isdigit()):
        return InvalidSyntax("Content-Length is not a number.")
    if len(length) > 18 or int(length) > bounds.body:
        return body_too_large(bounds.body)
    return None


def body_too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than {limit} bytes.", limit=limit)


class BoundedInput:
    """The body as a stream that raises PayloadTooLarge as soon as more than ``limit`` bytes came.

    Werkzeug ends a chunked body that is too long silently at the limit; a truncated body
    can still be valid JSON.
    """

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._left = limit
        self._limit = limit

    def read(self, size: int | None = -1) -> bytes:
        return self._checked(self._read_all(self._wanted(size)))

    def readline(self, size: int | None = -1) -> bytes:
        return self._checked(self._stream.readline(self._wanted(size)))

    def _wanted(self, size: int | None) -> int:
        return self._left + 1 if size is None or size < 0 else min(size, self._left + 1)

    def __iter__(self) -> BoundedInput:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def _read_all(self, wanted: int) -> bytes:
        """Read until the end or beyond the limit; one ``read`` may return less than was asked for."""
        parts = []
        while wanted > 0:
            part = self._stream.read(wanted)
            if not part:
                break
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def _checked(self, data: bytes) -> bytes:
        if len(data) > self._left:
            self._left = -1  # whoever reads on is told the same
            raise body_too_large(self._limit)
        self._left -= len(data)
        return data
