"""Resampling of hospitals: the batch against full refits of data in which drawn hospitals are physically repeated."""

from __future__ import annotations

import numpy as np
import pytest
from nations import Nation, simulate

from hrrp.errors import UsageError
from hrrp.model import RandomInterceptLogit, RandomInterceptResults


@pytest.fixture(scope="module")
def nation() -> Nation:
    return simulate(stays=16_000, hospitals=200, flags=6, numbers=1, tau2=0.1, seed=12)


@pytest.fixture(scope="module")
def model(nation: Nation) -> RandomInterceptLogit:
    return RandomInterceptLogit(nation.outcome, nation.design, nation.hospital)


def drawn_hospitals(model: RandomInterceptLogit, seed: int, replicates: int) -> list[np.ndarray]:
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(2)[0])
    count = len(model.hospitals)
    return [rng.integers(0, count, count) for _ in range(replicates)]


def refit(nation: Nation, model: RandomInterceptLogit, drawn: np.ndarray, method: str) -> RandomInterceptResults:
    """The public fit of a data set in which each draw is a hospital with a label of its own."""
    rows = [np.flatnonzero(nation.hospital == model.hospitals[j]) for j in drawn]
    labels = np.repeat([f"{model.hospitals[j]}-{k}" for k, j in enumerate(drawn)], [len(part) for part in rows])
    take = np.concatenate(rows)
    return RandomInterceptLogit(nation.outcome[take], nation.design.iloc[take], labels).fit(method)


