"""The fits against independent answers: dense textbook algorithms, and stored answers of R's packages and gpboost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
from nations import Nation, simulate

from hrrp.model import RandomInterceptLogit, RandomInterceptResults, estimation
from hrrp.model.likelihood import one_pass

STORED = Path(__file__).parent / "stored"


@pytest.fixture(scope="module")
def nation() -> Nation:
    return simulate(stays=300, hospitals=12, flags=3, numbers=1)


@pytest.fixture(scope="module")
def stored() -> RandomInterceptLogit:
    frame = pd.read_csv(STORED / "nation.csv")
    return RandomInterceptLogit(frame["readmitted"], frame.drop(columns=["hospital", "readmitted"]), frame["hospital"])


def model_of(nation: Nation, **options: object) -> RandomInterceptLogit:
    return RandomInterceptLogit(nation.outcome, nation.design, nation.hospital, **options)


def answer(name: str) -> dict[str, np.ndarray]:
    rows = pd.read_csv(STORED / f"{name}.csv")
    return {quantity: part["value"].to_numpy() for quantity, part in rows.groupby("quantity", sort=False)}


def agrees_with_dense(fit: RandomInterceptResults, dense: dict, tolerance: float) -> None:
    assert fit.params.to_numpy() == pytest.approx(dense["beta"], abs=tolerance)
    assert fit.hospital_effects.to_numpy() == pytest.approx(dense["u"], abs=tolerance)
    assert fit.tau2 == pytest.approx(dense["tau2"], abs=tolerance)
    assert fit.cov_params().to_numpy() == pytest.approx(dense["cov"], rel=1e-7, abs=1e-12)
    assert fit.hospital_effect_se.to_numpy() ** 2 == pytest.approx(dense["prediction_variance"], rel=1e-7)


def test_rspl_equals_the_dense_textbook_algorithm(nation: Nation) -> None:
    dense = reference.rspl(nation.outcome, nation.design, nation.hospital)
    fit = model_of(nation).fit()
    agrees_with_dense(fit, dense, 1e-8)
    information = reference.rspl_information_of_tau2(nation.outcome, nation.design, nation.hospital, dense)
    assert fit.tau2_se == pytest.approx(information**-0.5, rel=1e-6)
    assert fit.scale == 1.0


def test_rspl_with_weights_equals_the_dense_algorithm(nation: Nation) -> None:
    weights = np.random.default_rng(5).uniform(0.2, 3.0, len(nation.outcome))
    dense = reference.rspl(nation.outcome, nation.design, nation.hospital, weights=weights)
    agrees_with_dense(model_of(nation, weights=weights).fit(), dense, 1e-8)


def test_with_many_stays_the_information_of_other_passes_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    nation = simulate(stays=60_000, hospitals=300, flags=6, numbers=1, tau2=0.1, seed=21)
    model = model_of(nation)
    passes: list[bool] = []

    def counted(*arguments: Any, information: bool = False, **options: Any) -> Any:
        passes.append(information and arguments[0] is model.stays)
        return one_pass(*arguments, information=information, **options)

    monkeypatch.setattr(estimation, "one_pass", counted)
    fit = model.fit()
    assert sum(passes) <= 3 < len(fit.estimate.iterations)
    monkeypatch.setattr(estimation, "WARM_START_STAYS", 10**9)  # every pass takes it, from a plain start
    own = model.fit(tolerance=1e-11)
    assert fit.params.to_numpy() == pytest.approx(own.params.to_numpy(), abs=1e-8)
    assert fit.tau2 == pytest.approx(own.tau2, abs=1e-8)
    assert fit.hospital_effects.to_numpy() == pytest.approx(own.hospital_effects.to_numpy(), abs=1e-8)
    assert fit.err.to_numpy() == pytest.approx(own.err.to_numpy(), abs=1e-8)
    assert fit.bse.to_numpy() == pytest.approx(own.bse.to_numpy(), rel=1e-6)
    assert fit.hospital_effect_se.to_numpy() == pytest.approx(own.hospital_effect_se.to_numpy(), rel=1e-6)
    assert fit.tau2_se == pytest.approx(own.tau2_se, rel=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("t", [1e-6, 1e-3, 0.03, 0.5, 1.0, 20.0])
@pytest.mark.parametrize("tau2", [0.0, 0.02, 0.3])
def test_a_start_with_a_variance_far_off_gives_the_same_answer(t: float, tau2: float) -> None:
    nation = simulate(stays=2000, hospitals=40, flags=2, numbers=1, tau2=tau2, seed=22)
    model = model_of(nation)
    fit = model.fit()
    start = (fit.estimate.coefficients + 0.1, t, np.zeros(fit.n_hospitals))
    again = estimation.rspl(model.stays, start=start)
    assert again.tau2 == pytest.approx(fit.tau2, abs=1e-8)
    assert again.coefficients == pytest.approx(fit.estimate.coefficients, abs=1e-8)


@pytest.mark.parametrize("restricted", [True, False])
def test_free_scale_equals_the_dense_algorithm(nation: Nation, restricted: bool) -> None:
    dense = reference.rspl(nation.outcome, nation.design, nation.hospital, restricted=restricted, free_scale=True)
    fit = model_of(nation).fit(restricted=restricted, free_scale=True)
    agrees_with_dense(fit, dense, 1e-8)
    assert fit.scale == pytest.approx(dense["scale"], abs=1e-8)


@pytest.mark.parametrize(("method", "nodes"), [("laplace", 1), ("agq", 2), ("agq", 7)])
@pytest.mark.parametrize("weighted", [False, True])
def test_marginal_likelihood_equals_quadrature_written_out(
    nation: Nation, method: str, nodes: int, weighted: bool
) -> None:
    weights = np.random.default_rng(6).uniform(0.2, 3.0, len(nation.outcome)) if weighted else None
    fit = model_of(nation, weights=weights).fit(method, nodes)
    x = np.append(fit.params.to_numpy(), np.log(fit.tau2))
    arguments = (nation.outcome, nation.design, nation.hospital, nodes, weights)
    top = reference.log_likelihood(x, *arguments)
    assert fit.llf == pytest.approx(top, abs=1e-9)
    # It is the maximum: the slope in every direction is zero, by five-point differences of the slow likelihood.
    for k, scale in enumerate(np.append(fit.bse.to_numpy(), 0.1)):
        move = np.zeros_like(x)
        move[k] = 0.01 * scale
        near, far = (
            reference.log_likelihood(x + m * move, *arguments) - reference.log_likelihood(x - m * move, *arguments)
            for m in (1, 2)
        )
        assert (8 * near - far) / 0.12 == pytest.approx(0.0, abs=1e-6)


def test_standard_errors_of_laplace_are_those_of_the_curvature(nation: Nation) -> None:
    fit = model_of(nation).fit("laplace")
    x = np.append(fit.params.to_numpy(), np.log(fit.tau2))
    scale = np.append(fit.bse.to_numpy(), fit.tau2_se / fit.tau2)
    size = x.size
    curvature = np.empty((size, size))
    h = 1e-2 * scale

    def value(move: np.ndarray) -> float:
        return reference.log_likelihood(x + move, nation.outcome, nation.design, nation.hospital, 1)

    unit = np.diag(h)
    for i in range(size):
        for j in range(i + 1):
            curvature[i, j] = curvature[j, i] = -(
                value(unit[i] + unit[j])
                - value(unit[i] - unit[j])
                - value(unit[j] - unit[i])
                + value(-unit[i] - unit[j])
            ) / (4 * h[i] * h[j])
    exact = np.sqrt(np.diag(np.linalg.inv(curvature)))
    assert scale == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "method"),
    [("glmmTMB_laplace", "laplace"), ("lme4_laplace", "laplace"), ("gpboost_laplace", "laplace"), ("lme4_agq7", "agq")],
)
def test_stored_answers_of_peers(stored: RandomInterceptLogit, name: str, method: str) -> None:
    peer = answer(name)
    fit = stored.fit(method, nodes=7)
    assert fit.llf == pytest.approx(peer["log_likelihood"][0], abs=1e-6)
    assert fit.err.to_numpy() == pytest.approx(peer["err"], abs=1e-6)
    assert fit.params.to_numpy() == pytest.approx(peer["coefficient"], abs=1e-6)
    assert fit.hospital_effects.to_numpy() == pytest.approx(peer["effect"], abs=1e-6)
    assert fit.tau2 == pytest.approx(peer["tau2"][0], abs=1e-6)
    if "standard_error" in peer:
        assert fit.bse.to_numpy() == pytest.approx(peer["standard_error"], rel=2e-5)


def test_stored_answer_of_glmmpql(stored: RandomInterceptLogit) -> None:
    """Its own criterion: maximum likelihood, free scale. nlme's optimiser leaves the variance some 4e-6 short of the
    optimum."""
    peer = answer("glmmPQL")
    fit = stored.fit("rspl", restricted=False, free_scale=True)
    assert fit.params.to_numpy() == pytest.approx(peer["coefficient"], abs=1e-6)
    assert fit.scale == pytest.approx(peer["scale"][0], abs=1e-7)
    assert fit.tau2 == pytest.approx(peer["tau2"][0], rel=1e-5)
    assert fit.hospital_effects.to_numpy() == pytest.approx(peer["effect"], abs=1e-5)
    assert fit.err.to_numpy() == pytest.approx(peer["err"], abs=1e-5)


def test_rspl_is_not_laplace(stored: RandomInterceptLogit) -> None:
    """Why the criterion matters: the two give different ERRs."""
    difference = np.abs(stored.fit().err - stored.fit("laplace").err).max()
    assert 1e-3 < difference < 5e-2


def test_one_node_is_laplace(stored: RandomInterceptLogit) -> None:
    one, laplace = stored.fit("agq", nodes=1), stored.fit("laplace")
    assert one.llf == pytest.approx(laplace.llf, abs=1e-10)
    assert one.err.to_numpy() == pytest.approx(laplace.err.to_numpy(), abs=1e-9)


@pytest.mark.parametrize("method", ["rspl", "laplace", "agq"])
def test_numpy_gives_the_same_numbers(
    stored: RandomInterceptLogit, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = stored.fit(method)
    monkeypatch.setenv("HRRP_NO_NUMBA", "1")
    plain = stored.fit(method)
    assert plain.params.to_numpy() == pytest.approx(compiled.params.to_numpy(), abs=1e-10)
    assert plain.err.to_numpy() == pytest.approx(compiled.err.to_numpy(), abs=1e-10)
    assert plain.cov_params().to_numpy() == pytest.approx(compiled.cov_params().to_numpy(), rel=1e-6, abs=1e-12)
