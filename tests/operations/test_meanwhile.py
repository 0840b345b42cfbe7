"""What others do between two statements of a request: PostgreSQL lets them, SQLite has one writer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import func, select

from scim_server.store.tables import groups, memberships, users

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


class Meanwhile:
    """Listens, and does something once, before a function of the product runs its statement."""

    def __init__(self, function: str, does: Callable[[], Any]) -> None:
        self.function = function
        self.does: Callable[[], Any] | None = does

    def before(self, tx: Any, statement: Any, parameters: Any, function: str) -> None:
        if self.does is not None and function == f"scim_server.{self.function}":
            does, self.does = self.does, None
            does()

    def ended(self, tx: Any) -> None:
        pass


@pytest.fixture
def meanwhile(statement_listeners):
    @contextmanager
    def listening(function: str, does: Callable[[], Any]):
        listener = Meanwhile(function, does)
        statement_listeners.append(listener)
        yield
        statement_listeners.remove(listener)
        assert listener.does is None, "it came to pass"

    return listening


@pytest.fixture
def acme(world):
    acme = world(premium=2, standard=2)
    acme.settings(provisioning_mode="jit", group_mappings="on")
    acme.push("ada")
    acme.group("eng")
    acme.group("staff")
    return acme


def test_a_group_that_is_deleted_while_it_is_added_to_another_waits_for_that(acme, database, meanwhile):
    deleting = threading.Thread(target=lambda: acme.scim.delete(f"/Groups/{acme.ids['eng']}"))

    def begin_to_delete() -> None:
        deleting.start()
        deleting.join(0.3)
        assert deleting.is_alive()

    with meanwhile("store.groups.add_members", begin_to_delete):
        acme.patch_group("staff", add=("eng",))
    deleting.join(20)

    assert dangling(database) == (0, 0)
    assert "members" not in acme.scim.get(f"/Groups/{acme.ids['staff']}")


def dangling(database) -> tuple[int, int]:
    """Count the memberships of nobody, and those in no group."""

    def count(tx):
        missing = [
            memberships.c.member_id.not_in(select(users.c.id).union(select(groups.c.id))),
            memberships.c.group_id.not_in(select(groups.c.id)),
        ]
        return tuple(
            tx.connection.scalar(select(func.count()).select_from(memberships).where(one)) for one in missing
        )

    return database.read(count)


def test_a_member_who_is_deleted_while_they_log_in_is_in_no_group(acme, database, meanwhile):
    with meanwhile("store.groups.lock_groups", lambda: acme.remove("ada")):
        decision = acme.login("ada", ["eng"])

    assert (decision["decision"], decision["created"]) == ("allow", True)
    assert dangling(database) == (0, 0)


@pytest.mark.parametrize("name", ["ada", "new"])
def test_a_group_that_is_deleted_while_somebody_logs_in_has_no_members(acme, database, meanwhile, name):
    with meanwhile("store.groups.lock_groups", lambda: acme.scim.delete(f"/Groups/{acme.ids['eng']}")):
        acme.login(name, ["eng", "staff"])

    member = acme.scim.get(f"/Users/{acme.ids[name]}")
    assert [group["display"] for group in member["groups"]] == ["staff"]
    assert dangling(database) == (0, 0)


def test_a_member_who_is_deleted_while_they_are_added_is_not_added(acme, database, meanwhile):
    with meanwhile("store.groups.add_users", lambda: acme.remove("ada")):
        acme.patch_group("eng", add=("ada",))

    assert dangling(database) == (0, 0)
