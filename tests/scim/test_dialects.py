"""Each deviation of a client by its name, and that it is noted (``scim/dialects.py``)."""

from __future__ import annotations

from typing import Any

import pytest

from scim_server.errors import InvalidRequest, InvalidSetting
from scim_server.scim import dialects, filters, patch, validation
from scim_server.scim.attributes import Attribute, Schema
from scim_server.scim.dialects import INTEROP, STRICT, Deviation, settings_from
from scim_server.scim.schemas import ENTERPRISE_URN, GROUP, USER, USER_URN, with_extensions


def read(settings: Any = INTEROP, resource_type: Any = USER, **body: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the document that a body makes, and what was noted."""
    notes: list[str] = []
    base = {"schemas": [resource_type.schema.id], **({"userName": "ada"} if resource_type is USER else {})}
    return validation.for_creation(resource_type, {**base, **body}, settings, notes.append), notes


def change(
    document: dict[str, Any], *operations: Any, settings: Any = INTEROP, resource_type: Any = USER
) -> tuple[dict[str, Any], list[str]]:
    notes: list[str] = []
    body = {"schemas": [patch.PATCH_OP], "Operations": list(operations)}
    return patch.apply(resource_type, document, body, settings, notes.append).document, notes


def noted_in(filter_: str, *, lenient: bool = True) -> list[str]:
    """Return what is noted of a filter."""
    notes: list[str] = []
    filters.parse_filter(filter_, USER, lenient=lenient, note=notes.append)
    return notes


# Those that only a stored resource, or a bulk request, can show.
SHOWN_OVER_HTTP = {
    Deviation.UNKNOWN_MEMBER_SKIPPED,
    Deviation.RESTORE_INACTIVE,
    Deviation.POST_WITHOUT_BULK_ID,
}


def test_every_deviation_has_a_test_of_its_name():
    here = [deviation for deviation in Deviation if f"test_{deviation}" in globals()]

    assert set(Deviation) == {*here, *SHOWN_OVER_HTTP}


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


def test_an_empty_list_is_no_single_value():
    document, notes = read(title=[], name=[], **{ENTERPRISE_URN: {"manager": []}})
    assert document.keys() == {"schemas", "userName", "active"}
    assert notes == ["single_value_as_list"] * 3

    changed, _ = change({**document, "title": "T"}, {"op": "replace", "path": "title", "value": []})
    assert "title" not in changed
    with pytest.raises(InvalidRequest):
        change(document, {"op": "replace", "path": "active", "value": []})


def test_list_as_single_value():
    document, notes = read(emails={"value": "a@b.c"})

    assert document["emails"] == [{"value": "a@b.c"}]
    assert notes == ["list_as_single_value"]


def test_complex_value_as_text():
    document, notes = read(**{ENTERPRISE_URN: {"manager": "m-1"}})

    assert document[ENTERPRISE_URN]["manager"] == {"value": "m-1"}
    assert notes == ["complex_value_as_text"]


def test_a_manager_without_characters_is_none():
    document, _ = read(**{ENTERPRISE_URN: {"manager": {"value": "m-1"}, "department": "Ops"}})

    changed, notes = change(document, {"op": "replace", "path": f"{ENTERPRISE_URN}:manager", "value": ""})

    assert changed[ENTERPRISE_URN] == {"department": "Ops"}
    assert notes == ["complex_value_as_text"]


@pytest.mark.parametrize("nobody", [{"value": ""}, [{"value": ""}]])
def test_a_manager_whose_id_has_no_characters_is_none(nobody):
    document, _ = read(**{ENTERPRISE_URN: {"manager": {"value": "m-1"}, "department": "Ops"}})

    changed, _ = change(document, {"op": "replace", "path": f"{ENTERPRISE_URN}:manager", "value": nobody})

    assert changed[ENTERPRISE_URN] == {"department": "Ops"}
    assert ENTERPRISE_URN not in read(**{ENTERPRISE_URN: {"manager": nobody}})[0]


def test_a_manager_may_be_a_number():
    document, notes = read(**{ENTERPRISE_URN: {"manager": 12345}})

    assert document[ENTERPRISE_URN]["manager"] == {"value": "12345"}
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
    document, notes = change(read()[0], {"op": op, "path": "title", "value": "x"}, settings=settings)

    assert document["title"] == "x"
    assert notes == ([] if op == "replace" else ["lower_case_op"])


def test_lower_case_members():
    body = {"Schemas": [patch.PATCH_OP], "operations": [{"OP": "add", "Path": "title", "VALUE": "x"}]}
    notes: list[str] = []

    patched = patch.apply(USER, read()[0], body, INTEROP, notes.append)

    assert patched.document["title"] == "x"
    assert set(notes) == {"lower_case_members"}


def test_what_is_written_as_in_the_rfc_is_noted_nowhere():
    whole = {"name": {"givenName": "Ada"}, "emails": [{"value": "a@b.c", "primary": True}]}
    document, notes = read(**whole, **{ENTERPRISE_URN: {"manager": {"value": "m-1"}}})

    _, more = change(
        document,
        {"op": "add", "path": f"{ENTERPRISE_URN}:department", "value": "Ops"},
        {"op": "replace", "path": "emails[primary eq true].value", "value": "d@e.f"},
        {"op": "remove", "path": "emails"},
    )

    assert notes == more == []
    assert noted_in('emails[type eq "work"] and active eq true and title eq "5"') == []


def test_value_as_object():
    extension = Schema("urn:example:x", "X", "", (Attribute("tags", multi_valued=True),))
    wide = with_extensions(USER, [extension])

    document, notes = change(
        read()[0], {"op": "Add", "path": "urn:example:x:tags", "value": [{"value": "a"}]}, resource_type=wide
    )

    assert document["urn:example:x"] == {"tags": ["a"]}
    assert notes == ["lower_case_op", "value_as_object"]


def test_a_single_value_as_object():
    """As Microsoft's library writes it."""
    document, _ = read(active=[{"$ref": None, "value": "False"}], title={"value": "T"})
    assert (document["active"], document["title"]) == (False, "T")

    changed, _ = change(
        document, {"op": "replace", "path": "displayName", "value": [{"$ref": None, "value": "D"}]}
    )
    assert changed["displayName"] == "D"
    with pytest.raises(InvalidRequest):
        read(title={"value": "T", "type": "work"})


def test_base_schema_as_extension():
    off = {USER_URN: {"active": False}}
    document, notes = read(**off)
    assert document["active"] is False
    assert notes == ["base_schema_as_extension"]

    changed, notes = change(read()[0], {"op": "replace", "value": off})
    assert changed["active"] is False
    assert notes == ["base_schema_as_extension"]

    before, notes = read()[0], []
    replaced = validation.for_replacement(USER, {"userName": "ada", **off}, before, INTEROP, notes.append)
    assert replaced["active"] is False


@pytest.mark.parametrize("settings", [INTEROP, STRICT])
def test_an_attribute_may_be_called_by_its_full_name(settings):
    document, notes = read(settings, **{f"{USER_URN}:active": False, f"{USER_URN.upper()}:TITLE": "T"})

    assert (document["active"], document["title"]) == (False, "T")
    assert notes == []


@pytest.mark.parametrize(
    "schemas", [None, [], "x", ["urn:scim:schemas:core:1.0"], [USER_URN, "urn:scim:schemas:core:1.0"]]
)
def test_other_schemas(schemas):
    assert "other_schemas" in read(schemas=schemas)[1]
    assert read(schemas=schemas)[0]["schemas"][0] == USER_URN


def test_a_patch_without_schemas_is_noted_too():
    notes: list[str] = []

    patch.apply(USER, read()[0], {"Operations": [{"op": "remove", "path": "title"}]}, INTEROP, notes.append)

    assert notes == ["other_schemas"]


def test_extension_attribute_without_urn():
    document, notes = change(read()[0], {"op": "add", "path": "department", "value": "Ops"})

    assert document[ENTERPRISE_URN] == {"department": "Ops"}
    assert notes == ["extension_attribute_without_urn"]
    assert noted_in('department eq "Ops"') == ["extension_attribute_without_urn"]


def test_dot_behind_urn():
    operation = {"op": "replace", "path": f"{ENTERPRISE_URN}.manager.value", "value": "m-1"}

    document, notes = change(read()[0], operation)

    assert document[ENTERPRISE_URN] == {"manager": {"value": "m-1"}}
    assert notes == ["dot_behind_urn"]
    assert noted_in(f'{ENTERPRISE_URN}.department eq "Ops"') == ["dot_behind_urn"]
    with pytest.raises(InvalidRequest):
        change(read()[0], operation, settings=STRICT)


def test_a_urn_with_a_dot_in_it_is_a_urn():
    long = Schema("urn:example:x.y", "Y", "", (Attribute("z"),))
    wide = with_extensions(USER, [Schema("urn:example:x", "X", "", (Attribute("y"),)), long])

    document, notes = change(
        read()[0], {"op": "add", "path": "urn:example:x.y:z", "value": "1"}, resource_type=wide
    )

    assert document["urn:example:x.y"] == {"z": "1"}
    assert notes == []


def test_filter_of_single_value():
    document, _ = read(**{ENTERPRISE_URN: {"manager": {"value": "m-1"}}})

    changed, notes = change(document, {"op": "remove", "path": f'{ENTERPRISE_URN}:manager[value eq "m-1"]'})

    assert ENTERPRISE_URN not in changed
    assert notes == ["filter_of_single_value"]


def test_remove_by_value_list():
    document, _ = read(emails=[{"value": "a@b.c"}, {"value": "d@e.f"}])

    changed, notes = change(document, {"op": "remove", "path": "emails", "value": [{"value": "a@b.c"}]})

    assert changed["emails"] == [{"value": "d@e.f"}]
    assert notes == ["remove_by_value_list"]


@pytest.mark.parametrize("filter_", ["title eq boss", "employeeNumber eq 5", "active eq True"])
def test_unquoted_text(filter_):
    assert "unquoted_text" in noted_in(filter_)
    with pytest.raises(InvalidRequest):
        noted_in(filter_, lenient=False)


def test_a_boolean_as_text_in_a_filter_is_noted_too():
    assert noted_in('active eq "True"') == ["boolean_as_text"]


def test_value_path_compared():
    assert noted_in('emails[type eq "work"].value eq "a@b.c"') == ["value_path_compared"]


@pytest.mark.parametrize("op", ["add", "replace"])
def test_value_made_from_filter(op):
    operation = {"op": op, "path": 'emails[type eq "work" and primary eq true].value', "value": "a@b.c"}

    document, notes = change(read()[0], operation)

    assert document["emails"] == [{"type": "work", "primary": True, "value": "a@b.c"}]
    assert notes == ["value_made_from_filter"]


@pytest.mark.parametrize("path", ['emails[type eq "work"].value', 'emails[type eq "work"]'])
def test_null_makes_no_value_from_a_filter(path):
    document, notes = change(read()[0], {"op": "replace", "path": path, "value": None})

    assert "emails" not in document
    assert notes == []


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


@pytest.mark.parametrize(
    "body",
    [
        {"active": "False"},
        {"title": 5},
        {"emails": {"value": "a"}},
        {"favouriteColour": "blue"},
        {"schemas": []},
        {"emails": [{"value": "a", "primary": True}, {"value": "b", "primary": True}]},
        {ENTERPRISE_URN: {"manager": [{"value": "m-1"}]}},
        {ENTERPRISE_URN: {"manager": {"managerId": "m-1"}}},
        {ENTERPRISE_URN: {"manager": "m-1"}},
    ],
)
def test_a_strict_client_is_told_of_each(body):
    with pytest.raises(InvalidRequest):
        read(STRICT, **body)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "value": {"id": "x"}},
        {"op": "add", "path": "department", "value": "Ops"},
        {"op": "add", "path": f"{ENTERPRISE_URN}.department", "value": "Ops"},
        {"op": "replace", "path": 'emails[type eq "home"].value', "value": "a@b.c"},
        {"op": "remove", "path": 'emails[type eq "home"]'},
        {"op": "remove", "path": f'{ENTERPRISE_URN}:manager[value eq "m-1"]'},
        {"op": "remove", "path": "schemas"},
    ],
)
def test_a_strict_client_is_told_of_each_in_a_patch(operation):
    document, _ = read(**{ENTERPRISE_URN: {"manager": {"value": "m-1"}}})

    with pytest.raises(InvalidRequest):
        change(document, operation, settings=STRICT)


def test_what_breaks_no_rule_is_taken_from_a_strict_client_too():
    document, _ = read(emails=[{"value": "a@b.c"}, {"value": "d@e.f"}])

    changed, notes = change(
        document,
        {"op": "Remove", "path": "EMAILS", "Value": [{"value": "a@b.c"}]},
        {"op": "add", "path": 'phoneNumbers[type eq "work"].value', "value": "1"},
        {"op": "replace", "value": {"schemas": [USER_URN]}},
        settings=STRICT,
    )

    assert changed["emails"] == [{"value": "d@e.f"}]
    assert changed["phoneNumbers"] == [{"type": "work", "value": "1"}]
    assert {*notes, *noted_in('emails[type eq "work"].value eq "x"', lenient=False)} == {
        Deviation.LOWER_CASE_OP,
        Deviation.LOWER_CASE_MEMBERS,
        Deviation.REMOVE_BY_VALUE_LIST,
        Deviation.VALUE_MADE_FROM_FILTER,
        Deviation.SCHEMAS_IGNORED,
        Deviation.VALUE_PATH_COMPARED,
    }


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
