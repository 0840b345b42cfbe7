"""All tables. Every constraint has a name; every table has the organization in its key.

Text that is compared or ordered is compared by code points on both databases (``KeyText``);
instants are whole microseconds since 1970 in UTC (``Instant``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

KeyText = Text().with_variant(Text(collation="C"), "postgresql")


def microseconds_of(at: datetime) -> int:
    """Return an aware datetime as whole microseconds since 1970 in UTC."""
    return (at - _EPOCH) // _MICROSECOND


def instant_of(microseconds: int) -> datetime:
    """Return the instant that lies so many microseconds behind 1970."""
    return _EPOCH + timedelta(0, 0, microseconds)


def _microseconds_or_none(at: datetime | None) -> int | None:
    return None if at is None else microseconds_of(at)


def _instant_or_none(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else instant_of(microseconds)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored as microseconds since 1970 in UTC."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:
        return _microseconds_or_none

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        return _instant_or_none


# What an index on some of the rows only has as its condition, among its ``info``. SQLAlchemy has an argument for that
# in each of its languages, and loads every language that is mentioned, which is a thirtieth of a start.
WHERE = "where"


@compiles(CreateIndex)
def _create_index(create: CreateIndex, compiler: Any, **options: Any) -> str:
    whole: str = compiler.visit_create_index(create, **options)
    condition = create.element.info.get(WHERE)
    return whole if condition is None else f"{whole} WHERE {condition}"


metadata = MetaData()

organizations = Table(
    "organizations",
    metadata,
    Column("id", KeyText, nullable=False),
    Column("name", KeyText, nullable=False),
    Column("plan", Text, nullable=False),
    Column("billing", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("term_start", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("extensions", Text),
    # Seals the cursors that are given out, so that one of another organization is worth nothing here.
    Column("secret", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    # Invoices are numbered without gaps, under the lock that every seat change holds.
    Column("invoice_count", BigInteger, nullable=False),
    # How many there are, so that the total of a list without a filter need not be counted.
    Column("user_count", BigInteger, nullable=False),
    Column("group_count", BigInteger, nullable=False),
    # The end of the last period that was billed, and the earliest instant at which anything is due.
    Column("billed_until", Text, nullable=False),
    Column("next_due_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("id", name="pk_organizations"),
    UniqueConstraint("name", name="uq_organizations_name"),
    Index("ix_organizations_next_due_at", "next_due_at"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("id", KeyText, nullable=False),
    Column("kind", Text, nullable=False),
    Column("role", Text),
    Column("member_id", KeyText),
    Column("name", Text),
    Column("token_hash", KeyText, nullable=False),
    Column("client_settings", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
    PrimaryKeyConstraint("organization_id", "id", name="pk_tokens"),
    ForeignKeyConstraint(
        ["organization_id"], ["organizations.id"], name="fk_tokens_organization", ondelete="CASCADE"
    ),
    UniqueConstraint("token_hash", name="uq_tokens_token_hash"),
)

seat_pools = Table(
    "seat_pools",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("tier", KeyText, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("features", Text, nullable=False),
    Column("month_price_minor", BigInteger, nullable=False),
    Column("allocated", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    # Freed seats that an administrator keeps for the next action, as JSON; null for none.
    Column("reservations", Text),
    Column("version", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "tier", name="pk_seat_pools"),
    ForeignKeyConstraint(
        ["organization_id"], ["organizations.id"], name="fk_seat_pools_organization", ondelete="CASCADE"
    ),
    UniqueConstraint("organization_id", "rank", name="uq_seat_pools_rank"),
    CheckConstraint("used >= 0 AND used <= allocated", name="ck_seat_pools_used"),
)

users = Table(
    "users",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("id", KeyText, nullable=False),
    Column("user_name_key", KeyText, nullable=False),
    Column("external_id", KeyText),
    Column("display_name_key", KeyText),
    Column("active", Boolean, nullable=False),
    Column("invited", Boolean, nullable=False),
    Column("invitation_expires_at", Instant),
    # The role that counts, and the one that was given by hand; a mapped group may give a higher one.
    Column("role", Text, nullable=False),
    Column("own_role", Text, nullable=False),
    Column("joined_by", Text, nullable=False),
    # The tier that the identity provider itself names (seat rule C3).
    Column("named_tier", KeyText),
    Column("document", Text, nullable=False),
    Column("search", Text, nullable=False),
    Column("password_hash", Text),
    Column("version", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("modified_at", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="pk_users"),
    UniqueConstraint("organization_id", "user_name_key", name="uq_users_user_name"),
    # The id in an index keeps the order of a list, for which SQLite would rather read everybody.
    Index("ix_users_external_id", "organization_id", "external_id", "id"),
    Index("ix_users_modified_at", "organization_id", "modified_at"),
    Index(
        "ix_users_owners",
        "organization_id",
        "role",
        info={WHERE: "role <> 'user'"},
    ),
    Index(
        "ix_users_invitation_expiry",
        "organization_id",
        "invitation_expires_at",
        info={WHERE: "invitation_expires_at IS NOT NULL"},
    ),
)

groups = Table(
    "groups",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("id", KeyText, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("display_name_key", KeyText, nullable=False),
    # The display name where it must be unique, null where the client's token lets names repeat.
    Column("unique_name_key", KeyText),
    Column("external_id", KeyText),
    Column("document", Text, nullable=False),
    Column("search", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("modified_at", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="pk_groups"),
    UniqueConstraint("organization_id", "unique_name_key", name="uq_groups_unique_name"),
    Index("ix_groups_display_name", "organization_id", "display_name_key", "id"),
    Index("ix_groups_external_id", "organization_id", "external_id", "id"),
    Index("ix_groups_modified_at", "organization_id", "modified_at"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("group_id", KeyText, nullable=False),
    Column("member_id", KeyText, nullable=False),
    Column("member_type", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", "group_id", "member_id", name="pk_memberships"),
    Index("ix_memberships_member", "organization_id", "member_id", "group_id"),
    sqlite_with_rowid=False,
)

# One row for each element of a multi-valued attribute (the members of a group aside).
# `element` holds, as JSON, the sub-attributes that have no column, folded as filters compare them.
attribute_values = Table(
    "attribute_values",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("resource_id", KeyText, nullable=False),
    Column("attribute", KeyText, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("value_key", KeyText),
    Column("type_key", KeyText),
    Column("is_primary", Boolean),
    Column("element", Text),
    PrimaryKeyConstraint(
        "organization_id", "resource_id", "attribute", "ordinal", name="pk_attribute_values"
    ),
    Index(
        "ix_attribute_values_value", "organization_id", "attribute", "value_key", "type_key", "resource_id"
    ),
    sqlite_with_rowid=False,
)

# A member's seat: what they hold, what they wait for, what an administrator decided.
# `claim_class` orders the queue: 0 override, 1 mapping, 2 default.
assignments = Table(
    "assignments",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("member_id", KeyText, nullable=False),
    Column("tier", KeyText),
    Column("source", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("desired", KeyText),
    Column("waiting_since", Instant),
    Column("claim_class", Integer),
    Column("override_tier", KeyText),
    Column("override_by", Text),
    Column("override_at", Instant),
    Column("override_reason", Text),
    Column("override_expires_at", Instant),
    Column("version", BigInteger, nullable=False),
    Column("changed_at", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "member_id", name="pk_assignments"),
    Index("ix_assignments_tier", "organization_id", "tier", "member_id"),
    Index(
        "ix_assignments_waiting",
        "organization_id",
        "desired",
        "tier",
        "claim_class",
        "waiting_since",
        "member_id",
        info={WHERE: "desired IS NOT NULL"},
    ),
    Index(
        "ix_assignments_queue",
        "organization_id",
        "claim_class",
        "waiting_since",
        "member_id",
        info={WHERE: "desired IS NOT NULL"},
    ),
    Index(
        "ix_assignments_override_expiry",
        "organization_id",
        "override_expires_at",
        info={WHERE: "override_expires_at IS NOT NULL"},
    ),
    sqlite_with_rowid=False,
)

group_mappings = Table(
    "group_mappings",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("group_id", KeyText, nullable=False),
    Column("tier", KeyText, nullable=False),
    Column("priority", Integer),
    Column("role", Text),
    Column("changed_at", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "group_id", name="pk_group_mappings"),
    ForeignKeyConstraint(
        ["organization_id", "group_id"],
        ["groups.organization_id", "groups.id"],
        name="fk_group_mappings_group",
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(
        ["organization_id", "tier"],
        ["seat_pools.organization_id", "seat_pools.tier"],
        name="fk_group_mappings_tier",
    ),
)

# What a purchase or a reduction would cost. `member_id` and `tier`: whom it is to give a seat.
quotes = Table(
    "quotes",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("id", KeyText, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("lines", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("member_id", KeyText),
    Column("tier", KeyText),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="pk_quotes"),
    ForeignKeyConstraint(
        ["organization_id"], ["organizations.id"], name="fk_quotes_organization", ondelete="CASCADE"
    ),
    Index("ix_quotes_expires_at", "organization_id", "expires_at"),
)

invoices = Table(
    "invoices",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("id", KeyText, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("issued_at", Instant, nullable=False),
    Column("lines", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("quote_id", KeyText),
    Column("actor", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="pk_invoices"),
    ForeignKeyConstraint(
        ["organization_id"], ["organizations.id"], name="fk_invoices_organization", ondelete="CASCADE"
    ),
    UniqueConstraint("organization_id", "number", name="uq_invoices_number"),
    UniqueConstraint("organization_id", "quote_id", name="uq_invoices_quote"),
)

# Reductions that wait for the end of the period.
scheduled_reductions = Table(
    "scheduled_reductions",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("id", KeyText, nullable=False),
    Column("tier", KeyText, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("effective_on", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="pk_scheduled_reductions"),
    ForeignKeyConstraint(
        ["organization_id", "tier"],
        ["seat_pools.organization_id", "seat_pools.tier"],
        name="fk_scheduled_reductions_tier",
        ondelete="CASCADE",
    ),
    CheckConstraint("quantity > 0", name="ck_scheduled_reductions_quantity"),
)

# The seat part of events that would take many seats, until an owner decides (`removal_guard`).
held_events = Table(
    "held_events",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("id", KeyText, nullable=False),
    Column("cause", Text, nullable=False),
    Column("member_ids", Text, nullable=False),
    Column("changes", Text, nullable=False),
    Column("seats_taken", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="pk_held_events"),
    ForeignKeyConstraint(
        ["organization_id"], ["organizations.id"], name="fk_held_events_organization", ondelete="CASCADE"
    ),
)

# Answers to requests that must not be carried out twice, by the key that the client chose.
idempotent_answers = Table(
    "idempotent_answers",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("key", KeyText, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "key", name="pk_idempotent_answers"),
    ForeignKeyConstraint(
        ["organization_id"],
        ["organizations.id"],
        name="fk_idempotent_answers_organization",
        ondelete="CASCADE",
    ),
    Index("ix_idempotent_answers_created_at", "organization_id", "created_at"),
)

# Append only: the audit trail and the seat history.
events = Table(
    "events",
    metadata,
    Column("organization_id", KeyText, nullable=False),
    Column("id", KeyText, nullable=False),
    Column("kind", KeyText, nullable=False),
    Column("subject_id", KeyText, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("data", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="pk_events"),
    Index("ix_events_kind", "organization_id", "kind", "id"),
    Index("ix_events_subject", "organization_id", "subject_id", "id"),
    sqlite_with_rowid=False,
)
