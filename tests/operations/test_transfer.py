"""Rows of files that are imported."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from scim_server.errors import InvalidSyntax
from scim_server.operations import access, transfer
from scim_server.operations.transfer import JsonRows, Row, import_rows, row_of_csv


@pytest.mark.parametrize(
    ("cell", "active"),
    [("TRUE", True), ("1", True), ("yes", True), ("", True), ("False", False), ("0", False), ("No", False)],
)
def test_a_cell_says_whether_somebody_is_active(cell, active):
    assert row_of_csv(2, "user", {"userName": "ada", "active": cell}).document["active"] is active


@pytest.mark.parametrize("cell", ["inactive", "disabled", "perhaps", "2"])
def test_nobody_is_made_active_by_a_misunderstanding(cell):
    with pytest.raises(InvalidSyntax):
        row_of_csv(2, "user", {"userName": "ada", "active": cell})


def test_nobody_becomes_a_group_for_want_of_a_user_name():
    with pytest.raises(InvalidSyntax, match="no userName"):
        row_of_csv(2, "user", {"userName": " ", "displayName": "Ada Lovelace"})


@pytest.fixture
def call(world, clock):
    """A call of the command on behalf of an organization."""
    return access.system_call(world().organization_id, actor="command", at=clock(), request_id="test")


PERSON = Row(2, "user", {"userName": "ada"}, groups=("Staff",))
GROUP = Row(2, "group", {"displayName": "Staff"})


@pytest.mark.parametrize("row", [PERSON, GROUP], ids=["user", "group"])
def test_a_row_that_somebody_else_made_meanwhile_is_known(database, call, monkeypatch, row):
    database.run(import_rows, call, [row])
    known, not_yet = transfer._known, [None]
    monkeypatch.setattr(transfer, "_known", lambda *given: not_yet.pop() if not_yet else known(*given))

    [result] = database.run(import_rows, call, [row])

    assert (result.outcome, result.reason) == ("known", None)


def test_two_imports_at_once_refuse_nothing(database, call):
    rows = [Row(line, "user", {"userName": f"u{line}"}, groups=("Staff", f"G{line}")) for line in range(20)]
    start = Barrier(2)

    def import_all(rows):
        start.wait()
        return [result for row in rows for result in database.run(import_rows, call, [row])]

    with ThreadPoolExecutor(2) as pool:
        done = [*pool.map(import_all, [rows, rows])]

    outcomes = [result.outcome for results in done for result in results]
    assert (outcomes.count("created"), outcomes.count("known")) == (20, 20)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"scim": {"userName": "ada"}},
        {"id": [], "scim": {"userName": "ada"}},
        {"id": "1", "scim": 7},
    ],
)
@pytest.mark.parametrize("kind", ["member", "group"])
def test_a_line_that_only_resembles_an_export_is_refused(kind, data):
    with pytest.raises(InvalidSyntax):
        JsonRows().read(1, {"kind": kind, "data": data})


def test_members_of_an_exported_group_are_the_people_of_the_lines_before():
    rows = JsonRows()
    rows.read(1, {"kind": "member", "data": {"id": "1", "scim": {"userName": "ada"}}})

    group = rows.read(2, {"kind": "group", "data": {"scim": {"displayName": "Staff"}, "members": ["1", "2"]}})

    assert group == Row(2, "group", {"displayName": "Staff"}, members=("ada",))
