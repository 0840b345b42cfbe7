"""Settings; BENCH_DATABASE and BENCH_TOKEN come from the environment."""

from __future__ import annotations

import os
from urllib.parse import parse_qs, unquote, urlsplit

_PLACE = urlsplit(os.environ["BENCH_DATABASE"])

if _PLACE.scheme == "sqlite":
    _DATABASE = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _PLACE.path,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 10,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
else:
    _DATABASE = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _PLACE.path.lstrip("/"),
        "USER": unquote(_PLACE.username or ""),
        "HOST": parse_qs(_PLACE.query).get("host", [_PLACE.hostname])[0],
    }

DATABASES = {"default": _DATABASE | {"CONN_MAX_AGE": None}}
TOKEN = os.environ["BENCH_TOKEN"]
SECRET_KEY = "used for nothing"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = (
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django_scim",
    "benchmarks.peers.django_site",
)
MIDDLEWARE = (
    "benchmarks.peers.django_site.web.TokenMiddleware",
    "django_scim.middleware.SCIMAuthCheckMiddleware",
)
ROOT_URLCONF = "benchmarks.peers.django_site.web"
AUTH_USER_MODEL = "django_site.User"
SCIM_SERVICE_PROVIDER = {
    "NETLOC": "127.0.0.1",
    "SCHEME": "http",
    "GROUP_MODEL": "benchmarks.peers.django_site.models.Group",
    "AUTHENTICATION_SCHEMES": [{"type": "oauthbearertoken", "name": "Bearer", "description": "A token"}],
}
