"""The definitions of resource types, against the text of RFC 7643 §8.7.1, and declared extensions."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_server.errors import InvalidValue
from scim_server.scim.attributes import Attribute, Mutability, Returned, Type, Uniqueness
from scim_server.scim.discovery import schema_document
from scim_server.scim.schemas import (
    COMMON,
    ENTERPRISE_SCHEMA,
    ENTERPRISE_URN,
    GROUP,
    GROUP_SCHEMA,
    RESOURCE_TYPES,
    SEAT_SCHEMA,
    SEAT_URN,
    USER,
    USER_SCHEMA,
    schema_from_json,
    with_extensions,
)

RFC = Path(__file__).parents[2].parent / "shared" / "rfc" / "rfc7643.txt"

# Where these definitions say more or other than the listing of RFC 7643 §8.7.1, and why.
DEVIATIONS = {
    "profileUrl.caseExact": "references are case exact (§2.3.7)",
    "photos.value.caseExact": "references are case exact (§2.3.7)",
    "groups.$ref.caseExact": "references are case exact (§2.3.7)",
    "members.$ref.caseExact": "references are case exact (§2.3.7)",
    "manager.$ref.caseExact": "references are case exact (§2.3.7)",
    "groups.value.caseExact": "it is an id, which is case exact (§3.1)",
    "members.value.caseExact": "it is an id, which is case exact (§3.1)",
    "manager.value.caseExact": "it is an id, which is case exact (§3.1)",
    "x509Certificates.value.caseExact": "binary values are case exact (§2.3.6)",
    "password.caseExact": "passwords differ in case",
    "displayName.required": "a group's displayName is REQUIRED (§4.2)",
}
CHARACTERISTICS = (
    "type",
    "multiValued",
    "required",
    "caseExact",
    "mutability",
    "returned",
    "uniqueness",
    "canonicalValues",
    "referenceTypes",
)


def rfc_schemas():
    """The JSON of RFC 7643 §8.7.1, without page breaks and with its wrapped strings joined."""
    if not RFC.exists():
        pytest.skip("the text of RFC 7643 is not beside the project")
    text = RFC.read_text()
    text = text[text.rindex("8.7.1.  Resource Schema Representation") :]
    text = re.sub(r"\n+Hunt, et al\.[^\n]*\n\f?\n?RFC 7643[^\n]*\n+", "\n", text)
    text = re.sub(r'"[^"]*"', lambda match: re.sub(r"\s*\n\s*", " ", match[0]), text)
    listed, _ = json.JSONDecoder().raw_decode(text, text.index("[\n"))
    return {schema["id"]: schema for schema in listed}


def differences(listed, ours, prefix=""):
    by_name = {attribute["name"]: attribute for attribute in ours}
    for attribute in listed:
        path = prefix + attribute["name"]
        own = by_name.get(attribute["name"])
        if own is None:
            yield f"{path} is missing"
            continue
        for characteristic in CHARACTERISTICS:
            said = attribute.get(characteristic) or None
            if (said is not None and own.get(characteristic) != said) or (
                characteristic in attribute and bool(said) != bool(own.get(characteristic))
            ):
                yield f"{path}.{characteristic}"
        yield from differences(attribute.get("subAttributes", []), own.get("subAttributes", []), f"{path}.")


@pytest.mark.parametrize("schema", [USER_SCHEMA, GROUP_SCHEMA, ENTERPRISE_SCHEMA], ids=lambda s: s.name)
def test_every_attribute_of_the_rfc_is_defined_as_the_rfc_lists_it(schema):
    listed = rfc_schemas()[schema.id]["attributes"]

    found = set(differences(listed, schema_document("https://example.com", schema)["attributes"]))

    assert found - DEVIATIONS.keys() == set()


def test_every_deviation_from_the_listing_is_one_that_is_made():
    schemas = rfc_schemas()
    made = {
        difference
        for schema in (USER_SCHEMA, GROUP_SCHEMA, ENTERPRISE_SCHEMA)
        for difference in differences(
            schemas[schema.id]["attributes"], schema_document("", schema)["attributes"]
        )
    }

    assert made == DEVIATIONS.keys()


@pytest.mark.parametrize("resource_type", RESOURCE_TYPES, ids=lambda t: t.name)
def test_every_attribute_has_a_description_and_a_name_of_its_own(resource_type):
    found = list(resource_type.walk())

    assert all((sub or attribute).description for _, attribute, sub in found)
    assert len({(e, a.key, s.key if s else None) for e, a, s in found}) == len(found)


@pytest.mark.parametrize("resource_type", RESOURCE_TYPES, ids=lambda t: t.name)
def test_only_complex_attributes_have_sub_attributes_and_only_references_have_reference_types(resource_type):
    for _, attribute, sub in resource_type.walk():
        target = sub or attribute
        assert bool(target.sub_attributes) == target.is_complex
        assert bool(target.reference_types) == (target.type is Type.REFERENCE)


def test_the_common_attributes_are_those_of_rfc_7643_section_3_1():
    common = {attribute.name: attribute for attribute in COMMON}

    assert list(common) == ["id", "externalId", "meta", "schemas"]
    assert common["id"].mutability is Mutability.READ_ONLY
    assert common["id"].returned is Returned.ALWAYS
    assert common["id"].uniqueness is Uniqueness.SERVER
    assert common["id"].case_exact and common["externalId"].case_exact
    assert common["meta"].mutability is Mutability.READ_ONLY
    assert all(sub.mutability is Mutability.READ_ONLY for sub in common["meta"].sub_attributes)
    assert common["schemas"].returned is Returned.ALWAYS
    assert common["schemas"].multi_valued and common["schemas"].case_exact


def test_a_password_is_written_and_never_returned():
    password = USER.by_key["password"]

    assert (password.mutability, password.returned) == (Mutability.WRITE_ONLY, Returned.NEVER)


def test_a_user_name_is_unique_and_required_and_has_no_case():
    user_name = USER.by_key["username"]

    assert (user_name.uniqueness, user_name.required, user_name.is_folded) == (Uniqueness.SERVER, True, True)


def test_e_mail_addresses_are_compared_without_case():
    assert USER.by_key["emails"].by_key["value"].is_folded


def test_a_groups_members_are_its_relation_and_cannot_be_changed_only_exchanged():
    members = GROUP.by_key["members"]

    assert GROUP.relation == "members"
    assert {sub.name: sub.mutability.value for sub in members.sub_attributes} == {
        "value": "immutable",
        "$ref": "immutable",
        "type": "immutable",
        "display": "readOnly",
    }


def test_the_seat_extension_is_read_only_throughout():
    assert [attribute.name for attribute in SEAT_SCHEMA.attributes] == [
        "tier",
        "source",
        "status",
        "desiredTier",
        "waitingSince",
        "canUse",
    ]
    assert all(attribute.mutability is Mutability.READ_ONLY for attribute in SEAT_SCHEMA.attributes)
    assert [schema.id for schema in USER.extensions] == [ENTERPRISE_URN, SEAT_URN]


DECLARED = {
    "id": "urn:example:params:scim:schemas:extension:building:2.0:User",
    "name": "Building",
    "description": "Where people sit.",
    "attributes": [
        {"name": "floor", "type": "integer", "description": "Floor."},
        {"name": "badges", "type": "string", "multiValued": True, "caseExact": True},
        {
            "name": "desk",
            "type": "complex",
            "subAttributes": [
                {"name": "value", "type": "string", "mutability": "immutable"},
                {"name": "$ref", "type": "reference", "referenceTypes": ["external"]},
            ],
        },
    ],
}


def test_a_declared_schema_says_what_its_document_says():
    schema = schema_from_json(DECLARED)

    assert (schema.id, schema.name) == (DECLARED["id"], "Building")
    assert schema.by_key["floor"].type is Type.INTEGER
    assert schema.by_key["badges"].multi_valued and schema.by_key["badges"].case_exact
    assert schema.by_key["desk"].by_key["value"].mutability is Mutability.IMMUTABLE
    assert schema.by_key["desk"].by_key["$ref"].reference_types == ("external",)


def test_what_discovery_shows_of_a_schema_can_be_read_back():
    shown = schema_document("https://example.com", schema_from_json(DECLARED))

    assert schema_document("https://example.com", schema_from_json(shown)) == shown


def test_references_and_binary_values_are_case_exact_where_nothing_else_is_declared():
    """RFC 7643 §2.3.6, §2.3.7."""
    attributes = [
        {"name": "page", "type": "reference"},
        {"name": "seal", "type": "binary"},
        {"name": "site", "type": "reference", "caseExact": False},
        {"name": "word", "type": "string"},
    ]

    schema = schema_from_json({**DECLARED, "attributes": attributes})

    assert [attribute.case_exact for attribute in schema.attributes] == [True, True, False, False]


def test_an_extension_is_added_to_a_copy_of_the_resource_type():
    extended = with_extensions(USER, [schema_from_json(DECLARED)])

    assert [schema.id for schema in extended.extensions] == [ENTERPRISE_URN, SEAT_URN, DECLARED["id"]]
    assert len(USER.extensions) == 2


@pytest.mark.parametrize("urn", [ENTERPRISE_URN, SEAT_URN.upper().replace("URN:", "urn:")])
def test_a_urn_can_be_used_once(urn):
    with pytest.raises(InvalidValue, match="already"):
        with_extensions(USER, [schema_from_json({**DECLARED, "id": urn})])


def declared(**attribute):
    return {**DECLARED, "attributes": [{"name": "floor", **attribute}]}


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        pytest.param({**DECLARED, "id": None}, "URN", id="no id"),
        pytest.param({**DECLARED, "id": "building"}, "URN", id="an id that is no URN"),
        pytest.param({**DECLARED, "id": "urn:example:a b"}, "URN", id="a URN with a space"),
        pytest.param({**DECLARED, "id": "urn:example:a:"}, "URN", id="a URN that ends in a colon"),
        pytest.param({**DECLARED, "attributes": []}, "at least one", id="no attributes"),
        pytest.param({**DECLARED, "attributes": "floor"}, "list", id="attributes that are no list"),
        pytest.param({**DECLARED, "attributes": ["floor"]}, "name", id="an attribute that is no object"),
        pytest.param(declared(name="a.b"), "name", id="a name with a dot"),
        pytest.param(declared(name="1st"), "name", id="a name that begins with a digit"),
        pytest.param(declared(type="date"), "date", id="an unknown type"),
        pytest.param(declared(type=["string"]), "floor", id="a type that is a list"),
        pytest.param(declared(mutability="sometimes"), "sometimes", id="an unknown mutability"),
        pytest.param(declared(returned="maybe"), "maybe", id="an unknown returned"),
        pytest.param(declared(uniqueness="server"), "uniqueness", id="uniqueness that is not enforced"),
        pytest.param(declared(required="yes"), "required", id="a flag that is no boolean"),
        pytest.param(declared(canonicalValues="a"), "canonicalValues", id="a text for a list"),
        pytest.param(declared(type="complex"), "subAttributes", id="complex without sub-attributes"),
        pytest.param(
            declared(subAttributes=[{"name": "a"}]),
            "subAttributes",
            id="sub-attributes of a simple attribute",
        ),
        pytest.param(
            declared(type="complex", subAttributes=5), "subAttributes", id="sub-attributes: a number"
        ),
        pytest.param(
            declared(type="complex", subAttributes=[{"name": "a", "type": "complex"}]),
            "complex",
            id="complex within complex",
        ),
        pytest.param(
            {**DECLARED, "attributes": [{"name": "floor"}, {"name": "FLOOR"}]}, "twice", id="a name twice"
        ),
        pytest.param([], "object", id="a list instead of an object"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_with_the_reason(document, complaint):
    with pytest.raises(InvalidValue, match=complaint):
        schema_from_json(document)


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
ATTRIBUTE_MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        name: SCALARS | st.lists(SCALARS, max_size=2) | st.sampled_from(["complex", "never", "a"])
        for name in (*CHARACTERISTICS, "name", "description", "subAttributes")
    },
)


@given(st.fixed_dictionaries({"id": st.just("urn:a:b"), "attributes": st.lists(ATTRIBUTE_MEMBERS) | SCALARS}))
def test_whatever_is_declared_becomes_a_schema_or_invalid_value(document):
    try:
        schema = schema_from_json(document)
    except InvalidValue:
        return
    assert all(isinstance(attribute, Attribute) for attribute in schema.attributes)
