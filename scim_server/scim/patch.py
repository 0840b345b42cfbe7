"""PATCH: operations on a canonical document, all or none (RFC 7644 §3.5.2).

The document is copied, never changed in place. The values of a relation attribute (the
members of a group) are not in it: what the operations do to them is folded into a
``RelationChange`` without reading a single one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from scim_server.errors import InvalidPath, InvalidSyntax, InvalidValue, NoTarget, TooMany
from scim_server.errors import Mutability as MutabilityError
from scim_server.scim import dialects, elements, filters
from scim_server.scim.attributes import Attribute, Mutability, ResourceType, Schema
from scim_server.scim.dialects import ClientSettings, Deviation, Note, PatchUnmatchedFilter
from scim_server.scim.filters import And, Comparison, Expression, Operator, Or, PatchPath
from scim_server.scim.matching import matches_element
from scim_server.scim.paths import AttributePath
from scim_server.scim.validation import MAX_VALUES, Reader, check_immutable, finished, spread
from scim_server.scim.values import Json

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MAX_OPERATIONS = 1_000
# How many values all operations together may look through.
MAX_WORK = 100_000
_MESSAGE = {"schemas": "schemas", "operations": "Operations"}
_OPERATION = {"op": "op", "path": "path", "value": "value"}
_OPS = ("add", "remove", "replace")
_MISSING: Any = object()

Related = Callable[[Collection[str]], list[Json]]


@dataclass(slots=True)
class RelationChange:
    """What happens to the values of a relation: first all go if ``cleared``, then some go, then some come.

    ``added`` holds the elements by their ``value``, in order; no id is in both.
    """

    cleared: bool = False
    added: dict[str, Json] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    def add(self, elements: list[Json]) -> None:
        for element in elements:
            self.added.setdefault(element["value"], element)
            self.removed.discard(element["value"])

    def remove(self, ids: Collection[str]) -> None:
        for identifier in ids:
            self.added.pop(identifier, None)
        self.removed.update(ids)

    def clear(self) -> None:
        self.cleared = True
        self.added.clear()
        self.removed.clear()


@dataclass(frozen=True, slots=True)
class Patched:
    """The document after all operations, and what they do to the relation (None: nothing)."""

    document: Json
    relation: RelationChange | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the RFC writes it; ``value`` is ``_MISSING`` where there is none."""

    op: str
    path: str | None
    value: Any

    @property
    def has_value(self) -> bool:
        return self.value is not _MISSING


def apply(
    resource_type: ResourceType,
    document: Json,
    body: Json,
    settings: ClientSettings,
    note: Note,
    related: Related | None = None,
    *,
    identifier: str | None = None,
) -> Patched:
    """Return what a PatchOp makes of a document.

    ``identifier`` is the resource's id, which may be said again. ``related`` returns the elements of
    the relation, those stored and those of the ids that were added so far; it is called for a value
    filter that does not name ids itself. Raises InvalidSyntax, InvalidPath, InvalidFilter,
    InvalidValue, Mutability, NoTarget, TooMany.
    """
    patch = _Patch(resource_type, orjson.loads(orjson.dumps(document)), settings, note, related, identifier)
    for operation in operations_of(body, settings, note):
        patch.operate(operation)
    check_immutable(resource_type.attributes, document, patch.document)
    for extension in resource_type.extensions:
        had, has = document.get(extension.id, {}), patch.document.get(extension.id, {})
        check_immutable(extension.attributes, had, has, f"{extension.id}:")
    return Patched(
        finished(resource_type, patch.document), patch.relation if patch.touches_relation else None
    )


