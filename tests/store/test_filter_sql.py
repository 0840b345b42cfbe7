"""The databases answer every filter as ``scim.matching`` does, SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest

from scim_server.operations import access, groups, organizations, queries, users
from scim_server.operations.queries import Limits, Query
from scim_server.scim import filters, projection
from scim_server.scim.matching import matches
from scim_server.scim.schemas import ENTERPRISE_URN, GROUP, SEAT_URN, USER
from seat_policy import Source

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = Limits(default_page=1000, max_page=1000, cursor_seconds=60)
TEXTS = [
    "ada",
    "Ada",
    "ADA L",
    "ß",
    "SS",
    "Ñandú",
    "50%",
    "a_b",
    "50",
    "",
    "東京",
    "x]y",
    'q"uote',
    "zoë",
    "back\\slash",
]
TYPES = ["work", "home", "Other"]
TITLES = [None, *TEXTS]
FILTERS = 1_500


def random_user(draw: random.Random, number: int) -> dict[str, Any]:
    user: dict[str, Any] = {"userName": f"{draw.choice(TEXTS)}{number}", "active": draw.random() < 0.7}
    for name in ("title", "displayName", "externalId", "nickName", "profileUrl"):
        if draw.random() < 0.6:
            user[name] = draw.choice(TEXTS[:9]) or "z"
    if draw.random() < 0.6:
        user["name"] = {"familyName": draw.choice(TEXTS), "givenName": draw.choice(TEXTS)}
    for name in ("emails", "phoneNumbers", "roles", "photos"):
        user[name] = [random_value(draw) for _ in range(draw.randint(0, 3))]
    if draw.random() < 0.5:
        user["addresses"] = [{"type": draw.choice(TYPES), "locality": draw.choice(TEXTS), "country": "DE"}]
    if draw.random() < 0.5:
        user[ENTERPRISE_URN] = {
            "department": draw.choice(TEXTS),
            "manager": {"value": draw.choice(TEXTS) or "m"},
        }
    return user


def random_value(draw: random.Random) -> dict[str, Any]:
    value: dict[str, Any] = {"value": draw.choice(TEXTS)}
    if draw.random() < 0.7:
        value["type"] = draw.choice(TYPES)
    if draw.random() < 0.3:
        value["display"] = draw.choice(TEXTS)
    if draw.random() < 0.2:
        value["primary"] = draw.random() < 0.7
    return value


TEXT_PATHS = [
    "userName", "title", "displayName", "externalId", "nickName", "profileUrl", "name.familyName", "name.givenName",
    "emails.value", "emails.type", "emails.display", "emails", "phoneNumbers.value", "roles.value", "roles.display",
    "photos.value", "addresses.locality", "addresses.country", "id", "meta.resourceType", "meta.location",
    "meta.version", "schemas", f"{ENTERPRISE_URN}:department", f"{ENTERPRISE_URN}:manager.value",
    f"{ENTERPRISE_URN}:manager", f"{SEAT_URN}:tier", f"{SEAT_URN}:source", f"{SEAT_URN}:status",
    f"{SEAT_URN}:desiredTier", "groups.value", "groups.display", "groups.type", "groups.$ref", "groups",
]  # fmt: skip
BOOLEAN_PATHS = ["active", "emails.primary", "roles.primary", f"{SEAT_URN}:canUse"]
TIME_PATHS = ["meta.created", "meta.lastModified", f"{SEAT_URN}:waitingSince"]
PRESENT_ONLY = ["name", "addresses", ENTERPRISE_URN, SEAT_URN, "meta", "emails", "groups"]
ELEMENTS = {
    "emails": ["value", "type", "display"],
    "roles": ["value", "type", "display"],
    "addresses": ["locality", "type", "country"],
    "groups": ["value", "display", "type"],
    "photos": ["value", "type"],
}
GROUP_PATHS = [
    "displayName",
    "externalId",
    "id",
    "members.value",
    "members",
    "members.type",
    "members.$ref",
    "schemas",
]
OPERATORS = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]


class Filters:
    """Writes random filters over the attributes of a resource type."""

    def __init__(self, draw: random.Random, literals: list[str], paths: list[str], *, is_user: bool) -> None:
        self.draw = draw
        self.literals = literals
        self.paths = paths
        self.is_user = is_user

    def expression(self, depth: int = 0) -> str:
        roll = self.draw.random()
        if depth < 3 and roll < 0.2:
            return f"{self.expression(depth + 1)} and {self.expression(depth + 1)}"
        if depth < 3 and roll < 0.4:
            return f"{self.expression(depth + 1)} or {self.expression(depth + 1)}"
        if depth < 3 and roll < 0.5:
            return f"not ({self.expression(depth + 1)})"
        if depth < 3 and roll < 0.55:
            return f"({self.expression(depth + 1)})"
        if self.is_user and roll < 0.7:
            return self.value_path()
        return self.comparison()

    def comparison(self) -> str:
        roll = self.draw.random()
        if roll < 0.12:
            return f"{self.draw.choice([*self.paths, *(PRESENT_ONLY if self.is_user else [])])} pr"
        if self.is_user and roll < 0.22:
            operator, value = self.draw.choice(["eq", "ne"]), self.draw.choice(["true", "false"])
            return f"{self.draw.choice(BOOLEAN_PATHS)} {operator} {value}"
        if self.is_user and roll < 0.32:
            operator = self.draw.choice(["eq", "ne", "gt", "ge", "lt", "le"])
            instant = self.draw.choice(
                ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00", "2025-01-01T00:00:00Z"]
            )
            return f'{self.draw.choice(TIME_PATHS)} {operator} "{instant}"'
        return f"{self.draw.choice(self.paths)} {self.draw.choice(OPERATORS)} {self.literal()}"

    def value_path(self) -> str:
        attribute = self.draw.choice(sorted(ELEMENTS))
        terms = [
            f"{self.draw.choice(ELEMENTS[attribute])} {self.draw.choice(OPERATORS)} {self.literal()}"
            for _ in range(self.draw.randint(1, 3))
        ]
        inner = self.draw.choice([" and ", " or "]).join(terms)
        return f"{attribute}[not ({inner})]" if self.draw.random() < 0.2 else f"{attribute}[{inner}]"

    def literal(self) -> str:
        return json.dumps(self.draw.choice(self.literals), ensure_ascii=False)


@pytest.fixture
def acme(database):
    made = database.run(
        organizations.create,
        name="acme",
        plan="enterprise",
        seats={"premium": 10, "standard": 10},
        prices={},
        currency="USD",
        billing="annual",
        term_start=date(2026, 1, 1),
        time_zone="UTC",
        settings={},
        at=NOW,
        request_id="test",
    )
    return access.system_call(
        made["id"], actor="test", at=NOW, request_id="test", base_url="https://scim.example.com/scim/v2"
    )


def fill(database, call, draw: random.Random) -> list[str]:
    ids = []
    for number in range(60):
        document = {"schemas": [USER.schema.id], **random_user(draw, number)}
        whole = projection.of(USER, None, None)
        ids.append(database.run(users.create, call, users.document_of(call, document), whole).id)
    for number in range(12):
        members = [{"value": identifier} for identifier in draw.sample(ids, draw.randint(0, 8))]
        body = {"displayName": f"{draw.choice(TEXTS)}{number}", "members": members}
        if draw.random() < 0.5:
            body["externalId"] = draw.choice(TEXTS) or "e"
        database.run(groups.create, call, groups.document_of(call, body), projection.of(GROUP, None, None))
    return ids


def found(database, call, resource_type, text: str | None) -> list[dict[str, Any]]:
    query = Query((resource_type,), text, None, False, 1, 1000, None, None, None)
    answer = orjson.loads(database.read(queries.search, call, query, LIMITS))
    assert answer["totalResults"] == len(answer["Resources"])
    return list(answer["Resources"])


@pytest.mark.parametrize("resource_type", [USER, GROUP], ids=["users", "groups"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_filter_finds_what_matches_and_nothing_else(database, acme, resource_type, seed):
    draw = random.Random(seed)
    fill(database, acme, draw)
    everything = found(database, acme, resource_type, None)
    literals = TEXTS + [r["id"] for r in everything[:5]] + [r["meta"]["location"] for r in everything[:3]]
    literals += [
        "User",
        "Group",
        "premium",
        "any",
        "default",
        "direct",
        USER.schema.id,
        ENTERPRISE_URN,
        'W/"1"',
    ]
    is_user = resource_type is USER
    write = Filters(draw, literals, TEXT_PATHS if is_user else GROUP_PATHS, is_user=is_user)
    telling = 0
    for _ in range(FILTERS // 4):
        text = write.expression()
        expression = filters.parse_filter(text, resource_type, lenient=False)
        expected = {resource["id"] for resource in everything if matches(expression, resource)}

        answered = {resource["id"] for resource in found(database, acme, resource_type, text)}

        assert answered == expected, text
        telling += 0 < len(expected) < len(everything)
    assert telling > (75 if is_user else 25), "the filters are too dull to tell anything"


def test_a_new_member_of_a_tier_has_a_source(acme, database):
    fill(database, acme, random.Random(3))

    [first, *_] = found(database, acme, USER, f'{SEAT_URN}:tier eq "premium"')

    assert first[SEAT_URN]["source"] == Source.DEFAULT
