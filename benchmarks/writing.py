"""Rows that change people."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from benchmarks import people
from benchmarks.load import Answer
from benchmarks.rows import Fault, Row, Work, status
from benchmarks.world import NotServed, World, id_of_result

_MOST = 1500
_NEWCOMERS = 200
_READ_BACK = 40
_BULK = 1000


def rows() -> list[Row]:
    return [
        Row("create", "create a user (1 KB, enterprise)", create),
        Row("deactivate", "deactivate a user", _deactivate),
        Row("delete", "DELETE a user", _delete),
        Row("patch-active", "PATCH active (Entra)", _patch_active),
        Row("patch-name", "PATCH name.givenName", _patch_name),
        Row("patch-pathless", "PATCH without path (Okta)", _patch_pathless),
        Row("put", "PUT a user", _put),
        Row("jit-login", "JIT login of a known member", _log_in),
        Row("override", "override by an administrator", _override),
    ]


def bulk_row() -> Row:
    return Row("bulk", f"Bulk of {_BULK:,} creations (operations)", _bulk, connections=1, per_request=_BULK)


def create(world: World) -> Work:
    """Create people with a request each; they stay, as newcomers."""
    users = [people.user(number, name=world.new_name()) for number in range(_MOST)]
    created: list[str] = []

    def check(answer: Answer) -> Fault:
        if answer.status != 201:
            return str(answer)
        body = answer.json()
        created.append(body["id"])
        is_right = body["userName"] == users[answer.number]["userName"] and body["active"] is True
        return None if is_right else "another user"

    def after(sent: int) -> Fault:
        return _total_is(world, world.total + sent)

    requests = [world.scim.request("POST", "/Users", user) for user in users]
    return Work(requests, check, after, lambda: world.welcome(created))


def _patch_active(world: World) -> Work:
    """Suspend people in Entra's own spelling."""
    return _suspensions(world, people.patch("Replace", "active", "False"))


def _patch_pathless(world: World) -> Work:
    """Suspend people as Okta does."""
    return _suspensions(world, people.patch("replace", None, {"active": False}))


def _suspensions(world: World, body: dict[str, Any]) -> Work:
    """Suspend people; bring them back, untimed."""

    def put_back(ids: list[str]) -> None:
        _bring_back(world, ids)

    return _patches(world, lambda _: body, lambda user, _: user["active"] is False, put_back)


def _bring_back(world: World, ids: list[str]) -> None:
    active = people.patch("replace", "active", True)
    world.each("PATCH", [(f"/Users/{quote(one)}", active) for one in ids])


def _patch_name(world: World) -> Work:
    stamp = _stamp()
    return _patches(
        world,
        lambda number: people.patch("replace", "name.givenName", f"Given {number} {stamp}"),
        lambda user, number: user["name"]["givenName"] == f"Given {number} {stamp}",
    )


def _patches(
    world: World,
    body_for: Callable[[int], dict[str, Any]],
    is_changed: Callable[[dict[str, Any], int], bool],
    put_back: Callable[[list[str]], None] = lambda _: None,
) -> Work:
    """PATCH a different person with each request, and read some of them back."""
    numbers = world.some(_MOST)
    ids = [world.ids[number] for number in numbers]
    requests = [
        world.scim.request("PATCH", f"/Users/{quote(one)}", body_for(number))
        for one, number in zip(ids, numbers, strict=True)
    ]
    sent = 0

    def after(count: int) -> Fault:
        nonlocal sent
        sent = count
        return _all_are(world, list(zip(ids, numbers, strict=True))[:count], is_changed)

    return Work(requests, _changed(is_changed, numbers), after, lambda: put_back(ids[:sent]))


def _put(world: World) -> Work:
    numbers, given = world.some(_MOST), f"Replaced {_stamp()}"
    requests = [
        world.scim.request("PUT", f"/Users/{quote(world.ids[number])}", people.user(number, given=given))
        for number in numbers
    ]

    def is_replaced(user: dict[str, Any], number: int) -> bool:
        return bool(user["name"]["givenName"] == given and user["userName"] == people.user_name(number))

    def after(sent: int) -> Fault:
        return _all_are(world, [(world.ids[number], number) for number in numbers[:sent]], is_replaced)

    return Work(requests, _changed(is_replaced, numbers), after)