@pytest.mark.parametrize("method", ["rspl", "laplace"])
def test_batch_equals_full_refits_of_repeated_hospitals(
    nation: Nation, model: RandomInterceptLogit, method: str
) -> None:
    replicates = 5
    boot = model.fit(method).bootstrap(replicates, seed=7, draw_effects=False)
    assert boot.failed == 0
    for r, drawn in enumerate(drawn_hospitals(model, 7, replicates)):
        full = refit(nation, model, drawn, method)
        assert boot.params_draws[r] == pytest.approx(full.params.to_numpy(), abs=2e-5)
        assert boot.tau2_draws[r] == pytest.approx(full.tau2, rel=2e-4)
        err = np.full(len(model.hospitals), np.nan)
        err[drawn] = full.err[[f"{model.hospitals[j]}-{k}" for k, j in enumerate(drawn)]]
        assert boot.err_draws[:, r] == pytest.approx(err, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("options", [{"method": "rspl"}, {"method": "agq", "nodes": 3}])
def test_full_refits_equal_refits_of_repeated_hospitals(options: dict) -> None:
    nation = simulate(stays=3000, hospitals=30, flags=3, numbers=1, tau2=0.2, seed=13)
    model = RandomInterceptLogit(nation.outcome, nation.design, nation.hospital)
    boot = model.fit(**options).bootstrap(2, seed=1, draw_effects=False, refit="full")
    for r, drawn in enumerate(drawn_hospitals(model, 1, 2)):
        rows = [np.flatnonzero(nation.hospital == model.hospitals[j]) for j in drawn]
        labels = np.repeat([f"{model.hospitals[j]}-{k}" for k, j in enumerate(drawn)], [len(part) for part in rows])
        take = np.concatenate(rows)
        full = RandomInterceptLogit(nation.outcome[take], nation.design.iloc[take], labels).fit(**options)
        assert boot.params_draws[r] == pytest.approx(full.params.to_numpy(), abs=1e-7)
        assert boot.tau2_draws[r] == pytest.approx(full.tau2, abs=1e-7)


def test_the_same_seed_gives_the_same_replicates(model: RandomInterceptLogit) -> None:
    fit = model.fit()
    one, same, more = fit.bootstrap(20, seed=3), fit.bootstrap(20, seed=3), fit.bootstrap(30, seed=3)
    assert np.array_equal(one.err_draws, same.err_draws, equal_nan=True)
    assert more.params_draws[:20] == pytest.approx(one.params_draws, abs=1e-5)
    assert more.err_draws[:, :20] == pytest.approx(one.err_draws, abs=2e-5, nan_ok=True)
    assert not np.array_equal(one.err_draws, fit.bootstrap(20, seed=4).err_draws, equal_nan=True)


def test_batch_and_full_refits_draw_alike(model: RandomInterceptLogit) -> None:
    fit = model.fit()
    batch, full = fit.bootstrap(4, seed=5), fit.bootstrap(4, seed=5, refit="full")
    assert batch.err_draws == pytest.approx(full.err_draws, abs=3e-5, nan_ok=True)


def test_numpy_resamples_too(monkeypatch: pytest.MonkeyPatch) -> None:
    nation = simulate(stays=2000, hospitals=30, flags=2, numbers=1, tau2=0.2, seed=14)
    fit = RandomInterceptLogit(nation.outcome, nation.design, nation.hospital).fit()
    compiled = fit.bootstrap(3, seed=2)
    monkeypatch.setenv("HRRP_NO_NUMBA", "1")
    assert fit.bootstrap(3, seed=2).err_draws == pytest.approx(compiled.err_draws, abs=1e-6, nan_ok=True)


def percentile_of_sas(ordered: list[float], per_mille: int) -> float:
    """PCTLDEF=5, in whole numbers: with n p = j + g, order statistic j + 1, or where g is 0 its mean with the one before."""
    j, g = divmod(len(ordered) * per_mille, 1000)
    return ordered[j] if g else (ordered[j - 1] + ordered[j]) / 2


def test_intervals(model: RandomInterceptLogit) -> None:
    fit = model.fit()
    boot = fit.bootstrap(150, seed=1)
    assert boot.replicates + boot.failed == 150
    interval = boot.err_interval()
    assert ((interval["low"] < fit.err) & (fit.err < interval["high"])).mean() > 0.98
    wider = boot.err_interval(0.99)
    assert (wider["low"] <= interval["low"]).all() and (wider["high"] >= interval["high"]).all()
    assert boot.rsrr_interval().to_numpy() == pytest.approx(interval.to_numpy() * fit.national_rate)
    for j, draws in enumerate(boot.err_draws):
        ordered = sorted(draws[np.isfinite(draws)].tolist())
        assert interval["low"].iloc[j] == pytest.approx(percentile_of_sas(ordered, 25))
        assert interval["high"].iloc[j] == pytest.approx(percentile_of_sas(ordered, 975))
    spread = boot.params_draws.std(axis=0) / fit.bse.to_numpy()
    assert (spread > 0.7).all() and (spread < 1.4).all()
    low, high = boot.tau2_interval()
    assert low < fit.tau2 < high
    assert (boot.params_interval()["low"] < fit.params).all()
    with pytest.raises(UsageError, match="level"):
        boot.err_interval(95)


def test_no_variance_between_hospitals() -> None:
    rng = np.random.default_rng(3)
    outcome, flag = (rng.random(50) < 0.3).astype(int), rng.integers(0, 2, 50)
    fit = RandomInterceptLogit(np.tile(outcome, 12), np.tile(flag, 12)[:, None], np.repeat(np.arange(12), 50)).fit()
    boot = fit.bootstrap(5, seed=0)
    assert (boot.tau2_draws == 0).all()
    assert boot.err_draws[np.isfinite(boot.err_draws)] == pytest.approx(1.0)


def test_replicates_that_cannot_be_fitted_are_counted() -> None:
    """A flag that is carried in one hospital only is absent from a third of the replicates."""
    nation = simulate(stays=3000, hospitals=30, flags=2, numbers=1, tau2=0.2, seed=15)
    here = np.flatnonzero(nation.hospital == nation.hospital[1500])
    design = nation.design.assign(local=0)
    design.loc[here[::2], "local"] = 1
    fit = RandomInterceptLogit(nation.outcome, design, nation.hospital).fit()
    boot = fit.bootstrap(60, seed=0)
    assert 8 <= boot.failed <= 36
    assert boot.replicates == 60 - boot.failed == len(boot.params_draws) == boot.err_draws.shape[1]


def test_wrong_use(model: RandomInterceptLogit) -> None:
    fit = model.fit()
    with pytest.raises(UsageError, match="replicates"):
        fit.bootstrap(0)
    with pytest.raises(UsageError, match="refit"):
        fit.bootstrap(1, refit="fast")
