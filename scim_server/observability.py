"""What the server tells its operators: structured log lines and metrics.

A log line is one JSON object on standard error. Nothing that is logged or counted has a
token, a body or the value of a query parameter in it; filters name people.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess, values
from prometheus_client.mmap_dict import MmapedDict
from structlog.typing import FilteringBoundLogger

from scim_server.errors import Unavailable

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FIRST_BLOCKS = 65_536  # bytes of a file of counters; it doubles when it is full


class _OnDisk(MmapedDict):
    """Counters in a mapped file of which every block is there.

    The library's files have holes. On a disk that is full whoever counts into one is ended by a signal
    (SIGBUS) that nobody can catch; here it is an OSError.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        path = Path(filename)
        if not read_mode and not path.exists():
            new = path.with_suffix(".new")  # which nobody reads
            with new.open("wb") as file:
                _reserve(file.fileno(), _FIRST_BLOCKS)
            new.rename(path)
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]  # the library has no types here

    def _init_value(self, key: str) -> None:
        if self._used + 2 * len(key) + 64 > self._capacity:
            _reserve(self._f.fileno(), 2 * self._capacity)
        super()._init_value(key)  # type: ignore[no-untyped-call]  # the library has no types here


def _reserve(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):  # macOS has none
        os.posix_fallocate(file, 0, size)


# The library asks nobody what to count in: it is this name of a module, which imports it and does not export it.
values.MmapedDict = _OnDisk  # type: ignore[attr-defined]


class Metrics:
    """Counters of one application, in the text format of Prometheus.

    With ``PROMETHEUS_MULTIPROC_DIR`` set, as ``serve`` does, the answer is about all worker
    processes; without it, about the one that happens to answer.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._found: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._requests = Counter(
            "scim_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "scim_request_seconds",
            "Time to answer a request.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._deviations = Counter(
            "scim_client_deviations",
            "Requests in which a named deviation of a client from the RFC was met.",
            ("deviation", "token"),
            registry=self._registry,
        )

    def observe(
        self, method: str, route: str, status: int, seconds: float, notes: Iterable[str], token: str | None
    ) -> None:
        """Count one request. ``route`` is the template of the URL, which bounds the number of series.

        Raises OSError where the workers' common files cannot be written.
        """
        requests, times = self._series(method if method in _METHODS else "OTHER", route, status)
        requests.inc()
        times.observe(seconds)
        for deviation in set(notes):
            self._deviations.labels(deviation, token or "").inc()

    def _series(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        key = method, route, status
        found = self._found.get(key)
        if found is None:
            found = self._requests.labels(method, route, str(status)), self._seconds.labels(method, route)
            self._found[key] = found
        return found

    def text(self) -> bytes:
        """Return the metrics as Prometheus reads them. Raises Unavailable where the common files are gone."""
        directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if not directory:
            return generate_latest(self._registry)
        if not Path(directory).is_dir():
            raise Unavailable("The directory of the workers' common metrics is gone: start the server anew.")
        shared = CollectorRegistry()
        multiprocess.MultiProcessCollector(shared, directory)  # type: ignore[no-untyped-call]  # the library has no types here
        return generate_latest(shared)


class _StandardError:
    """Writes log lines to whatever standard error is at that moment."""

    def msg(self, line: str) -> None:
        sys.stderr.write(line)

    debug = info = warning = error = critical = msg


def make_log(level: str = "info") -> FilteringBoundLogger:
    """Return the logger of one application; nothing global is configured."""
    log: FilteringBoundLogger = structlog.wrap_logger(
        _StandardError(),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _as_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.lower()]),
        cache_logger_on_first_use=True,
    )
    return log.bind()  # which spares every line that it is made anew


_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


def _as_line(_logger: Any, method: str, event: structlog.typing.EventDict) -> str:
    event["level"] = method
    return orjson.dumps(event, default=repr, option=_LINE).decode()


_LINE = orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE
