"""What is secret is nowhere but where it has to be: not in the database, a log line, an answer or an event."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from scim_server.store.tables import metadata
from tests.web.conftest import PATCH_OP
from tests.world import Refused

MARK = "Xk7-never-to-be-seen"


def dump(database) -> str:
    """Return everything that is stored, as text."""

    def rows(tx) -> list[str]:
        return [
            repr(tuple(row))
            for table in metadata.sorted_tables
            for row in tx.connection.execute(select(table))
        ]

    return "\n".join(database.read(rows))


@pytest.fixture
def acme(world):
    return world(premium=2, standard=5)


def test_a_password_is_nowhere_whatever_way_it_came(acme, database, capsys):
    scim = acme.scim
    answers = []

    def send(method: str, path: str, body: object = None) -> None:
        response = scim.request(method, path, body)
        answers.append(f"{response.headers}{response.get_data(as_text=True)}")

    send("POST", "/Users", {"userName": "ada", "password": MARK})
    ada = scim.get('/Users?filter=userName eq "ada"')["Resources"][0]["id"]
    send("POST", "/Users", {"userName": "ada", "password": MARK})
    send("POST", "/Users", {"userName": "", "password": MARK})
    send("POST", "/Users", {"userName": "eve", "password": {"value": MARK}})
    send("POST", "/Users?attributes=password", {"userName": "ben", "PassWord": MARK})
    send("PUT", f"/Users/{ada}", {"userName": "ada", "password": MARK, "title": "x"})
    for operation in (
        {"op": "replace", "path": "password", "value": MARK},
        {"op": "add", "value": {"password": MARK, "title": "y"}},
        {"op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:User:password", "value": MARK},
        {"op": "replace", "path": "password.value", "value": MARK},
        {"op": "remove", "path": "password", "value": MARK},
        {"op": "increase", "path": "password", "value": MARK},
    ):
        send("PATCH", f"/Users/{ada}", {"schemas": [PATCH_OP], "Operations": [operation]})
    data = {"userName": "cyd", "password": MARK}
    send("POST", "/Bulk", {"Operations": [{"method": "POST", "path": "/Users", "bulkId": "a", "data": data}]})
    for path in (
        "/Users?attributes=password",
        f"/Users/{ada}?attributes=password",
        "/Users?excludedAttributes=x",
        f'/Users?filter=password eq "{MARK}"',
        "/Users?sortBy=password",
    ):
        send("GET", path)

    assert [answer for answer in answers if MARK in answer] == []
    assert MARK not in dump(database)
    assert "$argon2id$" not in "".join(answers) + repr(acme.audit())
    assert MARK not in repr(acme.audit()) + repr(acme.owner.get("/members"))
    assert MARK not in "".join(capsys.readouterr())


@pytest.mark.parametrize("condition", ["password pr", 'password eq "x"', 'not (password eq "x")'])
def test_nobody_can_ask_about_passwords(acme, condition):
    """An answer would tell one character after the other (RFC 7644 §7.5.2)."""
    for path in ("/Users", ""):
        status, body = acme.scim.refusal("GET", f"{path}?filter={condition}")

        assert (status, body["scimType"]) in ((400, "invalidFilter"), (403, "sensitive"))


def test_a_token_is_stored_as_its_hash_and_shown_once(acme, database, capsys):
    made = acme.owner.post("/tokens", {"kind": "scim"}, **{"Idempotency-Key": "k"})
    again = acme.owner.post("/tokens", {"kind": "scim"}, **{"Idempotency-Key": "k"})
    turned = acme.owner.post(f"/tokens/{made['id']}/rotate")
    with pytest.raises(Refused):
        acme.scim.__class__(acme.scim.http, made["token"], "/scim/v2").get("/Users")

    everything = dump(database) + repr(acme.owner.get("/tokens")) + repr(acme.audit())
    everything += "".join(capsys.readouterr())

    assert "token" not in again
    for secret in (made["token"], turned["token"], acme.scim.token, acme.owner.token, acme.jit.token):
        assert secret not in everything
        assert secret.removeprefix("sst_") not in everything


def test_a_token_has_256_random_bits(acme):
    made = [acme.owner.post("/tokens", {"kind": "jit"})["token"] for _ in range(3)]

    assert len(set(made)) == 3
    assert all(re.fullmatch(r"sst_[A-Za-z0-9_-]{43}", token) for token in made)


def test_a_tenant_s_key_for_cursors_is_shown_to_nobody(acme, database):
    key = database.read(
        lambda tx: tx.connection.execute(select(metadata.tables["organizations"].c.secret))
    ).scalar()

    shown = repr([acme.owner.get("/organization"), acme.audit(), acme.scim.get("/Users?cursor=")])

    assert len(key) >= 64
    assert key not in shown
