"""The blueprint that the modules of the Admin API are made with."""

from __future__ import annotations

from typing import Any

from flask import Request
from flask_smorest import Blueprint
from marshmallow import Schema
from webargs.flaskparser import FlaskParser

from scim_server.web.http import json_body


class _Parser(FlaskParser):
    """Reads JSON with the program's own strict reader, whatever media type it is labelled with."""

    def load_json(self, req: Request, schema: Schema) -> Any:
        return json_body()


class AdminBlueprint(Blueprint):  # type: ignore[misc]
    """A flask-smorest blueprint: ``arguments`` and ``response`` check, convert and describe."""

    ARGUMENTS_PARSER = _Parser()
