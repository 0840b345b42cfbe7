"""Whose token is this, and what may it do?"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from scim_server.call import Call, Channel
from scim_server.errors import Forbidden, InvalidSetting, NotFound, Unauthenticated
from scim_server.events import TokenCreated, TokenRevoked, TokenRotated
from scim_server.ids import new_id
from scim_server.operations import extensions
from scim_server.operations.idempotency import once
from scim_server.operations.listing import Listing, Page, listing
from scim_server.scim import dialects
from scim_server.scim.attributes import ResourceType
from scim_server.scim.dialects import ClientSettings
from scim_server.scim.values import format_date_time, whole_milliseconds
from scim_server.store import credentials as store
from scim_server.store import event_log, users
from scim_server.store.credentials import TokenRecord
from scim_server.store.transaction import Transaction
from seat_policy import Role, outranks

KINDS = ("scim", "jit", "admin")
PREFIX = "sst_"
_USE_IS_RECORDED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token opens as long as it holds."""

    organization_id: str
    token_id: str
    kind: str
    role: str | None
    member_id: str | None
    client: ClientSettings
    user_type: ResourceType
    group_type: ResourceType
    secret: bytes

    @property
    def actor(self) -> str:
        """Who is answerable, as it stands in the event log."""
        return f"member:{self.member_id}" if self.member_id else f"token:{self.token_id}"


class Credential(NamedTuple):
    """A token that holds at this moment, as it is on record.

    ``use_is_stale``: the last use on record is worth bringing up to date. ``something_is_due``:
    for the organization (``operations.due``), before it is told how things stand.
    """

    record: TokenRecord
    grant: Grant
    use_is_stale: bool
    something_is_due: bool


def authenticate(tx: Transaction, token: str, at: datetime) -> Credential:
    """Return what a token opens. Raises Unauthenticated, without a word on why. A single look-up.

    Tokens are 256 random bits, so a fast hash is enough, and looking the hash up in an
    index tells nothing of the token through time.
    """
    record = store.find(tx, hash_of_token(token))
    if record is None or not holds(record, at):
        raise Unauthenticated("The bearer token is missing, unknown, expired or revoked.")
    return credential_of(record, at)


def credential_of(record: TokenRecord, at: datetime) -> Credential:
    """Return what a token that holds is good for."""
    return Credential(
        record,
        _grant_of(record),
        use_is_stale=record.last_used_at is None or at - record.last_used_at >= _USE_IS_RECORDED_EVERY,
        something_is_due=record.next_due_at <= at or _is_first_seen_before_its_time(record, at),
    )


def _is_first_seen_before_its_time(record: TokenRecord, at: datetime) -> bool:
    """Whether a token is used for the first time, by a clock that goes before the one by which it was made."""
    return record.last_used_at is None and record.created_at > at


@lru_cache(maxsize=4096)
def _grant_of(record: TokenRecord) -> Grant:
    """Return what a record says. It has been read just now, and is all that the answer depends on."""
    client = _client_of(record)
    user_type, group_type = extensions.resource_types(record.extensions, client.seat_extension)
    return Grant(
        organization_id=record.organization_id,
        token_id=record.id,
        kind=record.kind,
        role=record.member_role if record.member_id else record.role,
        member_id=record.member_id,
        client=client,
        user_type=user_type,
        group_type=group_type,
        secret=bytes.fromhex(record.secret),
    )


def record_use(tx: Transaction, grant: Grant, at: datetime) -> None:
    """Remember that the token was used."""
    store.record_use(tx, grant.organization_id, grant.token_id, at)


def create_token(
    tx: Transaction,
    call: Call,
    *,
    kind: str,
    role: str | None,
    member_id: str | None,
    name: str | None,
    expires_at: datetime | None,
    profile: str | None,
    client_settings: Mapping[str, str],
    key: str | None = None,
) -> dict[str, Any]:
    """Make a token; the answer is the only place where it is ever seen, also under an ``Idempotency-Key``.

    Raises InvalidSetting where kind, role and settings do not go together, Forbidden where
    the token could do more than the caller.
    """
    if expires_at is not None and expires_at <= call.at:
        raise InvalidSetting("expires_at must be in the future.")

    def carry_out() -> dict[str, Any]:
        return _create_token(
            tx,
            call,
            kind=kind,
            role=role,
            member_id=member_id,
            name=name,
            expires_at=expires_at,
            profile=profile,
            client_settings=client_settings,
        )

    request = ["token", kind, role, member_id, name, expires_at, profile, dict(client_settings)]
    return once(tx, call, key, request, carry_out, forgets=("token",))


