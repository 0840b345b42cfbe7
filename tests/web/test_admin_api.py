"""The Admin API: its bodies, its errors, its description. What the operations do is tested with them."""

from __future__ import annotations

import base64
import json

import pytest

from scim_server.web.admin.page import _page
from scim_server.web.authentication import DESCRIPTION
from tests.world import routes


def body_of(response):
    return response.get_json(force=True)


@pytest.fixture
def group(scim, user):
    return body_of(scim.post("/Groups", {"displayName": "eng", "members": [{"value": user["id"]}]}))


def test_the_organization_shows_every_setting(owner):
    body = body_of(owner.get("/organization"))

    assert body.keys() >= {"id", "name", "plan", "version", "settings", "term_start", "billing", "currency"}
    assert body["settings"]["exhausted_policy"] == "fallback"
    assert body["created_at"].endswith("Z")


def test_settings_are_changed_one_by_one(owner):
    response = owner.request("PATCH", "/organization", {"settings": {"group_mappings": "on"}})

    assert response.status_code == 200
    assert body_of(response)["settings"]["group_mappings"] == "on"


@pytest.mark.parametrize("settings", [{"group_mappings": "perhaps"}, {"colour": "red"}])
def test_a_setting_that_makes_no_sense_is_invalid(owner, settings):
    response = owner.request("PATCH", "/organization", {"settings": settings})

    assert response.status_code == 422
    assert body_of(response)["code"] == "invalid_setting"
    assert next(iter(settings)) in body_of(response)["detail"]


def test_seats_are_shown_highest_rank_first(owner, user):
    body = body_of(owner.get("/seats"))

    assert [tier["tier"] for tier in body["tiers"]] == ["premium", "standard"]
    assert body["tiers"][0] == {
        "tier": "premium",
        "rank": 2,
        "allocated": 1,
        "used": 1,
        "free": 0,
        "reserved": 0,
        "waiting": 0,
    }


def test_the_history_of_seats_is_paged(owner, scim):
    for number in range(3):
        scim.post("/Users", {"userName": f"u{number}"})

    first = body_of(owner.get("/seats/events?limit=2"))
    second = body_of(owner.get(f"/seats/events?limit=2&cursor={first['next_cursor']}"))

    assert [len(first["items"]), len(second["items"])] == [2, 1]
    assert second["next_cursor"] is None
    assert first["items"][0].keys() >= {
        "id", "at", "member_id", "from_tier", "to_tier", "source", "cause", "actor", "request_id",
    }  # fmt: skip


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=many", "cursor=forged", "status=x"])
def test_a_page_that_cannot_be_is_refused(owner, query):
    assert owner.get(f"/members?{query}").status_code == 422


# What no list has given out, but every list once took: other types, other lengths, beyond all bounds.
FORGED = [
    [],
    [None],
    [1.5],
    [True],
    ["a\0b"],
    [2**63],
    [-1],
    [0, "a", "b", 3],
    [2**62, 2**62, 2**62, "x"],
    {},
]
LISTS = (
    "/members", "/mappings", "/invoices", "/audit", "/tokens", "/seats/events", "/seats/waiting", "/seats/held",
)  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("place", FORGED, ids=str)
def test_a_cursor_that_names_no_place_in_a_list_is_refused(owner, path, place):
    cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()

    response = owner.get(f"{path}?cursor={cursor}")

    assert (response.status_code, body_of(response)["code"]) == (422, "invalid_setting")


def test_every_list_is_paged_to_its_end(owner, scim, caller):
    people = [body_of(scim.post("/Users", {"userName": f"u{n}"}))["id"] for n in range(9)]
    for name in ("eng", "ops", "hr"):
        group = body_of(scim.post("/Groups", {"displayName": name, "members": [{"value": people[0]}]}))
        owner.put(f"/mappings/{group['id']}", {"tier": "standard"})
    for number in range(3):
        caller("jit")
        quote = body_of(owner.post("/seats/quotes", {"lines": [{"tier": "premium", "quantity": 1}]}))
        confirm = f"/seats/quotes/{quote['id']}/confirm"
        assert owner.post(confirm, {"accept": True}, Idempotency_Key=str(number)).status_code == 201
    for number in range(3):
        scim.post("/Users", {"userName": f"late{number}"})

    for path in LISTS[:-1]:
        whole = body_of(owner.get(f"{path}?limit=1000"))["items"]
        paged, cursor = [], ""
        while cursor is not None:
            page = body_of(owner.get(f"{path}?limit=2&cursor={cursor}"))
            paged += page["items"]
            cursor = page["next_cursor"]

        assert len(whole) >= 3, path
        assert [_stable(item) for item in paged] == [_stable(item) for item in whole], path


def _stable(item):
    return {name: value for name, value in item.items() if name != "last_used_at"}


def test_who_was_suspended_by_the_rules_is_found_as_suspended(owner, user):
    owner.request(
        "PATCH", "/organization", {"settings": {"group_mappings": "on", "unmapped_policy": "remove"}}
    )

    assert body_of(owner.get(f"/members/{user['id']}"))["status"] == "suspended"
    assert [one["id"] for one in body_of(owner.get("/members?status=suspended"))["items"]] == [user["id"]]
    assert body_of(owner.get("/members?status=active"))["items"] == []


