"""Intervals by resampling hospitals, as CMS's measure developers compute them.

One replicate: draw as many hospitals as there are, with replacement, keeping all stays of a drawn hospital and treating
a hospital drawn twice as two; refit; draw each drawn hospital's effect from a normal distribution about its mode with
its prediction standard error; form predicted with that draw, expected without an effect, and their ratio. A hospital
drawn several times gives one ratio (its copies have the same stays, hence the same mode). The interval is taken over
the replicates in which the hospital was drawn, by SAS's default definition of a percentile (an order statistic, or the
mean of two): with linear interpolation, numpy's default, intervals of some hundred draws are too short.

How the refits are fast
-----------------------
A drawn hospital is a weight m_j = 0, 1, 2, ... Names as in `hrrp.model.likelihood`, r a replicate:

    F1 = sum m_j s_j                                     s_j the hospital's score of the coefficients
    F2 = 1/2 sum m_j [ R^2 - K + k^2 C'A_r^-1 C ]        RSPL (without the last term for maximum likelihood)
    F2 = sum m_j d log L_j / d t                         Laplace

are 0 at the replicate's estimate. Newton's matrix for (b, t) is made of A_r = sum m_j (G_j - D C C') and of

    - dF1 / dt = sum m_j R k C,      - dF2 / db = sum m_j [ R k C + k^3 (T / S) C / 2 ]
    - dF2 / dt = sum m_j [ K R^2 - K^2 / 2 + k^3 T R / 2 (+ k^3 S C'A^-1 C / S^2 for REML) ]

G_j and C are each hospital's at the full fit, brought to the replicate by the ratio of its S to the full fit's; S, T
and R are the replicate's own. So the first step, from the full fit, needs no pass over the stays, and each pass serves
all replicates at once: it reads a stay once and computes it for many replicates side by side in single precision.

Replicates that have not come to rest after some passes are refitted one by one in double precision, from where they
are. So are all of them where numba is absent, with weights, with a free scale, for quadrature, and for REML with few
hospitals a coefficient (see `_is_exact`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from hrrp.errors import ConvergenceError, InputContractError, UsageError
from hrrp.model import estimation
from hrrp.model.blocked import cross_product, quadratic_forms
from hrrp.model.likelihood import METHODS, RSPL, kernel_name
from hrrp.model.packing import PackedStays

if TYPE_CHECKING:
    from hrrp.model.results import RandomInterceptResults

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

PASSES = 6  # passes over the stays for all replicates before the rest are refitted one by one
AT_REST = 3e-6  # logit scale: a replicate is at rest when its next step is expected to be shorter
FASTEST = 0.02  # no step is expected to be shorter than this share of the one before
DENSE_ROWS = 16_384
PERCENTILE: Final = "averaged_inverted_cdf"  # numpy's name of SAS's default (PCTLDEF=5)
HOSPITALS_PER_COEFFICIENT = 20  # with fewer, the REML equation needs full refits: see `_is_exact`


@dataclass(frozen=True)
class BootstrapResults:
    """Replicates of a fit. Rows of replicates that failed are left out of everything; `failed` counts them.

    `params_draws` (replicates, coefficients), `tau2_draws` (replicates,), `err_draws` (hospitals, replicates), NaN
    where a hospital was not drawn.
    """

    results: RandomInterceptResults
    seed: int
    failed: int
    params_draws: Floats
    tau2_draws: Floats
    err_draws: Singles

    @property
    def replicates(self) -> int:
        """Replicates that succeeded."""
        return len(self.tau2_draws)

    def err_interval(self, level: float = 0.95) -> pd.DataFrame:
        """Percentile limits of every hospital's ERR: columns low, high; NaN for a hospital that was never drawn."""
        return self._hospitals(self._err_quantiles(level))

    def rsrr_interval(self, level: float = 0.95) -> pd.DataFrame:
        """The same for the RSRR: the limits of the ERR times the national observed rate."""
        return self._hospitals(self._err_quantiles(level) * self.results.national_rate)

    def params_interval(self, level: float = 0.95) -> pd.DataFrame:
        """Percentile limits of the coefficients: columns low, high."""
        limits = np.quantile(self.params_draws, _tails(level), axis=0, method=PERCENTILE).T
        return pd.DataFrame(limits, self.results.model.names, ["low", "high"])

    def tau2_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Percentile limits of the between-hospital variance."""
        low, high = np.quantile(self.tau2_draws, _tails(level), method=PERCENTILE)
        return float(low), float(high)

    def _hospitals(self, limits: Floats) -> pd.DataFrame:
        return pd.DataFrame(limits, self.results.model.hospitals, ["low", "high"])

    @cached_property
    def _sorted(self) -> Singles:
        return np.sort(self.err_draws, axis=1)  # NaN last

    def _err_quantiles(self, level: float) -> Floats:
        """PERCENTILE over the draws that are there, for all hospitals at once."""
        count = np.isfinite(self._sorted).sum(axis=1)
        limits = np.full((len(count), 2), np.nan)
        there = np.flatnonzero(count)
        for side, probability in enumerate(_tails(level)):
            place = np.round(probability * count[there], 9)
            first = np.clip(np.ceil(place).astype(np.int64) - 1, 0, count[there] - 1)
            second = np.clip(np.floor(place).astype(np.int64), 0, count[there] - 1)
            limits[there, side] = 0.5 * (self._sorted[there, first] + self._sorted[there, second])
        return limits


def _tails(level: float) -> tuple[float, float]:
    if not 0.0 < level < 1.0:
        raise UsageError(f"level is {level}; expected a share between 0 and 1, as 0.95.")
    return (1.0 - level) / 2.0, (1.0 + level) / 2.0


def bootstrap(
    results: RandomInterceptResults,
    replicates: int,
    seed: int,
    *,
    draw_effects: bool = True,
    refit: Literal["batched", "full"] = "batched",
) -> BootstrapResults:
    """Resample hospitals and refit by the method of `results`.

    Parameters
    ----------
    replicates, seed : the same seed gives the same replicates, and more replicates begin with the same ones.
    draw_effects : draw effects about their modes; without, the ratios are at the modes and spread by resampling only.
    refit : "batched" for all replicates at once where that is possible, "full" for one refit each.

    Raises ConvergenceError where every replicate failed.
    """
    if replicates < 1:
        raise UsageError(f"replicates is {replicates}; expected 1 or more.")
    if refit not in ("batched", "full"):
        raise UsageError(f"refit is {refit!r}; expected 'batched' or 'full'.")
    stays = results.model.stays
    hospitals = stays.hospitals
    to_draw, to_shift = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(2))
    drawn = [to_draw.integers(0, hospitals, hospitals) for _ in range(replicates)]
    shifts = np.zeros((hospitals, replicates), dtype=np.float32)
    if draw_effects:
        shifts[:] = np.array([to_shift.standard_normal(hospitals, dtype=np.float32) for _ in range(replicates)]).T
    full = results.estimate
    params = np.tile(full.coefficients, (replicates, 1))
    t = np.full(replicates, full.t)
    effect = np.repeat(full.sums.effect.astype(np.float32)[:, None], replicates, axis=1)
    err = np.full((hospitals, replicates), np.nan, dtype=np.float32)
    at_rest = np.zeros(replicates, dtype=bool)
    if refit == "batched" and _can_be_batched(results):
        batch = _Batch(results, drawn)
        at_rest = batch.iterate()
        come = at_rest & np.isfinite(batch.t)
        params[come], t[come], effect[:, come] = batch.parameters[come], batch.t[come], batch.effect[:, come]
        if _is_exact(results):
            err = batch.ratios(shifts)
            err[:, ~at_rest] = np.nan
        else:
            at_rest[:] = False
    failed = np.zeros(replicates, dtype=bool)
    for r in np.flatnonzero(~at_rest):
        try:
            params[r], t[r], err[:, r] = _refitted(results, drawn[r], shifts[:, r], (params[r], t[r], effect[:, r]))
        except (ConvergenceError, InputContractError):  # a column may lose its last stay, or its last readmission
            failed[r] = True
    if failed.all():
        raise ConvergenceError(
            f"None of {replicates} bootstrap replicates could be fitted. Drop columns that few stays carry, and fit again."
        )
    kept = ~failed
    return BootstrapResults(
        results, seed, int(failed.sum()), params[kept] @ stays.to_user.T, t[kept], np.ascontiguousarray(err[:, kept])
    )


def _can_be_batched(results: RandomInterceptResults) -> bool:
    plain = (
        results.method in ("rspl", "laplace")
        and not results.estimate.free_scale
        and not results.model.stays.rows.weights.size
    )
    return plain and results.tau2 > 0.0 and kernel_name() == "numba"


def _is_exact(results: RandomInterceptResults) -> bool:
    """Whether the batch's answers are final. REML needs sum k^2 C'A_r^-1 C, where the batch moves C and A_r from the
    full fit only by each hospital's total weight; the term is of the order coefficients / hospitals. Where that is not
    small the batch's answers are the start of full refits."""
    stays = results.model.stays
    return (
        results.method != "rspl"
        or not results.estimate.restricted
        or stays.hospitals >= HOSPITALS_PER_COEFFICIENT * stays.p
    )


