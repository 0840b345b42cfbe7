"""Every route is closed unless it is named as open; a token opens its own surface and no more."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from werkzeug.routing import Rule

from scim_server.operations import access
from scim_server.operations.listing import Page
from scim_server.web.authentication import PUBLIC
from tests.world import routes

SURFACE_OF = {"scim": "scim", "jit": "jit", "admin": "admin", "owner": "admin"}


def closed_routes(app) -> list[tuple[str, str]]:
    """Return method and address of every route that is not named as open, with something in its variables."""
    return [
        (method, re.sub(r"<[^>]+>", "x", rule.rule))
        for rule in routes(app)
        if rule.endpoint not in PUBLIC
        for method in sorted(rule.methods)
    ]


def bad_headers(make_token, clock, database, organization_id) -> dict[str, str | None]:
    expired = make_token("scim", expires_at=clock() + timedelta(minutes=1))
    revoked = make_token("scim")
    call = access.system_call(organization_id, actor="command", at=clock(), request_id="test")
    [record] = [t for t in database.read(access.list_tokens, call, Page()).items if t["expires_at"] is None]
    database.run(access.revoke_token, call, record["id"])
    clock.advance(minutes=2)
    return {
        "no header": None,
        "empty": "",
        "no token": "Bearer",
        "blank token": "Bearer  ",
        "unknown token": "Bearer " + "x" * 43,
        "another scheme": "Basic YWRhOmFkYQ==",
        "no scheme": expired,
        "two tokens": "Bearer a b",
        "not ASCII": "Bearer täken",
        "expired": f"Bearer {expired}",
        "revoked": f"Bearer {revoked}",
        "absurdly long": "Bearer " + "x" * 5000,
    }


def test_no_closed_route_opens_without_a_good_token(app, make_token, clock, database, organization_id):
    client = app.test_client()
    routes = closed_routes(app)
    assert len(routes) > 30

    for name, header in bad_headers(make_token, clock, database, organization_id).items():
        headers = {} if header is None else {"Authorization": header}
        for method, path in routes:
            response = client.open(path, method=method, headers=headers, json={})

            assert response.status_code == 401, (name, method, path)
            assert response.headers["WWW-Authenticate"].startswith("Bearer"), (name, method, path)
            assert method == "HEAD" or response.get_json(force=True)["status"] in (401, "401")


def test_a_token_opens_its_own_surface_only(app, caller):
    for kind in ("scim", "jit", "owner"):
        token = caller(kind).token
        for method, path in closed_routes(app):
            if path.split("/")[1] == SURFACE_OF[kind]:
                continue
            response = app.test_client().open(
                path, method=method, headers={"Authorization": f"Bearer {token}"}, json={}
            )
            assert response.status_code == 403, (kind, method, path)


def test_a_route_that_nobody_thought_of_is_closed(app, owner):
    app.url_map.add(Rule("/forgotten", endpoint="forgotten", methods=["GET"]))
    app.view_functions["forgotten"] = lambda: "secret"
    client = app.test_client()

    assert client.get("/forgotten").status_code == 401
    assert client.get("/forgotten", headers={"Authorization": f"Bearer {owner.token}"}).status_code == 403


@pytest.mark.parametrize(
    "path", ["/%55sers", "//Users", "/Users/", "/Users%2F1", "/./Users", "/Users;x", "/users"]
)
def test_no_spelling_of_an_address_leads_around_the_token(app, path):
    assert app.test_client().get("/scim/v2" + path).status_code in (401, 404)


@pytest.mark.parametrize(
    "path", ["/ServiceProviderConfig", "/ResourceTypes", "/ResourceTypes/User", "/Schemas"]
)
@pytest.mark.parametrize("authorization", [None, "Bearer nonsense"])
def test_discovery_needs_no_token(app, path, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}

    assert app.test_client().get("/scim/v2" + path, headers=headers).status_code == 200


def test_the_scheme_is_compared_without_case(app, scim):
    headers = {"Authorization": f"bearer {scim.token}"}

    assert app.test_client().get("/scim/v2/Users", headers=headers).status_code == 200


@pytest.mark.parametrize(("role", "reads", "configures"), [("admin", 200, 403), ("owner", 200, 200)])
def test_owners_configure_and_administrators_look(caller, role, reads, configures):
    admin = caller("admin", role=role)

    assert admin.get("/organization").status_code == reads
    assert admin.request("PATCH", "/organization", {"settings": {}}).status_code == configures


# The calls of the Admin API that an administrator who is no owner may make.
OPEN_TO_ADMINS = {
    ("GET", "/organization"),
    ("GET", "/seats"),
    ("GET", "/seats/waiting"),
    ("GET", "/seats/events"),
    ("GET", "/seats/held"),
    ("POST", "/seats/swap"),
    ("GET", "/members"),
    ("POST", "/members"),
    ("GET", "/members/x"),
    ("DELETE", "/members/x"),
    ("POST", "/members/x/accept"),
    ("GET", "/members/x/seat"),
    ("PUT", "/members/x/seat"),
    ("DELETE", "/members/x/seat"),
    ("GET", "/mappings"),
    ("GET", "/audit"),
}


@pytest.mark.parametrize(
    ("role", "opens"),
    [
        ("user", lambda call: False),
        ("admin", lambda call: call in OPEN_TO_ADMINS),
        ("owner", lambda call: True),
        ("primary_owner", lambda call: True),
    ],
)
def test_each_role_may_call_what_the_contract_says(app, caller, role, opens):
    calls = [
        (method, path.removeprefix("/admin/v1"))
        for method, path in closed_routes(app)
        if "/admin/" in path and method not in ("HEAD", "OPTIONS")
    ]
    client = caller("admin", role=role)
    assert set(calls) >= OPEN_TO_ADMINS

    opened = {call for call in calls if client.request(*call, {}).status_code not in (401, 403)}

    assert opened == {call for call in calls if opens(call)}


@pytest.mark.parametrize("path", ["/members", "/members/{id}/seat"])
def test_only_owners_buy_along_with_an_assignment(caller, user, path):
    body = {"tier": "premium", "purchase": True} | ({"userName": "ben"} if path == "/members" else {})
    method = "POST" if path == "/members" else "PUT"

    refused = caller("admin").request(method, path.format(id=user["id"]), body)

    assert refused.status_code == 403


def test_a_token_for_a_person_has_the_role_that_the_person_has_now(caller, user):
    somebody = caller("admin", role=None, member_id=user["id"])

    assert somebody.get("/seats").status_code == 403


def test_the_use_of_a_token_is_on_record(database, clock, organization_id, scim):
    scim.get("/Users")

    call = access.system_call(organization_id, actor="command", at=clock(), request_id="test")
    [record] = database.read(access.list_tokens, call, Page()).items
    assert record["last_used_at"] == clock()
