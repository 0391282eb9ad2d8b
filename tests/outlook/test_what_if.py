"""What-if and break-even: examples worked by hand, and properties that must always hold."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit, logit

from hrrp.errors import UsageError
from hrrp.model.one_hospital import hospital_effect
from hrrp.outlook.forecast import Change, HospitalToDate, MeasureToDate, National, forecast_hospital, national_draws
from hrrp.outlook.what_if import (
    Scenario,
    break_even,
    break_even_measure,
    case_edges,
    contribution_at_25_cases,
    contribution_path,
    peer_edges,
    solve_effect,
    unavoidable,
    what_if,
)
from hrrp.program import MEASURES


def measure(n: int = 300, readmissions: int = 75, future: float = 300.0, ratio: float = 0.03) -> MeasureToDate:
    eta = np.random.default_rng(n).normal(logit(0.2), 0.4, n)
    return MeasureToDate(eta, readmissions, 0, future, 0.0, 0.02, 0.2, ratio, 0.0)


NATIONAL = National(
    np.full((5, 6), 0.99),
    np.zeros((5, 6)),
    np.zeros(6),
    0.96,
    0.0,
    np.array([0.14, 0.18, 0.23, 0.31]),
    0.0,
    0.03,
    np.ones(6, dtype=bool),
)
EMPTY = measure(0, 0, 0.0)


def hospital(*measures: MeasureToDate) -> HospitalToDate:
    return HospitalToDate("010001", (*measures, *[EMPTY] * (6 - len(measures))), 0.2, 0.0, None, 1e8)


def test_the_effect_solves_its_equation() -> None:
    eta = np.array([-1.0, -2.0, 0.5])
    u = solve_effect(2.0, 1.5, eta, 0.3)
    assert u == pytest.approx(brentq(lambda v: v - 0.3 * (2.0 - 1.5 * expit(eta + v).sum()), -2, 2), abs=1e-11)


def test_to_date_the_scenario_is_the_exact_effect_with_fewer_readmissions() -> None:
    known = measure(future=0.0)
    for avoided in (0, 1, 7):
        outcome = np.zeros(300)
        outcome[: 75 - avoided] = 1
        exact = hospital_effect(outcome, known.linear_predictor, 0.02)
        end = what_if(hospital(known), NATIONAL, Change(avoided=(float(avoided), 0, 0, 0, 0, 0)))
        assert end.measures["AMI"].err == pytest.approx(exact.err, abs=1e-10)
        assert end.measures["AMI"].reliability == pytest.approx(exact.reliability, abs=1e-10)


def test_scenario_zero_is_the_middle_of_the_forecast() -> None:
    known = hospital(measure())
    forecast = forecast_hospital(known, NATIONAL, national_draws(20_000, 1))
    end = what_if(known, NATIONAL, Change())
    assert end.measures["AMI"].err == pytest.approx(forecast.err[0, 1], abs=0.004)
    assert end.reduction == pytest.approx(forecast.reduction[1], abs=2e-4)


def test_one_avoided_readmission_lowers_predicted_by_the_reliability_weight() -> None:
    """The mock heart-failure measure of 36 discharges: plain arithmetic says 0.64, the truth is several readmissions."""
    eta = np.full(36, logit(0.25))
    known = MeasureToDate(eta, 13, 0, 0.0, 0.0, 0.0191, 0.2, 0.03, 0.0)
    before = what_if(hospital(known), NATIONAL, Change()).measures["AMI"]
    after = what_if(hospital(known), NATIONAL, Change(avoided=(1.0, 0, 0, 0, 0, 0))).measures["AMI"]
    fewer = 36 * (before.predicted - after.predicted)
    assert fewer == pytest.approx(before.reliability, abs=0.005)
    assert before.reliability < 0.15


def test_break_even_of_one_measure_is_the_first_that_reaches_the_median() -> None:
    known = hospital(measure())
    found = break_even_measure(known, NATIONAL, "AMI")
    assert found.total is not None and found.total > 0
    at, before = (
        what_if(known, NATIONAL, Change(avoided=(float(k), 0, 0, 0, 0, 0))).measures["AMI"]
        for k in (found.total, found.total - 1)
    )
    assert at.err <= 0.99 < before.err


def test_break_even_says_when_it_cannot_be_reached() -> None:
    found = break_even_measure(hospital(measure(300, 120, future=5.0)), NATIONAL, "AMI")
    assert found.avoid is None
    assert "cannot be reached" in found.reason
    over = break_even(hospital(measure(300, 120, future=0.0)), NATIONAL, 0.0)
    assert over.avoid is None


def test_break_even_is_nothing_where_there_is_no_penalty() -> None:
    found = break_even(hospital(measure(300, 40)), NATIONAL, 0.0)
    assert found.total == 0
    assert found.avoid == dict.fromkeys(MEASURES, 0)


def test_without_payments_what_is_known_is_said_and_what_is_not_is_not_nothing() -> None:
    known, unpaid = measure(), replace(measure(), drg_payment_ratio=math.nan)
    end = what_if(hospital(unpaid), NATIONAL, Change())
    assert math.isnan(end.measures["AMI"].contribution)
    assert math.isnan(end.reduction)
    # How many readmissions lead to the median does not hang on payments.
    with_payments = break_even_measure(hospital(known), NATIONAL, "AMI")
    without = break_even_measure(hospital(unpaid), NATIONAL, "AMI")
    assert without.total == with_payments.total
    assert break_even(hospital(unpaid), NATIONAL, 0.0).avoid == break_even(hospital(known), NATIONAL, 0.0).avoid
    assert "payments are unknown" in break_even(hospital(unpaid), NATIONAL, 0.001).reason
    stuck = break_even(hospital(replace(measure(300, 120, future=5.0), drg_payment_ratio=math.nan)), NATIONAL, 0.0)
    assert "of unknown size" in stuck.reason
    assert math.isnan(stuck.reduction)
    # Below the median a measure adds nothing, whatever was paid.
    low = hospital(replace(measure(300, 30), drg_payment_ratio=math.nan))
    assert what_if(low, NATIONAL, Change()).reduction == 0.0


def test_what_a_measure_would_add_at_25_cases() -> None:
    """12 of 15 known patients readmitted and 5 more to come: at 25 cases, 10 like them to come, it counts."""
    few = measure(15, 12, 5.0)
    found = contribution_at_25_cases(hospital(few), NATIONAL)["AMI"]
    assert found is not None
    assert found == what_if(hospital(measure(15, 12, 10.0)), NATIONAL, Change()).measures["AMI"].contribution > 0
    assert contribution_at_25_cases(hospital(measure(15, 12, 10.0)), NATIONAL)["AMI"] is None
    assert contribution_at_25_cases(hospital(measure(15, 12, 0.0)), NATIONAL)["AMI"] is None


def test_what_has_happened_cannot_be_avoided() -> None:
    known = hospital(measure())
    coming = what_if(known, NATIONAL, Change()).measures["AMI"].avoidable
    assert unavoidable(known, NATIONAL, Change(avoided=(math.floor(coming), 0, 0, 0, 0, 0))) == {}
    assert unavoidable(known, NATIONAL, Change(avoided=(math.floor(coming) + 1, 0, 0, 0, 0, 0))) == {
        "AMI": (math.floor(coming) + 1, pytest.approx(coming))
    }
    # More admissions bring more readmissions that can be avoided.
    more = Change(avoided=(math.floor(coming) + 1, 0, 0, 0, 0, 0), volume=(2.0, 1, 1, 1, 1, 1))
    assert unavoidable(known, NATIONAL, more) == {}


def test_joint_break_even_is_the_fewest_of_all_combinations() -> None:
    known = hospital(measure(60, 18, 40.0, 0.02), measure(80, 22, 60.0, 0.05), measure(50, 14, 30.0, 0.01))
    now = what_if(known, NATIONAL, Change()).reduction
    paths = [contribution_path(known, NATIONAL, name, Change()) for name in MEASURES[:3]]
    for target in (now * 0.7, now * 0.3, 0.0):
        fewest = min(
            (
                sum(combination)
                for combination in itertools.product(*[range(len(path)) for path in paths])
                if sum(path[k] for path, k in zip(paths, combination, strict=True)) <= target
            ),
            default=None,
        )
        found = break_even(known, NATIONAL, target)
        assert found.total == fewest
        if found.avoid is not None:
            check = what_if(known, NATIONAL, Change(avoided=tuple(float(found.avoid[m]) for m in MEASURES)))
            assert check.reduction <= target + 1e-12
            assert check.reduction == pytest.approx(found.reduction, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(0, 100), st.integers(0, 100), st.floats(0, 200))
def test_properties(n: int, few: int, more: int, future: float) -> None:
    few, more = sorted((few, more))
    known = hospital(measure(n, min(n, n // 3), future))
    one, other = (what_if(known, NATIONAL, Change(avoided=(float(k), 0, 0, 0, 0, 0))) for k in (few, more))
    assert other.reduction <= one.reduction + 1e-12
    assert one.reduction <= NATIONAL.cap
    assert one.uncapped == pytest.approx(sum(end.contribution for end in one.measures.values()))


def test_peer_edges_count_whole_stays_and_price_the_neighbouring_group() -> None:
    medians = np.array([[0.95], [0.97], [0.99], [1.01], [1.03]]).repeat(6, axis=1)
    known = hospital(measure())
    below, above = peer_edges(known, replace(NATIONAL, medians=medians), stays=1000.0)
    assert (below.peer_group, above.peer_group) == (2, 4)
    # 200 of 1,000 stays; group 2 ends at 18 %: twenty fewer. Group 3 ends at 23 %: the 31st more crosses it.
    assert below.dual_stays_away == -20
    assert above.dual_stays_away == 31
    assert below.reduction > above.reduction


def test_case_edges() -> None:
    edges = case_edges(hospital(measure(20, 4, 10.0)))
    assert edges["AMI"] == 5.0
    assert edges["HF"] == -25.0


def test_scenarios_are_documents() -> None:
    scenario = Scenario(name="fewer HF", avoid={"HF": 6}, dual_proportion=0.25)
    again = Scenario.from_document(json.loads(json.dumps(scenario.to_document())))
    assert again == scenario
    assert again.change.avoided[MEASURES.index("HF")] == 6.0
    assert math.isnan(again.change.medians[0])


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"avoid": {"HEART": 3}}, "HEART"),
        ({"avod": {}}, "avod"),
        ({"volume": {"HF": -1}}, "volume HF"),
        ({"avoid": {"HF": "six"}}, "avoid HF"),
        ({"dual_proportion": 2}, "between 0 and 1"),
    ],
)
def test_a_faulty_scenario_names_its_fault(document: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Scenario.from_document(document)
