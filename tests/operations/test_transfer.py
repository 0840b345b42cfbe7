"""Rows of files that are imported."""

from __future__ import annotations

import pytest

from scim_server.errors import InvalidSyntax
from scim_server.operations.transfer import row_of_csv


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
