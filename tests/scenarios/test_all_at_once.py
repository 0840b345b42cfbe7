"""Identity providers, logins, administrators and owners at the same moment, against two processes (seat rule B8)."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from scim_server.store import seats
from scim_server.store.database import Database
from scim_server.store.transaction import Transaction

PEOPLE = [f"p{number}" for number in range(24)]
ROUNDS = 40
CLIENTS = 6


class Party:
    """Everybody who talks to one organization; ``odd`` collects answers that nobody should ever get."""

    def __init__(self, server: Any, acme: Any) -> None:
        self.server = server
        self.acme = acme
        self.ids: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        self.odd: list[str] = []
        self.statuses: Counter[int] = Counter()

    def ask(self, http: httpx.Client, token: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        answer = http.request(method, self.server.url + path, headers=headers, **more)
        self.statuses[answer.status_code] += 1
        if answer.status_code >= 500:
            self.odd.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer

    def push(self, http: httpx.Client, dice: random.Random) -> None:
        name = dice.choice(PEOPLE)
        answer = self.ask(http, self.acme.scim, "POST", "/scim/v2/Users", json={"userName": name})
        if answer.status_code == 201:
            self.ids[name] = answer.json()["id"]

    def deactivate(self, http: httpx.Client, dice: random.Random) -> None:
        value = dice.random() < 0.5
        body = {"Operations": [{"op": "replace", "path": "active", "value": value}]}
        self.ask(http, self.acme.scim, "PATCH", f"/scim/v2/Users/{self.one(dice)}", json=body)

    def remove(self, http: httpx.Client, dice: random.Random) -> None:
        self.ask(http, self.acme.scim, "DELETE", f"/scim/v2/Users/{self.one(dice)}")

    def move(self, http: httpx.Client, dice: random.Random) -> None:
        operations = [
            {"op": "add", "path": "members", "value": [{"value": self.one(dice)}, {"value": self.one(dice)}]},
            {"op": "remove", "path": f'members[value eq "{self.one(dice)}"]'},
        ]
        group = dice.choice(list(self.groups.values()))
        self.ask(http, self.acme.scim, "PATCH", f"/scim/v2/Groups/{group}", json={"Operations": operations})

    def come_and_go(self, http: httpx.Client, dice: random.Random) -> None:
        """Found a group, which whoever is added to may leave or be removed from meanwhile, and dissolve it."""
        body = {"displayName": "passing", "members": [{"value": self.one(dice)}]}
        made = self.ask(http, self.acme.scim, "POST", "/scim/v2/Groups", json=body)
        if made.status_code == 201:
            group = made.json()["id"]
            operation = {"op": "add", "path": "members", "value": [{"value": self.one(dice)}]}
            self.ask(
                http, self.acme.scim, "PATCH", f"/scim/v2/Groups/{group}", json={"Operations": [operation]}
            )
            if dice.random() < 0.8:
                self.ask(http, self.acme.scim, "DELETE", f"/scim/v2/Groups/{group}")

    def log_in(self, http: httpx.Client, dice: random.Random) -> None:
        body = {"userName": dice.choice(PEOPLE), "groups": dice.sample(list(self.groups), dice.randint(0, 2))}
        answer = self.ask(http, self.acme.jit, "POST", "/jit/v1/login", json=body).json()
        if answer.get("created"):
            self.ids[body["userName"]] = answer["member"]["id"]

    def override(self, http: httpx.Client, dice: random.Random) -> None:
        path = f"/admin/v1/members/{self.one(dice)}/seat"
        if dice.random() < 0.3:
            self.ask(http, self.acme.admin, "DELETE", path)
        else:
            tier = dice.choice(["premium", "standard", "unassigned"])
            self.ask(http, self.acme.admin, "PUT", path, json={"tier": tier})

    def swap(self, http: httpx.Client, dice: random.Random) -> None:
        body = {"a": self.one(dice), "b": self.one(dice)}
        self.ask(http, self.acme.admin, "POST", "/admin/v1/seats/swap", json=body)

    def buy(self, http: httpx.Client, dice: random.Random) -> None:
        body = {"lines": [{"tier": dice.choice(["premium", "standard"]), "quantity": 1}]}
        quote = self.ask(http, self.acme.owner, "POST", "/admin/v1/seats/quotes", json=body)
        if quote.status_code == 201:
            path = f"/admin/v1/seats/quotes/{quote.json()['id']}/confirm"
            key = {"Idempotency-Key": quote.json()["id"]}
            for _ in range(2):  # a client that is not sure asks again
                self.ask(http, self.acme.owner, "POST", path, json={"accept": True}, headers=key)

    def upgrade(self, http: httpx.Client, dice: random.Random) -> None:
        body = {"tier": "premium", "purchase": True}
        self.ask(http, self.acme.owner, "PUT", f"/admin/v1/members/{self.one(dice)}/seat", json=body)

    def one(self, dice: random.Random) -> str:
        return dice.choice([*self.ids.values()] or ["nobody"])

    def act(self, seed: int) -> None:
        dice = random.Random(seed)
        doings: list[Callable[..., None]] = [
            self.push, self.push, self.push, self.deactivate, self.remove, self.move, self.move,
            self.come_and_go, self.log_in, self.log_in, self.override, self.swap, self.buy, self.upgrade,
        ]  # fmt: skip
        with httpx.Client(trust_env=False, timeout=60) as http:
            for _ in range(ROUNDS):
                dice.choice(doings)(http, dice)

    # -- what stands afterwards

    def all(self, http: httpx.Client, path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            query = f"?limit=500&cursor={cursor}"
            page = self.ask(http, self.acme.owner, "GET", f"/admin/v1{path}{query}").json()
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return items


@pytest.mark.live
def test_the_same_key_at_the_same_moment_is_carried_out_once(live_server):
    acme = live_server.organization(premium=1, standard=1)
    party = Party(live_server, acme)

    def at_once(path: str, body: Any, key: str) -> list[tuple[int, str]]:
        def send(_: int) -> tuple[int, str]:
            with httpx.Client(trust_env=False, timeout=60) as http:
                headers = {"Idempotency-Key": key}
                answer = party.ask(http, acme.owner, "POST", f"/admin/v1{path}", json=body, headers=headers)
                return answer.status_code, answer.json().get("id", answer.text)

        with ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(send, range(CLIENTS)))

    for number in range(3):
        invited = at_once("/members", {"userName": f"m{number}"}, f"invite-{number}")
        with httpx.Client(trust_env=False, timeout=60) as http:
            body = {"lines": [{"tier": "standard", "quantity": 1}]}
            quote = party.ask(http, acme.owner, "POST", "/admin/v1/seats/quotes", json=body).json()["id"]
        bought = at_once(f"/seats/quotes/{quote}/confirm", {"accept": True}, f"buy-{number}")

        assert len(set(invited)) == 1 and invited[0][0] == 201
        assert len(set(bought)) == 1 and bought[0][0] == 201

    with httpx.Client(trust_env=False, timeout=60) as http:
        assert [invoice["number"] for invoice in party.all(http, "/invoices")] == [1, 2, 3]


@pytest.mark.live
def test_whatever_happens_at_once_no_seat_invoice_or_event_is_lost(live_server):
    acme = live_server.organization(premium=3, standard=5)
    party = Party(live_server, acme)
    with httpx.Client(trust_env=False, timeout=60) as http:
        settings = {"group_mappings": "on", "provisioning_mode": "jit"}
        party.ask(http, acme.owner, "PATCH", "/admin/v1/organization", json={"settings": settings})
        for name, tier in (("eng", "premium"), ("staff", "standard")):
            made = party.ask(http, acme.scim, "POST", "/scim/v2/Groups", json={"displayName": name}).json()
            party.groups[name] = made["id"]
            party.ask(http, acme.owner, "PUT", f"/admin/v1/mappings/{made['id']}", json={"tier": tier})

        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(party.act, range(CLIENTS)))

        assert party.odd == []
        tiers = party.ask(http, acme.owner, "GET", "/admin/v1/seats").json()["tiers"]
        members = party.all(http, "/members")
        invoices = party.all(http, "/invoices")
        events = party.all(http, "/seats/events")
        changes = [event for event in party.all(http, "/audit") if event["kind"] == "allocation_changed"]
        listed = party.ask(http, acme.scim, "GET", "/scim/v2/Users?count=1000").json()

    assert listed["totalResults"] == len(listed["Resources"]) == len(members), "totals are exact"
    held = Counter(member["seat"]["tier"] for member in members)
    for tier in tiers:
        assert held[tier["tier"]] == tier["used"] <= tier["allocated"], "I1"
    assert [invoice["number"] for invoice in invoices] == list(range(1, len(invoices) + 1)), "no gap"
    assert sum(tier["allocated"] for tier in tiers) == 8 + bought(invoices), "every purchase is there once"
    assert changes[-1]["after"] == {tier["tier"]: tier["allocated"] for tier in tiers}
    assert replay(events) == {
        m["id"]: m["seat"]["tier"] for m in members if m["seat"]["tier"] != "unassigned"
    }
    assert party.statuses[201] > 20
    assert dangling(live_server.environment["SCIM_DATABASE_URL"]) == {}


def dangling(database_url: str) -> dict[str, int]:
    """Count the rows that refer to something that is not there, which no foreign key would have refused."""
    belongs = {
        ("users", "organization_id"): ("organizations", "id"),
        ("groups", "organization_id"): ("organizations", "id"),
        ("events", "organization_id"): ("organizations", "id"),
        ("users", "id"): ("assignments", "member_id"),
        ("assignments", "member_id"): ("users", "id"),
        ("memberships", "member_id"): ("users", "id"),
        ("memberships", "group_id"): ("groups", "id"),
        ("attribute_values", "resource_id"): ("users", "id"),
    }
    database = Database(database_url)

    def count(tx: Transaction) -> dict[str, int]:
        counts = {
            f"{table}.{column}": tx.execute(
                text(f"SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT {key} FROM {owner})")
            ).scalar_one()
            for (table, column), (owner, key) in belongs.items()
        }
        return {name: number for name, number in counts.items() if number}

    try:
        return database.read(count)
    finally:
        database.close()


def bought(invoices: list[dict[str, Any]]) -> int:
    """Return the seats that were bought beside those traded in."""
    lines = [line for invoice in invoices for line in invoice["lines"]]
    return sum(line["quantity"] for line in lines if line["traded_in"] is None)


def replay(events: list[dict[str, Any]]) -> dict[str, str]:
    """Return who holds what after all seat events (I9)."""
    held: dict[str, str] = {}
    for event in events:
        assert held.get(event["member_id"], "unassigned") == event["from_tier"], event
        held[event["member_id"]] = event["to_tier"]
    return {member: tier for member, tier in held.items() if tier != "unassigned"}


@pytest.mark.live
def test_others_read_while_somebody_waits_to_write(live_server):
    """A large change takes its time: who waits for it holds nobody up who only reads."""
    acme, other = (live_server.organization(premium=3, standard=5) for _ in range(2))
    waits, reads = acme.scim, other.scim  # made before somebody holds the database
    database = Database(live_server.environment["SCIM_DATABASE_URL"])
    is_held, go_on = threading.Event(), threading.Event()

    def change(tx: Transaction) -> None:
        seats.lock_rules(tx, acme.id)
        is_held.set()
        assert go_on.wait(30)

    def ask(token: str, method: str, **more: Any) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(trust_env=False, timeout=30, headers=headers) as http:
            return http.request(method, f"{live_server.url}/scim/v2/Users", **more).status_code

    with ThreadPoolExecutor(CLIENTS) as pool:
        try:
            changing = pool.submit(database.run, change)
            assert is_held.wait(30)
            waiting = pool.submit(ask, waits, "POST", json={"userName": "ada"})
            time.sleep(0.2)

            assert [ask(reads, "GET") for _ in range(20)] == [200] * 20
            assert not waiting.done()
        finally:
            go_on.set()
        assert waiting.result(30) == 201
        changing.result(30)
    database.close()
