"""Elements of multi-valued attributes: which of them mean the same (RFC 7643 §2.4, RFC 7644 §3.5.2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scim_server.scim.attributes import Attribute
from scim_server.scim.values import Json, fold

_WHAT_COUNTS = ("type", "value")


def comparable(attribute: Attribute, value: Any) -> Any:
    """Return a value in the form in which two are compared: without case where the attribute has none."""
    if isinstance(value, dict):
        return {
            name: comparable(sub, item) if (sub := attribute.by_key.get(name.lower())) else item
            for name, item in value.items()
        }
    return fold(value) if isinstance(value, str) and attribute.is_folded else value


def identity(attribute: Attribute, element: Any) -> Any:
    """Return what two elements share that mean the same: type and value, or all but ``primary`` without a value."""
    if not isinstance(element, dict):
        return comparable(attribute, element)
    names = _WHAT_COUNTS if "value" in element else sorted(element.keys() - {"primary"})
    seen = comparable(attribute, {name: element.get(name) for name in names})
    return tuple((name, repr(seen[name])) for name in names)


def merged(attribute: Attribute, present: Sequence[Any], added: Sequence[Any]) -> list[Any]:
    """Return the elements with others added: those that are there already are completed, not repeated."""
    places = {identity(attribute, element): place for place, element in enumerate(present)}
    result = list(present)
    for element in added:
        key = identity(attribute, element)
        place = places.get(key)
        if place is None:
            places[key] = len(result)
            result.append(element)
        elif isinstance(element, dict):
            result[place] = completed(attribute, result[place], element)
    return result


def completed(attribute: Attribute, present: Json, added: Json) -> Json:
    """Return a complex value with what another one says; what means the same already stays as it is."""
    had, has = comparable(attribute, present), comparable(attribute, added)
    return {**present, **{name: item for name, item in added.items() if has[name] != had.get(name)}}


def names(attribute: Attribute, named: Any, element: Any) -> bool:
    """Whether an element of a value list names a stored one: by ``value`` where it has one, else by all it says."""
    wanted, present = comparable(attribute, named), comparable(attribute, element)
    if not isinstance(wanted, dict):
        return bool(wanted == present)
    if "value" in wanted:
        return bool(wanted["value"] == present.get("value"))
    return all(present.get(name) == item for name, item in wanted.items())
