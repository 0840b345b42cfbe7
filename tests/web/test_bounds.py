"""No request costs more than a bound that is known before it is carried out."""

from __future__ import annotations

import gzip
import json
import re
import sys
from itertools import pairwise
from typing import Any

import pytest

from scim_server.errors import InvalidFilter, InvalidPath, InvalidSyntax, PayloadTooLarge
from scim_server.scim import filters, json_text, projection
from scim_server.scim.schemas import USER
from scim_server.web.authentication import PUBLIC
from scim_server.web.http import MAX_MESSAGE_BYTES, MAX_MESSAGE_VALUES
from tests.web.conftest import Caller
from tests.world import routes


def send(caller: Caller, path: str, data: bytes, **headers: str) -> Any:
    """POST a body as it is."""
    return caller.app.test_client().post(
        caller.prefix + path, data=data, headers={"Authorization": f"Bearer {caller.token}", **headers}
    )


def reading_routes(app) -> list[tuple[str, str]]:
    """Return method and address of every closed route that may have a body."""
    return [
        (method, re.sub(r"<[^>]+>", "x", rule.rule))
        for rule in routes(app)
        if rule.endpoint not in PUBLIC
        for method in sorted(rule.methods & {"POST", "PUT", "PATCH", "DELETE"})
    ]


# -- bodies


def test_no_route_reads_a_body_beyond_the_limit(make_app, make_token):
    app = make_app(max_body_bytes=2000)
    tokens = {
        "scim": make_token("scim"),
        "jit": make_token("jit"),
        "admin": make_token("admin", role="owner"),
    }
    routes = reading_routes(app)
    assert len(routes) > 25

    for method, path in routes:
        headers = {"Authorization": f"Bearer {tokens[path.split('/')[1]]}"}
        response = app.test_client().open(path, method=method, data=b" " * 2001, headers=headers)

        assert response.status_code == 413, (method, path)


@pytest.mark.parametrize("length", [None, "5", "0"])
def test_a_body_that_is_not_as_long_as_it_says_is_no_server_error(scim, length):
    response = scim.app.test_client().post(
        "/scim/v2/Users",
        data=b'{"userName": "eve"}',
        headers={"Authorization": f"Bearer {scim.token}"},
        environ_overrides={"CONTENT_LENGTH": "" if length is None else length},
    )

    assert response.status_code == 400
    assert scim.get("/Users").get_json(force=True)["totalResults"] == 0


def test_a_packed_body_is_not_unpacked(scim):
    packed = gzip.compress(b'{"userName": "eve"}' + b" " * 1_000_000)

    assert send(scim, "/Users", packed, **{"Content-Encoding": "gzip"}).status_code == 415


# -- JSON


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="lists in lists"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="objects in objects"),
        pytest.param(b'{"a":' + b"9" * 100_000 + b"}", id="a huge whole number"),
        pytest.param(b'{"a":1e999}', id="a number beyond floating point"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":-Infinity}', id="Infinity"),
        pytest.param(b'{"userName":"a","userName":"b"}', id="a member twice"),
        pytest.param(b'{"userName":"a","USERNAME":"b"}', id="a member twice in another letter case"),
        pytest.param(b'{"userName":"\\ud800"}', id="half of a surrogate pair"),
        pytest.param(b'{"userName":"a\\u0000"}', id="NUL, escaped"),
        pytest.param(b'{"userName":"a\x00"}', id="NUL as it is"),
        pytest.param(b'{"userName":"\xff"}', id="not UTF-8"),
        pytest.param('{"userName":"a"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"userName":"a"}{}', id="two documents"),
        pytest.param(b'[{"userName":"a"}]', id="a list"),
        pytest.param(b"", id="nothing"),
    ],
)
@pytest.mark.parametrize("surface", ["scim", "jit", "owner"])
def test_json_that_is_a_trap_is_refused_on_every_surface(caller, surface, text):
    path = {"scim": "/Users", "jit": "/login", "owner": "/members"}[surface]

    response = send(caller(surface), path, text)

    assert response.status_code in (400, 413, 422), response.text


def test_a_million_members_are_refused_before_they_are_read():
    text = json.dumps({f"k{number}": 0 for number in range(1_000_000)}).encode()

    with pytest.raises(PayloadTooLarge):
        json_text.load_object(text)


@pytest.mark.parametrize("part", [b"{},", b"[],", b'"",', b"1,", b"[[]],"])
def test_the_number_of_values_is_bounded_whatever_they_are(part):
    text = b'{"a":[' + part * json_text.MAX_VALUES + b"1]}"

    with pytest.raises(PayloadTooLarge):
        json_text.load_object(text)


def test_a_group_of_a_hundred_thousand_members_can_be_sent():
    member = {"value": "x", "display": "y", "type": "User", "$ref": "../Users/x"}
    text = json.dumps({"displayName": "all", "members": [member] * 100_000}).encode()

    assert len(json_text.load_object(text)["members"]) == 100_000


def test_the_name_that_is_there_twice_is_found_in_one_look_at_each():
    """A look at all names for each of them took hours."""
    names = [f'"k{number}":0' for number in range(200_000)]

    with pytest.raises(InvalidSyntax, match="k199999 twice"):
        json_text.load_object(("{" + ",".join([*names, names[-1]]) + "}").encode())


