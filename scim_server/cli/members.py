"""``member``, ``seat`` and ``mapping``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from scim_server.cli.shared import all_pages, as_json, call_for, database, duration, of_organization, show

if TYPE_CHECKING:
    from scim_server.call import Call
    from scim_server.store.database import Database

_ROLES = ["user", "admin", "owner", "primary_owner"]


def member_id(opened: Database, call: Call, name: str) -> str:
    """Return the id of a member who is named by userName or id."""
    from scim_server.store import users

    found = opened.read(users.find_by_name, call.organization_id, name)
    return name if found is None else found.id


def group_id(opened: Database, call: Call, name: str) -> str:
    """Return the id of a group that is named by id, externalId or displayName."""
    from scim_server.store import groups

    found = opened.read(groups.find_named, call.organization_id, [name])
    if len(found) > 1:
        raise click.ClickException(f"Several groups are called {name}; name one by its id.")
    if not found:
        raise click.ClickException(f"There is no group {name}.")
    return found[0]


def member_line(shown: dict[str, Any]) -> str:
    seat = shown["seat"]
    waits = f", waits for {seat['desired_tier']}" if seat["desired_tier"] else ""
    return (
        f"{shown['id']}  {shown['user_name']}  {shown['status']}  {shown['role']}  "
        f"{seat['tier']} ({seat['source']}{waits})"
    )


def seat_text(seat: dict[str, Any]) -> str:
    place = f", number {seat['position']} of those who wait" if seat["position"] else ""
    return f"{seat['tier']} ({seat['source']}, {seat['status']}{place}). {seat['explain']['text']}"


# -- members


@click.group()
def member() -> None:
    """Members of an organization, by userName or id."""


@member.command("list")
@of_organization
@click.option("--tier")
@click.option("--status", type=click.Choice(["invited", "active", "suspended", "waiting", "held_waiting"]))
@click.option("--group", "group", metavar="GROUP", help="A group, by id, externalId or name.")
@click.option("--search", "q", help="A part of userName or displayName.")
@as_json
def list_members(
    organization_name: str,
    tier: str | None,
    status: str | None,
    group: str | None,
    q: str | None,
    json_: bool,
) -> None:
    """List the members of ORGANIZATION with their seats."""
    from scim_server.operations import members

    with database() as opened:
        call = call_for(opened, organization_name, "member list")
        in_group = group_id(opened, call, group) if group is not None else None
        wanted = {"tier": tier, "source": None, "status": status, "q": q, "group_id": in_group}
        found = all_pages(opened, members.search, call, **wanted)
    show(found, json_, "\n".join(member_line(one) for one in found))


@member.command("show")
@of_organization
@click.argument("name", metavar="MEMBER")
@as_json
def show_member(organization_name: str, name: str, json_: bool) -> None:
    """Show MEMBER, the seat, and why it is this one."""
    from scim_server.operations import members, seat_rules

    with database() as opened:
        call = call_for(opened, organization_name, "member show")
        identifier = member_id(opened, call, name)
        found = opened.read(members.get, call, identifier)
        seat_now = opened.read(seat_rules.seat_of, call, identifier)
    show({**found, "seat": seat_now}, json_, f"{member_line(found)}\n{seat_text(seat_now)}")


@member.command("invite")
@of_organization
@click.argument("user_name", metavar="USERNAME")
@click.option("--role", type=click.Choice(_ROLES[:3]), default="user", show_default=True)
@click.option("--tier", help="An override; by default the rules decide.")
@as_json
def invite(organization_name: str, user_name: str, role: str, tier: str | None, json_: bool) -> None:
    """Invite USERNAME; the invitation holds a seat."""
    from scim_server.operations import members

    with database() as opened:
        call = call_for(opened, organization_name, "member invite")
        made = opened.run(members.invite, call, {"userName": user_name}, role=role, tier=tier, purchase=False)
    show(made, json_, member_line(made))


@member.command("role")
@of_organization
@click.argument("name", metavar="MEMBER")
@click.argument("role", type=click.Choice(_ROLES))
@as_json
def set_role(organization_name: str, name: str, role: str, json_: bool) -> None:
    """Give MEMBER a role. A new primary owner makes the former one an owner."""
    from scim_server.operations import members

    with database() as opened:
        call = call_for(opened, organization_name, "member role")
        changed = opened.run(members.change_role, call, member_id(opened, call, name), role)
    show(changed, json_, member_line(changed))


@member.command("remove")
@of_organization
@click.argument("name", metavar="MEMBER")
def remove(organization_name: str, name: str) -> None:
    """Remove MEMBER, or revoke the invitation; the seat is free."""
    from scim_server.operations import members

    with database() as opened:
        call = call_for(opened, organization_name, "member remove")
        opened.run(members.remove, call, member_id(opened, call, name))
    click.echo(f"Removed {name}.", err=True)


# -- seats


@click.group()
def seat() -> None:
    """Seats: how many there are, who waits, overrides."""


@seat.command("list")
@of_organization
@as_json
def list_seats(organization_name: str, json_: bool) -> None:
    """Show the seats of each tier, highest first."""
    from scim_server.operations import seats

    with database() as opened:
        found = opened.read(seats.overview, call_for(opened, organization_name, "seat list"))
    lines = [
        f"{tier['tier']}: {tier['used']} of {tier['allocated']} used, {tier['waiting']} wait"
        for tier in found["tiers"]
    ]
    show(found, json_, "\n".join(lines))


@seat.command("waiting")
@of_organization
@as_json
def list_waiting(organization_name: str, json_: bool) -> None:
    """List who waits for a seat, in the order in which they are served."""
    from scim_server.operations import seats

    with database() as opened:
        found = all_pages(opened, seats.waiting, call_for(opened, organization_name, "seat waiting"))
    lines = [
        f"{one['position']}. {one['user_name']} waits for {one['desired_tier']}, holds {one['holds']}"
        for one in found
    ]
    show(found, json_, "\n".join(lines))


@seat.command("set")
@of_organization
@click.argument("name", metavar="MEMBER")
@click.argument("tier")
@click.option("--reason")
@click.option("--expires-in", callback=duration, metavar="TIME", help="As in 90d or 12h. [default: never]")
@as_json
def set_seat(
    organization_name: str,
    name: str,
    tier: str,
    reason: str | None,
    expires_in: timedelta | None,
    json_: bool,
) -> None:
    """Give MEMBER a TIER (or unassigned); it stays until it is cleared."""
    from scim_server.operations import seat_rules

    with database() as opened:
        call = call_for(opened, organization_name, "seat set")
        changed = opened.run(
            seat_rules.set_override,
            call,
            member_id(opened, call, name),
            tier=tier,
            reason=reason,
            expires_at=datetime.now(UTC) + expires_in if expires_in else None,
        )
    show(changed, json_, seat_text(changed))


@seat.command("clear")
@of_organization
@click.argument("name", metavar="MEMBER")
@as_json
def clear_seat(organization_name: str, name: str, json_: bool) -> None:
    """Let the rules decide about MEMBER again."""
    from scim_server.operations import seat_rules

    with database() as opened:
        call = call_for(opened, organization_name, "seat clear")
        changed = opened.run(seat_rules.clear_override, call, member_id(opened, call, name))
    show(changed, json_, seat_text(changed))


@seat.command("swap")
@of_organization
@click.argument("a", metavar="MEMBER")
@click.argument("b", metavar="MEMBER")
@as_json
def swap(organization_name: str, a: str, b: str, json_: bool) -> None:
    """Exchange the tiers of two members at once."""
    from scim_server.operations import seat_rules

    with database() as opened:
        call = call_for(opened, organization_name, "seat swap")
        ids = [member_id(opened, call, name) for name in (a, b)]
        changed = opened.run(seat_rules.swap, call, *ids)
    show(changed, json_, f"{a}: {seat_text(changed['a'])}\n{b}: {seat_text(changed['b'])}")


@seat.command("reprocess")
@of_organization
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@as_json
def reprocess(organization_name: str, dry_run: bool, json_: bool) -> None:
    """Evaluate everybody who has no override anew."""
    from scim_server.operations import seats

    with database() as opened:
        done = opened.run(
            seats.reprocess, call_for(opened, organization_name, "seat reprocess"), dry_run=dry_run
        )
    show(done, json_, changes_text(done["changes"]))


# -- mappings


@click.group()
def mapping() -> None:
    """Mappings from groups (by id, externalId or name) to tiers."""


@mapping.command("list")
@of_organization
@as_json
def list_mappings(organization_name: str, json_: bool) -> None:
    """List the mappings of ORGANIZATION."""
    from scim_server.operations import seat_rules

    with database() as opened:
        found = all_pages(opened, seat_rules.mappings, call_for(opened, organization_name, "mapping list"))
    show(found, json_, "\n".join(mapping_line(one) for one in found))


@mapping.command("set")
@of_organization
@click.argument("group")
@click.argument("tier")
@click.option("--priority", type=click.IntRange(0, 2**31 - 1), help="The lowest counts first.")
@click.option("--role", type=click.Choice(_ROLES[:3]))
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@as_json
def set_mapping(
    organization_name: str,
    group: str,
    tier: str,
    priority: int | None,
    role: str | None,
    dry_run: bool,
    json_: bool,
) -> None:
    """Map GROUP to a TIER; its members are evaluated at once."""
    from scim_server.operations import seat_rules

    with database() as opened:
        call = call_for(opened, organization_name, "mapping set")
        done = opened.run(
            seat_rules.set_mapping,
            call,
            group_id(opened, call, group),
            tier=tier,
            priority=priority,
            role=role,
            dry_run=dry_run,
        )
    show(done, json_, changes_text(done["changes"]) if dry_run else mapping_line(done))


@mapping.command("delete")
@of_organization
@click.argument("group")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@as_json
def delete_mapping(organization_name: str, group: str, dry_run: bool, json_: bool) -> None:
    """Forget the mapping of GROUP; its members are evaluated at once."""
    from scim_server.operations import seat_rules

    with database() as opened:
        call = call_for(opened, organization_name, "mapping delete")
        done = opened.run(seat_rules.delete_mapping, call, group_id(opened, call, group), dry_run=dry_run)
    show(done, json_, changes_text(done["changes"]) if dry_run else f"{group} is not mapped any more.")


def mapping_line(shown: dict[str, Any]) -> str:
    more = "".join(f", {name} {shown[name]}" for name in ("priority", "role") if shown[name] is not None)
    return f"{shown['group_id']}  {shown['display_name']} -> {shown['tier']}{more}"


def changes_text(changes: list[dict[str, Any]]) -> str:
    lines = [f"{c['member_id']}: {c['from_tier']} -> {c['to_tier']} ({c['rule']})" for c in changes]
    return "\n".join(lines) or "Nothing changes."
