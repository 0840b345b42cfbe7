"""What views share: the operation in its transaction, the body of the request, the form of the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import orjson
from flask import Response
from flask.json.provider import JSONProvider
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected, UnsupportedMediaType

from scim_server.call import Call
from scim_server.errors import PayloadTooLarge
from scim_server.operations import presumption as presumptions
from scim_server.operations.passwords import NeedsHash, hash_for
from scim_server.operations.representation import Rendered
from scim_server.scim import json_text
from scim_server.scim.conditions import Preconditions, Tags, entity_tag, preconditions_of, tags_of
from scim_server.scim.dialects import ForceMediaType
from scim_server.scim.values import Json
from scim_server.web.exchange import Exchange, exchange, services, this_call
from scim_server.web.middleware import body_too_large

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

P = ParamSpec("P")
R = TypeVar("R")

SCIM_JSON = "application/scim+json"
PLAIN_JSON = "application/json"
MAX_MESSAGE_BYTES = 256 * 1024
MAX_MESSAGE_VALUES = 10_000


# -- operations


def perform(operation: Callable[Concatenate[Any, Call, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run an operation that writes, in a transaction of its own."""
    call = this_call()
    run = services().database.run
    try:
        return _presuming(run, operation, call, *args, **kwargs)
    except NeedsHash as needed:
        be_certain()
        hash_for(call, needed)
        return _presuming(run, operation, call, *args, **kwargs)


