"""``/Bulk`` (RFC 7644 §3.7): many operations in one request, each in a transaction of its own.

A bulk operation calls the same operation as the endpoint that it names, as the same caller.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote

from flask import Blueprint, Response
from werkzeug.exceptions import MethodNotAllowed

from scim_server.errors import InvalidSyntax, InvalidValue, NotFound, ScimSeatsError
from scim_server.operations.representation import Rendered
from scim_server.scim import json_text
from scim_server.scim.bulk import (
    BulkRequest,
    Operation,
    completion_of,
    next_of,
    read,
    resolved,
    without_references,
)
from scim_server.scim.conditions import entity_tag, preconditions_of
from scim_server.scim.dialects import Deviation
from scim_server.scim.values import Json
from scim_server.web.error_handlers import noted_failure, scim_error
from scim_server.web.http import json_body, perform, scim_response, services, this_call
from scim_server.web.scim_api import ENDPOINTS, Endpoint
from scim_server.web.scim_discovery import capabilities

BULK_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"

bulk = Blueprint("bulk", __name__, url_prefix="/scim/v2")

_BY_NAME: Mapping[str, Endpoint] = {endpoint.name: endpoint for endpoint in ENDPOINTS}
_PATH = re.compile(r"/?(?:scim/v2/)?(\w+)(?:/([^/?#]+))?/?")
_ON_RESOURCES = ("PUT", "PATCH", "DELETE")


@bulk.post("/Bulk")
def process_bulk() -> Response:
    """Do what a BulkRequest asks; the answer is 200 whatever became of its operations."""
    promised = capabilities(services().config)
    request = read(json_body(promised.bulk_max_payload_bytes), promised.bulk_max_operations)
    results = Job(request).run()
    return scim_response(json_text.dump({"schemas": [BULK_RESPONSE], "Operations": results}))


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an operation that succeeded. ``version`` None: there is no resource any more."""

    status: int
    resource_id: str
    location: str
    version: int | None


@dataclass(slots=True)
class Job:
    """One BulkRequest on its way. ``ids`` maps the bulkIds of what was created to the ids it got."""

    request: BulkRequest
    ids: dict[str, str] = field(default_factory=dict)
    results: dict[int, Json] = field(default_factory=dict)
    errors: int = 0

    def run(self) -> list[Json]:
        """Return the result of every operation that was processed, in the order of the request."""
        pending = list(self.request.operations)
        while pending and not self._is_over():
            index, incomplete = next_of(pending)
            operation = pending.pop(index)
            done = self._process(operation, incomplete=incomplete)
            if incomplete and done is not None:
                pending.insert(0, completion_of(operation, done.resource_id))
        for operation in pending:
            if operation.completes:
                unfinished = InvalidValue(
                    "Created without its references, for the job ended before it had them."
                )
                self._undo(operation, unfinished)
        return [self.results[number] for number in sorted(self.results)]

    def _is_over(self) -> bool:
        limit = self.request.fail_on_errors
        return limit is not None and self.errors >= limit

    def _process(self, operation: Operation, *, incomplete: bool) -> Done | None:
        """Do one operation and note its result; None where it failed."""
        result = self.results.setdefault(operation.number, _head(operation))
        try:
            ready = without_references(operation) if incomplete else resolved(operation, self.ids)
            done = _perform(ready)
        except Exception as error:
            if operation.completes:
                self._undo(operation, error)
            else:
                self._note_failure(result, operation, error)
            return None
        if not operation.completes:
            result |= {"status": str(done.status), "location": done.location}
        if done.version is not None:
            result["version"] = entity_tag(done.version)
        if operation.bulk_id is not None:
            self.ids[operation.bulk_id] = done.resource_id
        return done

    def _undo(self, operation: Operation, error: Exception) -> None:
        """Remove what was created without its references and cannot get them: its POST has failed as a whole."""
        endpoint, resource_id = _target(operation)
        with suppress(ScimSeatsError):
            perform(endpoint.operations.delete, resource_id, None)
        result = self.results[operation.number]
        for name in ("location", "version"):
            result.pop(name, None)
        self._note_failure(result, operation, error)

    def _note_failure(self, result: Json, operation: Operation, error: Exception) -> None:
        self.errors += 1
        failure = noted_failure(error, services().log)
        result |= {"status": str(failure.status), "response": scim_error(failure)}
        if operation.method != "POST" and not operation.completes:
            result["location"] = f"{this_call().base_url}/{operation.path.strip('/')}"


def _head(operation: Operation) -> Json:
    head: Json = {"method": operation.method}
    if operation.bulk_id is not None:
        head["bulkId"] = operation.bulk_id
    return head


def _perform(operation: Operation) -> Done:
    """Do an operation as its endpoint does; the status is the one that a single request would have had."""
    endpoint, resource_id = _target(operation)
    operations = endpoint.operations
    if operation.method == "POST":
        _require_bulk_id(operation)
        return _done(
            201, perform(operations.create, operations.document_of(this_call(), _data(operation)), None)
        )
    wanted = preconditions_of(operation.version, None)
    if operation.method == "DELETE":
        perform(operations.delete, resource_id, wanted)
        return Done(204, resource_id, f"{this_call().base_url}/{endpoint.name}/{resource_id}", None)
    if operation.method == "PUT":
        return _done(200, perform(operations.replace, resource_id, _data(operation), wanted, None))
    status = 200 if endpoint.patch_answers else 204
    return _done(status, perform(operations.patch, resource_id, _data(operation), wanted, None))


def _done(status: int, rendered: Rendered) -> Done:
    return Done(status, rendered.id, rendered.location, rendered.version)


def _target(operation: Operation) -> tuple[Endpoint, str]:
    """Return the endpoint and the resource that the path names; "" for the endpoint itself."""
    match = _PATH.fullmatch(operation.path)
    endpoint = _BY_NAME.get(match[1]) if match else None
    if match is None or endpoint is None:
        raise NotFound(f"path must begin with one of {', '.join('/' + name for name in _BY_NAME)}.")
    resource_id = unquote(match[2] or "")
    if "\0" in resource_id:
        raise InvalidSyntax("path has a NUL character in it.")
    allowed = _ON_RESOURCES if resource_id else ("POST",)
    if operation.method not in allowed:
        raise MethodNotAllowed(allowed)
    return endpoint, resource_id


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
