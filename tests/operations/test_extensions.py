"""Attributes that an organization declares behave like the built-in ones."""

from __future__ import annotations

import pytest

from scim_server.errors import InvalidValue
from scim_server.operations import access, extensions

URN = "urn:example:params:scim:schemas:extension:desk:2.0:User"
DESK = {
    "id": URN,
    "name": "Desk",
    "attributes": [
        {"name": "floor", "type": "integer"},
        {"name": "badge", "type": "string", "caseExact": True, "mutability": "immutable"},
        {"name": "since", "type": "dateTime"},
        {"name": "remote", "type": "boolean"},
        {"name": "weight", "type": "decimal"},
        {"name": "tags", "type": "string", "multiValued": True},
        {"name": "pin", "type": "string", "returned": "never", "mutability": "writeOnly"},
        {"name": "note", "type": "string", "returned": "request"},
        {
            "name": "keys",
            "type": "complex",
            "multiValued": True,
            "subAttributes": [{"name": "value", "type": "string"}, {"name": "level", "type": "integer"}],
        },
    ],
}
VALUES = {
    "floor": 3,
    "badge": "B-1",
    "since": "2026-01-01T10:00:00+01:00",
    "remote": True,
    "weight": 1.5,
    "tags": ["Red", "blue"],
    "pin": "1234",
    "note": "by the window",
    "keys": [{"value": "front", "level": 2}],
}


@pytest.fixture
def acme(world, database, clock):
    acme = world(premium=1, standard=1)
    call = access.system_call(acme.organization_id, actor="test", at=clock(), request_id="test")
    database.run(extensions.declare, call, "User", DESK)
    acme.declare = lambda document: database.run(extensions.declare, call, "User", document)
    return acme


def test_they_are_stored_and_shown_as_they_were_sent(acme):
    acme.push("ada", **{URN: VALUES})

    ada = acme.scim.get(f"/Users/{acme.ids['ada']}")

    assert ada[URN] == {name: value for name, value in VALUES.items() if name not in ("pin", "note")}
    assert URN in ada["schemas"]


def test_what_is_returned_on_request_is_shown_on_request_and_what_never_is_never(acme):
    acme.push("ada", **{URN: VALUES})

    asked = acme.scim.get(f"/Users/{acme.ids['ada']}?attributes={URN}:note,{URN}:pin")

    assert asked[URN] == {"note": "by the window"}


@pytest.mark.parametrize(
    "condition",
    [
        f"{URN}:floor gt 2",
        f"{URN}:floor lt 10",
        f'{URN}:badge eq "B-1"',
        f'not ({URN}:badge eq "b-1")',
        f'{URN}:since eq "2026-01-01T09:00:00Z"',
        f"{URN}:remote eq true",
        f"{URN}:weight ge 1.5",
        f'{URN}:tags eq "red"',
        f'{URN}:keys[value eq "front" and level ge 2]',
        f"{URN}:keys.level lt 3",
        f"{URN} pr",
        f'schemas eq "{URN}"',
    ],
)
def test_they_can_be_filtered(acme, condition):
    acme.push("ada", **{URN: VALUES})
    acme.push("ben")

    found = acme.scim.post("/Users/.search", {"filter": condition})["Resources"]

    assert acme.ids["ada"] in [user["id"] for user in found]


def test_they_can_be_patched(acme):
    acme.push("ada", **{URN: VALUES})

    acme.patch_user("ada", {"op": "replace", "path": f"{URN}:floor", "value": 7})
    acme.patch_user("ada", {"op": "add", "path": f"{URN}:tags", "value": ["green"]})

    ada = acme.scim.get(f"/Users/{acme.ids['ada']}")
    assert (ada[URN]["floor"], ada[URN]["tags"]) == (7, ["Red", "blue", "green"])


@pytest.mark.parametrize(
    ("values", "scim_type"), [({"floor": "three"}, "invalidValue"), ({"badge": "B-2"}, "mutability")]
)
def test_their_types_and_mutability_are_kept(acme, values, scim_type):
    acme.push("ada", **{URN: VALUES})
    body = {"userName": "ada", URN: {**VALUES, **values}}

    status, error = acme.scim.refusal("PUT", f"/Users/{acme.ids['ada']}", body)

    assert (status, error["scimType"]) == (400, scim_type)


def test_they_are_listed_to_those_whom_they_concern_and_nobody_else(acme, world):
    other = world()

    assert acme.scim.get(f"/Schemas/{URN}")["attributes"][0]["name"] == "floor"
    assert other.scim.refusal("GET", f"/Schemas/{URN}")[0] == 404


def test_a_declaration_can_grow_and_not_shrink(acme):
    acme.declare({**DESK, "attributes": [*DESK["attributes"], {"name": "window", "type": "boolean"}]})

    with pytest.raises(InvalidValue, match="floor"):
        acme.declare({**DESK, "attributes": DESK["attributes"][1:]})
