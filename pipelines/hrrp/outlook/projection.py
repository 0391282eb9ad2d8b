"""How many more index admissions a measure will have until the applicable period ends.

Where two years of the hospital's own admissions are known, and enough of them, trend and season come from a Poisson regression
(statsmodels) of the admissions in twelfths of a year, counted back from the last day known:

    log(rate of day t) = a + b t + c cos(2 pi t / 365) + d sin(2 pi t / 365),      t = 0 on the last day known.

Beyond the last day half of the trend b is believed: the trends of single hospitals seldom last. The standard error of the sum follows
from the covariance of the coefficients, widened where counts vary more than chance would have them (quasi-Poisson).

Where less is known, the same calendar days a year earlier stand for the days to come (seasonal naive), or the daily rate of the days
known where these are less than a year. Counts carry Poisson noise, added by the forecast; the rate's own uncertainty is the cv here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hrrp.program import Period

Floats = NDArray[np.float64]

YEAR = 365
PARTS_OF_A_YEAR = 12
# A series is long enough for trend and season from two years and this many admissions on.
LONG_ENOUGH = 2 * YEAR
ENOUGH_ADMISSIONS = 50
# Relative yearly wander of a hospital's volume beyond Poisson noise, and how strongly a seen trend is believed.
VOLUME_WANDER = 0.08
TREND_DAMPING = 0.5
# With fewer days known nothing can be said.
FEWEST_DAYS = 30
TOO_FEW_DAYS = "too few days known to project volume"


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


@dataclass(frozen=True)
class TrendAndSeason:
    """The coefficients a, b, c, d of the regression, and their covariance."""

    coefficients: Floats
    covariance: Floats

    def sum_over(self, ahead: Floats) -> tuple[float, float]:
        """Expected admissions on the days `ahead` (1 = the day after the last one known), and their relative standard error."""
        design = _design(ahead, TREND_DAMPING * ahead / YEAR)
        rate = np.exp(design @ self.coefficients)
        mean = float(rate.sum())
        gradient = rate @ design / mean
        return mean, math.sqrt(float(gradient @ self.covariance @ gradient))


def _design(day: Floats, years: Floats) -> Floats:
    turn = 2.0 * np.pi * day / YEAR
    return np.column_stack([np.ones_like(day), years, np.cos(turn), np.sin(turn)])


class AdmissionHistory:
    """The known index admissions of one hospital and measure; one history serves every program year.

    `discharge_days` are the ordinals (date.toordinal) of all known index discharges, inside a period or before it; `first_known` and
    `last_known` the days between which all of them are known.
    """

    def __init__(self, discharge_days: NDArray[np.int64], first_known: date, last_known: date) -> None:
        days = np.asarray(discharge_days, dtype=np.int64)
        self.first_known, self.last_known = first_known, last_known
        self.days = days[(days >= first_known.toordinal()) & (days <= last_known.toordinal())]
        self.known_days = (last_known - first_known).days + 1

    @cached_property
    def trend_and_season(self) -> TrendAndSeason | None:
        """Fitted by statsmodels; None where the series is too short, too thin, or cannot be fitted."""
        if self.known_days < LONG_ENOUGH or self.days.size < ENOUGH_ADMISSIONS:
            return None
        from statsmodels.genmod.families import Poisson
        from statsmodels.genmod.generalized_linear_model import GLM

        parts = self.known_days * PARTS_OF_A_YEAR // YEAR
        edges = self.last_known.toordinal() + 1 - np.round(np.arange(parts, -1, -1) * YEAR / PARTS_OF_A_YEAR)
        counts, width = np.histogram(self.days, bins=edges - 0.5)[0], np.diff(edges)
        middle = edges[:-1] + (width - 1.0) / 2.0 - self.last_known.toordinal()
        if np.count_nonzero(counts) < parts // 2:
            return None
        model = GLM(
            counts,
            _design(middle, middle / YEAR),
            family=Poisson(),
            offset=np.log(width.astype(np.float64)),
        )
        fitted = model.fit()
        covariance = np.asarray(fitted.cov_params()) * max(1.0, float(fitted.pearson_chi2) / float(fitted.df_resid))
        if not (fitted.converged and np.isfinite(covariance).all()):
            return None
        return TrendAndSeason(np.asarray(fitted.params), covariance)

    def project(self, periods: tuple[Period, ...]) -> Volume:
        """Further index admissions after the last day known, within `periods`."""
        ahead = _days_ahead(periods, self.last_known)
        if not ahead.size:
            return Volume(0.0, 0.0, "the period is over")
        if self.known_days < FEWEST_DAYS:
            return Volume(0.0, 0.0, TOO_FEW_DAYS)
        if (fitted := self.trend_and_season) is not None:
            mean, error = fitted.sum_over(ahead)
            basis = "trend and season of the days known (Poisson regression), half of the trend carried on"
        else:
            mean, error, basis = self._rate_of_last_year(ahead)
        # A rate wanders with the years: on average over the days ahead as long as these lie away.
        return Volume(mean, math.sqrt(error**2 + VOLUME_WANDER**2 * float(ahead.mean()) / YEAR), basis)

    def _rate_of_last_year(self, ahead: Floats) -> tuple[float, float, str]:
        last, span = self.last_known.toordinal(), min(self.known_days, YEAR)
        recent = self.days[self.days > last - span]
        error = math.sqrt(1.0 / recent.size if recent.size else 0.25)
        if self.known_days < YEAR:
            return recent.size / span * ahead.size, error, f"daily rate of the {span} days known"
        per_day = np.bincount(recent - (last - YEAR + 1), minlength=YEAR)
        # The same day of the year before; for days more than a year ahead the same season again.
        mean = float(per_day[(ahead.astype(np.int64) - 1) % YEAR].sum())
        return mean, error, "same days a year earlier"


def project_volume(
    discharge_days: NDArray[np.int64], first_known: date, last_known: date, periods: tuple[Period, ...]
) -> Volume:
    """Further index admissions after `last_known` within `periods`, from one series; see `AdmissionHistory`."""
    return AdmissionHistory(discharge_days, first_known, last_known).project(periods)


def _days_ahead(periods: tuple[Period, ...], last_known: date) -> Floats:
    """The days of the periods after `last_known`, counted from it."""
    last = last_known.toordinal()
    return np.array(
        [
            day - last
            for period in periods
            for day in range(max(period.start, last_known + timedelta(days=1)).toordinal(), period.end.toordinal() + 1)
        ],
        dtype=np.float64,
    )
