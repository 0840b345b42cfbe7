"""Lists: sorting, paging by index and by cursor (RFC 7644 §3.4.2, RFC 9865)."""

from __future__ import annotations

import pytest

from scim_server.scim.paths import AttributePath
from scim_server.scim.schemas import RESOURCE_TYPES

NAMES = ["dee", "Ada", "cy", "Ben", "eve"]


@pytest.fixture
def acme(world):
    acme = world(premium=2, standard=9)
    titles = {"dee": "Zoologist", "Ada": "analyst", "cy": None, "Ben": "Baker", "eve": None}
    for number, name in enumerate(NAMES):
        emails = [{"value": f"z{number}@example.com"}, {"value": f"{name}@example.com", "primary": True}]
        acme.push(name, emails=emails, **({"title": titles[name]} if titles[name] else {}))
    return acme


def names(answer):
    return [resource.get("userName", resource.get("displayName")) for resource in answer["Resources"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sortBy=userName", ["Ada", "Ben", "cy", "dee", "eve"]),
        ("sortBy=userName&sortOrder=descending", ["eve", "dee", "cy", "Ben", "Ada"]),
        ("sortBy=title", ["Ada", "Ben", "dee", "cy", "eve"]),
        ("sortBy=title&sortOrder=descending", ["cy", "eve", "dee", "Ben", "Ada"]),
        ("sortBy=emails", ["Ada", "Ben", "cy", "dee", "eve"]),
        ("sortBy=emails.value&sortOrder=descending", ["eve", "dee", "cy", "Ben", "Ada"]),
        ("sortBy=meta.created", NAMES),
        ("", NAMES),
    ],
)
def test_lists_are_sorted_without_case_and_who_has_no_value_comes_last(acme, query, expected):
    assert names(acme.scim.get(f"/Users?{query}")) == expected


@pytest.mark.parametrize("attribute", ["password", "nosuch", "name", "members"])
def test_what_cannot_be_sorted_by_is_refused(acme, attribute):
    status, error = acme.scim.refusal("GET", f"/Users?sortBy={attribute}")

    assert (status, error["scimType"]) == (400, "invalidValue")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("startIndex=2&count=2", ["Ada", "cy"]),
        ("startIndex=0&count=1", ["dee"]),
        ("startIndex=-5&count=1", ["dee"]),
        ("startIndex=6", []),
        ("startIndex=99999999999999999999", []),
        ("count=0", []),
        ("count=-1", []),
        ("COUNT=1&STARTINDEX=5", ["eve"]),
    ],
)
def test_pages_are_brought_into_range_and_the_total_is_exact(acme, query, expected):
    answer = acme.scim.get(f"/Users?{query}")

    assert names(answer) == expected
    assert answer["totalResults"] == 5
    assert answer["itemsPerPage"] == len(expected)


def walk(acme, query, path="/Users"):
    """Follow the cursors of a list to its end."""
    found, cursor = [], ""
    while cursor is not None:
        answer = acme.scim.get(f"{path}?cursor={cursor}&{query}")
        assert "startIndex" not in answer
        found.append(names(answer))
        cursor = answer.get("nextCursor")
    return found


@pytest.mark.parametrize(
    ("query", "pages"),
    [
        ("count=2", [["dee", "Ada"], ["cy", "Ben"], ["eve"]]),
        ("count=5", [NAMES]),
        ("count=2&sortBy=title", [["Ada", "Ben"], ["dee", "cy"], ["eve"]]),
        ("count=2&sortBy=title&sortOrder=descending", [["cy", "eve"], ["dee", "Ben"], ["Ada"]]),
        ("count=3&sortBy=meta.created", [["dee", "Ada", "cy"], ["Ben", "eve"]]),
        ("count=1&filter=title%20pr", [["dee"], ["Ada"], ["Ben"]]),
    ],
)
def test_cursors_lead_through_the_whole_list_once(acme, query, pages):
    assert walk(acme, query) == pages


def test_a_cursor_neither_skips_nor_repeats_while_others_write(acme):
    first = acme.scim.get("/Users?cursor=&count=2")
    acme.remove("dee")
    acme.push("flo")

    second = acme.scim.get(f"/Users?cursor={first['nextCursor']}&count=2")
    third = acme.scim.get(f"/Users?cursor={second['nextCursor']}&count=2")

    assert names(second) + names(third) == ["cy", "Ben", "eve", "flo"]
    assert "nextCursor" not in third