def operations_of(body: Json, settings: ClientSettings, note: Note) -> Iterator[Operation]:
    """Yield the operations of a PatchOp message. Raises InvalidSyntax, TooMany."""
    message = _in_lower_case(body, _MESSAGE, note)
    schemas = message.get("schemas")
    if not (isinstance(schemas, list) and PATCH_OP in schemas):
        if not settings.lenient:
            raise InvalidSyntax(f"schemas must have {PATCH_OP} in it.")
        note(Deviation.OTHER_SCHEMAS)
    operations = message.get("Operations")
    if not isinstance(operations, list) or not operations:
        raise InvalidSyntax("A PATCH needs Operations, a list with at least one operation.")
    if len(operations) > MAX_OPERATIONS:
        raise TooMany(f"A PATCH can have {MAX_OPERATIONS} operations at most; send several.")
    for operation in operations:
        yield _operation_of(operation, note)


def _in_lower_case(message: Json, names: Mapping[str, str], note: Note) -> Json:
    renamed = dialects.lower_case_members(message, names)
    if renamed is not message:
        note(Deviation.LOWER_CASE_MEMBERS)
    return renamed


def _operation_of(written: Any, note: Note) -> Operation:
    if not isinstance(written, dict):
        raise InvalidSyntax("Each of the Operations must be an object.")
    written = _in_lower_case(written, _OPERATION, note)
    operation = dialects.lower_case_op(written)
    if operation is not written:
        note(Deviation.LOWER_CASE_OP)
    op, path = operation.get("op"), operation.get("path")
    if op not in _OPS:
        raise InvalidSyntax(f"op must be one of {', '.join(_OPS)}, not {str(op)[:50]!r}.")
    if path is not None and not isinstance(path, str):
        raise InvalidPath("path must be a text.")
    value = operation.get("value", _MISSING)
    if op != "remove" and value is _MISSING:
        raise InvalidValue(f"The operation {op} needs a value.")
    return Operation(op, path, value)


