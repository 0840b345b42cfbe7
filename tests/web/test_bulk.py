"""Bulk (RFC 7644 §3.7): order, references, errors, limits."""

from __future__ import annotations

import pytest

from scim_server.scim.bulk import read, references_in, without_references
from tests.web.conftest import Caller
from tests.world import SEAT

USERS, GROUPS = "/Users", "/Groups"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def post(bulk_id, path, **data):
    return {"method": "POST", "path": path, "bulkId": bulk_id, "data": data}


@pytest.fixture
def bulk(scim):
    """Send operations; answer their results."""

    def send(*operations, **more):
        response = scim.post("/Bulk", {"Operations": list(operations), **more})
        assert response.status_code == 200, response.text
        body = response.get_json(force=True)
        assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]
        return body["Operations"]

    return send


def body_of(response):
    return response.get_json(force=True)


def test_every_verb_answers_as_its_endpoint_would(scim, bulk, user):
    group = body_of(scim.post("/Groups", {"displayName": "eng"}))
    title = {"Operations": [{"op": "add", "path": "title", "value": "x"}]}
    rename = {"Operations": [{"op": "replace", "path": "displayName", "value": "ops"}]}

    results = bulk(
        post("new", USERS, userName="ben"),
        {"method": "PATCH", "path": f"/Users/{user['id']}", "data": title},
        {"method": "put", "path": f"users/{user['id']}", "data": {"userName": "ada", "title": "y"}},
        {"method": "PATCH", "path": f"/Groups/{group['id']}", "data": rename},
        {"method": "DELETE", "path": f"/Groups/{group['id']}"},
    )

    assert [result["status"] for result in results] == ["201", "200", "200", "204", "204"]
    assert all(result["location"].startswith("http://localhost/scim/v2/") for result in results)
    assert results[0]["bulkId"] == "new"
    assert results[0]["version"].startswith('W/"')
    assert "version" not in results[4]
    assert body_of(scim.get(f"/Users/{user['id']}"))["title"] == "y"
    assert scim.get(f"/Groups/{group['id']}").status_code == 404


def test_a_bulk_id_stands_for_what_is_created(scim, bulk):
    user, group = bulk(
        post("u", USERS, userName="ben"),
        post("g", GROUPS, displayName="eng", members=[{"value": "bulkId:u"}]),
    )

    [member] = body_of(scim.get(group["location"].removeprefix("http://localhost/scim/v2")))["members"]
    assert user["location"].endswith(member["value"])


def test_what_refers_ahead_waits(scim, bulk):
    group, user = bulk(
        post("g", GROUPS, displayName="eng", members=[{"value": "bulkId:u"}]),
        post("u", USERS, userName="ben"),
    )

    assert (group["bulkId"], user["bulkId"]) == ("g", "u")
    [member] = body_of(scim.get(group["location"].removeprefix("http://localhost/scim/v2")))["members"]
    assert user["location"].endswith(member["value"])


def test_circular_references_are_resolved(scim, bulk):
    """RFC 7644 §3.7.1."""
    results = bulk(
        post("a", GROUPS, displayName="A", members=[{"type": "Group", "value": "bulkId:b"}]),
        post("b", GROUPS, displayName="B", members=[{"type": "Group", "value": "bulkId:a"}]),
    )

    assert [result["status"] for result in results] == ["201", "201"]
    a, b = (
        body_of(scim.get(result["location"].removeprefix("http://localhost/scim/v2"))) for result in results
    )
    assert [member["value"] for member in a["members"]] == [b["id"]]
    assert [member["value"] for member in b["members"]] == [a["id"]]
    assert results[0]["version"] == a["meta"]["version"]


def test_those_without_a_bulk_id_may_refer_to_a_circle(scim, bulk):
    results = bulk(
        post(None, GROUPS, displayName="C", members=[{"value": "bulkId:a"}]),
        post(None, GROUPS, displayName="D", members=[{"value": "bulkId:b"}]),
        post("a", GROUPS, displayName="A", members=[{"value": "bulkId:b"}]),
        post("b", GROUPS, displayName="B", members=[{"value": "bulkId:a"}]),
    )

    groups = [
        body_of(scim.get(result["location"].removeprefix("http://localhost/scim/v2"))) for result in results
    ]
    ids = [group["id"] for group in groups]
    assert [group["members"][0]["value"] for group in groups] == [ids[2], ids[3], ids[3], ids[2]]


