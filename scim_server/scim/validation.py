"""From a request body to a canonical document (RFC 7643 §2, RFC 7644 §3.3, §3.5.1).

Canonical means: names in the letter case of their definition, values of the type of
their attribute, nothing that is unassigned (null, an empty list), nothing read-only,
nothing that no schema defines, ``schemas`` derived from what is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from scim_server.errors import InvalidRequest, InvalidSyntax, InvalidValue
from scim_server.errors import Mutability as MutabilityError
from scim_server.scim import dialects, elements
from scim_server.scim.attributes import Attribute, Mutability, ResourceType, Schema, Type
from scim_server.scim.dialects import ClientSettings, Deviation, Note, UnknownAttributes, UnknownMember
from scim_server.scim.schemas import SEAT_URN
from scim_server.scim.values import Json, parse_date_time

MAX_TEXT = 65_536
MAX_VALUES = 1_000
# What a PUT that does not name them leaves as it is: no client means to clear these by silence.
KEPT_BY_PUT = ("active", "externalId")

# Padding may be left out (RFC 7643 §2.3.6).
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?", re.ASCII)
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads values the way a token's settings say, and notes the deviations that it met.

    ``refusal`` is the error of an attribute that no schema defines: of a PATCH it is the value
    that is wrong, of a POST or PUT the message (RFC 7644 §3.12, table 9).
    """

    settings: ClientSettings
    note: Note
    relation: str | None = None
    refusal: type[InvalidRequest] = InvalidSyntax

    def value(self, attribute: Attribute, value: Any, at: str) -> Any:
        """Return the canonical value of an attribute, None where it is unassigned. Raises InvalidValue."""
        if not attribute.multi_valued:
            if isinstance(value, list):
                value = self.lenient(Deviation.SINGLE_VALUE_AS_LIST, value)
            return self.single(attribute, value, at)
        if value is None:
            return None
        values = value if isinstance(value, list) else self.lenient(Deviation.LIST_AS_SINGLE_VALUE, value)
        if not isinstance(values, list):
            raise InvalidValue(f"{at} must be a list.")
        if len(values) > MAX_VALUES and attribute.key != self.relation:
            raise InvalidValue(f"{at} has more than {MAX_VALUES} values.")
        if attribute.key == self.relation:
            said = (self.related(attribute, item, at) for item in values if item is not None)
            return [member for member in said if member is not None] or None
        read = [one for item in values if (one := self.single(attribute, item, at)) is not None]
        if len(read) < 2:
            return read or None
        return self.one_primary(elements.merged(attribute, [], read), at)

    def related(self, attribute: Attribute, value: Any, at: str) -> Json | None:
        """Return one canonical member of a relation, None for one whose id is empty and who may be left out.

        Raises InvalidValue where it does not say who.
        """
        if _says_who_and_no_more(value):
            return value  # as it was sent: there may be a hundred thousand of them
        if self.settings.unknown_member is UnknownMember.SKIP and _says_nobody(value):
            self.note(Deviation.UNKNOWN_MEMBER_SKIPPED)
            return None
        read = self.single(attribute, value, at)
        if not read or not read.get("value"):
            raise InvalidValue(f"{at}: each needs a value, the id of the member.")
        member: Json = read
        return member

    def single(self, attribute: Attribute, value: Any, at: str) -> Any:
        """Return one canonical value of an attribute, a multi-valued one too."""
        if isinstance(value, dict) and not attribute.is_complex:
            value = self.lenient(Deviation.VALUE_AS_OBJECT, value)
        if value is None:
            return None
        match attribute.type:
            case Type.STRING:
                return self.text(value, at)
            case Type.REFERENCE:
                return self.reference(value, at)
            case Type.COMPLEX:
                return self.object(attribute, value, at)
            case Type.BOOLEAN:
                return self.boolean(value, at)
            case Type.BINARY:
                return self.binary(value, at)
            case Type.DATE_TIME:
                return self.date_time(value, at)
            case Type.INTEGER:
                if isinstance(value, int) and not isinstance(value, bool):
                    return value
                raise InvalidValue(f"{at} must be a whole number.")
            case Type.DECIMAL:
                if isinstance(value, int | float) and not isinstance(value, bool):
                    return value
                raise InvalidValue(f"{at} must be a number.")

    def text(self, value: Any, at: str) -> str:
        value = value if isinstance(value, str) else self.lenient(Deviation.NUMBER_AS_TEXT, value)
        if not isinstance(value, str):
            raise InvalidValue(f"{at} must be a text.")
        if len(value) > MAX_TEXT:
            raise InvalidValue(f"{at} is longer than {MAX_TEXT} characters.")
        return value

    def reference(self, value: Any, at: str) -> str:
        """An absolute or relative URI (RFC 7643 §2.3.7); what people type into such a field is taken leniently."""
        text = self.text(value, at)
        if not self.settings.lenient and not _URI_REFERENCE.fullmatch(text):
            raise InvalidValue(f"{at} must be a URI.")
        return text

    def boolean(self, value: Any, at: str) -> bool:
        value = value if isinstance(value, bool) else self.lenient(Deviation.BOOLEAN_AS_TEXT, value)
        if not isinstance(value, bool):
            raise InvalidValue(f"{at} must be true or false.")
        return value

    def binary(self, value: Any, at: str) -> str:
        text = self.text(value, at)
        if self.settings.lenient:
            text = "".join(text.split())  # tools break the lines of certificates
        if not _BASE64.fullmatch(text):
            raise InvalidValue(f"{at} must be Base64.")
        return text

    def date_time(self, value: Any, at: str) -> str:
        text = self.text(value, at)
        try:
            parse_date_time(text)
        except ValueError as error:
            raise InvalidValue(f"{at} must be a dateTime such as 2026-01-31T12:00:00Z.") from error
        return text

    def as_object(self, attribute: Attribute, value: Any) -> Any:
        """Return a complex value that a client wrote as a text in the form of an object; None for nobody."""
        if not self.settings.lenient:
            return value
        return self.applied(
            Deviation.COMPLEX_VALUE_AS_TEXT, value, dialects.complex_value_as_text(attribute, value)
        )

    def object(self, attribute: Attribute, value: Any, at: str) -> Json | None:
        value = self.as_object(attribute, value)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise InvalidValue(f"{at} must be an object.")
        if attribute.key == "manager" and self.settings.lenient:
            value = self.applied(Deviation.MANAGER_ID, value, dialects.manager_id(attribute, value))
        return self.members(attribute.by_key, value, f"{at}.") or None

    def members(self, attributes: Mapping[str, Attribute], body: Json, prefix: str) -> Json:
        """Return the canonical form of the members of an object; read-only ones are left out."""
        read: Json = {}
        for name, value in body.items():
            attribute = attributes.get(name.lower())
            if attribute is None:
                self.unknown(prefix + name)
            elif attribute.is_plain_text and isinstance(value, str) and len(value) <= MAX_TEXT:
                read[attribute.name] = value  # as most values are
            elif attribute.mutability is not Mutability.READ_ONLY:
                canonical = self.value(attribute, value, prefix + attribute.name)
                if canonical is not None:
                    read[attribute.name] = canonical
        return read

    def one_primary(self, values: list[Any], at: str) -> list[Any]:
        """At most one value is primary (RFC 7643 §2.4)."""
        if sum(dialects.is_primary(value) for value in values) < 2:
            return values
        if not self.settings.lenient:
            raise InvalidValue(f"{at}: only one value can be primary.")
        self.note(Deviation.LAST_PRIMARY_WINS)
        return dialects.last_primary_wins(values)

    def unknown(self, name: str) -> None:
        """An attribute that no schema defines is ignored or refused, and never stored."""
        if self.settings.unknown_attributes is UnknownAttributes.REJECT:
            raise self.refusal(f"{name[:100]} is not defined by any schema of the resource.")
        self.note(Deviation.UNKNOWN_ATTRIBUTE_IGNORED)

    def lenient(self, rule: Deviation, value: Any) -> Any:
        """Apply a rule of ``dialects`` that looks at the value alone, where the client may deviate."""
        return self.applied(rule, value, _RULES[rule](value)) if self.settings.lenient else value

    def applied(self, rule: Deviation, before: Any, after: Any) -> Any:
        if after is not before:
            self.note(rule)
        return after


