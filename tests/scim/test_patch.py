"""PATCH on documents: the vectors of the RFC's reading, and what holds for any request (RFC 7644 §3.5.2)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_server.errors import InvalidPath, InvalidRequest, InvalidValue, Mutability, NoTarget, TooMany
from scim_server.scim import patch, validation
from scim_server.scim.attributes import Attribute, Schema, Type
from scim_server.scim.attributes import Mutability as Characteristic
from scim_server.scim.dialects import INTEROP, STRICT
from scim_server.scim.schemas import (
    ENTERPRISE_URN,
    GROUP,
    GROUP_URN,
    USER,
    USER_URN,
    with_extensions,
)

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "patches.json"
CASES = json.loads(VECTORS.read_text()) if VECTORS.exists() else []
NOT_COMPARED = {"id", "meta", "groups", "password", "schemas", "$ref"}


def ignore(_deviation: str) -> None:
    pass


def normal(value: Any, name: str = "") -> Any:
    """Bring a value into the form in which two are compared: null, [] and absent are the same, order is none."""
    if isinstance(value, dict):
        items = {key.lower(): normal(item, key.lower()) for key, item in value.items()}
        kept = {k: v for k, v in items.items() if v not in (None, [], {}) and (k, v) != ("primary", False)}
        kept = {k: v for k, v in kept.items() if k not in NOT_COMPARED}
        return {"value": kept["value"]} if name == "members" else kept
    if isinstance(value, list):
        return sorted(
            (normal(item, name) for item in value), key=lambda item: json.dumps(item, sort_keys=True)
        )
    return value


def patched(resource_type: Any, resource: Any, body: Any, settings: Any) -> dict[str, Any]:
    """Apply a PatchOp to a resource, members included."""
    document = validation.for_creation(resource_type, resource, settings, ignore)
    members = document.pop("members", [])

    def related(added: Any) -> list[dict[str, Any]]:
        return [*members, *({"value": identifier} for identifier in added)]

    result = patch.apply(resource_type, document, body, settings, ignore, related)
    change = result.relation or patch.RelationChange()
    stay = [m["value"] for m in members if not change.cleared and m["value"] not in change.removed]
    ids = dict.fromkeys([*stay, *change.added])
    return {**result.document, "members": [{"value": identifier} for identifier in ids]}


@pytest.mark.skipif(not CASES, reason="the vectors are not beside this checkout")
@pytest.mark.parametrize("vector", CASES, ids=lambda vector: vector["id"])
def test_a_vector_comes_out_as_the_rfc_says(vector):
    resource_type = USER if vector["resourceType"] == "User" else GROUP
    body = vector.get("body") or {"schemas": [patch.PATCH_OP], "Operations": vector["ops"]}
    outcomes = [vector["expect"], *vector.get("accept", [])]
    try:
        result = patched(resource_type, vector["resource"], body, STRICT)
    except InvalidRequest as error:
        assert any(
            error.scim_type in e["error"].get("scimType", [error.scim_type]) for e in outcomes if "error" in e
        )
    else:
        assert any(normal(result) == normal(e["resource"]) for e in outcomes if "resource" in e)


def user(**more: Any) -> dict[str, Any]:
    return validation.for_creation(USER, {"schemas": [USER_URN], "userName": "ada", **more}, INTEROP, ignore)


def apply(document: dict[str, Any], *operations: Any, settings: Any = INTEROP) -> dict[str, Any]:
    return patch.apply(
        USER, document, {"schemas": [patch.PATCH_OP], "Operations": list(operations)}, settings, ignore
    ).document


def test_the_document_that_was_given_is_never_changed():
    before = user(title="x", emails=[{"value": "a@b.c", "type": "work"}])
    kept = copy.deepcopy(before)

    apply(
        before,
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "n@b.c"},
        {"op": "remove", "path": "title"},
    )

    assert before == kept


def test_operations_beyond_the_limit_are_refused():
    operations = [{"op": "add", "path": "title", "value": "x"}] * (patch.MAX_OPERATIONS + 1)

    with pytest.raises(TooMany):
        apply(user(), *operations)


def test_filters_on_members_look_through_a_bounded_number_of_them():
    members = [{"value": str(number)} for number in range(60_000)]
    body = {
        "schemas": [patch.PATCH_OP],
        "Operations": [{"op": "remove", "path": 'members[value sw "x"]'}] * 3,
    }
    group = {"schemas": [GROUP_URN], "displayName": "g"}

    patch.apply(
        GROUP, group, {**body, "Operations": body["Operations"][:2]}, INTEROP, ignore, lambda _: members
    )
    with pytest.raises(TooMany):
        patch.apply(GROUP, group, body, INTEROP, ignore, lambda _: members)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "emails", "value": [{"type": f"t{number}"} for number in range(300)]},
        {
            "op": "remove",
            "path": f"emails[{' or '.join(f'type eq {chr(34)}t{number}{chr(34)}' for number in range(60))}]",
        },
    ],
)
def test_operations_on_values_compare_a_bounded_number_of_times(operation):
    many = {**user(), "emails": [{"value": f"{number}@b.c"} for number in range(1000)]}

    apply(many, operation)
    with pytest.raises(TooMany):
        apply(many, *[operation] * 3)


def test_who_is_not_primary_is_no_primary_address():
    """RFC 7643 §2.4: a value that says nothing of it is not."""
    before = user(emails=[{"value": "a@b.c", "primary": True}, {"value": "d@e.f", "type": "home"}])
    operation = {"op": "replace", "path": "emails[primary ne false].value", "value": "z@b.c"}

    assert [email["value"] for email in apply(before, operation)["emails"]] == ["z@b.c", "d@e.f"]


def test_no_type_and_value_are_there_twice():
    """RFC 7643 §2.4."""
    before = user(emails=[{"value": "a@b.c", "type": "work"}, {"value": "d@e.f", "type": "home"}])
    same = {"op": "replace", "path": 'emails[type eq "home"]', "value": {"value": "A@b.c", "type": "work"}}

    assert apply(before, same)["emails"] == [{"value": "a@b.c", "type": "work"}]


def test_a_value_list_names_type_and_value():
    before = user(emails=[{"value": "a@b.c", "type": "work"}, {"value": "a@b.c", "type": "home"}])
    typed = {"op": "remove", "path": "emails", "value": [{"value": "a@b.c", "type": "home"}]}
    untyped = {"op": "remove", "path": "emails", "value": [{"value": "a@b.c"}]}

    assert apply(before, typed)["emails"] == [{"value": "a@b.c", "type": "work"}]
    assert "emails" not in apply(before, untyped)


@pytest.mark.parametrize("settings", [INTEROP, STRICT])
@pytest.mark.parametrize("nothing", [None, [], {}, [None]])
def test_nothing_takes_away_the_value_that_it_replaces(settings, nothing):
    before = user(emails=[{"value": "a@b.c", "type": "work"}, {"value": "d@e.f", "type": "home"}])
    replaced = {"op": "replace", "path": 'emails[type eq "work"]', "value": nothing}

    assert apply(before, replaced, settings=settings)["emails"] == [{"value": "d@e.f", "type": "home"}]


@pytest.mark.parametrize("path", [" title", "title ", ' emails[type eq "work"]', "\ttitle\n"])
def test_a_strict_path_has_no_blanks_around_it(path):
    with pytest.raises(InvalidPath):
        apply(user(), {"op": "remove", "path": path}, settings=STRICT)


def test_a_long_list_of_values_is_removed_at_once():
    """Each is named by its value, so that none is compared with all others."""
    many = {**user(), "emails": [{"value": f"{number}@b.c"} for number in range(1000)]}
    others = {"op": "remove", "path": "emails", "value": [{"value": f"z{n}@b.c"} for n in range(999)]}

    assert apply(many, *[others] * 50)["emails"] == many["emails"]
    assert "emails" not in apply(many, {"op": "remove", "path": "emails", "value": many["emails"]})


def test_members_who_are_to_be_some_are_looked_for_a_bounded_number_of_times():
    added = [{"value": str(number)} for number in range(40_000)]
    body = {
        "schemas": [patch.PATCH_OP],
        "Operations": [
            {"op": "add", "path": "members", "value": added},
            *[{"op": "remove", "path": 'members[type eq "Group"]'}] * 4,
        ],
    }
    group = {"schemas": [GROUP_URN], "displayName": "g"}

    with pytest.raises(TooMany):
        patch.apply(GROUP, group, body, INTEROP, ignore, lambda _: [])


def test_the_id_may_be_said_again():
    """Whoever sends back what they read changes nothing that is read-only."""
    own = {"op": "replace", "value": {"id": "u-1", "title": "T"}}
    another = {"op": "replace", "path": "id", "value": "u-2"}
    body = {"schemas": [patch.PATCH_OP]}

    done = patch.apply(USER, user(), {**body, "Operations": [own]}, STRICT, ignore, identifier="u-1")

    assert done.document["title"] == "T"
    with pytest.raises(Mutability):
        patch.apply(USER, user(), {**body, "Operations": [another]}, STRICT, ignore, identifier="u-1")


def test_a_required_attribute_cannot_be_emptied():
    with pytest.raises(InvalidRequest):
        apply(user(), {"op": "replace", "path": "userName", "value": ""})


@pytest.mark.parametrize("key", ["__proto__", "__class__.x", "constructor", "metadata", "a.b.c", "members"])
def test_keys_outside_the_schema_never_land(key):
    document = apply(user(), {"op": "add", "value": {key: "x", "title": "t"}})

    assert set(document) == {"schemas", "userName", "active", "title"}


def test_adding_members_never_takes_one_away():
    body = {
        "schemas": [patch.PATCH_OP],
        "Operations": [{"op": "add", "path": "members", "value": [{"value": "new"}, {"value": "old"}]}],
    }

    result = patched(
        GROUP, {"schemas": [GROUP_URN], "displayName": "g", "members": [{"value": "old"}]}, body, INTEROP
    )

    assert [member["value"] for member in result["members"]] == ["old", "new"]


DESK_URN = "urn:example:desk:2.0:User"
DESK = Schema(
    DESK_URN,
    "Desk",
    "",
    (
        Attribute("badge", required=True),
        Attribute("tags", multi_valued=True, required=True),
        Attribute("flags", Type.BOOLEAN, multi_valued=True),
        Attribute("levels", Type.INTEGER, multi_valued=True),
        Attribute("seal", mutability=Characteristic.IMMUTABLE),
        Attribute(
            "box",
            Type.COMPLEX,
            sub_attributes=(
                Attribute("key", required=True),
                Attribute("seal", mutability=Characteristic.IMMUTABLE),
            ),
        ),
    ),
)
WITH_DESK = with_extensions(USER, [DESK])


def at_desk(*operations: Any, **more: Any) -> dict[str, Any]:
    """Apply operations to the values of an extension; ``$`` in a path stands for its URN."""
    values = {"badge": "b", "tags": ["Red", "blue"], "flags": [True, False], "levels": [0, 7], **more}
    document = validation.for_creation(
        WITH_DESK, {"schemas": [USER_URN], "userName": "ada", DESK_URN: values}, STRICT, ignore
    )
    body = {
        "schemas": [patch.PATCH_OP],
        "Operations": [{**o, "path": o["path"].replace("$", f"{DESK_URN}:")} for o in operations],
    }
    after = patch.apply(WITH_DESK, document, body, STRICT, ignore).document
    return dict(after[DESK_URN])


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "userName"},
        {"op": "replace", "path": "userName", "value": None},
        {"op": "add", "path": "userName", "value": None},
        {"op": "replace", "value": {"userName": None}},
    ],
)
def test_a_required_attribute_cannot_become_unassigned(operation):
    """RFC 7644 §3.5.2.2."""
    with pytest.raises(Mutability):
        apply(user(), operation, settings=STRICT)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "$badge"},
        {"op": "remove", "path": "$tags"},
        {"op": "replace", "path": "$tags", "value": []},
        {"op": "remove", "path": "$tags[value pr]"},
        {"op": "remove", "path": "$box.key"},
        {"op": "replace", "path": "$box", "value": {"key": None}},
    ],
)
def test_nor_can_one_of_an_extension_or_a_part_of_one(operation):
    with pytest.raises(Mutability):
        at_desk(operation, box={"key": "k"})


def test_some_values_of_a_required_attribute_can_go():
    assert at_desk({"op": "remove", "path": '$tags[value eq "red"]'})["tags"] == ["blue"]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "$seal"},
        {"op": "replace", "path": "$seal", "value": "y"},
        {"op": "replace", "path": "$box.seal", "value": "y"},
        {"op": "replace", "path": "$box", "value": {"seal": None}},
        {"op": "remove", "path": "$box"},
    ],
)
def test_an_immutable_value_stays(operation):
    with pytest.raises(Mutability):
        at_desk(operation, seal="x", box={"key": "k", "seal": "x"})


def test_an_immutable_attribute_without_a_value_takes_one_and_the_same_one_again():
    given = at_desk(
        {"op": "add", "path": "$seal", "value": "x"}, {"op": "replace", "path": "$seal", "value": "x"}
    )

    assert given["seal"] == "x"
    assert "seal" not in at_desk({"op": "remove", "path": "$seal"})


def test_false_and_zero_are_values():
    assert at_desk({"op": "replace", "path": "$flags[value eq true]", "value": False})["flags"] == [
        False,
        False,
    ]
    assert at_desk({"op": "replace", "path": "$levels[value gt 5]", "value": 0})["levels"] == [0, 0]
    assert at_desk({"op": "add", "path": "$levels", "value": [0]})["levels"] == [0, 7]


@pytest.mark.parametrize(
    "added",
    [
        {"value": "ada@example.com", "type": "work"},
        {"value": "ADA@Example.com", "type": "Work"},
        {"value": "ada@example.com", "type": "work", "primary": True},
    ],
)
def test_a_value_that_is_there_already_is_not_changed_by_adding_it(added):
    """RFC 7644 §3.5.2.1; whether it is the same is decided without case where case does not count."""
    before = user(emails=[{"value": "ada@example.com", "type": "work", "primary": True}])

    assert apply(before, {"op": "add", "path": "emails", "value": [added]}) == before
    assert apply(before, {"op": "add", "path": 'emails[type eq "work"]', "value": added}) == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "value": {"nosuch": 1}},
        {"op": "replace", "value": {"title": "t", "name": {"nosuch": 1}}},
        {"op": "add", "path": "emails", "value": [{"nosuch": 1}]},
        {"op": "add", "path": ENTERPRISE_URN, "value": {"nosuch": 1}},
    ],
)
def test_an_unknown_attribute_in_a_value_makes_the_value_wrong_for_a_strict_client(operation):
    """RFC 7644 §3.12, table 9; ``invalidPath`` is said of a path."""
    before = user()

    with pytest.raises(InvalidValue):
        apply(before, operation, settings=STRICT)
    assert "nosuch" not in json.dumps(apply(before, operation))


def test_a_complex_value_in_a_list_of_one_leaves_alone_what_it_does_not_name():
    before = user(name={"givenName": "Ada", "familyName": "King"})

    after = apply(before, {"op": "replace", "path": "name", "value": [{"familyName": "Lovelace"}]})

    assert after["name"] == {"givenName": "Ada", "familyName": "Lovelace"}


def test_a_text_in_the_place_of_a_complex_value_is_its_value():
    before = user(emails=[{"value": "old@b.c", "type": "work", "primary": True}])
    path = 'emails[type eq "work"]'

    after = apply(before, {"op": "replace", "path": path, "value": "new@b.c"})

    assert after["emails"] == [{"value": "new@b.c", "type": "work", "primary": True}]
    with pytest.raises(InvalidValue):
        apply(before, {"op": "replace", "path": path, "value": "new@b.c"}, settings=STRICT)


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ({"op": "remove", "path": "schemas"}, Mutability),
        ({"op": "replace", "path": "schemas", "value": []}, Mutability),
        ({"op": "add", "path": "schemas", "value": ["urn:example:none"]}, InvalidValue),
    ],
)
def test_a_strict_client_cannot_ask_for_schemas_that_cannot_be(operation, error):
    before = user()

    with pytest.raises(error):
        apply(before, operation, settings=STRICT)
    assert apply(before, operation) == before
    assert (
        apply(before, {"op": "add", "path": "schemas", "value": [ENTERPRISE_URN]}, settings=STRICT) == before
    )


def test_removing_who_is_no_member_changes_nothing_and_is_no_error():
    """RFC 7644 §3.5.2.2; any other filter without a match is ``noTarget`` for a strict client."""
    group = {"schemas": [GROUP_URN], "displayName": "g", "members": [{"value": "old"}]}

    def without(path: str) -> list[str]:
        body = {"schemas": [patch.PATCH_OP], "Operations": [{"op": "remove", "path": path}]}
        return [member["value"] for member in patched(GROUP, group, body, STRICT)["members"]]

    assert without('members[value eq "other"]') == ["old"]
    assert without('members[value eq "other" or value eq "old"]') == []
    with pytest.raises(NoTarget):
        without('members[value sw "x"]')


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["ada", "work", "true"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
paths = st.sampled_from(
    [
        "title",
        "emails",
        "emails.value",
        'emails[type eq "work"]',
        'emails[type eq "work"].value',
        "name",
        "id",
        "active",
        "name.givenName",
        "userName",
        "nosuch",
        "emails[",
        "",
        "schemas",
        "emails[value pr].primary",
        "groups",
        "password",
    ]
) | st.text(max_size=12)
requests = st.fixed_dictionaries(
    {
        "schemas": st.just([patch.PATCH_OP]),
        "Operations": st.lists(
            st.fixed_dictionaries(
                {"op": st.sampled_from(["add", "replace", "remove", "Add", "move"])},
                optional={"path": paths, "value": anything},
            ),
            min_size=1,
            max_size=4,
        ),
    }
)


@given(requests, st.sampled_from([STRICT, INTEROP]))
def test_whatever_is_sent_ends_in_a_document_of_the_schema_or_a_refusal(body, settings):
    before = user(emails=[{"value": "a@b.c", "type": "work"}], title="t")
    try:
        after = patch.apply(USER, before, body, settings, ignore).document
    except InvalidRequest:
        return
    for name in after:
        assert name.lower() in USER.by_key or name.lower() in USER.extension_by_key
    assert after["userName"]
    assert sum(email.get("primary") is True for email in after.get("emails", [])) <= 1


@given(anything)
def test_a_body_of_any_form_is_read_or_refused(value):
    body = value if isinstance(value, dict) else {"userName": value}
    try:
        document = validation.for_creation(USER, {"userName": "x", **body}, INTEROP, ignore)
    except InvalidRequest:
        return
    assert document["userName"]
