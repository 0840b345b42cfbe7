"""What a server under test holds: who is in it, under which ids, and in which groups."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import quote

from benchmarks import people
from benchmarks.load import Answer, Service, run
from benchmarks.servers import Server

SPARE = 500
"""People beyond the size, in no group of a size: they are the ones who join and leave."""
_BULK = 1000


class NotServed(Exception):
    """A server cannot do what a row measures; the message says what it answered."""


class World:
    """The content of one server: ``size`` people and ``SPARE`` more, and groups of the sizes asked for."""

    def __init__(self, server: Server, size: int) -> None:
        self.server = server
        self.scim: Service = server.scim
        self.size = size
        self.ids: list[str] = []
        self.random = random.Random(size)
        self.guests: dict[int, tuple[Sequence[str], Sequence[tuple[str, str]]]] = {}
        """Spare people who are in groups of a size at the moment: the groups, and pairs of group and member."""
        self._groups: dict[int, str] = {}
        self._newcomers: list[str] = []
        self._names = 0
        self._cursor: str | None = None

    # -- people

    @property
    def total(self) -> int:
        return len(self.ids) + len(self._newcomers)

    @property
    def spare(self) -> list[str]:
        return self.ids[self.size :]

    def fill(self, note: Callable[[int], None]) -> None:
        """Create everybody, through Bulk where there is such a thing."""
        numbers = range(self.size + SPARE)
        if not self.server.traits.has_bulk:
            self.ids = self.create([people.user(number) for number in numbers])
            return
        for start in range(0, len(numbers), _BULK):
            batch = [people.user(number) for number in numbers[start : start + _BULK]]
            answer = self.call("POST", "/Bulk", people.bulk_creation(batch))
            self.ids += [id_of_result(result) for result in answer.json()["Operations"]]
            note(len(self.ids))

    def create(self, users: list[dict[str, Any]]) -> list[str]:
        """Create people with a request each, and return their ids in the same order."""
        return [answer.json()["id"] for answer in self.each("POST", [("/Users", user) for user in users])]

    def some(self, count: int) -> list[int]:
        """Return the numbers of people whom no filter row counts, each at most once, in any order."""
        ordinary = [
            number
            for number in range(people.HARBOUR.stop, self.size)
            if not people.begins_with_letter(number)
        ]
        return self.random.sample(ordinary, min(count, len(ordinary)))

    def newcomers(self, least: int) -> list[str]:
        """Return people who have joined since and whom nothing else needs; where they are few, more are created."""
        if (missing := least - len(self._newcomers)) > 0:
            users = [people.user(number, name=self.new_name()) for number in range(missing)]
            self._newcomers += self.create(users)
        return list(self._newcomers)

    def welcome(self, ids: Iterable[str]) -> None:
        """Remember who has joined."""
        self._newcomers += ids

    def forget(self, ids: Iterable[str]) -> None:
        """Forget newcomers who have been deleted, and delete all others."""
        gone = set(ids)
        others = [one for one in self._newcomers if one not in gone]
        self._newcomers = []
        self.delete_users(others)

    def delete_users(self, ids: list[str]) -> None:
        if not self.server.traits.has_bulk:
            self.delete("/Users", ids)
            return
        for start in range(0, len(ids), _BULK):
            self.call("POST", "/Bulk", people.bulk_deletion(ids[start : start + _BULK]))

    def new_name(self) -> str:
        self._names += 1
        return f"newcomer.{self._names:06d}@example.com"

    # -- groups

    def group(self, size: int) -> str:
        """Return the group of the first ``size`` people; it is made when it is first asked for."""
        if size not in self._groups:
            answer = self.call("POST", "/Groups", people.group(f"The first {size}", self.ids[:size]))
            group = answer.json()["id"]
            if len(self.members(group)) < size:  # some take no members at a creation
                self.send([self.add(group, self.ids[:size])])
            if (there := len(self.members(group))) != size:
                raise NotServed(f"a group that was given {size} members has {there}")
            self._groups[size] = group
        return self._groups[size]

    def empty_groups(self, count: int) -> list[str]:
        wanted = [("/Groups", people.group(self.new_name(), [])) for _ in range(count)]
        return [answer.json()["id"] for answer in self.each("POST", wanted)]

    def members(self, group: str) -> set[str]:
        answer = self.call("GET", f"/Groups/{quote(group)}")
        return {member["value"] for member in answer.json().get("members") or ()}

    def add(self, group: str, members: Iterable[str]) -> bytes:
        """Return the request that adds members to a group."""
        body = people.patch("add", "members", [{"value": member} for member in members])
        return self.scim.request("PATCH", f"/Groups/{quote(group)}", body)

    def remove(self, group: str, member: str) -> bytes:
        """Return the request that removes a member from a group."""
        if self.server.traits.removes_by_value:
            body = people.patch("remove", "members", [{"value": member}])
        else:
            body = people.patch("remove", f'members[value eq "{member}"]')
        return self.scim.request("PATCH", f"/Groups/{quote(group)}", body)

    # -- requests outside of the measurement, which have to succeed

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        return _successful(self.scim.call(method, path, body))

    def each(
        self, method: str, wanted: Sequence[tuple[str, Any]], *, service: Service | None = None
    ) -> list[Answer]:
        """Send requests over several connections; return the answers in the order of the requests."""
        target = service or self.scim
        return self.send([target.request(method, path, body) for path, body in wanted], connections=4)

    def send(self, requests: Sequence[bytes], *, connections: int = 1) -> list[Answer]:
        answers = run(self.scim, requests, connections=connections).answers
        return sorted((_successful(answer) for answer in answers), key=lambda answer: answer.number)

    def delete(self, endpoint: str, ids: Iterable[str]) -> None:
        self.each("DELETE", [(f"{endpoint}/{quote(one)}", None) for one in ids])

    def cursor_at_depth(self, count: int) -> str:
        """Return the cursor of the page in the middle of the list of all people."""
        if self._cursor is None:
            page = self.call("GET", f"/Users?cursor&count={count}").json()
            for _ in range(self.size // count // 2):
                page = self.call("GET", f"/Users?cursor={self._next(page)}&count={count}").json()
            self._cursor = self._next(page)
        return self._cursor

    @staticmethod
    def _next(page: dict[str, Any]) -> str:
        if "nextCursor" not in page:
            raise NotServed("no cursors (RFC 9865)")
        return quote(page["nextCursor"])


def id_of_result(result: dict[str, Any]) -> str:
    """Return the id of what an operation of a Bulk request has created."""
    if str(result["status"]) != "201":
        raise NotServed(f"Bulk: {result}")
    return str(result["location"]).rsplit("/", 1)[1]


def _successful(answer: Answer) -> Answer:
    if not 200 <= answer.status < 300:
        raise NotServed(str(answer))
    return answer
