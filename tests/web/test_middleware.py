"""The front door: what is true of every request before Flask looks at it."""

from __future__ import annotations

import io
from typing import Any

import pytest

from scim_server.errors import InvalidSyntax, PayloadTooLarge
from scim_server.web.middleware import (
    BoundedInput,
    Bounds,
    HeadersTooLarge,
    UriTooLong,
    leave_out_process_environment,
    normal_path,
    refusal_of,
    request_id_of,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/scim/v2/Users", "/scim/v2/Users", id="as it should be"),
        pytest.param("/scim/v2/Users/", "/scim/v2/Users", id="trailing slash"),
        pytest.param("//scim//v2///Users", "/scim/v2/Users", id="doubled slashes"),
        pytest.param("/", "/", id="the root stays"),
        pytest.param("//", "/", id="nothing but slashes"),
    ],
)
def test_a_path_has_one_form(path, expected):
    assert normal_path(path) == expected


def test_what_the_process_has_in_its_environment_is_no_header():
    inherited = {"HTTP_X_ADMIN": "yes", "SECRET": "s3cret", "HTTP_ACCEPT": "text/html"}
    environ = {**inherited, "PATH_INFO": "/", "HTTP_ACCEPT": "application/json"}

    leave_out_process_environment(environ, inherited)

    assert environ == {
        "PATH_INFO": "/",
        "HTTP_ACCEPT": "application/json",
    }


@pytest.mark.parametrize("asked", ["", "a b", "x" * 129, "a\r\nb", "<script>"])
def test_a_request_id_that_is_no_harmless_text_is_replaced(asked):
    assert request_id_of({"HTTP_X_REQUEST_ID": asked}) != asked


def test_a_sane_request_id_is_kept():
    assert request_id_of({"HTTP_X_REQUEST_ID": "req-1"}) == "req-1"


def request(**environ: Any) -> dict[str, Any]:
    return {"PATH_INFO": "/scim/v2/Users", "QUERY_STRING": "", **environ}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({"QUERY_STRING": "x" * 1001}, UriTooLong, id="long address"),
        pytest.param({"HTTP_X": "x" * 1001}, HeadersTooLarge, id="large header"),
        pytest.param({"PATH_INFO": "/scim/v2/Users/\0"}, InvalidSyntax, id="NUL in the path"),
        pytest.param({"QUERY_STRING": "filter=%00"}, InvalidSyntax, id="NUL in the query"),
        pytest.param({"CONTENT_LENGTH": "11"}, PayloadTooLarge, id="announced body too large"),
        pytest.param({"CONTENT_LENGTH": "9" * 5000}, PayloadTooLarge, id="absurd length"),
        pytest.param({"CONTENT_LENGTH": "-1"}, InvalidSyntax, id="negative length"),
        pytest.param(
            {"CONTENT_LENGTH": "1", "HTTP_TRANSFER_ENCODING": "chunked"}, InvalidSyntax, id="two lengths"
        ),
        pytest.param({"CONTENT_LENGTH": "10"}, type(None), id="exactly at the limit"),
        pytest.param({"CONTENT_LENGTH": ""}, type(None), id="no body"),
    ],
)
def test_what_goes_beyond_the_bounds_is_refused(environ, expected):
    refusal = refusal_of(request(**environ), Bounds(body=10, url=1000, headers=1000))

    assert isinstance(refusal, expected)


class Trickle(io.BytesIO):
    """A stream that hands out one byte at a time, as a slow client's does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(1 if size else 0)


@pytest.mark.parametrize("stream", [io.BytesIO, Trickle])
def test_a_body_at_the_limit_is_read_and_one_beyond_it_refused(stream):
    assert BoundedInput(stream(b"x" * 10), 10).read() == b"x" * 10

    with pytest.raises(PayloadTooLarge, match="10 bytes"):
        BoundedInput(stream(b"x" * 11), 10).read()


def test_the_limit_holds_over_several_reads():
    body = BoundedInput(io.BytesIO(b"abcdef\nghi"), 8)
    assert body.read(4) == b"abcd"

    with pytest.raises(PayloadTooLarge):
        list(body)
