"""Organizations: made on the command line, looked at and configured by their owners."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from scim_server.call import Call
from scim_server.errors import InvalidSetting
from scim_server.events import OrganizationCreated, PriceChanged, SettingsChanged
from scim_server.ids import new_id
from scim_server.operations import access
from scim_server.operations import seats as seat_operations
from scim_server.operations.purchases import MAX_SEATS
from scim_server.store import event_log
from scim_server.store import organizations as store
from scim_server.store import seats as seat_store
from scim_server.store.organizations import Organization, Tier
from scim_server.store.transaction import Transaction
from seat_policy import (
    ANY,
    PLAN_SETTINGS,
    UNASSIGNED,
    Billing,
    ExhaustedPolicy,
    Plan,
    Settings,
    Terms,
    minor_unit_digits,
    period_of,
    settings_as_values,
    settings_from,
    start_of,
)

DEFAULT_MONTH_PRICES_MINOR = {"premium": 15000, "standard": 3000}
FEATURES = {"standard": ("core",), "premium": ("core", "coding", "higher_limits")}
MAX_NAME_LENGTH = 200
MAX_PRICE_MINOR = 10_000_000_000
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_TIER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)


def create(
    tx: Transaction,
    *,
    name: str,
    plan: str,
    seats: Mapping[str, int],
    prices: Mapping[str, int],
    currency: str,
    billing: str,
    term_start: date,
    time_zone: str,
    settings: Mapping[str, object],
    at: datetime,
    request_id: str,
    features: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Create an organization with its seats. ``seats`` names the tiers, highest first.

    ``features`` says what a tier unlocks, where that is not what a tier of its name usually does.
    Raises InvalidSetting for what makes no sense, NotUnique for a name that is taken.
    """
    _check_name(name)
    tiers = _tiers_of(seats, prices, {**FEATURES, **features})
    _refuse_unknown_tiers(seats, [*prices, *features])
    _check_zone(time_zone)
    if not _CURRENCY.fullmatch(currency):
        raise InvalidSetting(f"{currency} is no currency: use three letters as in USD (ISO 4217).")
    _checked(plan, settings, {}, [tier.tier for tier in tiers])
    if not 1970 <= term_start.year <= 2999:
        raise InvalidSetting("term_start must lie in the years 1970 to 2999.")
    terms = Terms(Plan(plan), Billing(billing), term_start, ZoneInfo(time_zone))
    billed_until = period_of(terms, at).end
    organization_id = new_id()
    row = {
        "id": organization_id,
        "name": name,
        "plan": plan,
        "billing": billing,
        "currency": currency,
        "time_zone": time_zone,
        "term_start": term_start.isoformat(),
        "settings": dict(settings),
        "billed_until": billed_until,
        "next_due_at": start_of(terms, billed_until),
        "created_at": at,
    }
    store.insert_organization(tx, row, tiers)
    call = access.system_call(organization_id, actor="command", at=at, request_id=request_id)
    event_log.append(tx, call, [OrganizationCreated(organization_id, name)])
    return get(tx, call)


def find(tx: Transaction, name_or_id: str) -> dict[str, Any] | None:
    """Return an organization by its name or its id."""
    found = store.find(tx, name_or_id)
    return None if found is None else _described(tx, found)


def list_all(tx: Transaction) -> list[dict[str, Any]]:
    """Return all organizations, by name."""
    return [_described(tx, organization) for organization in store.all_organizations(tx)]


def get(tx: Transaction, call: Call) -> dict[str, Any]:
    """Return the caller's organization with every setting, defaults included."""
    return _described(tx, store.get(tx, call.organization_id))


def change_settings(tx: Transaction, call: Call, values: Mapping[str, object]) -> dict[str, Any]:
    """Change some seat settings and evaluate everybody whom that concerns (seat rules B3, B6)."""
    rules = seat_store.lock_rules(tx, call.organization_id)
    tiers = [pool.tier for pool in rules.pools]
    stored = orjson.loads(rules.settings)
    before = _checked(rules.plan, stored, {}, tiers)
    after = _checked(rules.plan, stored, values, tiers)
    changed = {
        name for name, value in settings_as_values(after).items() if settings_as_values(before)[name] != value
    }
    if changed:
        store.set_settings(tx, call.organization_id, {**stored, **values})
        event = SettingsChanged(
            call.organization_id,
            {name: settings_as_values(before)[name] for name in sorted(changed)},
            {name: settings_as_values(after)[name] for name in sorted(changed)},
        )
        event_log.append(tx, call, [event, *seat_operations.after_new_settings(tx, call, changed)])
    return get(tx, call)


