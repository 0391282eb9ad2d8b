"""What a fit gives: conventions of statsmodels, hospital figures by their definitions, truth recovered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from nations import Nation, simulate
from scipy.special import expit

from hrrp.errors import ConvergenceError, InputContractError
from hrrp.model import RandomInterceptLogit, RandomInterceptResults, hospital_effects


@pytest.fixture(scope="module")
def nation() -> Nation:
    return simulate(stays=6000, hospitals=60, flags=6, seed=2)


@pytest.fixture(scope="module")
def fit(nation: Nation) -> RandomInterceptResults:
    return RandomInterceptLogit(nation.outcome, nation.design, nation.hospital).fit()


def test_hospital_figures_follow_their_definitions(nation: Nation, fit: RandomInterceptResults) -> None:
    eta = fit.params.iloc[0] + nation.design.to_numpy(float) @ fit.params.to_numpy()[1:]
    by_hospital = pd.Series(nation.hospital)
    effect = by_hospital.map(fit.hospital_effects).to_numpy()
    predicted = pd.Series(expit(eta + effect)).groupby(by_hospital).mean()
    expected = pd.Series(expit(eta)).groupby(by_hospital).mean()
    assert fit.predicted.to_numpy() == pytest.approx(predicted.to_numpy(), abs=1e-12)
    assert fit.expected.to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-12)
    assert fit.err.to_numpy() == pytest.approx((predicted / expected).to_numpy(), abs=1e-12)
    assert fit.national_rate == pytest.approx(nation.outcome.mean())
    assert fit.rsrr.to_numpy() == pytest.approx(fit.err.to_numpy() * nation.outcome.mean())
    assert fit.n.sum() == 6000
    assert fit.readmissions.sum() == pytest.approx(nation.outcome.sum())
    table = fit.hospital_table()
    assert table.index.tolist() == sorted(set(nation.hospital))
    assert table["err"].equals(fit.err)


def test_one_hospital_alone_gets_the_effect_of_the_fit(nation: Nation, fit: RandomInterceptResults) -> None:
    index = np.unique(nation.hospital, return_inverse=True)[1]
    alone = hospital_effects(nation.outcome, fit.predict(which="linear"), index, 60, fit.tau2)
    assert alone.effect == pytest.approx(fit.hospital_effects.to_numpy(), abs=1e-8)
    assert alone.err == pytest.approx(fit.err.to_numpy(), abs=1e-8)
    assert alone.reliability == pytest.approx(fit.reliability.to_numpy(), abs=1e-8)
    # The fit's standard errors also carry the uncertainty of the coefficients.
    assert (fit.hospital_effect_se.to_numpy() > alone.se).all()


def test_conventions(fit: RandomInterceptResults) -> None:
    assert fit.params.index[0] == "national_intercept"
    assert fit.bse.to_numpy() == pytest.approx(np.sqrt(np.diag(fit.cov_params())))
    assert fit.tvalues.to_numpy() == pytest.approx((fit.params / fit.bse).to_numpy())
    limits = fit.conf_int()
    assert ((limits[0] + limits[1]) / 2).to_numpy() == pytest.approx(fit.params.to_numpy())
    assert ((limits[1] - limits[0]) / fit.bse).to_numpy() == pytest.approx(2 * 1.959964, abs=1e-5)
    ratios = fit.odds_ratios()
    assert "national_intercept" not in ratios.index
    assert ratios["odds_ratio"].to_numpy() == pytest.approx(np.exp(fit.params.iloc[1:]).to_numpy())
    assert (fit.pvalues.between(0, 1)).all()
    text = str(fit.summary())
    assert "flag_3" in text and "Between-hospital variance" in text and "restricted pseudo-likelihood" in text
    assert np.isnan(fit.llf)
    assert fit.convergence["step"].iloc[-1] <= 1e-8 and fit.converged


def test_predict(nation: Nation, fit: RandomInterceptResults) -> None:
    new = nation.design.iloc[:5].astype(float)
    assert fit.predict(new) == pytest.approx(fit.predict()[:5])
    assert fit.predict(new[new.columns[::-1]]) == pytest.approx(fit.predict()[:5])
    assert fit.predict(new.to_numpy()) == pytest.approx(fit.predict()[:5])
    own = fit.predict(new, nation.hospital[:5])
    assert own == pytest.approx(expit(fit.predict(new, which="linear") + fit.hospital_effects[nation.hospital[0]]))
    assert fit.predict(new, ["elsewhere"] * 5) == pytest.approx(fit.predict(new))
    with pytest.raises(InputContractError, match="no column 'flag_0'"):
        fit.predict(new.drop(columns="flag_0"))
    with pytest.raises(InputContractError, match="shape"):
        fit.predict(new.to_numpy()[:, 1:])


def test_discrimination_and_calibration(nation: Nation, fit: RandomInterceptResults) -> None:
    risk = fit.predict()
    order = risk[nation.outcome == 1][:, None] - risk[nation.outcome == 0][None, :]
    assert fit.c_statistic() == pytest.approx(((order > 0) + 0.5 * (order == 0)).mean(), abs=1e-12)
    assert fit.c_statistic(hospital_effect=True) > fit.c_statistic()
    table = fit.calibration()
    assert table["stays"].sum() == 6000 and len(table) == 10
    assert table["predicted"].is_monotonic_increasing
    assert (table["observed"] * table["stays"]).sum() == pytest.approx(nation.outcome.sum())
    assert (table["low"] < table["observed"]).all() and (table["observed"] < table["high"]).all()
    assert fit.predictive_ability() == (table["observed"].iloc[0], table["observed"].iloc[-1])
    rates = fit.observed_rates()
    assert (rates["low"] <= rates["rate"]).all()


def test_posterior_interval_holds_the_ratio(fit: RandomInterceptResults) -> None:
    interval = fit.err_posterior_interval()
    assert ((interval["low"] < fit.err) & (fit.err < interval["high"])).all()


def test_it_is_near_ordinary_logistic_regression_where_effects_are_small() -> None:
    nation = simulate(stays=4000, hospitals=40, tau2=0.001, seed=8)
    fit = RandomInterceptLogit(nation.outcome, nation.design, nation.hospital).fit()
    plain = sm.Logit(nation.outcome, sm.add_constant(nation.design)).fit(disp=0)
    assert fit.params.to_numpy() == pytest.approx(plain.params.to_numpy(), abs=0.03)


@pytest.mark.parametrize("method", ["rspl", "laplace", "agq"])
def test_truth_is_recovered(method: str) -> None:
    """Over 24 nations the estimates scatter about the truth as their standard errors say."""
    scores, variances = [], []
    for seed in range(24):
        nation = simulate(stays=5000, hospitals=100, flags=4, numbers=1, tau2=0.15, seed=100 + seed)
        fit = RandomInterceptLogit(nation.outcome, nation.design, nation.hospital).fit(method)
        truth = np.concatenate([[nation.intercept], nation.coefficients])
        scores.append((fit.params.to_numpy() - truth) / fit.bse.to_numpy())
        variances.append((fit.tau2 - nation.tau2, fit.tau2_se))
    z = np.array(scores)
    assert np.abs(z).max() < 4.0
    assert np.abs(z.mean(axis=0)).max() < 0.9  # 24 draws: standard error 0.2
    assert 0.8 < z.std() < 1.2
    errors, standard_errors = np.array(variances).T
    assert abs(errors.mean()) < 4 * standard_errors.mean() / np.sqrt(24)
    assert 0.6 < errors.std() / standard_errors.mean() < 1.5


def test_too_few_passes_raise(nation: Nation) -> None:
    model = RandomInterceptLogit(nation.outcome, nation.design, nation.hospital)
    for method in ("rspl", "laplace"):
        with pytest.raises(ConvergenceError, match="did not converge in 2 passes"):
            model.fit(method, max_passes=2)
