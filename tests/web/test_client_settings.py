"""What a token's settings change over HTTP: each setting in each of its values."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from scim_server.scim.dialects import Deviation

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
SEAT = "urn:scim-seats:params:scim:schemas:extension:seat:2.0:User"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
WORK = 'emails[type eq "work"].value'


def body_of(response):
    return response.get_json(force=True)


def refusal(response):
    """Return the status and the scimType of an error."""
    return response.status_code, body_of(response).get("scimType")


@pytest.fixture
def client(caller):
    """A client with some settings: ``client(unknown_member="reject")``."""
    return lambda **settings: caller("scim", client_settings=settings)


def made(client, path="/Users", **body):
    response = client.post(path, body)
    assert response.status_code == 201, response.text
    return body_of(response)


# -- patch_unmatched_filter


def test_patch_unmatched_filter_create_makes_the_value(client):
    scim = client(patch_unmatched_filter="create")
    user = made(scim, userName="ada")

    response = scim.patch(f"/Users/{user['id']}", {"op": "replace", "path": WORK, "value": "a@b.c"})

    assert response.status_code == 200
    assert body_of(response)["emails"] == [{"type": "work", "value": "a@b.c"}]


def test_patch_unmatched_filter_reject_refuses_replace_and_never_add(client):
    scim = client(patch_unmatched_filter="reject")
    user = made(scim, userName="ada")

    replaced = scim.patch(f"/Users/{user['id']}", {"op": "replace", "path": WORK, "value": "a@b.c"})
    added = scim.patch(f"/Users/{user['id']}", {"op": "add", "path": WORK, "value": "a@b.c"})

    assert refusal(replaced) == (400, "noTarget")
    assert body_of(added)["emails"] == [{"type": "work", "value": "a@b.c"}]


@pytest.mark.parametrize("setting", ["create", "reject"])
@pytest.mark.parametrize("op", ["add", "replace"])
def test_a_filter_that_says_more_than_eq_makes_no_value(client, setting, op):
    scim = client(patch_unmatched_filter=setting)
    user = made(scim, userName="ada")
    operation = {"op": op, "path": 'emails[type eq "work" or type eq "home"].value', "value": "a@b.c"}

    response = scim.patch(f"/Users/{user['id']}", operation)

    assert refusal(response) == (400, "noTarget")


# -- post_existing


@pytest.mark.parametrize("active", [True, False])
def test_post_existing_conflict_refuses_whoever_is_there(client, active):
    scim = client(post_existing="conflict")
    made(scim, userName="ada", active=active)

    assert refusal(scim.post("/Users", {"userName": "ADA"})) == (409, "uniqueness")


def test_post_existing_restore_inactive_brings_back_who_left_with_the_same_id(client):
    scim = client(post_existing="restore_inactive")
    user = made(scim, userName="ada", externalId="00u1", active=False, title="old")

    response = scim.post("/Users", {"userName": "Ada", "active": True, "displayName": "Ada L"})

    restored = body_of(response)
    assert response.status_code == 201
    assert response.headers["Location"] == restored["meta"]["location"]
    assert restored["id"] == user["id"]
    assert (restored["active"], restored["userName"], restored["displayName"]) == (True, "Ada", "Ada L")
    assert "title" not in restored


def test_post_existing_restore_inactive_knows_who_left_by_external_id(client):
    scim = client(post_existing="restore_inactive")
    user = made(scim, userName="ada", externalId="00u1", active=False)

    restored = made(scim, userName="ada.lovelace", externalId="00u1")

    assert (restored["id"], restored["active"]) == (user["id"], True)
    assert body_of(scim.get("/Users"))["totalResults"] == 1


def test_post_existing_restore_inactive_touches_nobody_who_is_active(client):
    scim = client(post_existing="restore_inactive")
    user = made(scim, userName="ada", externalId="00u1", title="kept")
    made(scim, userName="left", externalId="00u2", active=False)

    same_name = scim.post("/Users", {"userName": "ada"})
    name_of_another = scim.post("/Users", {"userName": "ada", "externalId": "00u2"})

    assert refusal(same_name) == refusal(name_of_another) == (409, "uniqueness")
    assert body_of(scim.get(f"/Users/{user['id']}"))["title"] == "kept"


def test_post_existing_restore_inactive_brings_back_once_when_many_ask(client):
    scim = client(post_existing="restore_inactive")
    user = made(scim, userName="ada", active=False)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: scim.post("/Users", {"userName": "ada"}), range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert [body_of(answer)["id"] for answer in answers if answer.status_code == 201] == [user["id"]]


# -- unique_group_names


def test_unique_group_names_true_refuses_a_namesake_in_any_letter_case(client):
    scim = client(unique_group_names="true")
    made(scim, "/Groups", displayName="eng")
    other = made(scim, "/Groups", displayName="ops")

    assert refusal(scim.post("/Groups", {"displayName": "ENG"})) == (409, "uniqueness")
    assert refusal(scim.put(f"/Groups/{other['id']}", {"displayName": "Eng"})) == (409, "uniqueness")
    renamed = scim.patch(f"/Groups/{other['id']}", {"op": "replace", "path": "displayName", "value": "eng"})
    assert refusal(renamed) == (409, "uniqueness")


def test_unique_group_names_false_lets_names_repeat(client):
    scim = client(unique_group_names="false")
    first, second = made(scim, "/Groups", displayName="eng"), made(scim, "/Groups", displayName="eng")

    found = body_of(scim.get('/Groups?filter=displayName eq "eng"'))

    assert {group["id"] for group in found["Resources"]} == {first["id"], second["id"]}


# -- unknown_member


def test_unknown_member_skip_takes_the_others_and_tells_of_it(client, owner):
    scim = client(unknown_member="skip")
    user, group = made(scim, userName="ada"), made(scim, "/Groups", displayName="eng")
    members = [{"value": "nobody"}, {"value": user["id"]}]

    response = scim.patch(f"/Groups/{group['id']}", {"op": "add", "path": "members", "value": members})

    assert response.status_code == 204
    stored = body_of(scim.get(f"/Groups/{group['id']}"))["members"]
    assert [member["value"] for member in stored] == [user["id"]]
    audit = body_of(owner.get("/audit?limit=100"))["items"]
    assert any('"skipped":1' in str(entry).replace("'", '"').replace(" ", "") for entry in audit)


@pytest.mark.parametrize("nobody", ["", {"value": ""}, {"Value": "", "display": "B"}])
def test_unknown_member_skip_takes_an_empty_id_for_nobodys(client, nobody):
    scim = client(unknown_member="skip")
    user, group = made(scim, userName="ada"), made(scim, "/Groups", displayName="eng")
    body = {"displayName": "eng", "members": [nobody, {"value": user["id"]}]}

    response = scim.put(f"/Groups/{group['id']}", body)
    removal = scim.patch(f"/Groups/{group['id']}", {"op": "remove", "path": "members", "value": [nobody]})

    assert (response.status_code, removal.status_code) == (200, 204)
    stored = body_of(scim.get(f"/Groups/{group['id']}"))["members"]
    assert [member["value"] for member in stored] == [user["id"]]


@pytest.mark.parametrize("members", [[{}], [{"display": "B"}], [{"id": "x"}]])
def test_a_member_without_an_id_empties_no_group(client, members):
    """What says nothing of an id is a mistake, and no list of nobody."""
    scim = client(unknown_member="skip")
    user = made(scim, userName="ada")
    group = made(scim, "/Groups", displayName="eng", members=[{"value": user["id"]}])

    response = scim.put(f"/Groups/{group['id']}", {"displayName": "eng", "members": members})

    assert refusal(response) == (400, "invalidValue")
    assert len(body_of(scim.get(f"/Groups/{group['id']}"))["members"]) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_unknown_member_reject_names_the_first_and_changes_nothing(client, method):
    scim = client(unknown_member="reject")
    user = made(scim, userName="ada")
    group = made(scim, "/Groups", displayName="eng")
    members = [{"value": user["id"]}, {"value": "nobody-1"}, {"value": "nobody-2"}]
    bodies = {
        "POST": ("/Groups", {"displayName": "new", "members": members}),
        "PUT": (f"/Groups/{group['id']}", {"displayName": "new", "members": members}),
        "PATCH": (
            f"/Groups/{group['id']}",
            {"Operations": [{"op": "replace", "value": {"displayName": "new", "members": members}}]},
        ),
    }

    response = scim.request(method, *bodies[method])

    assert refusal(response) == (400, "invalidValue")
    assert "nobody-1" in body_of(response)["detail"]
    stored = body_of(scim.get("/Groups"))["Resources"]
    assert [(found["displayName"], found.get("members")) for found in stored] == [("eng", None)]


def test_a_manager_is_never_checked(client):
    scim = client(unknown_member="reject")

    user = made(scim, userName="ada", **{ENTERPRISE: {"manager": {"value": "nobody"}}})

    assert user[ENTERPRISE]["manager"] == {"value": "nobody"}


# -- unknown_attributes

UNKNOWN = [
    pytest.param({"favouriteColour": "blue"}, id="attribute"),
    pytest.param({"urn:example:x": {"y": 1}}, id="extension"),
    pytest.param({"emails": [{"value": "a@b.c", "verified": True}]}, id="sub-attribute"),
    pytest.param({ENTERPRISE: {"floor": 3}}, id="attribute of an extension"),
]


@pytest.mark.parametrize("extra", UNKNOWN)
def test_unknown_attributes_ignore_neither_stores_nor_shows_them(client, extra):
    scim = client(unknown_attributes="ignore")

    user = made(scim, userName="ada", **extra)
    replaced = scim.put(f"/Users/{user['id']}", {"userName": "ada", **extra})
    patched = scim.patch(f"/Users/{user['id']}", {"op": "add", "value": {"title": "t", **extra}})

    for shown in (user, body_of(replaced), body_of(patched), body_of(scim.get(f"/Users/{user['id']}"))):
        assert not re.search("favouriteColour|urn:example|verified|floor", str(shown))
    assert body_of(patched)["title"] == "t"


@pytest.mark.parametrize("extra", UNKNOWN)
def test_unknown_attributes_reject_refuses_them_by_name(client, extra):
    scim = client(unknown_attributes="reject")
    user = made(scim, userName="ada")

    created = scim.post("/Users", {"userName": "eve", **extra})
    replaced = scim.put(f"/Users/{user['id']}", {"userName": "ada", **extra})
    patched = scim.patch(f"/Users/{user['id']}", {"op": "add", "value": {"title": "t", **extra}})

    for response in (created, replaced, patched):
        assert response.status_code == 400
        assert re.search("favouriteColour|urn:example|verified|floor", body_of(response)["detail"])
    assert refusal(created) == (400, "invalidSyntax")
    assert "title" not in body_of(scim.get(f"/Users/{user['id']}"))


# -- lenient, seat_extension, force_media_type


def test_lenient_true_takes_what_is_clear(client):
    scim = client(lenient="true")

    user = made(scim, schemas=["urn:scim:schemas:core:1.0"], userName="ada", active="False")

    assert user["active"] is False


@pytest.mark.parametrize(
    "body", [{"active": "False"}, {"schemas": ["urn:scim:schemas:core:1.0"]}, {"title": 5}]
)
def test_lenient_false_takes_what_the_rfc_says(client, body):
    scim = client(lenient="false")

    response = scim.post("/Users", {"schemas": [USER], "userName": "ada", **body})

    assert response.status_code == 400


def test_seat_extension_default_shows_the_seat_and_request_waits_for_it(client):
    always, asked = client(seat_extension="default"), client(seat_extension="request")
    user = made(always, userName="ada")

    assert SEAT in body_of(always.get(f"/Users/{user['id']}"))
    assert SEAT not in body_of(asked.get(f"/Users/{user['id']}"))
    assert body_of(asked.get(f"/Users/{user['id']}?attributes={SEAT}"))[SEAT]["tier"]


@pytest.mark.parametrize(
    ("setting", "accept", "expected"),
    [
        ("none", "application/json", "application/json"),
        ("none", "application/scim+json", "application/scim+json"),
        ("application/scim+json", "application/json", "application/scim+json"),
        ("application/json", "application/scim+json", "application/json"),
    ],
)
def test_force_media_type_decides_over_accept(client, setting, accept, expected):
    scim = client(force_media_type=setting)

    assert scim.get("/Users", Accept=accept).content_type == expected
    assert scim.get("/Users/nobody", Accept=accept).content_type == expected
    assert scim.post("/Users", {"userName": "ada"}, Accept=accept).content_type == expected


# -- profiles


def test_the_profile_strict_reads_the_rfc_to_the_letter_and_names_in_any_case(caller):
    scim = caller("scim", profile="strict")
    user = made(scim, schemas=[USER], USERNAME="ada")
    path = f"/Users/{user['id']}"

    assert refusal(scim.patch(path, {"op": "replace", "path": WORK, "value": "a"})) == (400, "noTarget")
    assert refusal(scim.post("/Users", {"schemas": [USER], "userName": "e", "x": 1})) == (
        400,
        "invalidSyntax",
    )
    group = made(scim, "/Groups", schemas=[GROUP], displayName="eng")
    assert made(scim, "/Groups", schemas=[GROUP], displayName="eng")["id"] != group["id"]
    adding = {"op": "Add", "path": "MEMBERS", "value": [{"value": "nobody"}]}
    assert refusal(scim.patch(f"/Groups/{group['id']}", adding)) == (400, "invalidValue")
    renaming = scim.patch(path, {"OP": "Replace", "PATH": "displayname", "Value": "Ada"})
    assert body_of(renaming)["displayName"] == "Ada"


def test_settings_hold_for_their_token_alone(client):
    strict, lenient = client(unknown_attributes="reject"), client()

    assert strict.post("/Users", {"userName": "ada", "x": 1}).status_code == 400
    assert lenient.post("/Users", {"userName": "ada", "x": 1}).status_code == 201


def test_nothing_depends_on_the_user_agent(scim):
    agents = [
        "Okta SCIM Client 1.0.0",
        "Microsoft Azure AD SCIM provisioning",
        "Google-Auto-Provisioning",
        "Apache-HttpClient/4.5",
        "",
    ]
    user = made(scim, userName="ada")
    operation = {"op": "Replace", "path": WORK, "value": "a@b.c"}

    answers = [
        (answer.status_code, answer.headers["ETag"], answer.data)
        for agent in agents
        for answer in [scim.patch(f"/Users/{user['id']}", operation, User_Agent=agent)]
    ]

    assert len(set(answers)) == 1


# -- what is no setting


@pytest.mark.parametrize(
    ("body", "culprits"),
    [
        ({"kind": "scim", "settings": {"nosuch": "x"}}, ["nosuch", "unknown_member"]),
        ({"kind": "scim", "settings": {"unknown_member": "maybe"}}, ["unknown_member", "maybe", "skip"]),
        ({"kind": "scim", "settings": {"unique_group_names": "perhaps"}}, ["unique_group_names", "true"]),
        ({"kind": "scim", "settings": {"force_media_type": "text/html"}}, ["force_media_type", "none"]),
        ({"kind": "scim", "profile": "lax"}, ["profile", "strict"]),
        ({"kind": "jit", "settings": {"unknown_member": "skip"}}, ["scim"]),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_what_would(owner, body, culprits):
    response = owner.post("/tokens", body)

    assert response.status_code == 422
    assert [culprit for culprit in culprits if culprit not in response.text] == []


def test_a_flag_can_be_a_boolean_of_json(owner):
    response = owner.post("/tokens", {"kind": "scim", "settings": {"unique_group_names": False}})

    assert response.status_code == 201
    assert body_of(response)["settings"] == {"unique_group_names": "false"}


def test_a_token_shows_its_settings_and_keeps_them_when_it_is_rotated(owner):
    made_ = body_of(
        owner.post("/tokens", {"kind": "scim", "profile": "strict", "settings": {"lenient": "true"}})
    )

    rotated = body_of(owner.post(f"/tokens/{made_['id']}/rotate", None))

    for shown in (made_, rotated, body_of(owner.get("/tokens"))["items"][-1]):
        assert (shown["profile"], shown["settings"]) == ("strict", {"lenient": "true"})


# -- what is counted


def counted(app):
    """Return the deviations that were counted."""
    text = app.test_client().get("/metrics").get_data(as_text=True)
    return set(re.findall(r'scim_client_deviations_total\{deviation="(\w+)"', text))


def test_every_deviation_of_a_token_is_counted(app, client):
    scim = client(post_existing="restore_inactive")
    ada = made(scim, userName="ada", title=5, active="True", emails={"value": "a@b.c"}, colour="blue")
    made(scim, userName="eve", active=False)
    made(scim, userName="eve", roles=[{"value": "a", "primary": True}, {"value": "b", "primary": True}])
    made(scim, userName="bob", **{ENTERPRISE: {"manager": [{"managerId": "m"}]}})
    group = made(scim, "/Groups", displayName="eng", members=["nobody"])
    user, eng = f"/Users/{ada['id']}", f"/Groups/{group['id']}"
    for operation in (
        {"op": "Add", "path": "department", "value": "Ops"},
        {"op": "replace", "path": WORK, "value": "w@b.c"},
        {"OP": "add", "path": f"{ENTERPRISE}:manager", "value": "m-1"},
        {"op": "remove", "path": f'{ENTERPRISE}:manager[value eq "m-1"]'},
        {"op": "remove", "path": "emails", "value": [{"value": "w@b.c"}]},
        {"op": "replace", "value": {USER: {"nickName": {"value": "Countess"}}}},
        {"op": "replace", "value": {"id": "x", "schemas": [USER], f"{ENTERPRISE}.division": "d"}},
    ):
        assert scim.patch(user, operation).status_code == 200
    assert scim.patch(eng, {"op": "remove", "path": 'members[value eq "x"]'}).status_code == 204
    assert scim.get("/Users?filter=title eq boss").status_code == 200
    assert scim.get('/Users?filter=emails[type eq "work"].value eq "x"').status_code == 200
    bulk = {"Operations": [{"method": "POST", "path": "/Groups", "data": {"displayName": "ops"}}]}
    assert scim.post("/Bulk", bulk).status_code == 200

    assert counted(app) == set(Deviation)


def test_a_login_and_an_invitation_are_no_scim_and_deviate_from_nothing(app, caller, owner):
    owner.request("PATCH", "/organization", {"settings": {"provisioning_mode": "jit"}})

    login = caller("jit").post("/login", {"userName": "ada@example.com"})
    invitation = owner.post("/members", {"userName": "eve@example.com"})

    assert body_of(login)["created"] is True
    assert invitation.status_code == 201
    assert counted(app) == set()
