"""Requests that were made to break something: each once did, or could have."""

from __future__ import annotations

import time
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from scim_server.operations import access, extensions

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


def body_of(response) -> Any:
    return response.get_json(force=True)


@pytest.fixture
def strict(caller):
    return caller("scim", profile="strict")


@pytest.fixture
def extended(database, clock, organization_id):
    """An extension with attributes that must not be shown or changed."""
    document = {
        "id": "urn:example:x:2.0:User",
        "name": "X",
        "attributes": [
            {"name": "password", "returned": "never", "mutability": "writeOnly"},
            {"name": "plain"},
            {"name": "fixed", "mutability": "immutable"},
            {
                "name": "cx",
                "type": "complex",
                "subAttributes": [{"name": "fixed", "mutability": "immutable"}, {"name": "loose"}],
            },
            {"name": "tags", "multiValued": True},
        ],
    }
    call = access.system_call(organization_id, actor="command", at=clock(), request_id="test")
    database.run(extensions.declare, call, "User", document)
    return document["id"]


# -- passwords


def stored_password(database) -> str | None:
    return database.read(lambda tx: tx.execute(text("SELECT password_hash FROM users")).scalar())


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": " password", "value": "PLAIN"},
        {"op": "replace", "path": f"{USER}:password", "value": "PLAIN"},
        {"op": "replace", "value": {"password ": "PLAIN"}},
        {"op": "replace", "path": "password", "value": ["PLAIN"]},
        {"op": "replace", "path": "password", "value": 123456789},
    ],
)
def test_whatever_way_a_password_comes_only_its_hash_is_stored(scim, user, database, operation):
    response = scim.patch(f"/Users/{user['id']}", operation)

    assert response.status_code == 200
    assert stored_password(database).startswith("$argon2id$")


def test_a_password_in_a_list_is_hashed_at_creation_too(scim, database):
    assert scim.post("/Users", {"userName": "eve", "password": ["PLAIN"]}).status_code == 201

    assert stored_password(database).startswith("$argon2id$")


def test_a_password_is_hashed_as_any_keyboard_would_spell_it(scim, database):
    """RFC 7644 §7.8: composed letters, and one kind of space."""
    scim.post("/Users", {"userName": "eve", "password": "Passe\u0301\u00a0Ⅷ"})

    assert PasswordHasher().verify(stored_password(database), "Pass\u00e9 Ⅷ")


def test_an_empty_password_is_none(scim, user, database):
    """As templates send, which have nothing to fill in; nobody may sign in with it."""
    scim.patch(f"/Users/{user['id']}", {"op": "replace", "path": "password", "value": "PLAIN"})
    kept = stored_password(database)

    emptied = scim.patch(f"/Users/{user['id']}", {"op": "replace", "path": "password", "value": ""})

    assert emptied.status_code == 200
    assert stored_password(database) == kept
    assert scim.post("/Users", {"userName": "eve", "password": ""}).status_code == 201


def test_nothing_is_hashed_for_a_request_that_is_refused(scim, monkeypatch):
    def hash_for(*_):
        raise AssertionError("hashed")

    monkeypatch.setattr("scim_server.web.http.hash_for", hash_for)
    operations = [{"op": "replace", "path": "password", "value": f"x{number}"} for number in range(1001)]

    assert scim.patch("/Users/nobody", *operations).status_code == 404


# -- JSON


def test_a_text_that_never_ends_costs_no_more_than_its_length(scim):
    data = b'{"a":[' + b"[]," * 40 + b'"' + b'\\"' * 200_000

    began = time.process_time()
    response = scim.app.test_client().post(
        "/scim/v2/Users", data=data, headers={"Authorization": f"Bearer {scim.token}"}
    )

    assert response.status_code == 400
    assert time.process_time() - began < 5


def test_half_of_a_surrogate_pair_is_no_server_error(scim):
    response = scim.app.test_client().post(
        "/scim/v2/Users",
        data=b'{"\\ud800":1,"\\ud800":2}',
        headers={"Authorization": f"Bearer {scim.token}"},
    )

    assert response.status_code == 400
    assert body_of(response)["scimType"] == "invalidSyntax"


def test_a_byte_order_mark_is_skipped(scim):
    response = scim.app.test_client().post(
        "/scim/v2/Users",
        data=b'\xef\xbb\xbf{"userName":"eve"}',
        headers={"Authorization": f"Bearer {scim.token}"},
    )

    assert response.status_code == 201


