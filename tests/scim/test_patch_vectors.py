"""PATCH as RFC 7644 §3.5.2 reads: one operation after another on a known user, and what is different then."""

from __future__ import annotations

from typing import Any

import pytest

from scim_server import errors
from scim_server.scim import patch, validation
from scim_server.scim.dialects import STRICT
from scim_server.scim.schemas import ENTERPRISE_URN, SEAT_URN, USER, USER_URN

WORK = {"value": "bob@example.com", "type": "work", "primary": True, "display": "Work"}
HOME = {"value": "bob@example.org", "type": "home"}
OFFICE = {"type": "work", "locality": "Rome", "country": "IT", "primary": True}
FLAT = {"type": "home", "locality": "Bonn", "country": "DE"}
NAME = {"givenName": "Bob", "familyName": "Stone"}
JOB = {"department": "Tours", "manager": {"value": "m1", "$ref": "../Users/m1"}}
BOB = {
    "schemas": [USER_URN, ENTERPRISE_URN],
    "userName": "bob",
    "nickName": "Bobby",
    "active": True,
    "name": NAME,
    "emails": [WORK, HOME],
    "addresses": [OFFICE, FLAT],
    ENTERPRISE_URN: JOB,
}
NOT_PRIMARY = {"primary": False}


def op(name: str, path: str | None = None, *value: Any) -> dict[str, Any]:
    operation: dict[str, Any] = {"op": name}
    if path is not None:
        operation["path"] = path
    if value:
        operation["value"] = value[0]
    return operation


def add(path: str | None, value: Any) -> dict[str, Any]:
    return op("add", path, value)


def replace(path: str | None, value: Any) -> dict[str, Any]:
    return op("replace", path, value)


def remove(path: str) -> dict[str, Any]:
    return op("remove", path)


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    """Return what the operations make of Bob, for a client that is held to the RFC."""

    def ignore(_deviation: str) -> None:
        pass

    document = validation.for_creation(USER, BOB, STRICT, ignore)
    body = {"schemas": [patch.PATCH_OP], "Operations": list(operations)}
    return patch.apply(USER, document, body, STRICT, ignore).document


