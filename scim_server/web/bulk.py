"""``/Bulk`` (RFC 7644 §3.7): many operations in one request, each of which succeeds or fails for itself.

A bulk operation calls the same operation as the endpoint that it names, as the same caller, in a
transaction of its own. People who are created one after the other share one as long as nobody
among them is refused, which makes no difference to anybody but in time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote

from flask import Blueprint, Response
from werkzeug.exceptions import MethodNotAllowed

from scim_server.errors import InvalidSyntax, InvalidValue, NotFound, ScimSeatsError
from scim_server.operations import users
from scim_server.operations.representation import Rendered
from scim_server.operations.seats import OneByOne
from scim_server.scim import json_text
from scim_server.scim.bulk import (
    Agenda,
    BulkRequest,
    Operation,
    read,
    resolved,
    without_references,
)
from scim_server.scim.conditions import entity_tag, preconditions_of
from scim_server.scim.dialects import Deviation
from scim_server.scim.projection import Projection
from scim_server.scim.values import Json
from scim_server.web.error_handlers import noted_failure, scim_error
from scim_server.web.exchange import services, this_call
from scim_server.web.http import bulk_body, perform, scim_response
from scim_server.web.parameters import asks_for_attributes, parameters_in, projection_of
from scim_server.web.scim_api import ENDPOINTS, Endpoint
from scim_server.web.scim_discovery import capabilities

BULK_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"

bulk = Blueprint("bulk", __name__, url_prefix="/scim/v2")

_BY_NAME: Mapping[str, Endpoint] = {name: endpoint for endpoint in ENDPOINTS for name in endpoint.spellings}
_PATH = re.compile(r"/?(?:scim/v2/)?(?P<name>\w+)(?:/(?P<segment>[^/?#]+))?/?(?:\?(?P<query>.*))?")
_ON_RESOURCES = ("PUT", "PATCH", "DELETE")
_TOGETHER = 100  # people at most who are created in one transaction, which others wait for


@bulk.post("/Bulk")
def process_bulk() -> Response:
    """Do what a BulkRequest asks; the answer is 200 whatever became of its operations."""
    promised = capabilities(services().config)
    request = read(bulk_body(promised.bulk_max_payload_bytes), promised.bulk_max_operations)
    results = Job(request).run()
    return scim_response(json_text.dump({"schemas": [BULK_RESPONSE], "Operations": results}))


@dataclass(frozen=True, slots=True)
class Target:
    """Where the path of an operation leads: an endpoint, or a resource of it; with the parameters of the path."""

    endpoint: Endpoint
    segment: str
    query: str

    @property
    def resource_id(self) -> str:
        """The id of the resource; "" for the endpoint itself."""
        return unquote(self.segment)

    @property
    def location(self) -> str:
        endpoint = f"{this_call().base_url}/{self.endpoint.name}"
        return f"{endpoint}/{self.segment}" if self.segment else endpoint

    @property
    def projection(self) -> Projection | None:
        """What is to be answered of the resource: nothing, unless the path asks for attributes (RFC 7644 §3.9)."""
        given = parameters_in(self.query)
        if not asks_for_attributes(given):
            return None
        return projection_of(self.endpoint.resource_type(this_call()), given)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an operation that succeeded. ``version`` None: there is no resource any more."""

    status: int
    resource_id: str
    location: str
    version: int | None = None
    body: bytes | None = None


