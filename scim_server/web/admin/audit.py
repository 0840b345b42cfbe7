"""The audit trail."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from scim_server.call import Channel
from scim_server.operations import audit as operations
from scim_server.operations.listing import Listing
from scim_server.web.admin.blueprint import AdminBlueprint
from scim_server.web.admin.schemas import Instant, PageSchema, choice, page_of
from scim_server.web.http import look

audit = AdminBlueprint("audit", __name__, description="Who did what, when, from where")


class AuditEventSchema(Schema):
    """Something that happened; ``data`` is what else there is to say of its kind."""

    id = fields.String(required=True)
    at = Instant(required=True)
    kind = fields.String(required=True)
    subject_id = fields.String(required=True)
    actor = fields.String(required=True)
    channel = choice(Channel, required=True)
    request_id = fields.String(required=True)
    before = fields.Raw(required=True, allow_none=True)
    after = fields.Raw(required=True, allow_none=True)
    data = fields.Dict(required=True)


class AuditQuerySchema(PageSchema):
    kind = fields.String(load_default=None)
    subject_id = fields.String(load_default=None)


@audit.call("GET", "/audit")
@audit.query(AuditQuerySchema)
@audit.answer(page_of(AuditEventSchema))
def list_audit(query: dict[str, Any]) -> Listing:
    """List everything that happened, oldest first"""
    return look(operations.search, query.pop("page"), **query)
