"""Mappings from groups to tiers."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import Schema, fields, validate

from scim_server.operations import seat_rules
from scim_server.operations.listing import Listing
from scim_server.web.admin.blueprint import AdminBlueprint
from scim_server.web.admin.schemas import ChangesSchema, DryRunSchema, PageSchema, page_of
from scim_server.web.authentication import needs
from scim_server.web.http import json_response, look, no_content, perform
from seat_policy import Action

mappings = AdminBlueprint("mappings", __name__, description="Mappings from groups to tiers")

_CHANGES = ChangesSchema()


class MappingSchema(Schema):
    group_id = fields.String(required=True)
    display_name = fields.String(required=True)
    tier = fields.String(required=True)
    priority = fields.Integer(required=True, allow_none=True)
    role = fields.String(required=True, allow_none=True)


class SetMappingSchema(Schema):
    """``priority`` counts where mapping_conflict is priority, the lowest first."""

    tier = fields.String(required=True)
    priority = fields.Integer(
        load_default=None, allow_none=True, strict=True, validate=validate.Range(0, 2**31 - 1)
    )
    role = fields.String(
        load_default=None, allow_none=True, validate=validate.OneOf(("user", "admin", "owner"))
    )


@mappings.call("GET", "/mappings")
@mappings.query(PageSchema)
@mappings.answer(page_of(MappingSchema))
def list_mappings(query: dict[str, Any]) -> Listing:
    """List the groups that are mapped to a tier"""
    return look(seat_rules.mappings, query["page"])


@mappings.call("PUT", "/mappings/<group_id>")
@needs(Action.CONFIGURE)
@mappings.query(DryRunSchema)
@mappings.body(SetMappingSchema)
@mappings.answer(MappingSchema)
@mappings.either(MappingSchema, ChangesSchema)
def put_mapping(query: dict[str, Any], body: dict[str, Any], group_id: str) -> dict[str, Any] | Response:
    """Map a group to a tier; its members are evaluated at once"""
    answer = perform(seat_rules.set_mapping, group_id, **body, **query)
    return json_response(_CHANGES.dump(answer)) if query["dry_run"] else answer


@mappings.call("DELETE", "/mappings/<group_id>")
@needs(Action.CONFIGURE)
@mappings.query(DryRunSchema)
@mappings.answer(None, 204)
@mappings.also(200, ChangesSchema, "With dry_run")
def delete_mapping(query: dict[str, Any], group_id: str) -> Response:
    """Forget a group's mapping; its members are evaluated at once"""
    answer = perform(seat_rules.delete_mapping, group_id, **query)
    return json_response(_CHANGES.dump(answer)) if query["dry_run"] else no_content()
