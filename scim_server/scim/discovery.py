"""The discovery documents, derived from the definitions (RFC 7643 §5–§7, RFC 7644 §4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scim_server.scim.attributes import Attribute, ResourceType, Schema, Type
from scim_server.scim.service_schemas import (
    CONFIG_URN,
    RESOURCE_TYPE_URN,
    SCHEMA_URN,
    SERVICE_SCHEMAS,
)
from scim_server.scim.values import Json


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The numbers that ServiceProviderConfig promises; each is enforced at exactly its value."""

    bulk_max_operations: int
    bulk_max_payload_bytes: int
    max_results: int
    default_page: int
    cursor_seconds: int


def service_provider_config(base_url: str, capabilities: Capabilities) -> Json:
    """Return what this service can do (RFC 7643 §5, RFC 9865 §4)."""
    return {
        "schemas": [CONFIG_URN],
        "patch": {"supported": True},
        "bulk": {
            "supported": True,
            "maxOperations": capabilities.bulk_max_operations,
            "maxPayloadSize": capabilities.bulk_max_payload_bytes,
        },
        "filter": {"supported": True, "maxResults": capabilities.max_results},
        "changePassword": {"supported": True},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": capabilities.default_page,
            "maxPageSize": capabilities.max_results,
            "cursorTimeout": capabilities.cursor_seconds,
        },
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A token that the organization's owner made for this client.",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": f"{base_url}/ServiceProviderConfig",
        },
    }


def resource_type_document(base_url: str, resource_type: ResourceType) -> Json:
    """Return a resource type (RFC 7643 §6).

    Extensions that are shown on request only are not declared: clients that make their
    models from this would expect them, and try to write them.
    """
    declared = [schema for schema in resource_type.extensions if schema.is_shown_by_default]
    return {
        "schemas": [RESOURCE_TYPE_URN],
        "id": resource_type.name,
        "name": resource_type.name,
        "endpoint": resource_type.endpoint,
        "description": resource_type.description,
        "schema": resource_type.schema.id,
        "schemaExtensions": [{"schema": schema.id, "required": False} for schema in declared],
        "meta": {
            "resourceType": "ResourceType",
            "location": f"{base_url}/ResourceTypes/{resource_type.name}",
        },
    }


def schema_document(base_url: str, schema: Schema) -> Json:
    """Return a schema with every characteristic of every attribute (RFC 7643 §7)."""
    return {
        "schemas": [SCHEMA_URN],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": [attribute_document(attribute) for attribute in schema.attributes],
        "meta": {"resourceType": "Schema", "location": f"{base_url}/Schemas/{schema.id}"},
    }


def schemas_of(resource_types: Iterable[ResourceType]) -> list[Schema]:
    """Return every schema once: those of resources in the order of the types, then those of discovery itself."""
    by_key = {schema.key: schema for resource_type in resource_types for schema in resource_type.schemas}
    return [*by_key.values(), *SERVICE_SCHEMAS]


def attribute_document(attribute: Attribute) -> Json:
    """Return one attribute definition; what does not apply to its type is left out, never null."""
    document: dict[str, Any] = {
        "name": attribute.name,
        "type": attribute.type.value,
        "multiValued": attribute.multi_valued,
        "description": attribute.description,
        "required": attribute.required,
        "caseExact": attribute.case_exact,
        "mutability": attribute.mutability.value,
        "returned": attribute.returned.value,
        "uniqueness": attribute.uniqueness.value,
    }
    if attribute.canonical_values:
        document["canonicalValues"] = list(attribute.canonical_values)
    if attribute.type is Type.REFERENCE:
        document["referenceTypes"] = list(attribute.reference_types)
    if attribute.sub_attributes:
        document["subAttributes"] = [attribute_document(sub) for sub in attribute.sub_attributes]
    return document
