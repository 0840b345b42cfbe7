"""Does this value match this expression? For value filters in PATCH, and as the measure of the SQL.

A test of an attribute looks at each element that has a value; ``ne`` looks at all of them
and counts one without the value as different, as it does an attribute without elements
(RFC 7644 §3.4.2.2: one element that matches is enough). Nothing here is deep: an expression
is nested no deeper than ``filters.Limits`` allows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from scim_server.scim.attributes import Attribute, Type
from scim_server.scim.filters import (
    And,
    Comparison,
    Expression,
    Literal,
    Not,
    Nothing,
    Operator,
    Or,
    Present,
    ValuePath,
)
from scim_server.scim.paths import AttributePath
from scim_server.scim.values import Json, fold, parse_date_time

Elements = Callable[[AttributePath], list[Any]]


def matches(expression: Expression, resource: Json) -> bool:
    """Tell whether a whole resource, derived attributes included, matches a filter."""
    return _evaluate(expression, lambda path: elements_at(resource, path))


def matches_element(expression: Expression, element: Any) -> bool:
    """Tell whether one value of an attribute matches the filter of a value path."""
    return _evaluate(expression, lambda path: [element])


def elements_at(resource: Json, path: AttributePath) -> list[Any]:
    """Return the elements of the attribute of a path, one at most where it is single-valued."""
    holder = resource if path.extension is None else resource.get(path.extension.id, {})
    return _listed(holder if path.attribute is None else holder.get(path.attribute.name))


def values_of(path: AttributePath, element: Any) -> list[Any]:
    """Return what a path leads to in one element: the element itself or the value of a sub-attribute."""
    if path.sub is None:
        return [element]
    return _listed(element.get(path.sub.name)) if isinstance(element, dict) else []


def compare(attribute: Attribute, operator: Operator, stored: Any, literal: Literal) -> bool:
    """Compare a stored value with a literal that is already of the attribute's type."""
    return _COMPARE[operator](_comparable(attribute, stored), _plain(literal))


def _evaluate(expression: Expression, elements: Elements) -> bool:
    match expression:
        case And(terms):
            return all(_evaluate(term, elements) for term in terms)
        case Or(terms):
            return any(_evaluate(term, elements) for term in terms)
        case Not(term):
            return not _evaluate(term, elements)
        case Present(path):
            return any(_is_assigned(v) for element in elements(path) for v in values_of(path, element))
        case ValuePath(path, inner):
            return any(matches_element(inner, element) for element in elements(path))
        case Nothing():
            return False
        case Comparison():
            return _is_so(expression, elements(expression.path))


def _is_so(comparison: Comparison, elements: list[Any]) -> bool:
    path, operator, literal = comparison.path, comparison.operator, comparison.value
    values = [values_of(path, element) for element in elements]
    if operator is Operator.NE and (not values or [] in values):
        return True
    return any(compare(path.target, operator, value, literal) for found in values for value in found)


def _comparable(attribute: Attribute, value: Any) -> Any:
    if attribute.type is Type.DATE_TIME:
        return _instant(value)
    if attribute.is_folded and isinstance(value, str):
        return fold(value)
    return _plain(value)


def _instant(value: Any) -> datetime | None:
    try:
        return parse_date_time(value)
    except (TypeError, ValueError):  # another type's value equals no instant
        return None


def _plain(value: Any) -> Any:
    """Numbers compare as the databases compare them: as double precision."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return float(value)
    return value


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _is_assigned(value: Any) -> bool:
    """Empty is the same as absent: null, a list (RFC 7643 §2.5), a text (RFC 7644 §3.4.2.2, table 3).

    A complex value counts by what is in it.
    """
    if isinstance(value, dict):
        return any(item not in (None, [], {}) for item in value.values())
    return value not in (None, "", [])


def _ordered(relation: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(stored: Any, literal: Any) -> bool:
        alike = isinstance(stored, str | float | datetime) and isinstance(literal, type(stored))
        return alike and relation(stored, literal)

    return compared


def _textual(relation: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def compared(stored: Any, literal: Any) -> bool:
        return isinstance(stored, str) and relation(stored, literal)

    return compared


_COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: lambda stored, literal: bool(stored == literal),
    Operator.NE: lambda stored, literal: bool(stored != literal),
    Operator.CO: _textual(lambda stored, literal: literal in stored),
    Operator.SW: _textual(lambda stored, literal: stored.startswith(literal)),
    Operator.EW: _textual(lambda stored, literal: stored.endswith(literal)),
    Operator.GT: _ordered(lambda stored, literal: stored > literal),
    Operator.GE: _ordered(lambda stored, literal: stored >= literal),
    Operator.LT: _ordered(lambda stored, literal: stored < literal),
    Operator.LE: _ordered(lambda stored, literal: stored <= literal),
}
