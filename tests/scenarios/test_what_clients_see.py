"""Whatever happens, a version tells of every change that a client can see, and totals are exact."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scenarios import test_invariants as seats

names = st.sampled_from(seats.NAMES)
groups = st.sampled_from(sorted(seats.GROUPS))
happenings = st.lists(
    st.one_of(
        seats.happening,
        st.tuples(st.just("rename"), groups, st.sampled_from(["a", "b"])),
        st.tuples(st.just("dissolve"), groups),
        st.tuples(st.just("nest"), groups, groups),
        st.tuples(st.just("in bulk"), names, groups),
        st.tuples(st.just("log in without groups"), names),
        st.tuples(st.just("accept"), names),
        st.tuples(st.just("uninvite"), names),
    ),
    min_size=5,
    max_size=30,
)


def happen(acme: Any, clock: Any, what: str, *about: str) -> None:
    if what == "rename":
        operation = {"op": "replace", "path": "displayName", "value": " ".join(about)}
        acme.scim.patch(f"/Groups/{acme.ids[about[0]]}", {"Operations": [operation]})
    elif what == "dissolve":
        acme.scim.delete(f"/Groups/{acme.ids[about[0]]}")
        acme.group(about[0], tier=seats.GROUPS[about[0]])
    elif what == "nest":
        acme.patch_group(about[0], add=(about[1],))
    elif what == "in bulk":
        [created, *_] = acme.scim.post("/Bulk", {"Operations": in_bulk(acme, *about)})["Operations"]
        if created["status"] == "201":
            acme.ids[about[0]] = created["location"].rpartition("/")[2]
    elif what == "log in without groups":
        answer = acme.jit.request("POST", "/login", {"userName": about[0], "groups": []}).get_json(force=True)
        if answer.get("created"):
            acme.ids[about[0]] = answer["member"]["id"]
    elif what == "accept":
        acme.owner.request("POST", f"/members/{acme.ids.get(about[0])}/accept")
    elif what == "uninvite":
        acme.owner.request("DELETE", f"/members/{acme.ids.pop(about[0], None)}")
    else:
        seats.happen(acme, clock, what, *about)


def in_bulk(acme: Any, name: str, group: str) -> list[dict[str, Any]]:
    """Create somebody who may be there already, a guest who joins and goes, and what cannot be."""
    member = {"op": "add", "path": "members", "value": [{"value": "bulkId:guest"}]}
    return [
        {"method": "POST", "path": "/Users", "bulkId": "other", "data": {"userName": name}},
        {"method": "POST", "path": "/Users", "bulkId": "guest", "data": {"userName": "guest"}},
        {"method": "PATCH", "path": f"/Groups/{acme.ids[group]}", "data": {"Operations": [member]}},
        {"method": "POST", "path": "/Groups", "bulkId": "twice", "data": {"displayName": group}},
        {"method": "POST", "path": "/Groups", "bulkId": "void", "data": {"displayName": ""}},
        {"method": "DELETE", "path": "/Users/bulkId:guest"},
        {"method": "DELETE", "path": "/Groups/bulkId:twice"},
    ]


def shown(acme: Any) -> dict[str, dict[str, Any]]:
    """Return every resource by its id; each list says exactly how many there are."""
    resources: list[dict[str, Any]] = []
    for path in ("/Users", "/Groups"):
        listed = acme.scim.get(f"{path}?count=1000")
        assert listed["totalResults"] == len(listed["Resources"])
        resources += listed["Resources"]
    assert acme.scim.get("?count=0")["totalResults"] == len(resources)
    return {resource["id"]: resource for resource in resources}


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(bought=seats.seats, policy=seats.policies, story=happenings)
def test_a_version_tells_of_every_change_and_totals_are_exact(world, clock, bought, policy, story):
    premium, standard = bought
    acme = world(premium=premium, standard=standard, **policy)
    for name, tier in seats.GROUPS.items():
        acme.group(name, tier=tier)
    before = shown(acme)
    for event in story:
        clock.advance(seconds=1)
        happen(acme, clock, *event)
        after = shown(acme)
        for identifier in before.keys() & after.keys():
            was, now = before[identifier], after[identifier]
            if was["meta"]["version"] == now["meta"]["version"]:
                assert was == now, event
        before = after
