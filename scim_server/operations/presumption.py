"""What a process presumes of a token that it has met before.

To look a token up is a way over the network and back, before anything else can be asked for the
organization that it names. A token that held a moment ago most likely holds still, so that is
presumed, and asked about together with the first thing that the request asks. Nothing is kept
and nothing is told before the answer is there; where it is another one than was presumed, all
that was done is undone and the request begins again, presuming nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

from scim_server.operations.access import Credential, Grant, credential_of, hash_of_token, holds
from scim_server.store import credentials as store
from scim_server.store.credentials import TokenRecord
from scim_server.store.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")


class Outdated(BaseException):
    """A token is not what it was presumed to be: nothing that came of that may be kept or told.

    It ends the whole request, so nobody who deals with what goes wrong in a part of it (``except Exception``)
    may take it for that.
    """


@dataclass(slots=True)
class Presumption:
    """That a token is what it was when it was last looked up."""

    token_hash: str
    record: TokenRecord
    grant: Grant
    is_confirmed: bool = False

    def confirm(self, found: TokenRecord | None) -> None:
        """Compare with what is there. Raises Outdated. When the token was last used does not matter."""
        self.is_confirmed = False  # a transaction that begins again has asked before
        if found is None or found._replace(last_used_at=self.record.last_used_at) != self.record:
            raise Outdated
        self.is_confirmed = True


class Acquaintances:
    """The tokens that a process has met, those that it looked up longest ago forgotten."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._records: OrderedDict[str, TokenRecord] = OrderedDict()

    def presume(self, token: str, at: datetime) -> Presumption | None:
        """Return what may be presumed of a token; None where it has to be looked up, or there is more to do for it."""
        token_hash = hash_of_token(token)
        record = self._records.get(token_hash)
        if record is None or not holds(record, at):
            return None
        credential = credential_of(record, at)
        if credential.use_is_stale or credential.something_is_due:
            return None
        return Presumption(token_hash, record, credential.grant)

    def remember(self, token: str, credential: Credential) -> None:
        """Remember a token that was just looked up; not a person's, which opens what the person may at that moment."""
        if credential.record.member_id is not None:
            return
        token_hash = hash_of_token(token)
        self._records.pop(token_hash, None)
        self._records[token_hash] = credential.record
        if len(self._records) > self._most:
            self._records.popitem(last=False)

    def forget(self, presumption: Presumption) -> None:
        self._records.pop(presumption.token_hash, None)


def presuming(
    tx: Transaction,
    presumption: Presumption,
    operation: Callable[Concatenate[Transaction, P], R],
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Run an operation on a presumption, which is asked about with the first thing that the operation asks.

    Raises Outdated where it does not hold, whatever the operation has returned.
    """
    found = store.ask(tx, presumption.token_hash)
    result = operation(tx, *args, **kwargs)
    presumption.confirm(found())
    return result


def confirm(tx: Transaction, presumption: Presumption) -> None:
    """Find out whether a presumption holds. Raises Outdated."""
    presumption.confirm(store.ask(tx, presumption.token_hash)())