def _refitted(
    results: RandomInterceptResults, drawn: NDArray[np.int64], shift: Singles, near: tuple[Floats, float, Singles]
) -> tuple[Floats, float, Singles]:
    """One replicate in full, from parameters `near` its own: coefficients inside, tau2, and the ratio of every drawn
    hospital."""
    stays, full = results.model.stays, results.estimate
    chosen = np.sort(drawn)
    again = stays.hospitals_again(chosen)
    start = (near[0], near[1], near[2][chosen].astype(np.float64))
    if full.method == "rspl":
        fit = estimation.rspl(again, restricted=full.restricted, free_scale=full.free_scale, start=start)
    else:
        fit = estimation.marginal(again, full.method, full.nodes, start=start)
    copies, first = np.unique(chosen, return_index=True)
    effect = fit.sums.effect + shift[chosen] * np.sqrt(estimation.prediction_variance(fit))
    eta = again.linear_predictor(fit.coefficients) + np.repeat(effect, again.stays_of_hospital)
    risk = expit(eta) if not again.rows.weights.size else expit(eta) * again.rows.weights
    ratio = np.add.reduceat(risk, again.rows.offsets[:-1]) / fit.sums.expected
    err = np.full(stays.hospitals, np.nan, dtype=np.float32)
    err[copies] = ratio[first]
    return fit.coefficients, fit.tau2, err


