"""Organizations: one row each, and the pools of seats that they bought."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import RowMapping, bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from scim_server.errors import NotUnique
from scim_server.store.integrity import broken_constraint
from scim_server.store.prepared import Prepared
from scim_server.store.tables import Instant, organizations, seat_pools
from scim_server.store.transaction import Transaction
from seat_policy import Billing, Plan, Terms


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization as it is stored; ``settings`` are those that differ from the defaults."""

    id: str
    name: str
    plan: str
    billing: str
    currency: str
    time_zone: str
    term_start: str
    settings: Mapping[str, object]
    extensions: str | None
    billed_until: date
    next_due_at: datetime
    created_at: datetime

    @property
    def terms(self) -> Terms:
        """How it is billed."""
        return Terms(
            Plan(self.plan),
            Billing(self.billing),
            date.fromisoformat(self.term_start),
            ZoneInfo(self.time_zone),
        )


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier as it is sold: its rank, what it unlocks, its price for a month in minor units."""

    tier: str
    rank: int
    features: tuple[str, ...]
    month_price_minor: int
    allocated: int
    used: int


_SELECT = select(organizations)
_GET = Prepared(_SELECT.where(organizations.c.id == bindparam("id")))
_FIND = Prepared(
    _SELECT.where(or_(organizations.c.name == bindparam("text"), organizations.c.id == bindparam("text")))
)
_ALL = Prepared(_SELECT.order_by(organizations.c.name))
_SET_SETTINGS = Prepared(
    update(organizations)
    .where(organizations.c.id == bindparam("in_organization"))
    .values(settings=bindparam("values"), version=organizations.c.version + 1)
)
_SET_EXTENSIONS = Prepared(
    update(organizations)
    .where(organizations.c.id == bindparam("in_organization"))
    .values(extensions=bindparam("declared"), version=organizations.c.version + 1)
)
_NOTE_DUE = Prepared(
    update(organizations)
    .where(
        organizations.c.id == bindparam("in_organization"),
        organizations.c.next_due_at > bindparam("at", type_=Instant()),
    )
    .values(next_due_at=bindparam("at", type_=Instant()))
)
_SET_DUE = Prepared(
    update(organizations)
    .where(organizations.c.id == bindparam("in_organization"))
    .values(next_due_at=bindparam("at", type_=Instant()))
)
_SET_BILLED = Prepared(
    update(organizations)
    .where(organizations.c.id == bindparam("in_organization"))
    .values(billed_until=bindparam("day"), version=organizations.c.version + 1)
)
_COUNT_USERS = Prepared(
    update(organizations)
    .where(organizations.c.id == bindparam("in_organization"))
    .values(user_count=organizations.c.user_count + bindparam("more"))
)
_COUNT_GROUPS = Prepared(
    update(organizations)
    .where(organizations.c.id == bindparam("in_organization"))
    .values(group_count=organizations.c.group_count + bindparam("more"))
)
_DUE = Prepared(
    select(organizations.c.id)
    .where(organizations.c.next_due_at <= bindparam("at", type_=Instant()))
    .order_by(organizations.c.next_due_at)
)
_SET_PRICE = Prepared(
    update(seat_pools)
    .where(
        seat_pools.c.organization_id == bindparam("in_organization"),
        seat_pools.c.tier == bindparam("of_tier"),
    )
    .values(month_price_minor=bindparam("price"), version=seat_pools.c.version + 1)
)
_TIERS = Prepared(
    select(seat_pools)
    .where(seat_pools.c.organization_id == bindparam("organization_id"))
    .order_by(seat_pools.c.rank.desc())
)


def insert_organization(tx: Transaction, row: Mapping[str, Any], tiers: Iterable[Tier]) -> None:
    """Store an organization and its pools. Raises NotUnique where the name is taken."""
    columns = {
        **row,
        "settings": orjson.dumps(row["settings"]).decode(),
        "extensions": None,
        "secret": secrets.token_hex(32),
        "version": 1,
        "invoice_count": 0,
        "user_count": 0,
        "group_count": 0,
        "billed_until": row["billed_until"].isoformat(),
    }
    try:
        tx.execute(insert(organizations), columns)
    except IntegrityError as error:
        if broken_constraint(error) == "uq_organizations_name":
            raise NotUnique(f"An organization named {row['name']} already exists.") from error
        raise
    tx.execute(
        insert(seat_pools),
        [
            {
                "organization_id": row["id"],
                "tier": tier.tier,
                "rank": tier.rank,
                "features": orjson.dumps(tier.features).decode(),
                "month_price_minor": tier.month_price_minor,
                "allocated": tier.allocated,
                "used": 0,
                "reservations": None,
                "version": 0,
            }
            for tier in tiers
        ],
    )


def get(tx: Transaction, organization_id: str) -> Organization:
    """Return the organization that a credential belongs to."""
    return _organization_of(tx.execute(_GET, {"id": organization_id}).mappings().one())


def find(tx: Transaction, name_or_id: str) -> Organization | None:
    row = tx.execute(_FIND, {"text": name_or_id}).mappings().first()
    return None if row is None else _organization_of(row)


def all_organizations(tx: Transaction) -> list[Organization]:
    return [_organization_of(row) for row in tx.execute(_ALL).mappings()]


def tiers(tx: Transaction, organization_id: str) -> list[Tier]:
    """Return the tiers of an organization, highest rank first."""
    return [
        Tier(
            row.tier,
            row.rank,
            tuple(orjson.loads(row.features)),
            row.month_price_minor,
            row.allocated,
            row.used,
        )
        for row in tx.execute(_TIERS, {"organization_id": organization_id})
    ]


def set_settings(tx: Transaction, organization_id: str, settings: Mapping[str, object]) -> None:
    """Store the seat settings and count the organization's version up."""
    tx.execute(_SET_SETTINGS, {"in_organization": organization_id, "values": orjson.dumps(settings).decode()})


