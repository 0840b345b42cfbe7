"""A filter expression as a condition in SQL, with every literal a bound parameter.

``condition(resource_type, expression)`` answers the same resources as
``scim.matching.matches``. Where a value is kept is decided in one place, ``_operand``:

* a column, for what is unique or looked up often (``_COLUMNS``);
* the flat JSON object ``search``, for every other singular attribute;
* a row of ``attribute_values``, for each element of a multi-valued one;
* a row of ``memberships``, for members of groups and groups of users.

Positive conditions on rows are subqueries that an index can drive; a condition is wrapped
for nulls only below a ``not``, so that an index serves it everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.types import Boolean, Double

from scim_server.scim.attributes import Attribute, ResourceType, Type
from scim_server.scim.filters import (
    And,
    Comparison,
    Expression,
    Not,
    Nothing,
    Operator,
    Or,
    Present,
    ValuePath,
)
from scim_server.scim.paths import AttributePath
from scim_server.scim.schemas import SEAT_URN
from scim_server.scim.values import fold
from scim_server.store import indexing
from scim_server.store.tables import (
    Instant,
    KeyText,
    assignments,
    attribute_values,
    groups,
    memberships,
    users,
)
from scim_server.store.text_functions import (
    by_code_point,
    contains_text,
    ends_with_text,
    json_flag,
    json_member,
    starts_with_text,
)
from seat_policy import UNASSIGNED

Binder = Callable[[Any], Any]

_SEAT = SEAT_URN.lower()
_CAN_USE = users.c.active & ~users.c.invited & assignments.c.tier.is_not(None)
_USER_COLUMNS: Mapping[str, ColumnElement[Any]] = {
    "id": users.c.id,
    "username": users.c.user_name_key,
    "externalid": users.c.external_id,
    "displayname": users.c.display_name_key,
    "active": users.c.active,
    "meta.created": users.c.created_at,
    "meta.lastmodified": users.c.modified_at,
    "meta.version": literal('W/"') + cast(users.c.version + assignments.c.version, Text) + literal('"'),
    f"{_SEAT}:tier": func.coalesce(assignments.c.tier, UNASSIGNED),
    f"{_SEAT}:source": assignments.c.source,
    f"{_SEAT}:status": assignments.c.status,
    f"{_SEAT}:desiredtier": assignments.c.desired,
    f"{_SEAT}:waitingsince": assignments.c.waiting_since,
    f"{_SEAT}:canuse": case((_CAN_USE, true()), else_=false()),
}
_GROUP_COLUMNS: Mapping[str, ColumnElement[Any]] = {
    "id": groups.c.id,
    "displayname": groups.c.display_name_key,
    "externalid": groups.c.external_id,
    "meta.created": groups.c.created_at,
    "meta.lastmodified": groups.c.modified_at,
    "meta.version": literal('W/"') + cast(groups.c.version, Text) + literal('"'),
}
_INDEXED = frozenset({"id", "username", "externalid", "displayname"})


@dataclass(slots=True)
class Condition:
    """A WHERE clause and how its parameters come from the literals of a filter, in their order."""

    clause: ColumnElement[bool]
    binders: list[tuple[str, int, Binder]] = field(default_factory=list)

    def parameters(self, values: list[Any]) -> dict[str, Any]:
        """Return the bound parameters for the literals of another filter of the same shape."""
        return {name: bind(values[number]) for name, number, bind in self.binders}


@dataclass(frozen=True, slots=True)
class Operand:
    """Where a value is found in SQL, and how a literal is brought into the form that it has there."""

    column: ColumnElement[Any]
    bind: Binder
    type: Any
    is_indexed: bool = False

    @property
    def is_present(self) -> ColumnElement[bool]:
        """Whether there is a value; an empty text is none (RFC 7644 §3.4.2.2, table 3)."""
        if self.type is KeyText:
            return and_(self.column.is_not(None), self.column != "")
        return self.column.is_not(None)


def condition(resource_type: ResourceType, expression: Expression) -> Condition:
    """Return the condition under which a row of ``users`` or ``groups`` matches a filter.

    The caller's FROM has ``users`` joined with ``assignments``, or ``groups``; the parameters
    ``organization_id`` and ``base_url`` are the caller's to bind.
    """
    translation = _Translation(resource_type)
    clause = translation.clause(expression, negated=False)
    return Condition(clause, translation.binders)


def asks_for_latest(expression: Expression) -> bool:
    """Return whether a filter asks who was modified since an instant, as those who take over changes do.

    They are few, and an index has them, but neither database knows that: it would look through everybody
    in the order of the list to be spared sorting them.
    """
    match expression:
        case And(terms):
            return any(asks_for_latest(term) for term in terms)
        case Comparison(path=path, operator=Operator.GT | Operator.GE):
            return path.key == "meta.lastmodified"
        case _:
            return False


def sort_key(resource_type: ResourceType, path: AttributePath) -> ColumnElement[Any]:
    """Return what resources are ordered by: of several values the primary, else the first (RFC 7644 §3.4.2.3)."""
    translation = _Translation(resource_type)
    if path.attribute is not None and path.attribute.multi_valued:
        return translation.first_value(path)
    return translation.operand(path).column


class _Translation:
    """One walk over an expression, collecting its literals in the order in which they stand."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.resource_type = resource_type
        self.is_user = resource_type.name == "User"
        self.table: Table = users if self.is_user else groups
        self.columns = _USER_COLUMNS if self.is_user else _GROUP_COLUMNS
        self.binders: list[tuple[str, int, Binder]] = []
        self._literals = 0

    # -- the tree

    def clause(self, expression: Expression, *, negated: bool) -> ColumnElement[bool]:
        match expression:
            case And(terms):
                return and_(*[self.clause(term, negated=negated) for term in terms])
            case Or(terms):
                return or_(*[self.clause(term, negated=negated) for term in terms])
            case Not(term):
                return not_(self.clause(term, negated=True))
            case ValuePath(path, inner):
                return self.some_row(path, lambda row: self.within(row, inner, negated=False))
            case Present(path):
                return self.present(path)
            case Nothing():
                return false()
            case Comparison():
                clause = self.comparison(expression)
                return func.coalesce(clause, false(), type_=Boolean()) if negated else clause

    def comparison(self, comparison: Comparison) -> ColumnElement[bool]:
        path = comparison.path
        if path.attribute is not None and path.attribute.key == "schemas" and path.extension is None:
            return self.schemas(comparison)
        if self.is_multi_valued(path):
            matching = self.some_row(path, lambda row: self.compare(row(path), comparison))
            if comparison.operator is Operator.NE:  # which is true of what is not there at all
                return or_(matching, not_(self.some_row(path, lambda row: row(path).column.is_not(None))))
            return matching
        return self.compare(self.operand(path), comparison)

    def present(self, path: AttributePath) -> ColumnElement[bool]:
        attribute = path.attribute
        if attribute is None:
            assert path.extension is not None
            return true() if path.extension.key == _SEAT else self.in_search(path.extension.key).is_not(None)
        if attribute.key in ("schemas", "meta") and path.extension is None and path.sub is None:
            return true()
        if self.is_multi_valued(path):
            if path.target.is_complex:
                return self.some_row(path, lambda row: true())
            return self.some_row(path, lambda row: row(path).is_present)
        if path.target.is_complex:
            subs = [AttributePath(path.extension, attribute, sub) for sub in attribute.sub_attributes]
            return or_(*[self.operand(sub).column.is_not(None) for sub in subs])
        return self.operand(path).is_present

    def within(
        self, row: Callable[[AttributePath], Operand], expression: Expression, *, negated: bool
    ) -> ColumnElement[bool]:
        """Translate the inside of a value path: every term speaks of the same element."""
        match expression:
            case And(terms):
                return and_(*[self.within(row, term, negated=negated) for term in terms])
            case Or(terms):
                return or_(*[self.within(row, term, negated=negated) for term in terms])
            case Not(term):
                return not_(self.within(row, term, negated=True))
            case Present(path):
                return row(path).is_present
            case Comparison():
                clause = self.compare(row(expression.path), expression)
                return func.coalesce(clause, false(), type_=Boolean()) if negated else clause
            case ValuePath() | Nothing():
                raise AssertionError("neither stands inside a value path")

    # -- operators

    def compare(self, operand: Operand, comparison: Comparison) -> ColumnElement[bool]:
        column = operand.column
        match comparison.operator:
            case Operator.EQ:
                return column == self.bind(operand)
            case Operator.NE:
                return column.is_distinct_from(self.bind(operand))
            case Operator.CO:
                return contains_text(column, self.bind(operand))
            case Operator.EW:
                return ends_with_text(column, self.bind(operand))
            case Operator.SW if operand.is_indexed:
                return self.prefix_range(operand)
            case Operator.SW:
                return starts_with_text(column, self.bind(operand))
            case Operator.GT:
                return column > self.bind(operand)
            case Operator.GE:
                return column >= self.bind(operand)
            case Operator.LT:
                return column < self.bind(operand)
            case Operator.LE:
                return column <= self.bind(operand)

    def prefix_range(self, operand: Operand) -> ColumnElement[bool]:
        """``sw`` as a range, which an index answers; LIKE would not."""
        number = self._take()
        low = self._parameter(number, operand.bind, operand.type, "low")
        high = self._parameter(number, lambda value: text_behind(operand.bind(value)), operand.type, "high")
        return and_(operand.column >= low, operand.column < high)

    def bind(self, operand: Operand) -> ColumnElement[Any]:
        return self._parameter(self._take(), operand.bind, operand.type, "v")

    def _take(self) -> int:
        self._literals += 1
        return self._literals - 1

    def _parameter(self, number: int, bind: Binder, type_: Any, kind: str) -> ColumnElement[Any]:
        name = f"{kind}{number}"
        self.binders.append((name, number, bind))
        return bindparam(name, type_=type_)

    # -- where values are

    def is_multi_valued(self, path: AttributePath) -> bool:
        return path.attribute is not None and path.attribute.multi_valued

    def operand(self, path: AttributePath) -> Operand:
        """Return where a singular attribute is found."""
        column = self.columns.get(path.key)
        if column is not None:
            return operand_of(path.target, column, is_indexed=path.key in _INDEXED)
        if path.key == "meta.resourcetype":
            return operand_of(path.target, literal(self.resource_type.name, KeyText))
        if path.key == "meta.location":
            return operand_of(path.target, self.address(literal(self.resource_type.name), self.table.c.id))
        return self.json_operand(path.target, self.table.c.search, path.key)

    def json_operand(self, attribute: Attribute, document: ColumnElement[Any], key: str) -> Operand:
        value = json_member(document, literal(key))
        match attribute.type:
            case Type.BOOLEAN:
                return Operand(json_flag(document, literal(key)), _same, Boolean())
            case Type.INTEGER | Type.DECIMAL:
                return Operand(cast(value, Double), float, Double())
            case Type.DATE_TIME:
                return Operand(by_code_point(value), _instant_text, KeyText)
            case _:
                return Operand(by_code_point(value), str, KeyText)

    def in_search(self, key: str) -> ColumnElement[Any]:
        return json_member(self.table.c.search, literal(key))

    def address(self, type_name: ColumnElement[Any], resource_id: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the location of a resource, as ``meta.location`` and ``$ref`` show it."""
        endpoint = case((type_name == "User", "/Users/"), else_="/Groups/")
        return by_code_point(bindparam("base_url", type_=Text()) + endpoint + resource_id)

    # -- rows of multi-valued attributes

    def some_row(
        self,
        path: AttributePath,
        predicate: Callable[[Callable[[AttributePath], Operand]], ColumnElement[bool]],
    ) -> ColumnElement[bool]:
        """Return the condition that at least one element of a multi-valued attribute satisfies a predicate."""
        assert path.attribute is not None
        if path.extension is None and path.attribute.key == self.resource_type.relation:
            return self.table.c.id.in_(
                select(memberships.c.group_id).where(
                    _in_organization(memberships), predicate(self.member_row)
                )
            )
        if self.is_user and path.extension is None and path.attribute.key == "groups":
            return self.table.c.id.in_(
                select(memberships.c.member_id)
                .join(
                    groups,
                    (groups.c.organization_id == memberships.c.organization_id)
                    & (groups.c.id == memberships.c.group_id),
                )
                .where(_in_organization(memberships), _in_organization(groups), predicate(self.group_row))
            )
        return self.table.c.id.in_(
            select(attribute_values.c.resource_id).where(
                _in_organization(attribute_values),
                attribute_values.c.attribute == attribute_key(path),
                predicate(self.value_row),
            )
        )

    def value_row(self, path: AttributePath) -> Operand:
        """Return where a sub-attribute of an element is found in its row."""
        attribute, target = path.attribute, path.target
        assert attribute is not None
        key = path.sub.key if path.sub is not None else "value"
        if key == "value" and indexing.has_value_column(attribute):
            return operand_of(target, attribute_values.c.value_key, is_indexed=True)
        if path.sub is not None and key == "type" and target.type is Type.STRING:
            return operand_of(target, attribute_values.c.type_key)
        if path.sub is not None and key == "primary" and target.type is Type.BOOLEAN:
            return operand_of(target, attribute_values.c.is_primary)
        return self.json_operand(target, attribute_values.c.element, key)

    def member_row(self, path: AttributePath) -> Operand:
        """Return where a sub-attribute of a group's member is found."""
        key = path.sub.key if path.sub is not None else "value"
        columns = {
            "value": memberships.c.member_id,
            "type": _as_compared(path.target, memberships.c.member_type, ("User", "Group")),
            "$ref": self.address(memberships.c.member_type, memberships.c.member_id),
        }
        return operand_of(path.target, columns.get(key, null()))

    def group_row(self, path: AttributePath) -> Operand:
        """Return where a sub-attribute of a user's group is found."""
        key = path.sub.key if path.sub is not None else "value"
        columns = {
            "value": memberships.c.group_id,
            "display": groups.c.display_name_key,
            "type": literal("direct", KeyText),
            "$ref": self.address(literal("Group"), memberships.c.group_id),
        }
        return operand_of(path.target, columns.get(key, null()))

    def first_value(self, path: AttributePath) -> ColumnElement[Any]:
        """Return what a multi-valued attribute is sorted by."""
        return (
            select(self.value_row(path).column)
            .where(
                _in_organization(attribute_values),
                attribute_values.c.attribute == attribute_key(path),
                attribute_values.c.resource_id == self.table.c.id,
            )
            .order_by(
                func.coalesce(attribute_values.c.is_primary, false()).desc(), attribute_values.c.ordinal
            )
            .limit(1)
            .correlate(self.table)
            .scalar_subquery()
        )

    def schemas(self, comparison: Comparison) -> ColumnElement[bool]:
        """``schemas`` is derived: the base schema always, an extension where there is data of it."""
        number = self._take()
        matches = []
        for schema in self.resource_type.schemas:
            operand = operand_of(comparison.path.target, literal(schema.id, KeyText))
            always = schema.key == _SEAT or schema is self.resource_type.schema
            is_there = true() if always else self.in_search(schema.key).is_not(None)
            self._literals = number
            matches.append(and_(is_there, self.compare(operand, comparison)))
        return or_(*matches)


def attribute_key(path: AttributePath) -> str:
    """Return the name under which ``attribute_values`` keeps the elements of an attribute."""
    assert path.attribute is not None
    return f"{path.extension.key}:{path.attribute.key}" if path.extension else path.attribute.key


def operand_of(attribute: Attribute, column: ColumnElement[Any], *, is_indexed: bool = False) -> Operand:
    """Return an operand for a column that holds an attribute's value as it is."""
    match attribute.type:
        case Type.DATE_TIME:
            return Operand(column, _same, Instant())
        case Type.BOOLEAN:
            return Operand(column, _same, Boolean())
        case _:
            return Operand(column, _same, KeyText, is_indexed=is_indexed)


def text_behind(prefix: str) -> str:
    """Return the first text, by code points, that is greater than every text with this prefix."""
    for end in range(len(prefix), 0, -1):
        code = ord(prefix[end - 1])
        if code < 0x10FFFF:
            following = 0xE000 if code == 0xD7FF else code + 1  # there are no texts with surrogates
            return prefix[: end - 1] + chr(following)
    return chr(0x10FFFF) * 64


def _in_organization(table: Table) -> ColumnElement[bool]:
    return table.c.organization_id == bindparam("organization_id")


def _as_compared(
    attribute: Attribute, column: ColumnElement[Any], values: tuple[str, ...]
) -> ColumnElement[Any]:
    """Return a column of a few known texts as a filter compares it: folded where case does not count."""
    if not attribute.is_folded:
        return column
    return case({value: literal(fold(value), KeyText) for value in values}, value=column)


def _same(value: Any) -> Any:
    return value


def _instant_text(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
