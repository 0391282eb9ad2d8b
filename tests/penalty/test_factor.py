"""The factor's arithmetic on worked examples: printed rows of CMS's files, and the pre-FY2019 formula by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hrrp.penalty.factor import (
    contributions,
    payment_adjustment_factor,
    payment_reduction,
    penalty_indicator,
    round_half_up,
)

NAN = math.nan

# Printed rows of CMS's FY2027 supplemental file: discharges, ERR, median, ratio for AMI, COPD, HF, PN, CABG, THA/TKA.
FY2027 = {
    "010005": (
        [14, 220, 199, 461, NAN, 28],
        [0.9872, 0.9537, 0.9649, 0.8939, NAN, 1.0291],
        [0.9955, 0.9954, 0.9928, 0.9945, 0.9837, 0.9942],
        [0.0038, 0.0283, 0.0328, 0.0817, NAN, 0.0037],
        0.9999,
    ),
    "010006": (
        [444, 340, 601, 948, 114, 49],
        [0.9993, 1.1965, 1.0899, 1.0362, 1.1884, 0.8781],
        [0.9955, 0.9954, 0.9928, 0.9945, 0.9837, 0.9942],
        [0.0395, 0.0155, 0.0325, 0.0648, 0.0251, 0.0059],
        0.9863,
    ),
    "010021": (
        [1, 32, 27, 92, NAN, NAN],
        [0.9978, 0.9975, 0.9682, 0.9822, NAN, NAN],
        [0.9963, 0.9976, 1.0027, 0.9941, 1.0056, 0.9914],
        [0.0018, 0.0239, 0.0217, 0.1151, NAN, NAN],
        1.0000,
    ),
}


@pytest.mark.parametrize("ccn", FY2027)
def test_the_stratified_formula_gives_the_published_factor(ccn: str) -> None:
    cases, err, median, ratio, published = FY2027[ccn]
    paf = payment_adjustment_factor(contributions(err, median, ratio, cases, 0.9628), 0.03)
    assert round_half_up(float(paf)) == published


def test_one_contribution_by_hand() -> None:
    # FY2025, hospital 010001, HF: 0.96524016588985 * 0.0363 * (1.0597 - 0.9875)
    contribution = contributions(1.0597, 0.9875, 0.0363, 681, 0.96524016588985)
    assert float(contribution) == pytest.approx(0.0025297593411740, abs=1e-16)


@pytest.mark.parametrize(
    ("cap", "err", "ratio", "cases", "factor"),
    [
        # 0.02 * 0.05 + 0.03 * 0.10 = 0.004; the good measure earns nothing back
        (0.01, [1.05, 1.10, 0.80], [0.02, 0.03, 0.04], [100, 200, 300], 0.996),
        # 0.05 * 0.30 + 0.03 * 0.10 = 0.018: above FY2013's cap, below FY2014's
        (0.01, [1.30, 1.10, 1.00], [0.05, 0.03, 0.04], [100, 200, 300], 0.99),
        (0.02, [1.30, 1.10, 1.00], [0.05, 0.03, 0.04], [100, 200, 300], 0.982),
        # 24 cases do not count, 25 do
        (0.03, [1.30, 1.10, 1.00], [0.05, 0.03, 0.04], [24, 25, 300], 0.997),
        # a measure without a result adds nothing
        (0.03, [1.30, NAN, 1.00], [0.05, 0.03, NAN], [100, 25, 300], 0.985),
        # an ERR of exactly 1 is no excess
        (0.03, [1.00, 1.00, 1.00], [0.05, 0.03, 0.04], [100, 25, 300], 1.0),
    ],
)
def test_the_formula_before_fy2019(
    cap: float, err: list[float], ratio: list[float], cases: list[float], factor: float
) -> None:
    paf = payment_adjustment_factor(contributions(err, 1.0, ratio, cases), cap)
    assert float(paf) == pytest.approx(factor, abs=1e-15)


def test_the_modifier_multiplies_before_the_cap() -> None:
    parts = contributions([1.5], [1.0], [0.062], [100], 0.96)
    assert float(payment_reduction(parts, 0.03)) == pytest.approx(0.02976, abs=1e-15)
    assert float(payment_reduction(parts / 0.96, 0.03)) == 0.03


def test_hospitals_go_down_and_measures_across() -> None:
    parts = contributions([[1.1, 1.2], [0.9, 1.05]], [1.0, 1.0], [[0.1, 0.1], [0.1, 0.1]], 50, [[1.0], [0.5]])
    np.testing.assert_allclose(payment_reduction(parts, 0.03), [0.03, 0.0025], atol=1e-15)


def test_the_indicator_needs_25_cases_and_an_err_strictly_above_the_median() -> None:
    flags = penalty_indicator([1.01, 1.00, 1.01, NAN], [1.00, 1.00, 1.00, 1.00], [25, 25, 24, 25])
    assert flags.tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.99985, 0.9999), (0.99984999, 0.9998), (0.99995, 1.0), (1.0, 1.0), (0.97, 0.97), (None, None)],
)
def test_rounding_is_half_up_on_the_decimal_text(value: float | None, rounded: float | None) -> None:
    assert round_half_up(value) == rounded


def test_a_missing_figure_stays_missing_when_rounded() -> None:
    assert math.isnan(round_half_up(NAN))