CHANGES: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    # one value: it is there afterwards, whatever was there before
    ([add("nickName", "Rob")], {"nickName": "Rob"}),
    ([replace("nickName", "Rob")], {"nickName": "Rob"}),
    ([replace("NICKNAME", "Rob")], {"nickName": "Rob"}),
    ([replace(f"{USER_URN}:nickName", "Rob")], {"nickName": "Rob"}),
    ([replace("title", "Chief")], {"title": "Chief"}),
    ([remove("nickName")], {"nickName": None}),
    ([replace("nickName", None)], {"nickName": None}),
    ([replace("active", False)], {"active": False}),
    ([remove("title")], {}),
    ([add("nickName", "Bobby")], {}),
    # no path: each attribute of the value
    ([add(None, {"title": "Chief", "NICKNAME": "Rob"})], {"title": "Chief", "nickName": "Rob"}),
    ([replace(None, {"title": "Chief", "nickName": None})], {"title": "Chief", "nickName": None}),
    ([replace(None, {"emails": []})], {"emails": None}),
    ([replace(None, {"name": {"givenName": "Rob"}})], {"name": {**NAME, "givenName": "Rob"}}),
    ([add(None, {})], {}),
    # a complex value: what is not named stays
    ([add("name", {"middleName": "A"})], {"name": {**NAME, "middleName": "A"}}),
    ([replace("name", {"givenName": "Rob"})], {"name": {**NAME, "givenName": "Rob"}}),
    ([replace("name", {"givenName": None})], {"name": {"familyName": "Stone"}}),
    ([replace("name.givenName", "Rob")], {"name": {**NAME, "givenName": "Rob"}}),
    ([remove("name.givenName")], {"name": {"familyName": "Stone"}}),
    ([remove("name.givenName"), remove("name.familyName")], {"name": None}),
    ([remove("name")], {"name": None}),
    ([remove("name"), add("name.givenName", "Rob")], {"name": {"givenName": "Rob"}}),
    ([replace("name", {})], {}),
    # many values, all of them
    ([add("emails", [{"value": "c@d.e"}])], {"emails": [WORK, HOME, {"value": "c@d.e"}]}),
    ([add("emails", {"value": "c@d.e"})], {"emails": [WORK, HOME, {"value": "c@d.e"}]}),
    ([add("emails", [HOME, {"value": "c@d.e"}])], {"emails": [WORK, HOME, {"value": "c@d.e"}]}),
    ([add("emails", [{**HOME, "type": "other"}])], {"emails": [WORK, HOME, {**HOME, "type": "other"}]}),
    ([add("emails", [HOME])], {}),
    ([add("emails", [])], {}),
    ([replace("emails", [{"value": "c@d.e"}])], {"emails": [{"value": "c@d.e"}]}),
    ([replace("emails", [WORK, HOME])], {}),
    ([replace("emails", [])], {"emails": None}),
    ([remove("emails")], {"emails": None}),
    ([remove("roles")], {}),
    ([replace("emails.display", "D")], {"emails": [{**WORK, "display": "D"}, {**HOME, "display": "D"}]}),
    # many values, those that a filter selects
    ([remove('emails[type eq "home"]')], {"emails": [WORK]}),
    ([remove('emails[TYPE Eq "HOME"]')], {"emails": [WORK]}),
    ([remove('emails[type eq "work" or type eq "home"]')], {"emails": None}),
    ([remove('emails[not (type eq "home")]')], {"emails": [HOME]}),
    ([remove('emails[value ew ".com" and primary eq true]')], {"emails": [HOME]}),
    ([remove("emails[display pr].display")], {"emails": [{**WORK, "display": None}, HOME]}),
    ([remove('emails[type eq "home"].value')], {"emails": [WORK, {"type": "home"}]}),
    ([replace('emails[type eq "home"].value', "c@d.e")], {"emails": [WORK, {**HOME, "value": "c@d.e"}]}),
    ([replace('emails[type eq "home"]', {"value": "c@d.e"})], {"emails": [WORK, {"value": "c@d.e"}]}),
    ([replace('emails[type eq "home"]', None)], {"emails": [WORK]}),
    ([add('emails[type eq "home"]', {"display": "D"})], {"emails": [WORK, {**HOME, "display": "D"}]}),
    ([add('emails[type eq "home"].display', "D")], {"emails": [WORK, {**HOME, "display": "D"}]}),
    (
        [replace('addresses[type eq "work" and (country eq "it" or country eq "fr")].locality', "Pisa")],
        {"addresses": [{**OFFICE, "locality": "Pisa"}, FLAT]},
    ),
    (
        [replace(f'{USER_URN}:addresses[country eq "DE"].locality', "Kiel")],
        {"addresses": [OFFICE, {**FLAT, "locality": "Kiel"}]},
    ),
    (
        [replace("emails[value pr].display", "D")],
        {"emails": [{**WORK, "display": "D"}, {**HOME, "display": "D"}]},
    ),
    # one primary value at most: the one that was named last
    (
        [replace('emails[type eq "home"].primary', True)],
        {"emails": [WORK | NOT_PRIMARY, {**HOME, "primary": True}]},
    ),
    (
        [add("emails", [{"value": "c@d.e", "primary": True}])],
        {"emails": [WORK | NOT_PRIMARY, HOME, {"value": "c@d.e", "primary": True}]},
    ),
    (
        [add("emails", [{**HOME, "primary": True}])],
        {"emails": [WORK | NOT_PRIMARY, {**HOME, "primary": True}]},
    ),
    (
        [replace('addresses[type eq "home"]', {"country": "FR", "primary": True})],
        {"addresses": [OFFICE | NOT_PRIMARY, {"country": "FR", "primary": True}]},
    ),
    (
        [add("addresses", [{**FLAT, "primary": True}])],
        {"addresses": [OFFICE | NOT_PRIMARY, {**FLAT, "primary": True}]},
    ),
    ([replace('emails[type eq "work"].primary', False)], {"emails": [WORK | NOT_PRIMARY, HOME]}),
    ([replace("emails[primary eq true].primary", True)], {}),
    # extensions
    ([replace(f"{ENTERPRISE_URN}:department", "Ops")], {ENTERPRISE_URN: {**JOB, "department": "Ops"}}),
    (
        [replace(f"{ENTERPRISE_URN.upper()}:DEPARTMENT", "Ops")],
        {ENTERPRISE_URN: {**JOB, "department": "Ops"}},
    ),
    ([add(None, {ENTERPRISE_URN: {"division": "D"}})], {ENTERPRISE_URN: {**JOB, "division": "D"}}),
    ([add(None, {f"{ENTERPRISE_URN}:division": "D"})], {ENTERPRISE_URN: {**JOB, "division": "D"}}),
    ([add(ENTERPRISE_URN, {"division": "D"})], {ENTERPRISE_URN: {**JOB, "division": "D"}}),
    (
        [replace(f"{ENTERPRISE_URN}:manager.value", "m2")],
        {ENTERPRISE_URN: {**JOB, "manager": {"value": "m2", "$ref": "../Users/m1"}}},
    ),
    ([remove(f"{ENTERPRISE_URN}:manager")], {ENTERPRISE_URN: {"department": "Tours"}}),
    (
        [remove(f"{ENTERPRISE_URN}:manager"), remove(f"{ENTERPRISE_URN}:department")],
        {ENTERPRISE_URN: None, "schemas": [USER_URN]},
    ),
    ([remove(ENTERPRISE_URN)], {ENTERPRISE_URN: None, "schemas": [USER_URN]}),
    # one after the other
    ([replace("nickName", "Rob"), replace("nickName", "Bobby")], {}),
    ([add("emails", [{"value": "c@d.e", "type": "x"}]), remove('emails[type eq "x"]')], {}),
    (
        [replace('emails[type eq "home"].type', "x"), replace('emails[type eq "x"].value', "c@d.e")],
        {"emails": [WORK, {"value": "c@d.e", "type": "x"}]},
    ),
]

