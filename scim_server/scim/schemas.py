"""The resource types and their schemas: the only definitions (RFC 7643 §3.1, §4, §8.7)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from scim_server.errors import InvalidValue
from scim_server.scim.attributes import (
    Attribute,
    Mutability,
    ResourceType,
    Returned,
    Schema,
    Type,
    Uniqueness,
)
from scim_server.scim.values import Json

USER_URN = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
SEAT_URN = "urn:scim-seats:params:scim:schemas:extension:seat:2.0:User"

_READ_ONLY = Mutability.READ_ONLY
_IMMUTABLE = Mutability.IMMUTABLE


def _text(name: str, description: str, **more: Any) -> Attribute:
    return Attribute(name, description=description, **more)


def _reference(name: str, description: str, *types: str, **more: Any) -> Attribute:
    return Attribute(
        name, Type.REFERENCE, description=description, reference_types=types, case_exact=True, **more
    )


def _complex(name: str, description: str, *subs: Attribute, **more: Any) -> Attribute:
    return Attribute(name, Type.COMPLEX, description=description, sub_attributes=subs, **more)


def _primary(of: str) -> Attribute:
    return Attribute(
        "primary",
        Type.BOOLEAN,
        description=f"Whether this is the preferred {of}; true for one value at most.",
    )


def _values(name: str, of: str, description: str, *types: str, value: Attribute | None = None) -> Attribute:
    """A multi-valued attribute with the default sub-attributes of RFC 7643 §2.4."""
    return _complex(
        name,
        description,
        value or _text("value", f"The {of}."),
        _text("display", f"A name of the {of} for people to read."),
        _text("type", f"What the {of} is for.", canonical_values=types),
        _primary(of),
        multi_valued=True,
    )


COMMON = (
    _text(
        "id",
        "The identifier that this service gave the resource.",
        case_exact=True,
        mutability=_READ_ONLY,
        returned=Returned.ALWAYS,
        uniqueness=Uniqueness.SERVER,
    ),
    _text("externalId", "The identifier that the client knows the resource by.", case_exact=True),
    _complex(
        "meta",
        "Facts about the resource itself.",
        _text("resourceType", "The name of the resource type.", case_exact=True, mutability=_READ_ONLY),
        Attribute(
            "created", Type.DATE_TIME, description="When the resource was created.", mutability=_READ_ONLY
        ),
        Attribute(
            "lastModified",
            Type.DATE_TIME,
            description="When the resource was last changed.",
            mutability=_READ_ONLY,
        ),
        _reference("location", "The address of the resource.", "uri", mutability=_READ_ONLY),
        _text("version", "The entity tag of the resource.", case_exact=True, mutability=_READ_ONLY),
        mutability=_READ_ONLY,
    ),
    Attribute(
        "schemas",
        Type.REFERENCE,
        multi_valued=True,
        description="The URNs of the schemas that the resource has attributes of.",
        case_exact=True,
        returned=Returned.ALWAYS,
        reference_types=("uri",),
    ),
)

_NAME = _complex(
    "name",
    "The parts of the person's name.",
    _text("formatted", "The full name, ready to be shown."),
    _text("familyName", "The family name."),
    _text("givenName", "The given name."),
    _text("middleName", "The middle names."),
    _text("honorificPrefix", "Titles before the name."),
    _text("honorificSuffix", "What stands behind the name."),
)

_ADDRESSES = _complex(
    "addresses",
    "Postal addresses.",
    _text("formatted", "The full address, ready to be shown."),
    _text("streetAddress", "Street, house number, what else is on the line."),
    _text("locality", "City or place."),
    _text("region", "State or region."),
    _text("postalCode", "Postal code."),
    _text("country", "Country, two letters of ISO 3166-1."),
    _text("type", "What the address is for.", canonical_values=("work", "home", "other")),
    _primary("address"),
    multi_valued=True,
)

_GROUPS = _complex(
    "groups",
    "The groups that the person is a direct member of; changed through the groups.",
    _text("value", "The id of the group.", case_exact=True, mutability=_READ_ONLY),
    _reference("$ref", "The address of the group.", "User", "Group", mutability=_READ_ONLY),
    _text("display", "The group's display name.", mutability=_READ_ONLY),
    _text(
        "type",
        "How the membership came about.",
        canonical_values=("direct", "indirect"),
        mutability=_READ_ONLY,
    ),
    multi_valued=True,
    mutability=_READ_ONLY,
)

USER_SCHEMA = Schema(
    USER_URN,
    "User",
    "User Account",
    (
        _text(
            "userName",
            "What the person signs in with; unique, in any letter case.",
            required=True,
            uniqueness=Uniqueness.SERVER,
        ),
        _NAME,
        _text("displayName", "The name that is shown to others."),
        _text("nickName", "What the person is called."),
        _reference("profileUrl", "The address of a page about the person.", "external"),
        _text("title", "Job title."),
        _text("userType", "The relation to the organization, such as Employee or Contractor."),
        _text("preferredLanguage", "The language the person prefers, as in Accept-Language."),
        _text("locale", "How dates, numbers and money are shown to the person."),
        _text("timezone", "The person's time zone, as the IANA database names it."),
        Attribute("active", Type.BOOLEAN, description="Whether the person may use the service."),
        _text(
            "password",
            "A secret that is taken and never shown.",
            case_exact=True,
            mutability=Mutability.WRITE_ONLY,
            returned=Returned.NEVER,
        ),
        _values("emails", "e-mail address", "E-mail addresses.", "work", "home", "other"),
        _values(
            "phoneNumbers",
            "phone number",
            "Phone numbers.",
            "work",
            "home",
            "mobile",
            "fax",
            "pager",
            "other",
        ),
        _values(
            "ims",
            "instant messaging address",
            "Instant messaging addresses.",
            "aim",
            "gtalk",
            "icq",
            "xmpp",
            "msn",
            "skype",
            "qq",
            "yahoo",
        ),
        _values(
            "photos",
            "photo",
            "Addresses of photos of the person.",
            "photo",
            "thumbnail",
            value=_reference("value", "The address of the photo.", "external"),
        ),
        _ADDRESSES,
        _GROUPS,
        _values("entitlements", "entitlement", "What the person has been granted."),
        _values("roles", "role", "What the person is to the organization."),
        _values(
            "x509Certificates",
            "certificate",
            "Certificates of the person.",
            value=Attribute(
                "value", Type.BINARY, description="The certificate, DER in Base64.", case_exact=True
            ),
        ),
    ),
)

ENTERPRISE_SCHEMA = Schema(
    ENTERPRISE_URN,
    "EnterpriseUser",
    "What an organization knows of its people.",
    (
        _text("employeeNumber", "The number that the organization gave the person."),
        _text("costCenter", "Cost center."),
        _text("organization", "Organization."),
        _text("division", "Division."),
        _text("department", "Department."),
        _complex(
            "manager",
            "The person's manager.",
            _text("value", "The id of the manager.", case_exact=True),
            _reference("$ref", "The address of the manager.", "User"),
            _text("displayName", "The manager's name.", mutability=_READ_ONLY),
        ),
    ),
)

SEAT_SCHEMA = Schema(
    SEAT_URN,
    "Seat",
    "The seat that the person has been given; decided by this service.",
    (
        _text("tier", "The tier of the seat, or unassigned.", mutability=_READ_ONLY),
        _text(
            "source",
            "Where the claim to the seat comes from.",
            canonical_values=("default", "jit", "mapping", "override", "none"),
            mutability=_READ_ONLY,
        ),
        _text(
            "status",
            "Whether the person has what they should have.",
            canonical_values=("assigned", "held_waiting", "waiting", "unassigned", "released"),
            mutability=_READ_ONLY,
        ),
        _text("desiredTier", "The tier that the person waits for, or any.", mutability=_READ_ONLY),
        Attribute(
            "waitingSince", Type.DATE_TIME, description="Since when the person waits.", mutability=_READ_ONLY
        ),
        Attribute(
            "canUse",
            Type.BOOLEAN,
            description="Whether the person can use the product now.",
            mutability=_READ_ONLY,
        ),
    ),
)

SEAT_ON_REQUEST = replace(
    SEAT_SCHEMA,
    attributes=tuple(replace(a, returned=Returned.REQUEST) for a in SEAT_SCHEMA.attributes),
)

GROUP_SCHEMA = Schema(
    GROUP_URN,
    "Group",
    "Group",
    (
        _text("displayName", "The name of the group.", required=True),
        _complex(
            "members",
            "Who belongs to the group.",
            _text("value", "The id of the member.", case_exact=True, mutability=_IMMUTABLE),
            _reference("$ref", "The address of the member.", "User", "Group", mutability=_IMMUTABLE),
            _text(
                "type",
                "What the member is.",
                canonical_values=("User", "Group"),
                mutability=_IMMUTABLE,
            ),
            _text("display", "A name of the member for people to read.", mutability=_READ_ONLY),
            multi_valued=True,
        ),
    ),
)

USER = ResourceType(
    "User", "/Users", "User Account", USER_SCHEMA, extensions=(ENTERPRISE_SCHEMA, SEAT_SCHEMA), common=COMMON
)
GROUP = ResourceType("Group", "/Groups", "Group", GROUP_SCHEMA, common=COMMON, relation="members")
RESOURCE_TYPES = (USER, GROUP)

_NAME_SYNTAX = re.compile(r"[A-Za-z$][A-Za-z0-9_-]{0,63}", re.ASCII)
_URN_SYNTAX = re.compile(
    r"urn:[A-Za-z0-9][A-Za-z0-9-]{0,31}:[A-Za-z0-9._~:/-]{0,199}[A-Za-z0-9._~/-]", re.ASCII
)

_RESERVED = ("urn:ietf:params:scim:schemas:core:", "urn:ietf:params:scim:api:")


def with_seat_on_request(resource_type: ResourceType) -> ResourceType:
    """Return the resource type with a seat extension that is ``returned: request``.

    A client then reads back what it wrote, and nothing else.
    """
    extensions = tuple(
        SEAT_ON_REQUEST if extension is SEAT_SCHEMA else extension for extension in resource_type.extensions
    )
    return replace(resource_type, extensions=extensions)


def with_extensions(resource_type: ResourceType, schemas: Iterable[Schema]) -> ResourceType:
    """Return a resource type with further extensions. Raises InvalidValue for a URN that is taken."""
    extensions = [*resource_type.extensions]
    for schema in schemas:
        for other in (resource_type.schema, *extensions):
            if schema.key == other.key:
                raise InvalidValue(f"There is a schema {schema.id} already.")
            if _is_path_in(other, schema.key) or _is_path_in(schema, other.key):
                raise InvalidValue(f"{schema.id} and {other.id}: one is an attribute of the other.")
        extensions.append(schema)
    return replace(resource_type, extensions=tuple(extensions))


def _is_path_in(schema: Schema, urn: str) -> bool:
    """Whether a URN could be read as the path of an attribute of a schema."""
    prefix = schema.key + ":"
    return urn.startswith(prefix) and re.split("[:.]", urn.removeprefix(prefix))[0] in schema.by_key


def schema_from_json(document: Any) -> Schema:
    """Read a schema in the form of RFC 7643 §7. Raises InvalidValue that says what is wrong with it."""
    if not isinstance(document, dict):
        raise InvalidValue("A schema must be a JSON object.")
    urn = document.get("id")
    if not isinstance(urn, str) or not _URN_SYNTAX.fullmatch(urn):
        raise InvalidValue("id must be a URN of letters, digits and . _ ~ : / -.")
    if urn.lower().startswith(_RESERVED):
        raise InvalidValue(f"{urn}: such URNs are those of the protocol itself; take one of your own.")
    attributes = document.get("attributes")
    if not isinstance(attributes, list) or not attributes:
        raise InvalidValue(f"{urn}: attributes must be a list with at least one attribute.")
    return Schema(
        urn,
        _words(document.get("name"), urn),
        _words(document.get("description"), urn),
        _attributes_from_json(attributes, urn),
    )


def _attributes_from_json(documents: list[Any], where: str) -> tuple[Attribute, ...]:
    attributes = tuple(_attribute_from_json(document, where) for document in documents)
    if len({attribute.key for attribute in attributes}) < len(attributes):
        raise InvalidValue(f"{where}: a name is used twice.")
    return attributes


def _attribute_from_json(document: Any, where: str) -> Attribute:
    name = document.get("name") if isinstance(document, dict) else None
    if not isinstance(name, str) or not _NAME_SYNTAX.fullmatch(name):
        raise InvalidValue(f"{where}: an attribute's name must be letters, digits, - and _, up to 64.")
    at = f"{where}:{name}"
    try:
        type_ = Type(document.get("type", "string"))
        mutability = Mutability(document.get("mutability", "readWrite"))
        returned = Returned(document.get("returned", "default"))
        uniqueness = Uniqueness(document.get("uniqueness", "none"))
    except ValueError as error:
        raise InvalidValue(f"{at}: {error}.") from error
    if uniqueness is not Uniqueness.NONE:
        raise InvalidValue(f"{at}: uniqueness is kept for the built-in attributes only; say none.")
    required = _flag(document, "required", at)
    if mutability is Mutability.READ_ONLY and required:
        raise InvalidValue(f"{at}: what is readOnly cannot be required: nobody could send it.")
    if mutability is Mutability.WRITE_ONLY and returned is not Returned.NEVER:
        raise InvalidValue(f"{at}: what is writeOnly must be returned: never (RFC 7643 §7).")
    subs = document.get("subAttributes") or []
    if not isinstance(subs, list):
        raise InvalidValue(f"{at}: subAttributes must be a list.")
    if (type_ is Type.COMPLEX) != bool(subs):
        raise InvalidValue(f"{at}: a complex attribute, and no other, has subAttributes.")
    if any(isinstance(sub, dict) and sub.get("type") == "complex" for sub in subs):
        raise InvalidValue(f"{at}: a sub-attribute cannot be complex (RFC 7643 §2.3.8).")
    if any(isinstance(sub, dict) and sub.get("multiValued") is True for sub in subs):
        raise InvalidValue(f"{at}: a sub-attribute cannot be multi-valued: no filter could look into it.")
    return Attribute(
        name,
        type_,
        multi_valued=_flag(document, "multiValued", at),
        description=_words(document.get("description"), name),
        required=required,
        case_exact=_flag(document, "caseExact", at, otherwise=type_ in (Type.REFERENCE, Type.BINARY)),
        mutability=mutability,
        returned=returned,
        canonical_values=_texts(document, "canonicalValues", at),
        reference_types=_texts(document, "referenceTypes", at),
        sub_attributes=_attributes_from_json(subs, at) if subs else (),
    )


def _flag(document: Json, name: str, at: str, *, otherwise: bool = False) -> bool:
    value = document.get(name, otherwise)
    if not isinstance(value, bool):
        raise InvalidValue(f"{at}: {name} must be true or false.")
    return value


def _texts(document: Json, name: str, at: str) -> tuple[str, ...]:
    values = document.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InvalidValue(f"{at}: {name} must be a list of texts.")
    return tuple(values)


def _words(value: Any, otherwise: str) -> str:
    return value if isinstance(value, str) else otherwise