def test_the_least_number_of_seats_is_not_above_the_most(owner):
    both = {"settings": {"min_total": 300, "max_total": 200}}

    response = owner.request("PATCH", "/organization", both)

    assert (response.status_code, body_of(response)["code"]) == (422, "invalid_setting")


def test_a_member_is_shown_with_seat_and_groups(owner, user, group):
    body = body_of(owner.get(f"/members/{user['id']}"))

    assert (body["user_name"], body["status"], body["role"]) == ("ada", "active", "user")
    assert body["seat"]["tier"] == "premium"
    assert body["groups"] == [{"id": group["id"], "display_name": "eng"}]


@pytest.mark.parametrize(
    ("query", "count"), [("tier=premium", 1), ("tier=standard", 0), ("q=AD", 1), ("tier=&q=", 1)]
)
def test_members_are_searched(owner, user, query, count):
    assert len(body_of(owner.get(f"/members?{query}"))["items"]) == count


def test_an_override_is_set_explained_and_cleared(caller, user):
    admin = caller("admin")
    path = f"/members/{user['id']}/seat"

    put = admin.put(path, {"tier": "standard", "reason": "asked", "expires_at": "2027-01-01T00:00:00Z"})
    assert put.status_code == 200
    assert body_of(put)["tier"] == "standard"
    assert body_of(put)["override"]["reason"] == "asked"
    assert body_of(put)["override"]["expires_at"] == "2027-01-01T00:00:00Z"
    assert body_of(put)["explain"]["rule"] == "C1"

    cleared = admin.delete(path)
    assert body_of(cleared)["override"] is None


def test_a_full_tier_is_a_conflict(owner, scim, user):
    other = body_of(scim.post("/Users", {"userName": "ben"}))

    response = owner.put(f"/members/{other['id']}/seat", {"tier": "premium"})

    assert response.status_code == 409
    assert response.content_type == "application/problem+json"
    assert body_of(response)["code"] == "seat_unavailable"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"tier": "standard", "colour": "red"}, "colour"),
        ({}, "tier"),
        ({"tier": 7}, "tier"),
        ({"tier": "standard", "expires_at": "tomorrow"}, "expires_at"),
    ],
)
def test_a_body_that_is_wrong_is_answered_with_the_names_of_its_members(owner, user, body, named):
    response = owner.put(f"/members/{user['id']}/seat", body)

    assert response.status_code == 422
    assert body_of(response)["code"] == "invalid_request"
    assert named in body_of(response)["errors"]


def test_a_body_is_refused_where_none_is_taken(owner, user):
    meant = owner.post("/seats/reprocess", {"dry_run": True})

    assert (meant.status_code, list(body_of(meant)["errors"])) == (422, ["dry_run"])
    assert owner.post("/seats/reprocess", {}).status_code == 200
    assert owner.post(f"/members/{user['id']}/accept", None).status_code == 200


def test_a_body_that_is_no_json_is_a_problem(app, owner, user):
    response = app.test_client().put(
        f"/admin/v1/members/{user['id']}/seat",
        data="[" * 5000,
        headers={"Authorization": f"Bearer {owner.token}"},
    )

    assert response.status_code == 400
    assert response.content_type == "application/problem+json"


def test_a_mapping_is_previewed_set_listed_and_forgotten(owner, group):
    path = f"/mappings/{group['id']}"

    preview = owner.put(path + "?dry_run=true", {"tier": "standard"})
    assert body_of(preview).keys() == {"changes"}
    assert body_of(owner.get("/mappings"))["items"] == []

    put = owner.put(path, {"tier": "standard", "priority": 1})
    assert put.status_code == 200
    assert body_of(put)["group_id"] == group["id"]
    assert [item["tier"] for item in body_of(owner.get("/mappings"))["items"]] == ["standard"]

    assert body_of(owner.delete(path + "?dry_run=true")).keys() == {"changes"}
    assert owner.delete(path).status_code == 204
    assert owner.delete(path).status_code == 404


def test_nobody_of_another_kind_is_found(owner):
    for path in ("/members/nobody", "/members/nobody/seat"):
        assert owner.get(path).status_code == 404


def test_the_description_covers_every_route_of_the_admin_api(app):
    response = app.test_client().get("/admin/v1/openapi.json")
    spec = body_of(response)

    described = {
        (path, method.upper())
        for path, item in spec["paths"].items()
        for method in item
        if method != "parameters"
    }
    served = {
        (rule.rule.replace("<", "{").replace(">", "}"), method)
        for rule in routes(app)
        if rule.rule.startswith("/admin/v1/") and rule.endpoint not in (DESCRIPTION, "admin-page.show")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert spec["openapi"].startswith("3.1")
    assert described == served
    assert "application/problem+json" in spec["components"]["responses"]["DEFAULT_ERROR"]["content"]


def test_the_page_runs_its_own_script_only(app):
    response = app.test_client().get("/admin/v1/docs")
    html, policy = _page()

    assert response.status_code == 200
    assert response.headers["Content-Security-Policy"] == policy
    assert "unsafe" not in policy
    assert "http://" not in html and "https://" not in html
