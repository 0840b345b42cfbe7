"""Attribute paths: from a name to the attribute that it names (RFC 7644 §3.10)."""

from __future__ import annotations

from dataclasses import dataclass

from scim_server.errors import InvalidPath
from scim_server.scim.attributes import Attribute, ResourceType, Schema


@dataclass(frozen=True, slots=True)
class AttributePath:
    """An attribute, or one of its sub-attributes, or a whole extension (``attribute`` None).

    ``extension`` is None for the common attributes and those of the base schema.
    """

    extension: Schema | None
    attribute: Attribute | None
    sub: Attribute | None = None

    @property
    def key(self) -> str:
        """The path in lower case, with the URN in front of an extension's attribute."""
        parts = [part.key for part in (self.attribute, self.sub) if part is not None]
        name = ".".join(parts)
        if self.extension is None:
            return name
        return f"{self.extension.key}:{name}" if name else self.extension.key

    @property
    def target(self) -> Attribute:
        """The attribute whose values the path stands for. Not for a whole extension."""
        target = self.sub or self.attribute
        assert target is not None
        return target

    def __str__(self) -> str:
        parts = [part.name for part in (self.attribute, self.sub) if part is not None]
        name = ".".join(parts)
        if self.extension is None:
            return name
        return f"{self.extension.id}:{name}" if name else self.extension.id


def resolve(resource_type: ResourceType, text: str, *, bare_extensions: bool = False) -> AttributePath:
    """Return what a path names, in any letter case, with or without its URN.

    ``bare_extensions`` lets an extension's attribute go without its URN where only one
    extension has it. Raises InvalidPath for what is not defined.
    """
    extension, name = _split_urn(resource_type, text.strip())
    if not name:
        if extension is None:
            raise InvalidPath(f"{shortened(text)!r} names no attribute.")
        return AttributePath(extension, None)
    attribute_name, dot, sub_name = name.partition(".")
    attributes = resource_type.by_key if extension is None else extension.by_key
    attribute = attributes.get(attribute_name.lower())
    if attribute is None and extension is None and bare_extensions and ":" not in text:
        extension, attribute = _bare(resource_type, attribute_name)
    if attribute is None:
        raise InvalidPath(f"{shortened(text)} is no attribute of {resource_type.name}.")
    if not dot:
        return AttributePath(extension, attribute)
    sub = attribute.by_key.get(sub_name.lower())
    if sub is None:
        raise InvalidPath(
            f"{shortened(text)} is no attribute of {resource_type.name}: "
            f"{attribute.name} has no sub-attribute {shortened(sub_name)!r}."
        )
    return AttributePath(extension, attribute, sub)


def shortened(text: str) -> str:
    """Return a client's text as an error message can show it: not too long, and always encodable."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 100 else text[:100] + "…"


def _split_urn(resource_type: ResourceType, text: str) -> tuple[Schema | None, str]:
    """Split ``urn:…:User:name.familyName``; the URN of the base schema is the same as none.

    One URN can begin with another: the longest that fits counts.
    """
    if ":" not in text:
        return None, text
    lower = text.lower()
    found = [s for s in resource_type.schemas if lower == s.key or lower.startswith(s.key + ":")]
    if not found or lower.endswith(":"):
        raise InvalidPath(f"{shortened(text)} begins with no schema of {resource_type.name}.")
    schema = max(found, key=lambda schema: len(schema.key))
    return (None if schema is resource_type.schema else schema), text[len(schema.key) + 1 :]


def _bare(resource_type: ResourceType, name: str) -> tuple[Schema | None, Attribute | None]:
    found = [e for e in resource_type.extensions if name.lower() in e.by_key]
    if len(found) != 1:
        return None, None
    return found[0], found[0].by_key[name.lower()]
