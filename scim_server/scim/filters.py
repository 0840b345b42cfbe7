"""Filters and PATCH paths: text to a typed expression (RFC 7644 §3.4.2.2, §3.5.2).

The grammar and the syntax tree are those of scim2-filter-parser; only this module knows
that library. Three things of it are replaced: the tokens (escapes, numbers, typed
literals, names that look like keywords), the precedence of ``and`` over ``or``, and the
errors. Every literal is then brought into the type of the attribute that it is compared
with, so that an expression that was made is one that can be answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from scim2_filter_parser import ast
from scim2_filter_parser.lexer import SCIMLexer
from scim2_filter_parser.parser import SCIMParser
from sly import Parser
from sly.yacc import ParserMeta

from scim_server.errors import InvalidFilter, InvalidPath
from scim_server.scim.attributes import Attribute, ResourceType, Returned, Type
from scim_server.scim.paths import AttributePath, resolve
from scim_server.scim.values import fold, parse_date_time

MAX_LENGTH = 4096
MAX_TOKENS = 512
MAX_DEPTH = 32


class Operator(StrEnum):
    """Comparison operators (RFC 7644 §3.4.2.2, table 3); ``pr`` is ``Present``."""

    EQ = "eq"
    NE = "ne"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"


Literal = str | bool | int | Decimal | datetime


@dataclass(frozen=True, slots=True)
class Comparison:
    """``path operator value``; the value is folded, an instant or a number as the attribute asks.

    ``written`` is the value as the client wrote it.
    """

    path: AttributePath
    operator: Operator
    value: Literal
    written: str | bool | int | Decimal | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Present:
    """``path pr``."""

    path: AttributePath


@dataclass(frozen=True, slots=True)
class ValuePath:
    """``path[filter]``: one element of a multi-valued attribute satisfies the whole filter."""

    path: AttributePath
    filter: Expression


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    term: Expression


@dataclass(frozen=True, slots=True)
class Nothing:
    """Matches no resource: a comparison with an attribute that this resource type does not have."""


Expression = Comparison | Present | ValuePath | And | Or | Not | Nothing


@dataclass(frozen=True, slots=True)
class PatchPath:
    """The ``path`` of a PATCH operation: an attribute, and which of its values (None: all)."""

    path: AttributePath
    filter: Expression | None


def parse_filter(text: str, resource_type: ResourceType, *, lenient: bool) -> Expression:
    """Return the expression of a filter on one resource type.

    ``lenient`` takes booleans as text, numbers as text where text is compared, and bare
    words as text. Raises InvalidFilter, never for anything else than the client's mistake.
    """
    return _Typing(resource_type, lenient=lenient).expression(_syntax_tree(text, lenient=lenient))


def parse_filter_for(
    text: str, resource_types: Sequence[ResourceType], *, lenient: bool
) -> dict[str, Expression]:
    """Return the expression of a filter for each of several resource types, by name.

    A comparison with an attribute that one type lacks is false there; one that all lack is refused.
    """
    found, problem = {}, None
    for resource_type in resource_types:
        try:
            typing = _Typing(resource_type, lenient=lenient, tolerates_unknown=True)
            expression = typing.expression(_syntax_tree(text, lenient=lenient))
        except InvalidFilter as error:
            problem = error
        else:
            found[resource_type.name] = expression if typing.known else Nothing()
            if typing.unknown and not typing.known:
                problem = InvalidFilter(f"{typing.unknown[0]} is no attribute of any resource type.")
    unknown_everywhere = all(isinstance(expression, Nothing) for expression in found.values())
    if not found or (problem is not None and unknown_everywhere):
        assert problem is not None
        raise problem
    return {type_.name: found.get(type_.name, Nothing()) for type_ in resource_types}


def parse_path(text: str, resource_type: ResourceType, *, lenient: bool) -> PatchPath:
    """Return what the ``path`` of a PATCH operation names: ``attr``, ``attr.sub``, ``attr[filter].sub``, a URN.

    Raises InvalidPath, InvalidFilter for a value filter that does not parse.
    """
    if "[" not in text and '"' not in text:
        return PatchPath(resolve(resource_type, text, bare_extensions=lenient), None)
    try:
        tree = _syntax_tree(text + " pr", lenient=lenient)
    except InvalidFilter as error:
        raise InvalidPath(f"The path {_short(text)} does not parse: {error.detail}") from error
    path = _path_only(tree)
    if path is None:
        raise InvalidPath(f"{_short(text)} is a filter, not a path.")
    return _Typing(resource_type, lenient=lenient).patch_path(path)


def shape_and_values(expression: Expression) -> tuple[Hashable, list[Literal]]:
    """Return an expression without its literals, and its literals in the order in which they stand.

    Expressions of one shape differ in their literals only; a translation of one serves all.
    """
    values: list[Literal] = []

    def shape(node: Expression) -> Hashable:
        match node:
            case And(terms) | Or(terms):
                return type(node).__name__, tuple(shape(term) for term in terms)
            case Not(term):
                return "Not", shape(term)
            case ValuePath(path, inner):
                return "ValuePath", path, shape(inner)
            case Comparison(path=path, operator=operator, value=value):
                values.append(value)
                return operator, path
            case Present(path):
                return "Present", path
            case Nothing():
                return "Nothing"

    return shape(expression), values


# -- tokens


@dataclass(slots=True)
class Token:
    """A token as the grammar's parser takes it; ``value`` of a literal is a ``_Literal``."""

    type: str
    value: Any
    index: int
    lineno: int = 1
    end: int = 0


