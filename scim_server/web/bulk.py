"""``/Bulk`` (RFC 7644 §3.7)."""

from __future__ import annotations

from flask import Blueprint

bulk = Blueprint("bulk", __name__, url_prefix="/scim/v2")
