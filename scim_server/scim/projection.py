"""Which attributes go back (RFC 7644 §3.9, RFC 7643 §7 ``returned``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from scim_server.errors import InvalidPath
from scim_server.scim.attributes import Attribute, Mutability, ResourceType, Returned
from scim_server.scim.matching import elements_at, values_of
from scim_server.scim.paths import AttributePath, resolve
from scim_server.scim.values import Json

_LONGEST_REMEMBERED = 2_000  # characters of names


@dataclass(frozen=True, slots=True)
class Projection:
    """What of a resource a client wants to see.

    ``included`` None: all that is returned by default, without ``excluded``; else only what it names.
    ``said``: what is returned on request only and the client itself has just written (RFC 7643 §7).
    Keys are those of ``AttributePath``.
    """

    resource_type: ResourceType
    included: frozenset[str] | None
    excluded: frozenset[str]
    said: frozenset[str] = frozenset()

    @property
    def is_default(self) -> bool:
        """Whether a stored document goes back as it is."""
        return self.included is None and not self.excluded and _all_by_default(self.resource_type)

    def wants(self, key: str) -> bool:
        """Whether any part of a top-level attribute is wanted; what is not need not be read."""
        if self.included is not None:
            return any(name == key or name.startswith(key + ".") for name in self.included)
        return key not in self.excluded

    def apply(self, resource: Json) -> Json:
        """Return the resource with the wanted attributes only."""
        kept: Json = {}
        for name, value in resource.items():
            attribute = self.resource_type.by_key.get(name.lower())
            if attribute is not None:
                self._keep(kept, attribute, value, "")
                continue
            extension = self.resource_type.extension_by_key.get(name.lower())
            if extension is not None:
                part: Json = {}
                for sub_name, sub_value in value.items():
                    self._keep(part, extension.by_key[sub_name.lower()], sub_value, f"{extension.key}:")
                if part:
                    kept[name] = part
        self._drop_hidden_schemas(kept)
        return kept

    def _drop_hidden_schemas(self, kept: Json) -> None:
        """``schemas`` does not name an extension that is shown on request only and was not asked for."""
        hidden = [
            e.id for e in self.resource_type.extensions if not e.is_shown_by_default and e.id not in kept
        ]
        if hidden and "schemas" in kept:
            kept["schemas"] = [urn for urn in kept["schemas"] if urn not in hidden]

    def _keep(self, kept: Json, attribute: Attribute, value: object, prefix: str) -> None:
        key = prefix + attribute.key
        if attribute.returned is Returned.ALWAYS:
            kept[attribute.name] = value
        elif self._is_wanted(attribute, key, prefix):
            inner = self._inside(
                attribute, key, value, whole=self.included is None or self._names(key, prefix)
            )
            if inner not in ({}, []):
                kept[attribute.name] = inner
        elif attribute.is_complex and self.included is not None and self.wants(key):
            inner = self._inside(attribute, key, value, whole=False)
            if inner not in ({}, []):
                kept[attribute.name] = inner

    def _is_wanted(self, attribute: Attribute, key: str, prefix: str) -> bool:
        if attribute.returned is Returned.NEVER:
            return False
        if self.included is not None:
            return self._names(key, prefix)
        return (
            (attribute.returned is Returned.DEFAULT or key in self.said)
            and key not in self.excluded
            and prefix[:-1] not in self.excluded
        )

    def _names(self, key: str, prefix: str) -> bool:
        """Whether the client named the attribute, or the whole extension that it belongs to."""
        assert self.included is not None
        return key in self.included or (bool(prefix) and prefix[:-1] in self.included)

    def _inside(self, attribute: Attribute, key: str, value: object, *, whole: bool) -> object:
        if not attribute.is_complex:
            return value
        if isinstance(value, list):
            elements = [self._sub_attributes(attribute, key, element, whole=whole) for element in value]
            return [element for element in elements if element]
        return self._sub_attributes(attribute, key, value, whole=whole)

    def _sub_attributes(self, attribute: Attribute, key: str, element: object, *, whole: bool) -> object:
        if not isinstance(element, dict):
            return element
        kept = {}
        for name, value in element.items():
            sub = attribute.by_key.get(name.lower())
            if sub is None or sub.returned is Returned.NEVER:
                continue
            sub_key = f"{key}.{sub.key}"
            is_shown = sub.returned is not Returned.REQUEST or sub_key in self.said
            by_default = whole and is_shown and sub_key not in self.excluded
            named = self.included is not None and sub_key in self.included
            if by_default or named or sub.returned is Returned.ALWAYS:
                kept[name] = value
        return kept


def of(
    resource_type: ResourceType, attributes: Sequence[str] | None, excluded: Sequence[str] | None
) -> Projection:
    """Return the projection that ``attributes`` or ``excludedAttributes`` ask for.

    Names that the resource type does not define are left out of account; where both
    parameters are given, ``attributes`` decides.
    """
    asked = None if attributes is None else tuple(attributes)
    unasked = () if excluded is None else tuple(excluded)
    # What is remembered is what clients ask again and again, not what one makes up to fill the memory.
    length = sum(len(name) + 1 for name in (*(asked or ()), *unasked))
    make = _remembered if length <= _LONGEST_REMEMBERED else _made
    return make(resource_type, asked, unasked)


def after_write(wanted: Projection | None, before: Json, after: Json) -> Projection | None:
    """Return the projection of the answer to a change, in which what is returned on request is if it was changed."""
    if wanted is None or wanted.included is not None:
        return wanted
    said = frozenset(
        path.key
        for path in _on_request(wanted.resource_type)
        if _values_at(before, path) != _values_at(after, path)
    )
    return replace(wanted, said=said) if said else wanted


def _made(
    resource_type: ResourceType, attributes: tuple[str, ...] | None, excluded: tuple[str, ...]
) -> Projection:
    if attributes is not None:
        return Projection(resource_type, _keys(resource_type, attributes), frozenset())
    return Projection(resource_type, None, _keys(resource_type, excluded))


_remembered = lru_cache(maxsize=1024)(_made)


def _keys(resource_type: ResourceType, names: Sequence[str]) -> frozenset[str]:
    paths = [_path(resource_type, name) for name in names]
    return frozenset(path.key for path in paths if path is not None)


def _path(resource_type: ResourceType, name: str) -> AttributePath | None:
    """Resolve a name; of ``emails[type eq "work"]``, as Microsoft's collection sends it, the attribute counts."""
    try:
        return resolve(resource_type, name.partition("[")[0], bare_extensions=True)
    except InvalidPath:
        return None


@lru_cache(maxsize=1024)
def _on_request(resource_type: ResourceType) -> tuple[AttributePath, ...]:
    """Return what clients may write and are shown on request only."""
    return tuple(
        AttributePath(extension, attribute, sub)
        for extension, attribute, sub in resource_type.walk()
        if (sub or attribute).returned is Returned.REQUEST
        and Mutability.READ_ONLY not in (attribute.mutability, (sub or attribute).mutability)
    )


def _values_at(document: Json, path: AttributePath) -> list[Any]:
    return [value for element in elements_at(document, path) for value in values_of(path, element)]


@lru_cache(maxsize=1024)
def _all_by_default(resource_type: ResourceType) -> bool:
    """Whether everything that a document can hold is returned by default (``password`` is never in one)."""
    return all(
        (sub or attribute).returned in (Returned.DEFAULT, Returned.ALWAYS)
        for extension, attribute, sub in resource_type.walk()
        if extension is not None or attribute.key != "password"
    )