class _Batch:
    """All replicates' parameters together, and Newton's method on them."""

    def __init__(self, results: RandomInterceptResults, drawn: list[NDArray[np.int64]]) -> None:
        from hrrp.model import bootstrap_numba

        self.kernel = bootstrap_numba
        self.stays = results.model.stays
        self.method = METHODS[results.method]
        full = results.estimate
        self.restricted = full.restricted
        sums = full.sums
        assert sums.C is not None
        hospitals, count = self.stays.hospitals, len(drawn)
        self.C = sums.C
        counted = [np.minimum(np.bincount(part, minlength=hospitals), 255) for part in drawn]
        self.multiplicity = np.array(counted, dtype=np.uint8).T.copy()  # (hospitals, replicates)
        self.weight = self.multiplicity.astype(np.float32)
        self.S = np.repeat(sums.S[:, None].astype(np.float32), count, axis=1)
        self.T = np.repeat(sums.T[:, None].astype(np.float32), count, axis=1)
        self.R = np.repeat(sums.R[:, None].astype(np.float32), count, axis=1)
        self.effect = np.repeat(sums.effect[:, None].astype(np.float32), count, axis=1)
        self.parameters = np.tile(full.coefficients, (count, 1))
        self.t = np.full(count, full.tau2)
        G, score = hospital_information(self.stays, full, self.method)
        self.score = (self.weight.T @ score.astype(np.float32)).astype(np.float64)
        self.lower = np.tril_indices(self.stays.p)
        self.G = G[:, self.lower[0], self.lower[1]]
        self.CC = (self.C[:, self.lower[0]] * self.C[:, self.lower[1]]).astype(np.float32)
        self.base_S = np.maximum(sums.S, 1e-12).astype(np.float32)[:, None]
        mean = self.C / np.maximum(sums.S, 1e-12)[:, None]
        self.leverage = estimation.Normal(full.A).squares(mean).astype(np.float32)[:, None]

    def _full(self, lower: Singles) -> Floats:
        """Symmetric matrices (replicates, p, p) from their lower triangles."""
        matrix = np.empty((len(lower), self.stays.p, self.stays.p))
        matrix[:, self.lower[0], self.lower[1]] = lower
        matrix[:, self.lower[1], self.lower[0]] = lower
        return matrix

    def _information(self, k: Singles) -> tuple[Floats, Floats]:
        """A_r, and tr(A_r^-1 sum m k^2 C C')."""
        ratio = self.S / self.base_S
        G = (self.weight * ratio).T @ self.G
        with_t = self.weight * ratio * ratio * k
        CC = (with_t * self.t.astype(np.float32)).T @ self.CC
        A = self._full(G - CC)
        B = self._full((with_t * k).T @ self.CC)
        return A, np.trace(_solve_each(A, B), axis1=1, axis2=2)

    def _step(self) -> tuple[Floats, Floats]:
        """Newton's change of (b, t) from the sums at the present parameters."""
        m, S, T, R = self.weight, self.S, self.T, self.R
        t = self.t.astype(np.float32)
        k = 1.0 / (1.0 + t * S)
        K = S * k
        A, trace = self._information(k)
        bend = K * R * R - 0.5 * K * K + 0.5 * k**3 * T * R
        if self.method == RSPL:
            f2 = 0.5 * np.einsum("jr,jr->r", m, R * R - K).astype(np.float64)
            if self.restricted:
                f2 += 0.5 * trace
                bend += K**3 * self.leverage
        else:
            f2 = 0.5 * np.einsum("jr,jr->r", m, R * R - K - t * k * k * T * R).astype(np.float64)
        f2_t = np.einsum("jr,jr->r", m, bend).astype(np.float64)
        expected = 0.5 * np.einsum("jr,jr->r", m, K * K).astype(np.float64)
        f2_t = np.where(f2_t > 0.2 * expected, f2_t, expected)
        C = self.C.astype(np.float32)
        f1_t = ((m * R * k).T @ C).astype(np.float64)
        f2_b = ((m * (R * k + 0.5 * k**3 * T / np.maximum(S, 1e-12))).T @ C).astype(np.float64)
        # Elimination of t:  (A - f1_t f2_b' / f2_t) db = F1 - f1_t F2 / f2_t.
        matrix = A - f1_t[:, :, None] * (f2_b / f2_t[:, None])[:, None, :]
        right = self.score - f1_t * (f2 / f2_t)[:, None]
        change = _solve_each(matrix, right[:, :, None])[:, :, 0]
        change_t = (f2 - np.einsum("rk,rk->r", f2_b, change)) / f2_t
        return change, np.maximum(change_t, -0.9 * self.t)

    def _move(self, change: Floats, change_t: Floats) -> None:
        """Take a step, the effects following to first order so that their Newton iterations start close."""
        t = self.t.astype(np.float32)
        k = 1.0 / (1.0 + t * self.S)
        self.effect += k * (
            self.R * change_t.astype(np.float32) - t * (self.C.astype(np.float32) @ change.T.astype(np.float32))
        )
        self.parameters += change
        self.t += change_t

    def iterate(self) -> NDArray[np.bool_]:
        """Newton until at rest; whether each replicate is."""
        reach = np.ones(self.stays.p)
        reach[1 : 1 + len(self.stays.number_columns)] = estimation.NUMBER_REACH
        last = np.full(len(self.t), np.inf)
        expected = last
        for number in range(PASSES + 1):
            with np.errstate(all="ignore"):
                change, change_t = self._step()
                by_effect = np.abs(self.R / (1.0 + self.t.astype(np.float32) * self.S)).max(axis=0) * np.abs(change_t)
                step = np.maximum((np.abs(change) * reach).max(axis=1), by_effect)
                lost = ~(step <= 1.0)
                expected = step * np.maximum(step / last, FASTEST) if number else step
            change[lost], change_t[lost], step[lost], expected[lost] = 0.0, 0.0, np.inf, np.inf
            last = step
            self._move(change, change_t)
            if number == PASSES or np.all((expected < AT_REST) | lost):
                break
            self._pass()
        return expected < AT_REST

    def _pass(self) -> None:
        self.score = self.kernel.score_pass(
            self.stays, self.parameters, self.t, self.multiplicity, self.effect, self.S, self.T, self.R, self.method
        )

    def ratios(self, shifts: Singles) -> Singles:
        """ERR of every hospital and replicate with the effect moved by `shifts` prediction standard errors; NaN where
        not drawn."""
        A, _ = self._information(1.0 / (1.0 + self.t.astype(np.float32) * self.S))
        mean = (self.C / self.base_S).astype(np.float32)
        leverage = np.empty_like(shifts)
        for r, inverse in enumerate(_solve_each(A, np.broadcast_to(np.eye(self.stays.p), A.shape)).astype(np.float32)):
            leverage[:, r] = quadratic_forms(mean, inverse)
        return self.kernel.ratio_pass(
            self.stays, self.parameters, self.t, self.multiplicity, self.effect, shifts, leverage
        )


