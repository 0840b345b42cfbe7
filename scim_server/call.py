"""Call: who asks for what organization, through which door, when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from scim_server.scim.attributes import ResourceType
from scim_server.scim.dialects import ClientSettings, Deviation
from scim_server.scim.schemas import GROUP, USER


class Channel(StrEnum):
    """The door a call came through; a token opens exactly one of the first three."""

    SCIM = "scim"
    JIT = "jit"
    ADMIN = "admin"
    COMMAND = "command"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Call:
    """One request on behalf of one organization; everything an operation may know of it.

    ``actor`` names who is answerable, as it stands in the event log: ``token:<id>`` or
    ``member:<id>``. ``role`` is the role an admin token acts with, None on other channels.
    ``secret`` seals the cursors of the organization. ``base_url`` is the public address of the
    SCIM service, without a slash at the end.
    """

    organization_id: str
    actor: str
    channel: Channel
    at: datetime
    request_id: str
    base_url: str
    client: ClientSettings
    role: str | None = None
    member_id: str | None = None
    token_id: str | None = None
    user_type: ResourceType = USER
    group_type: ResourceType = GROUP
    secret: bytes = b""
    notes: list[Deviation] = field(default_factory=list)
    password_hashes: dict[str, str] = field(default_factory=dict, repr=False)

    def note(self, deviation: Deviation) -> None:
        """Remember that a deviation of the client was followed, for the metrics."""
        self.notes.append(deviation)
