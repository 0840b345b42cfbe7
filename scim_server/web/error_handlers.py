"""From error to status, and to a body: SCIM Error under ``/scim``, a problem document elsewhere.

The only place that knows the status of an error (RFC 7644 §3.12, RFC 9457). What nobody
foresaw is answered with 500 and the request id; its cause goes to the log and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, request
from marshmallow import ValidationError
from structlog.typing import FilteringBoundLogger
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from scim_server import errors
from scim_server.scim.values import Json
from scim_server.web.http import scim_media_type
from scim_server.web.middleware import REQUEST_ID, HeadersTooLarge, UriTooLong

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
SCIM_ROOT = "/scim"
_PROBLEM = "urn:scim-seats:problem:"

STATUSES: Mapping[type[Exception], int] = {
    errors.InvalidRequest: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.VersionMismatch: 412,
    errors.PayloadTooLarge: 413,
    errors.InvalidSetting: 422,
    errors.NotSupported: 501,
    errors.Unavailable: 503,
    UriTooLong: 414,
    HeadersTooLarge: 431,
}
HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    503: {"Retry-After": "5"},
}
# Where Python's name of a status differs between its versions, for a code must not.
_CODES = {413: "payload_too_large", 414: "uri_too_long", 422: "invalid_request"}
_DETAILS = {
    404: "There is nothing at this address.",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong as HTTP tells it. ``code`` is stable; ``extra`` are members of a problem document."""

    status: int
    code: str
    detail: str
    scim_type: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def failure_of(error: Exception) -> Failure:
    """Translate any exception; what it quotes of a request may hold half of a surrogate pair."""
    failure = _failure_of(error)
    return replace(failure, detail=failure.detail.encode("utf-8", "replace").decode())


def _failure_of(error: Exception) -> Failure:
    if isinstance(error, errors.ScimSeatsError):
        return _expected(error)
    if isinstance(error, HTTPException):
        return _of_werkzeug(error)
    if isinstance(error, ValidationError):
        return _invalid_body(error.messages)
    if isinstance(error, UriTooLong | HeadersTooLarge):
        status = STATUSES[type(error)]
        return Failure(status, _code_of(status), str(error))
    return Failure(500, "internal_error", "The server failed; the log has the cause under this request's id.")


def _expected(error: errors.ScimSeatsError) -> Failure:
    status = next(STATUSES[cls] for cls in type(error).__mro__ if cls in STATUSES)
    scim_type = getattr(error, "scim_type", None)
    if isinstance(error, errors.NotUnique):
        scim_type = error.code
    return Failure(status, error.code, error.detail, scim_type, error.extra, HEADERS.get(status, {}))


def _of_werkzeug(error: HTTPException) -> Failure:
    """Keep what a routing error says in its headers: 405 has to name what is allowed (RFC 9110 §15.5.6)."""
    status = error.code or 500
    data: Mapping[str, Any] = getattr(error, "data", None) or {}
    if status == 422 and "messages" in data:
        return _invalid_body(data["messages"])
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() not in ("content-type", "content-length")
    }
    detail = _DETAILS.get(status) or error.description or HTTPStatus(status).phrase
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        detail = f"This address takes {', '.join(sorted(error.valid_methods))} and no other method."
    return Failure(status, _code_of(status), detail, headers=headers)


def _code_of(status: int) -> str:
    return _CODES.get(status) or HTTPStatus(status).name.lower()


def _invalid_body(messages: Any) -> Failure:
    """Name every member that is wrong; webargs puts the part of the request before it, which is dropped."""
    found = dict(messages) if isinstance(messages, Mapping) else {"_schema": messages}
    for location in ("json", "query"):
        if isinstance(found.get(location), Mapping):
            found.update(found.pop(location))
    detail = "; ".join(f"{name}{_first(message)}" for name, message in found.items())
    return Failure(422, "invalid_request", detail, extra={"errors": found})


def _first(message: Any) -> str:
    """Return the first of nested messages behind the way that leads to it, as in ``.0.value: Missing.``"""
    way = ""
    while isinstance(message, Mapping | list) and message:
        if isinstance(message, Mapping):
            key, message = next(iter(message.items()))
            way += f".{key}"
        else:
            message = message[0]
    return f"{way}: {message}"


def scim_error(failure: Failure) -> Json:
    """Return a failure as RFC 7644 §3.12 writes it; ``status`` is text."""
    body: Json = {"schemas": [ERROR], "status": str(failure.status), "detail": failure.detail}
    if failure.scim_type is not None:
        body["scimType"] = failure.scim_type
    return body


def problem(failure: Failure, request_id: str) -> Json:
    """Return a failure as a problem document (RFC 9457)."""
    members = {
        "type": _PROBLEM + failure.code,
        "title": HTTPStatus(failure.status).phrase,
        "status": failure.status,
        "code": failure.code,
        "detail": failure.detail,
        "request_id": request_id,
    }
    return {**members, **{name: value for name, value in failure.extra.items() if name not in members}}


def failure_response(
    failure: Failure, path: str, request_id: str, media_type: str = "application/scim+json"
) -> Response:
    """Return a failure in the form that belongs to an address; ``media_type`` is that of a SCIM Error."""
    if path == SCIM_ROOT or path.startswith(SCIM_ROOT + "/"):
        body, content_type = scim_error(failure), media_type
    else:
        body, content_type = problem(failure, request_id), "application/problem+json"
    text = orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS)
    return Response(text, failure.status, dict(failure.headers), content_type=content_type)


def noted_failure(error: Exception, log: FilteringBoundLogger) -> Failure:
    """Translate any exception; what has a cause that clients are not told goes to the log with it."""
    failure = failure_of(error)
    if failure.status == 500:
        request_id = request.environ[REQUEST_ID]
        log.error("unexpected error", request_id=request_id, method=request.method, exc_info=error)
    elif isinstance(error, errors.Unavailable):
        request_id = request.environ[REQUEST_ID]
        log.warning("unavailable", request_id=request_id, method=request.method, reason=error.reason)
    return failure


def register(app: Flask, log: FilteringBoundLogger) -> None:
    """Answer every exception of an application."""

    def handle(error: Exception) -> Response:
        failure = noted_failure(error, log)
        request_id = request.environ[REQUEST_ID]
        return failure_response(failure, request.path, request_id, scim_media_type())

    app.register_error_handler(HTTPException, handle)
    app.register_error_handler(Exception, handle)