def examine(operation: Callable[Concatenate[Any, Call, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run an operation that only reads, and whose answer decides about something."""
    return _presuming(services().database.read, operation, this_call(), *args, **kwargs)


def look(operation: Callable[Concatenate[Any, Call, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run an operation that only reads, and whose answer decides about nothing."""
    return _presuming(services().reader.read, operation, this_call(), *args, **kwargs)


def look_up(operation: Callable[Concatenate[Any, Call, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do what ``look`` does for an operation that need not see everything at one moment."""
    return _presuming(services().reader.look_up, operation, this_call(), *args, **kwargs)


def _presuming(
    run: Callable[..., R],
    operation: Callable[Concatenate[Any, Call, P], R],
    call: Call,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Run an operation, and ask with it what was presumed of the request's token (``operations.presumption``)."""
    presumption = exchange().unconfirmed
    if presumption is None:
        return run(operation, call, *args, **kwargs)
    return run(presumptions.presuming, presumption, operation, call, *args, **kwargs)


def be_certain() -> None:
    """Find out whether what was presumed of the request's token holds, unless that is known. Raises Outdated."""
    here = exchange()
    if (presumption := here.unconfirmed) is not None:
        here.services.database.look_up(presumptions.confirm, presumption)


# -- requests


def json_body() -> Json:
    """Return the JSON object that the request carries."""
    return json_text.load_object(_json_data())


def bulk_body(limit: int) -> Json:
    """Return the JSON object of a bulk request, of no more bytes than was promised (RFC 7644 §3.7.4)."""
    data = _json_data()
    if len(data) > limit:
        raise PayloadTooLarge(
            f"The size of the bulk operation exceeds the maxPayloadSize ({limit}).", limit=limit
        )
    return json_text.load_object(data)


def message_body(*, may_be_absent: bool = False) -> Json:
    """Return the JSON object that the request carries, where it is a message of a fixed shape.

    Such a message is small. What is wrong with it is answered member by member, so that a
    large one would have an answer many times larger.
    """
    data = _json_data()
    if len(data) > MAX_MESSAGE_BYTES:
        raise body_too_large(MAX_MESSAGE_BYTES)
    if may_be_absent and not data:
        return {}
    return json_text.load_object(data, MAX_MESSAGE_VALUES)


def _json_data() -> bytes:
    """Return the body, which is read once also where the request begins again.

    Identity providers label it in many ways or not at all, so the body itself decides; only what
    is expressly something else is refused (415).
    """
    here = exchange()
    body = _read_body(here) if here.body is None else here.body
    if here.presumption is not None:
        here.body = body
    return body


def _read_body(here: Exchange) -> bytes:
    environ = here.environ
    if _is_something_else(environ.get("CONTENT_TYPE", "")):
        raise UnsupportedMediaType(f"Send {SCIM_JSON} or {PLAIN_JSON}.")
    length = environ.get("CONTENT_LENGTH")
    if not length:
        return here.request.get_data(cache=False)
    data: bytes = environ["wsgi.input"].read(int(length))
    if len(data) < int(length):
        raise ClientDisconnected
    return data


@lru_cache(maxsize=64)
def _is_something_else(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.startswith("multipart/") or media_type.endswith(("/xml", "+xml"))


def if_match() -> Tags | None:
    return tags_of(exchange().environ.get("HTTP_IF_MATCH"))


def preconditions() -> Preconditions | None:
    """Return what must hold for the change that the request asks for."""
    environ = exchange().environ
    return preconditions_of(environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH"))


def if_none_match() -> Tags | None:
    return tags_of(exchange().environ.get("HTTP_IF_NONE_MATCH"))


# -- answers


def scim_media_type() -> str:
    """Return what the client accepts: SCIM's media type, unless only plain JSON is named (RFC 7644 §3.8).

    A token may say otherwise, for a client that does not.
    """
    here = exchange()
    if here.call is not None and here.call.client.force_media_type is not ForceMediaType.NONE:
        return here.call.client.force_media_type.value
    return _media_type_for(here.environ.get("HTTP_ACCEPT", ""))


@lru_cache(maxsize=64)
def _media_type_for(accept: str) -> str:
    accept = accept.lower()
    if PLAIN_JSON in accept and SCIM_JSON not in accept and "*" not in accept:
        return PLAIN_JSON
    return SCIM_JSON


class Answer(Response):
    """A response that goes out as it was made, in one piece.

    Werkzeug would parse and rewrite the addresses in the headers, which here are absolute and
    ASCII already, and hand the body over part by part.
    """

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(self._status, list(self.headers))
        has_body = environ["REQUEST_METHOD"] != "HEAD" and self._status_code not in _WITHOUT_BODY
        return list(self.iter_encoded()) if has_body else []


_WITHOUT_BODY = (204, 304)


class ReadyAnswer(Answer):
    """An answer whose headers are all known; they are an object of Werkzeug's only where somebody looks at them."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes = b"") -> None:
        self._status_code = status
        self._ready_headers = headers
        self._body = body

    # Werkzeug has an attribute here, which it fills whether anybody looks or not.
    @cached_property
    def headers(self) -> Headers:  # type: ignore[override]
        return Headers(self._ready_headers)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = list(self.headers) if "headers" in vars(self) else self._ready_headers
        start_response(_STATUS_LINES[self._status_code], headers)
        return [self._body] if environ["REQUEST_METHOD"] != "HEAD" else []


_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def scim_response(body: bytes, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    told = [("Content-Type", scim_media_type()), ("Content-Length", str(len(body)))]
    return ReadyAnswer(status, [*told, *headers], body)


def resource_response(rendered: Rendered, status: int = 200) -> Response:
    """Answer with a resource, its address and its version (RFC 7644 §3.14); 204 where no body is wanted."""
    headers = _about(rendered)
    if rendered.body is None:
        return ReadyAnswer(204, headers)
    return scim_response(rendered.body, status, [*headers, ("Content-Location", rendered.location)])


def unless_known(rendered: Rendered) -> Response:
    """Answer with a resource, or with 304 where If-None-Match named its version."""
    return ReadyAnswer(304, _about(rendered)) if rendered.body is None else resource_response(rendered)


def _about(rendered: Rendered) -> list[tuple[str, str]]:
    return [("ETag", entity_tag(rendered.version)), ("Location", rendered.location)]


def no_content() -> Response:
    return ReadyAnswer(204, [])


def json_response(body: Any, status: int = 200) -> Response:
    return Answer(orjson.dumps(body), status, content_type=PLAIN_JSON)


class OrjsonProvider(JSONProvider):
    """Flask's own JSON, for what flask-smorest answers."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return json_response(self._prepare_response_obj(args, kwargs))
