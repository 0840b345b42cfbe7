"""The Admin API as a whole: its blueprints, its OpenAPI 3.1 description, how its bodies are read."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response
from flask_smorest import Api  # type: ignore[import-untyped]
from flask_smorest.utils import prepare_response  # type: ignore[import-untyped]

from scim_server.web.admin.audit import audit
from scim_server.web.admin.billing import billing
from scim_server.web.admin.mappings import mappings
from scim_server.web.admin.members import members
from scim_server.web.admin.organization import organization
from scim_server.web.admin.page import page
from scim_server.web.admin.schemas import Instant, ProblemSchema
from scim_server.web.admin.seats import seats
from scim_server.web.admin.tokens import tokens
from scim_server.web.authentication import DESCRIPTION

BLUEPRINTS = (organization, seats, billing, members, mappings, tokens, audit)

_DESCRIPTION = """\
Seats, members, group mappings, purchases and tokens of the organization that the token belongs to.

Times are RFC 3339 in UTC. Errors are problem documents (RFC 9457) with a stable `code`.
A POST that creates or charges takes the header `Idempotency-Key`; the same key again answers
the same and does nothing. Money is in minor units of the organization's currency.
Lists are paged: ask again with `cursor` set to the `next_cursor` of the page before.
"""


class AdminApi(Api):  # type: ignore[misc]
    """flask-smorest's Api, with problem documents as the form of every error."""

    ERROR_SCHEMA = ProblemSchema

    def _register_responses(self) -> None:
        for status in HTTPStatus:
            self._describe_failure(status.name, status.phrase)
        self._describe_failure(self.DEFAULT_ERROR_RESPONSE_NAME, "Any other failure")

    def _describe_failure(self, name: str, description: str) -> None:
        response: dict[str, Any] = {"description": description, "schema": self.ERROR_SCHEMA}
        prepare_response(response, self.spec, "application/problem+json")
        self.spec.components.response(name, response, lazy=True)


def register(app: Flask, prefix: str, version: str) -> None:
    """Add the Admin API to an application, under ``prefix``."""
    _add_blueprints(app, prefix)
    app.register_blueprint(page, url_prefix=prefix)

    @app.get(f"{prefix}/openapi.json", endpoint=DESCRIPTION)
    def show_description() -> Response:
        return Response(_described(prefix, version), content_type="application/json")


def _add_blueprints(app: Any, prefix: str) -> None:
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint, url_prefix=prefix)


@cache
def _described(prefix: str, version: str) -> bytes:
    """Return the OpenAPI document, which takes longer to make than all else here and is hardly ever read.

    flask-smorest describes the routes of an application. It gets one that never answers, for it would
    answer errors in a form of its own.
    """
    described = Flask(__name__, static_folder=None, template_folder=None)
    described.config.update(API_TITLE="scim-seats Admin API", API_VERSION=version, OPENAPI_VERSION="3.1.0")
    security: list[dict[str, list[str]]] = [{"bearer": []}]
    api = AdminApi(described, spec_kwargs={"info": {"description": _DESCRIPTION}, "security": security})
    api.register_field(Instant, "string", "date-time")
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    _add_blueprints(api, prefix)
    return orjson.dumps(api.spec.to_dict())