class _Patch:
    """The state of one PATCH while its operations are applied one after the other."""

    def __init__(
        self,
        resource_type: ResourceType,
        document: Json,
        settings: ClientSettings,
        note: Note,
        related: Related | None,
        identifier: str | None,
    ) -> None:
        self.resource_type = resource_type
        self.document = document
        self.settings = settings
        self.note = note
        self.related = related
        self.identifier = identifier
        self.reader = Reader(settings, note, resource_type.relation, InvalidValue)
        self.relation = RelationChange()
        self.touches_relation = False
        self.work = 0

    # -- where an operation leads

    def operate(self, operation: Operation) -> None:
        if operation.path is None:
            self.without_path(operation)
            return
        self.at(self.target(operation.path), operation)

    def target(self, path: str) -> PatchPath:
        return filters.parse_path(path, self.resource_type, lenient=self.settings.lenient, note=self.note)

    def without_path(self, operation: Operation) -> None:
        """The value is a set of attributes; each is treated as if its name were the path."""
        if operation.op == "remove":
            raise NoTarget("remove needs a path.")
        if not isinstance(operation.value, dict):
            raise InvalidValue(
                f"Without a path, the value of {operation.op} must be an object of attributes."
            )
        for name, value in spread(self.resource_type, operation.value, self.settings, self.note).items():
            try:
                path = self.target(name)
            except InvalidPath:
                self.reader.unknown(name)
                continue
            if self.settings.lenient and self.is_read_only(path.path):
                self.note(Deviation.READ_ONLY_ATTRIBUTE_IGNORED)
                continue
            self.at(path, Operation(operation.op, name, value))

    def at(self, target: PatchPath, operation: Operation) -> None:
        path = target.path
        if path.attribute is None:
            assert path.extension is not None
            self.whole_extension(path.extension, operation)
        elif path.extension is None and path.attribute.key == "schemas":
            self.at_schemas(path.attribute, operation)
        elif self.is_read_only(path):
            if not self.leaves_id(path, operation):
                raise MutabilityError(f"{path} is read-only.")
        elif path.extension is None and path.attribute.key == self.resource_type.relation:
            self.at_relation(target, operation)
        elif path.attribute.multi_valued:
            self.at_values(target, operation)
        else:
            self.at_single_value(target, operation)

    def at_schemas(self, attribute: Attribute, operation: Operation) -> None:
        """They are derived from what is there; a strict client may not ask for what cannot be (RFC 7643 §3)."""
        if not self.settings.lenient:
            if operation.op == "remove" or not operation.value:
                raise MutabilityError("schemas is required and cannot be removed.")
            listed = self.reader.value(attribute, operation.value, "schemas")
            unknown = {urn.lower() for urn in listed} - {schema.key for schema in self.resource_type.schemas}
            if unknown:
                raise InvalidValue(f"{min(unknown)[:100]} is no schema of {self.resource_type.name}.")
        self.note(Deviation.SCHEMAS_IGNORED)

    def is_read_only(self, path: AttributePath) -> bool:
        if path.attribute is None:
            assert path.extension is not None
            return all(a.mutability is Mutability.READ_ONLY for a in path.extension.attributes)
        return Mutability.READ_ONLY in (path.attribute.mutability, path.target.mutability)

    def leaves_id(self, path: AttributePath, operation: Operation) -> bool:
        """Whether an operation says the id that the resource has, as whoever sends back what they read."""
        is_said = self.identifier is not None and operation.value == self.identifier
        return path.key == "id" and operation.op != "remove" and is_said

    def holder(self, path: AttributePath) -> Json:
        """Return the object that has the attribute: the document, or an extension's part of it."""
        if path.extension is None:
            return self.document
        part: Json = self.document.setdefault(path.extension.id, {})
        return part

    def whole_extension(self, extension: Schema, operation: Operation) -> None:
        if self.is_read_only(AttributePath(extension, None)):
            self.note(Deviation.READ_ONLY_ATTRIBUTE_IGNORED)
            return
        if operation.op == "remove" or operation.value is None:
            self.document.pop(extension.id, None)
            return
        if not isinstance(operation.value, dict):
            raise InvalidValue(f"{extension.id} must be an object.")
        for name, value in operation.value.items():
            attribute = extension.by_key.get(name.lower())
            if name.lower() == "schemas":
                self.note(Deviation.SCHEMAS_IGNORED)
            elif attribute is None:
                self.reader.unknown(f"{extension.id}:{name}")
            elif attribute.mutability is not Mutability.READ_ONLY:
                path = PatchPath(AttributePath(extension, attribute), None)
                self.at(path, Operation(operation.op, None, value))

    # -- attributes with one value

    def at_single_value(self, target: PatchPath, operation: Operation) -> None:
        path, attribute = target.path, target.path.attribute
        assert attribute is not None
        holder = self.holder(path)
        current = holder.get(attribute.name)
        if target.filter is not None and not (current and matches_element(target.filter, current)):
            self.unmatched_single_value(target, operation)
            return
        if path.sub is not None:
            element = dict(current or {})
            self.set_sub_attribute(element, path, operation)
            self.changeable(path, attribute, current, element)
            self.put(holder, attribute, element)
        elif operation.op == "remove":
            self.changeable(path, attribute, current, None)
            holder.pop(attribute.name, None)
            if path.extension is None and attribute.key == "active" and self.settings.lenient:
                holder[attribute.name] = False  # that nobody goes on is said, lest absence be taken for true
        else:
            self.set_single_value(holder, path, attribute, operation.value)

    def unmatched_single_value(self, target: PatchPath, operation: Operation) -> None:
        """Entra removes a manager by a value filter; one who is not the manager any more is no error."""
        if operation.op != "remove":
            raise NoTarget(f"Nothing matches the filter of {operation.path}.")
        self.note(Deviation.REMOVE_OF_WHAT_IS_NOT_THERE)

    def set_single_value(self, holder: Json, path: AttributePath, attribute: Attribute, value: Any) -> None:
        """Set a value; sub-attributes that a complex one does not name stay (RFC 7644 §3.5.2.1, §3.5.2.3)."""
        value = self.reader.lenient(Deviation.SINGLE_VALUE_AS_LIST, value)
        if attribute.is_complex:
            value = self.reader.as_object(attribute, value)
        read = self.reader.value(attribute, value, str(path))
        if attribute.key == "active" and read is None:
            raise InvalidValue("active must be true or false.")
        current = holder.get(attribute.name)
        if attribute.is_complex and isinstance(value, dict):
            element = {**(current or {}), **(read or {})}
            for name, item in value.items():
                sub = attribute.by_key.get(name.lower())
                if item is None and sub is not None:
                    self.changeable(
                        AttributePath(path.extension, attribute, sub), sub, element.get(sub.name), None
                    )
                    element.pop(sub.name, None)
            read = element
        self.changeable(path, attribute, current, read)
        self.put(holder, attribute, read)

    def set_sub_attribute(self, element: Json, path: AttributePath, operation: Operation) -> None:
        sub = path.sub
        assert sub is not None
        if operation.op == "remove":
            self.changeable(path, sub, element.get(sub.name), None)
            element.pop(sub.name, None)
            return
        read = self.reader.value(sub, operation.value, str(path))
        self.changeable(path, sub, element.get(sub.name), read)
        self.put(element, sub, read)

    def put(self, holder: Json, attribute: Attribute, value: Any) -> None:
        if _is_unassigned(value):
            holder.pop(attribute.name, None)
        else:
            holder[attribute.name] = value

    # -- attributes with many values

    def at_values(self, target: PatchPath, operation: Operation) -> None:
        path, attribute = target.path, target.path.attribute
        assert attribute is not None
        holder = self.holder(path)
        values: list[Any] = holder.get(attribute.name, [])
        self.refuse_too_much_work()
        self.work += len(values) * (1 if target.filter is None else filters.count_terms(target.filter))
        if target.filter is not None:
            changed = self.matching_values(values, target, target.filter, operation)
        elif path.sub is not None:
            changed = self.sub_attribute_of_all(values, path, operation)
        elif operation.op == "add":
            changed = self.added_values(values, path, attribute, operation.value)
        elif operation.op == "replace":
            changed = self.reader.value(attribute, operation.value, str(path)) or []
        else:
            changed = self.without_listed(values, path, attribute, operation)
        if attribute.is_complex and (target.filter is not None or path.sub is not None):
            changed = elements.merged(attribute, [], changed)  # no type and value twice (RFC 7643 §2.4)
        if len(changed) > MAX_VALUES:
            raise InvalidValue(f"{path} would have more than {MAX_VALUES} values.")
        self.changeable(path, attribute, values or None, changed)
        self.put(holder, attribute, changed)

    def added_values(
        self, values: list[Any], path: AttributePath, attribute: Attribute, value: Any
    ) -> list[Any]:
        """Append what is not there yet, complete what is; a new primary value takes it from the old one."""
        if not isinstance(value, list):
            value = [value]  # a single value added to several is no deviation
        read = self.reader.value(attribute, value, str(path)) or []
        merged = elements.merged(attribute, values, read)
        became = [item for item in merged if dialects.is_primary(item) and item not in values]
        return [_not_primary(item) if became and item is not became[-1] else item for item in merged]

    def sub_attribute_of_all(self, values: list[Any], path: AttributePath, operation: Operation) -> list[Any]:
        changed = [dict(value) for value in values]
        if not changed and operation.op != "remove":
            changed = [{}]
        for element in changed:
            self.set_sub_attribute(element, path, operation)
        return dialects.last_primary_wins([element for element in changed if element])

    def without_listed(
        self, values: list[Any], path: AttributePath, attribute: Attribute, operation: Operation
    ) -> list[Any]:
        """A value list in ``remove`` names which to remove (Entra's old form); without one all go."""
        if not operation.has_value or operation.value is None:
            return []
        self.note(Deviation.REMOVE_BY_VALUE_LIST)
        listed = self.reader.value(attribute, _as_list(operation.value), str(path)) or []
        named = elements.Named(attribute, listed)
        self.work += len(values) * named.looks
        return [value for value in values if value not in named]

    def matching_values(
        self, values: list[Any], target: PatchPath, expression: Expression, operation: Operation
    ) -> list[Any]:
        matched = [number for number, value in enumerate(values) if matches_element(expression, value)]
        if not matched:
            return self.without_match(values, target, expression, operation)
        path, attribute = target.path, target.path.attribute
        assert attribute is not None
        if operation.op == "remove" and path.sub is None:
            return [value for number, value in enumerate(values) if number not in set(matched)]
        changed = list(values)
        for number in matched:
            changed[number] = self.changed_element(changed[number], path, attribute, operation)
        return self.primary_moved(
            values, [value for value in changed if not _is_unassigned(value)], set(matched), changed
        )

    def changed_element(
        self, element: Any, path: AttributePath, attribute: Attribute, operation: Operation
    ) -> Any:
        """Return an element after an operation: a sub-attribute set, the whole replaced, or added to.

        What a lenient client writes as a text stands for the sub-attribute ``value``; the others stay.
        """
        if path.sub is not None:
            element = dict(element)
            self.set_sub_attribute(element, path, operation)
            return element
        value = operation.value
        if isinstance(value, list) and len(value) <= 1:
            value = value[0] if value else None  # which are the same (RFC 7643 §2.5)
        read = self.reader.single(attribute, value, str(path))
        if attribute.is_complex and (operation.op == "add" or isinstance(value, str)):
            return elements.completed(attribute, element, read or {})
        return read

    def primary_moved(
        self, before: list[Any], kept: list[Any], matched: set[int], changed: list[Any]
    ) -> list[Any]:
        """Where an operation made a value primary, no other one is any more (RFC 7644 §3.5.2)."""
        became = [
            n for n in matched if dialects.is_primary(changed[n]) and not dialects.is_primary(before[n])
        ]
        if not became:
            return kept
        last = changed[max(became)]
        return [value if value is last else _not_primary(value) for value in kept]

    def without_match(
        self, values: list[Any], target: PatchPath, expression: Expression, operation: Operation
    ) -> list[Any]:
        """No value matches: ``add`` makes one of the filter's own parts, ``replace`` where the settings say so."""
        creates = operation.op == "add" or (
            operation.op == "replace" and self.settings.patch_unmatched_filter is PatchUnmatchedFilter.CREATE
        )
        parts = equal_parts(expression) if creates else None
        if parts is None:
            if operation.op == "remove" and self.settings.lenient:
                self.note(Deviation.REMOVE_OF_WHAT_IS_NOT_THERE)
                return values
            raise NoTarget(f"Nothing matches the filter of {operation.path}.")
        if operation.value is None:
            return values  # null is no value (RFC 7643 §2.5), so there is nothing to make
        self.note(Deviation.VALUE_MADE_FROM_FILTER)
        path, attribute = target.path, target.path.attribute
        assert attribute is not None
        element = self.changed_element(
            self.reader.single(attribute, parts, str(path)) or {},
            path,
            attribute,
            Operation("add", operation.path, operation.value),
        )
        if dialects.is_primary(element):
            values = without_primary(values)
        return values if _is_unassigned(element) else [*values, element]

    # -- the relation

    def at_relation(self, target: PatchPath, operation: Operation) -> None:
        path, attribute = target.path, target.path.attribute
        assert attribute is not None
        self.touches_relation = True
        if path.sub is not None:
            raise MutabilityError(f"{path} cannot be changed: remove the member and add another.")
        if target.filter is not None:
            self.matching_members(target.filter, path, attribute, operation)
        elif operation.op == "add":
            self.relation.add(self.members(attribute, operation.value))
        elif operation.op == "replace":
            members = self.members(attribute, operation.value)
            self.relation.clear()
            self.relation.add(members)
        elif not operation.has_value or operation.value is None:
            self.relation.clear()
        else:
            self.note(Deviation.REMOVE_BY_VALUE_LIST)
            self.relation.remove([member["value"] for member in self.members(attribute, operation.value)])

    def matching_members(
        self, expression: Expression, path: AttributePath, attribute: Attribute, operation: Operation
    ) -> None:
        must_be_there = (
            operation.op == "replace" and self.settings.patch_unmatched_filter is PatchUnmatchedFilter.REJECT
        )
        ids = self.ids_that_match(expression, must_be_there=must_be_there)
        if not ids and operation.op == "remove" and not self.settings.lenient:
            raise NoTarget(f"No member matches the filter of {operation.path}.")
        if operation.op == "remove":
            self.relation.remove(ids)
            return
        creates = operation.op == "add" or self.settings.patch_unmatched_filter is PatchUnmatchedFilter.CREATE
        if not ids and not creates:
            raise NoTarget(f"No member matches the filter of {operation.path}.")
        if operation.op == "replace":
            self.relation.remove(ids)
        value = operation.value if operation.value is not None else equal_parts(expression)
        self.relation.add(self.members(attribute, value))

    def ids_that_match(self, expression: Expression, *, must_be_there: bool) -> set[str]:
        """Return who matches; ``value eq`` names its members itself, so that nothing has to be read.

        One who is named and is no member is removed without an error (RFC 7644 §3.5.2.2).
        """
        named = named_values(expression)
        if named is not None and not must_be_there:
            return named
        if self.related is None:
            raise InvalidPath("This filter on members cannot be answered here.")
        self.refuse_too_much_work()
        present = self.related(self.relation.added.keys())
        self.work += len(present) * filters.count_terms(expression) + len(self.relation.added)
        return {
            element["value"]
            for element in present
            if self.is_present(element["value"]) and matches_element(expression, element)
        }

    def is_present(self, identifier: str) -> bool:
        """Whether an id that is stored or was added is still there after the operations so far."""
        if identifier in self.relation.added:
            return True
        return not self.relation.cleared and identifier not in self.relation.removed

    def members(self, attribute: Attribute, value: Any) -> list[Json]:
        return self.reader.value(attribute, _as_list(value), attribute.name) or []

    def refuse_too_much_work(self) -> None:
        """Raise TooMany where the operations so far looked through as many values as all of them may."""
        if self.work > MAX_WORK:
            raise TooMany(f"The operations look through more than {MAX_WORK} values; send several requests.")

    # -- what may be changed

    def changeable(self, path: AttributePath, attribute: Attribute, before: Any, after: Any) -> None:
        """What is required cannot become unassigned, what is immutable keeps its value (RFC 7644 §3.5.2)."""
        if attribute.required and _is_unassigned(after):
            raise MutabilityError(f"{path} is required and cannot be removed.")
        if attribute.mutability is Mutability.IMMUTABLE and before is not None and after != before:
            raise MutabilityError(f"{path} cannot be changed once it has a value.")


