"""Statements that are compiled once and handed to the driver as they are.

SQLAlchemy builds a statement, checks it against the tables and writes it in the language
of either database. That is done once, here; afterwards only the parameters change, and
running the statement costs what the driver takes.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from typing import Any

from sqlalchemy import ARRAY, Dialect, Float, Insert, Numeric, Text, Update, bindparam, func, select
from sqlalchemy.exc import MultipleResultsFound, NoResultFound
from sqlalchemy.types import TypeEngine

from scim_server.store.arrays import in_chunks
from scim_server.store.sessions import Answer, Session

Parameters = Mapping[str, Any]
Processor = Callable[[Any], Any]

_numbers = count(1)


class Rows:
    """What a statement found: all rows, each a named tuple. The methods are SQLAlchemy's of these names.

    The statement may still be on its way: to look at its rows is to wait for it.
    """

    __slots__ = ("_answer", "_as_found", "_fields", "_found")

    def __init__(
        self, answer: Answer, as_found: Callable[[list[Any]], list[Any]], fields: tuple[str, ...]
    ) -> None:
        self._answer = answer
        self._as_found = as_found
        self._fields = fields
        self._found: list[Any] | None = None

    @property
    def rowcount(self) -> int:
        """How many rows were found or changed."""
        return self._answer.rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self.all())

    def all(self) -> list[Any]:
        if self._found is None:
            self._found = self._as_found(self._answer.rows)
        return self._found

    def first(self) -> Any:
        rows = self.all()
        return rows[0] if rows else None

    def one_or_none(self) -> Any:
        rows = self.all()
        if len(rows) > 1:
            raise MultipleResultsFound("more than one row")
        return rows[0] if rows else None

    def one(self) -> Any:
        row = self.one_or_none()
        if row is None:
            raise NoResultFound("no row")
        return row

    def scalars(self) -> Iterator[Any]:
        return (row[0] for row in self.all())

    def scalar_one(self) -> Any:
        return self.one()[0]

    def scalar_one_or_none(self) -> Any:
        row = self.one_or_none()
        return None if row is None else row[0]

    def mappings(self) -> Rows:
        """Return the rows as dictionaries."""
        return Rows(self._answer, self._as_mappings, self._fields)

    def _as_mappings(self, fetched: list[Any]) -> list[Any]:
        return [dict(zip(self._fields, row, strict=True)) for row in self._as_found(fetched)]


class Prepared:
    """A Core statement, compiled at its first use, once for each database and set of columns that are written.

    ``record`` is the class of the rows, a NamedTuple whose fields are the columns in their order, or ``tuple``.
    """

    __slots__ = ("_compiled", "_gathering", "_record", "_writes", "statement")

    def __init__(self, statement: Any, record: Any = None) -> None:
        self.statement = statement
        self._record = record
        self._writes = _writes_values(statement)
        self._compiled: dict[Any, _Compiled] = {}
        self._gathering: dict[tuple[str, ...], Prepared] = {}

    def run(
        self, session: Session, dialect: str, parameters: Parameters | Sequence[Parameters] = ()
    ) -> Rows | None:
        """Run the statement in a session of a database.

        Where there is a list of parameter sets, it is run for each of them; what it finds nobody is told then.
        """
        if isinstance(parameters, Mapping):
            return self._for(dialect, parameters).run(session, parameters)
        first: Parameters = parameters[0] if parameters else {}
        if len(parameters) <= 1:
            return self._for(dialect, first).run(session, first)
        if dialect == "postgresql" and isinstance(self.statement, Insert):
            self._insert_gathered(session, dialect, parameters)
        else:
            self._for(dialect, first).run_many(session, parameters)
        return None

    def _insert_gathered(self, session: Session, dialect: str, rows: Sequence[Parameters]) -> None:
        """Insert many rows by a statement whose parameters are columns of them."""
        names = tuple(rows[0])
        if names not in self._gathering:
            self._gathering[names] = Prepared(_from_arrays(self.statement, names))
        for some in in_chunks(rows):
            columns = {name: [row[name] for row in some] for name in names}
            self._gathering[names].run(session, dialect, columns)

    def _for(self, dialect: str, parameters: Parameters) -> _Compiled:
        key = (dialect, *parameters) if self._writes else dialect
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = _compile(
                self.statement, self._record, _dialect(dialect), parameters
            )
        return found


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement as one database reads it.

    ``names``: the parameters in the order of their places; ``fixed`` those that never change.
    """

    name: str
    sql: str
    names: tuple[str, ...]
    fixed: Mapping[str, Any]
    into: tuple[tuple[int, Processor], ...]
    fields: tuple[str, ...]
    make: Callable[[Any], Any]
    out_of: tuple[tuple[int, Processor], ...]

    def run(self, session: Session, parameters: Parameters) -> Rows:
        return Rows(session.run(self, self._bound(parameters)), self._rows, self.fields)

    def run_many(self, session: Session, parameters: Sequence[Parameters]) -> None:
        session.run_many(self, [self._bound(each) for each in parameters])

    def _bound(self, parameters: Parameters) -> list[Any]:
        if self.fixed:
            parameters = {**self.fixed, **parameters}
        values = [parameters[name] for name in self.names]
        for place, process in self.into:
            values[place] = process(values[place])
        return values

    def _rows(self, fetched: list[Any]) -> list[Any]:
        make = self.make
        if not self.out_of:
            return list(map(make, fetched))
        rows = []
        for row in fetched:
            values = list(row)
            for index, process in self.out_of:
                values[index] = process(values[index])
            rows.append(make(values))
        return rows


