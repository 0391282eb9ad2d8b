"""How many more index admissions a measure will have until the applicable period ends.

The hospital's own admissions of the last year before the edge of what is known give the daily rate of each season: the same
calendar days a year earlier stand for the days to come (seasonal naive), scaled by the trend between the last two years where
both are known. Counts carry Poisson noise; the rate itself carries that of the year it was taken from and of the trend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from hrrp.program import Period

YEAR = 365
# Relative yearly wander of a hospital's volume beyond Poisson noise, and how strongly a seen trend is believed.
VOLUME_WANDER = 0.08
TREND_DAMPING = 0.5


@dataclass(frozen=True)
class Volume:
    """Expected further admissions and the relative standard error of that expectation."""

    mean: float
    cv: float
    basis: str


def share_elapsed(periods: tuple[Period, ...], through: date) -> float:
    """Share of the applicable period's days that have passed at the end of the day `through`."""
    days = sum((period.end - period.start).days + 1 for period in periods)
    passed = sum(max((min(period.end, through) - period.start).days + 1, 0) for period in periods)
    return passed / days


def project_volume(
    discharge_days: NDArray[np.int64], first_known: date, last_known: date, periods: tuple[Period, ...]
) -> Volume:
    """Further index admissions after `last_known` within `periods`.

    `discharge_days` are the ordinals (date.toordinal) of all known index discharges of the measure, inside the period or before it,
    between `first_known` and `last_known`.
    """
    remaining = np.array(
        [
            day
            for period in periods
            for day in range(max(period.start, last_known + timedelta(days=1)).toordinal(), period.end.toordinal() + 1)
        ],
        dtype=np.int64,
    )
    if not remaining.size:
        return Volume(0.0, 0.0, "the period is over")
    known_days = (last_known - first_known).days + 1
    if known_days < 30:
        return Volume(0.0, 0.0, "too few days known to project volume")
    days = np.asarray(discharge_days, dtype=np.int64)
    last = last_known.toordinal()
    span = min(known_days, YEAR)
    recent = int(((days > last - span) & (days <= last)).sum())
    if known_days < YEAR:
        mean = recent / span * remaining.size
        basis = f"daily rate of the {span} days known"
    else:
        per_day = np.bincount(np.clip(days - (last - YEAR + 1), -1, YEAR) + 1, minlength=YEAR + 2)[1 : YEAR + 1]
        # The same day of the year before; for days more than a year ahead the same season again.
        mean = float(per_day[(remaining - last - 1) % YEAR].sum())
        basis = "same days a year earlier"
    factor, trend_cv = 1.0, 0.0
    if known_days >= 2 * YEAR:
        before = int(((days > last - 2 * YEAR) & (days <= last - YEAR)).sum())
        if before >= 10 and recent >= 10:
            factor = math.exp(TREND_DAMPING * math.log(recent / before))
            trend_cv = TREND_DAMPING * math.sqrt(1 / before + 1 / recent)
            basis += ", with half of the last year's trend"
    years_ahead = remaining.size / YEAR
    cv = math.sqrt((1 / recent if recent else 0.25) + trend_cv**2 + VOLUME_WANDER**2 * years_ahead)
    return Volume(mean * factor, cv, basis)
