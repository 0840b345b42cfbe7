"""The organization and its settings."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from scim_server.operations import organizations
from scim_server.web.admin.blueprint import AdminBlueprint
from scim_server.web.admin.schemas import Instant, choice, day
from scim_server.web.authentication import needs
from scim_server.web.http import look, perform
from seat_policy import Action, Billing, Plan, setting_shapes

organization = AdminBlueprint("organization", __name__, description="The organization and its settings")


class TierSchema(Schema):
    """A tier and what it unlocks."""

    tier = fields.String(required=True)
    rank = fields.Integer(required=True)
    features = fields.List(fields.String(), required=True)
    month_price_minor = fields.Integer(required=True)


class OrganizationSchema(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    plan = choice(Plan, required=True)
    version = fields.Integer(required=True)
    settings = fields.Dict(keys=fields.String(), required=True)
    term_start = day()
    billing = choice(Billing, required=True)
    currency = fields.String(required=True)
    minor_unit_digits = fields.Integer(
        required=True, metadata={"description": "Digits of an amount behind the point: 2 for USD, 0 for JPY."}
    )
    time_zone = fields.String(required=True)
    tiers = fields.List(fields.Nested(TierSchema), required=True)
    created_at = Instant(required=True)


class SettingsSchema(Schema):
    """The settings to change; those that are not named stay."""

    settings = fields.Dict(
        keys=fields.String(),
        required=True,
        metadata={"properties": setting_shapes(), "additionalProperties": False},
    )


@organization.call("GET", "/organization")
@organization.answer(OrganizationSchema)
def get_organization() -> dict[str, Any]:
    """Look at the organization and all its settings"""
    return look(organizations.get)


@organization.call("PATCH", "/organization")
@needs(Action.CONFIGURE)
@organization.body(SettingsSchema)
@organization.answer(OrganizationSchema)
def patch_organization(body: dict[str, Any]) -> dict[str, Any]:
    """Change settings; whom that concerns is evaluated at once"""
    return perform(organizations.change_settings, body["settings"])
