"""The tables can be partitioned by organization, and the program is none the wiser (docs/scaling.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import MetaData
from sqlalchemy.engine import make_url

from scim_server.store.database import Database
from scim_server.store.tables import metadata
from tests.scale.test_cost_of_requests import ask_all
from tests.world import World

PARTITIONED = (
    "users", "assignments", "attribute_values", "groups", "memberships", "group_mappings", "events",
)  # fmt: skip
PARTS = 4


@pytest.fixture
def database(make_postgresql: Any) -> Iterator[Database]:
    """A database whose large tables are partitioned by organization."""
    url = make_postgresql("partitioned")
    dsn = make_url(url).render_as_string(hide_password=False)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(f'DROP TABLE "{table.name}"')
    opened = Database(url)
    opened.run(lambda tx: _partitioned().create_all(tx.connection))
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name in PARTITIONED:
            for part in range(PARTS):
                values = f"FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part})"
                connection.execute(f"CREATE TABLE {name}_{part} PARTITION OF {name} {values}")
    yield opened
    opened.close()


def _partitioned() -> MetaData:
    copy = MetaData()
    for table in metadata.sorted_tables:
        copied = table.to_metadata(copy)
        conditions = {index.name: index.info for index in table.indexes}
        for index in copied.indexes:
            index.info.update(conditions[index.name])
        if table.name in PARTITIONED:
            copied.dialect_options["postgresql"]["partition_by"] = "HASH (organization_id)"
    return copy


def test_requests_are_answered_as_ever(crowd, recorder):
    crowd.grow(10)

    ran = ask_all(crowd, recorder)

    assert min(len(statements) for statements in ran.values()) > 1


def test_a_broken_constraint_of_a_partition_is_known_by_the_name_of_the_table(world):
    acme: World = world(premium=1)
    acme.push("ada")
    acme.group("staff")

    user = acme.scim.refusal("POST", "/Users", {"userName": "ADA"})
    group = acme.scim.refusal("POST", "/Groups", {"displayName": "Staff"})

    assert (user[0], user[1]["scimType"]) == (409, "uniqueness")
    assert (group[0], group[1]["scimType"]) == (409, "uniqueness")


def test_each_statement_of_a_request_meets_one_partition(crowd, recorder):
    crowd.grow(100)
    crowd.found_others(20)
    recorder.explains = True

    ran = ask_all(crowd, recorder)

    met = {
        (one.function, len(set(re.findall(r"(?m)^\w+_(\d) by", "\n".join(one.plan)))))
        for statements in ran.values()
        for one in statements
    }
    assert {function for function, parts in met if parts > 1} == set()
