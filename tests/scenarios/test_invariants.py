"""Whatever happens, the invariants of the seat policy hold (I1–I7, seat rule B7)."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = ["ada", "ben", "cy", "dee", "eve", "flo"]
GROUPS = {"eng": "premium", "staff": "standard"}

names = st.sampled_from(NAMES)
groups = st.sampled_from(sorted(GROUPS))
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("push"), names),
        st.tuples(st.just("remove"), names),
        st.tuples(st.just("deactivate"), names),
        st.tuples(st.just("activate"), names),
        st.tuples(st.just("join"), groups, names),
        st.tuples(st.just("leave"), groups, names),
        st.tuples(st.just("override"), names, st.sampled_from(["premium", "standard", "unassigned"])),
        st.tuples(st.just("clear"), names),
    ),
    min_size=5,
    max_size=30,
)
seats = st.tuples(st.integers(0, 3), st.integers(0, 3))
policies = st.fixed_dictionaries(
    {
        "exhausted_policy": st.sampled_from(["fallback", "wait"]),
        "mapping_lost_policy": st.sampled_from(["reassess", "keep", "unassign"]),
        "default_ceiling": st.sampled_from(["premium", "standard"]),
    }
)


def happen(acme: Any, what: str, *about: str) -> None:
    """Carry out one event, where there is somebody to whom it can happen."""
    known = [name for name in about if name in NAMES and name not in acme.ids]
    if what == "push":
        if known:
            acme.push(*known)
    elif known:
        return
    elif what == "remove":
        acme.remove(about[0])
        del acme.ids[about[0]]
    elif what in ("activate", "deactivate"):
        acme.set_active(about[0], what == "activate")
    elif what == "join":
        acme.patch_group(about[0], add=(about[1],))
    elif what == "leave":
        acme.patch_group(about[0], remove=(about[1],))
    elif what == "override":
        acme.admin.request("PUT", f"/members/{acme.ids[about[0]]}/seat", {"tier": about[1]})
    else:
        acme.clear_override(about[0])


def check(acme: Any, ceiling: str) -> None:
    tiers = acme.admin.get("/seats")["tiers"]
    free = {tier["tier"]: tier["free"] for tier in tiers}
    members = acme.admin.get("/members?limit=1000")["items"]
    seats_of = {member["id"]: member["seat"] for member in members}

    for tier in tiers:
        holders = [seat for seat in seats_of.values() if seat["tier"] == tier["tier"]]
        assert len(holders) == tier["used"] <= tier["allocated"], "I1: no seat that was not bought"
    for member in members:
        if member["status"] == "suspended":
            assert member["seat"]["tier"] == "unassigned", "I6: who is suspended holds nothing"
            assert member["seat"]["desired_tier"] is None, "I6: who is suspended waits for nothing"
    waiting = [(seat["tier"], seat["desired_tier"]) for seat in seats_of.values() if seat["desired_tier"]]
    for _, desired in waiting:
        assert desired == "any" or free[desired] == 0, "I3: nobody waits for a tier with a free seat"
    if any(desired == "any" for _, desired in waiting):
        allowed = ["premium", "standard"] if ceiling == "premium" else ["standard"]
        assert not any(free[tier] for tier in allowed), "I4: no default claimant waits while a seat is free"
    for holds, desired in waiting:
        assert (desired, holds) not in waiting, "I5: nobody waits for what another would exchange"


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(bought=seats, policy=policies, story=happenings)
def test_the_invariants_hold_after_every_event(world, bought, policy, story):
    premium, standard = bought
    acme = world(premium=premium, standard=standard, **policy)
    for name, tier in GROUPS.items():
        acme.group(name, tier=tier)
    for event in story:
        happen(acme, *event)
        check(acme, policy["default_ceiling"])

    events, version = acme.events(), acme.version()
    for name in [name for name in NAMES if name in acme.ids]:
        active = acme.scim.get(f"/Users/{acme.ids[name]}")["active"]
        acme.set_active(name, active)

    assert (acme.events(), acme.version()) == (events, version), "I7: the same request again changes no seat"
