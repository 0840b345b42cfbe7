"""What another organization has is answered as what nobody ever had: the same status, the same bytes.

The addresses come from the URL map, so that no route can be forgotten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from scim_server.ids import new_id
from scim_server.web.authentication import PUBLIC
from tests.world import GROUP, PATCH_OP, USER, World, routes

_REQUEST_ID = re.compile(r'"request_id":"[^"]+"')
_TITLE = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "displayName", "value": "x"}]}
_BODIES: dict[str, Any] = {
    "scim.replace_Users": {"schemas": [USER], "userName": "mallory"},
    "scim.patch_Users": _TITLE,
    "scim.replace_Groups": {"schemas": [GROUP], "displayName": "mallory"},
    "scim.patch_Groups": _TITLE,
    "mappings.put_mapping": {"tier": "premium"},
    "members.patch_member": {"role": "admin"},
    "members.put_seat": {"tier": "standard"},
    "billing.confirm_quote": {"accept": True},
}


@dataclass
class Neighbours:
    """Two organizations with the same people, groups, rules and purchases; ``ids`` are the other's."""

    ours: World
    theirs: World
    ids: dict[str, str]

    def caller(self, rule: str) -> Any:
        return self.ours.scim if rule.startswith("/scim") else self.ours.owner


def settled(world) -> World:
    """Make an organization that has something of everything."""
    acme = world(
        premium=4, standard=4, removal_guard=1, mapping_lost_policy="unassign", reduction_effective="renewal"
    )
    acme.push("ada", "ben", "cyd", externalId="x-1")
    acme.group("eng", "ada", "ben", tier="premium")
    acme.override("cyd", "standard")
    acme.ids["invoice"] = acme.buy(standard=1)["id"]
    acme.buy(standard=-1)
    acme.scim.put(f"/Groups/{acme.ids['eng']}", {"displayName": "eng", "members": []})
    acme.invite("dan")
    acme.ids["quote"] = acme.quote(premium=1)["id"]
    return acme


@pytest.fixture
def neighbours(world) -> Neighbours:
    ours, theirs = settled(world), settled(world)
    [held] = theirs.owner.get("/seats/held")["items"]
    [reduction] = theirs.owner.get("/seats/scheduled")["items"]
    ids = {
        "member_id": theirs.ids["ada"],
        "group_id": theirs.ids["eng"],
        "quote_id": theirs.ids["quote"],
        "invoice_id": theirs.ids["invoice"],
        "token_id": theirs.owner.get("/tokens")["items"][0]["id"],
        "held_id": held["id"],
        "reduction_id": reduction["id"],
        "Users": theirs.ids["ada"],
        "Groups": theirs.ids["eng"],
    }
    return Neighbours(ours, theirs, ids)


def routes_to_one(app) -> list[tuple[str, str, str, str]]:
    """Return method, rule, endpoint and variable of every closed route that leads to one thing."""
    found = []
    for rule in routes(app):
        if rule.endpoint in PUBLIC or not rule.arguments:
            continue
        [variable] = rule.arguments
        found += [
            (method, rule.rule, rule.endpoint, variable) for method in sorted(rule.methods - {"OPTIONS"})
        ]
    return found


def answer(caller, method: str, path: str, body: Any, about: str, **headers: str) -> tuple[int, str, str]:
    """Return all of an answer that could tell something, without the id that was asked for."""
    response = caller.request(method, path, body, **headers)
    said = sorted(
        (name, value) for name, value in response.headers if name not in ("X-Request-Id", "Content-Length")
    )
    text = _REQUEST_ID.sub("", response.get_data(as_text=True))
    return response.status_code, text.replace(about, "ID"), str(said).replace(about, "ID")


def everything(one: World) -> Any:
    """Return all that an organization shows of itself."""
    paths = (
        "/seats",
        "/members",
        "/mappings",
        "/tokens",
        "/invoices",
        "/seats/held",
        "/seats/scheduled",
        "/audit",
    )
    return [one.owner.get(path) for path in paths], one.scim.get("")


def test_every_route_answers_a_foreign_id_as_one_that_never_was(app, neighbours):
    routes = routes_to_one(app)
    assert len(routes) > 20
    before = everything(neighbours.theirs)

    for method, rule, endpoint, variable in routes:
        foreign = neighbours.ids[variable if variable in neighbours.ids else rule.split("/")[3].title()]
        caller = neighbours.caller(rule)
        answers = [
            answer(
                caller,
                method,
                re.sub("<[^>]+>", one, rule.removeprefix(caller.prefix)),
                _BODIES.get(endpoint.replace("_users", "_Users").replace("_groups", "_Groups")),
                one,
                **{"Idempotency-Key": "key-1"},
            )
            for one in (foreign, new_id())
        ]
        assert answers[0] == answers[1], (method, rule)
        assert answers[0][0] == 404, (method, rule, answers[0])

    assert everything(neighbours.theirs) == before