def test_a_user_name_is_taken_in_any_case_width_and_composition(scim):
    """RFC 7644 §7.8."""
    assert scim.post("/Users", {"userName": "Zoë@example.com"}).status_code == 201

    for name in ("ZOË@EXAMPLE.COM", "zoe\u0308@example.com", "ｚｏë＠example.com"):
        refused = scim.post("/Users", {"userName": name})
        assert (refused.status_code, body_of(refused)["scimType"]) == (409, "uniqueness")


# -- queries


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_a_cursor_over_types_of_which_one_cannot_be_sorted_loses_nothing(scim, order):
    expected = set()
    for number in range(3):
        expected.add(body_of(scim.post("/Users", {"userName": f"zz{number}"}))["id"])
        for name in ("a", "b"):
            group = scim.post("/Groups", {"displayName": f"zz{number}{name}"})
            expected.add(body_of(group)["id"])

    found, cursor = [], ""
    while cursor is not None:
        page = body_of(
            scim.post(
                "/.search",
                {
                    "schemas": [SEARCH],
                    "filter": 'userName sw "zz" or displayName sw "zz"',
                    "sortBy": "userName",
                    "sortOrder": order,
                    "cursor": cursor,
                    "count": 2,
                },
            )
        )
        assert page["totalResults"] == 9
        found += [resource["id"] for resource in page["Resources"]]
        cursor = page.get("nextCursor")
        assert len(found) <= 9

    assert len(found) == 9
    assert set(found) == expected


def test_what_was_shown_can_be_compared_with(scim, clock):
    clock.advance(microseconds=123_456)
    created = body_of(scim.post("/Users", {"userName": "eve"}))["meta"]["created"]

    assert body_of(scim.get(f'/Users?filter=meta.created eq "{created}"'))["totalResults"] == 1
    assert body_of(scim.get(f'/Users?filter=meta.lastModified gt "{created}"'))["totalResults"] == 0


@pytest.mark.parametrize(
    "empty", [{"attributes": []}, {"excludedAttributes": []}, {"startIndex": None}, {"sortBy": ""}]
)
def test_what_is_empty_in_a_search_request_is_not_said(scim, user, empty):
    response = scim.post("/Users/.search", {"schemas": [SEARCH], **empty})

    assert response.status_code == 200
    assert body_of(response)["Resources"][0]["userName"] == "ada"


# -- PATCH and PUT


def test_one_value_is_primary_also_where_all_are_told_to_be(scim):
    emails = [{"value": "a@example.com", "primary": True}, {"value": "b@example.com"}]
    made = body_of(scim.post("/Users", {"userName": "eve", "emails": emails}))

    changed = scim.patch(f"/Users/{made['id']}", {"op": "replace", "path": "emails.primary", "value": True})

    assert [email["primary"] for email in body_of(changed)["emails"]].count(True) == 1


def test_whoever_loses_active_is_not_active_and_that_is_shown(scim, user):
    changed = scim.patch(f"/Users/{user['id']}", {"op": "remove", "path": "active"})

    assert body_of(changed)["active"] is False


def test_to_a_strict_client_active_is_unassigned_once_it_is_removed(scim, strict, owner, user):
    """RFC 7644 §3.5.2.2; the person is not active all the same."""
    changed = strict.patch(f"/Users/{user['id']}", {"op": "remove", "path": "active"})

    assert "active" not in body_of(changed)
    assert body_of(scim.get("/Users?filter=active eq true"))["totalResults"] == 0
    assert body_of(owner.get(f"/members/{user['id']}"))["status"] == "suspended"


@pytest.mark.parametrize(
    "members",
    [[{"type": "User"}], [{"$ref": "x"}], [{"value": None, "type": "User"}], [{}], [{"display": "x"}]],
)
@pytest.mark.parametrize("profile", ["interop", "strict"])
def test_a_member_that_does_not_say_who_is_refused(caller, members, profile):
    scim = caller("scim", profile=profile)
    group = {"schemas": [GROUP], "displayName": "eng"}
    made = body_of(scim.post("/Groups", group))

    for response in (
        scim.post("/Groups", {**group, "displayName": "ops", "members": members}),
        scim.put(f"/Groups/{made['id']}", {**group, "members": members}),
    ):
        assert response.status_code == 400, response.text
        assert body_of(response)["scimType"] in ("invalidValue", "invalidSyntax")


