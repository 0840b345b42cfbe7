"""What is fast enough: every target, in one place, as shares of something that the same run measures."""

from __future__ import annotations

from dataclasses import dataclass

SQLITE = "SQLite"
POSTGRESQL = "PostgreSQL"


@dataclass(frozen=True, slots=True)
class Target:
    """For rows whose key is one of ``rows``, or begins with one of them; the first target that covers a row holds.

    ``floor`` is the least share of the floor's rate for each database; ``durable`` and ``in_memory``
    say how many times the rate of the best peer that keeps its data, or does not, is wanted.
    """

    rows: tuple[str, ...]
    floor: dict[str, float]
    durable: float | None = None
    in_memory: float | None = None

    def covers(self, key: str) -> bool:
        return key in self.rows or key.split("/")[0] in self.rows


TARGETS = (
    Target(("get", "get-304", "lookup", "group-lean"), {SQLITE: 0.50, POSTGRESQL: 0.33}, 4, 1),
    Target(("list-first", "list-last", "list-cursor"), {SQLITE: 0.18, POSTGRESQL: 0.07}, 40, 40),
    Target(("filter-emails", "filter-begins", "filter-modified"), {SQLITE: 0.10, POSTGRESQL: 0.10}, 5, 5),
    Target(
        ("create", "put", "patch-active", "patch-name", "patch-pathless", "deactivate"),
        {SQLITE: 0.17, POSTGRESQL: 0.11},
        2,
        1,
    ),
    Target(("add-member/1000", "remove-member/1000"), {SQLITE: 0.17, POSTGRESQL: 0.06}, 50),
    Target(("add-member", "remove-member"), {SQLITE: 0.17, POSTGRESQL: 0.06}),
    Target(("add-100",), {SQLITE: 0.07, POSTGRESQL: 0.025}, 1, 1),
    Target(("cycle",), {SQLITE: 0.30, POSTGRESQL: 0.17}, 5, 5),
    Target(("bulk",), {SQLITE: 0.80, POSTGRESQL: 0.30}, 1, 1),
    Target(("delete",), {SQLITE: 0.20, POSTGRESQL: 0.11}),
    Target(("jit-login",), {SQLITE: 0.30, POSTGRESQL: 0.20}),
)

POINT_OPERATIONS = (
    "get",
    "get-304",
    "lookup",
    "list-cursor",
    "create",
    "put",
    "patch-active",
    "patch-name",
    "patch-pathless",
    "deactivate",
    "delete",
    "jit-login",
    "override",
    "group-lean",
    "add-member",
    "remove-member",
)
MANY_PEOPLE = 0.8
"""The least share of a point operation's rate among few people that it keeps among many."""
MANY_CLIENTS = 1.0
"""The least share of one client's rate that many have together who want seats of one organization: nothing is lost."""
GROUP_SIZES = 1.25
"""How far apart the rates of adding, or removing, one member may be over all sizes of a group."""
START_SECONDS = 0.5
WORKER_MEGABYTES = 90


def target_of(key: str) -> Target | None:
    return next((target for target in TARGETS if target.covers(key)), None)


def is_point_operation(key: str) -> bool:
    return key.split("/")[0] in POINT_OPERATIONS