def test_what_could_not_be_completed_is_no_success(bulk, user):
    results = bulk(
        post("a", GROUPS, displayName="A", members=[{"value": "bulkId:b"}]),
        post("b", USERS, userName="ada", nickName="bulkId:a"),
        failOnErrors=1,
    )

    assert [result["status"] for result in results] == ["400", "409"]


def test_what_could_not_be_completed_stands_for_nothing_afterwards(scim, bulk, user):
    results = bulk(
        post("a", GROUPS, displayName="A", members=[{"value": "bulkId:b"}]),
        post("b", USERS, userName="ada", nickName="bulkId:a"),
        {"method": "DELETE", "path": "/Groups/bulkId:a"},
        post("c", GROUPS, displayName="C", members=[{"value": "bulkId:a"}]),
    )

    assert [result["status"] for result in results] == ["400", "409", "400", "400"]
    assert body_of(scim.get("/Groups"))["totalResults"] == 0


@pytest.mark.parametrize("references", [("b", "a"), ("b", "b"), ("a", "b"), ("b", "c")])
def test_references_in_any_order_lead_to_the_same(scim, bulk, references):
    """RFC 7644 §3.7: the same stateful result, whatever the order of the operations."""
    first, second = (f"bulkId:{reference}" for reference in references)

    results = bulk(
        post("a", USERS, userName="a", **{ENTERPRISE: {"manager": {"value": first}}}),
        post("b", USERS, userName="b", **{ENTERPRISE: {"manager": {"value": second}}}),
        post("c", USERS, userName="c"),
    )

    ids = {result["bulkId"]: result["location"].rpartition("/")[2] for result in results}
    managers = [body_of(scim.get(f"/Users/{ids[name]}"))[ENTERPRISE]["manager"]["value"] for name in "ab"]
    assert managers == [ids[reference] for reference in references]


def test_references_are_resolved_in_extensions_paths_and_filters(scim, bulk):
    add = {"Operations": [{"op": "add", "path": "members", "value": [{"value": "bulkId:u"}]}]}
    remove = {"Operations": [{"op": "remove", "path": 'members[value eq "bulkId:u"]'}]}

    results = bulk(
        post("u", USERS, userName="ben"),
        post("v", USERS, userName="cy", **{ENTERPRISE: {"manager": {"value": "bulkId:u"}}}),
        post("g", GROUPS, displayName="eng"),
        {"method": "PATCH", "path": "/Groups/bulkId:g", "data": add},
        {"method": "PATCH", "path": "/Groups/bulkId:g", "data": remove},
    )

    assert [result["status"] for result in results] == ["201", "201", "201", "204", "204"]
    ben, cy, eng = (
        body_of(scim.get(result["location"].removeprefix("http://localhost/scim/v2")))
        for result in results[:3]
    )
    assert cy[ENTERPRISE]["manager"]["value"] == ben["id"]
    assert "members" not in eng


def test_what_fails_says_why_and_takes_along_what_refers_to_it(bulk, user):
    results = bulk(
        post("u", USERS, userName="ADA"),
        post("g", GROUPS, displayName="eng", members=[{"value": "bulkId:u"}]),
        post("h", GROUPS, displayName="ops", members=[{"value": "bulkId:nobody"}]),
        {"method": "PUT", "path": "/Users/nobody", "data": {"userName": "x"}},
        {"method": "PATCH", "path": f"/Users/{user['id']}", "version": 'W/"77"', "data": {"Operations": []}},
    )

    assert [result["status"] for result in results][:4] == ["409", "400", "400", "404"]
    assert results[0]["response"]["scimType"] == "uniqueness"
    assert "location" not in results[0]
    assert results[3]["location"].endswith("/scim/v2/Users/nobody")
    assert results[4]["status"] in ("400", "412")


