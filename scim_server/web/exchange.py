"""What is at hand while a request is answered: the parts of the application, the request, and who sent it.

Flask keeps the request and whatever belongs to it in proxies, which look for it anew at every touch; a
request is touched some thirty times. Here it is looked for once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from flask import Request
from structlog.typing import FilteringBoundLogger

from scim_server.call import Call
from scim_server.config import Config
from scim_server.observability import Metrics
from scim_server.operations.presumption import Acquaintances, Presumption

P = ParamSpec("P")
R = TypeVar("R")

_EXTENSION = "scim_seats"


class Reader(Protocol):
    """Where views look; the database or a replica of it."""

    def read(self, operation: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R: ...

    def look_up(
        self, operation: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R: ...


class Transactions(Reader, Protocol):
    """What views need of the database; ``store.database.Database`` is one."""

    def run(self, operation: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R: ...

    def run_if_free(
        self, operation: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> None: ...

    def ping(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one application that views reach; ``app.create_app`` puts them together.

    ``reader`` may lag behind ``database``: it is for showing things, not for deciding about them.
    ``acquaintances``: None where no token is presumed to be what it was, for it is looked up as quickly.
    """

    config: Config
    database: Transactions
    reader: Reader
    clock: Callable[[], datetime]
    metrics: Metrics
    log: FilteringBoundLogger
    schema_is_current: Callable[[], bool]
    acquaintances: Acquaintances | None = None


def provide(extensions: dict[str, Any], services: Services) -> None:
    """Make the services of an application known to whoever has the application."""
    extensions[_EXTENSION] = services


@dataclass(slots=True)
class Exchange:
    """A request that is being answered.

    ``outer`` is the one that it is answered in the middle of. ``call`` is None until the token has been looked at,
    and for who needs none. ``presumption``: what the token is presumed to be; ``presumes_nothing``: that was wrong,
    and the token is looked up. ``body``: what was read already, of a request that may begin again.
    """

    services: Services
    request: Request
    environ: dict[str, Any]
    outer: Exchange | None
    call: Call | None = None
    presumption: Presumption | None = None
    presumes_nothing: bool = False
    body: bytes | None = None

    @property
    def unconfirmed(self) -> Presumption | None:
        """What has still to be asked of the token; None where it is known what it opens."""
        return None if self.presumption is None or self.presumption.is_confirmed else self.presumption


_exchange: ContextVar[Any] = ContextVar("exchange", default=None)


def begin(services: Services, request: Request) -> Exchange:
    """Make a request the one that is answered here."""
    here = Exchange(services, request, request.environ, _exchange.get())
    _exchange.set(here)
    return here


def end() -> None:
    """Forget the request, whose body may be large."""
    here = _exchange.get()
    if here is not None:
        _exchange.set(here.outer)


def exchange() -> Exchange:
    """Return the request that is being answered."""
    here: Exchange = _exchange.get()
    return here


def services() -> Services:
    return exchange().services


def this_call() -> Call:
    """Return the authenticated call that the request is."""
    call = exchange().call
    assert call is not None
    return call
