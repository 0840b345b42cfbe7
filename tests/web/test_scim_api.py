"""The endpoints of RFC 7644 §3.2: statuses, headers, media types; what operations do is tested with them."""

from __future__ import annotations

import pytest

from tests.web.conftest import Caller

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def body_of(response):
    return response.get_json(force=True)


def test_a_created_user_has_an_address_and_a_version(scim):
    response = scim.post("/Users", {"userName": "ada"})

    body = body_of(response)
    assert response.status_code == 201
    assert response.content_type == "application/scim+json"
    assert response.headers["Location"] == body["meta"]["location"]
    assert response.headers["Location"].endswith(f"/scim/v2/Users/{body['id']}")
    assert response.headers["ETag"] == body["meta"]["version"]


def test_the_same_again_is_a_conflict_of_uniqueness(scim, user):
    response = scim.post("/Users", {"userName": "ADA"})

    assert response.status_code == 409
    assert body_of(response)["scimType"] == "uniqueness"
    assert body_of(response)["status"] == "409"


def test_a_patch_of_a_user_answers_with_the_user(scim, user):
    response = scim.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False})

    assert response.status_code == 200
    assert body_of(response)["active"] is False


def test_a_patch_of_a_group_answers_with_nothing_unless_asked(scim, user):
    group = body_of(scim.post("/Groups", {"displayName": "eng"}))
    operation = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}

    quiet = scim.patch(f"/Groups/{group['id']}", operation)
    asked = scim.patch(f"/Groups/{group['id']}?attributes=displayName", operation)

    assert (quiet.status_code, quiet.data) == (204, b"")
    assert "Content-Type" not in quiet.headers
    assert quiet.headers["ETag"] != group["meta"]["version"]
    assert asked.status_code == 200
    assert body_of(asked).keys() == {"schemas", "id", "displayName"}


def test_a_put_answers_with_the_resource_and_a_delete_with_nothing(scim, user):
    put = scim.put(f"/Users/{user['id']}", {"userName": "ada", "nickName": "Countess"})
    assert (put.status_code, body_of(put)["nickName"]) == (200, "Countess")

    deleted = scim.delete(f"/Users/{user['id']}")
    assert (deleted.status_code, deleted.data) == (204, b"")

    again = scim.delete(f"/Users/{user['id']}")
    assert (again.status_code, body_of(again)["schemas"]) == (404, [ERROR])


@pytest.mark.parametrize(
    ("method", "body"),
    [
        pytest.param("PUT", {"userName": "ada", "title": "x"}, id="put"),
        pytest.param("PATCH", {"Operations": [{"op": "add", "path": "title", "value": "x"}]}, id="patch"),
        pytest.param("DELETE", None, id="delete"),
    ],
)
def test_if_match_is_heeded_by_every_verb_that_writes(scim, user, method, body):
    path = f"/Users/{user['id']}"

    refused = scim.request(method, path, body, If_Match='W/"4711"')
    done = scim.request(method, path, body, If_Match=f'W/"x", {user["meta"]["version"]}')

    assert refused.status_code == 412
    assert done.status_code in (200, 204)


def test_if_none_match_saves_the_body_whatever_the_projection(scim, user):
    known = user["meta"]["version"]

    for query in ("", "?attributes=userName", "?excludedAttributes=emails"):
        response = scim.get(f"/Users/{user['id']}{query}", If_None_Match=known)

        assert (response.status_code, response.data) == (304, b"")
        assert response.headers["ETag"] == known
    assert scim.get(f"/Users/{user['id']}", If_None_Match='W/"other"').status_code == 200


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/scim+json", "application/scim+json"),
        ("application/json", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("application/json, application/scim+json", "application/scim+json"),
        ("application/json, text/plain, */*", "application/scim+json"),
        ("*/*", "application/scim+json"),
        ("text/html", "application/scim+json"),
        ("", "application/scim+json"),
    ],
)
def test_the_answer_is_scim_json_unless_only_json_is_accepted(scim, user, accept, expected):
    assert scim.get("/Users", Accept=accept).content_type == expected
    assert scim.get("/Users/nobody", Accept=accept).content_type == expected


def test_a_byte_order_mark_is_no_part_of_the_body(app, scim):
    response = app.test_client().post(
        "/scim/v2/Users",
        data=b"\xef\xbb\xbf" + b'{"userName": "ada"}',
        headers={"Authorization": f"Bearer {scim.token}"},
    )

    assert response.status_code == 201


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
def test_a_compressed_body_is_refused_with_what_to_do(scim, encoding):
    response = scim.post("/Users", {"userName": "ada"}, Content_Encoding=encoding)

    assert response.status_code == 415
    assert body_of(response)["schemas"] == [ERROR]
    assert "Content-Encoding" in body_of(response)["detail"]
    assert response.headers["Accept-Encoding"] == "identity"
    assert scim.post("/Users", {"userName": "ada"}, Content_Encoding="identity").status_code == 201