def test_what_fails_names_the_resource_that_it_was_about(bulk):
    stale = {"method": "DELETE", "path": "/Users/bulkId:u", "version": 'W/"77"'}

    created, refused = bulk(post("u", USERS, userName="ben"), stale)

    assert refused["status"] == "412"
    assert refused["location"] == created["location"]
    assert created["version"] in refused["response"]["detail"]


def test_the_resource_is_answered_where_the_path_asks_for_attributes(bulk, user):
    """RFC 7644 §3.7: the server may omit the body of what went well; §3.9 says which part is wanted."""
    name = {"Operations": [{"op": "add", "path": "name.familyName", "value": "Byron"}]}
    rename = {"Operations": [{"op": "replace", "path": "displayName", "value": "B"}]}
    label = {"Operations": [{"op": "add", "path": f"{ENTERPRISE}:department", "value": "Ops"}]}

    created, named, labelled, group, renamed, quiet = bulk(
        post("u", "/Users?attributes=userName", userName="ben", title="Boss"),
        {"method": "PATCH", "path": f"/Users/{user['id']}?attributes=name.familyName", "data": name},
        {"method": "PATCH", "path": f"/Users/bulkId:u?attributes={ENTERPRISE}:department", "data": label},
        post(
            "g", "/Groups?excludedAttributes=members,meta", displayName="A", members=[{"value": "bulkId:h"}]
        ),
        {"method": "PATCH", "path": "/Groups/bulkId:g?attributes=displayName", "data": rename},
        post("h", "/Groups", displayName="H", members=[{"value": "bulkId:g"}]),
    )

    assert created["response"].keys() == {"schemas", "id", "userName"}
    assert named["response"]["name"] == {"familyName": "Byron"}
    assert labelled["response"][ENTERPRISE] == {"department": "Ops"}
    assert group["response"].keys() == {"schemas", "id", "displayName"}
    assert (renamed["status"], renamed["response"]["displayName"]) == ("200", "B")
    assert "response" not in quiet


@pytest.mark.parametrize(("limit", "processed"), [(None, 4), (1, 2), (2, 3), (3, 4), (0, 2)])
def test_fail_on_errors_ends_the_job(bulk, user, limit, processed):
    bad = post("b", USERS, userName="ada")
    operations = [post("a", USERS, userName="a"), bad, bad | {"bulkId": "c"}, post("d", USERS, userName="d")]

    results = bulk(*operations, **({} if limit is None else {"failOnErrors": limit}))

    assert len(results) == processed


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"method": "POST", "path": "/Bulk", "bulkId": "x", "data": {}}, "404"),
        ({"method": "POST", "path": "/../../admin/v1/seats", "bulkId": "x", "data": {}}, "404"),
        ({"method": "POST", "path": "/Me", "bulkId": "x", "data": {}}, "404"),
        ({"method": "GET", "path": "/Users/x"}, "405"),
        ({"method": "POST", "path": "/Users/x", "bulkId": "x", "data": {}}, "405"),
        ({"method": "DELETE", "path": "/Users"}, "405"),
        ({"method": "POST", "path": "/Users", "bulkId": "x"}, "400"),
        ({"method": "POST", "path": "/Users", "bulkId": "x", "data": []}, "400"),
        ({"method": "POST", "path": "/Users/.search", "bulkId": "x", "data": {}}, "405"),
        ({"method": "DELETE", "path": "/Planets/x"}, "404"),
        ({"method": "DELETE"}, "400"),
        ({"path": "/Users/x"}, "400"),
        ({}, "400"),
    ],
)
def test_an_operation_that_cannot_be_is_refused_alone(bulk, operation, status):
    [result] = bulk(operation)

    assert result["status"] == status
    assert result["response"]["status"] == status
    assert ("and no other method" in result["response"]["detail"]) == (status == "405")


