"""The end of every request: one line in the log, and the metrics.

The line says who asked for what and how it went. It names the route's template and the
query parameters that were used, and never their values: a filter holds names and addresses
of people. Ids that stand in an address are those of resources, and are left out as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from flask import Request, Response
from structlog.typing import FilteringBoundLogger

from scim_server.call import Call
from scim_server.observability import Metrics
from scim_server.web.middleware import REQUEST_ID, STARTED
from scim_server.web.parameters import KNOWN, parameters

UNROUTED = "(none)"
_MAX_USER_AGENT = 120


class AccessLog:
    """Notes every request of an application."""

    def __init__(self, log: FilteringBoundLogger, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics

    def finish(self, request: Request, response: Response, call: Call | None) -> None:
        """Note a request that reached Flask."""
        more: dict[str, Any] = {}
        notes: Sequence[str] = ()
        if call is not None:
            more = {"organization": call.organization_id, "token": call.token_id}
            notes = call.notes
            if notes:
                more["deviations"] = sorted(set(notes))
        environ = request.environ
        if environ.get("QUERY_STRING"):
            given = parameters()
            more["parameters"] = [name for name in KNOWN if name.lower() in given]
        rule = request.url_rule
        self.note(environ, response, route=UNROUTED if rule is None else rule.rule, notes=notes, **more)

    def note(
        self,
        environ: Mapping[str, Any],
        response: Response,
        *,
        route: str = UNROUTED,
        notes: Any = (),
        **more: Any,
    ) -> None:
        """Write the line and count the request."""
        seconds = perf_counter() - environ[STARTED]
        method = environ["REQUEST_METHOD"]
        try:
            self._metrics.observe(method, route, response.status_code, seconds, notes, more.get("token"))
        except OSError as error:  # by now the request is answered: it must not fail for a disk that is full
            more["uncounted"] = str(error)
        self._log.info(
            "request",
            request_id=environ[REQUEST_ID],
            method=method[:16],
            route=route,
            status=response.status_code,
            duration_ms=round(seconds * 1000, 2),
            address=environ.get("REMOTE_ADDR"),
            user_agent=environ.get("HTTP_USER_AGENT", "")[:_MAX_USER_AGENT],
            **more,
        )
