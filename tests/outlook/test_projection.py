"""Projected volume: examples that can be counted by hand."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest

from hrrp.outlook.projection import TREND_DAMPING, VOLUME_WANDER, project_volume, share_elapsed
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


def test_one_a_day_stays_one_a_day() -> None:
    last = date(2026, 6, 30)
    volume = project_volume(days(FIRST, last), FIRST, last, TWO_YEARS)
    assert volume.mean == pytest.approx(365.0)
    assert "same days a year earlier" in volume.basis
    # Two full years are known: the wobble of both counts, of the trend, and of a year's wander.
    assert volume.cv == pytest.approx(math.sqrt(1 / 365 + (TREND_DAMPING * math.sqrt(2 / 365)) ** 2 + VOLUME_WANDER**2))


def test_season_of_the_year_before_is_repeated() -> None:
    last = date(2026, 6, 30)
    # Admissions only in January, 31 of them: the next January is the one still to come.
    winter = days(date(2026, 1, 1), date(2026, 1, 31))
    volume = project_volume(winter, date(2025, 7, 1), last, TWO_YEARS)
    assert volume.mean == pytest.approx(31.0)
    until_december = (Period(date(2025, 7, 1), date(2026, 12, 31)),)
    assert project_volume(winter, date(2025, 7, 1), last, until_december).mean == 0.0


def test_half_of_a_trend_is_believed() -> None:
    last = date(2026, 6, 30)
    before, recent = days(FIRST, last - timedelta(365), 2), days(last - timedelta(364), last)
    volume = project_volume(np.concatenate([before, recent]), FIRST, last, TWO_YEARS)
    assert volume.mean == pytest.approx(365 * (365 / before.size) ** 0.5)
    assert "half of the last year's trend" in volume.basis


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
