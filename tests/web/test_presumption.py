"""A token that was met before is presumed to hold; where it does not, nothing is done and nothing is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import select, update

from scim_server.errors import Unavailable
from scim_server.operations import access
from scim_server.operations.listing import Page
from scim_server.operations.presumption import Acquaintances
from scim_server.store.database import LostRace
from scim_server.store.tables import metadata, organizations, tokens
from scim_server.store.transaction import Transaction
from scim_server.web import authentication, bulk, http
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


# -- at odd places


def puts(user: dict[str, Any], count: int) -> dict[str, Any]:
    """Return a bulk request that changes a user again and again, each time in a transaction."""
    one = {"method": "PUT", "path": f"/Users/{user['id']}"}
    return {
        **BULK,
        "Operations": [{**one, "data": {"userName": "ada", "displayName": f"Ada {n}"}} for n in range(count)],
    }


def revoke_all(tx: Any) -> None:
    tx.connection.execute(update(tokens).values(revoked_at=tokens.c.created_at))


def test_a_bulk_request_ends_with_its_first_operation(scim, user, database, monkeypatch):
    begun: list[Any] = []
    perform = bulk._perform
    monkeypatch.setattr(bulk, "_perform", lambda operation: (begun.append(operation), perform(operation))[1])
    meet(scim)
    database.run(revoke_all)
    before = everything(database)

    answer = scim.post("/Bulk", puts(user, 20))

    assert answer.status_code == 401
    assert len(begun) <= 1
    assert everything(database) == before


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_transaction_that_begins_again_asks_again(scim, user, database, monkeypatch):
    commit = Transaction.commit

    def lose_once(tx: Transaction) -> None:
        monkeypatch.setattr(Transaction, "commit", commit)
        database.run(revoke_all)
        raise LostRace

    meet(scim)
    monkeypatch.setattr(Transaction, "commit", lose_once)

    answer = scim.post("/Bulk", puts(user, 3))

    assert answer.status_code == 401, answer.text
    assert "Ada 2" not in str(everything(database))


def test_a_refusal_says_nothing_of_what_was_presumed(caller, database):
    scim = caller("scim", client_settings={"force_media_type": "application/json"})
    meet(scim)
    database.run(revoke_all)

    met, not_met = scim.get("/Users"), scim.get("/Users")

    assert (met.status_code, not_met.status_code) == (401, 401)
    assert met.content_type == not_met.content_type


def test_a_body_that_was_too_large_stays_so(make_app, scim, database, monkeypatch):
    """The rest of it is no body of its own, where the request begins again."""
    small = replace(scim, app=make_app(max_body_bytes=1024))
    meet(small)
    read = http._read_body

    def read_while_settings_change(here: Any) -> bytes:
        try:
            return read(here)
        finally:
            text = '{"profile":"interop","set":{"force_media_type":"application/json"}}'
            database.run(lambda tx: tx.connection.execute(update(tokens).values(client_settings=text)))

    monkeypatch.setattr(http, "_read_body", read_while_settings_change)

    answer = small.app.test_client().post(
        "/scim/v2/Users",
        input_stream=BytesIO(b" " * 1025 + b'{"userName":"grace"}'),
        headers={"Authorization": f"Bearer {small.token}", "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )

    assert answer.status_code == 413, answer.text


def test_a_database_that_is_away_is_waited_for_once(app, scim, monkeypatch):
    asked: list[bool] = []

    def away(*_: Any, **__: Any) -> Any:
        asked.append(True)
        raise Unavailable("The database is not available at the moment; try again shortly.")

    meet(scim)
    monkeypatch.setattr(type(app.extensions["scim_seats"].database), "look_up", away)

    assert scim.get("/Users/1").status_code == 503
    assert len(asked) == 1