def _create_token(
    tx: Transaction,
    call: Call,
    *,
    kind: str,
    role: str | None,
    member_id: str | None,
    name: str | None,
    expires_at: datetime | None,
    profile: str | None,
    client_settings: Mapping[str, str],
) -> dict[str, Any]:
    role = _checked_role(kind, role, member_id)
    if kind != "scim" and (client_settings or profile):
        raise InvalidSetting("profile and settings are for tokens of the kind scim.")
    dialects.settings_from(profile or "interop", client_settings)
    member_role = users.get(tx, call.organization_id, member_id).role if member_id is not None else None
    _refuse_more_than_the_caller(call, member_role or role)
    token = PREFIX + secrets.token_urlsafe(32)
    token_id = new_id()
    row = {
        "organization_id": call.organization_id,
        "id": token_id,
        "kind": kind,
        "role": role,
        "member_id": member_id,
        "name": name,
        "token_hash": hash_of_token(token),
        "client_settings": orjson.dumps(
            {"profile": profile or "interop", "set": dict(client_settings)}
        ).decode(),
        "created_at": call.at,
        "expires_at": expires_at,
    }
    store.insert_token(tx, row)
    created = TokenCreated(token_id, kind, role, member_id, name, _text_of(expires_at))
    event_log.append(tx, call, [created])
    return {**_described(row), "token": token}


def list_tokens(tx: Transaction, call: Call, page: Page) -> Listing:
    """Return a page of the organization's tokens, without their secrets."""
    found = store.tokens_after(tx, call.organization_id, after=page.after(), limit=page.limit + 1)
    return listing([_shown(record) for record in found], page)


def rotate_token(tx: Transaction, call: Call, token_id: str, *, key: str | None = None) -> dict[str, Any]:
    """Give a token a new secret; the old one is worthless at once.

    Raises NotFound where there is no such token that holds, Forbidden where it can do more
    than the caller.
    """

    def carry_out() -> dict[str, Any]:
        record = _held_token(tx, call, token_id)
        _refuse_more_than_the_caller(call, record.member_role if record.member_id else record.role)
        token = PREFIX + secrets.token_urlsafe(32)
        store.replace_hash(tx, call.organization_id, token_id, hash_of_token(token))
        event_log.append(tx, call, [TokenRotated(token_id, *_told_of(record))])
        return {**_shown(record), "token": token}

    return once(tx, call, key, ["rotate", token_id], carry_out, forgets=("token",))


def revoke_token(tx: Transaction, call: Call, token_id: str) -> None:
    """Make a token worthless at once. Raises NotFound where there is none that still holds."""
    record = _held_token(tx, call, token_id)
    _refuse_more_than_the_caller(call, record.member_role if record.member_id else record.role)
    if not store.revoke(tx, call.organization_id, token_id, call.at):
        raise NotFound(f"There is no token {token_id[:100]} that is not revoked yet.")
    event_log.append(tx, call, [TokenRevoked(token_id, *_told_of(record))])


def system_call(
    organization_id: str,
    *,
    actor: str,
    at: datetime,
    request_id: str,
    channel: Channel = Channel.COMMAND,
    base_url: str = "",
) -> Call:
    """Return a call that no token stands behind: the command line, or what is due by the clock."""
    return Call(
        organization_id, actor, channel, whole_milliseconds(at), request_id, base_url, dialects.INTEROP
    )


def _held_token(tx: Transaction, call: Call, token_id: str) -> TokenRecord:
    record = store.get(tx, call.organization_id, token_id)
    if record is None or record.revoked_at is not None:
        raise NotFound(f"There is no token {token_id[:100]} that is not revoked yet.")
    return record


def _refuse_more_than_the_caller(call: Call, role: str | None) -> None:
    """Nobody comes by more rights with a token than they have."""
    if call.role is not None and role is not None and outranks(Role(role), Role(call.role)):
        raise Forbidden(f"Only a {role} may handle tokens of that role.")


def _told_of(record: TokenRecord) -> tuple[str, str | None, str | None, str | None, str | None]:
    """Return what an event says of a token."""
    return record.kind, record.role, record.member_id, record.name, _text_of(record.expires_at)


def _text_of(at: datetime | None) -> str | None:
    return None if at is None else format_date_time(at)


def _shown(record: TokenRecord) -> dict[str, Any]:
    return _described(record._asdict())


def _checked_role(kind: str, role: str | None, member_id: str | None) -> str | None:
    if kind not in KINDS:
        raise InvalidSetting(f"kind must be one of {', '.join(KINDS)}.")
    if kind != "admin":
        if role is not None:
            raise InvalidSetting("role is for tokens of the kind admin.")
        return None
    if role is not None and role not in list(Role):
        raise InvalidSetting(f"role must be one of {', '.join(Role)}.")
    return role or (None if member_id else Role.ADMIN.value)


def holds(record: TokenRecord, at: datetime) -> bool:
    """Whether a token is good at an instant: not revoked, not expired, not of somebody who is no active member."""
    if record.revoked_at is not None or (record.expires_at is not None and record.expires_at <= at):
        return False
    return record.member_id is None or record.member_active is True


def _client_of(record: TokenRecord) -> ClientSettings:
    chosen = orjson.loads(record.client_settings)
    return dialects.settings_from(chosen["profile"], chosen["set"])


def _described(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("id", "kind", "role", "member_id", "name", "created_at", "expires_at")
    chosen = orjson.loads(row["client_settings"])
    return {
        **{key: row[key] for key in kept},
        "profile": chosen["profile"],
        "settings": chosen["set"],
        "revoked_at": row.get("revoked_at"),
        "last_used_at": row.get("last_used_at"),
    }


def hash_of_token(token: str) -> str:
    """Return what is stored of a token. It is 256 random bits, so that a fast hash tells nobody what it was."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
