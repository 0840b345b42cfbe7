"""A part of the program that is loaded when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from scim_server.web.middleware import Environ, Wsgi


class Later:
    """WSGI middleware: addresses under ``prefix`` belong to an application that ``make`` makes, others to ``rest``.

    It is made once, when the first of its addresses is asked for, so that no other answer waits for it.
    """

    def __init__(self, rest: Wsgi, prefix: str, make: Callable[[], Flask]) -> None:
        self._rest = rest
        self._prefix = prefix + "/"
        self._make = make
        self._made: Flask | None = None
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(self._prefix):
            return self.part().wsgi_app(environ, start_response)
        return self._rest(environ, start_response)

    def part(self) -> Flask:
        """Return the application of the prefix."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made
