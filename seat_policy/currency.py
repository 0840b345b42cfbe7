"""How many digits of an amount stand behind the point (ISO 4217); money itself is whole minor units."""

from __future__ import annotations

_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"
_DIGITS = {
    **dict.fromkeys(_NONE.split(), 0),
    **dict.fromkeys(_THREE.split(), 3),
    **dict.fromkeys(_FOUR.split(), 4),
}


def minor_unit_digits(currency: str) -> int:
    """Return the digits behind the point: 2, but none for JPY and three for KWD."""
    return _DIGITS.get(currency, 2)


def format_minor(amount_minor: int, currency: str) -> str:
    """Write an amount for people: ``1,234.50 USD``, ``1,234 JPY``."""
    digits = minor_unit_digits(currency)
    sign = "-" if amount_minor < 0 else ""
    whole, rest = divmod(abs(amount_minor), 10**digits)
    return f"{sign}{whole:,}" + (f".{rest:0{digits}}" if digits else "") + f" {currency}"
