"""A page to read the Admin API and to try it. It loads nothing from elsewhere and keeps no token."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import resources

from flask import Blueprint, Response

page = Blueprint("admin-page", __name__)


@page.get("/docs")
def show() -> Response:
    html, policy = _page()
    return Response(
        html, headers={"Content-Security-Policy": policy}, content_type="text/html; charset=utf-8"
    )


@cache
def _page() -> tuple[str, str]:
    """Return the page and a policy that lets exactly its own script and style run."""
    html = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    policy = (
        f"default-src 'none'; connect-src 'self'; script-src {_hash(html, 'script')}; "
        f"style-src {_hash(html, 'style')}; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    return html, policy


def _hash(html: str, tag: str) -> str:
    [content] = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
