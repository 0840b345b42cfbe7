"""Whatever happens, the invariants of the seat policy hold (I1–I10, seat rule B7)."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = ["ada", "ben", "cy", "dee", "eve", "flo"]
GROUPS = {"eng": "premium", "staff": "standard"}

names = st.sampled_from(NAMES)
groups = st.sampled_from(sorted(GROUPS))
exhausted = st.sampled_from(["fallback", "wait", "auto_purchase", "reject"])
happening = st.one_of(
    st.tuples(st.just("push"), names),
    st.tuples(st.just("remove"), names),
    st.tuples(st.just("deactivate"), names),
    st.tuples(st.just("activate"), names),
    st.tuples(st.just("join"), groups, names),
    st.tuples(st.just("leave"), groups, names),
    st.tuples(st.just("override"), names, st.sampled_from(["premium", "standard", "unassigned"])),
    st.tuples(st.just("clear"), names),
    st.tuples(st.just("swap"), names, names),
    st.tuples(st.just("invite"), names),
    st.tuples(st.just("log in"), names, groups),
    st.tuples(st.just("upgrade"), names),
    st.tuples(st.just("buy"), st.sampled_from(["premium", "standard"])),
    st.tuples(st.just("reduce"), st.sampled_from(["premium", "standard"])),
    st.tuples(st.just("reprocess")),
    st.tuples(st.just("map"), groups, st.sampled_from(["premium", "standard"])),
    st.tuples(st.just("unmap"), groups),
    st.tuples(st.just("set"), st.just("group_mappings"), st.sampled_from(["on", "off"])),
    st.tuples(st.just("set"), st.just("default_ceiling"), st.sampled_from(["premium", "standard"])),
    st.tuples(st.just("set"), st.just("unmapped_policy"), st.sampled_from(["default", "remove"])),
    st.tuples(st.just("set"), st.just("exhausted_policy"), exhausted),
    st.tuples(st.just("lead"), names),
    st.tuples(st.just("decide"), st.sampled_from(["confirm", "reject"])),
    st.tuples(st.just("wait"), st.sampled_from(["1", "30"])),
)
happenings = st.lists(happening, min_size=5, max_size=30)
seats = st.tuples(st.integers(0, 3), st.integers(0, 3))
policies = st.fixed_dictionaries(
    {
        "exhausted_policy": exhausted,
        "auto_purchase_monthly_cap": st.integers(0, 3),
        "override_policy": st.sampled_from(["sticky", "mapping_wins"]),
        "mapping_lost_policy": st.sampled_from(["reassess", "keep", "unassign"]),
        "default_ceiling": st.sampled_from(["premium", "standard"]),
        "unmapped_policy": st.sampled_from(["default", "default", "unassigned", "remove"]),
        "reduction_effective": st.sampled_from(["immediate", "renewal"]),
        "provisioning_mode": st.just("jit"),
        "min_total": st.just(0),
    }
)


def happen(acme: Any, clock: Any, what: str, *about: str) -> None:
    """Carry out one event over HTTP, where there is somebody to whom it can happen."""
    unknown = [name for name in about if name in NAMES and name not in acme.ids]
    if what == "log in":
        acme.login(about[0], [about[1]])
    elif what in ("push", "invite"):
        for name in unknown:
            arrive(acme, acme.scim if what == "push" else acme.owner, name)
    elif what in ("buy", "reduce"):
        ask(acme, "POST", "/seats/quotes", quantities(about[0], 1 if what == "buy" else -1))
    elif what == "reprocess":
        acme.owner.post("/seats/reprocess")
    elif what == "map":
        acme.owner.put(f"/mappings/{acme.ids[about[0]]}", {"tier": about[1]})
    elif what == "unmap":
        acme.owner.request("DELETE", f"/mappings/{acme.ids[about[0]]}")
    elif what == "set":
        acme.settings(**dict([about]))
    elif what == "decide":
        for held in acme.owner.get("/seats/held")["items"]:
            acme.owner.post(f"/seats/held/{held['id']}/{about[0]}")
    elif what == "wait":
        clock.advance(days=int(about[0]))
        alive = {member["user_name"] for member in acme.admin.get("/members?limit=1000")["items"]}
        for name in set(acme.ids) & set(NAMES) - alive:
            del acme.ids[name]
    elif unknown:
        return
    elif what == "remove":
        if acme.scim.request("DELETE", f"/Users/{acme.ids[about[0]]}").status_code == 204:
            del acme.ids[about[0]]
    elif what in ("activate", "deactivate"):
        body = {"Operations": [{"op": "replace", "path": "active", "value": what == "activate"}]}
        acme.scim.request("PATCH", f"/Users/{acme.ids[about[0]]}", body)
    elif what == "lead":
        ask(acme, "PATCH", f"/members/{acme.ids[about[0]]}", {"role": "primary_owner"})
    elif what == "join":
        acme.patch_group(about[0], add=(about[1],))
    elif what == "leave":
        acme.patch_group(about[0], remove=(about[1],))
    elif what == "override":
        ask(acme, "PUT", f"/members/{acme.ids[about[0]]}/seat", {"tier": about[1]})
    elif what == "upgrade":
        ask(acme, "PUT", f"/members/{acme.ids[about[0]]}/seat", {"tier": "premium", "purchase": True})
    elif what == "swap":
        ask(acme, "POST", "/seats/swap", {"a": acme.ids[about[0]], "b": acme.ids[about[1]]})
    else:
        ask(acme, "DELETE", f"/members/{acme.ids[about[0]]}/seat")


def arrive(acme: Any, client: Any, name: str) -> None:
    """Create somebody, whom an organization may refuse that has no seat for them: then nothing has changed."""
    version = acme.version()
    path = "/Users" if client is acme.scim else "/members"
    answer = client.request("POST", path, {"userName": name})
    if answer.status_code == 201:
        acme.ids[name] = answer.get_json()["id"]
    else:
        assert (answer.status_code, acme.version()) == (403, version), "I10: a refused call changes nothing"


def quantities(tier: str, quantity: int) -> Any:
    return {"lines": [{"tier": tier, "quantity": quantity}]}


def ask(acme: Any, method: str, path: str, body: Any = None) -> None:
    """Ask as an owner, who may be refused: then nothing has changed (I10). A quote is confirmed."""
    version = acme.version()
    answer = acme.owner.request(method, path, body)
    if answer.status_code >= 400:
        assert answer.status_code < 500, answer.text
        assert acme.version() == version, "I10: a refused call changes nothing"
    elif path == "/seats/quotes":
        acme.confirm(answer.get_json())


OVERRIDING = {"override", "upgrade", "swap", "clear", "remove", "wait"}


def overrides(acme: Any) -> dict[str, Any]:
    return {name: acme.seat(name)["override"] for name in NAMES if name in acme.ids}


def check(acme: Any) -> None:
    ceiling = acme.owner.get("/organization")["settings"]["default_ceiling"]
    tiers = acme.admin.get("/seats")["tiers"]
    free = {tier["tier"]: tier["free"] for tier in tiers}
    members = acme.admin.get("/members?limit=1000")["items"]
    seats_of = {member["id"]: member["seat"] for member in members}

    for tier in tiers:
        holders = [seat for seat in seats_of.values() if seat["tier"] == tier["tier"]]
        assert len(holders) == tier["used"] <= tier["allocated"], "I1: no seat that was not bought"
    for member in members:
        if member["seat"]["status"] == "released":
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


def replayed(acme: Any) -> dict[str, str]:
    """Return who holds what after all seat events, each of which begins where the one before ended."""
    held: dict[str, str] = {}
    for event in acme.events():
        assert held.get(event["member_id"], "unassigned") == event["from_tier"], "I9"
        held[event["member_id"]] = event["to_tier"]
    return {member: tier for member, tier in held.items() if tier != "unassigned"}


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(bought=seats, policy=policies, story=happenings)
def test_the_invariants_hold_after_every_event(world, clock, bought, policy, story):
    premium, standard = bought
    acme = world(premium=premium, standard=standard, **policy)
    for name, tier in GROUPS.items():
        acme.group(name, tier=tier)
    for event in story:
        before = overrides(acme)
        happen(acme, clock, *event)
        check(acme)
        if event[0] not in OVERRIDING:
            after = overrides(acme)
            kept = {name: override for name, override in before.items() if name in after}
            assert kept.items() <= after.items(), "I8: an override is changed by nobody but administrators"

    members = acme.admin.get("/members?limit=1000")["items"]
    holding = {m["id"]: m["seat"]["tier"] for m in members if m["seat"]["tier"] != "unassigned"}
    assert replayed(acme) == holding, "I9: the events sum up to what stands"
    assert [one["number"] for one in acme.invoices()] == list(range(1, len(acme.invoices()) + 1))
    events, version = acme.events(), acme.version()
    for name in [name for name in NAMES if name in acme.ids]:
        active = acme.scim.get(f"/Users/{acme.ids[name]}")["active"]
        acme.set_active(name, active)

    assert (acme.events(), acme.version()) == (events, version), "I7: the same request again changes no seat"