def _deactivate(world: World) -> Work:
    """Suspend people who have just joined; bring them back, untimed, or the next round would change nothing."""
    ids = world.newcomers(_NEWCOMERS)
    sent = 0
    body = people.patch("replace", "active", False)

    def is_inactive(user: dict[str, Any], _number: int) -> bool:
        return user["active"] is False

    def after(count: int) -> Fault:
        nonlocal sent
        sent = count
        return _all_are(world, [(one, 0) for one in ids[:sent]], is_inactive)

    return Work(
        [world.scim.request("PATCH", f"/Users/{quote(one)}", body) for one in ids],
        _changed(is_inactive, [0] * len(ids)),
        after,
        lambda: _bring_back(world, ids[:sent]),
    )


def _delete(world: World) -> Work:
    ids = world.newcomers(_NEWCOMERS)
    before, gone = world.total, 0

    def after(sent: int) -> Fault:
        nonlocal gone
        gone = sent
        return _total_is(world, before - sent)

    requests = [world.scim.request("DELETE", f"/Users/{quote(one)}") for one in ids]
    return Work(requests, status(204), after, lambda: world.forget(ids[:gone]))


def _log_in(world: World) -> Work:
    if world.server.jit is None:
        raise NotServed("no login hook")
    numbers = world.some(_MOST) * 4
    requests = []
    for number in numbers:
        user = people.user(number)
        login = {name: user[name] for name in ("userName", "externalId", "displayName", "name", "emails")}
        requests.append(world.server.jit.request("POST", "/login", login))

    def check(answer: Answer) -> Fault:
        if answer.status != 200:
            return str(answer)
        body = answer.json()
        is_right = body["decision"] == "allow" and body["member"]["id"] == world.ids[numbers[answer.number]]
        return None if is_right else str(answer)

    return Work(requests, check)


def _override(world: World) -> Work:
    """Move members from the seat that they have by default to another tier; clear it again, untimed."""
    admin = world.server.admin
    if admin is None:
        raise NotServed("no seats")
    ids = [world.ids[number] for number in world.some(_MOST)]
    wanted = {"tier": "standard", "reason": "measured"}
    requests = [admin.request("PUT", f"/members/{one}/seat", wanted) for one in ids]
    sent = 0

    def check(answer: Answer) -> Fault:
        is_right = answer.status == 200 and answer.json()["tier"] == "standard"
        return None if is_right else str(answer)

    def after(count: int) -> Fault:
        nonlocal sent
        sent = count
        return None

    def finish() -> None:
        world.each("DELETE", [(f"/members/{one}/seat", None) for one in ids[:sent]], service=admin)

    return Work(requests, check, after, finish)


def _bulk(world: World) -> Work:
    """Create people a thousand at a time, and delete them again, untimed."""
    if not world.server.traits.has_bulk:
        raise NotServed("no Bulk")
    created: list[str] = []
    batches = [[people.brief_user(n, world.new_name()) for n in range(_BULK)] for _ in range(4)]

    def check(answer: Answer) -> Fault:
        if answer.status != 200:
            return str(answer)
        ids = [id_of_result(result) for result in answer.json()["Operations"]]
        created.extend(ids)
        return None if len(set(ids)) == _BULK else f"{len(set(ids))} of {_BULK} created"

    requests = [world.scim.request("POST", "/Bulk", people.bulk_creation(batch)) for batch in batches]
    return Work(requests, check, finish=lambda: world.delete_users(created))


def _total_is(world: World, expected: int) -> Fault:
    there = world.call("GET", "/Users?startIndex=1&count=1").json()["totalResults"]
    return None if there == expected else f"{there} users instead of {expected}"


def _changed(is_changed: Callable[[dict[str, Any], int], bool], numbers: list[int]) -> Any:
    """Return the check of an answer to a change: 204, or 200 with the changed resource."""

    def check(answer: Answer) -> Fault:
        if answer.status == 204:
            return None
        is_right = answer.status == 200 and is_changed(answer.json(), numbers[answer.number])
        return None if is_right else str(answer)

    return check


def _all_are(
    world: World, changed: list[tuple[str, int]], is_changed: Callable[[dict[str, Any], int], bool]
) -> Fault:
    """Read some of the changed back."""
    some = world.random.sample(changed, min(_READ_BACK, len(changed)))
    answers = world.each("GET", [(f"/Users/{quote(one)}", None) for one, _ in some])
    for answer, (one, number) in zip(answers, some, strict=True):
        if not is_changed(answer.json(), number):
            return f"{one} has not changed"
    return None


def _stamp() -> str:
    return f"{time.time():.6f}"