@pytest.mark.parametrize("path", ["/Users", ""])
@pytest.mark.parametrize(
    "query",
    [
        "",
        "sortBy=title",
        "sortBy=title&sortOrder=descending",
        "sortBy=userName&filter=id%20pr",
        "sortBy=emails&sortOrder=descending",
        "sortBy=meta.created",
        "sortBy=displayName",
    ],
)
def test_whoever_is_there_all_the_time_is_met_once_whatever_others_write(world, path, query):
    acme = world()
    staying = [f"u{number:02}" for number in range(10)]
    for number, name in enumerate(staying):
        title = {"title": "abc"[number % 3]} if number % 4 else {}
        acme.push(name, emails=[{"value": f"{number % 5}@example.com"}], **title)
        acme.push(f"leaver{number}", title="b")
    if path == "":
        acme.group("a group", "u01")
    met, cursor, page = [], "", 0

    while cursor is not None:
        answer = acme.scim.get(f"{path}?cursor={cursor}&count=3&{query}")
        assert answer["totalResults"] == len(acme.ids)
        met += names(answer)
        cursor = answer.get("nextCursor")
        acme.scim.delete(f"/Users/{acme.ids.pop(f'leaver{page}')}")
        acme.push(f"newcomer{page}", title="a")
        acme.patch_user("u01", {"op": "replace", "path": "nickName", "value": str(page)})
        page += 1

    assert sorted(name for name in met if name in staying) == staying
    assert len(met) == len(set(met))


def test_a_cursor_belongs_to_its_organization_query_and_page_size(acme, world, clock):
    cursor = acme.scim.get("/Users?cursor=&count=2")["nextCursor"]
    other = world()

    def refusal(client, query):
        status, error = client.refusal("GET", f"/Users?{query}")
        return status, error["scimType"]

    assert refusal(other.scim, f"cursor={cursor}&count=2") == (400, "invalidCursor")
    assert refusal(acme.scim, f"cursor={cursor}&count=2&filter=title%20pr") == (400, "invalidCursor")
    assert refusal(acme.scim, f"cursor={cursor[:-3]}abc&count=2") == (400, "invalidCursor")
    assert refusal(acme.scim, "cursor=nonsense&count=2") == (400, "invalidCursor")
    assert refusal(acme.scim, f"cursor={cursor}&count=3") == (400, "invalidCount")
    assert refusal(acme.scim, "cursor=&count=many") == (400, "invalidCount")
    clock.advance(hours=2)
    assert refusal(acme.scim, f"cursor={cursor}&count=2") == (400, "expiredCursor")


def test_the_root_answers_for_all_resource_types(acme):
    acme.group("Zebras", "Ada")

    everything = acme.scim.get("")
    sorted_ = acme.scim.get("?sortBy=displayName&filter=displayName%20pr")
    both = acme.scim.post("/.search", {"filter": 'userName eq "ada" or displayName eq "zebras"'})

    assert everything["totalResults"] == 6
    assert names(sorted_) == ["Zebras"]
    assert sorted(names(both)) == ["Ada", "Zebras"]


def test_the_root_can_be_walked_by_cursor(acme):
    acme.group("Zebras", "Ada")
    found, cursor = [], ""
    while cursor is not None:
        answer = acme.scim.get(f"?cursor={cursor}&count=4")
        found += names(answer)
        cursor = answer.get("nextCursor")

    assert found == [*NAMES, "Zebras"]


def test_a_search_request_says_the_same_as_the_parameters(acme):
    body = {
        "filter": "title pr",
        "sortBy": "userName",
        "startIndex": 2,
        "count": 1,
        "attributes": ["userName"],
    }

    answer = acme.scim.post("/Users/.search", body)

    assert [set(resource) for resource in answer["Resources"]] == [{"id", "schemas", "userName"}]
    assert names(answer) == ["Ben"]
    assert answer["totalResults"] == 3


def sortable():
    """Yield the path of every attribute."""
    for resource_type in RESOURCE_TYPES:
        for extension, attribute, sub in resource_type.walk():
            yield str(AttributePath(extension, attribute, sub))


@pytest.mark.parametrize("path", ["/Users", ""])
def test_by_whatever_a_list_is_sorted_index_and_cursor_agree(world, path):
    acme = world(premium=1, standard=1)
    for number, name in enumerate(["dee", "Ada", "cy"]):
        more = {"title": name, "emails": [{"value": name}], "externalId": name, "name": {"familyName": "x"}}
        acme.push(name, active=number != 1, **(more if number else {}))
    acme.group("Zebras", "dee", "cy")
    acme.group("apes")
    for attribute in sorted(set(sortable())):
        query = f"sortBy={attribute}&sortOrder=descending"
        answer = acme.scim.request("GET", f"{path}?{query}")
        if answer.status_code == 200:
            whole = names(answer.get_json(force=True))
            assert walk(acme, f"{query}&count=2", path) == [
                whole[at : at + 2] for at in range(0, len(whole), 2)
            ]
            assert names(acme.scim.get(f"{path}?{query}&startIndex=2&count=1")) == whole[1:2]
        else:
            assert answer.status_code == 400, (attribute, answer.text)
            assert answer.get_json(force=True)["scimType"] == "invalidValue"