@dataclass(slots=True)
class Job:
    """One BulkRequest on its way. ``ids`` maps the bulkIds of what was created to the ids it got."""

    request: BulkRequest
    ids: dict[str, str] = field(default_factory=dict)
    results: dict[int, Json] = field(default_factory=dict)
    errors: int = 0

    def run(self) -> list[Json]:
        """Return the result of every operation that was processed, in the order of the request."""
        agenda = Agenda(self.request.operations)
        while not self._is_over():
            if people := agenda.take_alike(_creates_somebody, _TOGETHER):
                self._create_together(people)
                continue
            if (taken := agenda.take()) is None:
                break
            operation, waits = taken
            done = self._process(operation, waits=waits)
            if waits and done is not None:
                agenda.complete(operation, done.resource_id)
        for operation in agenda.unfinished():
            unfinished = InvalidValue("Created without its references, for the job ended before it had them.")
            self._undo(operation, unfinished)
        return [self.results[number] for number in sorted(self.results)]

    def _create_together(self, operations: Sequence[Operation]) -> None:
        """Create people at once; where one of them is refused, each for themselves."""
        call = this_call()
        try:
            for operation in operations:
                _require_bulk_id(operation)
            newcomers = [users.document_of(call, _data(operation)) for operation in operations]
            created = perform(users.create_together, newcomers)
        except (ScimSeatsError, OneByOne):
            for operation in operations:
                if not self._is_over():
                    self._process(operation, waits=False)
            return
        for operation, rendered in zip(operations, created, strict=True):
            self._note_success(operation, _done(201, rendered))

    def _is_over(self) -> bool:
        limit = self.request.fail_on_errors
        return limit is not None and self.errors >= limit

    def _process(self, operation: Operation, *, waits: bool) -> Done | None:
        """Do one operation and note its result; None where it failed. ``waits``: what it refers to is not there."""
        try:
            operation = without_references(operation) if waits else resolved(operation, self.ids)
            done = _perform(operation)
        except Exception as error:
            if operation.completes:
                self._undo(operation, error)
            else:
                self._note_failure(operation, error)
            return None
        self._note_success(operation, done)
        return done

    def _note_success(self, operation: Operation, done: Done) -> None:
        result = self._result(operation)
        if not operation.completes:
            result |= {"status": str(done.status), "location": done.location}
        if done.version is not None:
            result["version"] = entity_tag(done.version)
        if done.body is not None:
            result["response"] = json_text.ready_made(done.body)
        if operation.method == "POST" and operation.bulk_id is not None:
            self.ids[operation.bulk_id] = done.resource_id

    def _result(self, operation: Operation) -> Json:
        return self.results.setdefault(operation.number, _head(operation))

    def _undo(self, operation: Operation, error: Exception) -> None:
        """Remove what was created without its references and cannot get them: its POST has failed as a whole."""
        target = _target(operation)
        with suppress(ScimSeatsError):
            perform(target.endpoint.operations.delete, target.resource_id, None)
        if operation.bulk_id is not None:
            del self.ids[operation.bulk_id]
        result = self.results[operation.number]
        for name in ("location", "version"):
            del result[name]
        self._note_failure(operation, error)

    def _note_failure(self, operation: Operation, error: Exception) -> None:
        self.errors += 1
        result = self._result(operation)
        failure = noted_failure(error, services().log)
        result |= {"status": str(failure.status), "response": scim_error(failure)}
        if operation.method != "POST" and not operation.completes:
            result["location"] = _location(operation)


def _creates_somebody(operation: Operation) -> bool:
    """Whether an operation creates a user, refers to nobody and asks for nothing else (most of a first push do)."""
    return operation.method == "POST" and operation.path == "/Users" and not operation.references


def _head(operation: Operation) -> Json:
    head: Json = {"method": operation.method}
    if operation.bulk_id is not None:
        head["bulkId"] = operation.bulk_id
    return head


def _perform(operation: Operation) -> Done:
    """Do an operation as its endpoint does; the status is the one that a single request would have had."""
    target = _target(operation)
    _require_method(operation, target)
    operations = target.endpoint.operations
    if operation.method == "POST":
        _require_bulk_id(operation)
        document = operations.document_of(this_call(), _data(operation))
        return _done(201, perform(operations.create, document, target.projection))
    wanted = preconditions_of(operation.version, None)
    if operation.method == "DELETE":
        perform(operations.delete, target.resource_id, wanted)
        return Done(204, target.resource_id, target.location)
    change = operations.replace if operation.method == "PUT" else operations.patch
    projection = target.projection
    rendered = perform(change, target.resource_id, _data(operation), wanted, projection)
    answers = operation.method == "PUT" or target.endpoint.patch_answers or projection is not None
    return _done(200 if answers else 204, rendered)


def _done(status: int, rendered: Rendered) -> Done:
    return Done(status, rendered.id, rendered.location, rendered.version, rendered.body)


def _target(operation: Operation) -> Target:
    """Return where the path of an operation leads. Raises InvalidSyntax, NotFound."""
    if not operation.path:
        raise InvalidSyntax("An operation must have a path, such as /Users.")
    match = _PATH.fullmatch(operation.path)
    endpoint = _BY_NAME.get(match["name"]) if match else None
    if match is None or endpoint is None:
        raise NotFound(f"path must begin with one of {', '.join(f'/{each.name}' for each in ENDPOINTS)}.")
    target = Target(endpoint, match["segment"] or "", match["query"] or "")
    if "\0" in target.resource_id:
        raise InvalidSyntax("path has a NUL character in it.")
    return target


def _location(operation: Operation) -> str:
    """Return the address that an operation names, also where it leads nowhere."""
    with suppress(ScimSeatsError):
        return _target(operation).location
    return f"{this_call().base_url}/{operation.path.strip('/')}"


def _require_method(operation: Operation, target: Target) -> None:
    """Refuse a method that the target does not take (RFC 7644 §3.7)."""
    if not operation.method:
        raise InvalidSyntax("An operation must have a method: POST, PUT, PATCH or DELETE.")
    allowed = _ON_RESOURCES if target.resource_id else ("POST",)
    if operation.method not in allowed:
        raise MethodNotAllowed(allowed)


def _require_bulk_id(operation: Operation) -> None:
    """A POST must have a bulkId; who is lenient takes it without, for nothing refers to it."""
    if operation.bulk_id is None:
        if not this_call().client.lenient:
            raise InvalidValue("An operation with POST must have a bulkId.")
        this_call().note(Deviation.POST_WITHOUT_BULK_ID)


def _data(operation: Operation) -> Json:
    if not isinstance(operation.data, dict):
        raise InvalidSyntax("data must be an object, as it would be the body of a single request.")
    return operation.data