def set_prices(tx: Transaction, call: Call, prices: Mapping[str, int]) -> dict[str, Any]:
    """Change what seats cost from now on, in minor units for a month; what was charged stays."""
    _check_prices(prices)
    seat_store.lock_rules(tx, call.organization_id)
    known = {tier.tier: tier.month_price_minor for tier in store.tiers(tx, call.organization_id)}
    for tier, price in prices.items():
        if tier not in known:
            raise InvalidSetting(f"{tier} is no tier of this organization; there are {', '.join(known)}.")
        if price != known[tier]:
            store.set_price(tx, call.organization_id, tier, price)
            event_log.append(tx, call, [PriceChanged(call.organization_id, tier, known[tier], price)])
    return get(tx, call)


def _described(tx: Transaction, organization: Organization) -> dict[str, Any]:
    rules = seat_store.rules(tx, organization.id)
    tiers = store.tiers(tx, organization.id)
    names = [tier.tier for tier in tiers]
    settings = _checked(organization.plan, organization.settings, {}, names)
    return {
        "id": organization.id,
        "name": organization.name,
        "plan": organization.plan,
        "version": rules.version,
        "settings": settings_as_values(settings, names),
        "term_start": organization.term_start,
        "billing": organization.billing,
        "currency": organization.currency,
        "minor_unit_digits": minor_unit_digits(organization.currency),
        "time_zone": organization.time_zone,
        "tiers": [
            {
                "tier": tier.tier,
                "rank": tier.rank,
                "features": list(tier.features),
                "month_price_minor": tier.month_price_minor,
            }
            for tier in tiers
        ],
        "created_at": organization.created_at,
    }


def _checked(
    plan: str, stored: Mapping[str, object], values: Mapping[str, object], tiers: list[str]
) -> Settings:
    settings = settings_from({**stored, **values}, tiers, base=PLAN_SETTINGS[Plan(plan)])
    if isinstance(settings, Settings):
        if settings.exhausted_policy is ExhaustedPolicy.AUTO_PURCHASE and plan != Plan.TEAM:
            raise InvalidSetting("exhausted_policy: auto_purchase is for the plan team.")
        return settings
    raise InvalidSetting("; ".join(f"{invalid.name}: {invalid.reason}" for invalid in settings))


def _refuse_unknown_tiers(seats: Mapping[str, int], named: Iterable[str]) -> None:
    unknown = [tier for tier in named if tier not in seats]
    if unknown:
        raise InvalidSetting(f"A price or a feature names a tier without seats: {unknown[0]}.")


def _tiers_of(
    seats: Mapping[str, int], prices: Mapping[str, int], features: Mapping[str, Sequence[str]]
) -> list[Tier]:
    if not seats:
        raise InvalidSetting("No seats are named.")
    for tier, allocated in seats.items():
        if not _TIER_NAME.fullmatch(tier) or tier in (ANY, UNASSIGNED):
            raise InvalidSetting(f"{tier!r} is no name for a tier: use lower-case letters, digits, - and _.")
        if not 0 <= allocated <= MAX_SEATS:
            raise InvalidSetting(f"The number of {tier} seats must be from 0 to {MAX_SEATS}.")
    _check_prices(prices)
    return [
        Tier(
            tier=tier,
            rank=rank,
            features=tuple(features.get(tier, ())),
            month_price_minor=prices.get(tier, DEFAULT_MONTH_PRICES_MINOR.get(tier, 0)),
            allocated=seats[tier],
            used=0,
        )
        for rank, tier in enumerate(reversed(list(seats)), 1)
    ]


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidSetting(f"The name must be 1 to {MAX_NAME_LENGTH} printable characters.")


def _check_prices(prices: Mapping[str, int]) -> None:
    for tier, price in prices.items():
        if not 0 <= price <= MAX_PRICE_MINOR:
            raise InvalidSetting(f"The price of {tier} must be from 0 to {MAX_PRICE_MINOR}.")


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidSetting(f"{name} is no time zone of the IANA database.") from error