def set_extensions(tx: Transaction, organization_id: str, declared: str | None) -> None:
    """Store the declaration of further schemas, JSON text by resource type."""
    tx.execute(_SET_EXTENSIONS, {"in_organization": organization_id, "declared": declared})


def set_price(tx: Transaction, organization_id: str, tier: str, month_price_minor: int) -> None:
    """Store what a seat of a tier costs for a month from now on."""
    tx.execute(_SET_PRICE, {"in_organization": organization_id, "of_tier": tier, "price": month_price_minor})


def count_users(tx: Transaction, organization_id: str, more: int) -> None:
    """Note that there are so many users more, or, negative, less. Called last, for it holds the organization."""
    tx.execute(_COUNT_USERS, {"in_organization": organization_id, "more": more})


def count_groups(tx: Transaction, organization_id: str, more: int) -> None:
    """Note that there are so many groups more, or, negative, less. Called last, for it holds the organization."""
    tx.execute(_COUNT_GROUPS, {"in_organization": organization_id, "more": more})


def note_due(tx: Transaction, organization_id: str, at: datetime) -> None:
    """Remember that something falls due at an instant, unless something else does earlier."""
    tx.execute(_NOTE_DUE, {"in_organization": organization_id, "at": at})


def set_next_due(tx: Transaction, organization_id: str, at: datetime) -> None:
    """Store the earliest instant at which anything falls due."""
    tx.execute(_SET_DUE, {"in_organization": organization_id, "at": at})


def set_billed_until(tx: Transaction, organization_id: str, day: date) -> None:
    """Store the end of the last period that was billed."""
    tx.execute(_SET_BILLED, {"in_organization": organization_id, "day": day.isoformat()})


def all_due(tx: Transaction, at: datetime) -> list[str]:
    """Return the ids of the organizations for which something is due, the longest overdue first."""
    return list(tx.execute(_DUE, {"at": at}).scalars())


def _organization_of(row: RowMapping) -> Organization:
    return Organization(
        id=row["id"],
        name=row["name"],
        plan=row["plan"],
        billing=row["billing"],
        currency=row["currency"],
        time_zone=row["time_zone"],
        term_start=row["term_start"],
        settings=orjson.loads(row["settings"]),
        extensions=row["extensions"],
        billed_until=date.fromisoformat(row["billed_until"]),
        next_due_at=row["next_due_at"],
        created_at=row["created_at"],
    )