@dataclass(frozen=True, slots=True)
class _Literal:
    value: str | bool | int | Decimal | None
    text: str


_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?(?=[\s()\[\]]|$)")
_WORD = re.compile(r'[^\s()\[\]"]+')
_ATTRIBUTE = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:[^\s()\[\]\"]*:)?[A-Za-z$][\w$-]*(?:\.[A-Za-z$][\w$-]*)?", re.ASCII
)
_SUB_ATTRIBUTE = re.compile(r"\.([A-Za-z$][\w$-]*)", re.ASCII)
_NOT = re.compile(r"not\s*(?=\()", re.IGNORECASE)
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_OPERATORS = frozenset(Operator)


class _Tokens:
    """Reads a filter from left to right; what may come next decides what a word is."""

    def __init__(self, text: str, *, lenient: bool) -> None:
        self.text = text
        self.lenient = lenient
        self.at = 0
        self.depth = 0

    def __iter__(self) -> Iterator[Token]:
        if len(self.text) > MAX_LENGTH:
            raise InvalidFilter(f"The filter is longer than {MAX_LENGTH} characters.")
        step = self.operand
        for _ in range(MAX_TOKENS):
            self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at == len(self.text):
                return
            token, step = step()
            yield token
        raise InvalidFilter(f"The filter has more than {MAX_TOKENS} parts.")

    def operand(self) -> tuple[Token, Callable[[], Any]]:
        """What begins an expression: ``(``, ``not (`` or an attribute."""
        if self.text[self.at] == "(":
            return self.opening("LPAREN"), self.operand
        negation = _NOT.match(self.text, self.at)
        if negation:
            return self.token("NOT", "not", negation.end()), self.operand
        attribute = _ATTRIBUTE.match(self.text, self.at)
        if attribute is None:
            raise self.unexpected("an attribute")
        return self.token("ATTRNAME", attribute[0], attribute.end()), self.after_attribute

    def after_attribute(self) -> tuple[Token, Callable[[], Any]]:
        """What follows an attribute: ``[`` or an operator."""
        if self.text[self.at] == "[" and self.text[self.at - 1] != " ":
            return self.opening("LBRACKET"), self.operand
        return self.operator()

    def operator(self) -> tuple[Token, Callable[[], Any]]:
        word = self.word("an operator")
        if word.lower() == "pr":
            return self.token("PR", "pr", self.at + 2), self.connective
        if word.lower() not in _OPERATORS:
            raise InvalidFilter(f"The operator {_short(word)!r} at position {self.at} is not supported.")
        return self.token(word.upper(), word.lower(), self.at + 2), self.literal

    def literal(self) -> tuple[Token, Callable[[], Any]]:
        """The value on the right of an operator."""
        string = _STRING.match(self.text, self.at)
        if string:
            return self.token("COMP_VALUE", _decoded(string[0], self.at), string.end()), self.connective
        number = _NUMBER.match(self.text, self.at)
        if number:
            value = _Literal(_number(number[0]), number[0])
            return self.token("NUMBER", value, number.end()), self.connective
        word = self.word("a value")
        if word.lower() in _WORDS:
            value = _Literal(_WORDS[word.lower()], word)
            return self.token(word.upper(), value, self.at + len(word)), self.connective
        if not self.lenient:
            raise InvalidFilter(
                f"The value {_short(word)} at position {self.at} must stand in double quotes."
            )
        return self.token("COMP_VALUE", _Literal(word, word), self.at + len(word)), self.connective

    def connective(self) -> tuple[Token, Callable[[], Any]]:
        """What follows a whole expression: a closing bracket, ``and``, ``or``."""
        if self.text[self.at] == ")":
            return self.closing("RPAREN"), self.connective
        if self.text[self.at] == "]":
            return self.closing("RBRACKET"), self.after_value_path
        word = self.word('"and", "or" or the end').lower()
        if word not in ("and", "or"):
            raise self.unexpected('"and", "or" or the end')
        return self.token(word.upper(), word, self.at + len(word)), self.operand

    def after_value_path(self) -> tuple[Token, Callable[[], Any]]:
        """Behind ``]``: a sub-attribute, an operator (both beyond the grammar, both sent), or as anywhere."""
        sub = _SUB_ATTRIBUTE.match(self.text, self.at) if self.text[self.at - 1] == "]" else None
        if sub:
            return self.token("SUBATTR", sub[1], sub.end()), self.operator
        word = _WORD.match(self.text, self.at)
        if word and (word[0].lower() in _OPERATORS or word[0].lower() == "pr"):
            return self.operator()
        return self.connective()

    def opening(self, type_: str) -> Token:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise InvalidFilter(f"The filter is nested deeper than {MAX_DEPTH} brackets.")
        return self.token(type_, self.text[self.at], self.at + 1)

    def closing(self, type_: str) -> Token:
        self.depth -= 1
        return self.token(type_, self.text[self.at], self.at + 1)

    def token(self, type_: str, value: Any, end: int) -> Token:
        token = Token(type_, value, self.at, end=end)
        self.at = end
        return token

    def word(self, expected: str) -> str:
        word = _WORD.match(self.text, self.at)
        if word is None:
            raise self.unexpected(expected)
        return word[0]

    def unexpected(self, expected: str) -> InvalidFilter:
        return InvalidFilter(f"Expected {expected} at position {self.at}: {_short(self.text[self.at :])}")


