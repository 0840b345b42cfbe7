"""What a body may hold, value by value (RFC 7643 §2.3, §2.5)."""

from __future__ import annotations

import pytest

from scim_server.errors import InvalidRequest, InvalidSyntax, InvalidValue
from scim_server.scim import validation
from scim_server.scim.dialects import INTEROP, STRICT
from scim_server.scim.schemas import GROUP, GROUP_URN, USER, USER_URN


def read(settings, **attributes):
    """Return the document of a new user."""
    body = {"schemas": [USER_URN], "userName": "ada", **attributes}
    return validation.for_creation(USER, body, settings, lambda _deviation: None)


@pytest.mark.parametrize("text", ["", "TQ", "TQ==", "TUk", "TUk=", "TUlJ"])
def test_base64_may_go_without_its_padding(text):
    """RFC 7643 §2.3.6."""
    assert read(STRICT, x509Certificates=[{"value": text}])["x509Certificates"] == [{"value": text}]


def test_the_lines_of_base64_are_joined():
    assert read(INTEROP, x509Certificates=[{"value": "TU\nlJ "}])["x509Certificates"] == [{"value": "TUlJ"}]


@pytest.mark.parametrize("text", ["T", "TQ=", "TUlJT", "TQ===", "T=Q=", "=", "_-8=", "TÜlJ", "TU\nlJ"])
def test_what_is_no_base64_is_refused(text):
    with pytest.raises(InvalidValue, match="Base64"):
        read(STRICT, x509Certificates=[{"value": text}])


@pytest.mark.parametrize(
    "text", ["https://example.com/a?b=c#d", "../Users/1", "urn:x:y", "data:image/png;base64,TUk=", "a%20b"]
)
def test_a_reference_is_an_absolute_or_relative_uri(text):
    """RFC 7643 §2.3.7."""
    assert read(STRICT, profileUrl=text)["profileUrl"] == text


@pytest.mark.parametrize("text", ["my page", "<a>", "100%", "a\\b", "http://bücher.example"])
def test_a_reference_that_is_no_uri_is_taken_from_a_lenient_client_only(text):
    with pytest.raises(InvalidValue, match="URI"):
        read(STRICT, profileUrl=text)
    assert read(INTEROP, profileUrl=text)["profileUrl"] == text


@pytest.mark.parametrize("settings", [STRICT, INTEROP])
@pytest.mark.parametrize("blank", ["", "  ", "\u3000", None])
def test_a_required_text_is_not_blank(settings, blank):
    with pytest.raises(InvalidValue, match="required"):
        read(settings, userName=blank)
    with pytest.raises(InvalidValue, match="required"):
        validation.for_creation(
            GROUP, {"schemas": [GROUP_URN], "displayName": blank}, settings, lambda _deviation: None
        )


def test_an_unknown_attribute_of_a_whole_resource_is_a_wrong_message_for_a_strict_client():
    for attributes in ({"nosuch": 1}, {"name": {"nosuch": 1}}, {"urn:example:none": {}}):
        with pytest.raises(InvalidSyntax):
            read(STRICT, **attributes)
        assert read(INTEROP, **attributes) == read(INTEROP)


@pytest.mark.parametrize(
    "attributes",
    [
        {"nickName": None, "emails": [], "name": None, "roles": None},
        {"name": {}, "emails": [{}], "addresses": [None]},
        {"name": {"givenName": None}, "roles": [{"value": None}]},
    ],
)
def test_null_an_empty_list_and_absence_are_the_same(attributes):
    """RFC 7643 §2.5."""
    assert read(STRICT, **attributes) == read(STRICT)


def test_what_is_read_only_is_ignored():
    """RFC 7644 §3.3."""
    attributes = {"id": "x", "meta": {"version": "y"}, "groups": [{"value": "g"}]}

    assert read(STRICT, **attributes) == read(STRICT)


@pytest.mark.parametrize(
    "attributes",
    [
        {"active": "true"},
        {"active": 1},
        {"title": 5},
        {"title": ["x"]},
        {"title": {"value": "x"}},
        {"name": "Ada"},
        {"emails": "ada@example.com"},
        {"emails": {"value": "ada@example.com"}},
        {"emails": ["ada@example.com"]},
        {"emails": [{"value": 5}]},
        {"emails": [{"value": "a", "primary": "yes"}]},
        {"emails": [{"value": "a", "primary": True}, {"value": "b", "primary": True}]},
    ],
)
def test_a_value_of_another_type_is_refused(attributes):
    with pytest.raises(InvalidRequest):
        read(STRICT, **attributes)
