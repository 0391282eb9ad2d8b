"""Projected volume: examples that can be counted by hand."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest

from hrrp.outlook.projection import (
    ENOUGH_ADMISSIONS,
    TREND_DAMPING,
    VOLUME_WANDER,
    AdmissionHistory,
    project_volume,
    share_elapsed,
)
from hrrp.program import Period

TWO_YEARS = (Period(date(2025, 7, 1), date(2027, 6, 30)),)
FIRST = date(2024, 7, 1)


def days(first: date, last: date, step: int = 1) -> np.ndarray:
    return np.arange(first.toordinal(), last.toordinal() + 1, step)


def test_share_elapsed_counts_both_ends_and_gaps() -> None:
    assert share_elapsed(TWO_YEARS, date(2025, 6, 30)) == 0.0
    assert share_elapsed(TWO_YEARS, date(2025, 7, 1)) == pytest.approx(1 / 730)
    assert share_elapsed(TWO_YEARS, date(2027, 6, 30)) == 1.0
    assert share_elapsed(TWO_YEARS, date(2030, 1, 1)) == 1.0
    gap = (Period(date(2019, 7, 1), date(2019, 12, 1)), Period(date(2020, 7, 1), date(2022, 6, 30)))
    assert share_elapsed(gap, date(2020, 3, 1)) == pytest.approx(154 / 884)


# Counts without any chance in them look like a perfect fit to the regression.
@pytest.mark.filterwarnings("ignore:Perfect separation")
def test_one_a_day_stays_one_a_day() -> None:
    last = date(2026, 6, 30)
    volume = project_volume(days(FIRST, last), FIRST, last, TWO_YEARS)
    assert volume.mean == pytest.approx(365.0, rel=2e-3)
    assert "trend and season" in volume.basis
    # A line through n points spread over [-1, 1] has variance (1 + 3 x^2) / n: half of the trend leads to x = 1.25 in the middle of
    # the year ahead. The season adds little; the rate wanders besides.
    line = (1 + 3 * 1.25**2) / 730
    assert volume.cv == pytest.approx(math.sqrt(line + VOLUME_WANDER**2 / 2), rel=0.08)


def test_trend_and_season_are_found_and_half_of_the_trend_is_carried_on() -> None:
    """Three years of 2 admissions a day on average, 20 % more each year, a third more in winter than on average."""
    last, rng = date(2026, 6, 30), np.random.default_rng(3)
    day = np.arange(date(2023, 7, 1).toordinal(), last.toordinal() + 1)
    turn = 2 * np.pi * (day - last.toordinal()) / 365
    growth = math.log(1.2)
    rate = 2.0 * np.exp(growth * (day - last.toordinal()) / 365 - 0.3 * np.cos(turn))
    history = AdmissionHistory(np.repeat(day, rng.poisson(rate)), date(2023, 7, 1), last)
    fitted = history.trend_and_season
    assert fitted is not None
    assert fitted.coefficients == pytest.approx([math.log(2.0), growth, -0.3, 0.0], abs=0.08)
    ahead = np.arange(1, 366)
    expected = (2.0 * np.exp(TREND_DAMPING * growth * ahead / 365 - 0.3 * np.cos(2 * np.pi * ahead / 365))).sum()
    volume = history.project(TWO_YEARS)
    assert volume.mean == pytest.approx(expected, rel=0.06)


def test_the_error_of_the_projection_is_honest() -> None:
    """Three years of chance about a steady rate: the rate's error is the spread of the projections."""
    last, first = date(2026, 6, 30), date(2023, 7, 1)
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        day = np.repeat(np.arange(first.toordinal(), last.toordinal() + 1), rng.poisson(0.3, 1096))
        found.append(project_volume(day, first, last, TWO_YEARS))
    means = np.array([volume.mean for volume in found])
    error = math.sqrt(np.mean([volume.cv**2 for volume in found]) - VOLUME_WANDER**2 / 2)
    assert means.mean() == pytest.approx(0.3 * 365, rel=0.04)
    assert means.std() / means.mean() == pytest.approx(error, rel=0.2)


def test_season_of_the_year_before_is_repeated_where_the_series_is_short() -> None:
    last = date(2026, 6, 30)
    # Admissions only in January, 31 of them: the next January is the one still to come.
    winter = days(date(2026, 1, 1), date(2026, 1, 31))
    volume = project_volume(winter, date(2025, 7, 1), last, TWO_YEARS)
    assert volume.mean == pytest.approx(31.0)
    assert volume.basis == "same days a year earlier"
    assert volume.cv == pytest.approx(math.sqrt(1 / 31 + VOLUME_WANDER**2 * 183 / 365))
    until_december = (Period(date(2025, 7, 1), date(2026, 12, 31)),)
    assert project_volume(winter, date(2025, 7, 1), last, until_december).mean == 0.0


def test_a_thin_series_is_not_fitted_however_long_it_is() -> None:
    last = date(2026, 6, 30)
    few = days(FIRST, last, 730 // (ENOUGH_ADMISSIONS - 1) + 1)
    assert few.size < ENOUGH_ADMISSIONS
    volume = project_volume(few, FIRST, last, TWO_YEARS)
    assert volume.basis == "same days a year earlier"
    assert volume.mean == pytest.approx((few > last.toordinal() - 365).sum())


@pytest.mark.filterwarnings("ignore:Perfect separation")
def test_admissions_outside_the_days_known_are_not_counted() -> None:
    last = date(2026, 6, 30)
    longer = days(FIRST - timedelta(100), last + timedelta(50))
    assert project_volume(longer, FIRST, last, TWO_YEARS) == project_volume(days(FIRST, last), FIRST, last, TWO_YEARS)


def test_less_than_a_year_gives_a_daily_rate_and_too_little_gives_none() -> None:
    last = date(2025, 10, 8)
    volume = project_volume(days(date(2025, 7, 1), last, 2), date(2025, 7, 1), last, TWO_YEARS)
    assert volume.mean == pytest.approx(0.5 * (730 - 100))
    assert "100 days known" in volume.basis
    few = project_volume(days(date(2025, 7, 1), date(2025, 7, 10)), date(2025, 7, 1), date(2025, 7, 10), TWO_YEARS)
    assert (few.mean, few.basis) == (0.0, "too few days known to project volume")


def test_nothing_remains_when_the_period_is_over() -> None:
    last = date(2027, 6, 30)
    volume = project_volume(days(FIRST, last), FIRST, last, TWO_YEARS)
    assert (volume.mean, volume.cv, volume.basis) == (0.0, 0.0, "the period is over")
