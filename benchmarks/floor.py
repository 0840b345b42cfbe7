"""The floor: the least that an answer costs with the same framework and server, a route with a constant answer."""

from __future__ import annotations

from flask import Flask, Response

app = Flask(__name__)

_CONSTANT = (
    b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"1","userName":"ada@example.com"}'
)


@app.get("/")
def constant() -> Response:
    return Response(_CONSTANT, mimetype="application/scim+json")
