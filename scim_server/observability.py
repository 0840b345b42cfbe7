"""What the server tells its operators: structured log lines and metrics.

A log line is one JSON object on standard error. Nothing that is logged or counted has a
token, a body or the value of a query parameter in it; filters name people.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from typing import Any

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from structlog.typing import FilteringBoundLogger

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


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
        """Count one request. ``route`` is the template of the URL, which bounds the number of series."""
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
        """Return the metrics as Prometheus reads them."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        shared = CollectorRegistry()
        multiprocess.MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
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
