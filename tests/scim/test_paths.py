"""Attribute notation (RFC 7644 §3.10)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_server.errors import InvalidPath
from scim_server.scim.attributes import Attribute, ResourceType, Schema
from scim_server.scim.paths import AttributePath, resolve
from scim_server.scim.schemas import (
    ENTERPRISE_URN,
    GROUP,
    GROUP_URN,
    RESOURCE_TYPES,
    SEAT_URN,
    USER,
    USER_URN,
)

CUSTOM_URN = f"{USER_URN}:building"
CUSTOM = Schema(CUSTOM_URN, "Building", "", (Attribute("floor"), Attribute("department")))
EXTENDED = ResourceType(
    "User", "/Users", "", USER.schema, extensions=(*USER.extensions, CUSTOM), common=USER.common
)


@pytest.mark.parametrize(
    ("text", "key", "spelling"),
    [
        pytest.param("userName", "username", "userName", id="an attribute"),
        pytest.param("USERNAME", "username", "userName", id="in any case"),
        pytest.param(" userName ", "username", "userName", id="with spaces around it"),
        pytest.param("name.givenName", "name.givenname", "name.givenName", id="a sub-attribute"),
        pytest.param("Emails.VALUE", "emails.value", "emails.value", id="of a multi-valued attribute"),
        pytest.param("groups.$ref", "groups.$ref", "groups.$ref", id="$ref"),
        pytest.param("meta.lastModified", "meta.lastmodified", "meta.lastModified", id="a common attribute"),
        pytest.param("schemas", "schemas", "schemas", id="schemas"),
        pytest.param(f"{USER_URN}:userName", "username", "userName", id="behind the URN of the base schema"),
        pytest.param(f"{USER_URN}:name.familyName", "name.familyname", "name.familyName", id="and a dot"),
        pytest.param(
            f"{ENTERPRISE_URN}:department",
            f"{ENTERPRISE_URN.lower()}:department",
            f"{ENTERPRISE_URN}:department",
            id="of an extension, with dots in its URN",
        ),
        pytest.param(
            f"{ENTERPRISE_URN.upper()}:MANAGER.VALUE",
            f"{ENTERPRISE_URN.lower()}:manager.value",
            f"{ENTERPRISE_URN}:manager.value",
            id="of an extension, in upper case",
        ),
        pytest.param(ENTERPRISE_URN, ENTERPRISE_URN.lower(), ENTERPRISE_URN, id="a whole extension"),
        pytest.param(
            f"{SEAT_URN}:tier", f"{SEAT_URN.lower()}:tier", f"{SEAT_URN}:tier", id="the seat's tier"
        ),
    ],
)
def test_a_path_names_an_attribute(text, key, spelling):
    path = resolve(USER, text)

    assert (path.key, str(path)) == (key, spelling)


def test_a_path_knows_its_target():
    assert resolve(USER, "name.givenName").target.name == "givenName"
    assert resolve(USER, "name").target.name == "name"


def test_a_whole_extension_has_no_attribute():
    path = resolve(USER, ENTERPRISE_URN)

    assert path.attribute is None
    assert path.extension is USER.extensions[0]


def test_paths_to_the_same_attribute_are_equal():
    assert resolve(USER, "userName") == resolve(USER, f"{USER_URN}:USERNAME")
    assert len({resolve(USER, "userName"), resolve(USER, "username"), resolve(USER, "title")}) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "name.",
        ".givenName",
        "name..givenName",
        "name.givenName.first",
        "name.nick",
        "userName.value",
        "colour",
        "1abc",
        "/nickName",
        "emails[0]",
        "$ref",
        "members",
        "department",
        "urn:example:unknown:1.0:User:colour",
        f"{ENTERPRISE_URN}:",
        f"{ENTERPRISE_URN}:colour",
        f"{ENTERPRISE_URN}.department",
        f"{ENTERPRISE_URN}x:department",
        f"{ENTERPRISE_URN}:userName",
        USER_URN,
        f"{USER_URN}:",
        f"{USER_URN}:department",
        f"{GROUP_URN}:displayName",
        ":userName",
        "userName\x00",
        "\ud800",
    ],
)
def test_what_is_not_defined_is_an_invalid_path(text):
    with pytest.raises(InvalidPath) as refused:
        resolve(USER, text)
    refused.value.detail.encode()


def test_the_refusal_names_the_path_and_the_resource_type():
    with pytest.raises(
        InvalidPath, match=r"name\.nick is no attribute of User: name has no sub-attribute 'nick'"
    ):
        resolve(USER, "name.nick")


def test_the_refusal_of_a_long_path_is_short():
    with pytest.raises(InvalidPath) as refused:
        resolve(USER, "x" * 100_000)
    assert len(refused.value.detail) < 200


def test_an_extensions_attribute_goes_without_its_urn_on_request_only():
    path = resolve(USER, "Department", bare_extensions=True)

    assert str(path) == f"{ENTERPRISE_URN}:department"
    assert str(resolve(USER, "manager.value", bare_extensions=True)) == f"{ENTERPRISE_URN}:manager.value"
    with pytest.raises(InvalidPath):
        resolve(USER, "department")


def test_an_attribute_of_two_extensions_does_not_go_without_a_urn():
    assert str(resolve(EXTENDED, "floor", bare_extensions=True)) == f"{CUSTOM_URN}:floor"
    with pytest.raises(InvalidPath):
        resolve(EXTENDED, "department", bare_extensions=True)


def test_a_base_attribute_comes_before_one_of_an_extension():
    assert resolve(USER, "displayName", bare_extensions=True).extension is None


def test_of_two_urns_that_fit_the_longer_counts():
    assert resolve(EXTENDED, f"{CUSTOM_URN}:floor") == AttributePath(CUSTOM, CUSTOM.attributes[0])
    assert resolve(EXTENDED, CUSTOM_URN) == AttributePath(CUSTOM, None)
    assert resolve(EXTENDED, f"{USER_URN}:title").key == "title"


@pytest.mark.parametrize("resource_type", [*RESOURCE_TYPES, EXTENDED], ids=["User", "Group", "extended"])
def test_every_attribute_is_found_by_the_text_and_by_the_key_of_its_path(resource_type):
    for extension, attribute, sub in resource_type.walk():
        path = AttributePath(extension, attribute, sub)
        assert resolve(resource_type, str(path)) == path
        assert resolve(resource_type, path.key) == path


@given(st.text() | st.text("aeimnoNvlu.:$[]() "), st.booleans())
def test_any_text_is_a_path_or_an_invalid_path(text, bare):
    try:
        path = resolve(GROUP, text, bare_extensions=bare)
    except InvalidPath as error:
        error.detail.encode()
    else:
        assert resolve(GROUP, str(path)) == path
