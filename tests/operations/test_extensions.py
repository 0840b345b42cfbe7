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
    acme.declare = lambda document, type_="User": database.run(extensions.declare, call, type_, document)
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


def test_what_is_returned_on_request_is_shown_to_who_has_written_it(acme):
    """RFC 7643 §7: in the answer to the change, and in no other."""
    user = {"schemas": [], "userName": "ada"}
    created = acme.scim.post("/Users", {**user, URN: {"note": "1", "floor": 1}})
    path = f"/Users/{created['id']}"
    replaced = acme.scim.put(path, {**user, URN: {"note": "2"}})
    changed, other = (
        acme.scim.patch(path, {"Operations": [{"op": "replace", "path": f"{URN}:{name}", "value": value}]})
        for name, value in (("note", "3"), ("floor", 2))
    )

    assert [answer[URN] for answer in (created, replaced, changed, other)] == [
        {"note": "1", "floor": 1},
        {"note": "2"},
        {"note": "3"},
        {"floor": 2},
    ]
    assert acme.scim.get(path)[URN] == {"floor": 2}


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


def declaration(urn="urn:example:further:2.0:User", **attribute):
    return {"id": urn, "attributes": [{"name": "a", **attribute}]}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (declaration("urn:ietf:params:scim:schemas:core:2.0:Group"), "the protocol itself"),
        (declaration("urn:ietf:params:scim:api:messages:2.0:Error"), "the protocol itself"),
        (declaration(f"{URN}:floor"), "one is an attribute of the other"),
        (declaration(f"{URN}:KEYS.level"), "one is an attribute of the other"),
        (declaration(type="text"), "'text' is not a valid Type"),
        (declaration(mutability="readOnly", required=True), "readOnly"),
        (declaration(mutability="writeOnly"), "returned: never"),
        (declaration(uniqueness="server"), "uniqueness"),
        (declaration(type="complex"), "subAttributes"),
        (declaration(subAttributes=[{"name": "b"}]), "subAttributes"),
        (declaration(multiValued="yes"), "multiValued must be true or false"),
        ({"id": "urn:example:x", "attributes": []}, "at least one attribute"),
        ({"id": "urn:example:x", "attributes": [{"name": "a"}, {"name": "A"}]}, "twice"),
        ({"id": "example"}, "URN"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_and_says_why(acme, document, problem):
    with pytest.raises(InvalidValue, match=problem):
        acme.declare(document)


def test_a_schema_is_one_resource_type_s_own(acme):
    with pytest.raises(InvalidValue, match="other resource type"):
        acme.declare(DESK, "Group")


@pytest.mark.parametrize(
    ("path", "ascending"),
    [
        ("floor", ["ben", "ada", "cy"]),
        ("weight", ["ada", "ben", "cy"]),
        ("remote", ["ben", "ada", "cy"]),
        ("since", ["ada", "ben", "cy"]),
        ("badge", ["ben", "ada", "cy"]),
        ("tags", ["ben", "ada", "cy"]),
        ("keys", ["ben", "ada", "cy"]),
        ("keys.level", ["ada", "ben", "cy"]),
    ],
)
def test_they_can_be_sorted_by_and_paged_through(acme, path, ascending):
    acme.push("ada", **{URN: VALUES | {"floor": 10, "badge": "a"}})
    other = {"floor": 9, "weight": 10.25, "remote": False, "since": "2026-01-01T09:30:00Z", "badge": "B"}
    acme.push("ben", **{URN: other | {"tags": ["amber"], "keys": [{"value": "back", "level": 10}]}})
    acme.push("cy")

    found, cursor = [], ""
    while cursor is not None:
        page = acme.scim.get(f"/Users?sortBy={URN}:{path}&count=1&cursor={cursor}")
        found += [user["userName"] for user in page["Resources"]]
        cursor = page.get("nextCursor")

    assert found == ascending


def test_they_are_named_by_the_resource_type_and_described_in_full(acme):
    assert {"schema": URN, "required": False} in acme.scim.get("/ResourceTypes/User")["schemaExtensions"]
    for attribute in acme.scim.get(f"/Schemas/{URN}")["attributes"]:
        assert attribute["description"]
        assert attribute["mutability"] != "writeOnly" or attribute["returned"] == "never"
