"""Resources against filters, and every filter vector of RFC 7644 §3.4.2.2."""

import json
from pathlib import Path

import pytest

from scim_server.errors import InvalidFilter
from scim_server.scim.attributes import Attribute, ResourceType, Schema, Type
from scim_server.scim.filters import Nothing, parse_filter, parse_path
from scim_server.scim.matching import matches, matches_element
from scim_server.scim.schemas import ENTERPRISE_URN, GROUP, RESOURCE_TYPES, SEAT_URN, USER, USER_URN

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "filters.json"
TYPES = {resource_type.name: resource_type for resource_type in RESOURCE_TYPES}

CUSTOM_URN = "urn:example:custom:2.0:User"
CUSTOM = Schema(
    CUSTOM_URN,
    "Custom",
    "",
    (
        Attribute("level", Type.INTEGER),
        Attribute("rate", Type.DECIMAL),
        Attribute("tags", multi_valued=True),
        Attribute("flags", Type.BOOLEAN, multi_valued=True),
    ),
)
EXTENDED = ResourceType(
    "User", "/Users", "", USER.schema, extensions=(*USER.extensions, CUSTOM), common=USER.common
)

ADA = {
    "schemas": [USER_URN, ENTERPRISE_URN, CUSTOM_URN],
    "id": "2819c223-7f76-453a-919d-413861904646",
    "externalId": "Ada-1",
    "meta": {
        "resourceType": "User",
        "created": "2026-01-31T12:00:00Z",
        "lastModified": "2026-02-01T00:00:00.5Z",
        "location": "https://example.com/scim/v2/Users/2819c223-7f76-453a-919d-413861904646",
        "version": 'W/"3"',
    },
    "userName": "Ada@Example.com",
    "name": {"givenName": "Ada", "familyName": "Straße"},
    "title": "",
    "active": False,
    "emails": [
        {"value": "ada@example.com", "type": "work", "primary": True},
        {"value": "ada@home.org", "type": "home", "display": "Home"},
    ],
    "roles": [],
    "groups": [{"value": "g1", "display": "Readers", "type": "direct"}],
    ENTERPRISE_URN: {"department": "R&D", "manager": {"value": "m1"}},
    SEAT_URN: {"tier": "standard", "status": "held_waiting", "canUse": True},
    CUSTOM_URN: {"level": 7, "rate": 1.5, "tags": ["red", "Green"], "flags": [True, False]},
}


def holds(text, resource=ADA, *, lenient=False):
    return matches(parse_filter(text, EXTENDED, lenient=lenient), resource)


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "ada@example.COM"',
        'userName sw "ADA"',
        'userName co "@EXAMPLE"',
        'userName ew ".Com"',
        'name.familyName eq "STRASSE"',
        'externalId eq "Ada-1"',
        'externalId ne "ada-1"',
        'id sw "2819c223"',
        "id pr",
        "active eq false",
        "active pr",
        "active ne true",
        'meta.resourceType eq "User"',
        'meta.created eq "2026-01-31T13:00:00+01:00"',
        'meta.lastModified gt "2026-02-01T00:00:00Z"',
        'meta.lastModified lt "2026-02-01T00:00:00.500001Z"',
        'meta.version eq "W/\\"3\\""',
        'meta.location ew "/Users/2819c223-7f76-453a-919d-413861904646"',
        "meta pr",
        "schemas pr",
        f'schemas eq "{ENTERPRISE_URN}"',
        "emails pr",
        'emails eq "ADA@home.org"',
        'emails.type eq "home"',
        'emails[type eq "work" and value ew "example.com"]',
        'emails[type eq "home" and not (primary eq true)]',
        'emails[primary ne true].display eq "home"',
        'groups.value eq "g1"',
        "name pr",
        f"{ENTERPRISE_URN} pr",
        f"{ENTERPRISE_URN}:manager pr",
        f'{ENTERPRISE_URN}:manager eq "m1"',
        f'{ENTERPRISE_URN}:department eq "r&d"',
        f'{SEAT_URN}:tier eq "STANDARD"',
        f"{SEAT_URN}:canUse eq true",
        f"{CUSTOM_URN}:level gt 6.5",
        f"{CUSTOM_URN}:level eq 7.0",
        f"{CUSTOM_URN}:rate le 15e-1",
        f'{CUSTOM_URN}:tags eq "green"',
        f'{CUSTOM_URN}:tags[value sw "R"]',
        f"{CUSTOM_URN}:flags eq false",
    ],
)
def test_a_resource_matches(text):
    assert holds(text)
    assert not holds(f"not ({text})")


