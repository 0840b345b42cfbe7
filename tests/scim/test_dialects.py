"""Each deviation of a client by its name, and that it is noted (``scim/dialects.py``)."""

from __future__ import annotations

from typing import Any

import pytest

from scim_server.errors import InvalidRequest, InvalidSetting
from scim_server.scim import dialects, patch, validation
from scim_server.scim.dialects import INTEROP, STRICT, settings_from
from scim_server.scim.schemas import ENTERPRISE_URN, GROUP, USER, USER_URN


def read(settings: Any = INTEROP, resource_type: Any = USER, **body: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the document that a body makes, and what was noted."""
    notes: list[str] = []
    base = {"schemas": [resource_type.schema.id], **({"userName": "ada"} if resource_type is USER else {})}
    return validation.for_creation(resource_type, {**base, **body}, settings, notes.append), notes


def change(
    document: dict[str, Any], *operations: Any, settings: Any = INTEROP
) -> tuple[dict[str, Any], list[str]]:
    notes: list[str] = []
    body = {"schemas": [patch.PATCH_OP], "Operations": list(operations)}
    return patch.apply(USER, document, body, settings, notes.append).document, notes


@pytest.mark.parametrize("text", ["False", "false", "FALSE"])
def test_boolean_as_text(text):
    document, notes = read(active=text)

    assert document["active"] is False
    assert notes == ["boolean_as_text"]


@pytest.mark.parametrize("value", ["no", "0", 0, 1, None, "", [], {}])
def test_what_may_mean_inactive_never_stays_active(value):
    with pytest.raises(InvalidRequest):
        read(active=value)


def test_number_as_text():
    document, notes = read(**{ENTERPRISE_URN: {"employeeNumber": 701984}})

    assert document[ENTERPRISE_URN]["employeeNumber"] == "701984"
    assert notes == ["number_as_text"]


def test_single_value_as_list():
    document, notes = read(**{ENTERPRISE_URN: {"manager": [{"value": "m-1"}]}})

    assert document[ENTERPRISE_URN]["manager"] == {"value": "m-1"}
    assert notes == ["single_value_as_list"]


def test_list_as_single_value():
    document, notes = read(emails={"value": "a@b.c"})

    assert document["emails"] == [{"value": "a@b.c"}]
    assert notes == ["list_as_single_value"]


def test_complex_value_as_text():
    document, notes = read(**{ENTERPRISE_URN: {"manager": "m-1"}})

    assert document[ENTERPRISE_URN]["manager"] == {"value": "m-1"}
    assert notes == ["complex_value_as_text"]


def test_manager_id():
    document, notes = read(**{ENTERPRISE_URN: {"manager": {"managerId": "m-1"}}})

    assert document[ENTERPRISE_URN]["manager"] == {"value": "m-1"}
    assert notes == ["manager_id"]


def test_last_primary_wins():
    document, notes = read(emails=[{"value": "a", "primary": True}, {"value": "b", "primary": True}])

    assert [email["primary"] for email in document["emails"]] == [False, True]
    assert notes == ["last_primary_wins"]


def test_unknown_attribute_ignored():
    document, notes = read(favouriteColour="blue", **{"urn:example:unknown": {"x": 1}})

    assert set(document) == {"schemas", "userName", "active"}
    assert set(notes) == {"unknown_attribute_ignored"}


@pytest.mark.parametrize("op", ["Add", "REPLACE", "replace"])
@pytest.mark.parametrize("settings", [INTEROP, STRICT])
def test_lower_case_op(op, settings):
    document, _ = change(read()[0], {"op": op, "path": "title", "value": "x"}, settings=settings)

    assert document["title"] == "x"


def test_lower_case_members():
    body = {"operations": [{"OP": "add", "Path": "title", "VALUE": "x"}]}

    assert patch.apply(USER, read()[0], body, INTEROP, lambda _: None).document["title"] == "x"


@pytest.mark.parametrize("op", ["add", "replace"])
def test_value_made_from_filter(op):
    operation = {"op": op, "path": 'emails[type eq "work" and primary eq true].value', "value": "a@b.c"}

    document, notes = change(read()[0], operation)

    assert document["emails"] == [{"type": "work", "primary": True, "value": "a@b.c"}]
    assert notes == ["value_made_from_filter"]


def test_no_value_is_made_from_a_filter_of_another_form():
    with pytest.raises(InvalidRequest):
        change(read()[0], {"op": "replace", "path": 'emails[type sw "w"].value', "value": "a@b.c"})


def test_remove_of_what_is_not_there():
    document, notes = change(read()[0], {"op": "remove", "path": 'emails[type eq "work"]'})

    assert "emails" not in document
    assert notes == ["remove_of_what_is_not_there"]


def test_read_only_attribute_ignored():
    document, notes = change(read()[0], {"op": "replace", "value": {"id": "x", "title": "t"}})

    assert document["title"] == "t"
    assert notes == ["read_only_attribute_ignored"]


def test_schemas_ignored():
    _, notes = change(read()[0], {"op": "add", "value": {"schemas": [USER_URN], "title": "t"}})

    assert notes == ["schemas_ignored"]


def test_dotted_and_urn_qualified_keys_are_paths():
    operation = {
        "op": "add",
        "value": {
            "name.givenName": "Ada",
            f"{ENTERPRISE_URN}:department": "Ops",
            'emails[type eq "work"].value': "a@b.c",
        },
    }

    document, _ = change(read()[0], operation)

    assert document["name"] == {"givenName": "Ada"}
    assert document[ENTERPRISE_URN] == {"department": "Ops"}
    assert document["emails"] == [{"type": "work", "value": "a@b.c"}]


def test_members_are_known_by_their_value_alone():
    members = [{"value": "m-1", "$ref": None, "display": "Ada", "type": "User"}, "m-2"]

    document, _ = read(resource_type=GROUP, displayName="g", members=members)

    assert [member["value"] for member in document["members"]] == ["m-1", "m-2"]


@pytest.mark.parametrize("schemas", [None, [], ["urn:scim:schemas:core:1.0"], "x"])
def test_old_and_missing_schemas_are_taken(schemas):
    assert read(schemas=schemas)[0]["schemas"][0] == USER_URN


@pytest.mark.parametrize(
    "body",
    [
        {"active": "False"},
        {"title": 5},
        {"emails": {"value": "a"}},
        {"favouriteColour": "blue"},
        {"schemas": []},
        {"emails": [{"value": "a", "primary": True}, {"value": "b", "primary": True}]},
    ],
)
def test_a_strict_client_is_told_of_each(body):
    with pytest.raises(InvalidRequest):
        read(STRICT, **body)


def test_single_settings_can_be_set_otherwise():
    settings = settings_from("strict", {"unknown_attributes": "ignore", "unique_group_names": "true"})

    assert settings.unknown_attributes is dialects.UnknownAttributes.IGNORE
    assert settings.unique_group_names is True
    assert settings.lenient is False


@pytest.mark.parametrize(
    ("profile", "overrides", "culprit"),
    [
        ("lax", {}, "profile"),
        ("strict", {"nosuch": "x"}, "nosuch"),
        ("strict", {"unknown_member": "maybe"}, "unknown_member"),
        ("strict", {"unique_group_names": "perhaps"}, "unique_group_names"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(profile, overrides, culprit):
    with pytest.raises(InvalidSetting, match=culprit):
        settings_from(profile, overrides)
