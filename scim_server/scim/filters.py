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
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any

from scim2_filter_parser import ast
from scim2_filter_parser.lexer import SCIMLexer
from scim2_filter_parser.parser import SCIMParser
from sly import Parser
from sly.yacc import ParserMeta

from scim_server.errors import InvalidFilter, InvalidPath
from scim_server.scim.attributes import ResourceType, Returned, Type
from scim_server.scim.dialects import Deviation, Note, boolean_as_text, dot_behind_urn, unnoted
from scim_server.scim.paths import AttributePath, resolve, shortened
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

    ``written`` is the value as a document would hold it: not folded, a dateTime as text.
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
    """``path[filter]``: one element of a multi-valued attribute satisfies the whole filter.

    Within it, ``attribute`` of every path is the one outside and ``sub`` the one inside.
    """

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
    """Matches no resource: what a filter comes to on a resource type that lacks its attributes."""


Expression = Comparison | Present | ValuePath | And | Or | Not | Nothing


@dataclass(frozen=True, slots=True)
class PatchPath:
    """The ``path`` of a PATCH operation: an attribute, and which of its values (None: all)."""

    path: AttributePath
    filter: Expression | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused before it is parsed: characters, tokens, brackets within brackets."""

    length: int = MAX_LENGTH
    tokens: int = MAX_TOKENS
    depth: int = MAX_DEPTH


LIMITS = Limits()


def parse_filter(
    text: str,
    resource_type: ResourceType,
    *,
    lenient: bool,
    limits: Limits = LIMITS,
    note: Note = unnoted,
) -> Expression:
    """Return the expression of a filter on one resource type.

    ``lenient`` takes booleans as text, numbers as text where text is compared, bare words
    as text, and attributes of extensions without their URN; ``note`` is told of them.
    Raises InvalidFilter; so does a filter on what is never returned, because ``sensitive`` is
    kept for what a URI discloses (RFC 7644 §3.12, §7.5.2) and a search by POST has none.
    """
    return _from_template(text, resource_type, lenient, limits, note) or _parsed(
        text, resource_type, lenient, limits, note
    )


def _parsed(text: str, resource_type: ResourceType, lenient: bool, limits: Limits, note: Note) -> Expression:
    expression = _Typing(resource_type, lenient=lenient, note=note).expression(
        _syntax_tree(text, lenient=lenient, limits=limits, note=note)
    )
    assert not isinstance(expression, bool)  # only what may be unknown folds to a constant
    return expression


def parse_filter_for(
    text: str,
    resource_types: Sequence[ResourceType],
    *,
    lenient: bool,
    limits: Limits = LIMITS,
    note: Note = unnoted,
) -> dict[str, Expression]:
    """Return the expression of a filter for each of several resource types, by name; ``Nothing`` is whole.

    An attribute that a type lacks is treated as one without a value (RFC 7644 §3.4.2.1), also where all
    of them lack it. Raises InvalidFilter.
    """
    tree = _syntax_tree(text, lenient=lenient, limits=limits, note=note)
    found = {}
    for resource_type in resource_types:
        typing = _Typing(resource_type, lenient=lenient, note=note, tolerates_unknown=True)
        found[resource_type.name] = _as_expression(typing.expression(tree), resource_type)
    return found


def parse_path(
    text: str,
    resource_type: ResourceType,
    *,
    lenient: bool,
    limits: Limits = LIMITS,
    note: Note = unnoted,
) -> PatchPath:
    """Return what a PATCH operation's ``path`` names: ``attr``, ``attr.sub``, ``attr[filter].sub``, a URN.

    Raises InvalidPath for a path that does not parse or names what is not defined, and
    InvalidFilter for a value filter that parses but cannot be answered (RFC 7644 §3.12).
    """
    if not lenient and text != text.strip():
        raise InvalidPath(f"The path {shortened(text)!r} has blanks around it.")
    if "[" not in text and '"' not in text:
        return PatchPath(_Typing(resource_type, lenient=lenient, note=note).resolved(text), None)
    return _path_from_template(text, resource_type, lenient, limits, note) or _parsed_path(
        text, resource_type, lenient, limits, note
    )


def _parsed_path(
    text: str, resource_type: ResourceType, lenient: bool, limits: Limits, note: Note
) -> PatchPath:
    try:
        tree = _syntax_tree(text, lenient=lenient, limits=limits, note=note, is_path=True)
    except InvalidFilter as error:
        raise InvalidPath(f"The path {shortened(text)} does not parse: {error.detail}") from error
    path = _path_only(tree)
    if path is None:
        raise InvalidPath(f"{shortened(text)} is a filter, not a path.")
    return _Typing(resource_type, lenient=lenient, note=note).patch_path(path)


# -- templates: clients ask the same question again and again, about somebody else each time

_SHORT = 512  # characters; what is longer is not asked often, and would be read twice at worst
_BLANK = "\ue000"  # begins a text that stands for another; no filter that has it is cut up


def _from_template(
    text: str, resource_type: ResourceType, lenient: bool, limits: Limits, note: Note
) -> Expression | None:
    """Parse a filter by what is known of its like; None where it has to be read for itself."""
    known = _of_its_like(_parsed, text, resource_type, lenient, limits, note)
    return None if known is None else _filled(*known)


def _path_from_template(
    text: str, resource_type: ResourceType, lenient: bool, limits: Limits, note: Note
) -> PatchPath | None:
    """Parse a path with a value filter by what is known of its like, as ``_from_template`` does a filter."""
    known = _of_its_like(_parsed_path, text, resource_type, lenient, limits, note)
    if known is None:
        return None
    path, texts = known
    return path if path.filter is None else PatchPath(path.path, _filled(path.filter, texts))


def _of_its_like(
    parse: Callable[..., Any],
    text: str,
    resource_type: ResourceType,
    lenient: bool,
    limits: Limits,
    note: Note,
) -> tuple[Any, list[str]] | None:
    """Return what a text without the texts in it is parsed to, and those; None where it has to be read as it is.

    Of texts in quotes only the value matters, as long as they are compared as text: they are cut
    out, what is left is parsed once, and the texts are put back where they were.
    """
    if len(text) > min(limits.length, _SHORT) or "\\" in text or _BLANK in text or _UNUSABLE.search(text):
        return None
    texts: list[str] = []

    def cut(string: re.Match[str]) -> str:
        texts.append(string[0][1:-1])
        return f'"{_BLANK}{len(texts) - 1}"'

    template = _template(parse, _STRING.sub(cut, text), resource_type, lenient, limits)
    if template is None:
        return None
    made, notes = template
    for deviation in notes:
        note(deviation)
    return made, texts


@lru_cache(maxsize=512)
def _template(
    parse: Callable[..., Any], text: str, resource_type: ResourceType, lenient: bool, limits: Limits
) -> tuple[Any, tuple[Deviation, ...]] | None:
    """Return what a text is parsed to, and the deviations; None where a text must be a date, or it is wrong."""
    notes: list[Deviation] = []
    try:
        return parse(text, resource_type, lenient, limits, notes.append), tuple(notes)
    except (InvalidFilter, InvalidPath):
        return None


def _filled(template: Expression, texts: Sequence[str]) -> Expression:
    match template:
        case Comparison(path=path, operator=operator, written=str() as blank) if blank[:1] == _BLANK:
            text = texts[int(blank[1:])]
            return Comparison(path, operator, _compared(path, text), text)
        case And(terms):
            return And(tuple(_filled(term, texts) for term in terms))
        case Or(terms):
            return Or(tuple(_filled(term, texts) for term in terms))
        case Not(term):
            return Not(_filled(term, texts))
        case ValuePath(path, inner):
            return ValuePath(path, _filled(inner, texts))
        case _:
            return template


def count_terms(expression: Expression) -> int:
    """Return how many questions an expression asks of whatever it is tried on."""
    match expression:
        case And(terms) | Or(terms):
            return sum(map(count_terms, terms))
        case Not(inner) | ValuePath(_, inner):
            return count_terms(inner)
        case _:
            return 1


def shape_and_values(expression: Expression) -> tuple[Hashable, list[Literal]]:
    """Return an expression without its literals, and its literals in the order in which they stand.

    Expressions of one shape differ in their literals only, of which the paths tell the types;
    a translation of one serves all.
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
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_SPACED_BEHIND = frozenset({*(operator.upper() for operator in Operator), "AND", "OR"})
_SPACED_BEFORE = _SPACED_BEHIND | {"PR"}


