"""What the product asks of the database, shown to whoever listens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from scim_server.store.transaction import Transaction


class Listener(Protocol):
    """Somebody who is told of every statement before it runs, and of every transaction that has ended."""

    def before(self, tx: Transaction, statement: Any, parameters: Any, function: str) -> None:
        """``function`` is the name of the function of the product that runs it, with its module."""

    def ended(self, tx: Transaction) -> None: ...


@contextmanager
def shown_to(listeners: list[Listener]) -> Iterator[None]:
    """Show every statement that the product runs in this process; what tests run themselves is their own."""
    execute, close = Transaction.execute, Transaction.close

    def shown(self: Transaction, statement: Any, parameters: Any = ()) -> Any:
        caller = sys._getframe(1)
        module = caller.f_globals["__name__"]
        if module.startswith("scim_server."):
            function = caller.f_code.co_qualname.partition(".<locals>")[0]
            for listener in listeners:
                listener.before(self, statement, parameters, f"{module}.{function}")
        return execute(self, statement, parameters)

    def closed(self: Transaction) -> None:
        for listener in listeners:
            listener.ended(self)
        close(self)

    Transaction.execute, Transaction.close = shown, closed  # type: ignore[method-assign]
    try:
        yield
    finally:
        Transaction.execute, Transaction.close = execute, close  # type: ignore[method-assign]