def _compile(statement: Any, record: Any, dialect: Dialect, parameters: Parameters) -> _Compiled:
    columns = sorted(parameters) if _writes_values(statement) else None
    compiled = statement.compile(
        dialect=dialect, column_keys=columns, compile_kwargs={"render_postcompile": True}
    )
    binds = compiled.binds
    into = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()}
    names = tuple(compiled.positiontup)
    returned = list(statement.exported_columns) if _returns(statement) else []
    out_of = [_reader(column.type, dialect) for column in returned]
    fields = tuple(str(column.key) for column in returned)
    return _Compiled(
        name=f"statement_{next(_numbers)}",
        sql=compiled.string,
        names=names,
        fixed={name: bind.effective_value for name, bind in binds.items() if not bind.required},
        into=tuple(
            (place, process) for place, name in enumerate(names) if (process := into[name]) is not None
        ),
        fields=fields,
        make=partial(tuple.__new__, record or _row_class(fields)),
        out_of=tuple((index, process) for index, process in enumerate(out_of) if process is not None),
    )


@cache
def _dialect(name: str) -> Dialect:
    """Return a language with parameters by their places, which is what the libraries of both databases take.

    Only that of the database that is there is loaded.
    """
    if name == "postgresql":
        from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

        return PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

    return SQLiteDialect_pysqlite()


def _writes_values(statement: Any) -> bool:
    """Whether the columns that a statement writes are those that there are parameters for."""
    return isinstance(statement, Update) or (isinstance(statement, Insert) and statement.select is None)


def _from_arrays(statement: Insert, names: Sequence[str]) -> Insert:
    """Return an INSERT whose parameters are arrays, of which each place is a row."""
    columns = statement.table.c
    return statement.from_select(
        names, select(*(func.unnest(bindparam(name, type_=_array_of(columns[name].type))) for name in names))
    )


def _array_of(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    return ARRAY(Text() if isinstance(type_, Text) else type_)  # a collation is none of an array's


def _reader(type_: TypeEngine[Any], dialect: Dialect) -> Processor | None:
    """Return what brings an answer of the driver into the form of its type; numbers have it already."""
    if isinstance(type_, Numeric | Float):
        return None
    return type_.dialect_impl(dialect).result_processor(dialect, None)


def _row_class(fields: tuple[str, ...]) -> Any:
    # The fields are the statement's; one without a name is called by its place.
    return namedtuple("Row", fields, rename=True)


def _returns(statement: Any) -> bool:
    return bool(statement.is_select or getattr(statement, "_returning", ()))