@pytest.mark.parametrize(
    "text",
    [
        'externalId eq "ada-1"',
        'meta.resourceType eq "user"',
        "roles pr",
        "nickName pr",
        'nickName co ""',
        'nickName lt "z"',
        'name.givenName gt "b"',
        'emails[type eq "work" and value ew "home.org"]',
        'emails[type eq "home" and primary eq true]',
        'roles[value eq "x"]',
        f"{SEAT_URN}:waitingSince pr",
        f"{CUSTOM_URN}:level gt 7",
        f"{CUSTOM_URN}:level eq 1e400",
    ],
)
def test_a_resource_does_not_match(text):
    assert not holds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('nickName ne "x"', True, id="no value is different from any"),
        pytest.param('roles ne "x"', True, id="and so is no element"),
        pytest.param('name.middleName ne "x"', True, id="or a missing sub-attribute"),
        pytest.param('userName ne "ADA@example.com"', False, id="the same text in another case is not"),
        pytest.param('emails ne "ada@home.org"', True, id="one different element is enough"),
        pytest.param('emails.display ne "home"', True, id="one element without the value is enough"),
        pytest.param('groups ne "g1"', False, id="a single element that is equal is not"),
        pytest.param(
            'emails[value ne "ada@example.com" and type eq "work"]', False, id="of the same element"
        ),
        pytest.param(f'{CUSTOM_URN}:tags ne "red"', True, id="one different simple value is enough"),
    ],
)
def test_ne_is_true_where_some_value_is_different_or_none_is_there(text, expected):
    assert holds(text) is expected


def test_null_asks_whether_there_is_a_value():
    assert holds("nickName eq null")
    assert holds("name ne null")
    assert holds("roles eq null")
    assert not holds("emails eq null")


def test_an_empty_text_is_a_value_and_not_present():
    """RFC 7644 §3.4.2.2, table 3: ``pr`` asks for a non-empty value."""
    assert holds('title eq ""')
    assert not holds("title pr")
    assert holds("emails pr", {"emails": [{"value": ""}]})
    assert not holds("emails.value pr", {"emails": [{"value": ""}]})
    assert not holds("emails[value pr]", {"emails": [{"value": ""}]})


def test_an_empty_extension_is_not_present():
    assert not holds(f"{ENTERPRISE_URN} pr", {**ADA, ENTERPRISE_URN: {}})
    assert not holds(f"{ENTERPRISE_URN}:manager pr", {**ADA, ENTERPRISE_URN: {"manager": {}}})
    assert not holds(f"{ENTERPRISE_URN} pr", {"id": "1"})


def test_a_value_of_another_type_is_no_match_and_no_error():
    odd = {"userName": 5, "emails": "ada@example.com", "meta": {"created": "yesterday"}, "name": ["x"]}

    for text in (
        'userName co "5"',
        'userName gt "5"',
        'emails.value eq "ada@example.com"',
        'meta.created gt "2020-01-01T00:00:00Z"',
        'name.givenName eq "x"',
    ):
        assert not holds(text, odd)


def test_nothing_matches_nothing():
    assert not matches(Nothing(), ADA)


def test_a_filter_as_deep_as_is_allowed_is_evaluated():
    assert holds("not (" * 32 + "id pr" + ")" * 32)


@pytest.mark.parametrize(
    ("path", "element", "expected"),
    [
        ('emails[type eq "WORK"]', {"type": "work"}, True),
        ('emails[type eq "work"]', {"value": "x"}, False),
        ('emails[type ne "work"]', {"value": "x"}, True),
        ("emails[not (type pr)].value", {"value": "x"}, True),
        ("emails[primary eq true]", {"primary": False}, False),
        ('emails[type eq "work" and (value co "a" or display pr)]', {"type": "work", "display": "D"}, True),
        (f'{CUSTOM_URN}:tags[value eq "RED"]', "red", True),
        (f'{CUSTOM_URN}:tags[value eq "red"]', "green", False),
        ('x509Certificates[value eq "mii"]', {"value": "MII"}, False),
        ('emails[type eq "work"]', "work", False),
    ],
)
def test_an_element_is_selected_by_a_value_filter(path, element, expected):
    selected = parse_path(path, EXTENDED, lenient=False).filter

    assert matches_element(selected, element) is expected


def test_a_member_is_selected_by_the_exact_id():
    selected = parse_path('members[value eq "Ab"]', GROUP, lenient=False).filter

    assert matches_element(selected, {"value": "Ab", "type": "User"})
    assert not matches_element(selected, {"value": "ab"})


def vectors():
    return json.loads(VECTORS.read_text()) if VECTORS.exists() else []


def stored(vector):
    """A stored resource also has what the service gives it."""
    meta = {"resourceType": vector["resourceType"], "created": "2026-01-01T00:00:00Z"}
    resource = vector["resource"]
    return {"id": "1", **resource, "meta": {**meta, **resource.get("meta", {})}}


@pytest.mark.skipif(not VECTORS.exists(), reason="the filter vectors are not beside the project")
def test_there_are_vectors():
    assert len(vectors()) > 100


@pytest.mark.parametrize("vector", [pytest.param(v, id=v["id"]) for v in vectors()])
def test_a_filter_means_what_the_rfc_says(vector):
    resource_type, expected = TYPES[vector["resourceType"]], vector["expect"]

    if "error" in expected:
        with pytest.raises(InvalidFilter) as refused:
            parse_filter(vector["filter"], resource_type, lenient=False)
        assert refused.value.scim_type in expected["error"]["scimType"]
    else:
        expression = parse_filter(vector["filter"], resource_type, lenient=False)
        assert matches(expression, stored(vector)) is expected["match"]


@pytest.mark.parametrize("vector", [pytest.param(v, id=v["id"]) for v in vectors() if "match" in v["expect"]])
def test_lenience_changes_nothing_about_a_filter_that_is_right(vector):
    resource_type = TYPES[vector["resourceType"]]

    assert parse_filter(vector["filter"], resource_type, lenient=True) == parse_filter(
        vector["filter"], resource_type, lenient=False
    )