def equal_parts(expression: Expression) -> Json | None:
    """Return the sub-attributes that a filter of ``eq`` joined by ``and`` asks for; None for any other filter."""
    terms = expression.terms if isinstance(expression, And) else (expression,)
    parts: Json = {}
    for term in terms:
        if isinstance(term, And):
            inner = equal_parts(term)
            if inner is None:
                return None
            parts.update(inner)
        elif filters.is_not_primary(term):
            parts["primary"] = False
        elif isinstance(term, Comparison) and term.operator is Operator.EQ and term.path.sub is not None:
            parts[term.path.sub.name] = term.written
        else:
            return None
    return parts


def named_values(expression: Expression) -> set[str] | None:
    """Return the ids of a filter that is ``value eq`` or several of them joined by ``or``; None for any other."""
    terms = expression.terms if isinstance(expression, Or) else (expression,)
    named: set[str] = set()
    for term in terms:
        if (
            not isinstance(term, Comparison)
            or term.operator is not Operator.EQ
            or term.path.target.key != "value"
        ):
            return None
        named.add(str(term.value))
    return named


def without_primary(values: list[Any]) -> list[Any]:
    """Return the values with none of them primary."""
    return [_not_primary(value) for value in values]


def _is_unassigned(value: Any) -> bool:
    """null, no values and no sub-attributes are the same as nothing (RFC 7643 §2.5); false and 0 are values."""
    return value is None or value in ({}, [])


def _not_primary(value: Any) -> Any:
    return {**value, "primary": False} if dialects.is_primary(value) else value


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]
