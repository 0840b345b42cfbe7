"""Two organizations and a client that speaks for either, for tests of what HTTP adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from scim_server import create_app
from scim_server.operations import access, organizations

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PREFIXES = {"scim": "/scim/v2", "jit": "/jit/v1", "admin": "/admin/v1", "owner": "/admin/v1"}


@dataclass(frozen=True)
class Caller:
    """Somebody with a token; ``request`` answers whatever the server does."""

    app: Flask
    token: str
    prefix: str

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """Send a request; ``headers`` have underscores for hyphens."""
        return self.app.test_client().open(
            self.prefix + path,
            method=method,
            json=body,
            headers={
                "Authorization": f"Bearer {self.token}",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.request("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> TestResponse:
        return self.request("POST", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> TestResponse:
        return self.request("PUT", path, body, **headers)

    def patch(self, path: str, *operations: Any, **headers: str) -> TestResponse:
        """Send a PatchOp."""
        return self.request("PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)}, **headers)

    def delete(self, path: str, **headers: str) -> TestResponse:
        return self.request("DELETE", path, **headers)


MakeApp = Callable[..., Flask]
MakeToken = Callable[..., str]
MakeCaller = Callable[..., Caller]


@pytest.fixture
def make_app(database: Any, clock: Callable[[], datetime]) -> Iterator[MakeApp]:
    """Make another application on the same database: ``make_app(max_body_bytes=2000)``."""
    made = []
    url = database.engine.url.render_as_string(hide_password=False)

    def make(**settings: Any) -> Flask:
        app = create_app({"database_url": url, "log_level": "error", **settings}, clock=clock)
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["scim_seats"].database.close()


@pytest.fixture
def organization_id(database: Any, clock: Callable[[], datetime]) -> str:
    created = database.run(
        organizations.create,
        name="acme",
        plan="team",
        seats={"premium": 1, "standard": 5},
        prices={},
        currency="USD",
        billing="monthly",
        term_start=date(2026, 1, 1),
        time_zone="UTC",
        settings={},
        at=clock(),
        request_id="test",
    )
    return str(created["id"])


@pytest.fixture
def make_token(database: Any, clock: Callable[[], datetime], organization_id: str) -> MakeToken:
    """Make a token: ``make_token("admin", role="owner", member_id=…, expires_at=…, client_settings=…)``."""

    def make(kind: str, **more: Any) -> str:
        values = {
            "role": None,
            "member_id": None,
            "name": None,
            "expires_at": None,
            "profile": "interop" if kind == "scim" else None,
            "client_settings": {},
            **more,
        }
        call = access.system_call(organization_id, actor="command", at=clock(), request_id="test")
        return str(database.run(access.create_token, call, kind=kind, **values)["token"])

    return make


@pytest.fixture
def caller(app: Flask, make_token: MakeToken) -> MakeCaller:
    """Make a caller: ``caller("scim")``, ``caller("owner")``, ``caller("scim", client_settings=…)``."""

    def make(kind: str, **more: Any) -> Caller:
        if kind in ("admin", "owner"):
            more = {"role": kind, **more}
        token = make_token("admin" if kind == "owner" else kind, **more)
        return Caller(app, token, PREFIXES[kind])

    return make


@pytest.fixture
def scim(caller: MakeCaller) -> Caller:
    return caller("scim")


@pytest.fixture
def owner(caller: MakeCaller) -> Caller:
    return caller("owner")


@pytest.fixture
def user(scim: Caller) -> dict[str, Any]:
    """A stored user."""
    created = scim.post("/Users", {"userName": "ada", "emails": [{"value": "ada@example.com"}]})
    assert created.status_code == 201, created.text
    return dict(created.get_json(force=True))
