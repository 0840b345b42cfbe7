"""Every statement of the product names one organization; this looks at each that a test runs.

The guard judges the expression that SQLAlchemy was given, not its text: each table of a SELECT,
UPDATE or DELETE, in whatever subquery, must have its organization compared with a bound
parameter, directly or through a join; each join must join on the organization; each row that is
inserted must say it; and one transaction speaks of one organization. That is what keeps
organizations apart, and what lets the tables be partitioned or distributed by organization
without a change of the program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Delete, Insert, Select, TextClause, Update
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList, False_, Grouping
from sqlalchemy.sql.selectable import Join, SelectBase

from scim_server.store.prepared import Prepared
from scim_server.store.transaction import Transaction

# Functions that may run a statement that names no organization, and why.
EXCEPTIONS: Mapping[str, str] = {
    "scim_server.store.credentials.ask": "the token is what says which organization it is",
    "scim_server.store.organizations.find": "a command names an organization; this finds its id",
    "scim_server.store.organizations.all_organizations": "a command lists them",
    "scim_server.store.organizations.all_due": "what is due is looked for over all of them",
    "scim_server.store.database.Database.ping": "looks at no table",
    "scim_server.store.schema._upgrade": "takes a lock, looks at no table",
    "scim_server.store.schema._revision": "the schema belongs to all of them",
}

Place = tuple[Any, str]  # a table or an alias of one, and the name of a column of it


class Guard:
    """What was run and should not have been; ``violations`` are sentences."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._judged: dict[Prepared, Verdict] = {}
        self._spoken_of: dict[int, Any] = {}

    def before(self, tx: Transaction, statement: Any, parameters: Any, function: str) -> None:
        if function in EXCEPTIONS:
            return
        verdict = self._verdict(statement)
        sets = [parameters] if isinstance(parameters, Mapping) else list(parameters) or [{}]
        named = {organization for each in sets for organization in verdict.organizations(each)}
        spoken_of = named | self._spoken_of.setdefault(id(tx), named)
        problems = list(verdict.problems)
        if len(named) > 1 or not all(isinstance(one, str) and one for one in named):
            problems.append(f"it names these organizations: {named}")
        elif len(spoken_of) > 1:
            problems.append(f"its transaction speaks of several organizations: {spoken_of}")
        self.violations += [f"{function}: {problem}\n{verdict.statement}" for problem in problems]

    def ended(self, tx: Transaction) -> None:
        self._spoken_of.pop(id(tx), None)

    def _verdict(self, statement: Any) -> Verdict:
        if not isinstance(statement, Prepared):
            return Verdict(statement)
        if statement not in self._judged:
            self._judged[statement] = Verdict(statement.statement)
        return self._judged[statement]


class Verdict:
    """What is wrong with a statement, and which of its parameters name the organization."""

    def __init__(self, statement: Any) -> None:
        self.statement = statement
        self.problems: list[str] = []
        self.names: list[BindParameter[Any]] = []
        self._inserts = isinstance(statement, Insert)
        self._selects = self._inserts and statement.select is not None
        if isinstance(statement, TextClause):
            self.problems.append("it is text, into which nobody can look")
        elif self._selects:
            self._look_at_inserted(statement)
        elif not self._inserts:
            self._look_at(statement, _Equalities())

    def organizations(self, parameters: Mapping[str, Any]) -> set[Any]:
        """Return the organizations that the statement names, run with some parameters."""
        if self._inserts and not self._selects:
            column = _organization_column(self.statement.table)
            return {parameters.get(column)} if column else set()
        return {parameters.get(name.key, name.effective_value) for name in self.names}

    def _look_at_inserted(self, statement: Any) -> None:
        """INSERT … SELECT: what is selected for the organization is a parameter."""
        column = _organization_column(statement.table)
        if column is not None:
            said = dict(zip(statement._select_names, statement.select._raw_columns, strict=True)).get(column)
            if isinstance(said, BindParameter):
                self.names.append(said)
            else:
                self.problems.append(f"{statement.table.name}.{column} is given no parameter")
        self._look_at(statement.select, _Equalities())

    def _look_at(self, statement: Any, outside: _Equalities) -> None:
        """``outside``: what holds around a subquery, which may speak of the tables there."""
        equalities = outside.copy()
        sources = [statement.table] if isinstance(statement, Update | Delete) else []
        if isinstance(statement, Select):
            sources = list(statement.get_final_froms())
        tables = [table for source in sources for table in self._tables_of(source, equalities)]
        conditions = list(_terms(getattr(statement, "whereclause", None)))
        for condition in conditions:
            equalities.add(condition)
        if any(_is_never(one) for one in conditions):
            return  # no row is read, nor is any subquery run
        for table in tables:
            column = _organization_column(table)
            if column is None:
                continue
            names = equalities.parameters_of((table, column))
            self.names += names
            if not names:
                self.problems.append(f"{table.name}.{column} is compared with no parameter")
        for subquery in _subqueries(statement):
            self._look_at(subquery, equalities)

    def _tables_of(self, source: Any, equalities: _Equalities) -> list[Any]:
        if not isinstance(source, Join):
            return [source]
        left, right = (self._tables_of(side, equalities) for side in (source.left, source.right))
        conditions = list(_terms(source.onclause))
        places = [{(table, _organization_column(table)) for table in side} for side in (left, right)]
        if not any(
            {_place(one.left), _place(one.right)} & places[0]
            and {_place(one.left), _place(one.right)} & places[1]
            for one in conditions
            if _is_equality(one)
        ):
            self.problems.append(f"{source} does not join on the organization")
        for condition in conditions:
            equalities.add(condition)
        return [*left, *right]


class _Equalities:
    """Which columns and parameters are equal to one another, as far as a WHERE or an ON says."""

    def __init__(self, classes: list[set[Any]] | None = None) -> None:
        self._classes = classes or []

    def copy(self) -> _Equalities:
        return _Equalities([set(each) for each in self._classes])

    def add(self, condition: Any) -> None:
        if not _is_equality(condition):
            return
        both = {_place(condition.left), _place(condition.right)}
        joined = [each for each in self._classes if each & both]
        self._classes = [each for each in self._classes if not each & both]
        self._classes.append(both.union(*joined))

    def parameters_of(self, place: Place) -> list[BindParameter[Any]]:
        equal = {one for each in self._classes if place in each for one in each}
        return [one for one in equal if isinstance(one, BindParameter)]


def _is_equality(condition: Any) -> bool:
    return isinstance(condition, BinaryExpression) and condition.operator is operators.eq


def _is_never(condition: Any) -> bool:
    inner = condition.element if getattr(condition, "operator", None) is operators.is_true else condition
    return isinstance(inner, False_)


def _place(side: Any) -> Any:
    """Return where a column is, so that it is found again; anything else is itself."""
    table = getattr(side, "table", None)
    return side if table is None else (table, side.name)


def _terms(clause: Any) -> Iterator[Any]:
    """Yield the conditions that must all hold."""
    if isinstance(clause, Grouping):
        yield from _terms(clause.element)
    elif isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
        for one in clause.clauses:
            yield from _terms(one)
    elif clause is not None:
        yield clause


def _subqueries(element: Any) -> Iterator[Any]:
    for child in element.get_children():
        if isinstance(child, SelectBase):
            yield child
        else:
            yield from _subqueries(child)


def _organization_column(table: Any) -> str | None:
    if getattr(table, "name", None) == "organizations":
        return "id"
    return "organization_id" if "organization_id" in getattr(table, "c", ()) else None
