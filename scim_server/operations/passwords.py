"""The ``password`` attribute: only its hash is ever stored (RFC 7643 §4.1.1, §9.2).

Hashing is slow on purpose, so it must not be done inside a transaction, and it must not be
done for a request that is refused anyway. An operation that has come to the point of
storing a password therefore gives up with ``NeedsHash``; the edge hashes, and lets it
begin again.
"""

from __future__ import annotations

from unicodedata import category, normalize

from argon2 import PasswordHasher

from scim_server.call import Call

# RFC 9106 §4 recommends more memory where one password is checked at a time; identity providers
# push thousands, with random values that nobody will ever type.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class NeedsHash(Exception):
    """The operation needs the hash of a password before it can go on."""

    def __init__(self, password: str) -> None:
        super().__init__("a password has to be hashed first")
        self.password = password


def hash_of(call: Call, password: str | None) -> str | None:
    """Return the hash of a password, None for none. Raises NeedsHash where it has not been hashed yet.

    An empty one, as templates send where they have nothing to fill in, is none.
    """
    if not password:
        return None
    if password not in call.password_hashes:
        raise NeedsHash(password)
    return call.password_hashes[password]


def hash_for(call: Call, needed: NeedsHash) -> None:
    """Hash a password outside of any transaction, for the operation that asked for it."""
    call.password_hashes[needed.password] = _hasher.hash(_prepared(needed.password))


def _prepared(password: str) -> str:
    """Return a password as keyboards may differ in spelling it: RFC 7613 §4.2.2 (RFC 7644 §7.8)."""
    spaced = "".join(" " if category(character) == "Zs" else character for character in password)
    return normalize("NFC", spaced)
