"""The addresses, and who may call them."""

from __future__ import annotations

from collections.abc import Callable
from secrets import compare_digest
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import include, path

urlpatterns = [path("scim/v2/", include("django_scim.urls"))]

_CALLER = SimpleNamespace(is_authenticated=True)
_NOBODY = SimpleNamespace(is_authenticated=False)


class TokenMiddleware:
    """Knows one caller by a bearer token."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._expected = f"Bearer {settings.TOKEN}"

    def __call__(self, request: HttpRequest) -> Any:
        is_known = compare_digest(request.headers.get("Authorization", ""), self._expected)
        request.user = _CALLER if is_known else _NOBODY
        return self._get_response(request)