@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        ({}, "invalidSyntax"),
        ({"Operations": {}}, "invalidSyntax"),
        ({"Operations": [7]}, "invalidSyntax"),
        ({"Operations": [{"method": 7}]}, "invalidSyntax"),
        ({"Operations": [], "failOnErrors": "1"}, "invalidSyntax"),
        ({"Operations": [post("x", USERS), post("x", GROUPS)]}, "invalidValue"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_as_a_whole(scim, body, scim_type):
    response = scim.post("/Bulk", body)

    assert response.status_code == 400
    assert body_of(response)["scimType"] == scim_type


def test_the_limits_hold_at_exactly_what_is_promised(make_app, make_token):
    app = make_app(bulk_max_operations=3, bulk_max_payload_bytes=2000)
    scim = Caller(app, make_token("scim"), "/scim/v2")
    promised = body_of(scim.get("/ServiceProviderConfig"))["bulk"]
    operations = [{"method": "DELETE", "path": f"/Users/{number}"} for number in range(4)]

    assert scim.post("/Bulk", {"Operations": operations[: promised["maxOperations"]]}).status_code == 200
    too_many = scim.post("/Bulk", {"Operations": operations})
    assert too_many.status_code == 413
    assert "maxOperations (3)" in body_of(too_many)["detail"]

    envelope = len(b'{"Operations":[],"x":""}')
    fits = {"Operations": [], "x": "x" * (promised["maxPayloadSize"] - envelope)}
    assert scim.post("/Bulk", fits).status_code == 200
    too_large = scim.post("/Bulk", fits | {"x": fits["x"] + "x"})
    assert too_large.status_code == 413
    assert "maxPayloadSize (2000)" in body_of(too_large)["detail"]


def test_a_strict_client_has_to_name_what_it_creates(caller):
    strict = caller("scim", profile="strict")

    response = strict.post("/Bulk", {"Operations": [post(None, USERS, userName="ben")]})

    assert body_of(response)["Operations"][0]["status"] == "400"


def test_text_that_only_looks_like_a_reference_is_none():
    assert references_in({"displayName": "see bulkId:7", "nickName": "bulk"}) == set()


def test_what_refers_is_left_out_whole():
    [operation] = read(
        {"Operations": [post("a", GROUPS, displayName="A", members=[{"value": "bulkId:b"}, {"value": "x"}])]},
        1,
    ).operations

    assert without_references(operation).data == {"displayName": "A", "members": [{"value": "x"}]}


def creations(*names):
    return [
        {"method": "POST", "path": "/Users", "bulkId": f"b{number}", "data": {"userName": name}}
        for number, name in enumerate(names)
    ]


def test_people_who_are_created_together_get_what_they_would_have_got_one_by_one(world):
    together, one_by_one = world(premium=2, standard=3), world(premium=2, standard=3)
    names = [f"u{number}" for number in range(8)]

    results = together.scim.post("/Bulk", {"Operations": creations(*names)})["Operations"]
    one_by_one.push(*names)

    assert [(result["status"], result["bulkId"]) for result in results] == [
        ("201", f"b{number}") for number in range(8)
    ]
    seats = [together.scim.get(result["location"].partition("/scim/v2")[2])[SEAT] for result in results]
    alone = [one_by_one.scim.get(f"/Users/{one_by_one.ids[name]}")[SEAT] for name in names]
    assert seats == alone
    assert together.pools() == one_by_one.pools()
    assert [(event["to_tier"], event["source"]) for event in together.events()] == [
        (event["to_tier"], event["source"]) for event in one_by_one.events()
    ]


@pytest.mark.parametrize("policy", ["fallback", "wait", "reject", "auto_purchase"])
def test_one_who_is_refused_among_many_is_refused_alone(world, policy):
    acme = world(premium=1, standard=2, exhausted_policy=policy)
    acme.push("u1")

    results = acme.scim.post("/Bulk", {"Operations": creations("u0", "U1", "u2", "u2")})["Operations"]

    assert [result["status"] for result in results] == ["201", "409", "201", "409"]
    assert acme.scim.get("/Users?count=0")["totalResults"] == 3


def test_a_job_ends_at_the_error_that_is_one_too_many_also_among_people(world):
    acme = world(premium=5)
    acme.push("u1")

    body = {"failOnErrors": 1, "Operations": creations("u0", "u1", "u2")}
    results = acme.scim.post("/Bulk", body)["Operations"]

    assert [result["status"] for result in results] == ["201", "409"]
    assert acme.scim.get("/Users?count=0")["totalResults"] == 2
