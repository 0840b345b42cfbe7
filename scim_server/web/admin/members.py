"""Members and their seats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Response
from marshmallow import Schema, fields, validate

from scim_server.errors import PurchaseRefused, SeatUnavailable
from scim_server.operations import members as operations
from scim_server.operations import purchases, seat_rules
from scim_server.operations.listing import Listing
from scim_server.web.admin.blueprint import AdminBlueprint
from scim_server.web.admin.schemas import (
    Flag,
    Instant,
    MemberSeatSchema,
    PageSchema,
    QuoteSchema,
    SeatSchema,
    choice,
    page_of,
)
from scim_server.web.authentication import needs, require
from scim_server.web.exchange import this_call
from scim_server.web.http import look, no_content, perform
from seat_policy import Action, Role, SeatStatus, Source, Status

members = AdminBlueprint("members", __name__, description="Members and their seats")

_QUOTE = QuoteSchema()
_INVITABLE = [role for role in Role if role is not Role.PRIMARY_OWNER]


class GroupReferenceSchema(Schema):
    id = fields.String(required=True)
    display_name = fields.String(required=True)


class MemberSchema(Schema):
    id = fields.String(required=True)
    user_name = fields.String(required=True)
    external_id = fields.String(required=True, allow_none=True)
    display_name = fields.String(required=True, allow_none=True)
    status = choice(Status, required=True)
    invitation_expires_at = Instant(required=True, allow_none=True)
    role = choice(Role, required=True)
    seat = fields.Nested(SeatSchema, required=True)
    groups = fields.List(fields.Nested(GroupReferenceSchema), required=True)
    created_at = Instant(required=True)


class MembersQuerySchema(PageSchema):
    tier = fields.String(load_default=None)
    source = choice(Source, load_default=None)
    status = fields.String(
        load_default=None,
        validate=validate.OneOf([*Status, *SeatStatus]),
        metadata={"description": "Of the member, or of the seat."},
    )
    q = fields.String(load_default=None)
    group_id = fields.String(load_default=None)


class EmailSchema(Schema):
    value = fields.String(required=True)
    type = fields.String()
    primary = Flag()


class NameSchema(Schema):
    formatted = fields.String()
    givenName = fields.String()
    familyName = fields.String()


class InviteSchema(Schema):
    """Whom to invite, with which role and tier; ``purchase`` buys the seat where none is free."""

    userName = fields.String(required=True, validate=validate.Length(min=1))
    emails = fields.List(fields.Nested(EmailSchema), load_default=None, allow_none=True)
    name = fields.Nested(NameSchema, load_default=None, allow_none=True)
    displayName = fields.String(load_default=None, allow_none=True)
    role = fields.String(load_default="user", validate=validate.OneOf(_INVITABLE))
    tier = fields.String(load_default=None, allow_none=True)
    purchase = Flag(load_default=False)


class RoleSchema(Schema):
    role = choice(Role, required=True)


class SetSeatSchema(Schema):
    """``reserve_seconds`` keeps the seat that comes free for the caller's next action; ``purchase`` buys the
    seat where none is free, and trades a lower one in."""

    tier = fields.String(required=True)
    reason = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=1000))
    expires_at = Instant(load_default=None, allow_none=True)
    reserve_seconds = fields.Integer(
        load_default=None, allow_none=True, strict=True, validate=validate.Range(1, 3600)
    )
    purchase = Flag(load_default=False)


@members.call("GET", "/members")
@members.query(MembersQuerySchema)
@members.answer(page_of(MemberSchema))
def list_members(query: dict[str, Any]) -> Listing:
    """List members, those who joined first at the head"""
    return look(operations.search, query.pop("page"), **query)


@members.call("POST", "/members")
@needs(Action.REASSIGN)
@members.idempotent
@members.body(InviteSchema)
@members.answer(MemberSchema, 201)
@members.conflicts("uniqueness", "seat_unavailable", "above_maximum")
def invite_member(headers: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """Invite somebody; the invitation holds its seat until it is accepted, revoked or expires"""
    order = {name: body.pop(name) for name in ("role", "tier", "purchase")}
    profile = {name: value for name, value in body.items() if value is not None}
    if order["purchase"]:
        require(this_call(), Action.BILLING)
    with _offer_for(None):
        return perform(operations.invite, profile, **order, **headers)


@members.call("GET", "/members/<member_id>")
@members.answer(MemberSchema)
def get_member(member_id: str) -> dict[str, Any]:
    """Look at a member"""
    return look(operations.get, member_id)


@members.call("PATCH", "/members/<member_id>")
@needs(Action.CONFIGURE)
@members.body(RoleSchema)
@members.answer(MemberSchema)
@members.conflicts("managed_by_mapping", "conflict")
def patch_member(body: dict[str, Any], member_id: str) -> dict[str, Any]:
    """Give a member a role"""
    return perform(operations.change_role, member_id, **body)


@members.call("DELETE", "/members/<member_id>")
@needs(Action.REASSIGN)
@members.answer(None, 204)
def delete_member(member_id: str) -> Response:
    """Remove a member or revoke an invitation; the seat is free, there is no credit"""
    perform(operations.remove, member_id)
    return no_content()


@members.call("POST", "/members/<member_id>/accept")
@needs(Action.REASSIGN)
@members.answer(MemberSchema)
@members.conflicts("invitation_expired", "conflict")
def accept_invitation(member_id: str) -> dict[str, Any]:
    """Make an invited person an active member"""
    return perform(operations.accept, member_id)


@members.call("GET", "/members/<member_id>/seat")
@members.answer(MemberSeatSchema)
def get_seat(member_id: str) -> dict[str, Any]:
    """Look at a member's seat and at why it is this one"""
    return look(seat_rules.seat_of, member_id)


@members.call("PUT", "/members/<member_id>/seat")
@needs(Action.REASSIGN)
@members.body(SetSeatSchema)
@members.answer(MemberSeatSchema)
@members.conflicts("seat_unavailable", "managed_by_mapping", "above_maximum")
def put_seat(body: dict[str, Any], member_id: str) -> dict[str, Any]:
    """Give a member a tier; it stays until it is cleared"""
    if body["purchase"]:
        require(this_call(), Action.BILLING)
    with _offer_for(member_id):
        return perform(seat_rules.set_override, member_id, **body)


@members.call("DELETE", "/members/<member_id>/seat")
@needs(Action.REASSIGN)
@members.answer(MemberSeatSchema)
def delete_seat(member_id: str) -> dict[str, Any]:
    """Let the rules decide about a member again"""
    return perform(seat_rules.clear_override, member_id)


@contextmanager
def _offer_for(member_id: str | None) -> Iterator[None]:
    """Where no seat is free, put a quote for one into the refusal (None: for a new member).

    The refused operation is undone by then, so the quote is a transaction of its own.
    """
    try:
        yield
    except SeatUnavailable as refused:
        try:
            quote = perform(purchases.quote_for_member, member_id, refused.extra["tier"])
        except PurchaseRefused as error:
            refused.extra["quote"] = None
            refused.detail += f" Nor can one be bought: {error.detail}"
        else:
            refused.extra["quote"] = _QUOTE.dump(quote)
            refused.detail += " An owner can buy one: confirm the quote, or repeat with purchase: true."
        raise
