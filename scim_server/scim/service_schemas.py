"""The schemas of the discovery documents themselves (RFC 7643 §5–§7, §8.7.2; RFC 9865 §4).

No resource has them; they are published so that what ``schemas`` of a discovery document names can be read.
"""

from __future__ import annotations

from typing import Any

from scim_server.scim.attributes import Attribute, Mutability, Returned, Schema, Type, Uniqueness

RESOURCE_TYPE_URN = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
SCHEMA_URN = "urn:ietf:params:scim:schemas:core:2.0:Schema"
CONFIG_URN = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"


def _told(name: str, type_: Type, description: str, **more: Any) -> Attribute:
    """An attribute that this service states and nobody sets."""
    return Attribute(name, type_, description=description, mutability=Mutability.READ_ONLY, **more)


def _text(name: str, description: str, **more: Any) -> Attribute:
    return _told(name, Type.STRING, description, **more)


def _flag(name: str, description: str, **more: Any) -> Attribute:
    return _told(name, Type.BOOLEAN, description, **more)


def _number(name: str, description: str, **more: Any) -> Attribute:
    return _told(name, Type.INTEGER, description, **more)


def _address(name: str, description: str, kind: str, **more: Any) -> Attribute:
    return _told(name, Type.REFERENCE, description, reference_types=(kind,), case_exact=True, **more)


def _complex(name: str, description: str, *subs: Attribute, **more: Any) -> Attribute:
    return _told(name, Type.COMPLEX, description, sub_attributes=subs, **more)


def _feature(name: str, of: str, *subs: Attribute) -> Attribute:
    supported = _flag("supported", f"Whether {of} is supported.", required=True)
    return _complex(name, f"What is supported of {of}.", supported, *subs, required=True)


CONFIG_SCHEMA = Schema(
    CONFIG_URN,
    "Service Provider Configuration",
    "What this service can do, and within which limits.",
    (
        _address("documentationUri", "Where help for people can be read.", "external"),
        _feature("patch", "PATCH"),
        _feature(
            "bulk",
            "Bulk",
            _number("maxOperations", "The most operations of a request.", required=True),
            _number("maxPayloadSize", "The most bytes of a request.", required=True),
        ),
        _feature(
            "filter",
            "filters",
            _number("maxResults", "The most resources of an answer.", required=True),
        ),
        _feature("changePassword", "a change of the password"),
        _feature("sort", "sorting"),
        _feature("etag", "entity tags"),
        _complex(
            "pagination",
            "How long lists are read page by page.",
            _flag("cursor", "Whether pages are read by cursor.", required=True),
            _flag("index", "Whether pages are read by index.", required=True),
            _text(
                "defaultPaginationMethod",
                "How, where a client does not say.",
                canonical_values=("cursor", "index"),
            ),
            _number("defaultPageSize", "How many resources a page has where a client does not say."),
            _number("maxPageSize", "The most resources of a page."),
            _number("cursorTimeout", "For how many seconds a cursor is valid."),
        ),
        _complex(
            "authenticationSchemes",
            "How clients say who they are.",
            _text(
                "type",
                "The kind of the scheme.",
                required=True,
                canonical_values=("oauth", "oauth2", "oauthbearertoken", "httpbasic", "httpdigest"),
            ),
            _text("name", "What the scheme is called.", required=True),
            _text("description", "What the scheme is.", required=True),
            _address("specUri", "Where the scheme is specified.", "external"),
            _address("documentationUri", "Where the use of the scheme is explained.", "external"),
            _flag("primary", "Whether this is the preferred scheme."),
            multi_valued=True,
            required=True,
        ),
    ),
)

RESOURCE_TYPE_SCHEMA = Schema(
    RESOURCE_TYPE_URN,
    "ResourceType",
    "A kind of resource: where it is found, and which schemas it has.",
    (
        _text("id", "The identifier of the resource type; the same as its name."),
        _text("name", "The name of the resource type.", required=True),
        _text("description", "What the resources are."),
        _address("endpoint", "Where the resources are found, behind the base address.", "uri", required=True),
        _address("schema", "The URN of the base schema.", "uri", required=True),
        _complex(
            "schemaExtensions",
            "The extensions of the base schema.",
            _address("schema", "The URN of the extension.", "uri", required=True),
            _flag("required", "Whether every resource must have attributes of it.", required=True),
            multi_valued=True,
            required=True,
        ),
    ),
)


def _characteristics(of: str) -> tuple[Attribute, ...]:
    """What is told of an attribute or a sub-attribute (RFC 7643 §7)."""
    return (
        _text("name", f"The name of the {of}.", required=True, case_exact=True),
        _text("type", f"The data type of the {of}.", required=True, canonical_values=tuple(Type)),
        _flag("multiValued", f"Whether the {of} can have several values.", required=True),
        _text("description", f"What the {of} is.", case_exact=True),
        _flag("required", f"Whether the {of} must have a value."),
        _text("canonicalValues", "Values that are expected.", multi_valued=True, case_exact=True),
        _flag("caseExact", "Whether letter case counts where values are compared."),
        _text("mutability", "Who can set it, and when.", case_exact=True, canonical_values=tuple(Mutability)),
        _text("returned", "When it is answered.", case_exact=True, canonical_values=tuple(Returned)),
        _text(
            "uniqueness",
            "How far its values are unique.",
            case_exact=True,
            canonical_values=tuple(Uniqueness),
        ),
        _text("referenceTypes", "What can be referred to.", multi_valued=True, case_exact=True),
    )


SCHEMA_SCHEMA = Schema(
    SCHEMA_URN,
    "Schema",
    "Which attributes a resource can have.",
    (
        _text("id", "The URN of the schema.", required=True),
        _text("name", "The name of the schema.", required=True),
        _text("description", "What the schema is for."),
        _complex(
            "attributes",
            "The attributes of the schema.",
            *_characteristics("attribute"),
            _complex(
                "subAttributes",
                "The attributes of a complex attribute.",
                *_characteristics("sub-attribute"),
                multi_valued=True,
            ),
            multi_valued=True,
            required=True,
        ),
    ),
)

SERVICE_SCHEMAS = (CONFIG_SCHEMA, RESOURCE_TYPE_SCHEMA, SCHEMA_SCHEMA)