REFUSALS: list[tuple[type[errors.InvalidRequest], list[dict[str, Any]]]] = [
    (errors.NoTarget, [op("remove")]),
    (errors.NoTarget, [replace('emails[type eq "other"]', {"value": "c@d.e"})]),
    (errors.NoTarget, [replace('emails[type eq "work" and value ew ".org"].value', "c@d.e")]),
    (errors.NoTarget, [replace('roles[value eq "x"].display', "X")]),
    (errors.NoTarget, [remove('emails[type eq "other"]')]),
    (errors.Mutability, [remove("userName")]),
    (errors.Mutability, [remove(f"{USER_URN}:USERNAME")]),
    (errors.Mutability, [remove("userName"), add("userName", "rob")]),
    (errors.Mutability, [replace("id", "x")]),
    (errors.Mutability, [add(None, {"id": "x"})]),
    (errors.Mutability, [remove("meta")]),
    (errors.Mutability, [replace("meta.created", "2001-01-01T00:00:00Z")]),
    (errors.Mutability, [add("groups", [{"value": "x"}])]),
    (errors.Mutability, [remove('groups[value eq "x"]')]),
    (errors.Mutability, [replace(f"{ENTERPRISE_URN}:manager.displayName", "X")]),
    (errors.InvalidPath, [replace("nosuch", "x")]),
    (errors.InvalidPath, [replace("name.nosuch", "x")]),
    (errors.InvalidPath, [replace('emails[type eq "work"].nosuch', "x")]),
    (errors.InvalidPath, [replace("urn:example:none:attribute", "x")]),
    (errors.InvalidPath, [replace("name..givenName", "x")]),
    (errors.InvalidPath, [replace("/emails/0/value", "x")]),
    (errors.InvalidPath, [replace("emails[0]", "x")]),
    (errors.InvalidPath, [replace('emails[type eq "work"', "x")]),
    (errors.InvalidPath, [replace('emails[type eq "work"]value', "x")]),
    (errors.InvalidPath, [replace("emails[type eq work]", "x")]),
    (errors.InvalidPath, [replace('nickName[value eq "x"]', "x")]),
    (errors.InvalidPath, [replace('nickName eq "x"', "x")]),
    (errors.InvalidPath, [replace("", "x")]),
    (errors.InvalidFilter, [replace('emails[nosuch eq "x"].value', "x")]),
    (errors.InvalidFilter, [replace("emails[primary gt true].value", "x")]),
    (errors.InvalidFilter, [replace("emails[type eq true].value", "x")]),
    (errors.InvalidValue, [op("add", "nickName")]),
    (errors.InvalidValue, [op("replace", "nickName")]),
    (errors.InvalidValue, [add(None, "x")]),
    (errors.InvalidValue, [replace(None, [{"nickName": "x"}])]),
    (errors.InvalidValue, [replace("nickName", 42)]),
    (errors.InvalidValue, [replace("nickName", ["x"])]),
    (errors.InvalidValue, [replace("active", "true")]),
    (errors.InvalidValue, [replace("name", "x")]),
    (errors.InvalidValue, [replace("name.givenName", {"value": "x"})]),
    (errors.InvalidValue, [add("emails", ["c@d.e"])]),
    (errors.InvalidValue, [replace('emails[type eq "work"].primary', "yes")]),
    (
        errors.InvalidValue,
        [replace("emails", [{"value": "a", "primary": True}, {"value": "b", "primary": True}])],
    ),
    (errors.InvalidValue, [add("x509Certificates", [{"value": "!"}])]),
    (errors.InvalidValue, [replace(ENTERPRISE_URN, "x")]),
    (errors.InvalidSyntax, [op("move", "nickName", "x")]),
    (errors.InvalidSyntax, [op("", "nickName", "x")]),
]


@pytest.mark.parametrize(("operations", "changes"), CHANGES)
def test_the_operations_change_this_and_nothing_else(operations, changes):
    expected = {name: value for name, value in {**BOB, **changes}.items() if value is not None}
    if "emails" in expected:
        expected["emails"] = [
            {name: value for name, value in email.items() if value is not None}
            for email in expected["emails"]
        ]

    after = patched(*operations)

    assert after == {**expected, "schemas": [*expected["schemas"], SEAT_URN]}


@pytest.mark.parametrize(("error", "operations"), REFUSALS)
def test_the_operations_are_refused_with_this_error(error, operations):
    with pytest.raises(errors.InvalidRequest) as refused:
        patched(*operations)

    assert type(refused.value) is error