@pytest.mark.parametrize(
    "address",
    [
        "/Users?",
        "/Users?&",
        "/Users/?&&count=1&",
        "//Users",
        "/users",
        "/Users?startindex=1&COUNT=1",
        "/Users?filter=userName+eq+%22ADA%22&",
        "/Users?filter=userName%20eq%20%22ada%22&Excludedattributes=emails",
        "/Users?FILTER=userName+eq+ada",
        "/Users?unknown=1",
    ],
)
def test_addresses_are_taken_as_clients_write_them(scim, user, address):
    response = scim.get(address)

    assert response.status_code == 200, response.text
    assert [found["id"] for found in body_of(response)["Resources"]] == [user["id"]]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/scim+json",
        "application/json",
        "application/scim+json; charset=utf-8",
        "application/json;charset=ISO-8859-1",
        "application/x-www-form-urlencoded",
        "text/plain",
        "",
    ],
)
def test_json_is_taken_under_any_label(app, scim, content_type):
    response = app.test_client().post(
        "/scim/v2/Users",
        data='{"userName": "ada"}',
        content_type=content_type,
        headers={"Authorization": f"Bearer {scim.token}"},
    )

    assert response.status_code == 201


@pytest.mark.parametrize("content_type", ["application/xml", "text/xml", "multipart/form-data; boundary=x"])
def test_what_is_labelled_as_something_else_is_refused(app, scim, content_type):
    response = app.test_client().post(
        "/scim/v2/Users",
        data="<user/>",
        content_type=content_type,
        headers={"Authorization": f"Bearer {scim.token}"},
    )

    assert response.status_code == 415
    assert response.content_type == "application/scim+json"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"userName": NaN}', b"[" * 100_000])
def test_what_is_no_json_object_is_invalid_syntax(app, scim, data):
    response = app.test_client().post(
        "/scim/v2/Users", data=data, headers={"Authorization": f"Bearer {scim.token}"}
    )

    assert response.status_code == 400
    assert body_of(response)["scimType"] == "invalidSyntax"


@pytest.mark.parametrize(
    "path",
    [
        '/Users?filter=userName eq "ADA"',
        "/Users/?FILTER=userName+eq+%22ada%22&",
        '//Users?Filter=userName eq "ada"&unknown=1',
    ],
)
def test_parameters_are_found_in_any_letter_case_and_addresses_in_any_form(scim, user, path):
    response = scim.get(path)

    assert response.status_code == 200
    assert [found["id"] for found in body_of(response)["Resources"]] == [user["id"]]


def test_an_empty_list_is_a_list(scim):
    body = body_of(scim.get('/Users?filter=userName eq "nobody"'))

    assert (body["schemas"], body["totalResults"], body["Resources"]) == ([LIST], 0, [])


@pytest.mark.parametrize(
    ("query", "scim_type"),
    [
        ("filter=", "invalidFilter"),
        ("filter=userName", "invalidFilter"),
        ("sortBy=userName&sortOrder=sideways", "invalidValue"),
        ("startIndex=first", "invalidValue"),
        ("count=1e9", "invalidValue"),
        ("count=1.5", "invalidValue"),
        ("cursor=forged", "invalidCursor"),
    ],
)
def test_parameters_that_make_no_sense_are_named(scim, user, query, scim_type):
    response = scim.get(f"/Users?{query}")

    assert response.status_code == 400
    assert body_of(response)["scimType"] == scim_type


@pytest.mark.parametrize(
    "query", ["startIndex=0", "startIndex=-1", "count=-1", "count=0", f"startIndex={2**63}"]
)
def test_numbers_out_of_range_are_brought_into_it(scim, user, query):
    assert scim.get(f"/Users?{query}").status_code == 200


def test_a_search_by_post_finds_what_the_query_finds(scim, user):
    scim.post("/Groups", {"displayName": "ada"})
    request = {"filter": 'userName eq "ada" or displayName eq "ada"', "attributes": ["displayName"]}

    assert body_of(scim.post("/Users/.search", request))["totalResults"] == 1
    assert (
        body_of(scim.post("/Groups/.search", request | {"filter": 'displayName eq "ada"'}))["totalResults"]
        == 1
    )
    assert body_of(scim.post("/.search", request))["totalResults"] == 2


@pytest.mark.parametrize("names", [["userName", "title"], "userName,title", ["username, TITLE"]])
def test_a_search_request_names_attributes_as_a_list_or_as_a_query_does(scim, user, names):
    scim.patch(f"/Users/{user['id']}", {"op": "add", "path": "title", "value": "x"})

    [found] = body_of(scim.post("/Users/.search", {"attributes": names}))["Resources"]

    assert found.keys() == {"schemas", "id", "userName", "title"}


