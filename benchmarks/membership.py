"""Rows about groups: who joins, who leaves, and the mix of a whole cycle of an identity provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import quote

from benchmarks import people
from benchmarks.load import Answer
from benchmarks.rows import Fault, Row, Work, status
from benchmarks.world import World

_GROUPS = 20
_SLICE = 100
_NEW_GROUP = 1000
_CYCLE = 3000
_accepted = status(200, 204)


def rows(sizes: Sequence[int]) -> list[Row]:
    """One member more or less in groups of these sizes; 0 stands for groups that have just been made."""
    each = []
    for size in sizes:
        of = f"group of {size:,}" if size else "empty group"
        each += [
            Row(f"add-member/{size}", f"add a member, {of}", partial(_add, size=size), connections=1),
            Row(
                f"remove-member/{size}", f"remove a member, {of}", partial(_remove, size=size), connections=1
            ),
        ]
    return each


def wide_rows(size: int) -> list[Row]:
    """What concerns many members at once, beside a group of ``size``."""
    return [
        Row("add-together", "add members to one group from 8 connections", partial(_add_together, size=size)),
        Row("add-100", f"add {_SLICE} members in one PATCH", _add_many, connections=1),
        Row("create-group", f"create a group with {_NEW_GROUP:,} members", _create, connections=1),
        Row("cycle", "Entra cycle (70 % look-up, 15 % PATCH user, 10 % PATCH group, 5 % create)", _cycle),
    ]


def _add(world: World, *, size: int) -> Work:
    """Let people join; they stay for the row in which they leave again."""
    _send_home(world, size)
    groups = [world.group(size)] if size else world.empty_groups(_GROUPS)
    plan = [(groups[place % len(groups)], one) for place, one in enumerate(world.spare)]

    def after(sent: int) -> Fault:
        world.guests[size] = groups, plan[:sent]
        return _membership(world, groups, world.ids[:size], plan[:sent])

    return Work([world.add(group, [one]) for group, one in plan], _accepted, after)


def _add_together(world: World, *, size: int) -> Work:
    return replace(_add(world, size=size), finish=lambda: _send_home(world, size))


def _remove(world: World, *, size: int) -> Work:
    """Let those leave who have joined before; where nobody has, they are let in first."""
    if size not in world.guests:
        joining = _add(world, size=size)
        world.send(joining.requests[:_SLICE])
        joining.after(_SLICE)
    groups, plan = world.guests[size]

    def after(sent: int) -> Fault:
        world.guests[size] = groups, plan[sent:]
        return _membership(world, groups, world.ids[:size], plan[sent:])

    requests = [world.remove(group, one) for group, one in plan]
    return Work(requests, _accepted, after, lambda: _send_home(world, size))


def _send_home(world: World, size: int) -> None:
    """Remove whoever is still a guest in the groups of a size."""
    groups, plan = world.guests.pop(size, ((), ()))
    if size:
        world.send([world.remove(group, one) for group, one in plan])
    else:
        world.delete("/Groups", groups)


def _add_many(world: World) -> Work:
    groups = world.empty_groups(_GROUPS)
    slices = [world.ids[start : start + _SLICE] for start in range(0, world.size, _SLICE)]
    plan = [(group, part) for part in slices[:8] for group in groups]

    def after(sent: int) -> Fault:
        joined = [(group, one) for group, part in plan[:sent] for one in part]
        return _membership(world, groups[:3], [], joined)

    requests = [world.add(group, part) for group, part in plan]
    return Work(requests, _accepted, after, lambda: world.delete("/Groups", groups))


def _create(world: World) -> Work:
    members = world.ids[:_NEW_GROUP]
    created: list[str] = []
    bodies = [people.group(world.new_name(), members) for _ in range(60)]

    def check(answer: Answer) -> Fault:
        if answer.status != 201:
            return str(answer)
        created.append(answer.json()["id"])
        return None

    def after(_sent: int) -> Fault:
        return _membership(world, created[-1:], members, [])

    requests = [world.scim.request("POST", "/Groups", body) for body in bodies]
    return Work(requests, check, after, lambda: world.delete("/Groups", created))


def _cycle(world: World) -> Work:
    """What an incremental cycle of Entra ID is made of, in a random order that is the same in every run."""
    groups = world.empty_groups(_GROUPS)
    kinds = world.random.choices(("look-up", "patch", "join", "create"), (70, 15, 10, 5), k=_CYCLE)
    subjects = world.some(world.size)
    joins: list[tuple[int, str, str]] = []
    created: list[str] = []
    requests = []
    for place, kind in enumerate(kinds):
        number = world.random.choice(subjects)
        if kind == "look-up":
            text = quote(f'userName eq "{people.user_name(number)}"')
            requests.append(world.scim.request("GET", f"/Users?filter={text}"))
        elif kind == "patch":
            body = people.patch("replace", "name.givenName", f"Cycle {place}")
            requests.append(world.scim.request("PATCH", f"/Users/{quote(world.ids[number])}", body))
        elif kind == "join":
            group, one = groups[len(joins) % _GROUPS], world.ids[len(joins) // _GROUPS]
            joins.append((place, group, one))
            requests.append(world.add(group, [one]))
        else:
            requests.append(world.scim.request("POST", "/Users", people.user(place, name=world.new_name())))

    def check(answer: Answer) -> Fault:
        kind = kinds[answer.number]
        if kind == "look-up":
            is_right = answer.status == 200 and answer.json()["totalResults"] == 1
            return None if is_right else str(answer)
        if kind == "create":
            if answer.status != 201:
                return str(answer)
            created.append(answer.json()["id"])
            return None
        return _accepted(answer)

    def after(sent: int) -> Fault:
        joined = [(group, one) for place, group, one in joins if place < sent]
        return _membership(world, groups[:5], [], joined)

    def finish() -> None:
        world.delete("/Users", created)
        world.delete("/Groups", groups)

    return Work(requests, check, after, finish)


def _membership(
    world: World, groups: Sequence[str], everywhere: Sequence[str], joined: Sequence[tuple[str, str]]
) -> Fault:
    """Say whether groups have exactly the members that they should have."""
    for group in groups:
        expected = {*everywhere, *(one for where, one in joined if where == group)}
        there = world.members(group)
        if there != expected:
            missing, extra = len(expected - there), len(there - expected)
            return f"a group of {len(expected)} lacks {missing} members and has {extra} too many"
    return None
