"""Text and JSON functions that SQLite and PostgreSQL spell differently.

None of them knows wildcards: a percent sign in a filter is a percent sign.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class contains_text(FunctionElement[bool]):
    """Whether the first text contains the second."""

    type = Boolean()
    inherit_cache = True


class starts_with_text(FunctionElement[bool]):
    """Whether the first text begins with the second."""

    type = Boolean()
    inherit_cache = True


class ends_with_text(FunctionElement[bool]):
    """Whether the first text ends with the second."""

    type = Boolean()
    inherit_cache = True


class json_member(FunctionElement[str]):
    """The value of a key of a JSON object that is stored as text; null where it has no such key.

    On SQLite a text, number or 0/1, on PostgreSQL always a text.
    """

    type = Text()
    inherit_cache = True


class json_flag(FunctionElement[bool]):
    """The true or false of a key of a JSON object that is stored as text; null where it has no such key."""

    type = Boolean()
    inherit_cache = True


@compiles(json_flag)
def _json_flag(element: json_flag, compiler: Any, **kw: Any) -> str:
    document, key = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_extract({document}, '$.\"' || {key} || '\"')"


@compiles(json_flag, "postgresql")
def _json_flag_postgresql(element: json_flag, compiler: Any, **kw: Any) -> str:
    document, key = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(({document})::jsonb ->> {key})::boolean"


@compiles(contains_text)
def _contains(element: contains_text, compiler: Any, **kw: Any) -> str:
    text, part = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(instr({text}, {part}) > 0)"


@compiles(contains_text, "postgresql")
def _contains_postgresql(element: contains_text, compiler: Any, **kw: Any) -> str:
    text, part = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(strpos({text}, {part}) > 0)"


@compiles(starts_with_text)
def _starts_with(element: starts_with_text, compiler: Any, **kw: Any) -> str:
    text, part = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(substr({text}, 1, length({part})) = {part})"


@compiles(ends_with_text)
def _ends_with(element: ends_with_text, compiler: Any, **kw: Any) -> str:
    text, part = (compiler.process(clause, **kw) for clause in element.clauses)
    return (
        f"(length({text}) >= length({part}) AND substr({text}, length({text}) - length({part}) + 1) = {part})"
    )


@compiles(json_member)
def _json_member(element: json_member, compiler: Any, **kw: Any) -> str:
    document, key = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_extract({document}, '$.\"' || {key} || '\"')"


@compiles(json_member, "postgresql")
def _json_member_postgresql(element: json_member, compiler: Any, **kw: Any) -> str:
    document, key = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(({document})::jsonb ->> {key})"


class by_code_point(FunctionElement[str]):
    """A text that is compared by code points whatever the collation of the database."""

    type = Text()
    inherit_cache = True


@compiles(by_code_point)
def _by_code_point(element: by_code_point, compiler: Any, **kw: Any) -> str:
    [text] = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"CAST({text} AS TEXT)"


@compiles(by_code_point, "postgresql")
def _by_code_point_postgresql(element: by_code_point, compiler: Any, **kw: Any) -> str:
    [text] = (compiler.process(clause, **kw) for clause in element.clauses)
    return f'(({text})::text COLLATE "C")'


class sorted_by(FunctionElement[str]):
    """A text to order rows by once they are found, for which no index in this order is walked instead."""

    type = Text()
    inherit_cache = True


@compiles(sorted_by)
def _sorted_by(element: sorted_by, compiler: Any, **kw: Any) -> str:
    [text] = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"+{text}"


@compiles(sorted_by, "postgresql")
def _sorted_by_postgresql(element: sorted_by, compiler: Any, **kw: Any) -> str:
    [text] = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({text} || '')"
