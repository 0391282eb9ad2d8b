"""The pass over the stays: both kernels, both widths of packing, any number of blocks, against sums written out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from nations import simulate
from scipy.special import expit

from hrrp.model import RandomInterceptLogit, packing
from hrrp.model.estimation import determined_columns, root_of_score
from hrrp.model.likelihood import AGQ, LAPLACE, METHODS, RSPL, Sums, flag_totals, one_pass
from hrrp.model.packing import PackedStays

TAU2 = 0.3


def packed(
    monkeypatch: pytest.MonkeyPatch, bits: int, flags: int = 19, blocks: int = 1
) -> tuple[PackedStays, pd.DataFrame]:
    """1,500 stays with many flags, 8 or 4 to a group, and the dense design with a first column of ones."""
    monkeypatch.setattr(packing, "MANY_STAYS", 0 if bits == 8 else 1 << 60)
    nation = simulate(stays=1500, hospitals=25, flags=flags, numbers=2, seed=9)
    model = RandomInterceptLogit(nation.outcome, nation.design, nation.hospital)
    stays = packing.replace(model.stays, parts_wanted=blocks)
    assert stays.bits == bits
    return stays, nation.design


def standardised(stays: PackedStays, design: pd.DataFrame) -> np.ndarray:
    columns = [np.ones(len(design))]
    for k in stays.number_columns:
        values = design.iloc[:, k].to_numpy(float)
        columns.append((values - values.mean()) / values.std())
    columns += [design.iloc[:, k].to_numpy(float) for k in stays.flag_columns]
    return np.column_stack(columns)


@pytest.fixture(params=["numba", "numpy"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HRRP_NO_NUMBA", "1" if request.param == "numpy" else "0")
    return request.param


def coefficients_for(stays: PackedStays) -> np.ndarray:
    return np.concatenate([[-1.5], np.random.default_rng(0).normal(0, 0.3, stays.p - 1)])


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("blocks", [1, 3])
def test_sums_are_those_written_out(kernel: str, bits: int, blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stays, design = packed(monkeypatch, bits, blocks=blocks)
    assert len(stays.blocks) == blocks
    X, b = standardised(stays, design), coefficients_for(stays)
    y, index = stays.outcome, stays.hospital_index
    sums = one_pass(stays, b, TAU2, np.zeros(stays.hospitals), RSPL, information=True)
    assert stays.linear_predictor(b) == pytest.approx(X @ b, abs=1e-12)
    p = expit(X @ b + sums.effect[index])
    w = p * (1 - p)
    assert sums.effect == pytest.approx(TAU2 * np.bincount(index, y - p), abs=1e-9)
    assert pytest.approx(np.bincount(index, y - p), abs=1e-10) == sums.R
    assert pytest.approx(np.bincount(index, w), abs=1e-10) == sums.S
    assert pytest.approx(np.bincount(index, w * (1 - 2 * p)), abs=1e-10) == sums.T
    assert sums.predicted == pytest.approx(np.bincount(index, p), abs=1e-10)
    assert sums.expected == pytest.approx(np.bincount(index, expit(X @ b)), abs=1e-10)
    assert sums.score == pytest.approx(X.T @ (y - p), abs=1e-9)
    C = np.array([np.bincount(index, w * column) for column in X.T]).T
    assert pytest.approx(C, abs=1e-10) == sums.C
    assert pytest.approx(X.T @ (w[:, None] * X), abs=1e-9) == sums.G


@pytest.mark.parametrize(("method", "nodes"), [(LAPLACE, 1), (AGQ, 5)])
@pytest.mark.parametrize("bits", [4, 8])
def test_scores_are_derivatives_of_the_log_likelihood(
    kernel: str, method: int, nodes: int, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays, _ = packed(monkeypatch, bits)
    b, none = coefficients_for(stays), np.zeros(stays.hospitals)

    def at(coefficients: np.ndarray, log_tau2: float) -> Sums:
        return one_pass(stays, coefficients, np.exp(log_tau2), none, method, nodes=nodes)

    here, h = at(b, np.log(TAU2)), 1e-4
    for k in (0, 1, 2, 3, stays.p - 1):
        move = np.zeros(stays.p)
        move[k] = h
        slope = (at(b + move, np.log(TAU2)).log_likelihood - at(b - move, np.log(TAU2)).log_likelihood) / (2 * h)
        assert here.score[k] == pytest.approx(slope, abs=2e-5)
    slope = (at(b, np.log(TAU2) + h).log_likelihood - at(b, np.log(TAU2) - h).log_likelihood) / (2 * h)
    assert here.score_log_tau2 == pytest.approx(slope, abs=2e-5)


@pytest.mark.parametrize("method", METHODS.values())
def test_kernels_agree(method: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stays, _ = packed(monkeypatch, 8)
    arguments = (stays, coefficients_for(stays), TAU2, np.zeros(stays.hospitals), method)
    compiled = one_pass(*arguments, nodes=7, information=True)
    monkeypatch.setenv("HRRP_NO_NUMBA", "1")
    plain = one_pass(*arguments, nodes=7, information=True)
    for name in Sums.__dataclass_fields__:
        assert getattr(plain, name) == pytest.approx(getattr(compiled, name), abs=1e-9), name


def test_no_variance_means_no_effects(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stays, _ = packed(monkeypatch, 4)
    b, none = coefficients_for(stays), np.zeros(stays.hospitals)
    sums = one_pass(stays, b, 0.0, none + 0.3, LAPLACE)
    assert (sums.effect == 0.0).all()
    assert sums.predicted == pytest.approx(sums.expected)
    eta, y = stays.linear_predictor(b), stays.outcome
    assert sums.log_likelihood == pytest.approx(np.sum(y * eta - np.logaddexp(0, eta)), abs=1e-9)


def test_extreme_predictors_stay_finite(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stays, _ = packed(monkeypatch, 4)
    b = np.zeros(stays.p)
    b[0], b[1] = -20.0, 200.0
    sums = one_pass(stays, b, 5.0, np.zeros(stays.hospitals), LAPLACE, information=True)
    for name in Sums.__dataclass_fields__:
        assert np.isfinite(getattr(sums, name)).all(), name


@pytest.mark.parametrize("bits", [4, 8])
def test_flag_totals(kernel: str, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stays, design = packed(monkeypatch, bits)
    values = np.random.default_rng(1).normal(size=stays.n)
    flags = design.iloc[:, stays.flag_columns].to_numpy(float)
    assert flag_totals(stays, values) == pytest.approx(values @ flags, abs=1e-10)


def test_hospitals_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stays, _ = packed(monkeypatch, 4)
    again = stays.hospitals_again(np.array([3, 0, 3]))
    n = stays.stays_of_hospital
    assert again.stays_of_hospital.tolist() == [n[3], n[0], n[3]]
    b = coefficients_for(stays)
    parts = np.split(stays.linear_predictor(b), stays.rows.offsets[1:-1])
    assert again.linear_predictor(b) == pytest.approx(np.concatenate([parts[3], parts[0], parts[3]]))


def test_coefficients_go_to_the_user_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    stays, _ = packed(monkeypatch, 4)
    assert stays.to_user @ stays.from_user == pytest.approx(np.eye(stays.p), abs=1e-12)


def test_determined_columns() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(200), rng.normal(size=(200, 3))])
    X = np.column_stack([X, X[:, 1] - 2 * X[:, 3], np.zeros(200)])
    assert determined_columns(X.T @ X) == [(4, [1, 3]), (5, [])]


@pytest.mark.parametrize(("root", "start"), [(0.04, 0.04), (0.04, 3.0), (2.5, 1e-6), (1e-5, 0.5), (0.3, 0.0)])
def test_root_of_score(root: float, start: float) -> None:
    found = root_of_score(lambda t: 100 * (root - t) / (0.1 + t) ** 2, lambda t: 100 / (0.1 + t) ** 2, start, 1e-11)
    assert found == pytest.approx(root, rel=1e-8)


@pytest.mark.parametrize("start", [0.0, 1e-4, 0.04, 2.0])
def test_root_of_a_score_that_is_never_positive_is_zero(start: float) -> None:
    assert root_of_score(lambda t: -1.0 - t, lambda t: 5.0, start, 1e-11) == 0.0
