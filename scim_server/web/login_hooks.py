"""The hook that an application calls when a person has signed in through SSO: ``POST /jit/v1/login``."""

from __future__ import annotations

from typing import Any, ClassVar

from flask import Blueprint, Response
from marshmallow import EXCLUDE, Schema, fields, validate

from scim_server.operations import login
from scim_server.web.http import examine, json_response, message_body, perform

login_hooks = Blueprint("jit", __name__, url_prefix="/jit/v1")


class _Claims(Schema):
    """A part of a login; identity providers assert more than is asked, which is left alone."""

    class Meta:
        unknown: ClassVar[str] = EXCLUDE


class NameSchema(_Claims):
    formatted = fields.String(allow_none=True)
    givenName = fields.String(allow_none=True)
    familyName = fields.String(allow_none=True)
    middleName = fields.String(allow_none=True)
    honorificPrefix = fields.String(allow_none=True)
    honorificSuffix = fields.String(allow_none=True)


class EmailSchema(_Claims):
    value = fields.String(required=True)
    type = fields.String(allow_none=True)
    display = fields.String(allow_none=True)
    primary = fields.Boolean()


class LoginSchema(_Claims):
    """Who has signed in. ``groups``: ids, externalIds or display names; absent says nothing of them."""

    userName = fields.String(required=True, validate=validate.Length(min=1))
    externalId = fields.String(allow_none=True)
    displayName = fields.String(allow_none=True)
    name = fields.Nested(NameSchema, allow_none=True)
    emails = fields.List(fields.Nested(EmailSchema), allow_none=True)
    groups = fields.List(fields.String(), allow_none=True)


_LOGIN = LoginSchema()


@login_hooks.post("/login")
def sign_in() -> Response:
    claims: dict[str, Any] = _LOGIN.load(message_body())
    decision = examine(login.decide, claims) or perform(login.sign_in, claims)
    return json_response(decision, 201 if decision["created"] else 200)
