"""Attributes and their characteristics (RFC 7643 §2.2, §2.3, §7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property


class Type(StrEnum):
    """Data types (RFC 7643 §2.3)."""

    STRING = "string"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    INTEGER = "integer"
    DATE_TIME = "dateTime"
    BINARY = "binary"
    REFERENCE = "reference"
    COMPLEX = "complex"


class Mutability(StrEnum):
    """When an attribute can be set by a client (RFC 7643 §7)."""

    READ_ONLY = "readOnly"
    READ_WRITE = "readWrite"
    IMMUTABLE = "immutable"
    WRITE_ONLY = "writeOnly"


class Returned(StrEnum):
    """When an attribute is part of an answer (RFC 7643 §7)."""

    ALWAYS = "always"
    NEVER = "never"
    DEFAULT = "default"
    REQUEST = "request"


class Uniqueness(StrEnum):
    """How far a value must be unique (RFC 7643 §7)."""

    NONE = "none"
    SERVER = "server"
    GLOBAL = "global"


@dataclass(frozen=True, eq=False)
class Attribute:
    """One attribute definition: the characteristics of RFC 7643 §2.2 with their defaults.

    Validation, filtering, PATCH, projection and discovery all derive from it.
    """

    name: str
    type: Type = Type.STRING
    multi_valued: bool = False
    description: str = ""
    required: bool = False
    case_exact: bool = False
    mutability: Mutability = Mutability.READ_WRITE
    returned: Returned = Returned.DEFAULT
    uniqueness: Uniqueness = Uniqueness.NONE
    canonical_values: tuple[str, ...] = ()
    reference_types: tuple[str, ...] = ()
    sub_attributes: tuple[Attribute, ...] = ()

    @cached_property
    def key(self) -> str:
        """The name as it is compared: attribute names are case insensitive (RFC 7643 §2.1)."""
        return self.name.lower()

    @cached_property
    def by_key(self) -> Mapping[str, Attribute]:
        """The sub-attributes by lower-case name."""
        return {attribute.key: attribute for attribute in self.sub_attributes}

    @cached_property
    def is_complex(self) -> bool:
        return self.type is Type.COMPLEX

    @cached_property
    def is_plain_text(self) -> bool:
        """Whether its value is one text that clients may write."""
        writable = self.mutability is not Mutability.READ_ONLY
        return self.type is Type.STRING and not self.multi_valued and writable

    @cached_property
    def is_folded(self) -> bool:
        """Whether values are compared without regard to case."""
        return not self.case_exact and self.type in (Type.STRING, Type.REFERENCE)

    @cached_property
    def requires_something(self) -> bool:
        """Whether it, or a part of it, is required."""
        return self.required or any(sub.requires_something for sub in self.sub_attributes)


@dataclass(frozen=True, eq=False)
class Schema:
    """A schema: a URN and the attributes it defines (RFC 7643 §7)."""

    id: str
    name: str
    description: str
    attributes: tuple[Attribute, ...]

    @cached_property
    def key(self) -> str:
        return self.id.lower()

    @cached_property
    def by_key(self) -> Mapping[str, Attribute]:
        """The attributes by lower-case name."""
        return {attribute.key: attribute for attribute in self.attributes}

    @cached_property
    def is_shown_by_default(self) -> bool:
        """Whether an answer can have any of the attributes without being asked for them."""
        return any(a.returned in (Returned.DEFAULT, Returned.ALWAYS) for a in self.attributes)


@dataclass(frozen=True, eq=False)
class ResourceType:
    """A kind of resource: its base schema, its extensions, its endpoint (RFC 7643 §6).

    ``relation`` names the multi-valued attribute whose values are stored as rows of
    their own (``members`` of a group): it is never read to be changed, only added to
    and removed from.
    """

    name: str
    endpoint: str
    description: str
    schema: Schema
    extensions: tuple[Schema, ...] = ()
    common: tuple[Attribute, ...] = field(default=())
    relation: str | None = None

    @cached_property
    def schemas(self) -> tuple[Schema, ...]:
        """The base schema, then the extensions."""
        return (self.schema, *self.extensions)

    @cached_property
    def attributes(self) -> tuple[Attribute, ...]:
        """The common attributes (RFC 7643 §3.1), then those of the base schema; no extension."""
        return (*self.common, *self.schema.attributes)

    @cached_property
    def by_key(self) -> Mapping[str, Attribute]:
        """Common and base attributes by lower-case name."""
        return {attribute.key: attribute for attribute in self.attributes}

    @cached_property
    def extension_by_key(self) -> Mapping[str, Schema]:
        """The extensions by lower-case URN."""
        return {schema.key: schema for schema in self.extensions}

    def walk(self) -> Iterator[tuple[Schema | None, Attribute, Attribute | None]]:
        """Yield (extension or None, attribute, sub-attribute or None) for every attribute that is defined."""
        for extension, attributes in ((None, self.attributes), *((e, e.attributes) for e in self.extensions)):
            for attribute in attributes:
                yield extension, attribute, None
                for sub in attribute.sub_attributes:
                    yield extension, attribute, sub
