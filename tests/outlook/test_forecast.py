"""The forecast's distribution: limits that can be worked by hand, properties that must always hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from hrrp.model.one_hospital import hospital_effect
from hrrp.outlook.forecast import (
    Change,
    HospitalToDate,
    MeasureToDate,
    National,
    forecast_hospital,
    national_draws,
    spread_by_source,
)
from hrrp.program import MEASURES

SIX = len(MEASURES)
SHARED = national_draws(4_000, seed=7)


def measure(n: int = 300, readmissions: int = 66, **given: float) -> MeasureToDate:
    eta = np.random.default_rng(1).normal(logit(0.2), 0.4, n)
    known = MeasureToDate(
        linear_predictor=eta,
        readmissions=readmissions,
        pending=0,
        future_mean=0.0,
        future_cv=0.0,
        tau2=0.02,
        national_rate=0.2,
        drg_payment_ratio=0.03,
        drg_payment_ratio_cv=0.0,
    )
    return replace(known, **given)


def national(**given: object) -> National:
    figures = National(
        medians=np.full((5, SIX), 0.99),
        median_sd=np.zeros((5, SIX)),
        model_sd=np.zeros(SIX),
        neutrality_modifier=0.96,
        neutrality_modifier_sd=0.0,
        cuts=np.array([0.14, 0.18, 0.23, 0.31]),
        cuts_sd=0.0,
        cap=0.03,
        in_payment=np.ones(SIX, dtype=bool),
    )
    return replace(figures, **given)


def hospital(*measures: MeasureToDate, **given: object) -> HospitalToDate:
    padded = (*measures, *[measure(0, 0) for _ in range(SIX - len(measures))])
    known = HospitalToDate("010001", padded, 0.2, 0.0, None, 1e8)
    return replace(known, **given)


def test_when_the_period_is_over_and_nothing_is_uncertain_the_forecast_is_the_figure_to_date() -> None:
    known = measure()
    outcome = np.zeros(300)
    outcome[:66] = 1
    exact = hospital_effect(outcome, known.linear_predictor, 0.02)
    forecast = forecast_hospital(hospital(known), national(), SHARED)
    assert forecast.err[0] == pytest.approx([exact.err] * 3, abs=2e-6)
    expected = 0.96 * 0.03 * max(exact.err - 0.99, 0)
    assert forecast.reduction == pytest.approx([expected] * 3, abs=1e-7)
    assert forecast.chance_of_penalty == 1.0
    assert forecast.draws.std() < 1e-12


def test_a_measure_under_25_cases_does_not_count() -> None:
    forecast = forecast_hospital(hospital(measure(24, 20)), national(), SHARED)
    assert forecast.reduction[2] == 0.0
    assert forecast.chance_of_cases[0] == 0.0
    assert forecast.err[0, 1] > 1.0


def test_chance_of_reaching_25_cases_is_that_of_the_projected_volume() -> None:
    forecast = forecast_hospital(hospital(measure(15, 3, future_mean=10.0, future_cv=0.0)), national(), SHARED)
    # 15 + Normal(10, sqrt 10) rounded to whole discharges reaches 25 when it is at least 24.5.
    assert forecast.chance_of_cases[0] == pytest.approx(0.5628, abs=0.03)


def test_without_payments_the_chance_is_known_and_the_money_is_not() -> None:
    forecast = forecast_hospital(hospital(measure(300, 90, drg_payment_ratio=np.nan)), national(), SHARED)
    assert forecast.chance_of_penalty == 1.0
    assert np.isnan(forecast.reduction).all()
    below = forecast_hospital(hospital(measure(300, 30, drg_payment_ratio=np.nan)), national(), SHARED)
    assert below.reduction.tolist() == [0.0, 0.0, 0.0]


def test_cap_binds() -> None:
    heavy = [measure(300, 250, drg_payment_ratio=0.2, future_mean=20.0) for _ in range(SIX)]
    forecast = forecast_hospital(hospital(*heavy), national(), SHARED)
    assert forecast.reduction == pytest.approx([0.03] * 3)
    assert forecast.chance_of_cap == 1.0


def test_a_measure_out_of_payment_contributes_nothing() -> None:
    in_payment = np.array([name != "AMI" for name in MEASURES])
    forecast = forecast_hospital(hospital(measure(300, 120)), national(in_payment=in_payment), SHARED)
    assert forecast.reduction[2] == 0.0


def test_peer_group_follows_the_dual_proportion_and_a_scenario_may_set_it() -> None:
    own = hospital(measure(), dual_proportion=0.2, dual_proportion_se=0.0)
    assert forecast_hospital(own, national(), SHARED).chance_of_group.tolist() == [0, 0, 1, 0, 0]
    moved = forecast_hospital(own, national(), SHARED, Change(dual_proportion=0.5))
    assert moved.chance_of_group.tolist() == [0, 0, 0, 0, 1]
    unknown = hospital(measure(), dual_proportion=np.nan, peer_group=2)
    assert forecast_hospital(unknown, national(), SHARED).chance_of_group.tolist() == [0, 1, 0, 0, 0]


def test_same_seed_same_answer_and_hospitals_draw_their_own_luck() -> None:
    known = hospital(measure(future_mean=200.0, future_cv=0.1))
    first, again = (forecast_hospital(known, national(), national_draws(500, 3)) for _ in range(2))
    assert np.array_equal(first.draws, again.draws)
    other = forecast_hospital(replace(known, ccn="010005"), national(), national_draws(500, 3))
    assert abs(np.corrcoef(first.draws, other.draws)[0, 1]) < 0.2


def test_national_uncertainty_is_shared_between_hospitals() -> None:
    moving = national(median_sd=np.full((5, SIX), 0.02))
    first = forecast_hospital(hospital(measure(300, 90)), moving, SHARED)
    other = forecast_hospital(hospital(measure(300, 90), ccn="010005"), moving, SHARED)
    assert np.corrcoef(first.draws, other.draws)[0, 1] > 0.99


def test_where_nothing_is_known_yet_the_nation_takes_the_hospital_with_it() -> None:
    """The ERR compares with the nation's own year, so a national move matters only for what has already happened."""
    moving = national(model_sd=np.full(SIX, 0.1))
    nothing = hospital(measure(0, 0, future_mean=400.0))
    still, moved = (forecast_hospital(nothing, nation, SHARED) for nation in (national(), moving))
    assert np.ptp(moved.err[0]) == pytest.approx(np.ptp(still.err[0]), rel=0.03)
    done = hospital(measure(300, 66))
    assert np.ptp(forecast_hospital(done, moving, SHARED).err[0]) > 0.05


