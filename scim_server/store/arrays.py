"""One bound parameter that stands for any number of ids, on both databases.

``among(column, "ids")`` is a condition whose SQL text never depends on how many ids
there are, so that the statement is built, compiled and prepared once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Dialect, Text, TypeDecorator, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import Boolean, TypeEngine


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