def test_the_same_value_of_the_same_type_is_there_once(scim):
    twice = [{"value": "a@example.com", "type": "work"}, {"value": "A@EXAMPLE.com", "type": "Work"}]
    made = body_of(scim.post("/Users", {"userName": "eve", "emails": twice}))
    assert len(made["emails"]) == 1

    add = {"value": "A@example.com", "type": "work", "primary": True}
    changed = body_of(scim.patch(f"/Users/{made['id']}", {"op": "add", "path": "emails", "value": [add]}))
    assert [email["primary"] for email in changed["emails"]] == [True]

    remove = {"op": "remove", "path": "emails", "value": [{"value": "a@EXAMPLE.COM"}]}
    assert "emails" not in body_of(scim.patch(f"/Users/{made['id']}", remove))


def test_a_group_has_no_active(scim):
    assert scim.post("/Groups", {"displayName": "eng", "active": None}).status_code == 201


def test_a_member_filter_that_matches_nobody_is_refused_where_the_token_says_so(caller, user):
    scim = caller("scim", client_settings={"patch_unmatched_filter": "reject"})
    made = body_of(scim.post("/Groups", {"displayName": "eng"}))

    path = f'members[value eq "{user["id"]}"]'
    response = scim.patch(
        f"/Groups/{made['id']}", {"op": "replace", "path": path, "value": {"value": user["id"]}}
    )

    assert (response.status_code, body_of(response)["scimType"]) == (400, "noTarget")


def test_a_strict_client_names_the_schema_of_its_message(strict, user):
    response = strict.request(
        "PATCH", f"/Users/{user['id']}", {"Operations": [{"op": "replace", "path": "title", "value": "x"}]}
    )
    assert (response.status_code, body_of(response)["scimType"]) == (400, "invalidSyntax")

    removed = strict.patch(f"/Users/{user['id']}", {"op": "remove", "path": "schemas"})
    assert (removed.status_code, body_of(removed)["scimType"]) == (400, "mutability")


def test_no_patch_makes_more_values_than_a_post_may(scim, user):
    add = [{"value": f"a{number}@example.com"} for number in range(900)]
    more = [{"value": f"b{number}@example.com"} for number in range(900)]
    operations = [{"op": "add", "path": "emails", "value": values} for values in (add, more)]

    assert scim.patch(f"/Users/{user['id']}", *operations).status_code == 400


def test_operations_do_not_multiply_with_values_without_bound(scim, user):
    add = [{"value": f"a{number}@example.com"} for number in range(900)]
    rename = {"op": "replace", "path": "emails[value pr].display", "value": "x"}
    operations = [{"op": "add", "path": "emails", "value": add}, *[rename] * 999]

    response = scim.patch(f"/Users/{user['id']}", *operations)

    assert (response.status_code, body_of(response)["scimType"]) == (400, "tooMany")


def test_a_value_that_does_not_say_so_is_not_primary(scim):
    emails = [{"value": "a", "type": "work", "primary": True}, {"value": "b", "type": "home"}]
    made = body_of(scim.post("/Users", {"userName": "eve", "emails": emails}))
    scim.post("/Users", {"userName": "without"})

    for filter_ in (
        "emails[primary eq false]",
        "emails.primary eq false",
        'emails[type eq "home" and primary eq false]',
    ):
        found = body_of(scim.get(f"/Users?filter={filter_}"))
        assert [user["userName"] for user in found["Resources"]] == ["eve"], filter_
    assert body_of(scim.get("/Users?filter=emails.primary ne true"))["totalResults"] == 2
    rename = {"op": "replace", "path": "emails[primary eq false].display", "value": "D"}
    changed = body_of(scim.patch(f"/Users/{made['id']}", rename))
    assert [email.get("display") for email in changed["emails"]] == [None, "D"]


@pytest.mark.parametrize("active", [None, [None], []])
def test_nobody_is_active_by_a_misunderstanding(scim, active):
    assert scim.post("/Users", {"userName": "eve", "active": active}).status_code == 400


# -- versions


def test_a_list_of_no_versions_is_met_by_none(scim, user):
    assert scim.delete(f"/Users/{user['id']}", If_Match=" ").status_code == 412


def test_preconditions_of_http_hold(scim, user):
    path = f"/Users/{user['id']}"
    title = {"op": "replace", "path": "title", "value": "x"}

    assert scim.patch(path, title, If_None_Match="*").status_code == 412
    assert scim.put(path, {"userName": "ada"}, If_None_Match=user["meta"]["version"]).status_code == 412
    assert scim.get(path, If_Match='W/"99"').status_code == 412
    assert scim.get(path, If_Match=user["meta"]["version"]).status_code == 200
    malformed = scim.get(path, If_None_Match='"')
    assert malformed.status_code == 400
    assert "scimType" not in body_of(malformed)