def test_spread_names_the_only_uncertain_source() -> None:
    moving = national(median_sd=np.full((5, SIX), 0.01))
    forecast = forecast_hospital(hospital(measure(300, 90)), moving, SHARED)
    assert forecast.spread["peer medians"] == pytest.approx(1.0, abs=0.02)
    chancy = forecast_hospital(hospital(measure(300, 90, future_mean=300.0)), national(), SHARED)
    assert chancy.spread["peer medians"] == 0.0
    assert chancy.spread["chance"] > 0.2
    assert sum(chancy.spread.values()) == pytest.approx(1.0)


def test_spread_recovers_known_shares() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 50_000))
    shares = spread_by_source(2 * a + b, {"a": a[None], "b": b[None]})
    assert shares["a"] == pytest.approx(0.8, abs=0.01)


def test_the_true_effect_is_covered_and_the_range_is_honest() -> None:
    """A hospital whose second half of the period is simulated from a drawn true effect: the 90 % range covers nine in ten."""
    rng = np.random.default_rng(11)
    covered = []
    for trial in range(200):
        effect = rng.normal(0, np.sqrt(0.02))
        eta = rng.normal(logit(0.2), 0.4, 400)
        outcome = rng.random(400) < expit(eta + effect)
        known = measure(linear_predictor=eta[:200], readmissions=int(outcome[:200].sum()), pending=0, future_mean=200.0)
        known = replace(known, future_cv=0.0)
        forecast = forecast_hospital(hospital(known, ccn=f"{trial:06d}"), national(), national_draws(1_000, trial))
        final = hospital_effect(outcome.astype(float), eta, 0.02).err
        covered.append(forecast.err[0, 0] <= final <= forecast.err[0, 2])
    assert 0.85 <= np.mean(covered) <= 0.96


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 80), st.integers(0, 80), st.integers(30, 400), st.floats(0.0, 300.0), st.floats(0.0, 0.3))
def test_more_avoided_never_raises_the_penalty(few: int, more: int, n: int, future: float, elsewhere: float) -> None:
    few, more = sorted((few, more))
    known = hospital(
        measure(n, n // 4, future_mean=future, future_cv=0.1, elsewhere_share=elsewhere, elsewhere_share_se=0.02)
    )
    moving = national(median_sd=np.full((5, SIX), 0.01), model_sd=np.full(SIX, 0.05))
    shared = national_draws(300, 5)
    one, other = (
        forecast_hospital(known, moving, shared, Change(avoided=(float(k), 0, 0, 0, 0, 0))) for k in (few, more)
    )
    assert (other.draws <= one.draws + 1e-12).all()


def test_no_change_is_the_forecast() -> None:
    known = hospital(measure(future_mean=100.0))
    assert np.array_equal(
        forecast_hospital(known, national(), SHARED).draws, forecast_hospital(known, national(), SHARED, Change()).draws
    )


def test_the_compiled_draws_are_the_same() -> None:
    from hrrp.outlook import forecast_kernel

    moving = national(
        model_sd=np.full(SIX, 0.06), median_sd=np.full((5, SIX), 0.01), neutrality_modifier_sd=0.01, cuts_sd=0.01
    )
    for known in (
        measure(300, 80, future_mean=200.0, future_cv=0.1, pending=9, drg_payment_ratio_cv=0.05),
        measure(1500, 260, elsewhere_share=0.2, elsewhere_share_se=0.03, prior_mean=-0.1, prior_variance=0.008),
        measure(0, 0, future_mean=40.0, future_cv=0.2, tau2=0.0741),
        measure(40, 30, future_mean=3.0),
        measure(0, 0),
        measure(100, 20, tau2=0.0),
    ):
        whole = hospital(known, dual_proportion=0.2, dual_proportion_se=0.02)
        for change in (Change(), Change(avoided=(25.0, 0, 0, 0, 0, 0), volume=(1.5, 1, 1, 1, 1, 1))):
            plain = forecast_hospital(whole, moving, SHARED, change)
            fast = forecast_hospital(whole, moving, SHARED, change, kernel=forecast_kernel)
            assert fast.err[0] == pytest.approx(plain.err[0], abs=2e-8, nan_ok=True)
            assert fast.draws == pytest.approx(plain.draws, abs=2e-8)
            assert fast.cases[0] == pytest.approx(plain.cases[0])


def test_draws_beyond_the_compiled_kernels_curve_go_the_other_way() -> None:
    """Avoiding nearly all of very many readmissions takes the effect beyond six standard deviations."""
    from hrrp.outlook import forecast_kernel

    known = hospital(measure(4000, 900, future_mean=500.0))
    change = Change(avoided=(1000.0, 0, 0, 0, 0, 0))
    plain, fast = (forecast_hospital(known, national(), SHARED, change, kernel=way) for way in (None, forecast_kernel))
    assert fast.err[0] == pytest.approx(plain.err[0], abs=2e-8)
    assert plain.err[0, 1] < 0.2


def test_a_hospital_far_beyond_all_others_has_a_forecast_all_the_same() -> None:
    """Nearly everyone readmitted (a fault in the data, most likely): the effect lies where no curve reaches."""
    from hrrp.outlook import forecast_kernel

    known = hospital(measure(2000, 1990, tau2=0.2, future_mean=500.0))
    plain, fast = (forecast_hospital(known, national(), SHARED, kernel=way) for way in (None, forecast_kernel))
    assert np.isfinite(plain.err[0]).all()
    assert plain.err[0, 1] > 3.9
    assert fast.err[0] == pytest.approx(plain.err[0], abs=2e-8)
    assert plain.reduction == pytest.approx([0.03] * 3)


def test_a_record_before_the_period_shifts_and_narrows_what_is_to_come() -> None:
    from hrrp.outlook.forecast import prior_from_history

    eta = np.random.default_rng(4).normal(logit(0.2), 0.4, 800)
    mean, variance = prior_from_history(eta, 220.0, 0.02, 0.9)
    outcome = np.zeros(800)
    outcome[:220] = 1
    exact = hospital_effect(outcome, eta, 0.02)
    assert mean == pytest.approx(0.9 * exact.effect, abs=1e-9)
    assert variance == pytest.approx(0.02 - 0.81 * (0.02 - exact.se**2), abs=1e-9)
    assert prior_from_history(np.empty(0), 0.0, 0.02, 0.9) == (0.0, 0.02)
    coming = measure(0, 0, future_mean=300.0)
    blank, known = (
        forecast_hospital(hospital(each), national(), SHARED)
        for each in (coming, replace(coming, prior_mean=mean, prior_variance=variance))
    )
    assert known.err[0, 1] > blank.err[0, 1]
    assert np.ptp(known.err[0]) < np.ptp(blank.err[0])
