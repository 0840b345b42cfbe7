"""Many values in one, on both databases.

``among(column, "ids")`` is a condition and ``pairs_of("parameter")`` a table whose SQL text
never depends on how many values there are, so that the statement is built, compiled and prepared
once. ``pairs_text(a, b)`` gathers two columns of many rows into one JSON text.

A change may concern a hundred thousand people. ``in_chunks`` cuts them into pieces, each of which
is a few statements, so that neither a statement nor its answer takes more memory with every person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import orjson
from sqlalchemy import ARRAY, Dialect, Text, TypeDecorator, bindparam, column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import Boolean, TypeEngine

T = TypeVar("T")

CHUNK = 2_000
# From so many on, rows that are written alike are written by one statement.
WORTH_A_STATEMENT = 8


def in_chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Yield the values in lists of as many as one statement is about."""
    left = iter(values)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


class IdArray(TypeDecorator[Sequence[str]]):
    """A list of ids: an array on PostgreSQL, JSON text on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(Text()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return list(value) if dialect.name == "postgresql" else orjson.dumps(list(value)).decode()


class among(ColumnElement[bool]):
    """Whether a column's value is one of the ids bound to ``parameter``."""

    inherit_cache = True
    type = Boolean()
    _traverse_internals: Any = [  # noqa: RUF012 - as SQLAlchemy declares it
        ("column", InternalTraversal.dp_clauseelement),
        ("ids", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, column: ColumnElement[Any], parameter: str) -> None:
        self.column = column
        self.ids = bindparam(parameter, type_=IdArray())

    def self_group(self, against: Any = None) -> among:
        """Stand in WHERE as it is: "… = 1" behind it would keep SQLite from using an index."""
        return self


@compiles(among, "postgresql")
def _on_postgresql(element: among, compiler: Any, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} = ANY({compiler.process(element.ids, **kw)})"


@compiles(among)
def _on_sqlite(element: among, compiler: Any, **kw: Any) -> str:
    ids = compiler.process(element.ids, **kw)
    return f"{compiler.process(element.column, **kw)} IN (SELECT value FROM json_each({ids}))"


class pairs_text(FunctionElement[str]):
    """The JSON array, as text, of the pairs ``[a, b]`` of all rows, in any order; null or empty for no rows."""

    inherit_cache = True
    type = Text()

    def __init__(self, first: ColumnElement[Any], second: ColumnElement[Any]) -> None:
        super().__init__(first, second)


@compiles(pairs_text, "postgresql")
def _pairs_on_postgresql(element: pairs_text, compiler: Any, **kw: Any) -> str:
    return f"json_agg(json_build_array({compiler.process(element.clauses, **kw)}))::text"


@compiles(pairs_text)
def _pairs_on_sqlite(element: pairs_text, compiler: Any, **kw: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **kw)}))"


class IdMap(TypeDecorator[Mapping[str, str]]):
    """Texts by ids, as the text of a JSON object."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, str] | None, dialect: Dialect) -> str | None:
        return None if value is None else orjson.dumps(value).decode()


class _Pairs(FunctionElement[Any]):
    inherit_cache = True


def pairs_of(parameter: str) -> TableValuedAlias:
    """Return a table of the pairs of a mapping that is bound to ``parameter``; its columns are key and value."""
    pairs = _Pairs(bindparam(parameter, type_=IdMap()))
    return pairs.table_valued(column("key", Text()), column("value", Text()), name="pairs")


@compiles(_Pairs, "postgresql")
def _rows_on_postgresql(element: _Pairs, compiler: Any, **kw: Any) -> str:
    return f"json_each_text(({compiler.process(element.clauses, **kw)})::json)"


@compiles(_Pairs)
def _rows_on_sqlite(element: _Pairs, compiler: Any, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"
