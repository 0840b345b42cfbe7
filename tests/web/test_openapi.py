"""The OpenAPI document describes every answer that the Admin API gives."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

TYPES = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


@dataclass
class Description:
    """The document, and which operations were seen to hold to it."""

    spec: dict[str, Any]
    seen: set[tuple[str, str]] = field(default_factory=set)

    def check(self, method: str, path: str, response: Any) -> None:
        """Fail unless the document has the status, the media type and the form of an answer."""
        rule = self._rule_of(path)
        described = self.spec["paths"][rule][method.lower()]["responses"]
        assert str(response.status_code) in described, (method, rule, response.status_code, response.text)
        content = self._resolved(described[str(response.status_code)]).get("content", {})
        if response.status_code == 204:
            assert not content
            return
        schema = content[response.content_type]["schema"]
        self._check_value(response.get_json(force=True), schema, f"{method} {rule}")
        if response.status_code < 400:
            self.seen.add((method, rule))

    def operations(self) -> set[tuple[str, str]]:
        return {
            (method.upper(), rule)
            for rule, item in self.spec["paths"].items()
            for method, described in item.items()
            if method != "parameters" and set(described["responses"]) & {"200", "201"}
        }

    def _rule_of(self, path: str) -> str:
        path = "/admin/v1" + path.partition("?")[0]
        rules = sorted(self.spec["paths"], key=lambda rule: rule.count("{"))
        return next(rule for rule in rules if re.fullmatch(re.sub(r"{\w+}", "[^/]+", rule), path))

    def _resolved(self, thing: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in thing:
            found: Any = self.spec
            for key in thing["$ref"].removeprefix("#/").split("/"):
                found = found[key]
            thing = found
        return thing

    def _check_value(self, value: Any, schema: dict[str, Any], where: str) -> None:
        schema = self._resolved(schema)
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            if (
                not any(self._resolved(option).get("type") == "null" for option in options)
                or value is not None
            ):
                fitting = [option for option in options if self._fits(value, option)]
                assert fitting, (where, value, options)
            return
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        assert not types or any(type(value) is TYPES[name] for name in types), (where, value, types)
        assert "enum" not in schema or value in schema["enum"], (where, value, schema["enum"])
        for name in schema.get("required", ()) if isinstance(value, dict) else ():
            assert name in value, (where, name)
        for name, inner in schema.get("properties", {}).items() if isinstance(value, dict) else ():
            if name in value:
                self._check_value(value[name], inner, f"{where} {name}")
        for inner in value if isinstance(value, list) else ():
            self._check_value(inner, schema.get("items", {}), f"{where} []")

    def _fits(self, value: Any, schema: dict[str, Any]) -> bool:
        try:
            self._check_value(value, schema, "")
        except AssertionError:
            return False
        return True


@pytest.fixture
def described(app):
    return Description(app.test_client().get("/admin/v1/openapi.json").get_json(force=True))


@pytest.fixture
def ask(owner, described):
    """Ask as an owner, check the answer against the document, and return it decoded."""

    def make(method: str, path: str, body: Any = None, **headers: str) -> Any:
        response = owner.request(method, path, body, **headers)
        described.check(method, path, response)
        return response.get_json(force=True) if response.data else None

    return make


def test_every_answer_is_as_the_document_says(ask, described, scim, caller):
    ada, ben, cy = (
        scim.post("/Users", {"userName": name}).get_json(force=True)["id"] for name in ("ada", "ben", "cy")
    )
    group = {"displayName": "eng", "members": [{"value": ada}, {"value": ben}]}
    group_id = scim.post("/Groups", group).get_json(force=True)["id"]
    settings = {"group_mappings": "on", "min_total": 0, "reduction_effective": "renewal"}

    ask("GET", "/organization")
    ask("PATCH", "/organization", {"settings": settings})
    ask("PUT", f"/mappings/{group_id}?dry_run=true", {"tier": "standard"})
    ask("PUT", f"/mappings/{group_id}", {"tier": "standard", "priority": 1, "role": "admin"})
    ask("GET", "/mappings")
    invited = ask("POST", "/members", {"userName": "dee"}, Idempotency_Key="invite")
    ask("POST", f"/members/{invited['id']}/accept")
    ask("GET", "/members")
    ask("GET", f"/members/{ada}")
    ask("PATCH", f"/members/{cy}", {"role": "owner"})
    ask("PUT", f"/members/{cy}/seat", {"tier": "standard", "reason": "asked"})
    ask("GET", f"/members/{cy}/seat")
    ask("DELETE", f"/members/{cy}/seat")
    ask("POST", "/seats/swap", {"a": ada, "b": invited["id"]})
    ask("DELETE", f"/members/{ada}/seat")
    for count in (2, -1):
        quote = ask("POST", "/seats/quotes", {"lines": [{"tier": "standard", "quantity": count}]})
        bought = ask(
            "POST", f"/seats/quotes/{quote['id']}/confirm", {"accept": True}, Idempotency_Key=quote["id"]
        )
    ask("GET", "/invoices")
    ask("GET", "/invoices/next")
    ask("GET", f"/invoices/{bought['id']}")
    scheduled = ask("GET", "/seats/scheduled")["items"]
    ask("DELETE", f"/seats/scheduled/{scheduled[0]['id']}")
    ask("GET", "/seats")
    ask("GET", "/seats/waiting")
    ask("GET", "/seats/events")
    ask("POST", "/seats/reprocess?dry_run=true")
    for decision in ("confirm", "reject"):
        ask("PATCH", "/organization", {"settings": {"removal_guard": 1, "unmapped_policy": "unassigned"}})
        scim.patch(f"/Groups/{group_id}", {"op": "remove", "path": "members"})
        held = ask("GET", "/seats/held")["items"]
        ask("POST", f"/seats/held/{held[0]['id']}/{decision}")
        scim.patch(f"/Groups/{group_id}", {"op": "add", "path": "members", "value": group["members"]})
    ask("DELETE", f"/mappings/{group_id}?dry_run=true")
    ask("DELETE", f"/mappings/{group_id}")
    made = ask("POST", "/tokens", {"kind": "scim", "name": "idp"}, Idempotency_Key="token")
    ask("POST", "/tokens", {"kind": "scim", "name": "idp"}, Idempotency_Key="token")
    ask("POST", f"/tokens/{made['id']}/rotate")
    ask("GET", "/tokens")
    ask("DELETE", f"/tokens/{made['id']}")
    ask("GET", "/audit")
    ask("DELETE", f"/members/{ben}")

    assert described.operations() - described.seen == set()


def test_every_refusal_is_as_the_document_says(ask, described, owner, scim, caller, app):
    ada, ben = (scim.post("/Users", {"userName": name}).get_json(force=True)["id"] for name in ("ada", "ben"))
    quote = ask("POST", "/seats/quotes", {"lines": [{"tier": "standard", "quantity": 1}]})
    codes = {
        (answer["status"], answer["code"])
        for answer in (
            ask("GET", "/members?limit=0"),
            ask("GET", "/members/nobody"),
            ask("PATCH", "/organization", {"settings": {"colour": "red"}}),
            ask("PATCH", "/organization", {"colour": "red"}),
            ask("POST", "/members", {"userName": "ada"}),
            ask("PUT", f"/members/{ben}/seat", {"tier": "premium"}),
            ask("POST", "/seats/swap", {"a": ada, "b": ada}),
            ask("POST", "/seats/quotes", {"lines": [{"tier": "standard", "quantity": -2}]}),
            ask("POST", "/seats/quotes", {"lines": [{"tier": "standard", "quantity": -5}]}),
            ask("POST", "/seats/quotes", {"lines": [{"tier": "standard", "quantity": 500}]}),
            ask("POST", f"/seats/quotes/{quote['id']}/confirm", {"accept": True}),
        )
    }
    ask("POST", "/members", {"userName": "cy"})
    stale = ask("POST", f"/seats/quotes/{quote['id']}/confirm", {"accept": True}, Idempotency_Key="key")
    forbidden = caller("admin").post("/seats/quotes", {"lines": []})
    described.check("POST", "/seats/quotes", forbidden)
    described.check("GET", "/seats", app.test_client().get("/admin/v1/seats"))
    for content_type, data in (("application/json", b"{"), ("application/xml", b"<a/>")):
        response = app.test_client().post(
            "/admin/v1/seats/quotes",
            data=data,
            content_type=content_type,
            headers={"Authorization": f"Bearer {owner.token}"},
        )
        described.check("POST", "/seats/quotes", response)
        assert response.status_code in (400, 415)

    assert codes | {(stale["status"], stale["code"])} == {
        (404, "not_found"),
        (409, "above_maximum"),
        (409, "below_minimum"),
        (409, "nothing_to_swap"),
        (409, "quote_stale"),
        (409, "seat_unavailable"),
        (409, "seats_in_use"),
        (409, "uniqueness"),
        (422, "confirmation_required"),
        (422, "invalid_request"),
        (422, "invalid_setting"),
    }
