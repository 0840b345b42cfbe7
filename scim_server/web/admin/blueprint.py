"""The blueprint that the modules of the Admin API are made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, cast

from flask import Request
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import EXCLUDE, Schema, fields, validate
from webargs.flaskparser import FlaskParser

from scim_server.web.http import message_body

View = TypeVar("View", bound=Callable[..., Any])
SchemaType = type[Schema]


class IdempotencySchema(Schema):
    """The same request under the same key is carried out once and answered the same."""

    class Meta:
        unknown: ClassVar[str] = EXCLUDE

    key = fields.String(
        data_key="Idempotency-Key", load_default=None, validate=validate.Length(min=1, max=255)
    )


class _Parser(FlaskParser):
    """Reads JSON with the program's own strict reader, whatever media type it is labelled with."""

    def load_json(self, req: Request, schema: Schema) -> Any:
        return message_body()


class AdminBlueprint(Blueprint):  # type: ignore[misc]
    """A flask-smorest blueprint: each decorator checks or converts, and describes (OpenAPI)."""

    ARGUMENTS_PARSER = _Parser()

    def call(self, method: str, rule: str) -> Callable[[View], View]:
        """Lead a method of an address to a view."""
        return cast(Callable[[View], View], self.route(rule, methods=[method]))

    def body(self, schema: SchemaType) -> Callable[[View], View]:
        """Check the body and hand it to the view; members that the schema does not know are refused."""
        return cast(Callable[[View], View], self.arguments(schema))

    def query(self, schema: SchemaType) -> Callable[[View], View]:
        """Check the query parameters and hand them to the view."""
        return cast(Callable[[View], View], self.arguments(schema, location="query"))

    def idempotent(self, view: View) -> View:
        """Hand the header ``Idempotency-Key`` to the view, as ``{"key": …}``."""
        return cast(View, self.arguments(IdempotencySchema, location="headers")(view))

    def answer(self, schema: SchemaType | None, status: int = 200) -> Callable[[View], View]:
        """Write what the view returns by a schema."""
        return cast(Callable[[View], View], self.response(status, schema))

    def also(self, status: int, schema: SchemaType, description: str) -> Callable[[View], View]:
        """Describe another answer, which the view makes itself."""
        decorator = self.alt_response(status, schema=schema, description=description, success=True)
        return cast(Callable[[View], View], decorator)
