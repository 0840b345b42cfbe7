"""Is the process alive, may it be sent requests, and what did it do?"""

from __future__ import annotations

from flask import Blueprint, Response

from scim_server.errors import Unavailable
from scim_server.observability import METRICS_CONTENT_TYPE
from scim_server.web.exchange import services
from scim_server.web.http import json_response

health = Blueprint("health", __name__)


@health.get("/healthz")
def alive() -> Response:
    """Answer, which is all that is asked: a restart would mend nothing but a process that does not."""
    return json_response({"status": "ok"})


@health.get("/readyz")
def ready() -> Response:
    """Say whether requests can be served: the database answers and its schema is current."""
    here = services()
    here.database.ping()
    if not here.schema_is_current():
        raise Unavailable("The schema of the database is not current: run scim-server db upgrade.")
    return json_response({"status": "ok"})


@health.get("/metrics")
def metrics() -> Response:
    return Response(services().metrics.text(), content_type=METRICS_CONTENT_TYPE)
