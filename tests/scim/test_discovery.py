"""The discovery documents (RFC 7643 §5 to §7, RFC 7644 §4, RFC 9865 §4)."""

import pytest

from scim_server.scim.attributes import Mutability, Returned, Type, Uniqueness
from scim_server.scim.discovery import (
    Capabilities,
    resource_type_document,
    schema_document,
    schemas_of,
    service_provider_config,
)
from scim_server.scim.schemas import (
    ENTERPRISE_URN,
    GROUP_URN,
    RESOURCE_TYPES,
    SEAT_URN,
    USER,
    USER_URN,
    with_seat_on_request,
)
from scim_server.scim.service_schemas import CONFIG_URN, RESOURCE_TYPE_URN, SCHEMA_URN, SERVICE_SCHEMAS

BASE = "https://example.com/scim/v2"
CAPABILITIES = Capabilities(
    bulk_max_operations=1000,
    bulk_max_payload_bytes=1_048_576,
    max_results=500,
    default_page=100,
    cursor_seconds=3600,
)
SCHEMAS = schemas_of(RESOURCE_TYPES)
REQUIRED = {
    "name": str,
    "type": str,
    "multiValued": bool,
    "description": str,
    "required": bool,
    "caseExact": bool,
    "mutability": str,
    "returned": str,
    "uniqueness": str,
}


def walk(attributes):
    for attribute in attributes:
        yield attribute
        yield from walk(attribute.get("subAttributes", []))


def leaves(value):
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


def documents():
    yield service_provider_config(BASE, CAPABILITIES)
    yield from (resource_type_document(BASE, resource_type) for resource_type in RESOURCE_TYPES)
    yield from (schema_document(BASE, schema) for schema in SCHEMAS)


@pytest.mark.parametrize("document", list(documents()), ids=lambda d: d["meta"]["location"])
def test_a_document_says_what_and_where_it_is_and_nothing_is_null(document):
    assert document["meta"]["location"].startswith(f"{BASE}/{document['meta']['resourceType']}")
    assert document["schemas"] == [
        f"urn:ietf:params:scim:schemas:core:2.0:{document['meta']['resourceType']}"
    ]
    assert all(leaf is not None and leaf != "" for leaf in leaves(document))


def test_the_numbers_of_the_configuration_are_those_that_are_enforced():
    config = service_provider_config(BASE, CAPABILITIES)

    assert config["bulk"] == {"supported": True, "maxOperations": 1000, "maxPayloadSize": 1_048_576}
    assert config["filter"] == {"supported": True, "maxResults": 500}
    assert config["pagination"] == {
        "cursor": True,
        "index": True,
        "defaultPaginationMethod": "index",
        "defaultPageSize": 100,
        "maxPageSize": 500,
        "cursorTimeout": 3600,
    }


@pytest.mark.parametrize("feature", ["patch", "bulk", "filter", "changePassword", "sort", "etag"])
def test_the_configuration_says_of_every_feature_whether_it_is_supported(feature):
    assert service_provider_config(BASE, CAPABILITIES)[feature]["supported"] is True


def test_the_configuration_names_one_primary_authentication_scheme():
    schemes = service_provider_config(BASE, CAPABILITIES)["authenticationSchemes"]

    assert [scheme["primary"] for scheme in schemes].count(True) == 1
    assert all({"type", "name", "description"} <= scheme.keys() for scheme in schemes)


def test_a_resource_type_names_its_schemas_and_its_endpoint():
    document = resource_type_document(BASE, USER)

    assert (document["id"], document["name"], document["endpoint"]) == ("User", "User", "/Users")
    assert document["schema"] == USER_URN
    assert document["schemaExtensions"] == [
        {"schema": ENTERPRISE_URN, "required": False},
        {"schema": SEAT_URN, "required": False},
    ]
    assert document["meta"]["location"] == f"{BASE}/ResourceTypes/User"


def test_a_resource_type_does_not_name_an_extension_that_is_shown_on_request_only():
    document = resource_type_document(BASE, with_seat_on_request(USER))

    assert [extension["schema"] for extension in document["schemaExtensions"]] == [ENTERPRISE_URN]


def test_every_schema_is_published_once_those_of_discovery_among_them():
    """RFC 7643 §8.7.1, §8.7.2."""
    of_resources = [USER_URN, ENTERPRISE_URN, SEAT_URN, GROUP_URN]

    assert [schema.id for schema in SCHEMAS] == [*of_resources, CONFIG_URN, RESOURCE_TYPE_URN, SCHEMA_URN]


@pytest.mark.parametrize(
    "document",
    [document for document in documents() if document.get("id") != SCHEMA_URN],
    ids=lambda document: document["meta"]["location"],
)
def test_a_discovery_document_is_what_its_schema_says(document):
    """All but the schema of schemas, which has one level more than it tells of (RFC 7643 §8.7.2)."""
    [schema] = [schema for schema in SCHEMAS if schema.id == document["schemas"][0]]

    def check(value, attributes):
        assert value.keys() <= {attribute.name for attribute in attributes}
        for attribute in attributes:
            assert attribute.name in value or not attribute.required, attribute.name
            inner = value.get(attribute.name, [])
            assert isinstance(inner, list) == attribute.multi_valued or attribute.name not in value
            for each in inner if attribute.multi_valued else [inner]:
                if attribute.is_complex and each:
                    check(each, attribute.sub_attributes)

    check(
        {name: value for name, value in document.items() if name not in ("schemas", "meta")},
        schema.attributes,
    )


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda s: s.name)
def test_every_attribute_has_every_characteristic(schema):
    """RFC 7643 §7."""
    for attribute in walk(schema_document(BASE, schema)["attributes"]):
        assert {name: type(attribute[name]) for name in REQUIRED} == REQUIRED
        assert attribute["type"] in set(Type)
        assert attribute["mutability"] in set(Mutability)
        assert attribute["returned"] in set(Returned)
        assert attribute["uniqueness"] in set(Uniqueness)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda s: s.name)
def test_what_does_not_apply_to_an_attribute_is_left_out(schema):
    for attribute in walk(schema_document(BASE, schema)["attributes"]):
        assert ("subAttributes" in attribute) == (attribute["type"] == "complex")
        assert ("referenceTypes" in attribute) == (attribute["type"] == "reference")
        assert attribute.get("canonicalValues") != []


def test_common_attributes_are_in_no_schema():
    """RFC 7643 §3.1: they are part of every resource and not to be listed."""
    of_resources = [schema for schema in SCHEMAS if schema not in SERVICE_SCHEMAS]
    names = {attribute["name"] for s in of_resources for attribute in schema_document(BASE, s)["attributes"]}

    assert names.isdisjoint({"id", "externalId", "meta", "schemas"})


def test_the_documents_are_read_by_scim2_models():
    models = pytest.importorskip("scim2_models", reason="scim2-models is not installed")

    models.ServiceProviderConfig.model_validate(service_provider_config(BASE, CAPABILITIES))
    for resource_type in RESOURCE_TYPES:
        models.ResourceType.model_validate(resource_type_document(BASE, resource_type))
    for schema in SCHEMAS:
        models.Schema.model_validate(schema_document(BASE, schema))
