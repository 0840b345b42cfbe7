"""Does this value match this expression? For value filters in PATCH, and as the measure of the SQL."""

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


def matches(expression: Expression, resource: Json) -> bool:
    """Tell whether a whole resource, derived attributes included, matches a filter."""
    return _evaluate(expression, lambda path: values_at(resource, path), resource)


def matches_element(expression: Expression, element: Any) -> bool:
    """Tell whether one value of an attribute matches the filter of a value path."""

    def values(path: AttributePath) -> list[Any]:
        if path.sub is None:
            return _listed(element)
        return _listed(element.get(path.sub.name)) if isinstance(element, dict) else []

    return _evaluate(expression, values, {})


def values_at(resource: Json, path: AttributePath) -> list[Any]:
    """Return all values that a path leads to; values of sub-attributes across all elements."""
    holder = resource if path.extension is None else resource.get(path.extension.id, {})
    if path.attribute is None:
        return _listed(holder)
    values = _listed(holder.get(path.attribute.name))
    if path.sub is None:
        return values
    return [v for value in values if isinstance(value, dict) for v in _listed(value.get(path.sub.name))]


def compare(attribute: Attribute, operator: Operator, stored: Any, literal: Literal) -> bool:
    """Compare a stored value with a literal that is already of the attribute's type."""
    return _COMPARE[operator](_comparable(attribute, stored), _plain(literal))


def _evaluate(expression: Expression, values: Callable[[AttributePath], list[Any]], resource: Json) -> bool:
    match expression:
        case And(terms):
            return all(_evaluate(term, values, resource) for term in terms)
        case Or(terms):
            return any(_evaluate(term, values, resource) for term in terms)
        case Not(term):
            return not _evaluate(term, values, resource)
        case Present(path):
            return any(_is_assigned(value) for value in values(path))
        case ValuePath(path, inner):
            return any(matches_element(inner, element) for element in values(path))
        case Nothing():
            return False
        case Comparison(path, operator, literal):
            found = values(path)
            if operator is Operator.NE and not found:
                return True
            return any(compare(path.target, operator, value, literal) for value in found)


def _comparable(attribute: Attribute, value: Any) -> Any:
    if attribute.type is Type.DATE_TIME:
        return parse_date_time(value)
    if attribute.is_folded and isinstance(value, str):
        return fold(value)
    return _plain(value)


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
    """Empty is the same as absent (RFC 7643 §2.5); a complex value counts by what is in it."""
    if isinstance(value, dict):
        return any(_is_assigned(item) for item in value.values())
    return value is not None and value != []


def _ordered(relation: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(stored: Any, literal: Any) -> bool:
        alike = isinstance(stored, str | float | datetime) and isinstance(literal, type(stored))
        return alike and relation(stored, literal)

    return compared


_COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: lambda stored, literal: bool(stored == literal),
    Operator.NE: lambda stored, literal: bool(stored != literal),
    Operator.CO: lambda stored, literal: literal in stored,
    Operator.SW: lambda stored, literal: stored.startswith(literal),
    Operator.EW: lambda stored, literal: stored.endswith(literal),
    Operator.GT: _ordered(lambda stored, literal: stored > literal),
    Operator.GE: _ordered(lambda stored, literal: stored >= literal),
    Operator.LT: _ordered(lambda stored, literal: stored < literal),
    Operator.LE: _ordered(lambda stored, literal: stored <= literal),
}
