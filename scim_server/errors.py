"""Everything that goes wrong on purpose; knows no HTTP.

    ScimSeatsError
    ├── Unauthenticated          no or no valid credential
    ├── Forbidden                a valid credential that may not do this
    │   ├── SeatLimitReached     ``exhausted_policy: reject`` and no seat is left
    │   └── OwnerProtected       the primary owner, or the last owner, would be lost
    ├── NotFound
    ├── Conflict                 the present state does not allow it
    │   ├── NotUnique            a value that must be unique is taken (RFC 7644 ``uniqueness``)
    │   ├── SeatUnavailable      an override wants a tier that has no free seat
    │   ├── ManagedByMapping     ``override_policy: mapping_wins`` and a mapping decides
    │   ├── NothingToSwap        both members hold the same
    │   ├── PurchaseRefused      the plan does not allow the purchase or reduction
    │   ├── QuoteStale           something changed since the quote was made
    │   └── InvitationExpired
    ├── VersionMismatch          If-Match does not hold
    ├── PayloadTooLarge
    ├── NotSupported             defined by the RFC, not offered here
    ├── Unavailable              the database cannot answer now
    ├── InvalidSetting           Admin API: a body that is well formed but makes no sense
    │   ├── ConfirmationRequired a purchase without ``accept`` or ``Idempotency-Key``
    │   └── KeyReused            an ``Idempotency-Key`` that came with another request before
    └── InvalidRequest           RFC 7644 §3.12, one subclass for each scimType
        ├── InvalidFilter  InvalidPath  InvalidSyntax  InvalidValue  InvalidVers
        ├── Mutability  NoTarget  Sensitive  TooMany
        └── InvalidCursor  ExpiredCursor  InvalidCount          (RFC 9865 §2)

The status of each is assigned in ``web/error_handlers.py`` and nowhere else.
Every message is written for the person who has to mend the request.
"""

from typing import Any, ClassVar


class ScimSeatsError(Exception):
    """Base of all expected errors; ``detail`` says what is wrong and what to do, ``code`` what programs go by."""

    code: str = "error"

    def __init__(self, detail: str, *, code: str | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra
        if code is not None:
            self.code = code


class Unauthenticated(ScimSeatsError):
    code = "unauthenticated"


class Forbidden(ScimSeatsError):
    code = "forbidden"


class SeatLimitReached(Forbidden):
    code = "seat_limit_reached"


class OwnerProtected(Forbidden):
    """``code``: ``primary_owner_protected`` or ``last_owner_protected``; the detail begins with it."""

    code = "owner_protected"


class NotFound(ScimSeatsError):
    code = "not_found"


class Conflict(ScimSeatsError):
    code = "conflict"


class NotUnique(Conflict):
    code = "uniqueness"


class SeatUnavailable(Conflict):
    code = "seat_unavailable"


class ManagedByMapping(Conflict):
    code = "managed_by_mapping"


class NothingToSwap(Conflict):
    code = "nothing_to_swap"


class PurchaseRefused(Conflict):
    """A purchase or a reduction that the plan does not allow; ``code`` is the policy's word for it."""

    code = "purchase_refused"


class QuoteStale(Conflict):
    code = "quote_stale"


class InvitationExpired(Conflict):
    code = "invitation_expired"


class VersionMismatch(ScimSeatsError):
    code = "version_mismatch"


class PayloadTooLarge(ScimSeatsError):
    code = "payload_too_large"


class NotSupported(ScimSeatsError):
    code = "not_supported"


class Unavailable(ScimSeatsError):
    code = "unavailable"

    @property
    def reason(self) -> str:
        """What the driver said, or else the detail: for the operator, never for a client."""
        return said_by_driver(self.__cause__) or self.detail


class InvalidSetting(ScimSeatsError):
    code = "invalid_setting"


class ConfirmationRequired(InvalidSetting):
    code = "confirmation_required"


class KeyReused(InvalidSetting):
    code = "idempotency_key_reused"


class InvalidRequest(ScimSeatsError):
    """A request that breaks RFC 7643 or 7644; ``scim_type`` is the detail error keyword (RFC 7644 §3.12)."""

    code = "invalid_request"
    scim_type: ClassVar[str | None] = None


class InvalidFilter(InvalidRequest):
    code = scim_type = "invalidFilter"


class InvalidPath(InvalidRequest):
    code = scim_type = "invalidPath"


class InvalidSyntax(InvalidRequest):
    code = scim_type = "invalidSyntax"


class InvalidValue(InvalidRequest):
    code = scim_type = "invalidValue"


class InvalidVers(InvalidRequest):
    code = scim_type = "invalidVers"


class Mutability(InvalidRequest):
    code = scim_type = "mutability"


class NoTarget(InvalidRequest):
    code = scim_type = "noTarget"


class Sensitive(InvalidRequest):
    code = scim_type = "sensitive"


class TooMany(InvalidRequest):
    code = scim_type = "tooMany"


class InvalidCursor(InvalidRequest):
    code = scim_type = "invalidCursor"


class ExpiredCursor(InvalidRequest):
    code = scim_type = "expiredCursor"


class InvalidCount(InvalidRequest):
    code = scim_type = "invalidCount"


def said_by_driver(error: BaseException | None) -> str | None:
    """Return the first line of what the database's driver says in an error of SQLAlchemy.

    The lines behind it may quote a row, which is people's data.
    """
    said = str(getattr(error, "orig", None) or "").strip()
    return said.splitlines()[0] if said else None
