"""Rows that only read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from benchmarks import people
from benchmarks.load import Answer
from benchmarks.rows import Fault, Row, Work, status
from benchmarks.world import NotServed, World

PAGE = 100
_REPEATS = 6000


def rows(group_sizes: Sequence[int]) -> list[Row]:
    return [
        Row("get", "get a user", _get),
        Row("get-304", "get with If-None-Match", _get_unchanged),
        Row("lookup", "look-up, `userName eq`", _look_up),
        Row("list-first", f"list of {PAGE}, first page", partial(_list, at_end=False)),
        Row("list-last", f"list of {PAGE}, last page", partial(_list, at_end=True)),
        Row("list-cursor", f"list of {PAGE}, next cursor page half-way", _next_cursor_page),
        Row("filter-emails", "filter `emails[type eq … and value co …]`", _filter_emails),
        Row("filter-begins", "filter `userName sw … and active eq true`", _filter_begins),
        Row("filter-modified", "filter `meta.lastModified gt …`", _filter_modified),
        *(_rows_of_group(size) for size in group_sizes if size),
        *(
            Row(
                f"group-whole/{size}",
                f"get a group of {size:,} whole",
                partial(_group, size=size, whole=True),
            )
            for size in group_sizes
            if 0 < size <= 1000
        ),
    ]


def _rows_of_group(size: int) -> Row:
    prepare = partial(_group, size=size, whole=False)
    return Row(f"group-lean/{size}", f"get a group of {size:,} without its members", prepare)


def _get(world: World) -> Work:
    picks = _picks(world)

    def check(answer: Answer) -> Fault:
        number = picks[answer.number]
        if answer.status != 200:
            return str(answer)
        body = answer.json()
        is_right = body["id"] == world.ids[number] and body["userName"] == people.user_name(number)
        return None if is_right else "another user"

    return Work([world.scim.request("GET", _path(world, number)) for number in picks], check)


def _get_unchanged(world: World) -> Work:
    some = world.some(200)
    requests = []
    for number, answer in zip(some, world.each("GET", [(_path(world, n), None) for n in some]), strict=True):
        if (tag := answer.header("ETag")) is None:
            raise NotServed("no ETag")
        headers = {"If-None-Match": tag}
        requests.append(world.scim.request("GET", _path(world, number), headers=headers))
    return Work(_repeated(requests), status(304))


def _look_up(world: World) -> Work:
    picks = _picks(world)

    def check(answer: Answer) -> Fault:
        if answer.status != 200:
            return str(answer)
        found = answer.json()
        ids = [resource["id"] for resource in found.get("Resources") or ()]
        is_right = found["totalResults"] == 1 and ids == [world.ids[picks[answer.number]]]
        return None if is_right else f"found {ids}"

    names = [quote(f'userName eq "{people.user_name(number)}"') for number in picks]
    return Work([world.scim.request("GET", f"/Users?filter={name}") for name in names], check)


def _list(world: World, *, at_end: bool) -> Work:
    start = world.total - PAGE + 1 if at_end else 1
    request = world.scim.request("GET", f"/Users?startIndex={start}&count={PAGE}")
    return Work([request] * _REPEATS, _found(total=world.total, shown=PAGE))


def _next_cursor_page(world: World) -> Work:
    request = world.scim.request("GET", f"/Users?cursor={world.cursor_at_depth(PAGE)}&count={PAGE}")
    return Work([request] * _REPEATS, _found(total=None, shown=PAGE))


def _filter_emails(world: World) -> Work:
    return _filter(world, 'emails[type eq "work" and value co "harbour"]', len(people.HARBOUR))


def _filter_begins(world: World) -> Work:
    total = sum(people.begins_with_letter(number) for number in range(len(world.ids)))
    return _filter(world, f'userName sw "{people.LETTER}" and active eq true', total)


def _filter_modified(world: World) -> Work:
    """Change one person, then twenty more, and ask who has changed since the one."""
    first, *others = world.some(21)
    _rename(world, [first])
    since = world.call("GET", _path(world, first)).json()["meta"]["lastModified"]
    time.sleep(1.1)  # some servers count in whole seconds
    _rename(world, others)
    return _filter(world, f'meta.lastModified gt "{since}"', len(others))


def _rename(world: World, numbers: Sequence[int]) -> None:
    body = people.patch("replace", "name.givenName", f"Changed at {time.time():.3f}")
    world.each("PATCH", [(_path(world, number), body) for number in numbers])


def _filter(world: World, text: str, total: int) -> Work:
    request = world.scim.request("GET", f"/Users?filter={quote(text)}&startIndex=1&count={PAGE}")
    return Work([request] * _REPEATS, _found(total=total, shown=min(total, PAGE)))


def _group(world: World, *, size: int, whole: bool) -> Work:
    without = "" if whole else "?excludedAttributes=members"
    request = world.scim.request("GET", f"/Groups/{quote(world.group(size))}{without}")
    expected = size if whole else 0

    def check(answer: Answer) -> Fault:
        if answer.status != 200:
            return str(answer)
        there = len(answer.json().get("members") or ())
        return None if there == expected else f"{there} members shown"

    return Work([request] * _REPEATS, check)


def _found(*, total: int | None, shown: int) -> Any:
    """Return the check of a list: how many it says there are, and that it shows as many different ones."""

    def check(answer: Answer) -> Fault:
        if answer.status != 200:
            return str(answer)
        body = answer.json()
        ids = {resource["id"] for resource in body.get("Resources") or ()}
        if total is not None and body["totalResults"] != total:
            return f"totalResults {body['totalResults']} instead of {total}"
        return None if len(ids) == shown else f"{len(ids)} different resources instead of {shown}"

    return check


def _picks(world: World) -> list[int]:
    return [world.random.randrange(world.size) for _ in range(_REPEATS)]


def _path(world: World, number: int) -> str:
    return f"/Users/{quote(world.ids[number])}"


def _repeated(requests: list[bytes]) -> list[bytes]:
    return requests * (_REPEATS // len(requests))
