"""From error to status and body (RFC 7644 §3.12, RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from marshmallow import ValidationError
from werkzeug.exceptions import MethodNotAllowed, NotFound

from scim_server import errors
from scim_server.web.error_handlers import STATUSES, failure_of, failure_response, problem, scim_error


def all_errors(root: type[errors.ScimSeatsError] = errors.ScimSeatsError) -> Iterator[type]:
    for error in root.__subclasses__():
        yield error
        yield from all_errors(error)


@pytest.mark.parametrize("error", list(all_errors()))
def test_every_error_has_a_status_and_says_what_to_do(error):
    failure = failure_of(error("do this instead"))

    assert 400 <= failure.status < 600
    assert failure.status != 500
    assert failure.detail == "do this instead"


def test_every_status_belongs_to_an_error_that_exists():
    known = {*all_errors()}

    assert {error for error in STATUSES if issubclass(error, errors.ScimSeatsError)} <= known


@pytest.mark.parametrize(
    ("error", "status", "scim_type"),
    [
        (errors.InvalidFilter("x"), "400", "invalidFilter"),
        (errors.NoTarget("x"), "400", "noTarget"),
        (errors.ExpiredCursor("x"), "400", "expiredCursor"),
        (errors.NotUnique("x"), "409", "uniqueness"),
        (errors.VersionMismatch("x"), "412", None),
        (errors.NotFound("x"), "404", None),
        (errors.SeatLimitReached("seat_limit_reached: x"), "403", None),
    ],
)
def test_a_scim_error_has_its_status_as_text_and_the_keyword_of_the_rfc(error, status, scim_type):
    body = scim_error(failure_of(error))

    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert body["status"] == status
    assert body.get("scimType") == scim_type


def test_a_problem_has_what_the_error_adds():
    body = problem(failure_of(errors.SeatUnavailable("none free", tier="premium")), "req-1")

    assert body == {
        "type": "urn:scim-seats:problem:seat_unavailable",
        "title": "Conflict",
        "status": 409,
        "code": "seat_unavailable",
        "detail": "none free",
        "tier": "premium",
        "request_id": "req-1",
    }


def test_what_nobody_foresaw_says_nothing_of_its_cause():
    failure = failure_of(KeyError("SELECT secret FROM /srv/app.py"))

    assert failure.status == 500
    assert "secret" not in json.dumps([scim_error(failure), problem(failure, "req-1")])


def test_a_method_that_is_not_allowed_keeps_the_header_that_names_the_others():
    response = failure_response(failure_of(MethodNotAllowed(valid_methods=["GET"])), "/admin/v1/seats", "r")

    assert response.headers["Allow"] == "GET"
    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/scim/v2/nowhere", "application/scim+json"),
        ("/scim", "application/scim+json"),
        ("/scimitar", "application/problem+json"),
        ("/", "application/problem+json"),
    ],
)
def test_the_address_decides_the_form_of_an_error(path, content_type):
    assert failure_response(failure_of(NotFound()), path, "r").content_type == content_type


def test_invalid_bodies_name_every_member_that_is_wrong():
    failure = failure_of(ValidationError({"tier": ["Missing."], "colour": ["Unknown field."]}))

    assert (failure.status, failure.code) == (422, "invalid_request")
    assert failure.detail == "tier: Missing.; colour: Unknown field."
    assert failure.extra == {"errors": {"tier": ["Missing."], "colour": ["Unknown field."]}}
