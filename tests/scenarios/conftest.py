"""The scenarios' world, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import count
from typing import Any

import pytest

from scim_server.operations import access, organizations
from tests.scenarios.world import Client, World

_numbers = count(1)


@pytest.fixture
def world(app: Any, database: Any, clock: Any) -> Callable[..., World]:
    """Make an organization: ``world(premium=2, standard=3, plan="team", …)``."""

    def make(
        *,
        premium: int = 0,
        standard: int = 0,
        plan: str = "team",
        billing: str = "monthly",
        term_start: str = "2026-01-01",
        prices: dict[str, int] | None = None,
        **settings: Any,
    ) -> World:
        created = database.run(
            organizations.create,
            name=f"acme-{next(_numbers)}",
            plan=plan,
            seats={"premium": premium, "standard": standard},
            prices=prices or {},
            currency="USD",
            billing=billing,
            term_start=date.fromisoformat(term_start),
            time_zone="UTC",
            settings=settings,
            at=clock(),
            request_id="test",
        )

        def client(kind: str, prefix: str, role: str | None = None) -> Client:
            call = access.system_call(created["id"], actor="command", at=clock(), request_id="test")
            made = database.run(
                access.create_token,
                call,
                kind=kind,
                role=role,
                member_id=None,
                name=None,
                expires_at=None,
                profile="interop" if kind == "scim" else None,
                client_settings={},
            )
            return Client(app.test_client(), made["token"], prefix)

        return World(
            app=app,
            organization_id=created["id"],
            scim=client("scim", "/scim/v2"),
            jit=client("jit", "/jit/v1"),
            owner=client("admin", "/admin/v1", "owner"),
            admin=client("admin", "/admin/v1", "admin"),
        )

    return make
