"""Splits into causes: parts that add up exactly, examples worked by hand, no cause without a change."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from hrrp.outlook.drivers import (
    CAUSES,
    MeasureState,
    PrintedState,
    capped_shares,
    change_between_reports,
    change_of_contribution,
    excess,
    shapley,
)

OLD = MeasureState(300.0, np.full(300, logit(0.2)), 75.0, 0.99, 0.03, 0.96, 0.02)


def state(cases: int, rate: float, readmissions: float, median: float, ratio: float, modifier: float) -> MeasureState:
    rows = np.random.default_rng(cases).normal(logit(rate), 0.4, cases)
    return MeasureState(float(cases), rows, readmissions, median, ratio, modifier, 0.02)


def test_shapley_is_the_average_over_all_orders() -> None:
    values = {
        frozenset(s): float(len(s) ** 2 + 3 * ("a" in s) * ("b" in s)) for n in range(4) for s in subsets("abc", n)
    }
    found = shapley("abc", values.__getitem__)
    by_hand = dict.fromkeys("abc", 0.0)
    for order in itertools.permutations("abc"):
        done: frozenset[str] = frozenset()
        for name in order:
            by_hand[name] += (values[done | {name}] - values[done]) / 6
            done |= {name}
    assert found == pytest.approx(by_hand)


def subsets(names: str, size: int) -> list[frozenset[str]]:
    return [frozenset(each) for each in itertools.combinations(names, size)]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(10, 200),
    st.floats(0.05, 0.4),
    st.floats(0, 1),
    st.floats(0.9, 1.1),
    st.floats(0, 0.2),
    st.floats(0.9, 1.0),
)
def test_parts_add_up_to_the_change(
    cases: int, rate: float, share: float, median: float, ratio: float, modifier: float
) -> None:
    new = state(cases, rate, min(share * 2 * rate, 1.0) * cases, median, ratio, modifier)
    parts = change_of_contribution(OLD, new)
    assert set(parts) == set(CAUSES)
    # Old readmissions are scored with the new variance, so the old end of the split is that.
    old = replace(OLD, tau2=new.tau2)
    assert sum(parts.values()) == pytest.approx(new.contribution() - old.contribution(), abs=1e-12)


def test_a_single_cause_carries_the_whole_change() -> None:
    dearer = replace(OLD, drg_payment_ratio=0.05)
    parts = change_of_contribution(OLD, dearer)
    assert parts["payment ratio"] == pytest.approx(0.96 * 0.02 * (OLD.err() - 0.99), rel=1e-9)
    assert all(parts[cause] == pytest.approx(0.0, abs=1e-15) for cause in CAUSES if cause != "payment ratio")
    sicker = replace(OLD, linear_predictor=np.full(300, logit(0.25)), readmissions=75.0 * 0.25 / 0.2)
    parts = change_of_contribution(OLD, sicker, MeasureState.err)
    # Sicker patients returning in proportion: no change of outcome.
    assert parts["outcome"] == pytest.approx(0.0, abs=1e-12)
    assert parts["case mix"] == pytest.approx(sicker.err() - OLD.err(), abs=1e-12)


def test_excess_is_what_was_observed_less_what_shrinkage_takes() -> None:
    found = excess(OLD)
    predicted = OLD.err() * 0.2
    assert found.observed_less_expected == pytest.approx(0.25 - 0.2)
    assert found.predicted_less_expected == pytest.approx(predicted - 0.2)
    assert found.observed_less_expected + found.shrinkage == pytest.approx(found.predicted_less_expected, abs=1e-15)
    assert found.shrinkage < 0
    # With u = tau2 (y - n p) the predicted rate lies between.
    u = logit(predicted) - logit(0.2)
    assert u == pytest.approx(0.02 * (75 - 300 * expit(logit(0.2) + u)), abs=1e-9)


def test_an_unknown_payment_ratio_makes_the_contribution_unknown_not_nothing() -> None:
    assert np.isnan(replace(OLD, drg_payment_ratio=np.nan).contribution())
    assert replace(OLD, drg_payment_ratio=np.nan, readmissions=40.0).contribution() == 0.0
    assert all(np.isnan(part) for part in change_of_contribution(OLD, replace(OLD, drg_payment_ratio=np.nan)).values())


def test_between_two_printed_years() -> None:
    old = PrintedState(24, 1.10, 1.0, 0.03, 0.96)
    new = PrintedState(30, 1.10, 1.0, 0.03, 0.96)
    assert change_between_reports(old, new)["cases"] == pytest.approx(0.96 * 0.03 * 0.1)
    both = PrintedState(30, 1.05, 0.99, 0.04, 0.965)
    parts = change_between_reports(new, both)
    assert sum(parts.values()) == pytest.approx(0.965 * 0.04 * 0.06 - 0.96 * 0.03 * 0.1, abs=1e-15)


def test_shares_add_up_to_the_reduction_also_at_the_cap() -> None:
    assert sum(capped_shares({"HF": 0.02, "PN": 0.03}, 0.03).values()) == pytest.approx(0.03)
    assert capped_shares({"HF": 0.01, "PN": 0.0}, 0.03) == {"HF": 0.01, "PN": 0.0}
    assert capped_shares({"HF": 0.0}, 0.03) == {"HF": 0.0}