@pytest.mark.parametrize(
    ("request_", "scim_type"),
    [
        ({"attributes": [7]}, "invalidSyntax"),
        ({"startIndex": "first"}, "invalidSyntax"),
        ({"SORTORDER": 7}, "invalidSyntax"),
        ({"count": "many"}, "invalidSyntax"),
        ({"count": "many", "cursor": ""}, "invalidCount"),
        ({"count": 100_000, "cursor": ""}, "invalidCount"),
        ({"cursor": 7}, "invalidCursor"),
        ({"cursor": "forged"}, "invalidCursor"),
        ({"filter": "userName"}, "invalidFilter"),
        ({"sortBy": "nosuch"}, "invalidValue"),
        ({"sortOrder": "sideways"}, "invalidValue"),
    ],
)
def test_a_search_request_that_makes_no_sense_is_refused(scim, request_, scim_type):
    response = scim.post("/Users/.search", request_)

    assert response.status_code == 400
    assert body_of(response)["scimType"] == scim_type


def test_the_root_lists_all_types(scim, user):
    scim.post("/Groups", {"displayName": "eng"})

    assert body_of(scim.get(""))["totalResults"] == 2


@pytest.mark.parametrize(("usual", "most"), [(3, 2), (1, 2)])
def test_pages_are_as_large_as_promised(make_app, make_token, usual, most):
    app = make_app(default_page_size=usual, max_page_size=most)
    scim = Caller(app, make_token("scim"), "/scim/v2")
    for name in ("ada", "ben", "cy"):
        scim.post("/Users", {"userName": name})
    config = body_of(scim.get("/ServiceProviderConfig"))

    def size(query):
        return len(body_of(scim.get(f"/Users?{query}"))["Resources"])

    assert size("") == size("cursor=") == config["pagination"]["defaultPageSize"] == min(usual, most)
    assert size("count=3") == config["filter"]["maxResults"] == config["pagination"]["maxPageSize"] == most
    assert scim.get(f"/Users?cursor=&count={most}").status_code == 200
    assert body_of(scim.get(f"/Users?cursor=&count={most + 1}"))["scimType"] == "invalidCount"


def test_a_cursor_leads_through_a_list(scim):
    for number in range(5):
        scim.post("/Users", {"userName": f"u{number}"})

    seen, cursor = [], ""
    while cursor is not None:
        page = body_of(scim.get(f"/Users?cursor={cursor}&count=2"))
        seen += [found["userName"] for found in page["Resources"]]
        cursor = page.get("nextCursor")

    assert seen == ["u0", "u1", "u2", "u3", "u4"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "POST"])
def test_me_is_nobody_for_a_token_without_a_person(scim, method):
    response = scim.request(method, "/Me", {})

    assert response.status_code == 501
    assert body_of(response)["schemas"] == [ERROR]


def test_me_is_the_person_whom_the_token_stands_for(caller, user):
    myself = caller("scim", member_id=user["id"])

    response = myself.get("/Me")

    assert response.status_code == 200
    assert response.headers["Location"] == user["meta"]["location"]
    patched = myself.patch("/Me", {"op": "add", "path": "nickName", "value": "Countess"})
    assert body_of(patched)["nickName"] == "Countess"
    assert myself.post("/Me", {"userName": "eve"}).status_code == 501


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/Users", {"GET", "POST"}),
        ("POST", "/Users/x", {"GET", "PUT", "PATCH", "DELETE"}),
        ("GET", "/.search", {"POST"}),
        ("GET", "/Users/.search", {"POST"}),
        ("PUT", "/Groups/.search/", {"POST"}),
        ("DELETE", "", {"GET"}),
        ("GET", "/Bulk", {"POST"}),
        ("POST", "/Schemas", {"GET"}),
    ],
)
def test_a_method_that_an_address_does_not_take(scim, method, path, allowed):
    response = scim.request(method, path, {})

    assert response.status_code == 405
    assert {name.strip() for name in response.headers["Allow"].split(",")} - {"HEAD", "OPTIONS"} == allowed
    assert body_of(response)["schemas"] == [ERROR]


@pytest.mark.parametrize(
    "path", ["", "/Users", "/Users/{id}", "/Groups", "/Schemas", "/ServiceProviderConfig"]
)
def test_head_answers_as_get_does_without_a_body(scim, user, path):
    path = path.format(id=user["id"])

    head, get = scim.request("HEAD", path), scim.get(path)

    assert (head.status_code, head.data) == (200, b"")
    compared = ("Content-Type", "Content-Length", "ETag", "Location")
    assert [head.headers.get(name) for name in compared] == [get.headers.get(name) for name in compared]


@pytest.mark.parametrize("version", ["v1", "v1.1", "v2.0", "v3", "v22"])
def test_another_version_of_the_protocol_is_refused(app, scim, version):
    """RFC 7644 §3.13."""
    for path in ("", "/Users", "/Users/x"):
        response = app.test_client().get(
            f"/scim/{version}{path}", headers={"Authorization": f"Bearer {scim.token}"}
        )

        assert response.status_code == 400
        assert body_of(response)["scimType"] == "invalidVers"


def test_an_unknown_address_is_a_scim_error(scim):
    response = scim.get("/Planets")

    assert (response.status_code, response.content_type) == (404, "application/scim+json")
    assert body_of(response)["status"] == "404"


def test_a_strict_client_is_told_of_unknown_attributes(caller):
    strict = caller("scim", profile="strict")

    assert strict.post("/Users", {"userName": "ada", "colour": "red"}).status_code == 400