def _says_who_and_no_more(value: Any) -> TypeGuard[Json]:
    """Whether a member of a relation is ``{"value": …}``, which is canonical already."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    who = value.get("value")
    return isinstance(who, str) and 0 < len(who) <= MAX_TEXT


def _says_nobody(value: Any) -> bool:
    """Whether a member of a relation has an id, and an empty one."""
    if isinstance(value, dict):
        return any(name.lower() == "value" and item == "" for name, item in value.items())
    return bool(value == "")


_RULES = {
    Deviation.BOOLEAN_AS_TEXT: dialects.boolean_as_text,
    Deviation.NUMBER_AS_TEXT: dialects.number_as_text,
    Deviation.SINGLE_VALUE_AS_LIST: dialects.single_value_as_list,
    Deviation.LIST_AS_SINGLE_VALUE: dialects.list_as_single_value,
    Deviation.VALUE_AS_OBJECT: dialects.value_as_object,
}


def for_creation(resource_type: ResourceType, body: Json, settings: ClientSettings, note: Note) -> Json:
    """Return the document of a resource to create; ``active`` is true unless it is said to be false.

    A ``password`` and the values of the relation attribute are in it, for the caller to take out.
    Raises InvalidSyntax, InvalidValue.
    """
    body = _in_short(resource_type, body, settings, note)
    document = _document(resource_type, body, settings, note)
    if "active" in resource_type.by_key:
        document.setdefault("active", True)
    return document


def for_replacement(
    resource_type: ResourceType, body: Json, current: Json, settings: ClientSettings, note: Note
) -> Json:
    """Return the document that a PUT puts in the place of the current one.

    What is left out is cleared, but for ``active``, ``externalId`` and the password.
    Raises InvalidSyntax, InvalidValue, Mutability where an immutable value would change.
    """
    body = _in_short(resource_type, body, settings, note)
    document = _document(resource_type, body, settings, note)
    sent = {name.lower() for name in body}
    for name in KEPT_BY_PUT:
        if name.lower() not in sent and name in current:
            document[name] = current[name]
    _keep_immutable(resource_type.attributes, current, document)
    for extension in resource_type.extensions:
        if extension.id in current:
            _keep_immutable(
                extension.attributes, current[extension.id], document.setdefault(extension.id, {})
            )
    return finished(resource_type, document)


def finished(resource_type: ResourceType, document: Json) -> Json:
    """Return a document with ``schemas`` as its content says, without empty extensions, required values checked.

    Raises InvalidValue for a required attribute without a value.
    """
    for extension in resource_type.extensions:
        if extension.id in document and not document[extension.id]:
            del document[extension.id]
    _check_required(resource_type.schema.attributes, document, "")
    for extension in resource_type.extensions:
        if extension.id in document:
            _check_required(extension.attributes, document[extension.id], f"{extension.id}:")
    document.pop("schemas", None)
    return {"schemas": _schemas(resource_type, document), **document}


def spread(resource_type: ResourceType, values: Json, settings: ClientSettings, note: Note) -> Json:
    """Return attributes with those that a lenient client put under the URN of the base schema among the others."""
    if not settings.lenient:
        return values
    found = dialects.base_schema_as_extension(values, resource_type.schema.key)
    if found is not values:
        note(Deviation.BASE_SCHEMA_AS_EXTENSION)
    return found


def _in_short(resource_type: ResourceType, body: Json, settings: ClientSettings, note: Note) -> Json:
    """Return a body with the attributes of the base schema by their short names.

    A name with the schema before it is that of the same attribute (RFC 7644 §3.10).
    """
    urn = resource_type.schema.key
    if not any(name.lower().startswith(urn) for name in body):
        return body
    body = spread(resource_type, body, settings, note)
    prefix = f"{urn}:"
    return {
        name[len(prefix) :] if name.lower().startswith(prefix) else name: value
        for name, value in body.items()
    }


def _document(resource_type: ResourceType, body: Json, settings: ClientSettings, note: Note) -> Json:
    reader = Reader(settings, note, resource_type.relation)
    _check_schemas(resource_type, body, reader)
    if "active" in resource_type.by_key:
        _refuse_null_active(body)
    extensions = resource_type.extension_by_key
    base = {name: value for name, value in body.items() if ":" not in name}
    document = reader.members(resource_type.by_key, base, "")
    document.pop("schemas", None)
    for name, value in body.items():
        if ":" in name:
            extension = extensions.get(name.lower())
            if extension is None:
                reader.unknown(name)
            else:
                document.update(_extension(reader, extension, value))
    return finished(resource_type, document)


def _extension(reader: Reader, extension: Schema, value: Any) -> Json:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidValue(f"{extension.id} must be an object.")
    return {extension.id: reader.members(extension.by_key, value, f"{extension.id}:")}


def _schemas(resource_type: ResourceType, document: Json) -> list[str]:
    derived = [resource_type.schema.id]
    derived += [extension.id for extension in resource_type.extensions if extension.id in document]
    if SEAT_URN.lower() in resource_type.extension_by_key:
        derived.append(SEAT_URN)
    return derived


def _check_schemas(resource_type: ResourceType, body: Json, reader: Reader) -> None:
    """Clients send old URNs, further ones or none; only a strict one is held to those of the resource."""
    schemas = next((value for name, value in body.items() if name.lower() == "schemas"), None)
    is_list = isinstance(schemas, list) and all(isinstance(urn, str) for urn in schemas)
    urns: set[str] = {urn.lower() for urn in schemas or ()} if is_list else set()
    lacking = resource_type.schema.key not in urns
    unknown = urns - {schema.key for schema in resource_type.schemas}
    if not reader.settings.lenient:
        if lacking:
            raise InvalidSyntax(f"schemas must be a list with {resource_type.schema.id} in it.")
        if unknown and reader.settings.unknown_attributes is UnknownAttributes.REJECT:
            raise InvalidSyntax(f"{min(unknown)[:100]} is no schema of {resource_type.name}.")
    if lacking or unknown:
        reader.note(Deviation.OTHER_SCHEMAS)


def _refuse_null_active(body: Json) -> None:
    """A client that says null of ``active`` may mean to deactivate: nobody stays active by a misunderstanding."""
    if any(name.lower() == "active" and value in (None, [], [None]) for name, value in body.items()):
        raise InvalidValue("active must be true or false.")


def _check_required(attributes: Iterable[Attribute], values: Json, prefix: str) -> None:
    for attribute in attributes:
        if not attribute.requires_something:
            continue
        value = values.get(attribute.name)
        if attribute.required and (value in (None, []) or (isinstance(value, str) and not value.strip())):
            raise InvalidValue(f"{prefix}{attribute.name} is required.")
        if attribute.is_complex and value:
            for element in value if isinstance(value, list) else [value]:
                _check_required(attribute.sub_attributes, element, f"{prefix}{attribute.name}.")


def _keep_immutable(attributes: Iterable[Attribute], current: Json, document: Json) -> None:
    """What is immutable and has a value keeps it; another one is refused (RFC 7644 §3.5.1)."""
    for attribute in attributes:
        if attribute.name not in current:
            continue
        if attribute.mutability is Mutability.IMMUTABLE:
            document.setdefault(attribute.name, current[attribute.name])
        elif attribute.is_complex and not attribute.multi_valued and _has_immutable(attribute):
            part = document.setdefault(attribute.name, {})
            _keep_immutable(attribute.sub_attributes, current[attribute.name], part)
            if not part:
                del document[attribute.name]
    check_immutable(attributes, current, document)


def check_immutable(attributes: Iterable[Attribute], before: Json, after: Json, prefix: str = "") -> None:
    """Raise Mutability where an immutable attribute or sub-attribute that had a value has not the same after."""
    for attribute in attributes:
        if attribute.name not in before:
            continue
        had, has = before[attribute.name], after.get(attribute.name)
        if attribute.mutability is Mutability.IMMUTABLE:
            if had != has:
                raise MutabilityError(f"{prefix}{attribute.name} cannot be changed once it has a value.")
        elif attribute.is_complex and _has_immutable(attribute):
            for old, new in _same_elements(attribute, had, has):
                check_immutable(attribute.sub_attributes, old, new, f"{prefix}{attribute.name}.")


def _has_immutable(attribute: Attribute) -> bool:
    return any(sub.mutability is Mutability.IMMUTABLE for sub in attribute.sub_attributes)


def _same_elements(attribute: Attribute, had: Any, has: Any) -> list[tuple[Json, Json]]:
    """Pair the elements before and after that are the same; of several values, those that are still there."""
    if not attribute.multi_valued:
        return [(had, has or {})]
    after = {repr(element.get("value")): element for element in has or []}
    return [(old, after[key]) for old in had if (key := repr(old.get("value"))) in after]
