"""What the guard before every statement sees, and that the keys of all tables say the organization."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import (
    ForeignKeyConstraint,
    UniqueConstraint,
    bindparam,
    delete,
    exists,
    false,
    insert,
    select,
    text,
    update,
)

from scim_server.store.prepared import Prepared
from scim_server.store.tables import groups, memberships, metadata, organizations, users
from tests.organization_guard import EXCEPTIONS, Guard, Verdict

HERE = users.c.organization_id == bindparam("organization_id")
MEMBER_OF = (memberships.c.organization_id == users.c.organization_id) & (
    memberships.c.member_id == users.c.id
)
JOINED = select(users.c.id).select_from(users.join(memberships, MEMBER_OF))
ONE_OF_TWO = select(groups.c.id).where(groups.c.organization_id == bindparam("organization_id"))


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(select(users.c.id), id="a select without a condition"),
        pytest.param(select(users.c.id).where(users.c.id == bindparam("id")), id="another column only"),
        pytest.param(select(users.c.id).where(HERE | (users.c.id == "x")), id="an alternative"),
        pytest.param(select(users.c.id).where(~HERE), id="a negation"),
        pytest.param(select(users.c.id).where(users.c.organization_id > bindparam("o")), id="no equality"),
        pytest.param(delete(users).where(users.c.id == bindparam("id")), id="a delete"),
        pytest.param(update(users).values(active=False), id="an update"),
        pytest.param(select(organizations.c.id), id="organizations themselves"),
        pytest.param(
            select(users.c.id)
            .select_from(users.join(memberships, memberships.c.member_id == users.c.id))
            .where(HERE, memberships.c.organization_id == bindparam("organization_id")),
            id="a join by id, though both sides are compared",
        ),
        pytest.param(JOINED, id="a join of two tables that nothing else pins"),
        pytest.param(
            select(users.c.id).where(HERE, users.c.id.in_(select(memberships.c.member_id))), id="a subquery"
        ),
        pytest.param(
            select(users.c.id).where(HERE, exists().where(memberships.c.member_id == users.c.id)),
            id="an exists",
        ),
        pytest.param(select(exists().where(users.c.active)), id="an exists alone"),
        pytest.param(ONE_OF_TWO.union(select(users.c.id)), id="one part of a union"),
        pytest.param(text("SELECT 1 FROM users"), id="text"),
        pytest.param(
            insert(memberships).from_select(
                ["organization_id", "member_id"], select(users.c.organization_id, users.c.id).where(HERE)
            ),
            id="an insert of what is selected, the organization too",
        ),
        pytest.param(
            insert(memberships).from_select(
                ["organization_id", "member_id"], select(bindparam("in_organization"), users.c.id)
            ),
            id="an insert of what is selected from everybody",
        ),
    ],
)
def test_a_statement_that_names_no_organization_is_seen(statement):
    verdict = Verdict(statement)

    assert verdict.problems != []


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(select(users.c.id).where(HERE, users.c.active), id="a select"),
        pytest.param(JOINED.where(HERE), id="a join, pinned on one side"),
        pytest.param(
            select(users.c.id).where(HERE, exists().where(MEMBER_OF)),
            id="a subquery tied to what is around it",
        ),
        pytest.param(
            select(organizations.c.id).where(organizations.c.id == bindparam("id")), id="an organization"
        ),
        pytest.param(delete(users).where(HERE), id="a delete"),
        pytest.param(
            insert(memberships).from_select(
                ["organization_id", "member_id"],
                select(bindparam("in_organization"), users.c.id).where(HERE),
            ),
            id="an insert of what is selected",
        ),
    ],
)
def test_a_statement_that_names_its_organization_passes(statement):
    verdict = Verdict(statement)

    assert verdict.problems == []
    assert verdict.names != []


def test_a_statement_that_finds_nothing_need_name_none():
    assert Verdict(select(users.c.id).where(HERE, false())).problems == []


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param([{"id": "1"}], id="none"),
        pytest.param([{"organization_id": None}], id="null"),
        pytest.param([{"organization_id": "a"}, {"organization_id": "b"}], id="two"),
    ],
)
@pytest.mark.parametrize("statement", [insert(users), delete(users).where(HERE)], ids=["insert", "delete"])
def test_every_set_of_parameters_says_the_same_organization(statement, parameters):
    guard = Guard()

    guard.before(object(), Prepared(statement), parameters, "here")

    assert len(guard.violations) == 1


def test_a_transaction_speaks_of_one_organization():
    guard, tx = Guard(), object()

    for organization in ("a", "a", "b"):
        guard.before(tx, Prepared(delete(users).where(HERE)), {"organization_id": organization}, "here")

    assert len(guard.violations) == 1


def test_the_guard_watches_what_requests_run(world, organization_guard, monkeypatch):
    acme = world()
    unpinned = Prepared(select(groups.c.id).where(groups.c.id == bindparam("id")))
    monkeypatch.setattr("scim_server.store.groups._GET", unpinned)

    acme.scim.request("GET", "/Groups/anything")

    assert "scim_server.store.groups.get" in organization_guard.violations.pop()


def test_exceptions_are_functions_that_exist():
    for name in EXCEPTIONS:
        module, function = name.removeprefix("scim_server.store.").split(".", 1)
        found: Any = import_module(f"scim_server.store.{module}")
        for part in function.split("."):
            found = getattr(found, part)

        assert callable(found)


# -- keys

# What is unique over all organizations, and why.
UNIQUE_EVERYWHERE = {
    "pk_organizations": "its key is the organization",
    "uq_organizations_name": "commands name an organization",
    "uq_tokens_token_hash": "a token says which organization it is of, so its hash is looked up without one",
}
TABLES = [table for table in metadata.sorted_tables if table.name != "organizations"]


def test_what_is_unique_is_so_within_an_organization():
    wider = {
        str(constraint.name)
        for table in metadata.sorted_tables
        for constraint in (table.primary_key, *table.constraints)
        if isinstance(constraint, UniqueConstraint) or constraint is table.primary_key
        if next(iter(constraint.columns)).name != "organization_id"
    }

    assert wider == set(UNIQUE_EVERYWHERE)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_foreign_key_stays_in_its_organization(table):
    keys = [key for key in table.constraints if isinstance(key, ForeignKeyConstraint)]

    for key in keys:
        first = key.elements[0]
        assert first.parent.name == "organization_id"
        assert first.target_fullname in ("organizations.id", f"{key.referred_table.name}.organization_id")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_an_index_begins_with_the_organization(table):
    assert [
        index.name for index in table.indexes if next(iter(index.columns)).name != "organization_id"
    ] == []
