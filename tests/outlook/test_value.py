"""The value of one avoided readmission: one hospital worked by hand, and the cases where it does not pay."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy.special import expit, logit

from hrrp.outlook.forecast import (
    Change,
    HospitalToDate,
    MeasureToDate,
    National,
    drawn_reductions,
    forecast_hospital,
    national_draws,
    own_draws,
)
from hrrp.outlook.value import YearInputs, value_of_avoiding
from hrrp.outlook.what_if import one_fewer, solve_effect, what_if
from hrrp.program import MEASURES

SHARED = national_draws(500, 1)
ETA = np.full(400, logit(0.2))


def year(program_year: int, readmissions: int, ratio: float = 0.04, cases: int = 400) -> YearInputs:
    empty = MeasureToDate(np.empty(0), 0, 0, 0.0, 0.0, 0.02, 0.2, 0.0, 0.0)
    first = MeasureToDate(ETA[:cases], readmissions, 0, 0.0, 0.0, 0.02, 0.2, ratio, 0.0)
    hospital = HospitalToDate("010001", (first, *[empty] * 5), 0.2, 0.0, None, 50e6)
    national = National(
        np.full((5, 6), 1.0),
        np.zeros((5, 6)),
        np.zeros(6),
        1.0,
        0.0,
        np.array([0.14, 0.18, 0.23, 0.31]),
        0.0,
        0.03,
        np.ones(6, dtype=bool),
    )
    return YearInputs(program_year, hospital, national, 2.0)


def test_worked_by_hand() -> None:
    """400 patients of 20 % risk, 100 readmitted: ERR = p(u)/0.2; one fewer moves it by the reliability weight."""
    errs = [float(expit(logit(0.2) + solve_effect(y, 1.0, ETA, 0.02))) / 0.2 for y in (100.0, 99.0)]
    a_year = 50e6 * 0.04 * (errs[0] - errs[1])
    best, *others = value_of_avoiding([year(2028, 100), year(2029, 100)], SHARED, 3814.0, {"AMI": 12_000.0})
    assert best.measure == "AMI"
    assert best.penalty_avoided == {2028: pytest.approx(a_year, rel=1e-9), 2029: pytest.approx(a_year, rel=1e-9)}
    assert best.net == pytest.approx(2 * a_year - 3814.0, rel=1e-9)
    excess_a_year = 400 * (errs[0] * 0.2 - 1.0 * 0.2) / 2
    expected = 50e6 * 0.04 * (errs[0] - 1.0) / (excess_a_year * 12_000.0)
    assert best.multiplier == pytest.approx(expected, rel=1e-6)
    assert best.interval[0] == pytest.approx(best.net, rel=1e-3)
    assert best.reason == ""
    assert {value.measure for value in others} == set(MEASURES) - {"AMI"}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (year(2028, 60), "at or below the peer median"),
        (year(2028, 300, ratio=0.2), "at the cap"),
        (year(2028, 20, cases=24), "under 25 cases"),
    ],
)
def test_where_it_does_not_pay_the_reason_is_said(inputs: YearInputs, said: str) -> None:
    (value,) = [each for each in value_of_avoiding([inputs], SHARED, 3814.0) if each.measure == "AMI"]
    assert value.net == pytest.approx(-3814.0)
    assert said in value.reason


def test_a_small_penalty_does_not_make_up_for_the_payment_lost() -> None:
    (value,) = [
        each for each in value_of_avoiding([year(2028, 100, ratio=0.001)], SHARED, 3814.0) if each.measure == "AMI"
    ]
    assert value.net < 0
    assert "payment lost" in value.reason


def test_what_is_solved_and_drawn_for_one_measure_is_what_the_whole_gives() -> None:
    """Measures still filling up, one of unknown payments, one out of the formula; to the last bit, as pages print what comes of it."""
    ended = year(2028, 100)
    running = [
        MeasureToDate(ETA[:n] + 0.001 * n, n // 4, 3, 1.5 * n, 0.1, 0.02, 0.2, ratio, 0.05)
        for n, ratio in ((400, 0.04), (90, np.nan), (20, 0.03), (300, 0.02))
    ]
    hospital = replace(ended.hospital, measures=(*running, *ended.hospital.measures[4:]))
    in_payment = np.array([True, True, True, False, True, True])
    national = replace(ended.national, in_payment=in_payment, median_sd=np.full((5, 6), 0.01), cuts_sd=0.01)
    own = own_draws(hospital.ccn, SHARED)
    base, fewer = drawn_reductions(hospital, national, SHARED, 1.0, range(6), own)
    assert len(np.unique(base)) > 100
    np.testing.assert_array_equal(base, forecast_hospital(hospital, national, SHARED).draws)
    as_it_is = what_if(hospital, national, Change())
    for k, measure in enumerate(MEASURES):
        change = Change(avoided=tuple(float(other == k) for other in range(6)))
        np.testing.assert_array_equal(fewer[k], forecast_hospital(hospital, national, SHARED, change).draws)
        whole = asdict(what_if(hospital, national, change))
        np.testing.assert_equal(asdict(one_fewer(as_it_is, hospital, national, measure)), whole)
    assert not np.array_equal(fewer[0], base, equal_nan=True)
