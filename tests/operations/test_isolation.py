"""No organization can see or touch anything of another (SCIM and Admin API alike)."""

from __future__ import annotations

import pytest

from tests.world import PATCH_OP


@pytest.fixture
def two(world):
    """Two organizations with the same people and groups."""
    both = []
    for _ in range(2):
        one = world(premium=1, standard=3)
        one.push("ada", "ben", externalId="x-1")
        one.group("eng", "ada")
        both.append(one)
    return both


def replaced(name):
    return {
        "userName": name,
        "displayName": name,
        "Operations": [{"op": "replace", "path": "title", "value": "x"}],
    }


@pytest.mark.parametrize("kind", ["Users", "Groups"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_somebody_else_s_resource_is_as_absent_as_one_that_never_was(two, kind, method):
    ours, theirs = two
    foreign = theirs.ids["ada" if kind == "Users" else "eng"]

    answer = ours.scim.refusal(method, f"/{kind}/{foreign}", replaced("mallory"))
    unknown = ours.scim.refusal(method, f"/{kind}/{foreign[:-4]}0000", replaced("mallory"))

    assert answer[0] == unknown[0] == 404
    assert answer[1]["detail"].replace(foreign, "") == unknown[1]["detail"].replace(foreign[:-4] + "0000", "")
    assert theirs.scim.get("/Users")["totalResults"] == 2


@pytest.mark.parametrize(
    "condition",
    [
        'userName eq "ada" or userName pr',
        'not (userName eq "nobody")',
        "id pr",
        'groups.display eq "eng" or title pr or id pr',
        'externalId eq "x-1"',
    ],
)
def test_no_filter_reaches_beyond_the_organization(two, condition):
    ours, theirs = two

    found = ours.scim.post("/.search", {"filter": condition})["Resources"]

    assert found
    assert not {resource["id"] for resource in found} & set(theirs.ids.values())


def test_a_filter_for_somebody_else_s_member_finds_nothing(two):
    ours, theirs = two

    found = ours.scim.get(f'/Groups?filter=members.value eq "{theirs.ids["ada"]}"')

    assert found["totalResults"] == 0


def test_somebody_else_s_person_cannot_become_a_member(two):
    ours, theirs = two

    ours.scim.patch(
        f"/Groups/{ours.ids['eng']}",
        {
            "schemas": [PATCH_OP],
            "Operations": [{"op": "add", "path": "members", "value": [{"value": theirs.ids["ada"]}]}],
        },
    )

    members = ours.scim.get(f"/Groups/{ours.ids['eng']}")["members"]
    assert [member["value"] for member in members] == [ours.ids["ada"]]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/members/{ada}", None),
        ("GET", "/members/{ada}/seat", None),
        ("PUT", "/members/{ada}/seat", {"tier": "standard"}),
        ("DELETE", "/members/{ada}/seat", None),
        ("PUT", "/mappings/{eng}", {"tier": "premium"}),
        ("DELETE", "/mappings/{eng}", None),
    ],
)
def test_the_admin_api_knows_only_its_own(two, method, path, body):
    ours, theirs = two

    status, _ = ours.owner.refusal(method, path.format(**theirs.ids), body)

    assert status == 404


def test_bulk_reaches_only_its_own(two):
    ours, theirs = two
    operations = [
        {"method": "DELETE", "path": f"/Users/{theirs.ids['ada']}"},
        {"method": "PATCH", "path": f"/Users/{theirs.ids['ben']}", "data": replaced("x")},
    ]

    answer = ours.scim.post("/Bulk", {"Operations": operations})

    assert [result["status"] for result in answer["Operations"]] == ["404", "404"]
    assert theirs.scim.get("/Users")["totalResults"] == 2


def test_a_name_that_is_taken_elsewhere_is_free_here(two):
    ours, _ = two
    ours.remove("ada")

    ours.push("ada")

    assert ours.scim.get('/Users?filter=userName eq "ADA"')["totalResults"] == 1


def test_ids_that_a_client_chooses_are_not_taken(two):
    ours, theirs = two

    created = ours.scim.post(
        "/Users",
        {"userName": "eve", "id": theirs.ids["ada"], "externalId": theirs.ids["ada"], "groups": ["x"]},
    )

    assert created["id"] not in theirs.ids.values()
    assert ours.scim.refusal("GET", f"/Users/{theirs.ids['ada']}")[0] == 404
