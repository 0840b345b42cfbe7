"""Changes that concern many people: a fixed number of statements for each chunk, and the outcome of one step.

The chunks are made small here, so that a few dozen people are many.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scim_server.store import arrays
from tests.scale.conftest import Crowd
from tests.world import GROUP, World

CHUNK = 20
MOST_FOR_A_CHUNK = 10


def replace_members(acme: World, group: str, members: list[str]) -> None:
    body = {"schemas": [GROUP], "displayName": group, "members": [{"value": one} for one in members]}
    acme.scim.put(f"/Groups/{acme.ids[group]}", body)


def make_group(acme: World, members: list[str]) -> None:
    body = {"schemas": [GROUP], "displayName": "all", "members": [{"value": one} for one in members]}
    acme.ids["all"] = acme.scim.post("/Groups", body)["id"]


def map_group(acme: World, group: str) -> None:
    acme.owner.put(f"/mappings/{acme.ids[group]}", {"tier": "standard", "priority": 1})


# Each on a crowd of which everybody has a premium seat because of a group of their own; each leaves it so.
CHANGES: dict[str, Callable[[World, list[str]], Any]] = {
    "a group is made": make_group,
    "the group is mapped": lambda acme, _: map_group(acme, "all"),
    "everybody leaves": lambda acme, _: replace_members(acme, "all", []),
    "everybody comes back": lambda acme, everybody: replace_members(acme, "all", everybody),
    "the mapping is taken away": lambda acme, _: acme.owner.delete(f"/mappings/{acme.ids['all']}"),
    "the group is mapped again": lambda acme, _: map_group(acme, "all"),
    "the mapped group is deleted": lambda acme, _: acme.scim.delete(f"/Groups/{acme.ids['all']}"),
    "mappings are switched off": lambda acme, _: acme.settings(group_mappings="off"),
    "mappings are switched on": lambda acme, _: acme.settings(group_mappings="on"),
    "everybody is reprocessed": lambda acme, _: acme.owner.post("/seats/reprocess"),
}


def test_a_change_takes_as_many_statements_for_each_further_chunk(crowd: Crowd, recorder, monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK", CHUNK)
    acme = crowd.acme
    acme.settings(mapping_conflict="priority")
    counted: dict[str, list[int]] = {name: [] for name in CHANGES}

    for chunks in (2, 3, 4):
        crowd.grow(chunks * CHUNK)
        group = acme.scim.get(f"/Groups/{acme.ids['everybody']}")
        everybody = [member["value"] for member in group["members"]]
        assert len(everybody) == crowd.size
        for name, change in CHANGES.items():
            recorder.take()
            change(acme, everybody)
            counted[name].append(sum(one.times for one in recorder.take()))

    for name, (two, three, four) in counted.items():
        assert three - two == four - three, (name, counted[name])
        assert 0 <= three - two <= MOST_FOR_A_CHUNK, (name, counted[name])


# -- the outcome does not depend on the chunks

PEOPLE = [f"p{number:02}" for number in range(20)]
some = st.lists(st.sampled_from(PEOPLE), unique=True, max_size=len(PEOPLE))
happening = st.one_of(
    st.tuples(st.just("members"), st.sampled_from(["eng", "staff"]), some),
    st.tuples(st.just("map"), st.sampled_from(["eng", "staff"]), st.sampled_from(["premium", "standard"])),
    st.tuples(st.just("unmap"), st.sampled_from(["eng", "staff"])),
    st.tuples(st.just("set"), st.sampled_from(["default", "unassigned", "remove"])),
    st.tuples(st.just("suspend"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("override"), st.sampled_from(PEOPLE), st.sampled_from(["standard", "unassigned"])),
    st.tuples(st.just("reprocess")),
)


def happen(acme: World, what: str, *about: Any) -> None:
    if what == "members":
        replace_members(acme, about[0], [acme.ids[name] for name in about[1]])
    elif what == "map":
        body = {"tier": about[1], "role": "admin" if about[1] == "premium" else None}
        acme.owner.put(f"/mappings/{acme.ids[about[0]]}", body)
    elif what == "unmap":
        acme.owner.request("DELETE", f"/mappings/{acme.ids[about[0]]}")  # which may not be mapped
    elif what == "set":
        acme.settings(unmapped_policy=about[0])
    elif what == "suspend":
        acme.set_active(about[0], False)
    elif what == "override":
        acme.admin.request("PUT", f"/members/{acme.ids[about[0]]}/seat", {"tier": about[1]})
    else:
        acme.owner.post("/seats/reprocess")


def what_stands(acme: World) -> dict[str, Any]:
    """Return seats, roles, versions and history, by the names of people."""
    names = {identifier: name for name, identifier in acme.ids.items()}
    members = acme.pages("/members")
    users = acme.scim.get("/Users?count=100")["Resources"]
    shown = ("from_tier", "to_tier", "desired_tier", "source", "cause", "rule")
    return {
        "members": [(one["user_name"], one["role"], one["status"], one["seat"]["tier"]) for one in members],
        "versions": [(user["userName"], user["meta"]["version"]) for user in users],
        "queue": acme.queue(),
        "pools": acme.pools(),
        "seat events": [
            (names[event["member_id"]], *(event[name] for name in shown)) for event in acme.events()
        ],
        "events": [(event["kind"], names.get(event["subject_id"])) for event in acme.audit()],
    }


@given(story=st.lists(happening, min_size=3, max_size=6))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_the_outcome_is_the_same_in_one_chunk_and_in_many(world, story):
    outcomes = []
    for chunk in (1000, 9, 1):
        with pytest.MonkeyPatch.context() as patching:
            patching.setattr(arrays, "CHUNK", chunk)
            acme = world(plan="enterprise", premium=5, standard=12, group_mappings="on")
            acme.push(*PEOPLE)
            acme.group("eng", *PEOPLE[::2], tier="premium")
            acme.group("staff", *PEOPLE[1::3])
            for what, *about in story:
                happen(acme, what, *about)
            outcomes.append(what_stands(acme))

    assert outcomes[1] == outcomes[0]
    assert outcomes[2] == outcomes[0]


# -- members of a group as text


def test_members_of_both_types_are_written_as_ever(world):
    acme: World = world(premium=5)
    acme.push("ada", "ben")
    acme.group("inner")
    acme.group("outer", "ada", "inner", "ben")

    whole = acme.scim.get(f"/Groups/{acme.ids['outer']}")
    taken_apart = acme.scim.get(f"/Groups/{acme.ids['outer']}?excludedAttributes=externalId")

    assert whole == taken_apart
    assert [member["type"] for member in whole["members"]] == ["User", "User", "Group"]
    assert whole["members"][2]["$ref"].endswith(f"/scim/v2/Groups/{acme.ids['inner']}")
