"""One organization and everybody who talks to it, over HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from scim_server.app import ADMIN

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
SEAT = "urn:scim-seats:params:scim:schemas:extension:seat:2.0:User"


def routes(app: Flask) -> list[Rule]:
    """Return all routes of the server, those of the Admin API included, which is an application of its own."""
    return [*app.url_map.iter_rules(), *app.extensions[ADMIN]().url_map.iter_rules()]


class Refused(AssertionError):
    """The server said no; ``response`` says how."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__(f"{response.status_code} {response.get_data(as_text=True)[:500]}")
        self.response = response


@dataclass
class Client:
    """A caller with a token. Every method answers the decoded body and raises Refused for 4xx and 5xx."""

    http: FlaskClient
    token: str
    prefix: str
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.http.open(
            self.prefix + path,
            method=method,
            json=body,
            headers={"Authorization": f"Bearer {self.token}", **self.headers, **headers},
        )

    def _ok(self, response: TestResponse) -> Any:
        if response.status_code >= 400:
            raise Refused(response)
        return response.get_json(force=True) if response.data else None

    def get(self, path: str, **headers: str) -> Any:
        return self._ok(self.request("GET", path, **headers))

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._ok(self.request("POST", path, body, **headers))

    def put(self, path: str, body: Any, **headers: str) -> Any:
        return self._ok(self.request("PUT", path, body, **headers))

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self._ok(self.request("PATCH", path, body, **headers))

    def delete(self, path: str, **headers: str) -> Any:
        return self._ok(self.request("DELETE", path, **headers))

    def refusal(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of a request that must be refused."""
        response = self.request(method, path, body, **headers)
        assert response.status_code >= 400, response.get_data(as_text=True)
        return response.status_code, response.get_json(force=True)


@dataclass
class World:
    """An organization with its clients, in the words of the scenarios: people, groups, seats."""

    app: Flask
    organization_id: str
    scim: Client
    jit: Client
    owner: Client
    admin: Client
    ids: dict[str, str] = field(default_factory=dict)

    # -- what identity providers do

    def push(self, *names: str, **attributes: Any) -> None:
        """POST users by SCIM, in this order."""
        for name in names:
            created = self.scim.post("/Users", {"schemas": [USER], "userName": name, **attributes})
            self.ids[name] = created["id"]

    def set_active(self, name: str, active: bool) -> None:
        self.patch_user(name, {"op": "replace", "path": "active", "value": active})

    def patch_user(self, name: str, *operations: dict[str, Any]) -> None:
        self.scim.patch(f"/Users/{self.ids[name]}", {"schemas": [PATCH_OP], "Operations": list(operations)})

    def remove(self, name: str) -> None:
        self.scim.delete(f"/Users/{self.ids[name]}")

    def group(self, name: str, *members: str, tier: str | None = None, priority: int | None = None) -> None:
        """POST a group; with ``tier``, map it and switch mappings on."""
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": self.ids[m]} for m in members]}
        self.ids[name] = self.scim.post("/Groups", body)["id"]
        if tier is not None:
            self.map(name, tier, priority)

    def map(self, name: str, tier: str, priority: int | None = None) -> None:
        body = {"tier": tier} if priority is None else {"tier": tier, "priority": priority}
        self.owner.put(f"/mappings/{self.ids[name]}", body)
        self.settings(group_mappings="on")

    def patch_group(self, group: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> None:
        """Add and remove members in one request."""
        operations = [{"op": "remove", "path": f'members[value eq "{self.ids[name]}"]'} for name in remove]
        if add:
            values = [{"value": self.ids[name]} for name in add]
            operations.append({"op": "add", "path": "members", "value": values})
        self.scim.patch(f"/Groups/{self.ids[group]}", {"schemas": [PATCH_OP], "Operations": operations})

    def login(self, name: str, groups: list[str] | None = None, **claims: Any) -> Any:
        """A person has signed in through SSO; return the decision."""
        said = {} if groups is None else {"groups": groups}
        decision = self.jit.post("/login", {"userName": name, **said, **claims})
        if decision["member"]:
            self.ids[name] = decision["member"]["id"]
        return decision

    # -- what administrators and owners do

    def settings(self, **values: Any) -> None:
        self.owner.patch("/organization", {"settings": values})

    def override(self, name: str, tier: str, **more: Any) -> Any:
        return self.admin.put(f"/members/{self.ids[name]}/seat", {"tier": tier, **more})

    def quote(self, **lines: int) -> Any:
        """Ask what a purchase (or, negative, a reduction) would cost."""
        body = {"lines": [{"tier": tier, "quantity": quantity} for tier, quantity in lines.items()]}
        return self.owner.post("/seats/quotes", body)

    def buy(self, **lines: int) -> Any:
        """Quote and confirm; return the invoice."""
        return self.confirm(self.quote(**lines))

    def confirm(self, quote: dict[str, Any], key: str | None = None) -> Any:
        path = f"/seats/quotes/{quote['id']}/confirm"
        return self.owner.post(path, {"accept": True}, **{"Idempotency-Key": key or quote["id"]})

    def invite(self, name: str, /, **more: Any) -> Any:
        member = self.owner.post("/members", {"userName": name, **more})
        self.ids[name] = member["id"]
        return member

    def member(self, name: str) -> Any:
        return self.admin.get(f"/members/{self.ids[name]}")

    def role(self, name: str, role: str) -> Any:
        return self.owner.patch(f"/members/{self.ids[name]}", {"role": role})

    def clear_override(self, name: str) -> None:
        self.admin.delete(f"/members/{self.ids[name]}/seat")

    # -- what stands

    def seat(self, name: str) -> dict[str, Any]:
        return self.admin.get(f"/members/{self.ids[name]}/seat")

    def tier(self, name: str) -> str:
        return self.seat(name)["tier"]

    def tiers(self, *names: str) -> list[str]:
        return [self.tier(name) for name in names]

    def held(self, name: str) -> tuple[str, str]:
        """Tier and source."""
        seat = self.seat(name)
        return seat["tier"], seat["source"]

    def pools(self) -> dict[str, str]:
        """Used of allocated for each tier, as in ``{"premium": "2/2"}``."""
        return {
            tier["tier"]: f"{tier['used']}/{tier['allocated']}" for tier in self.admin.get("/seats")["tiers"]
        }

    def version(self) -> int:
        return self.admin.get("/seats")["version"]

    def queue(self) -> list[tuple[str, str]]:
        """Who waits for what, in order."""
        names = {identifier: name for name, identifier in self.ids.items()}
        items = self.admin.get("/seats/waiting")["items"]
        return [(names.get(item["member_id"], "?"), item["desired_tier"]) for item in items]

    def events(self) -> list[dict[str, Any]]:
        return self.pages("/seats/events")

    def audit(self, kind: str = "") -> list[dict[str, Any]]:
        return [event for event in self.pages("/audit") if kind in ("", event["kind"])]

    def invoices(self) -> list[dict[str, Any]]:
        return self.pages("/invoices")

    def pages(self, path: str) -> list[dict[str, Any]]:
        """Return all items of a list."""
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.owner.get(f"{path}?limit=500" + (f"&cursor={cursor}" if cursor else ""))
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = page["next_cursor"]
