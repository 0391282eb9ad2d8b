"""How figures are written for people: per cent, dollars, plain numbers; a dash where unknown."""

from __future__ import annotations


def percent(value: float | None, digits: int = 2) -> str:
    """A fraction as per cent."""
    return "–" if value is None else f"{value * 100:.{digits}f} %"


def points(value: float | None, digits: int = 2) -> str:
    """A plain number."""
    return "–" if value is None else f"{value:,.{digits}f}"


def dollars(value: float | None) -> str:
    """Dollars, to the nearest thousand where there are any: a forecast deserves no more."""
    if value is None:
        return "–"
    sign = "-" if value <= -0.5 else ""
    amount = abs(value)
    return f"{sign}${amount:,.0f}" if amount < 1000 else f"{sign}${round(amount, -3):,.0f}"


def chance(value: float | None) -> str:
    """A chance in whole per cent; the draws of a forecast cannot tell the nearly certain from the certain."""
    if value is None:
        return "–"
    if value < 0.005:
        return "under 1 %"
    return "over 99 %" if value > 0.995 else percent(value, 0)
