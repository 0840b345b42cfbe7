"""PATCH on documents: the vectors of the RFC's reading, and what holds for any request (RFC 7644 §3.5.2)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_server.errors import InvalidRequest, TooMany
from scim_server.scim import patch, validation
from scim_server.scim.dialects import INTEROP, STRICT
from scim_server.scim.matching import matches_element
from scim_server.scim.schemas import GROUP, GROUP_URN, USER, USER_URN

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

    def select(expression: Any, added: Any) -> set[str]:
        candidates = [*members, *({"value": identifier} for identifier in added)]
        return {member["value"] for member in candidates if matches_element(expression, member)}

    result = patch.apply(resource_type, document, body, settings, ignore, select)
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
