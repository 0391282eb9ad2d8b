"""Data that break hierarchical models: each gives the right answer, or an error that names the column and what to
do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from nations import Nation, simulate

from hrrp.errors import ConvergenceError, InputContractError, UsageError
from hrrp.model import RandomInterceptLogit

METHODS = ["rspl", "laplace", "agq"]


def model_of(nation: Nation, design: pd.DataFrame | None = None, **options: object) -> RandomInterceptLogit:
    return RandomInterceptLogit(nation.outcome, nation.design if design is None else design, nation.hospital, **options)


@pytest.fixture(scope="module")
def nation() -> Nation:
    return simulate()


@pytest.mark.parametrize("method", METHODS)
def test_no_variance_between_hospitals_gives_ordinary_logistic_regression(method: str) -> None:
    """Hospitals that all have exactly their share of readmissions: the estimate lies on the boundary."""
    rng = np.random.default_rng(3)
    block = pd.DataFrame({"flag": rng.integers(0, 2, 60), "number": rng.normal(size=60)})
    outcome = (rng.random(60) < 0.3).astype(int)
    design = pd.concat([block] * 20, ignore_index=True)
    fit = RandomInterceptLogit(np.tile(outcome, 20), design, np.repeat(np.arange(20), 60)).fit(method)
    plain = sm.Logit(np.tile(outcome, 20), sm.add_constant(design)).fit(disp=0, tol=1e-12)
    assert fit.tau2 == 0.0
    assert np.isnan(fit.tau2_se)
    assert fit.params.to_numpy() == pytest.approx(plain.params.to_numpy(), abs=1e-8)
    assert fit.bse.to_numpy() == pytest.approx(plain.bse.to_numpy(), rel=1e-6)
    assert (fit.hospital_effects == 0.0).all() and (fit.reliability == 0.0).all()
    assert fit.err.to_numpy() == pytest.approx(np.ones(20))
    if method != "rspl":
        assert fit.llf == pytest.approx(plain.llf, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_true_variance_of_zero(method: str) -> None:
    """Drawn without hospital effects: the estimate is zero or within its standard error of it."""
    for seed in range(4):
        fit = model_of(simulate(stays=3000, hospitals=60, tau2=0.0, seed=seed)).fit(method)
        assert fit.tau2 == 0.0 or fit.tau2 < 3 * fit.tau2_se
        assert fit.err.between(0.8, 1.25).all()


def test_one_hospital(nation: Nation) -> None:
    with pytest.raises(InputContractError, match=r"at least two.*hospital_effect"):
        RandomInterceptLogit(nation.outcome, nation.design, np.zeros(len(nation.outcome)))


def test_hospitals_of_one_stay(nation: Nation) -> None:
    with pytest.raises(InputContractError, match="every hospital has one stay"):
        RandomInterceptLogit(nation.outcome, nation.design, np.arange(len(nation.outcome)))
    hospital = nation.hospital.astype(object)
    hospital[::50] = [f"single{i}" for i in range(len(hospital[::50]))]
    fit = RandomInterceptLogit(nation.outcome, nation.design, hospital).fit()
    single = fit.n == 1
    assert single.sum() == len(hospital[::50])
    assert (fit.hospital_effect_se[single] < np.sqrt(fit.tau2) * 1.05).all()
    assert (fit.reliability[single] < 0.1).all()
    assert ((fit.err[single] > 1) == (fit.readmissions[single] == 1)).all()


@pytest.mark.parametrize("method", METHODS)
def test_hospitals_with_all_or_no_readmissions(nation: Nation, method: str) -> None:
    outcome = nation.outcome.copy()
    labels = np.unique(nation.hospital)
    outcome[nation.hospital == labels[0]] = 0
    outcome[nation.hospital == labels[1]] = 1
    fit = RandomInterceptLogit(outcome, nation.design, nation.hospital).fit(method)
    assert fit.err[labels[0]] < 1 < fit.err[labels[1]]
    residual = fit.readmissions - fit.predicted * fit.n
    assert fit.hospital_effects.to_numpy() == pytest.approx((fit.tau2 * residual).to_numpy(), abs=1e-8)


def test_a_flag_that_separates_is_named(nation: Nation) -> None:
    design = nation.design.assign(rare=0)
    none, some = np.flatnonzero(nation.outcome == 0), np.flatnonzero(nation.outcome == 1)
    design.loc[none[:5], "rare"] = 1
    with pytest.raises(InputContractError, match=r"'rare' is carried by 5 stays, none of them readmitted.*Drop it"):
        model_of(nation, design)
    design["rare"] = nation.outcome
    with pytest.raises(InputContractError, match=r"'rare' is carried by .* all of them readmitted"):
        model_of(nation, design)
    design["rare"] = 1
    design.loc[some[:3], "rare"] = 0
    with pytest.raises(InputContractError, match="'rare' is absent from 3 stays, all of them readmitted"):
        model_of(nation, design)


@pytest.mark.parametrize("method", METHODS)
def test_a_number_that_separates_is_named(nation: Nation, method: str) -> None:
    design = nation.design.assign(telling=nation.outcome + np.linspace(0, 0.4, len(nation.outcome)))
    with pytest.raises(ConvergenceError, match=r"'telling'.*separates.*Drop it"):
        model_of(nation, design).fit(method)


def test_a_rare_flag_with_both_outcomes_is_fitted(nation: Nation) -> None:
    design = nation.design.assign(rare=0)
    design.loc[np.flatnonzero(nation.outcome == 0)[:3], "rare"] = 1
    design.loc[np.flatnonzero(nation.outcome == 1)[:1], "rare"] = 1
    fit = model_of(nation, design).fit()
    assert 0.5 < fit.bse["rare"] < 3.0
    assert abs(fit.params["rare"]) < 3.0


@pytest.mark.parametrize(
    ("name", "column", "reason"),
    [
        ("same", lambda d: 7.5, "'same' is the same for all 2000 stays"),
        ("none", lambda d: 0, "'none' is 0 for all 2000 stays"),
        ("every", lambda d: 1, "'every' is 1 for all 2000 stays"),
    ],
)
def test_a_constant_column_is_named(nation: Nation, name: str, column: object, reason: str) -> None:
    with pytest.raises(InputContractError, match=reason):
        model_of(nation, nation.design.assign(**{name: column}))


@pytest.mark.parametrize("method", METHODS)
def test_a_duplicate_or_a_sum_is_named(nation: Nation, method: str) -> None:
    twice = nation.design.assign(again=nation.design["flag_2"])
    with pytest.raises(InputContractError, match=r"'again' is determined by 'flag_2'.*drop it"):
        model_of(nation, twice).fit(method)
    total = nation.design.assign(total=nation.design["flag_1"] + nation.design["number_0"])
    with pytest.raises(InputContractError, match=r"is determined by .*'number_0'|is determined by .*'total'"):
        model_of(nation, total).fit(method)
    other = nation.design.assign(other=1 - nation.design["flag_0"])
    with pytest.raises(InputContractError, match="'other' is determined by 'national_intercept', 'flag_0'"):
        model_of(nation, other).fit(method)


def test_columns_without_a_coefficient_can_be_dropped(nation: Nation) -> None:
    faulty = nation.design.assign(again=nation.design["flag_2"], none=0, rare=0)
    faulty.loc[np.flatnonzero(nation.outcome == 0)[:2], "rare"] = 1
    model = model_of(nation, faulty, unestimable="drop")
    assert set(model.dropped) == {"again", "none", "rare"}
    assert model.dropped["again"] == "is determined by 'flag_2'"
    assert model.fit().params.to_numpy() == pytest.approx(model_of(nation).fit().params.to_numpy(), abs=1e-8)
    twice = model_of(nation, nation.design.assign(again=nation.design["flag_2"]), unestimable="drop")
    assert twice.dropped == {"again": "is determined by 'flag_2'"}
    assert twice.fit().params.to_numpy() == pytest.approx(model_of(nation).fit().params.to_numpy(), abs=1e-8)
    assert model_of(nation, unestimable="drop").dropped == {}
    with pytest.raises(UsageError, match="unestimable"):
        model_of(nation, unestimable="keep")


def test_integer_weights_are_repeated_stays(nation: Nation) -> None:
    weights = np.random.default_rng(1).integers(0, 4, len(nation.outcome))
    weighted = model_of(nation, weights=weights)
    rows = np.repeat(np.arange(len(weights)), weights)
    repeated = RandomInterceptLogit(nation.outcome[rows], nation.design.iloc[rows], nation.hospital[rows])
    for method in METHODS:
        one, other = weighted.fit(method), repeated.fit(method)
        assert one.params.to_numpy() == pytest.approx(other.params.to_numpy(), abs=1e-8)
        assert one.tau2 == pytest.approx(other.tau2, abs=1e-8)
        assert one.err.to_numpy() == pytest.approx(other.err.to_numpy(), abs=1e-8)
        assert one.national_rate == pytest.approx(other.national_rate)
    for bad in (-1.0, np.nan):
        with pytest.raises(InputContractError, match="weights: 1 of 2000"):
            model_of(nation, weights=np.where(np.arange(2000) == 5, bad, 1.0))


def test_unsorted_stays_give_the_same_answer(nation: Nation) -> None:
    order = np.random.default_rng(2).permutation(len(nation.outcome))
    mixed = RandomInterceptLogit(nation.outcome[order], nation.design.iloc[order], nation.hospital[order]).fit()
    fit = model_of(nation).fit()
    assert mixed.err.index.tolist() == fit.err.index.tolist()
    assert mixed.err.to_numpy() == pytest.approx(fit.err.to_numpy(), abs=1e-10)
    assert mixed.predict() == pytest.approx(fit.predict()[order], abs=1e-10)


def test_missing_values_are_named(nation: Nation) -> None:
    holes = nation.design.copy()
    holes.loc[[3, 8], "number_1"] = np.nan
    with pytest.raises(InputContractError, match="'number_1': 2 of 2000 values are missing or infinite"):
        model_of(nation, holes)
    nullable = nation.design.astype({"flag_1": "Int64"})
    nullable.loc[4, "flag_1"] = pd.NA
    with pytest.raises(InputContractError, match="'flag_1': 1 of 2000 values are missing"):
        model_of(nation, nullable)
    outcome = nation.outcome.astype(float)
    outcome[7] = np.nan
    with pytest.raises(InputContractError, match="outcome: 1 of 2000"):
        RandomInterceptLogit(outcome, nation.design, nation.hospital)
    nullable_outcome = pd.Series(nation.outcome).astype("Int8")
    nullable_outcome[:2] = pd.NA
    with pytest.raises(InputContractError, match="outcome: 2 of 2000"):
        RandomInterceptLogit(nullable_outcome, nation.design, nation.hospital)
    hospital = nation.hospital.astype(object)
    hospital[[1, 2, 3]] = None
    with pytest.raises(InputContractError, match="hospital: 3 of 2000 labels are missing"):
        RandomInterceptLogit(nation.outcome, nation.design, hospital)


def test_wrong_kinds_are_named(nation: Nation) -> None:
    with pytest.raises(InputContractError, match="'word' is of type object"):
        model_of(nation, nation.design.assign(word=pd.Series(["a", "b"] * 1000, dtype=object)))
    with pytest.raises(InputContractError, match="more than one column named 'flag_1'"):
        model_of(nation, pd.concat([nation.design, nation.design[["flag_1"]]], axis=1))
    with pytest.raises(InputContractError, match="national_intercept"):
        model_of(nation, nation.design.assign(national_intercept=1))
    with pytest.raises(InputContractError, match="has 1999 rows; expected 2000"):
        model_of(nation, nation.design.iloc[1:])
    with pytest.raises(InputContractError, match="outcome is 0 for all"):
        RandomInterceptLogit(np.zeros(2000), nation.design, nation.hospital)
    with pytest.raises(UsageError, match="method"):
        model_of(nation).fit("reml")  # type: ignore[arg-type]
    for nodes in (0, 2.5):
        with pytest.raises(UsageError, match="nodes"):
            model_of(nation).fit("agq", nodes)  # type: ignore[arg-type]
    with pytest.raises(InputContractError, match="all 2000 are zero"):
        model_of(nation, weights=np.zeros(2000))


def test_more_columns_than_stays(nation: Nation) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputContractError, match="60 columns and 50 stays"):
        RandomInterceptLogit(rng.integers(0, 2, 50), rng.normal(size=(50, 60)), np.repeat(np.arange(10), 5))


def test_almost_as_many_columns_as_stays_is_an_error_and_not_a_wrong_answer() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises((ConvergenceError, InputContractError), match=r"Drop it|drop"):
        RandomInterceptLogit(rng.integers(0, 2, 50), rng.normal(size=(50, 45)), np.repeat(np.arange(10), 5)).fit()


def test_ten_thousand_hospitals() -> None:
    nation = simulate(stays=60_000, hospitals=11_500, flags=4, numbers=1, tau2=0.2, seed=4)
    fit = model_of(nation).fit()
    assert fit.n_hospitals > 10_000
    assert fit.n.min() == 1
    assert fit.tau2 == pytest.approx(0.2, abs=4 * fit.tau2_se)
    assert np.abs(fit.params.to_numpy()[1:] - nation.coefficients).max() < 4 * fit.bse.iloc[1:].max()


def test_no_columns_at_all() -> None:
    nation = simulate()
    fit = RandomInterceptLogit(nation.outcome, np.empty((2000, 0)), nation.hospital).fit()
    assert list(fit.params.index) == ["national_intercept"]
    assert fit.converged


def test_arrays_bools_and_frames_are_alike(nation: Nation) -> None:
    frame = model_of(nation).fit()
    array = RandomInterceptLogit(nation.outcome.astype(bool), nation.design.to_numpy(float), nation.hospital).fit()
    bools = nation.design.astype({f"flag_{k}": bool for k in range(5)}).astype({"flag_0": "boolean"})
    other = model_of(nation, bools).fit()
    assert array.params.to_numpy() == pytest.approx(frame.params.to_numpy(), abs=1e-12)
    assert other.params.to_numpy() == pytest.approx(frame.params.to_numpy(), abs=1e-12)
    assert list(array.params.index[1:3]) == ["x1", "x2"]
    objects = RandomInterceptLogit(nation.outcome.astype(object), nation.design.to_numpy(object), nation.hospital).fit()
    assert objects.params.to_numpy() == pytest.approx(frame.params.to_numpy(), abs=1e-12)
    upright = RandomInterceptLogit(
        nation.outcome[:, None], nation.design, pd.Series(nation.hospital).astype("category")
    )
    assert upright.fit().err.to_numpy() == pytest.approx(frame.err.to_numpy(), abs=1e-12)


def test_units_do_not_matter(nation: Nation) -> None:
    """A column in other units has the coefficient in those units, however far its values lie from zero."""
    far = nation.design.assign(number_0=nation.design["number_0"] * 1e-4 + 2.0e6)
    fit, same = model_of(nation, far).fit(), model_of(nation).fit()
    assert fit.params["number_0"] * 1e-4 == pytest.approx(same.params["number_0"], rel=1e-4)
    assert fit.err.to_numpy() == pytest.approx(same.err.to_numpy(), abs=1e-6)
