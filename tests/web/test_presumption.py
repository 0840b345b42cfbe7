"""A token that was met before is presumed to hold; where it does not, nothing is done and nothing is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from scim_server.operations import access
from scim_server.operations.listing import Page
from scim_server.operations.presumption import Acquaintances
from scim_server.store.tables import metadata, organizations, tokens
from scim_server.web import authentication, http
from tests.web.test_authentication import closed_routes

PATCH = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}
BULK = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]}
NEW = {"userName": "grace"}

# Method, address, body; ``{ada}`` stands for the id of a user.
REQUESTS: dict[str, tuple[str, str, Any]] = {
    "read": ("GET", "/scim/v2/Users/{ada}", None),
    "search": ("GET", '/scim/v2/Users?filter=userName eq "ada"', None),
    "a filter that is none": ("GET", "/scim/v2/Users?filter=userName", None),
    "create": ("POST", "/scim/v2/Users", NEW),
    "create whom there is": ("POST", "/scim/v2/Users", {"userName": "ada"}),
    "create with a password": ("POST", "/scim/v2/Users", {**NEW, "password": "correct horse battery"}),
    "replace": ("PUT", "/scim/v2/Users/{ada}", {"userName": "ada", "displayName": "Ada"}),
    "suspend": (
        "PATCH",
        "/scim/v2/Users/{ada}",
        {**PATCH, "Operations": [{"op": "replace", "path": "active", "value": False}]},
    ),
    "patch nobody": ("PATCH", "/scim/v2/Users/nobody", {**PATCH, "Operations": []}),
    "delete": ("DELETE", "/scim/v2/Users/{ada}", None),
    "create a group": ("POST", "/scim/v2/Groups", {"displayName": "Harbour"}),
    "bulk": (
        "POST",
        "/scim/v2/Bulk",
        {**BULK, "Operations": [{"method": "POST", "path": "/scim/v2/Users", "bulkId": "1", "data": NEW}]},
    ),
    "no object": ("POST", "/scim/v2/Users", []),
    "another surface": ("GET", "/admin/v1/organization", None),
}


@pytest.fixture
def token_id(database, clock, organization_id) -> Callable[[], str]:
    def find() -> str:
        call = access.system_call(organization_id, actor="command", at=clock(), request_id="test")
        [found] = [
            one for one in database.read(access.list_tokens, call, Page()).items if one["kind"] == "scim"
        ]
        return str(found["id"])

    return find


@pytest.fixture
def revoke(database, clock, organization_id, token_id) -> Callable[[], None]:
    """Revoke the token of ``scim`` as another process would."""

    def carry_out() -> None:
        call = access.system_call(organization_id, actor="command", at=clock(), request_id="test")
        database.run(access.revoke_token, call, token_id())

    return carry_out


def everything(database) -> dict[str, list[Any]]:
    """Return all that is stored."""

    def read(tx: Any) -> dict[str, list[Any]]:
        return {
            table.name: sorted(map(repr, tx.connection.execute(select(table))))
            for table in metadata.sorted_tables
        }

    return dict(database.read(read))


def ask(scim, name: str, user: dict[str, Any]) -> Any:
    method, address, body = REQUESTS[name]
    caller = replace(scim, prefix="")
    return caller.request(method, address.replace("{ada}", user["id"]), body, X_Request_Id="asked")


def meet(scim) -> None:
    """Have the token looked up, its use recorded, and looked up again."""
    for _ in range(2):
        assert scim.get("/Users?count=0").status_code == 200


@pytest.mark.parametrize("name", REQUESTS)
def test_a_revoked_token_does_nothing_and_learns_nothing(scim, user, database, revoke, name, monkeypatch):
    def hash_nothing(*_: Any) -> None:
        raise AssertionError("a password is hashed for nobody")

    monkeypatch.setattr(http, "hash_for", hash_nothing)
    meet(scim)
    revoke()
    before = everything(database)

    answer = ask(scim, name, user)

    assert answer.status_code == 401
    assert answer.get_json(force=True)["detail"].startswith("The bearer token is missing, unknown")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert everything(database) == before


@pytest.mark.parametrize("kind", ["scim", "jit", "owner"])
def test_no_route_answers_a_token_that_was_revoked_since_it_was_met(app, caller, database, kind):
    for method, path in closed_routes(app):
        met = replace(caller(kind), prefix="")
        for _ in range(2):
            met.get("/scim/v2/Me")  # of no person, or of another surface, and answered nevertheless
        presumed = app.extensions["scim_seats"].acquaintances
        assert presumed is None or access.hash_of_token(met.token) in presumed._records
        database.run(lambda tx: tx.connection.execute(update(tokens).values(revoked_at=tokens.c.created_at)))

        answer = met.request(method, path, {})

        assert answer.status_code == 401, (method, path, answer.text)


@pytest.mark.parametrize("name", [name for name, (method, *_) in REQUESTS.items() if method == "GET"])
def test_a_token_that_was_met_is_answered_as_one_that_was_not(make_app, scim, user, name):
    """The second application has met nobody."""
    meet(scim)
    stranger = replace(scim, app=make_app())

    met, not_met = ask(scim, name, user), ask(stranger, name, user)

    assert (met.status_code, met.get_data()) == (not_met.status_code, not_met.get_data())


def test_a_rotated_token_is_worthless_at_once(scim, database, clock, organization_id, token_id):
    meet(scim)
    call = access.system_call(organization_id, actor="command", at=clock(), request_id="test")
    database.run(access.rotate_token, call, token_id())

    assert scim.post("/Users", NEW).status_code == 401


def test_an_expired_token_is_not_presumed_to_hold(caller, clock):
    scim = caller("scim", expires_at=clock() + timedelta(seconds=30))
    meet(scim)
    clock.advance(seconds=31)

    assert scim.post("/Users", NEW).status_code == 401


def test_settings_that_have_changed_hold_for_the_very_request(scim, database):
    """The request is read again from its beginning, body and all."""
    meet(scim)
    text = '{"profile":"strict","set":{"force_media_type":"application/json"}}'
    database.run(lambda tx: tx.connection.execute(update(tokens).values(client_settings=text)))

    refused = scim.post("/Users", {**NEW, "active": "True"})
    created = scim.post("/Users", {**NEW, "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"]})

    assert refused.status_code == 400, refused.text
    assert created.status_code == 201, created.text
    assert created.content_type == "application/json"


def test_what_has_come_due_is_done_before_the_answer(scim, database, clock, recorder_of_due):
    meet(scim)
    database.run(lambda tx: tx.connection.execute(update(organizations).values(next_due_at=clock())))

    assert scim.get("/Users?count=0").status_code == 200
    assert recorder_of_due == [True]


@pytest.fixture
def recorder_of_due(monkeypatch) -> list[bool]:
    done: list[bool] = []
    monkeypatch.setattr(authentication.due, "catch_up", lambda *_: done.append(True))
    return done


def test_no_more_tokens_are_remembered_than_were_allowed(database, clock, make_token):
    known = Acquaintances(most=2)
    given = [make_token("scim") for _ in range(3)]
    for token in given:
        known.remember(token, database.look_up(access.authenticate, token, clock()))

    # The use of none of them is on record, so that they would all be looked up first.
    assert len(known._records) == 2
