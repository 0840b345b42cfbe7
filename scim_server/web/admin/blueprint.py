"""The blueprint that the modules of the Admin API are made with."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar, cast

from flask import Request
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from webargs.flaskparser import FlaskParser

from scim_server.scim.values import Json
from scim_server.web.admin.schemas import ProblemSchema
from scim_server.web.http import message_body

View = TypeVar("View", bound=Callable[..., Any])
SchemaType = type[Schema]

_HAS_BODY = "_has_body"


class IdempotencySchema(Schema):
    """The same request under the same key is carried out once and answered the same."""

    class Meta:
        unknown: ClassVar[str] = EXCLUDE

    key = fields.String(
        data_key="Idempotency-Key", load_default=None, validate=validate.Length(min=1, max=255)
    )


def _given() -> Json:
    """Return what the body says; no body says nothing, and what is missing is told by name."""
    return message_body(may_be_absent=True)


class _Parser(FlaskParser):
    """Reads JSON with the program's own strict reader, whatever media type it is labelled with."""

    def load_json(self, req: Request, schema: Schema) -> Any:
        return _given()


def _fails(blueprint: Blueprint, view: View, status: int) -> View:
    """Describe a failure by the response of its name (``AdminApi``)."""
    return cast(View, blueprint.alt_response(status, response=HTTPStatus(status).name)(view))


def _refusing_a_body(view: View) -> View:
    """Refuse members of a body where none are taken: somebody means something by them."""

    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if unknown := _given():
            raise ValidationError({name: ["Unknown field."] for name in unknown})
        return view(*args, **kwargs)

    return cast(View, checked)


class AdminBlueprint(Blueprint):  # type: ignore[misc]
    """A flask-smorest blueprint: each decorator checks or converts, and describes (OpenAPI)."""

    ARGUMENTS_PARSER = _Parser()

    def call(self, method: str, rule: str) -> Callable[[View], View]:
        """Lead a method of an address to a view, and describe what can go wrong at any such address."""
        statuses = [400, 401, 403, 503]
        statuses += [404] if "<" in rule else []
        statuses += [413] if method != "GET" else []

        def lead(view: View) -> View:
            if method == "POST" and not hasattr(view, _HAS_BODY):
                view = _fails(self, _refusing_a_body(view), 422)
            for status in statuses:
                view = _fails(self, view, status)
            return cast(View, self.route(rule, methods=[method])(view))

        return lead

    def body(self, schema: SchemaType) -> Callable[[View], View]:
        """Check the body and hand it to the view; members that the schema does not know are refused."""

        def read(view: View) -> View:
            setattr(view, _HAS_BODY, True)
            return cast(View, self.arguments(schema)(_fails(self, view, 415)))

        return read

    def query(self, schema: SchemaType) -> Callable[[View], View]:
        """Check the query parameters and hand them to the view."""
        return cast(Callable[[View], View], self.arguments(schema, location="query"))

    def idempotent(self, view: View) -> View:
        """Hand the header ``Idempotency-Key`` to the view, as ``{"key": …}``."""
        return cast(View, self.arguments(IdempotencySchema, location="headers")(view))

    def answer(self, schema: SchemaType | None, status: int = 200) -> Callable[[View], View]:
        """Write what the view returns by a schema."""
        return cast(Callable[[View], View], self.response(status, schema))

    def conflicts(self, *codes: str) -> Callable[[View], View]:
        """Describe why the present state may not allow the call: the codes of its 409."""
        description = f"The present state does not allow it: {', '.join(codes)}"
        problem = {"schema": ProblemSchema, "content_type": "application/problem+json"}
        return cast(Callable[[View], View], self.alt_response(409, description=description, **problem))

    def either(self, *schemas: SchemaType) -> Callable[[View], View]:
        """Describe an answer that has one of several forms, where the view makes the other ones itself."""
        content = {"application/json": {"schema": {"oneOf": list(schemas)}}}
        return cast(Callable[[View], View], self.doc(responses={"200": {"content": content}}))

    def also(self, status: int, schema: SchemaType, description: str) -> Callable[[View], View]:
        """Describe another answer, which the view makes itself."""
        decorator = self.alt_response(status, schema=schema, description=description, success=True)
        return cast(Callable[[View], View], decorator)
