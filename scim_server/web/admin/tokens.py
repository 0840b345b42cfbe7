"""Tokens of the organization."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import Schema, fields, validate

from scim_server.operations import access
from scim_server.operations.listing import Listing
from scim_server.web.admin.blueprint import AdminBlueprint
from scim_server.web.admin.schemas import Instant, PageSchema, choice, page_of
from scim_server.web.authentication import needs
from scim_server.web.http import look, no_content, perform
from seat_policy import Action, Role

tokens = AdminBlueprint("tokens", __name__, description="Tokens; their secrets are shown once")


class TokenSchema(Schema):
    """A token without its secret."""

    id = fields.String(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(access.KINDS))
    role = choice(Role, required=True, allow_none=True)
    member_id = fields.String(required=True, allow_none=True)
    name = fields.String(required=True, allow_none=True)
    profile = fields.String(required=True)
    settings = fields.Dict(keys=fields.String(), required=True)
    created_at = Instant(required=True)
    expires_at = Instant(required=True, allow_none=True)
    revoked_at = Instant(required=True, allow_none=True)
    last_used_at = Instant(required=True, allow_none=True)


class SecretSchema(TokenSchema):
    """A token with its secret: the only time that it is shown, also under an Idempotency-Key."""

    token = fields.String()


class SettingField(fields.String):
    """A value as the command line writes it; JSON's true and false are taken as well."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return str(value).lower() if isinstance(value, bool) else super()._deserialize(value, *args, **kwargs)


class CreateTokenSchema(Schema):
    """``role`` and ``member_id`` are for the kind admin, ``profile`` and ``settings`` for the kind scim."""

    kind = fields.String(required=True, validate=validate.OneOf(access.KINDS))
    role = choice(Role, load_default=None, allow_none=True)
    member_id = fields.String(load_default=None, allow_none=True)
    name = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=200))
    expires_at = Instant(load_default=None, allow_none=True)
    profile = fields.String(
        load_default=None, allow_none=True, validate=validate.OneOf(("interop", "strict"))
    )
    settings = fields.Dict(
        keys=fields.String(), values=SettingField(), load_default=dict, data_key="settings"
    )


@tokens.call("GET", "/tokens")
@needs(Action.CONFIGURE)
@tokens.query(PageSchema)
@tokens.answer(page_of(TokenSchema))
def list_tokens(query: dict[str, Any]) -> Listing:
    """List the tokens, without their secrets"""
    return look(access.list_tokens, query["page"])


@tokens.call("POST", "/tokens")
@needs(Action.CONFIGURE)
@tokens.idempotent
@tokens.body(CreateTokenSchema)
@tokens.answer(SecretSchema, 201)
def create_token(headers: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """Make a token; the secret is shown this once"""
    return perform(access.create_token, client_settings=body.pop("settings"), **body, **headers)


@tokens.call("DELETE", "/tokens/<token_id>")
@needs(Action.CONFIGURE)
@tokens.answer(None, 204)
def revoke_token(token_id: str) -> Response:
    """Make a token worthless at once"""
    perform(access.revoke_token, token_id)
    return no_content()


@tokens.call("POST", "/tokens/<token_id>/rotate")
@needs(Action.CONFIGURE)
@tokens.idempotent
@tokens.answer(SecretSchema)
def rotate_token(headers: dict[str, Any], token_id: str) -> dict[str, Any]:
    """Give a token a new secret; the old one is worthless at once"""
    return perform(access.rotate_token, token_id, **headers)
