"""Tokens: only their hashes are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, null, select, update

from scim_server.store.prepared import Prepared
from scim_server.store.tables import assignments, organizations, tokens, users
from scim_server.store.transaction import Transaction
from seat_policy import SeatStatus


class TokenRecord(NamedTuple):
    """A token and what its bearer may be told of the organization and the person it stands for.

    ``client_settings`` is JSON text: the profile and what is set beside it. ``member_role`` and
    ``member_active`` are those of the bound person at this moment; None for no such person. Whom
    ``unmapped_policy`` suspends is not active either.
    """

    organization_id: str
    id: str
    kind: str
    role: str | None
    member_id: str | None
    name: str | None
    client_settings: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    extensions: str | None
    secret: str
    next_due_at: datetime
    member_role: str | None
    member_active: bool | None


_token = (
    tokens.c.organization_id,
    tokens.c.id,
    tokens.c.kind,
    tokens.c.role,
    tokens.c.member_id,
    tokens.c.name,
    tokens.c.client_settings,
    tokens.c.created_at,
    tokens.c.expires_at,
    tokens.c.revoked_at,
    tokens.c.last_used_at,
    organizations.c.extensions,
    organizations.c.secret,
    organizations.c.next_due_at,
)
_with_organization = tokens.join(organizations, organizations.c.id == tokens.c.organization_id)
# Both in the order of TokenRecord's fields.
_SELECT = select(
    *_token,
    users.c.role.label("member_role"),
    (users.c.active & (assignments.c.status != SeatStatus.RELEASED.value)).label("member_active"),
).select_from(
    _with_organization.outerjoin(
        users, (users.c.organization_id == tokens.c.organization_id) & (users.c.id == tokens.c.member_id)
    ).outerjoin(
        assignments,
        (assignments.c.organization_id == tokens.c.organization_id)
        & (assignments.c.member_id == tokens.c.member_id),
    )
)
# The one look-up that cannot name the organization: the token is what says which it is.
_BY_HASH = Prepared(
    select(*_token, null().label("member_role"), null().label("member_active"))
    .select_from(_with_organization)
    .where(tokens.c.token_hash == bindparam("token_hash")),
    TokenRecord,
)
_of_organization = tokens.c.organization_id == bindparam("organization_id")
_AFTER = Prepared(
    _SELECT.where(_of_organization, tokens.c.id > bindparam("after"))
    .order_by(tokens.c.id)
    .limit(bindparam("limit")),
    TokenRecord,
)
_GET = Prepared(_SELECT.where(_of_organization, tokens.c.id == bindparam("token_id")), TokenRecord)
_this = (tokens.c.organization_id == bindparam("in_organization")) & (tokens.c.id == bindparam("token_id"))
_INSERT = Prepared(insert(tokens))
_USED = Prepared(update(tokens).where(_this).values(last_used_at=bindparam("at")))
_REPLACE_HASH = Prepared(
    update(tokens).where(_this).values(token_hash=bindparam("new_hash"), last_used_at=None)
)
_REVOKE = Prepared(
    update(tokens).where(_this, tokens.c.revoked_at.is_(None)).values(revoked_at=bindparam("at"))
)


def insert_token(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Store a token; ``row`` has its hash, never the token."""
    tx.execute(_INSERT, row)


def ask(tx: Transaction, token_hash: str) -> Callable[[], TokenRecord | None]:
    """Ask for the token of a hash, without the person whom it may stand for; who calls the answer waits for it."""
    asked: Callable[[], TokenRecord | None] = tx.execute(_BY_HASH, {"token_hash": token_hash}).one_or_none
    return asked


def find(tx: Transaction, token_hash: str) -> TokenRecord | None:
    """Return the token of a hash; only few stand for a person, who is then looked up too."""
    found = ask(tx, token_hash)()
    if found is None or found.member_id is None:
        return found
    return get(tx, found.organization_id, found.id)


def get(tx: Transaction, organization_id: str, token_id: str) -> TokenRecord | None:
    """Return a token of an organization by its id."""
    parameters = {"organization_id": organization_id, "token_id": token_id}
    found: TokenRecord | None = tx.execute(_GET, parameters).one_or_none()
    return found


def tokens_after(tx: Transaction, organization_id: str, *, after: str, limit: int) -> list[TokenRecord]:
    """Return up to ``limit`` tokens of an organization behind an id, oldest first."""
    parameters = {"organization_id": organization_id, "after": after, "limit": limit}
    return list(tx.execute(_AFTER, parameters))


def replace_hash(tx: Transaction, organization_id: str, token_id: str, token_hash: str) -> None:
    """Store the hash of a new secret."""
    parameters = {"in_organization": organization_id, "token_id": token_id, "new_hash": token_hash}
    tx.execute(_REPLACE_HASH, parameters)


def record_use(tx: Transaction, organization_id: str, token_id: str, at: datetime) -> None:
    tx.execute(_USED, {"in_organization": organization_id, "token_id": token_id, "at": at})


def revoke(tx: Transaction, organization_id: str, token_id: str, at: datetime) -> bool:
    """Return whether there was such a token that was not revoked yet."""
    parameters = {"in_organization": organization_id, "token_id": token_id, "at": at}
    return bool(tx.execute(_REVOKE, parameters).rowcount == 1)
