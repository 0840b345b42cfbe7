"""Who the benchmark is about: person number n is the same in every server and every run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK_REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"

HARBOUR = range(20, 40)
"""Those whose mail goes to the domain harbour.example: what a filter by a part of the address finds."""
LETTER = "a"
"""What the userName of every twentieth begins with."""

_GIVEN = ("Barbara", "Carol", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Joan", "Radia")
_FAMILY = ("Backus", "Codd", "Floyd", "Hopper", "Knuth", "Lamport", "Naur", "Perlman", "Ritchie", "Wirth")
_DEPARTMENTS = ("Engineering", "Finance", "Legal", "Logistics", "Marketing", "Research", "Sales", "Support")


def user_name(number: int) -> str:
    given, family = _name(number)
    return f"{given}.{family}.{number:06d}@example.com".lower()


def begins_with_letter(number: int) -> bool:
    return user_name(number).startswith(LETTER)


def user(number: int, *, name: str | None = None, given: str | None = None) -> dict[str, Any]:
    """Return a person as an identity provider sends one, about one kilobyte.

    ``name`` and ``given``: another userName and given name than those of the number.
    """
    first, family = _name(number)
    domain = "harbour.example" if number in HARBOUR and name is None else "example.com"
    department = _DEPARTMENTS[number % len(_DEPARTMENTS)]
    street = f"{number % 997} Main Street"
    return {
        "schemas": [USER, ENTERPRISE],
        "userName": name or user_name(number),
        "externalId": f"00u-{name or user_name(number)}",
        "name": {"givenName": given or first, "familyName": family, "formatted": f"{first} {family}"},
        "displayName": f"{first} {family} {number}",
        "title": f"Senior {department} Specialist",
        "preferredLanguage": "en-US",
        "active": True,
        "emails": [{"value": f"{first}.{family}.{number}@{domain}".lower(), "type": "work", "primary": True}],
        "phoneNumbers": [
            {"value": f"+1 555 01{number % 100:02d} {number % 10_000:04d}", "type": "work"},
            {"value": f"+1 555 02{number % 100:02d} {number % 10_000:04d}", "type": "mobile"},
        ],
        "addresses": [
            {
                "type": "work",
                "streetAddress": street,
                "locality": "Springfield",
                "region": "IL",
                "postalCode": "62701",
                "country": "US",
                "formatted": f"{street}\nSpringfield, IL 62701 US",
                "primary": True,
            }
        ],
        ENTERPRISE: {
            "employeeNumber": str(700_000 + number),
            "costCenter": f"CC-{4000 + number % 97}",
            "organization": "Example Corp",
            "division": "EMEA" if number % 3 else "APAC",
            "department": department,
        },
    }


def brief_user(number: int, name: str) -> dict[str, Any]:
    """Return a person with little more than a name, for large Bulk requests."""
    given, family = _name(number)
    return {
        "schemas": [USER],
        "userName": name,
        "displayName": f"{given} {family}",
        "name": {"givenName": given, "familyName": family},
        "active": True,
        "emails": [{"value": name, "type": "work", "primary": True}],
    }


def group(name: str, members: list[str]) -> dict[str, Any]:
    values = [{"value": member} for member in members]
    return {"schemas": [GROUP], "displayName": name, **({"members": values} if values else {})}


def patch(operation: str, path: str | None, value: Any = None) -> dict[str, Any]:
    content = {"op": operation, "path": path, "value": value}
    return {"schemas": [PATCH_OP], "Operations": [{k: v for k, v in content.items() if v is not None}]}


def bulk_creation(users: list[dict[str, Any]]) -> dict[str, Any]:
    return _bulk(
        {"method": "POST", "path": "/Users", "bulkId": f"b{number}", "data": data}
        for number, data in enumerate(users)
    )


def bulk_deletion(ids: list[str]) -> dict[str, Any]:
    return _bulk({"method": "DELETE", "path": f"/Users/{one}"} for one in ids)


def _bulk(operations: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"schemas": [BULK_REQUEST], "Operations": list(operations)}


def _name(number: int) -> tuple[str, str]:
    given = "Ada" if number % 20 == 0 else _GIVEN[number % len(_GIVEN)]
    return given, _FAMILY[number % len(_FAMILY)]
