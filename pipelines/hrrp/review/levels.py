"""What a question about a hospital starts from, as its reader may have it.

A what-if or a break-even is solved from the admissions known, those whose follow-up is not over and those expected until the period
ends. For a reader without patient level the last two are one figure, a whole number, wherever either could be a small cell or the
difference of shown counts: two answers would otherwise tell them apart, however the answers are rounded. It is the input that is
blurred, so no number of questions brings more to light.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from hrrp.outlook.forecast import MeasureToDate
from hrrp.program import MEASURES, ProgramYear
from hrrp.review.scenarios import Starting
from hrrp.review.suppression import HIGHEST, is_small

MONTH, YEAR = 30, 365
# Admissions a month from which a month's count, or a difference of a month between two stretches, is no small cell.
PLENTY_A_MONTH = 2 * HIGHEST
# What stands for 1 to 10 admissions still to come.
ABOUT_FIVE = 5.0


def open_only(start: Starting, measures: Collection[str]) -> Starting:
    """The same start with the other measures out of the payment formula, so that no answer depends on them."""
    if len(measures) == len(MEASURES):
        return start
    counts = np.array([measure in measures for measure in MEASURES])
    return replace(start, national=replace(start.national, in_payment=start.national.in_payment & counts))


def blurred(start: Starting, rules: ProgramYear) -> tuple[Starting, tuple[str, ...]]:
    """The start of a reader without patient level, and the measures whose admissions still to come are one whole number in it."""
    days = sum((period.end - period.start).days + 1 for period in rules.periods)
    remaining = round((1.0 - start.share_of_period) * days)
    found = {
        measure: _together(known)
        for measure, known in zip(MEASURES, start.hospital.measures, strict=True)
        if _tells_a_count(known, remaining)
    }
    if not found:
        return start, ()
    measures = tuple(
        found.get(measure, known) for measure, known in zip(MEASURES, start.hospital.measures, strict=True)
    )
    return replace(start, hospital=replace(start.hospital, measures=measures)), tuple(found)


def _tells_a_count(known: MeasureToDate, remaining: int) -> bool:
    if is_small(known.pending):
        return True
    if remaining <= 0:
        return False
    # The same days a year earlier, nearly a year of them, differ from a shown window by a few days' count.
    near_a_year = min(remaining % YEAR, -remaining % YEAR) <= MONTH
    return near_a_year or known.future_mean / remaining * MONTH < PLENTY_A_MONTH


def _together(known: MeasureToDate) -> MeasureToDate:
    together = float(round(known.pending + known.future_mean))
    return replace(known, pending=0, future_mean=ABOUT_FIVE if is_small(together) else together)
