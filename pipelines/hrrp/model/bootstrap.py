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

F2 bends much in t, so its second derivative, d2 F2 / dt2 = sum m_j [ 3 K^2 R^2 - K^3 ], enters the step too. After a
short step A_r is not made again.

The ratios are taken in every pass but the first, which is never the last, each effect at its mode plus the draw. The
step after the last pass is too short to be worth another: the ratios follow it to first order.

Replicates that have not come to rest after some passes are refitted one by one in double precision, from where they
are. So are all of them where numba is absent, with weights, with a free scale, for quadrature, and for REML with few
hospitals a coefficient (see `_is_exact`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from hrrp.errors import ConvergenceError, InputContractError, UsageError
from hrrp.model import estimation
from hrrp.model.likelihood import METHODS, RSPL, kernel_name

if TYPE_CHECKING:
    from hrrp.model.results import RandomInterceptResults

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

PASSES = 6  # passes over the stays for all replicates before the rest are refitted one by one
AT_REST = 3e-6  # logit scale: a replicate is at rest when its next step is expected to be shorter
REUSE_INFORMATION = 2e-3  # after steps as short as this the information is not taken again
FASTEST = 0.02  # no step is expected to be shorter than this share of the one before
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
    err = np.empty(0, dtype=np.float32)
    at_rest = np.zeros(replicates, dtype=bool)
    if refit == "batched" and _can_be_batched(results):
        batch = _Batch(results, drawn, shifts if _is_exact(results) else None)
        at_rest = batch.iterate()
        come = at_rest & np.isfinite(batch.t)
        params[come], t[come], effect[:, come] = batch.parameters[come], batch.t[come], batch.effect[:, come]
        if batch.ratios is not None:
            err = batch.ratios.ratio
            err[:, ~at_rest] = np.nan
        else:
            at_rest[:] = False
    if not err.size:
        err = np.full((hospitals, replicates), np.nan, dtype=np.float32)
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

    def __init__(self, results: RandomInterceptResults, drawn: list[NDArray[np.int64]], shifts: Singles | None) -> None:
        from hrrp.model import bootstrap_numba

        self.kernel = bootstrap_numba
        self.stays = results.model.stays
        self.method = METHODS[results.method]
        full = results.estimate
        self.restricted = full.restricted
        self.shifts = shifts
        self.ratios: bootstrap_numba.Ratios | None = None
        sums, C = full.sums, full.information.C
        hospitals, count = self.stays.hospitals, len(drawn)
        counted = [np.minimum(np.bincount(part, minlength=hospitals), 255) for part in drawn]
        self.multiplicity = np.array(counted, dtype=np.uint8).T.copy()  # (hospitals, replicates)
        self.weight = self.multiplicity.astype(np.float32)
        self.S, self.T, self.R, self.effect = (
            np.repeat(part[:, None].astype(np.float32), count, axis=1) for part in (sums.S, sums.T, sums.R, sums.effect)
        )
        self.parameters = np.tile(full.coefficients, (count, 1))
        self.t = np.full(count, full.tau2)
        D = full.tau2 / (1.0 + full.tau2 * sums.S)
        own = self.kernel.hospital_sums(self.stays, full.coefficients, sums.effect, sums.T, D, self.method)
        self.score = (self.weight.T @ own.score.astype(np.float32)).astype(np.float64)
        self.G = own.information
        base_S = np.maximum(sums.S, 1e-12)[:, None]
        mean = C / base_S
        self.base_S, self.C, self.mean = (part.astype(np.float32) for part in (base_S, C, mean))
        self.lower = np.tril_indices(self.stays.p)
        self.CC = self.C[:, self.lower[0]] * self.C[:, self.lower[1]]
        self.inverse: Floats = np.empty(0)  # both of the last information that was taken
        self.leverage: Singles = np.empty(0, dtype=np.float32)

    def _full(self, lower: Singles) -> Floats:
        """Symmetric matrices (replicates, p, p) from their lower triangles."""
        matrix = np.empty((len(lower), self.stays.p, self.stays.p))
        matrix[:, self.lower[0], self.lower[1]] = lower
        matrix[:, self.lower[1], self.lower[0]] = lower
        return matrix

    def _take_information(self, k: Singles) -> None:
        """A_r^-1, and x'A_r^-1 x of each hospital's mean x (one product of lower triangles), at the present sums."""
        ratio = self.S / self.base_S
        weight = self.weight * ratio
        A = weight.T @ self.G
        weight *= ratio
        weight *= k * self.t.astype(np.float32)
        A -= weight.T @ self.CC
        self.inverse = _inverse_each(self._full(A))
        twice = np.where(self.lower[0] == self.lower[1], 1.0, 2.0)
        inverses = (self.inverse[:, self.lower[0], self.lower[1]] * twice).astype(np.float32)
        self.leverage = (self.CC @ inverses.T).astype(np.float32, copy=False)
        self.leverage /= self.base_S**2

    def _step(self, fresh: bool) -> tuple[Floats, Floats]:
        """The change of (b, t) from the sums at the present parameters: Newton's in b, of second order in t."""
        S, T, R, t = self.S, self.T, self.R, self.t.astype(np.float32)
        k = 1.0 / (1.0 + t * S)
        if fresh:
            self._take_information(k)
        K = S * k
        RR = R * R

        def total(values: NDArray) -> Floats:
            """Sum m_j value of each replicate."""
            return np.einsum("jr,jr->r", self.weight, values).astype(np.float64)

        expected = total(0.5 * K * K)
        bend = total(K * K * (1.5 * RR - 0.5 * K))
        falls = K * (RR - 0.5 * K) + 0.5 * k**3 * T * R
        if self.method != RSPL:
            f2 = 0.5 * total(RR - K - t * k * k * T * R)
        elif self.restricted:
            # k^2 C'A_r^-1 C = K^2 x'A_r^-1 x at the hospital's mean x.
            by_coefficients = K * K * self.leverage
            f2 = 0.5 * total(RR - K + by_coefficients)
            falls += K * by_coefficients
        else:
            f2 = 0.5 * total(RR - K)
        f2_t = total(falls)
        f2_t = np.where(f2_t > 0.2 * expected, f2_t, expected)
        del RR, falls
        by_t = self.weight * (R * k)
        f1_t = (by_t.T @ self.C).astype(np.float64)
        by_t += self.weight * (0.5 * k**3 * T / self.base_S)
        f2_b = (by_t.T @ self.C).astype(np.float64)
        # Elimination of b: db = A^-1 (F1 - f1_t dt), and F2 - f2_b'db - f2_t dt + bend dt^2 = 0.
        alone = np.einsum("rab,rb->ra", self.inverse, self.score)
        with_t = np.einsum("rab,rb->ra", self.inverse, f1_t)
        left = f2 - np.einsum("rk,rk->r", f2_b, alone)
        slope = f2_t - np.einsum("rk,rk->r", f2_b, with_t)
        root = np.sqrt(np.maximum(slope * slope - 4.0 * bend * left, 0.0))
        change_t = np.maximum(2.0 * left / (slope + root), -0.9 * self.t)
        return alone - with_t * change_t[:, None], change_t

    def _move(self, change: Floats, change_t: Floats) -> None:
        """Take a step. The effects follow, so that their Newton iterations start close, and the ratios to first order."""
        self.parameters += change
        self.t += change_t
        t, dt = self.t.astype(np.float32), change_t.astype(np.float32)
        k = 1.0 / (1.0 + t * self.S)
        shift = self.mean @ change.T.astype(np.float32)  # of a hospital's linear predictors, in the mean
        moved = k * (self.R * dt - t * self.S * shift)
        self.effect += moved
        if self.ratios is not None and self.shifts is not None:
            # Of the effect's standard error: se^2 = D + (S D)^2 x'A_r^-1 x, where dD / dt = k^2.
            D, SD = t * k, self.S * t * k
            se = np.sqrt(D + SD * SD * self.leverage)
            moved += self.shifts * (0.5 * dt * k * k * (1.0 + 2.0 * self.S * SD * self.leverage) / se)
            moved += shift
            self.ratios.ratio[:] *= 1.0 + self.ratios.predicted_slope * moved - self.ratios.expected_slope * shift

    def iterate(self) -> NDArray[np.bool_]:
        """Newton until at rest; whether each replicate is."""
        reach = np.ones(self.stays.p)
        reach[1 : 1 + len(self.stays.number_columns)] = estimation.NUMBER_REACH
        last = np.full(len(self.t), np.inf)
        expected = last
        for number in range(PASSES + 1):
            with np.errstate(all="ignore"):
                change, change_t = self._step(fresh=not (last < REUSE_INFORMATION).all())
                k = 1.0 / (1.0 + self.t.astype(np.float32) * self.S)
                by_effect = np.abs(self.R * k).max(axis=0) * np.abs(change_t)
                step = np.maximum((np.abs(change) * reach).max(axis=1), by_effect)
                lost = ~(step <= 1.0)
                expected = step * np.maximum(step / last, FASTEST) if number else step
            change[lost], change_t[lost], step[lost], expected[lost] = 0.0, 0.0, np.inf, np.inf
            last = step
            self._move(change, change_t)
            if number == PASSES or np.all((expected < AT_REST) | lost):
                break
            self._pass(with_ratios=number > 0)  # the first is never the last
        if self.shifts is not None and self.ratios is None:
            self._pass(with_ratios=True)
        return expected < AT_REST

    def _pass(self, with_ratios: bool) -> None:
        with_ratios = with_ratios and self.shifts is not None
        self.score, self.ratios = self.kernel.replicates_pass(
            self.stays,
            self.parameters,
            self.t,
            self.multiplicity,
            self.effect,
            self.S,
            self.T,
            self.R,
            self.method,
            self.shifts if with_ratios else None,
            self.leverage if with_ratios else None,
        )


def _inverse_each(matrices: Floats) -> Floats:
    """The inverses of many matrices; NaN for a singular one."""
    try:
        return np.asarray(np.linalg.inv(matrices))
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.full_like(matrices, np.nan)
        return np.concatenate([_inverse_each(matrices[r : r + 1]) for r in range(len(matrices))])
