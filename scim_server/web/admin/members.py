"""Members and their seats."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from scim_server.operations import members as operations
from scim_server.operations import seat_rules
from scim_server.operations.listing import Listing
from scim_server.web.admin.blueprint import AdminBlueprint
from scim_server.web.admin.schemas import Instant, PageSchema, SeatSchema, page_of
from scim_server.web.authentication import needs
from scim_server.web.http import look, perform
from seat_policy import Action

members = AdminBlueprint("members", __name__, description="Members and their seats")


class GroupReferenceSchema(Schema):
    id = fields.String(required=True)
    display_name = fields.String(required=True)


class MemberSchema(Schema):
    id = fields.String(required=True)
    user_name = fields.String(required=True)
    external_id = fields.String(required=True, allow_none=True)
    display_name = fields.String(required=True, allow_none=True)
    status = fields.String(required=True)
    role = fields.String(required=True)
    seat = fields.Nested(SeatSchema, required=True)
    groups = fields.List(fields.Nested(GroupReferenceSchema), required=True)
    created_at = Instant(required=True)


class OverrideSchema(Schema):
    """What an administrator decided."""

    tier = fields.String(required=True)
    by = fields.String(required=True)
    at = Instant(required=True)
    reason = fields.String(required=True, allow_none=True)
    expires_at = Instant(required=True, allow_none=True)


class MatchedMappingSchema(Schema):
    group_id = fields.String(required=True)
    tier = fields.String(required=True)
    priority = fields.Integer(required=True, allow_none=True)


class ExplanationSchema(Schema):
    """Why the member's claim is what it is."""

    rule = fields.String(required=True)
    text = fields.String(required=True)
    matched_mappings = fields.List(fields.Nested(MatchedMappingSchema), required=True)


class MemberSeatSchema(SeatSchema):
    """A member's seat, and why it is this one."""

    position = fields.Integer(required=True, allow_none=True)
    override = fields.Nested(OverrideSchema, required=True, allow_none=True)
    explain = fields.Nested(ExplanationSchema, required=True)


class MembersQuerySchema(PageSchema):
    tier = fields.String(load_default=None)
    source = fields.String(load_default=None)
    status = fields.String(load_default=None)
    q = fields.String(load_default=None)
    group_id = fields.String(load_default=None)


class SetSeatSchema(Schema):
    tier = fields.String(required=True)
    reason = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=1000))
    expires_at = Instant(load_default=None, allow_none=True)


@members.call("GET", "/members")
@members.query(MembersQuerySchema)
@members.answer(page_of(MemberSchema))
def list_members(query: dict[str, Any]) -> Listing:
    """List members, those who joined first at the head"""
    return look(operations.search, query.pop("page"), **query)


@members.call("GET", "/members/<member_id>")
@members.answer(MemberSchema)
def get_member(member_id: str) -> dict[str, Any]:
    """Look at a member"""
    return look(operations.get, member_id)


@members.call("GET", "/members/<member_id>/seat")
@members.answer(MemberSeatSchema)
def get_seat(member_id: str) -> dict[str, Any]:
    """Look at a member's seat and at why it is this one"""
    return look(seat_rules.seat_of, member_id)


@members.call("PUT", "/members/<member_id>/seat")
@needs(Action.REASSIGN)
@members.body(SetSeatSchema)
@members.answer(MemberSeatSchema)
def put_seat(body: dict[str, Any], member_id: str) -> dict[str, Any]:
    """Give a member a tier; it stays until it is cleared"""
    return perform(seat_rules.set_override, member_id, **body)


@members.call("DELETE", "/members/<member_id>/seat")
@needs(Action.REASSIGN)
@members.answer(MemberSeatSchema)
def delete_seat(member_id: str) -> dict[str, Any]:
    """Let the rules decide about a member again"""
    return perform(seat_rules.clear_override, member_id)