@pytest.mark.parametrize(
    ("surface", "path"), [("jit", "/login"), ("owner", "/seats/quotes"), ("scim", "/.search")]
)
def test_a_message_of_a_fixed_shape_is_small(caller, surface, path):
    many = json.dumps({"lines": [{}] * MAX_MESSAGE_VALUES, "attributes": [1]}).encode()
    long = json.dumps({"userName": "x" * MAX_MESSAGE_BYTES}).encode()

    for text in (many, long):
        assert send(caller(surface), path, text).status_code == 413


def test_what_a_client_makes_up_is_not_remembered():
    remembered = projection._remembered.cache_info().currsize

    for number in range(10):
        projection.of(USER, [f"made-up-{number}-{other}" for other in range(1000)], None)
        projection.of(USER, ["userName"], ["" for _ in range(5000 + number)])

    assert projection._remembered.cache_info().currsize == remembered


# -- filters: refused by their length, the number of their parts or their depth, before anything is built

BOMBS = {
    "brackets": "(" * 10_000 + "userName pr" + ")" * 10_000,
    "or": " or ".join(["userName pr"] * 10_000),
    "not": "not (" * 10_000 + "userName pr" + ")" * 10_000,
    "and of or": " and ".join(['(title eq "a" or title eq "b")'] * 64),
    "a text that never ends": 'userName eq "' + "x" * 100_000,
    "nothing but escapes": 'userName eq "' + "\\" * 4000,
    "a number that never ends": "userName eq " + "9" * 4000,
    "words": "userName " * 400,
    "dots": "a." * 2000 + "b pr",
    "colons": "urn:" * 1000 + "a pr",
    "value paths in value paths": "emails[" * 300,
    "NUL": "\x00" * 4000,
}
# Of the others, one is answered, one is a text without quotes, one does not get past the reading of JSON.
REFUSED = [name for name in BOMBS if name not in ("and of or", "a number that never ends", "NUL")]


class Work(Exception):
    """More was done than a bound allows."""


@pytest.fixture
def bounded_work(monkeypatch):
    """Count the calls of functions in Python; a bomb that goes off makes millions of them."""

    def measure(run) -> int:
        calls = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal calls
            calls += event == "call"
            if calls > 200_000:
                raise Work

        sys.setprofile(count)
        try:
            run()
        finally:
            sys.setprofile(None)
        return calls

    return measure


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("lenient", [True, False])
def test_a_filter_bomb_is_disarmed_by_bounded_work(bounded_work, bomb, lenient):
    text = BOMBS[bomb]

    def parse() -> None:
        for read in (
            lambda: filters.parse_filter(text, USER, lenient=lenient),
            lambda: filters.parse_path(f"emails[{text}].value", USER, lenient=lenient),
        ):
            try:
                read()
            except (InvalidFilter, InvalidPath):
                continue

    assert bounded_work(parse) < 20_000


@pytest.mark.parametrize("bomb", REFUSED)
def test_a_filter_bomb_is_an_invalid_filter_over_http(scim, user, bomb):
    text = BOMBS[bomb]

    found = scim.post("/Users/.search", {"filter": text})
    patched = scim.patch(f"/Users/{user['id']}", {"op": "remove", "path": f"emails[{text}]"})

    assert (found.status_code, found.get_json(force=True)["scimType"]) == (400, "invalidFilter")
    assert patched.status_code == 400
    assert patched.get_json(force=True)["scimType"] in ("invalidFilter", "invalidPath")


# -- resources


def test_no_request_makes_a_resource_larger_than_a_resource_can_be(scim):
    """A short operation that is carried out on a thousand values writes a thousand times as much."""
    emails = [{"value": f"{number}@example.com"} for number in range(1000)]
    user = scim.post("/Users", {"userName": "eve", "emails": emails}).get_json(force=True)
    operation = {"op": "replace", "path": "emails.display", "value": "y" * 60_000}

    response = scim.patch(f"/Users/{user['id']}", operation)

    assert (response.status_code, response.get_json(force=True)["scimType"]) == (400, "invalidValue")
    assert scim.get(f"/Users/{user['id']}").get_json(force=True) == user


# -- bulk


def operations(number: int) -> list[dict[str, Any]]:
    return [{"method": "DELETE", "path": f"/Users/{each}"} for each in range(number)]


@pytest.mark.parametrize("path", ["/Bulk", "/.search", "/Me", "/Schemas", "/../../admin/v1/seats", "//x", ""])
def test_a_bulk_reaches_nothing_but_resources(scim, path):
    job = {"Operations": [{"method": "POST", "path": path, "bulkId": "a", "data": {"Operations": []}}]}

    [result] = scim.post("/Bulk", job).get_json(force=True)["Operations"]

    assert result["status"] == ("404" if path else "400")


def test_a_bulk_job_ends_at_the_errors_it_allows(scim):
    job = {"failOnErrors": 2, "Operations": operations(1000)}

    assert len(scim.post("/Bulk", job).get_json(force=True)["Operations"]) == 2


def test_a_chain_of_references_is_followed_in_bounded_work(scim):
    """Each group has the one behind it as a member, so that all wait for the last."""
    names = [f"g{number}" for number in range(60)]
    made = [
        {
            "method": "POST",
            "path": "/Groups",
            "bulkId": name,
            "data": {"displayName": name, "members": [{"value": f"bulkId:{other}", "type": "Group"}]},
        }
        for name, other in pairwise([*names, "end"])
    ]
    made.append({"method": "POST", "path": "/Groups", "bulkId": "end", "data": {"displayName": "end"}})

    results = scim.post("/Bulk", {"Operations": made}).get_json(force=True)["Operations"]

    assert {result["status"] for result in results} == {"201"}
