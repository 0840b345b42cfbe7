"""Entity tags: one for every projection, none lost, none moved without a reason (RFC 7644 §3.14)."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.world import PATCH_OP


@pytest.fixture
def acme(world):
    acme = world(premium=1, standard=5)
    acme.push("ada", title="Analyst")
    acme.path = f"/Users/{acme.ids['ada']}"
    return acme


def patch_title(acme, title, **headers):
    operations = [{"op": "replace", "path": "title", "value": title}]
    return acme.scim.request("PATCH", acme.path, {"schemas": [PATCH_OP], "Operations": operations}, **headers)


def tag(acme, path=None, query=""):
    return acme.scim.request("GET", (path or acme.path) + query).headers["ETag"]


def test_the_tag_is_the_same_for_every_projection_and_stands_in_meta(acme):
    assert {
        tag(acme),
        tag(acme, query="?attributes=userName"),
        tag(acme, query="?excludedAttributes=title"),
    } == {acme.scim.get(acme.path)["meta"]["version"]}


def test_a_change_moves_the_tag_and_the_time(acme, clock):
    before = acme.scim.get(acme.path)["meta"]
    clock.advance(seconds=5)

    patch_title(acme, "Boss")

    after = acme.scim.get(acme.path)["meta"]
    assert after["version"] != before["version"]
    assert after["lastModified"] > before["lastModified"]
    assert after["created"] == before["created"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_what_changes_nothing_moves_nothing(acme, clock, method):
    before = acme.scim.get(acme.path)
    clock.advance(seconds=5)

    if method == "PUT":
        acme.scim.put(acme.path, before)
    else:
        patch_title(acme, "Analyst")

    assert acme.scim.get(acme.path) == before


def test_a_user_s_tag_moves_with_their_groups_and_their_seat(acme):
    tags = [tag(acme)]
    acme.group("eng", "ada")
    tags.append(tag(acme))
    acme.override("ada", "standard")
    tags.append(tag(acme))

    assert len(set(tags)) == 3


@pytest.mark.parametrize("form", ["{0}", '"x", {0}', "*", "{1}", ', "x",, {0} ,'])
def test_if_match_lets_the_present_version_through(acme, form):
    present = tag(acme)

    response = patch_title(acme, "Boss", **{"If-Match": form.format(present, present.removeprefix("W/"))})

    assert response.status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_if_match_stops_a_change_of_another_version(acme, method):
    stale = tag(acme)
    patch_title(acme, "Boss")
    body = {"userName": "ada", "Operations": [{"op": "remove", "path": "title"}]}

    response = acme.scim.request(method, acme.path, body, **{"If-Match": stale})

    assert response.status_code == 412
    assert acme.scim.get(acme.path)["title"] == "Boss"


@pytest.mark.parametrize(("form", "status"), [("{0}", 304), ("*", 304), ('W/"x"', 200), ('"x", {0}', 304)])
def test_if_none_match_spares_what_is_known(acme, form, status):
    response = acme.scim.request("GET", acme.path, **{"If-None-Match": form.format(tag(acme))})

    assert response.status_code == status
    assert bool(response.data) == (status == 200)


def put_title(acme, path, number):
    return "PUT", path, {"userName": "ada", "title": f"Title {number}"}


def patch_title_to(acme, path, number):
    operation = {"op": "replace", "path": "title", "value": f"Title {number}"}
    return "PATCH", path, {"schemas": [PATCH_OP], "Operations": [operation]}


def rename(acme, path, number):
    return "PUT", path, {"displayName": f"Group {number}", "members": []}


def remove(acme, path, number):
    return "DELETE", path, None


def join(acme, path, number):
    operation = {"op": "add", "path": "members", "value": [{"value": acme.ids[f"m{number}"]}]}
    return "PATCH", path, {"schemas": [PATCH_OP], "Operations": [operation]}


@pytest.mark.parametrize("in_bulk", [False, True])
@pytest.mark.parametrize(
    ("kind", "change"),
    [("ada", put_title), ("ada", patch_title_to), ("eng", rename), ("eng", join), ("ada", remove)],
)
def test_of_many_changes_of_one_version_one_succeeds(acme, kind, change, in_bulk):
    """No update is lost: who was overtaken is told so."""
    acme.push(*[f"m{number}" for number in range(6)])
    acme.group("eng")
    path = f"/{'Users' if kind == 'ada' else 'Groups'}/{acme.ids[kind]}"
    present = tag(acme, path)
    barrier = threading.Barrier(6)

    def attempt(number):
        method, where, body = change(acme, path, number)
        barrier.wait()
        if not in_bulk:
            return acme.scim.request(method, where, body, **{"If-Match": present}).status_code
        operation = {"method": method, "path": where, "version": present, "data": body}
        [result] = acme.scim.post("/Bulk", {"Operations": [operation]})["Operations"]
        return int(result["status"])

    with ThreadPoolExecutor(6) as pool:
        statuses = Counter(pool.map(attempt, range(6)))

    overtaken = 404 if change is remove else 412
    assert statuses.pop(overtaken) == 5
    assert sum(statuses.values()) == 1


def test_changes_of_different_attributes_at_once_are_all_kept(acme):
    barrier = threading.Barrier(6)
    attributes = ["title", "nickName", "displayName", "locale", "timezone", "userType"]

    def change(name):
        barrier.wait()
        acme.patch_user("ada", {"op": "replace", "path": name, "value": f"new {name}"})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(change, attributes))

    ada = acme.scim.get(acme.path)
    assert {name: ada[name] for name in attributes} == {name: f"new {name}" for name in attributes}


def test_members_added_at_once_are_all_kept(acme):
    names = [f"m{number}" for number in range(8)]
    acme.push(*names)
    acme.group("eng")
    barrier = threading.Barrier(8)

    def join(name):
        barrier.wait()
        acme.patch_group("eng", add=(name,))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(join, names))

    members = acme.scim.get(f"/Groups/{acme.ids['eng']}")["members"]
    assert {member["value"] for member in members} == {acme.ids[name] for name in names}


def suspend(acme):
    acme.push("bea", "cleo", "dan")
    return "PATCH", [{"op": "replace", "path": "active", "value": False}]


def bring_back(acme):
    acme.set_active("ada", False)
    return "PUT", {"userName": "ada", "active": True, "title": "Boss"}


def bring_back_to_the_queue(acme):
    acme.settings(exhausted_policy="wait")
    acme.set_active("ada", False)
    acme.push("bea", "cleo", "dan", "eve", "fay", "gus")
    return "PATCH", [{"op": "replace", "path": "active", "value": True}]


def bring_back_to_a_bought_seat(acme):
    acme.settings(exhausted_policy="auto_purchase", auto_purchase_monthly_cap=5, default_ceiling="premium")
    acme.set_active("ada", False)
    acme.push("bea", "cleo", "dan", "eve", "fay", "gus")
    return "PATCH", [{"op": "replace", "path": "active", "value": True}]


def bring_back_to_a_role(acme):
    acme.group("eng", "ada", tier="standard")
    acme.owner.put(f"/mappings/{acme.ids['eng']}", {"tier": "standard", "role": "admin"})
    acme.set_active("ada", False)
    return "PATCH", [{"op": "replace", "path": "active", "value": True}]


def suspend_one_of_no_seat(acme):
    acme.settings(group_mappings="on", unmapped_policy="unassigned")
    return "PATCH", [{"op": "replace", "path": "active", "value": False}]


def lose_the_seat_of_a_group(acme):
    acme.group("eng", "ada", tier="standard")
    acme.settings(unmapped_policy="remove", removal_guard=1)
    return "PATCH", [{"op": "replace", "path": "active", "value": False}]


def name_a_tier(acme):
    acme.settings(named_tiers=True)
    return "PATCH", [{"op": "add", "path": "entitlements", "value": [{"type": "seat", "value": "standard"}]}]


@pytest.mark.parametrize(
    "prepare",
    [
        suspend,
        bring_back,
        bring_back_to_the_queue,
        bring_back_to_a_bought_seat,
        bring_back_to_a_role,
        suspend_one_of_no_seat,
        lose_the_seat_of_a_group,
        name_a_tier,
    ],
)
def test_a_change_that_moves_the_seat_answers_what_a_get_does(acme, clock, prepare):
    """The answer is made of what was decided, and not read back."""
    method, change = prepare(acme)
    clock.advance(seconds=5)
    before = tag(acme)
    body = change if method == "PUT" else {"schemas": [PATCH_OP], "Operations": change}

    answer = acme.scim.request(method, acme.path, body)

    read = acme.scim.request("GET", acme.path)
    assert answer.status_code == 200
    assert answer.headers["ETag"] == read.headers["ETag"] != before
    assert answer.get_json(force=True) == read.get_json(force=True)
