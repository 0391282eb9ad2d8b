"""How figures are written for people: per cent, dollars, ratios, dates; a dash where unknown, a word where withheld."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

from hrrp.review.suppression import CHANCE_STEP, Hidden

UNKNOWN = "–"
WITHHELD = "withheld"
MINUS = "−"


def _missing(value: Any) -> str | None:
    if isinstance(value, Hidden):
        return WITHHELD
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return UNKNOWN
    return None


def _signed(text: str) -> str:
    """With a real minus sign, and without one before a zero."""
    if text.startswith("-"):
        text = text[1:] if not any(digit in text for digit in "123456789") else MINUS + text[1:]
    return text


def number(value: Any, digits: int = 0) -> str:
    """A plain number with thousands separated."""
    return _missing(value) or _signed(f"{value:,.{digits}f}")


def percent(value: Any, digits: int = 2) -> str:
    """A fraction as per cent."""
    return _missing(value) or _signed(f"{value * 100:.{digits}f}") + " %"


def reduction(value: Any, coarse: bool) -> str:
    """A payment reduction: two digits of per cent, one where the total is coarse."""
    return percent(value, 1 if coarse else 2)


def spread(low: Any, high: Any, coarse: bool) -> str:
    """The range of a payment reduction without its unit: 0.10 to 0.95."""
    missing = _missing(low) or _missing(high)
    digits = 1 if coarse else 2
    return missing or f"{low * 100:.{digits}f} to {high * 100:.{digits}f}"


def chance(value: Any, coarse: bool = False) -> str:
    """A chance to whole per cent, never 0 % or 100 %: it is a share of draws; coarse: to 5 %, no nearer to certainty than that."""
    missing = _missing(value)
    if missing:
        return missing
    if coarse:
        if value <= CHANCE_STEP:
            return f"at most {CHANCE_STEP:.0%}".replace("%", " %")
        if value >= 1.0 - CHANCE_STEP:
            return f"at least {1.0 - CHANCE_STEP:.0%}".replace("%", " %")
    if value < 0.005:
        return "under 1 %"
    if value >= 0.995:
        return "over 99 %"
    return f"{value * 100:.0f} %"


def dollars(value: Any) -> str:
    """Dollars to two leading digits: a forecast deserves no more."""
    missing = _missing(value)
    if missing:
        return missing
    amount = abs(value)
    if amount >= 1:
        step = 10.0 ** max(math.floor(math.log10(amount)) - 1, 0)
        amount = round(amount / step) * step
    return _signed(f"{'-' if value < 0 else ''}${amount:,.0f}")


def ratio(value: Any, digits: int = 4) -> str:
    """An ERR or another ratio."""
    return _missing(value) or f"{value:.{digits}f}"


def day(value: Any) -> str:
    """A date as October 31, 2026, the way of CMS's reports."""
    if isinstance(value, str):
        value = date.fromisoformat(value[:10])
    return _missing(value) or f"{value:%B} {value.day}, {value.year}"


def month(value: Any) -> str:
    """A month as Oct 2026."""
    return _missing(value) or f"{value:%b %Y}"
