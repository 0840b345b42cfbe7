"""The login hook: what it takes and how it answers. What a login does is tested with the operation."""

from __future__ import annotations

import pytest


@pytest.fixture
def jit(caller):
    return caller("jit")


def test_a_login_of_nobody_is_a_decision_and_no_error(jit):
    response = jit.post("/login", {"userName": "joe"})

    assert response.status_code == 200
    assert response.get_json()["decision"] == "deny"
    assert response.get_json()["reason"] == "not_provisioned"


def test_a_first_login_creates_where_that_is_the_mode(jit, owner):
    owner.request("PATCH", "/organization", {"settings": {"provisioning_mode": "jit"}})
    claims = {
        "userName": "joe",
        "externalId": "00u1",
        "name": {"givenName": "Joe", "nickname": "J"},
        "emails": [{"value": "joe@example.com", "primary": True}],
        "groups": None,
        "locale": "de",
    }

    first, second = jit.post("/login", claims), jit.post("/login", claims)

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.get_json()["created"] is True
    assert first.get_json()["member"]["userName"] == "joe"
    assert first.get_json()["seat"].keys() == {"tier", "source", "status", "can_use"}
    assert second.get_json()["member"]["id"] == first.get_json()["member"]["id"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "userName"),
        ({"userName": ""}, "userName"),
        ({"userName": 7}, "userName"),
        ({"userName": "joe", "groups": "eng"}, "groups"),
        ({"userName": "joe", "emails": [{"primary": True}]}, "emails"),
    ],
)
def test_a_login_that_says_too_little_is_refused(jit, body, named):
    response = jit.post("/login", body)

    assert response.status_code == 422
    assert response.content_type == "application/problem+json"
    assert named in response.get_json(force=True)["errors"]
