"""``organization``, ``token`` and ``schema``."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from scim_server.cli.members import member_id
from scim_server.cli.shared import (
    all_pages,
    as_json,
    call_for,
    counts,
    database,
    duration,
    json_value,
    of_organization,
    pairs,
    show,
)

_LEAST_TIERS = ("premium", "standard")


@click.group()
def organization() -> None:
    """Organizations: who buys seats."""


@organization.command("create")
@click.argument("name")
@click.option("--plan", type=click.Choice(["team", "enterprise"]), default="team", show_default=True)
@click.option(
    "--seats", multiple=True, callback=counts, metavar="TIER=NUMBER", help="Seats bought, once a tier."
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    callback=counts,
    metavar="TIER=MINOR",
    help="Price of a seat for a month in minor units (cents). [default: premium=15000 standard=3000]",
)
@click.option(
    "--features",
    multiple=True,
    callback=pairs,
    metavar="TIER=NAME,NAME",
    help="What a tier unlocks. [default: for premium and standard, what is usual]",
)
@click.option("--currency", default="USD", show_default=True, help="ISO 4217.")
@click.option(
    "--billing", type=click.Choice(["monthly", "annual"]), help="[default: monthly; annual on enterprise]"
)
@click.option(
    "--term-start", type=click.DateTime(["%Y-%m-%d"]), help="First day of the term. [default: today]"
)
@click.option("--time-zone", default="UTC", show_default=True, help="Where the days of the bill begin.")
@click.option(
    "--set", "settings", multiple=True, callback=pairs, metavar="NAME=VALUE", help="A seat setting."
)
@as_json
def create_organization(
    name: str,
    plan: str,
    seats: dict[str, int],
    prices: dict[str, int],
    features: dict[str, str],
    currency: str,
    billing: str | None,
    term_start: datetime | None,
    time_zone: str,
    settings: dict[str, str],
    json_: bool,
) -> None:
    """Create an organization with its seats.

    The tiers are premium and standard; other names may be given, highest first.
    """
    from scim_server.operations import organizations

    now = datetime.now(UTC)
    with database() as opened:
        created = opened.run(
            organizations.create,
            name=name,
            plan=plan,
            seats=tiers_of(seats),
            prices=prices,
            features={tier: names.split(",") for tier, names in features.items()},
            currency=currency,
            billing=billing or ("annual" if plan == "enterprise" else "monthly"),
            term_start=term_start.date() if term_start else date.fromisoformat(now.date().isoformat()),
            time_zone=time_zone,
            settings={name: json_value(text) for name, text in settings.items()},
            at=now,
            request_id="scim-server organization create",
        )
    show(created, json_, f"Created {name}, {created['id']}.")


def tiers_of(seats: dict[str, int]) -> dict[str, int]:
    """Return the tiers, highest first: premium above standard always, others as they were given."""
    if set(seats) <= set(_LEAST_TIERS):
        return {tier: seats.get(tier, 0) for tier in _LEAST_TIERS}
    return seats


@organization.command("list")
@as_json
def list_organizations(json_: bool) -> None:
    """List the organizations."""
    from scim_server.operations import organizations

    with database() as opened:
        found = opened.read(organizations.list_all)
    show(found, json_, "\n".join(f"{one['id']}  {one['name']}  {one['plan']}" for one in found))


@organization.command("show")
@of_organization
@as_json
def show_organization(organization_name: str, json_: bool) -> None:
    """Show ORGANIZATION (its name or id) with every setting."""
    from scim_server.operations import organizations
    from seat_policy import format_minor

    with database() as opened:
        found = opened.read(organizations.get, call_for(opened, organization_name, "organization show"))
    lines = [f"{name}: {found[name]}" for name in ("id", "name", "plan", "billing", "term_start")]
    lines += [
        f"{tier['tier']}: {format_minor(tier['month_price_minor'], found['currency'])} a month"
        for tier in found["tiers"]
    ]
    lines += [f"{name} = {value}" for name, value in found["settings"].items()]
    show(found, json_, "\n".join(lines))


@organization.command("set")
@of_organization
@click.argument("settings", nargs=-1, required=True, callback=pairs, metavar="NAME=VALUE...")
@as_json
def set_settings(organization_name: str, settings: dict[str, str], json_: bool) -> None:
    """Change seat settings of ORGANIZATION; whom that concerns is evaluated at once."""
    from scim_server.operations import organizations

    with database() as opened:
        call = call_for(opened, organization_name, "organization set")
        values = {name: json_value(text) for name, text in settings.items()}
        changed = opened.run(organizations.change_settings, call, values)
    show(changed["settings"], json_, "\n".join(f"{name} = {changed['settings'][name]}" for name in settings))


@organization.command("price")
@of_organization
@click.argument("prices", nargs=-1, required=True, callback=counts, metavar="TIER=MINOR...")
@as_json
def set_prices(organization_name: str, prices: dict[str, int], json_: bool) -> None:
    """Change what a seat costs for a month from now on, in minor units (cents)."""
    from scim_server.operations import organizations

    with database() as opened:
        call = call_for(opened, organization_name, "organization price")
        changed = opened.run(organizations.set_prices, call, prices)
    show(
        changed["tiers"],
        json_,
        "\n".join(f"{t['tier']} = {t['month_price_minor']}" for t in changed["tiers"]),
    )


@click.group()
def token() -> None:
    """Tokens: what opens the SCIM service, the login hook and the Admin API."""


@token.command("create")
@click.argument("organization_name", metavar="ORGANIZATION")
@click.option("--kind", required=True, type=click.Choice(["scim", "jit", "admin"]))
@click.option(
    "--role", type=click.Choice(["user", "admin", "owner", "primary_owner"]), help="For the kind admin."
)
@click.option("--member", help="Whom the token stands for, by userName or id.")
@click.option("--name", help="What the token is for.")
@click.option("--expires-in", callback=duration, metavar="TIME", help="As in 90d or 12h. [default: never]")
@click.option(
    "--profile", type=click.Choice(["interop", "strict"]), help="For the kind scim. [default: interop]"
)
@click.option(
    "--set", "settings", multiple=True, callback=pairs, metavar="NAME=VALUE", help="For the kind scim."
)
@as_json
def create_token(
    organization_name: str,
    kind: str,
    role: str | None,
    member: str | None,
    name: str | None,
    expires_in: timedelta | None,
    profile: str | None,
    settings: dict[str, str],
    json_: bool,
) -> None:
    """Make a token for ORGANIZATION (its name or id) and print it, this once."""
    from scim_server.operations import access

    now = datetime.now(UTC)
    with database() as opened:
        call = call_for(opened, organization_name, "token create")
        made = opened.run(
            access.create_token,
            call,
            kind=kind,
            role=role,
            member_id=member_id(opened, call, member) if member is not None else None,
            name=name,
            expires_at=now + expires_in if expires_in else None,
            profile=profile,
            client_settings=settings,
        )
    show(made, json_, made["token"])


@token.command("list")
@of_organization
@as_json
def list_tokens(organization_name: str, json_: bool) -> None:
    """List the tokens of ORGANIZATION, without their secrets."""
    from scim_server.operations import access

    with database() as opened:
        found = all_pages(opened, access.list_tokens, call_for(opened, organization_name, "token list"))
    lines = [
        f"{one['id']}  {one['kind']:5}  {one['role'] or '-':13}  "
        f"{'revoked' if one['revoked_at'] else 'holds':7}  {one['name'] or ''}"
        for one in found
    ]
    show(found, json_, "\n".join(lines))


@token.command("revoke")
@of_organization
@click.argument("token_id", metavar="ID")
def revoke_token(organization_name: str, token_id: str) -> None:
    """Make the token ID worthless at once."""
    from scim_server.operations import access

    with database() as opened:
        opened.run(access.revoke_token, call_for(opened, organization_name, "token revoke"), token_id)
    click.echo(f"Revoked {token_id}.", err=True)


@token.command("rotate")
@of_organization
@click.argument("token_id", metavar="ID")
@as_json
def rotate_token(organization_name: str, token_id: str, json_: bool) -> None:
    """Give the token ID a new secret and print it, this once; the old one is worthless at once."""
    from scim_server.operations import access

    with database() as opened:
        made = opened.run(access.rotate_token, call_for(opened, organization_name, "token rotate"), token_id)
    show(made, json_, made["token"])


@click.group("schema")
def schema_group() -> None:
    """Further attributes that an organization declares."""


@schema_group.command("load")
@click.argument("organization_name", metavar="ORGANIZATION")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--type", "resource_type", type=click.Choice(["User", "Group"]), default="User", show_default=True
)
@as_json
def load_schema(organization_name: str, file: Any, resource_type: str, json_: bool) -> None:
    """Declare the schema in FILE (JSON as in RFC 7643 section 7, - for standard input) for ORGANIZATION.

    Its attributes are validated, stored, filterable and listed in /Schemas like the built-in
    ones. Loading it again may add attributes.
    """
    from scim_server.operations import extensions
    from scim_server.scim import json_text

    document = json_text.load_object(file.read())
    with database() as opened:
        call = call_for(opened, organization_name, "schema load")
        declared = opened.run(extensions.declare, call, resource_type, document)
    names = [attribute.name for attribute in declared.attributes]
    show(
        {"id": declared.id, "attributes": names},
        json_,
        f"{resource_type} has {declared.id}: {', '.join(names)}.",
    )