def _solve_each(matrices: Floats, right: Floats) -> Floats:
    """The solutions of many linear systems; NaN for a singular one."""
    try:
        return np.asarray(np.linalg.solve(matrices, right))
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.full_like(right, np.nan)
        return np.concatenate([_solve_each(matrices[r : r + 1], right[r : r + 1]) for r in range(len(matrices))])


def hospital_information(stays: PackedStays, full: estimation.Estimate, method: int) -> tuple[Singles, Floats]:
    """Each hospital's information H_j = sum w x x' - D C C' (hospitals, p, p) and score (hospitals, p) at the
    estimate."""
    sums, t = full.sums, full.t
    assert sums.C is not None
    p = stays.p
    D = t / (1.0 + t * sums.S)
    information = np.empty((stays.hospitals, p, p), dtype=np.float32)
    score = np.empty((stays.hospitals, p))
    eta = stays.linear_predictor(full.coefficients)
    for first, last, X in _dense(stays):
        rows = slice(stays.rows.offsets[first], stays.rows.offsets[last])
        sizes = stays.stays_of_hospital[first:last]
        here = np.arange(first, last)
        risk = expit(eta[rows] + np.repeat(sums.effect[here], sizes))
        w = risk * (1.0 - risk)
        row = stays.rows.outcome[rows] - risk
        if method != RSPL:
            skew = w * (1.0 - 2.0 * risk)
            row = row - 0.5 * np.repeat(D[here], sizes) * (skew - np.repeat(sums.T[here] * D[here], sizes) * w)
        start = stays.rows.offsets[first:last] - stays.rows.offsets[first]
        score[here] = np.add.reduceat(X * row[:, None].astype(np.float32), start, axis=0)
        weighted = X * w[:, None].astype(np.float32)
        for j, a, n in zip(here, start, sizes, strict=True):
            information[j] = cross_product(X[a : a + n], weighted[a : a + n])
    return information, score


def _dense(stays: PackedStays) -> Iterator[tuple[int, int, Singles]]:
    """The design written out, some thousand rows at a time: first and last hospital (exclusive) and (rows, p)."""
    bit = stays.bit_of_code.astype(np.float32)
    offsets = stays.rows.offsets
    flags = len(stays.flag_columns)
    first = 0
    while first < stays.hospitals:
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + DENSE_ROWS, side="right")) - 1)
        rows = slice(offsets[first], offsets[last])
        values = stays.rows.codes[rows] & np.uint16(stays.size - 1)
        written = bit[values].reshape(len(values), stays.groups * stays.bits)[:, :flags]
        ones = np.ones((len(values), 1), dtype=np.float32)
        yield first, last, np.hstack([ones, stays.rows.numbers[rows].astype(np.float32), written])
        first = last
