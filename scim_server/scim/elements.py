"""Elements of multi-valued attributes: which of them mean the same (RFC 7643 §2.4, RFC 7644 §3.5.2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


class Named:
    """The elements that a value list names: each by ``value`` and ``type`` as far as it has them, else by all it says.

    ``looks`` is how often an element is compared to find out whether it is one of them.
    """

    def __init__(self, attribute: Attribute, listed: Iterable[Any]) -> None:
        self._attribute = attribute
        self._names: set[tuple[str, str | None]] = set()
        self._descriptions: list[Json] = []
        for wanted in (comparable(attribute, named) for named in listed):
            if isinstance(wanted, dict) and "value" not in wanted:
                self._descriptions.append(wanted)
            else:
                self._names.add((_value_of(wanted), _type_of(wanted)))

    @property
    def looks(self) -> int:
        return 1 + len(self._descriptions)

    def __contains__(self, element: Any) -> bool:
        present = comparable(self._attribute, element)
        value = _value_of(present)
        if (value, None) in self._names or (value, _type_of(present)) in self._names:
            return True
        return any(
            all(present.get(name) == item for name, item in wanted.items()) for wanted in self._descriptions
        )


def _value_of(element: Any) -> str:
    return repr(element.get("value") if isinstance(element, dict) else element)


def _type_of(element: Any) -> str | None:
    return element.get("type") if isinstance(element, dict) else None