class _Tokens:
    """Reads a filter from left to right; what may come next decides what a word is.

    A path is read as if ``pr`` stood behind it, which makes it a filter of the grammar.
    """

    def __init__(self, text: str, *, lenient: bool, limits: Limits, note: Note, is_path: bool) -> None:
        self.text = text
        self.lenient = lenient
        self.note = note
        self.limits = limits
        self.is_path = is_path
        self.at = 0
        self.depth = 0

    def __iter__(self) -> Iterator[Token]:
        self.check_text()
        step, before = self.operand, ""
        for _ in range(self.limits.tokens):
            start = self.at
            self.at = _SPACE.match(self.text, start).end()  # type: ignore[union-attr]
            if self.at == len(self.text):
                yield from self.end(step)
                return
            at = self.at
            token, step = step()
            if (
                at == start
                and not self.lenient
                and (before in _SPACED_BEHIND or token.type in _SPACED_BEFORE)
            ):
                raise InvalidFilter(f"Expected a space at position {at}: {shortened(self.text[at:])}")
            before = token.type
            yield token
        raise InvalidFilter(f"The filter has more than {self.limits.tokens} parts.")

    def check_text(self) -> None:
        """Refuse what is too long, and characters that no database takes."""
        if len(self.text) > self.limits.length:
            raise InvalidFilter(f"The filter is longer than {self.limits.length} characters.")
        unusable = _UNUSABLE.search(self.text)
        if unusable:
            raise InvalidFilter(f"The character at position {unusable.start()} cannot be part of a filter.")

    def end(self, step: Callable[[], Any]) -> Iterator[Token]:
        """Behind the last token: the ``pr`` of a path, or nothing where a filter may end."""
        if (
            self.is_path
            and not self.depth
            and step in (self.after_attribute, self.after_value_path, self.operator)
        ):
            yield self.token("PR", "pr", self.at)
        elif step in (self.after_attribute, self.operator):
            raise InvalidFilter(f"Expected an operator at the end of {shortened(self.text)}")
        elif step == self.literal:
            raise InvalidFilter(f"Expected a value at the end of {shortened(self.text)}")
        elif step == self.operand:
            raise InvalidFilter(f"Expected an attribute at the end of {shortened(self.text)!r}")
        elif self.depth:
            raise InvalidFilter(f"A bracket is not closed in {shortened(self.text)}")

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
        if self.text[self.at] == "[" and not self.text[self.at - 1].isspace():
            return self.opening("LBRACKET"), self.operand
        return self.operator()

    def operator(self) -> tuple[Token, Callable[[], Any]]:
        if self.is_path and not self.depth:
            raise self.unexpected("the end of the path")
        word = self.word("an operator")
        if word.lower() == "pr":
            return self.token("PR", "pr", self.at + 2), self.connective
        if word.lower() not in _OPERATORS:
            raise InvalidFilter(f"The operator {shortened(word)} at position {self.at} is not supported.")
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
        known = word.lower() if self.lenient else word  # JSON's are in lower case
        if self.lenient and word not in _WORDS:
            self.note(Deviation.UNQUOTED_TEXT)
        if known in _WORDS:
            value = _Literal(_WORDS[known], word)
            return self.token(known.upper(), value, self.at + len(word)), self.connective
        if not self.lenient or word.startswith("'"):
            raise InvalidFilter(
                f"The value {shortened(word)} at position {self.at} must stand in double quotes."
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
        if self.depth > self.limits.depth:
            raise InvalidFilter(f"The filter is nested deeper than {self.limits.depth} brackets.")
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
        return InvalidFilter(f"Expected {expected} at position {self.at}: {shortened(self.text[self.at :])}")


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
    raise InvalidFilter(f"Unexpected {shortened(str(token.value))!r} at position {token.index}.")


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


def _syntax_tree(text: str, *, lenient: bool, limits: Limits, note: Note, is_path: bool = False) -> Any:
    """Return the library's syntax tree. A parser keeps state, so each text has one of its own."""
    tokens = _Tokens(text, lenient=lenient, limits=limits, note=note, is_path=is_path)
    return _Parser().parse(iter(tokens))


def _path_only(tree: Any) -> Any:
    """Return the attribute path of a tree that is ``path pr`` and nothing else."""
    tree = _unwrapped(tree)
    return tree.attr_path if isinstance(tree, ast.AttrExpr) and tree.value == "pr" else None


# -- types

_Folded = Expression | bool  # a bool is what an attribute that the resource type lacks makes of a term


class _Typing:
    """From the syntax tree to an expression that is checked against a resource type."""

    def __init__(
        self, resource_type: ResourceType, *, lenient: bool, note: Note, tolerates_unknown: bool = False
    ) -> None:
        self.resource_type = resource_type
        self.lenient = lenient
        self.note = note
        self.tolerates_unknown = tolerates_unknown

    def expression(self, node: Any, within: AttributePath | None = None) -> _Folded:
        """Return the typed expression; ``within`` is the attribute of the value path around it.

        It recurses along brackets only, of which there are few (``Limits.depth``).
        """
        node = _unwrapped(node)
        if isinstance(node, ast.LogExpr):
            return self.chain(node, within)
        if not isinstance(node, ast.Filter):
            return self.attribute_expression(node, within)
        if node.namespace is not None:
            return self.value_path(node.namespace, node.expr, within)
        term = self.expression(node.expr, within)
        return not term if isinstance(term, bool) else Not(term)

    def chain(self, node: Any, within: AttributePath | None) -> _Folded:
        """Flatten ``a and b and c``, which the grammar nests to the left, without recursion along it."""
        operands, operator = [], node.op
        while isinstance(node, ast.LogExpr) and node.op == operator:
            operands.append(node.expr2)
            node = _unwrapped(node.expr1)
        operands.append(node)
        terms = [self.expression(operand, within) for operand in reversed(operands)]
        return _joined(terms, And if operator == "and" else Or)

    def value_path(self, name: Any, inner: Any, within: AttributePath | None) -> _Folded:
        path = self.path(name, within)
        return False if path is None else self.some_element(path, within, inner)

    def some_element(
        self, path: AttributePath, within: AttributePath | None, inner: Any, *more: Expression
    ) -> Expression:
        """``path[inner]``, with ``more`` that the same element satisfies (RFC 7644 §3.4.2.2, table 5)."""
        attribute = path.attribute
        if within is not None or path.sub is not None or attribute is None:
            raise InvalidFilter(f"{path} cannot have a value filter.")
        if not attribute.is_complex and not attribute.multi_valued:
            raise InvalidFilter(f"{path} cannot have a value filter.")
        terms = (self.expression(inner, path), *more)
        if not attribute.multi_valued:
            terms = (Present(path), *terms)
        expression = _joined(terms, And)
        assert not isinstance(expression, bool)
        return ValuePath(path, expression) if attribute.multi_valued else expression

    def attribute_expression(self, node: Any, within: AttributePath | None) -> _Folded:
        if isinstance(node.attr_path.attr_name, ast.Filter):
            return self.value_path_comparison(node, within)
        path = self.path(node.attr_path, within)
        if path is None:
            return _without_value(node)
        found = self.test(path, node)
        if (
            within is None and node.value == "eq" and is_not_primary(found)
        ):  # of some element, not of the lack of elements
            return ValuePath(replace(path, sub=None), found)
        return found

    def test(self, path: AttributePath, node: Any) -> Expression:
        """A comparison with a path, or whether it is present."""
        if node.value != "pr":
            return self.comparison(path, Operator(node.value), node.comp_value.value)
        _refuse_hidden(path)
        return Present(path)

    def value_path_comparison(self, node: Any, within: AttributePath | None) -> _Folded:
        """``emails[type eq "work"].value eq "x"``, which clients send: one element satisfies both."""
        self.note(Deviation.VALUE_PATH_COMPARED)
        value_path = node.attr_path.attr_name
        namespace = value_path.namespace
        path = self.path(ast.AttrPath(namespace.attr_name, None, namespace.uri), within)
        if path is None:
            return False
        if namespace.sub_attr is None and node.value == "pr":
            return self.some_element(path, within, value_path.expr)
        sub = self.within(path, namespace.sub_attr.value if namespace.sub_attr is not None else "value")
        return self.some_element(path, within, value_path.expr, self.test(sub, node))

    def patch_path(self, node: Any) -> PatchPath:
        if not isinstance(node.attr_name, ast.Filter):
            return PatchPath(self.resolved(node.attr_name), None)
        namespace = node.attr_name.namespace
        path = self.resolved(namespace.attr_name)
        if path.attribute is None or path.sub is not None:
            raise InvalidPath(f"{path} cannot have a value filter.")
        if not path.attribute.multi_valued:
            if not (self.lenient and path.attribute.is_complex):
                raise InvalidPath(f"{path} has one value only and cannot have a value filter.")
            self.note(Deviation.FILTER_OF_SINGLE_VALUE)
        inner = self.expression(node.attr_name.expr, path)
        assert not isinstance(inner, bool)
        if namespace.sub_attr is not None:
            path = resolve(self.resource_type, f"{path}.{namespace.sub_attr.value}")
        return PatchPath(path, inner)

    def path(self, node: Any, within: AttributePath | None) -> AttributePath | None:
        """Resolve a name; inside a value path, as a sub-attribute. None for one that this type may lack."""
        name: str = node.attr_name
        if within is not None:
            return self.within(within, name)
        try:
            return self.resolved(name)
        except InvalidPath as error:
            if not self.tolerates_unknown:
                raise InvalidFilter(error.detail) from error
        return None

    def resolved(self, name: str) -> AttributePath:
        """Return what a name stands for. Raises InvalidPath."""
        if self.lenient and ":" in name:
            written = dot_behind_urn(name, [schema.key for schema in self.resource_type.schemas])
            if written is not name:
                self.note(Deviation.DOT_BEHIND_URN)
            return resolve(self.resource_type, written)
        path = resolve(self.resource_type, name, bare_extensions=self.lenient)
        if path.extension is not None and ":" not in name:
            self.note(Deviation.EXTENSION_ATTRIBUTE_WITHOUT_URN)
        return path

    def within(self, outer: AttributePath, name: str) -> AttributePath:
        if outer.attribute is None:
            raise InvalidFilter(f"{outer} cannot have a value filter.")
        if not outer.attribute.is_complex and name.lower() == "value":
            return outer
        sub = outer.attribute.by_key.get(name.lower())
        if sub is None:
            raise InvalidFilter(f"{outer} has no sub-attribute {shortened(name)}.")
        return replace(outer, sub=sub)

    def comparison(self, path: AttributePath, operator: Operator, literal: _Literal) -> Expression:
        if literal.value is None:
            return _null_comparison(path, operator)
        path = _comparable(path)
        if operator not in _OPERATORS_OF[path.target.type]:
            raise InvalidFilter(f"{operator} cannot be applied to {path}, which is a {path.target.type}.")
        written = self.written(path, literal)
        # A value that says nothing of it is not primary (RFC 7643 §2.4).
        if written is False and _is_primary_flag(path):
            operator, written = (Operator.NE if operator is Operator.EQ else Operator.EQ), True
        return Comparison(path, operator, _compared(path, written), written)

    def written(self, path: AttributePath, literal: _Literal) -> str | bool | int | Decimal:
        """Return a literal as a document would hold it. Raises InvalidFilter for one of another type."""
        value = literal.value
        match path.target.type:
            case Type.BOOLEAN:
                flag = boolean_as_text(value) if self.lenient else value
                if isinstance(flag, bool):
                    if flag is not value:
                        self.note(Deviation.BOOLEAN_AS_TEXT)
                    return flag
            case Type.INTEGER | Type.DECIMAL:
                if isinstance(value, int | Decimal) and not isinstance(value, bool):
                    return value
            case _:
                if isinstance(value, str):
                    return value
                if self.lenient:
                    self.note(Deviation.UNQUOTED_TEXT)
                    return literal.text
        raise InvalidFilter(
            f"{path} is a {path.target.type} and cannot be compared with {shortened(literal.text)}."
        )


def _is_primary_flag(path: AttributePath) -> bool:
    multi_valued = path.attribute is not None and path.attribute.multi_valued
    return multi_valued and path.sub is not None and path.sub.key == "primary"


def is_not_primary(expression: Expression) -> bool:
    """Whether an expression is what ``primary eq false`` comes to."""
    return (
        isinstance(expression, Comparison)
        and expression.operator is Operator.NE
        and expression.written is True
        and _is_primary_flag(expression.path)
    )


def _joined(terms: Sequence[_Folded], join: type[And] | type[Or]) -> _Folded:
    """Join terms by ``and`` or ``or``; a constant among them decides or drops out."""
    decisive = join is Or
    if any(term is decisive for term in terms):
        return decisive
    left = tuple(term for term in terms if not isinstance(term, bool))
    if not left:
        return not decisive
    return left[0] if len(left) == 1 else join(left)


def _without_value(node: Any) -> bool:
    """Return what a test of an attribute without a value comes to (RFC 7644 §3.4.2.1)."""
    is_null = node.value != "pr" and node.comp_value.value.value is None
    return bool(node.value == "eq") if is_null else bool(node.value == "ne")


def _as_expression(folded: _Folded, resource_type: ResourceType) -> Expression:
    """Return a constant as an expression; what is always true is said of the id, which every resource has."""
    if isinstance(folded, bool):
        return Present(resolve(resource_type, "id")) if folded else Nothing()
    return folded


def _comparable(path: AttributePath) -> AttributePath:
    """Return the path that is compared: of a complex attribute, its ``value``. Raises InvalidFilter."""
    if path.attribute is None:
        raise InvalidFilter(f"{path} is a whole schema and cannot be compared; ask whether it is present.")
    if path.target.is_complex:
        value = path.target.by_key.get("value")
        if value is None:
            raise InvalidFilter(f"{path} is complex: name one of its sub-attributes.")
        path = replace(path, sub=value)
    _refuse_hidden(path)
    return path


def _refuse_hidden(path: AttributePath) -> None:
    """What is never returned cannot be found out by asking about it either."""
    if any(part.returned is Returned.NEVER for part in (path.attribute, path.sub) if part is not None):
        raise InvalidFilter(f"{path} is never returned and cannot be filtered on.")


def _null_comparison(path: AttributePath, operator: Operator) -> Expression:
    """null is the same as unassigned (RFC 7643 §2.5)."""
    _refuse_hidden(path)
    if operator is Operator.EQ:
        return Not(Present(path))
    if operator is Operator.NE:
        return Present(path)
    raise InvalidFilter(f"{operator} cannot be applied to {path} and null.")


def _compared(path: AttributePath, written: str | bool | int | Decimal) -> Literal:
    """Return a literal in the form in which values are compared. Raises InvalidFilter for no dateTime."""
    if not isinstance(written, str):
        return written
    if path.target.type is not Type.DATE_TIME:
        return fold(written) if path.target.is_folded else written
    try:
        return parse_date_time(written)
    except ValueError as error:
        raise InvalidFilter(
            f"{path}: {shortened(written)} is no dateTime such as 2026-01-31T12:00:00Z."
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
