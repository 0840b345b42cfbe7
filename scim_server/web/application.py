"""The Flask application, with the steps that a request takes here and no others.

Flask lets hooks, sessions and coroutines be added anywhere, and looks for them in every
request. Here there is one step before every view and one behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from flask import Flask, Request, Response, request
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter, Rule

from scim_server.errors import Unavailable
from scim_server.operations.presumption import Outdated
from scim_server.web import authentication
from scim_server.web.access_log import AccessLog
from scim_server.web.exchange import Exchange, Services, begin, end, exchange, provide
from scim_server.web.http import OrjsonProvider, be_certain


class _NoSessions(SessionInterface):
    """Callers bring a token with every request; nothing is kept between two of them."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._none

    def is_null_session(self, obj: object) -> bool:
        return True


class _MatchedRule(Rule):
    """A route that leads to a view. Nobody here asks for the address of one (``url_for``), and to prepare
    for that is most of what Werkzeug does when a route is added."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        return _no_address


def _no_address(*_: Any) -> NoReturn:
    raise NotImplementedError("addresses of views are not built here")


class Application(Flask):
    """Flask over ``services``: authentication before every view, the access log behind it."""

    session_interface = _NoSessions()
    url_rule_class = _MatchedRule

    def __init__(self, services: Services, access_log: AccessLog) -> None:
        super().__init__("scim_server", static_folder=None, template_folder=None)
        self.json = OrjsonProvider(self)
        self.url_map.strict_slashes = False
        self.url_map.merge_slashes = False  # the front door has merged them, without a redirect
        self._services = services
        self._access_log = access_log
        provide(self.extensions, services)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Routes depend on the path alone, never on a host."""
        if request is None:
            return super().create_url_adapter(request)
        return MapAdapter(
            self.url_map, "", request.root_path, None, request.scheme, request.path, request.method
        )

    def full_dispatch_request(self) -> Response:
        """Authenticate, let the view or the handler of its error answer, note the answer."""
        # Flask declares its proxy as what it stands for.
        this: Request = request._get_current_object()  # type: ignore[attr-defined]
        here = begin(self._services, this)
        try:
            answer = self._answer(here)
        except Outdated:
            authentication.presume_nothing(here)
            answer = self._answer(here)
        response = self.make_response(answer)
        self._access_log.finish(this, response, here.call)
        return response

    def _answer(self, here: Exchange) -> Any:
        """Return what the view says. Raises Outdated where it said so on a presumption that does not hold."""
        try:
            authentication.authenticate(here, self.view_functions.get(here.request.endpoint or ""))
            answer = self.dispatch_request()
            be_certain()
        except Exception as error:
            return self._refusal(here, error)
        return answer

    def _refusal(self, here: Exchange, error: Exception) -> Any:
        """Return what is answered to an error, which may tell of the organization too (``_answer``)."""
        if not isinstance(error, Unavailable):  # which tells nothing, and to ask would be to wait once more
            try:
                be_certain()
            except Unavailable as away:
                error = away
        if here.unconfirmed is not None:
            here.call = None
        return self.handle_user_exception(error)

    def process_response(self, response: Response) -> Response:
        """Note an answer that was made when everything else had failed."""
        here = exchange()
        self._access_log.finish(here.request, response, here.call)
        return response

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        end()

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        """Nothing is left to put away."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """There are no coroutines to look for."""
        return func