@pytest.mark.parametrize(
    ("surface", "method", "path", "body", "kind"),
    [
        ("owner", "POST", "/seats/swap", {"a": "{ben}", "b": "{ID}"}, "member_id"),
        ("owner", "POST", "/tokens", {"kind": "admin", "member_id": "{ID}"}, "member_id"),
        ("owner", "GET", "/members?group_id={ID}", None, "group_id"),
        ("owner", "GET", "/audit?subject_id={ID}", None, "member_id"),
        ("owner", "GET", "/seats/events?member_id={ID}", None, "member_id"),
        ("scim", "GET", '/Groups?filter=members.value eq "{ID}"', None, "member_id"),
        ("scim", "GET", '/Users?filter=groups.value eq "{ID}"', None, "group_id"),
        ("scim", "GET", '/Users?filter=id eq "{ID}"', None, "member_id"),
        ("scim", "POST", "/.search", {"filter": 'id eq "{ID}" or id eq "x"'}, "group_id"),
        ("scim", "POST", "/Bulk", {"Operations": [{"method": "DELETE", "path": "/Users/{ID}"}]}, "Users"),
        ("scim", "POST", "/Bulk", {"Operations": [{"method": "DELETE", "path": "/Groups/{ID}"}]}, "Groups"),
        ("jit", "POST", "/login", {"userName": "ben", "groups": ["{ID}"]}, "group_id"),
    ],
)
def test_a_foreign_id_in_a_query_or_a_body_says_as_little(neighbours, surface, method, path, body, kind):
    caller = getattr(neighbours.ours, surface)

    def filled(value: Any, one: str) -> Any:
        if isinstance(value, str):
            return value.replace("{ID}", one).replace("{ben}", neighbours.ours.ids["ben"])
        if isinstance(value, dict):
            return {name: filled(item, one) for name, item in value.items()}
        return [filled(item, one) for item in value] if isinstance(value, list) else value

    answers = [
        answer(caller, method, filled(path, one), filled(body, one), one)
        for one in (neighbours.ids[kind], new_id())
    ]

    assert answers[0] == answers[1]
    assert neighbours.theirs.ids["ada"] not in answers[0][1]


@pytest.mark.parametrize("kind", ["member_id", "group_id"])
def test_a_foreign_reference_is_stored_as_what_it_is_to_us_a_text_or_nothing(neighbours, kind):
    """A member nobody here is, is left out; a manager is any text that a client says (RFC 7643 §4.3)."""
    foreign = neighbours.ids[kind]
    ours = neighbours.ours
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

    group = ours.scim.post("/Groups", {"displayName": "new", "members": [{"value": foreign}]})
    user = ours.scim.post("/Users", {"userName": "eve", enterprise: {"manager": {"value": foreign}}})

    assert "members" not in group
    manager = user[enterprise]["manager"]
    assert {name: value for name, value in manager.items() if name != "$ref"} == {"value": foreign}


def test_a_foreign_cursor_is_no_cursor(neighbours):
    ours, theirs = neighbours.ours, neighbours.theirs
    cursor = theirs.scim.get("/Users?cursor=&count=1")["nextCursor"]

    foreign, forged = (
        ours.scim.refusal("GET", f"/Users?cursor={one}&count=1") for one in (cursor, cursor[:-4] + "AAAA")
    )

    assert foreign == forged
    assert (foreign[0], foreign[1]["scimType"]) == (400, "invalidCursor")


def test_a_foreign_version_opens_nothing(neighbours):
    ours, theirs = neighbours.ours, neighbours.theirs
    version = theirs.scim.get(f"/Users/{theirs.ids['ada']}")["meta"]["version"]

    for headers in ({"If-Match": version}, {"If-None-Match": version}):
        answers = [
            answer(ours.scim, "GET", f"/Users/{one}", None, one, **headers)
            for one in (theirs.ids["ada"], new_id())
        ]
        assert answers[0] == answers[1]


def test_the_pages_of_one_organization_begin_where_another_s_cursor_says_and_show_its_own(neighbours):
    """Cursors of the Admin API are places, not keys."""
    cursor = neighbours.theirs.owner.get("/members?limit=1")["next_cursor"]

    items = neighbours.ours.owner.get(f"/members?cursor={cursor}")["items"]

    assert not {item["id"] for item in items} & set(neighbours.theirs.ids.values())