def _decoded(text: str, at: int) -> _Literal:
    try:
        value = json.loads(text)
        value.encode()
    except ValueError as error:
        raise InvalidFilter(f"The text at position {at} is no JSON string.") from error
    if "\x00" in value:
        raise InvalidFilter(f"The text at position {at} has a NUL character.")
    return _Literal(value, value)


def _number(text: str) -> int | Decimal:
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else Decimal(text)


# -- grammar


def _refuse(_parser: Any, token: Token | None) -> None:
    if token is None:
        raise InvalidFilter("The filter ends too early.")
    raise InvalidFilter(f"Unexpected {_short(str(token.value))} at position {token.index}.")


def _parser_class() -> type[Parser]:
    """The library's rules in a parser with the RFC's precedence: ``not`` over ``and`` over ``or``."""
    definition = ParserMeta.__prepare__("FilterParser", (Parser,))
    for name, value in vars(SCIMParser).items():
        if callable(value) and hasattr(value, "rules"):
            dict.__setitem__(definition, name, value)
    definition["tokens"] = SCIMLexer.tokens
    definition["track_positions"] = False
    definition["error"] = _refuse
    definition["precedence"] = (("left", "OR"), ("left", "AND"), ("right", "NOT"))
    parser: type[Parser] = ParserMeta("FilterParser", (Parser,), definition)
    return parser


_Parser = _parser_class()


def _syntax_tree(text: str, *, lenient: bool) -> Any:
    """Return the library's syntax tree. A parser keeps state, so each text has one of its own."""
    tree = _Parser().parse(iter(_Tokens(text, lenient=lenient)))
    if tree is None:
        raise InvalidFilter("The filter is empty.")
    return tree


def _path_only(tree: Any) -> Any:
    """Return the attribute path of a tree that is ``path pr`` and nothing else."""
    while isinstance(tree, ast.Filter) and not tree.negated and tree.namespace is None:
        tree = tree.expr
    return tree.attr_path if isinstance(tree, ast.AttrExpr) and tree.value == "pr" else None