# -- extensions


def test_what_is_never_returned_is_not_by_the_name_of_password_either(scim, extended):
    made = scim.post("/Users", {"userName": "eve", extended: {"password": "SECRET", "plain": "p"}})

    assert body_of(made)[extended] == {"plain": "p"}
    assert "SECRET" not in scim.get(f"/Users/{body_of(made)['id']}").text
    assert "SECRET" not in scim.get("/Users").text


def test_what_is_immutable_is_so_in_every_way_of_changing_it(scim, extended):
    values = {"fixed": "a", "cx": {"fixed": "b", "loose": "c"}}
    made = body_of(scim.post("/Users", {"userName": "eve", extended: values}))
    path = f"/Users/{made['id']}"

    for operation in (
        {"op": "replace", "path": f"{extended}:cx", "value": {"fixed": "z"}},
        {"op": "replace", "path": extended, "value": {"cx": {"fixed": "z"}}},
        {"op": "remove", "path": f"{extended}:cx"},
        {"op": "remove", "path": extended},
    ):
        response = scim.patch(path, operation)
        assert (response.status_code, body_of(response)["scimType"]) == (400, "mutability"), operation
    other = {"userName": "eve", extended: {"fixed": "a", "cx": {"fixed": "z", "loose": "c"}}}
    assert scim.put(path, other).status_code == 400
    kept = body_of(scim.put(path, {"userName": "eve"}))[extended]
    assert kept == {"fixed": "a", "cx": {"fixed": "b"}}


def test_entra_adds_to_a_custom_list_by_objects(scim, extended):
    made = body_of(scim.post("/Users", {"userName": "eve"}))

    operation = {"op": "Add", "path": f"{extended}:tags", "value": [{"value": "new"}]}
    assert body_of(scim.patch(f"/Users/{made['id']}", operation))[extended]["tags"] == ["new"]


# -- group names


def test_a_group_name_is_taken_whichever_token_gave_it(scim, strict):
    for name in ("one", "two"):
        strict.post("/Groups", {"schemas": [GROUP], "displayName": name})

    assert scim.post("/Groups", {"displayName": "ONE"}).status_code == 409
    made = body_of(scim.post("/Groups", {"displayName": "three"}))
    rename = {"op": "replace", "path": "displayName", "value": "Two"}
    assert scim.patch(f"/Groups/{made['id']}", rename).status_code == 409


# -- bulk


def test_what_a_bulk_cannot_complete_it_does_not_keep(strict):
    data = {"schemas": [GROUP], "displayName": "loop", "members": [{"value": "bulkId:a"}]}
    job = {"Operations": [{"method": "POST", "path": "/Groups", "bulkId": "a", "data": data}]}

    [result] = body_of(strict.post("/Bulk", job))["Operations"]

    assert result["status"] == "400"
    assert "location" not in result
    assert body_of(strict.get("/Groups"))["totalResults"] == 0


def test_a_bulk_loses_no_change_of_what_it_has_to_complete(scim):
    def group(bulk_id: str, other: str) -> dict[str, Any]:
        data = {"displayName": bulk_id, "members": [{"value": f"bulkId:{other}", "type": "Group"}]}
        return {"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data}

    rename = {"Operations": [{"op": "replace", "path": "displayName", "value": "renamed"}]}
    change = {"method": "PATCH", "path": "/Groups/bulkId:a", "data": rename}
    job = {"Operations": [group("a", "b"), change, group("b", "a")]}

    results = body_of(scim.post("/Bulk", job))["Operations"]

    assert [result["status"] for result in results] == ["201", "204", "201"]
    found = body_of(scim.get("/Groups"))["Resources"]
    assert {one["displayName"]: len(one["members"]) for one in found} == {"renamed": 1, "b": 1}


def test_a_bulk_path_cannot_hide_a_nul(scim):
    job = {"Operations": [{"method": "DELETE", "path": "/Users/%00"}]}

    assert body_of(scim.post("/Bulk", job))["Operations"][0]["status"] == "400"


def test_a_text_that_looks_like_a_reference_is_a_text(scim, user):
    data = {"schemas": [], "Operations": [{"op": "replace", "path": "title", "value": "bulkId: the movie"}]}
    job = {"Operations": [{"method": "PATCH", "path": f"/Users/{user['id']}", "data": data}]}

    assert body_of(scim.post("/Bulk", job))["Operations"][0]["status"] == "200"
