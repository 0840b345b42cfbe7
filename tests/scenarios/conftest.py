"""Further clients of a world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scim_server.operations import access
from tests.world import Client, World


@pytest.fixture
def client_of(app: Any, database: Any, clock: Any) -> Callable[..., Client]:
    """Make an administrator's client: ``client_of(acme, "owner")`` or, for a person, ``client_of(acme, member=id)``."""

    def make(acme: World, role: str | None = None, member: str | None = None) -> Client:
        call = access.system_call(acme.organization_id, actor="command", at=clock(), request_id="test")
        made = database.run(
            access.create_token,
            call,
            kind="admin",
            role=role,
            member_id=member,
            name=None,
            expires_at=None,
            profile=None,
            client_settings={},
        )
        return Client(app.test_client(), made["token"], "/admin/v1")

    return make