# -- types


class _Typing:
    """From the syntax tree to an expression that is checked against a resource type."""

    def __init__(
        self, resource_type: ResourceType, *, lenient: bool, tolerates_unknown: bool = False
    ) -> None:
        self.resource_type = resource_type
        self.lenient = lenient
        self.tolerates_unknown = tolerates_unknown
        self.unknown: list[str] = []
        self.known: list[str] = []

    def expression(self, node: Any, within: AttributePath | None = None) -> Expression:
        while isinstance(node, ast.Filter) and node.namespace is None and not node.negated:
            node = node.expr
        if isinstance(node, ast.Filter) and node.namespace is None:
            return Not(self.expression(node.expr, within))
        if isinstance(node, ast.Filter):
            return self.value_path(node, within)
        if isinstance(node, ast.LogExpr):
            return self.chain(node, within)
        return self.attribute_expression(node, within)

    def chain(self, node: Any, within: AttributePath | None) -> Expression:
        """Flatten ``a and b and c``, which the grammar nests to the left, without recursion along it."""
        operands, operator = [], node.op
        while isinstance(node, ast.LogExpr) and node.op == operator:
            operands.append(node.expr2)
            node = _unwrapped(node.expr1)
        operands.append(node)
        terms = tuple(self.expression(operand, within) for operand in reversed(operands))
        return And(terms) if operator == "and" else Or(terms)

    def value_path(self, node: Any, within: AttributePath | None) -> Expression:
        path = self.path(node.namespace, within)
        if path is None:
            return Nothing()
        if within is not None or path.sub is not None or path.attribute is None:
            raise InvalidFilter(f"{path} cannot have a value filter.")
        if not path.attribute.multi_valued:
            # `manager[value eq "x"]` of a single-valued attribute says the same as `manager.value eq "x"`.
            return self.expression(node.expr, path)
        return ValuePath(path, self.expression(node.expr, path))

    def attribute_expression(self, node: Any, within: AttributePath | None) -> Expression:
        if isinstance(node.attr_path.attr_name, ast.Filter):
            return self.value_path_comparison(node, within)
        path = self.path(node.attr_path, within)
        if path is None:
            return Nothing()
        if node.value == "pr":
            return Present(path)
        return self.comparison(path, Operator(node.value), node.comp_value.value)

    def value_path_comparison(self, node: Any, within: AttributePath | None) -> Expression:
        """``emails[type eq "work"].value eq "x"``, beyond the grammar but sent: one element satisfies both."""
        value_path = node.attr_path.attr_name
        namespace = value_path.namespace
        sub_name = namespace.sub_attr.value if namespace.sub_attr is not None else "value"
        whole = self.path(ast.AttrPath(namespace.attr_name, None, namespace.uri), within)
        if whole is None:
            return Nothing()
        if whole.attribute is None or whole.sub is not None or within is not None:
            raise InvalidFilter(f"{whole} cannot have a value filter.")
        if node.value == "pr" and namespace.sub_attr is None:
            return ValuePath(whole, self.expression(value_path.expr, whole))
        path = self.within(whole, sub_name)
        last: Expression = Present(path)
        if node.value != "pr":
            last = self.comparison(path, Operator(node.value), node.comp_value.value)
        inner = self.expression(value_path.expr, whole)
        return ValuePath(whole, And((inner, last))) if whole.attribute.multi_valued else And((inner, last))

    def patch_path(self, node: Any) -> PatchPath:
        if not isinstance(node.attr_name, ast.Filter):
            path = resolve(self.resource_type, node.attr_name, bare_extensions=self.lenient)
            return PatchPath(path, None)
        namespace = node.attr_name.namespace
        path = resolve(self.resource_type, namespace.attr_name, bare_extensions=self.lenient)
        if path.attribute is None or path.sub is not None:
            raise InvalidPath(f"{path} cannot have a value filter.")
        if not path.attribute.multi_valued and not (self.lenient and path.attribute.is_complex):
            raise InvalidPath(f"{path} has one value only and cannot have a value filter.")
        inner = self.expression(node.attr_name.expr, path)
        if namespace.sub_attr is not None:
            path = self.within(path, namespace.sub_attr.value)
        return PatchPath(path, inner)

    def path(self, node: Any, within: AttributePath | None) -> AttributePath | None:
        """Resolve a name; inside a value path, as a sub-attribute. None for one that this type may lack."""
        name: str = node.attr_name
        if within is not None:
            return self.within(within, name)
        try:
            path = resolve(self.resource_type, name)
        except InvalidPath as error:
            if self.tolerates_unknown:
                self.unknown.append(name)
                return None
            raise InvalidFilter(error.detail) from error
        self.known.append(name)
        if path.attribute is not None and path.target.returned is Returned.NEVER:
            raise InvalidFilter(f"{path} is never returned and cannot be filtered on.")
        return path

    def within(self, outer: AttributePath, name: str) -> AttributePath:
        assert outer.attribute is not None
        if not outer.attribute.is_complex and name.lower() == "value":
            return outer
        sub = outer.attribute.by_key.get(name.lower())
        if sub is None:
            raise InvalidFilter(f"{outer} has no sub-attribute {_short(name)}.")
        return AttributePath(outer.extension, outer.attribute, sub)

    def comparison(self, path: AttributePath, operator: Operator, literal: _Literal) -> Expression:
        if path.attribute is None:
            raise InvalidFilter(
                f"{path} is a whole schema and cannot be compared; ask whether it is present."
            )
        if path.target.is_complex:
            value = path.target.by_key.get("value")
            if value is None:
                raise InvalidFilter(f"{path} is complex: name one of its sub-attributes.")
            path = AttributePath(path.extension, path.attribute, value)
        if literal.value is None:
            return self.null_comparison(path, operator)
        if operator not in _OPERATORS_OF[path.target.type]:
            raise InvalidFilter(f"{operator} cannot be applied to {path}, which is a {path.target.type}.")
        return Comparison(path, operator, self.value(path.target, literal, str(path)), literal.value)

    def null_comparison(self, path: AttributePath, operator: Operator) -> Expression:
        """null is the same as unassigned (RFC 7643 §2.5)."""
        if operator is Operator.EQ:
            return Not(Present(path))
        if operator is Operator.NE:
            return Present(path)
        raise InvalidFilter(f"{operator} cannot be applied to null.")

    def value(self, attribute: Attribute, literal: _Literal, name: str) -> Literal:
        value = literal.value
        match attribute.type:
            case Type.BOOLEAN:
                if isinstance(value, str) and self.lenient and value.lower() in ("true", "false"):
                    return value.lower() == "true"
                if isinstance(value, bool):
                    return value
            case Type.INTEGER | Type.DECIMAL:
                if isinstance(value, int | Decimal) and not isinstance(value, bool):
                    return value
            case Type.DATE_TIME:
                if isinstance(value, str):
                    return self.instant(value, name)
            case _:
                if isinstance(value, str) or (self.lenient and not isinstance(value, bool)):
                    return fold(literal.text) if attribute.is_folded else literal.text
        raise InvalidFilter(
            f"{name} is a {attribute.type} and cannot be compared with {_short(literal.text)}."
        )

    def instant(self, value: str, name: str) -> datetime:
        try:
            return parse_date_time(value)
        except ValueError as error:
            raise InvalidFilter(
                f"{name}: {_short(value)} is no dateTime such as 2026-01-31T12:00:00Z."
            ) from error


_EQUALITY: Collection[Operator] = (Operator.EQ, Operator.NE)
_ORDERING: Collection[Operator] = (*_EQUALITY, Operator.GT, Operator.GE, Operator.LT, Operator.LE)
_SUBSTRINGS: Collection[Operator] = (Operator.CO, Operator.SW, Operator.EW)
_OPERATORS_OF: dict[Type, Collection[Operator]] = {
    Type.STRING: tuple(Operator),
    Type.REFERENCE: tuple(Operator),
    Type.BINARY: (*_EQUALITY, *_SUBSTRINGS),
    Type.BOOLEAN: _EQUALITY,
    Type.INTEGER: _ORDERING,
    Type.DECIMAL: _ORDERING,
    Type.DATE_TIME: _ORDERING,
    Type.COMPLEX: (),
}


def _unwrapped(node: Any) -> Any:
    while isinstance(node, ast.Filter) and not node.negated and node.namespace is None:
        node = node.expr
    return node


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:100] + "…"
