"""Rows about seats that many ask for at once: one client after the other, and sixteen side by side.

Whoever wants a seat of an organization waits for whoever takes one at that moment. What that must not
cost is work that is thrown away: transactions that begin again, deadlocks that somebody has to end.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from benchmarks.rows import Fault, Row, Work, status
from benchmarks.world import NotServed, World
from benchmarks.writing import create

CLIENTS = (1, 16)
_GROUPS = 20
_TIER = "standard"


def rows() -> list[Row]:
    """The same by one client and by many; the last, for they switch the mapping of groups on and off."""
    return [
        Row(f"{kind}-by/{clients}", f"{title}, {clients} at once", prepare, connections=clients)
        for kind, title, prepare in (
            ("create", "create a user, who gets a seat", _create),
            ("move", "add a member to a mapped group, who changes seats", _move),
        )
        for clients in CLIENTS
    ]


def _create(world: World) -> Work:
    """Create people, and delete them again, untimed: other rows are about a number of people."""
    work = create(world)

    def finish() -> None:
        work.finish()
        world.forget(())

    return replace(work, finish=finish)


def _move(world: World) -> Work:
    """Let people join groups that are mapped to another tier than the one that they have by default."""
    admin = world.server.admin
    if admin is None:
        raise NotServed("no seats")

    def map_groups(switch: str) -> None:
        world.each("PATCH", [("/organization", {"settings": {"group_mappings": switch}})], service=admin)

    groups = world.empty_groups(_GROUPS)
    world.each("PUT", [(f"/mappings/{quote(group)}", {"tier": _TIER}) for group in groups], service=admin)
    map_groups("on")
    plan = [(groups[place % _GROUPS], one) for place, one in enumerate(world.ids)]

    def after(sent: int) -> Fault:
        held = [admin.call("GET", f"/members/{one}/seat").json() for _, one in plan[: sent : sent // 10 or 1]]
        wrong = [seat for seat in held if (seat["tier"], seat["source"]) != (_TIER, "mapping")]
        return f"{len(wrong)} of {len(held)} seats are not the mapped ones" if wrong else None

    def finish() -> None:
        world.delete("/Groups", groups)
        map_groups("off")

    return Work([world.add(group, [one]) for group, one in plan], status(200, 204), after, finish)
