"""What of a document is kept a second time, in the form in which filters compare it.

Singular attributes go into one flat JSON object (the ``search`` column) by their path,
every element of a multi-valued attribute into a row of ``attribute_values``. Text that is
compared without case is folded here, once, at the write; so one comparison by code points
serves on both databases. Attributes that have a column of their own are in neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from scim_server.errors import InvalidValue
from scim_server.scim.attributes import Attribute, ResourceType, Type
from scim_server.scim.values import Json, fold, parse_date_time

# The longest text, in bytes, that an index takes on PostgreSQL with the other columns beside it.
MAX_KEY_BYTES = 1024

# A resource is read whole, and written into the event log twice where it changes. People have one kilobyte or two.
MAX_DOCUMENT_BYTES = 1024 * 1024

# Attributes of a user or a group that have a column: never in `search`.
COLUMN_KEYS = frozenset(
    {"schemas", "id", "meta", "username", "externalid", "displayname", "active", "password"}
)

_IN_VALUE_COLUMN = frozenset({Type.STRING})


def key_of(attribute: Attribute, text: str) -> str:
    """Return the text as it is compared and indexed. Raises InvalidValue where it is too long for an index."""
    key = fold(text) if attribute.is_folded else text
    if len(key) > MAX_KEY_BYTES // 4 and len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidValue(
            f"{attribute.name} is longer than {MAX_KEY_BYTES} bytes, the most that can be searched for."
        )
    return key


def text_of(document: Json) -> str:
    """Return the JSON text of a document. Raises InvalidValue where it is larger than any resource needs to be."""
    text = orjson.dumps(document)
    if len(text) > MAX_DOCUMENT_BYTES:
        raise InvalidValue(
            f"The resource would be larger than {MAX_DOCUMENT_BYTES} bytes; leave out some of its values."
        )
    return text.decode()


def comparable(attribute: Attribute, value: Any) -> Any:
    """Return a value in the form in which ``search`` and ``element`` hold it: folded, dates of one width."""
    if attribute.type is Type.DATE_TIME:
        return instant_text(value)
    return fold(value) if attribute.is_folded and isinstance(value, str) else value


def instant_text(value: str) -> str:
    """Return a dateTime as text that sorts as the instants do."""
    return parse_date_time(value).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def has_value_column(attribute: Attribute) -> bool:
    """Whether the ``value`` of an element is in the indexed column; if not it is in the element's JSON.

    Binary values and references (photos may be data URIs) can be longer than an index takes.
    """
    value = attribute.by_key.get("value") if attribute.is_complex else attribute
    return value is not None and value.type in _IN_VALUE_COLUMN


def search_document(resource_type: ResourceType, document: Json) -> Json:
    """Return the singular attributes of a document by path, as filters compare them.

    An extension that there is data of is itself a key, so that ``schemas`` can be filtered.
    """
    found = dict(_singular("", resource_type.schema.by_key, document, skip=COLUMN_KEYS))
    for extension in resource_type.extensions:
        if extension.id in document:
            found[extension.key] = True
            found.update(
                _singular(f"{extension.key}:", extension.by_key, document[extension.id], skip=frozenset())
            )
    return found


def named_tier(document: Json) -> str | None:
    """Return the tier that the identity provider names for a user (seat rule C3), whatever it is called there.

    It stands in ``entitlements[type eq "seat"]`` or in ``roles[type eq "seatType"]``.
    """
    for attribute, type_ in (("entitlements", "seat"), ("roles", "seattype")):
        for element in document.get(attribute, ()):
            if fold(element.get("type", "")) == type_ and element.get("value"):
                return fold(element["value"])[:MAX_KEY_BYTES]
    return None


def value_rows(resource_type: ResourceType, document: Json) -> list[dict[str, Any]]:
    """Return a row of ``attribute_values`` for each element of each multi-valued attribute."""
    rows = list(_rows("", resource_type.schema.by_key, document, skip=resource_type.relation))
    for extension in resource_type.extensions:
        if extension.id in document:
            rows.extend(_rows(f"{extension.key}:", extension.by_key, document[extension.id], skip=None))
    return rows


def _singular(
    prefix: str, attributes: Mapping[str, Attribute], values: Json, *, skip: frozenset[str]
) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        attribute = attributes.get(name.lower())
        if attribute is None or attribute.multi_valued or attribute.key in skip:
            continue
        if not attribute.is_complex:
            yield prefix + attribute.key, comparable(attribute, value)
            continue
        for sub_name, sub_value in value.items():
            sub = attribute.by_key[sub_name.lower()]
            yield f"{prefix}{attribute.key}.{sub.key}", comparable(sub, sub_value)


def _rows(
    prefix: str, attributes: Mapping[str, Attribute], values: Json, *, skip: str | None
) -> Iterator[dict[str, Any]]:
    for name, elements in values.items():
        attribute = attributes.get(name.lower())
        if attribute is None or not attribute.multi_valued or attribute.key == skip:
            continue
        for ordinal, element in enumerate(elements):
            whole = element if attribute.is_complex else {"value": element}
            yield {"attribute": prefix + attribute.key, "ordinal": ordinal, **_row(attribute, whole)}


def _row(attribute: Attribute, element: Json) -> dict[str, Any]:
    row: dict[str, Any] = {"value_key": None, "type_key": None, "is_primary": None, "element": None}
    rest: Json = {}
    for name, value in element.items():
        sub = attribute.by_key[name.lower()] if attribute.is_complex else attribute
        key = sub.key if attribute.is_complex else "value"
        if key == "value" and has_value_column(attribute):
            row["value_key"] = key_of(sub, value)
        elif key == "type" and sub.type is Type.STRING:
            row["type_key"] = key_of(sub, value)
        elif key == "primary" and sub.type is Type.BOOLEAN:
            row["is_primary"] = value
        else:
            rest[key] = comparable(sub, value)
    row["element"] = rest or None
    return row
