"""One hospital's effect under a risk model that is given: posterior mode, precision, ERR, and the whole posterior.

With the model's linear predictors eta_i (hospital effect zero: national intercept + b'z_i) of a hospital's n index
admissions, outcomes y_i and between-hospital variance tau2, the hospital effect u has the log posterior

    l(u) = sum_i [ y_i (eta_i + u) - log(1 + exp(eta_i + u)) ] - u^2 / (2 tau2)

which is strictly concave. Its mode solves

    u = tau2 * (observed - sum_i p_i(u)),      p_i(u) = expit(eta_i + u),

and with W = sum_i p_i (1 - p_i) at the mode

    standard error   (W + 1/tau2)^(-1/2)
    reliability      tau2 W / (1 + tau2 W)         the share of one avoided readmission that reaches the predicted count
    predicted        mean p_i(u);   expected   mean p_i(0);   ERR = predicted / expected
    d ERR / d tau2   (u / tau2) / (1 + tau2 W) * W / sum_i p_i(0)

The posterior of the ERR itself is found by quadrature: ERR is increasing in u, so its quantiles are the ERRs at the
quantiles of u. An uncertain tau2 (log-normal about the value given) makes the prior of u a mixture of normals; nothing
else changes.

For the index admissions of one measure and applicable period, ERR is CMS's excess readmission ratio (the hospital
effect that a Hospital-Specific Report prints is the national intercept + u).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logsumexp

from hrrp.errors import ConvergenceError, InputContractError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MAX_NEWTON_STEPS = 200
STEP_TOLERANCE = 1e-10  # Newton converges quadratically: after a step this small the error is of the order of rounding

POSTERIOR_NODES = 33  # Chebyshev points at which the log posterior is computed; between them it is interpolated
POSTERIOR_GRID = 801  # points of the tabulated distribution function
POSTERIOR_HALF_WIDTH = 7.0  # in standard errors
TAU2_NODES = 9  # Gauss-Hermite nodes for an uncertain tau2
NO_VARIANCE = 1e-16  # below it a posterior is narrower than the rounding of its quantiles, which must hold the ratio
LARGEST_SPREAD = 1.0  # most uncertainty of log tau2, one standard deviation

LOW_RELIABILITY = 0.10


@dataclass(frozen=True)
class HospitalEffect:
    """One hospital's effect; rates are fractions, `err` NaN where there are no stays.

    `effect` is relative to the national intercept, on the logit scale; `err_tau2_se` is the standard error of the ERR
    that comes from tau2's own standard error; `note` says in words what limits the figures, or is None.
    """

    effect: float
    se: float
    reliability: float
    observed: int
    n: int
    predicted: float
    expected: float
    err: float
    err_low: float
    err_high: float
    err_tau2_se: float
    tau2: float
    note: str | None


@dataclass(frozen=True)
class HospitalEffects:
    """The same for many hospitals, arrays of length n_hospitals (without the interval and the note)."""

    effect: Floats
    se: Floats
    reliability: Floats
    observed: Integers
    n: Integers
    predicted: Floats
    expected: Floats
    err: Floats
    err_slope_tau2: Floats  # d ERR / d tau2


@dataclass(frozen=True)
class EffectPosterior:
    """The posterior of each hospital's effect and ERR, tabulated on a grid that spans it.

    `effect`, `err` and `cdf` have shape (n_hospitals, grid); along a row all three increase. Rows of hospitals without
    stays have NaN errs and the prior of the effect.
    """

    effect: Floats
    err: Floats
    cdf: Floats

    def err_quantiles(self, probabilities: ArrayLike = (0.05, 0.95)) -> Floats:
        """Posterior quantiles of the ERR, shape (n_hospitals, len(probabilities))."""
        wanted = np.asarray(probabilities, dtype=np.float64)
        return np.array([np.interp(wanted, row, err) for row, err in zip(self.cdf, self.err, strict=True)]).reshape(
            len(self.cdf), wanted.size
        )

    def draw(self, draws: int, seed: int | np.random.Generator) -> Floats:
        """Posterior draws of the ERR, shape (n_hospitals, draws), reproducible from `seed`."""
        uniforms = np.random.default_rng(seed).random((len(self.cdf), draws))
        drawn = np.empty_like(uniforms)
        for j, (row, err) in enumerate(zip(self.cdf, self.err, strict=True)):
            drawn[j] = np.interp(uniforms[j], row, err)
        return drawn


def hospital_effect(
    outcome: ArrayLike, linear_predictor: ArrayLike, tau2: float, tau2_se: float = 0.0
) -> HospitalEffect:
    """The effect of one hospital, with its 5 % to 95 % posterior interval of the ERR.

    `outcome` (n,) of 0 and 1, `linear_predictor` (n,) with hospital effect zero; n may be 0. `tau2_se` widens the
    interval by the uncertainty of tau2. Raises InputContractError for values that cannot be outcomes, predictors or
    variances.
    """
    index = np.zeros(np.size(outcome), dtype=np.int64)
    many = hospital_effects(outcome, linear_predictor, index, 1, tau2)
    posterior = err_posterior(outcome, linear_predictor, index, 1, tau2, tau2_se)
    low, high = posterior.err_quantiles()[0]
    n, observed, reliability = int(many.n[0]), int(many.observed[0]), float(many.reliability[0])
    return HospitalEffect(
        effect=float(many.effect[0]),
        se=float(many.se[0]),
        reliability=reliability,
        observed=observed,
        n=n,
        predicted=float(many.predicted[0]),
        expected=float(many.expected[0]),
        err=float(many.err[0]),
        err_low=float(low),
        err_high=float(high),
        err_tau2_se=abs(float(many.err_slope_tau2[0])) * tau2_se,
        tau2=float(tau2),
        note=_limits(n, observed, reliability, float(tau2)),
    )


def _limits(n: int, observed: int, reliability: float, tau2: float) -> str | None:
    """What limits the figures of one hospital, in words."""
    if n == 0:
        return "There are no index admissions, so there is no ERR; the effect is the national average's."
    if tau2 == 0.0:
        return "With a between-hospital variance of zero every hospital has the national effect and an ERR of 1."
    parts = []
    if reliability < LOW_RELIABILITY:
        parts.append(
            f"The reliability is {reliability:.2f}: the ERR rests mostly on the national average, "
            "and a few readmissions more or fewer hardly move it."
        )
    if observed in (0, n):
        parts.append(
            f"{'None' if observed == 0 else 'All'} of {n} stays were readmitted: "
            "the effect is held by the between-hospital variance alone, and depends on it strongly."
        )
    return " ".join(parts) or None


def hospital_effects(
    outcome: ArrayLike, linear_predictor: ArrayLike, hospital_index: ArrayLike, n_hospitals: int, tau2: float
) -> HospitalEffects:
    """The effects of many hospitals at once, given the model.

    `outcome`, `linear_predictor` and `hospital_index` (0 .. n_hospitals - 1) have one element a stay, in any order.
    Hospitals without stays get effect 0, the prior's standard error, reliability 0 and NaN rates.
    Raises InputContractError for unusable values, ConvergenceError if a mode is not found (not expected: l is concave).
    """
    y, eta, index, tau2 = _checked(outcome, linear_predictor, hospital_index, n_hospitals, tau2)
    n = np.bincount(index, minlength=n_hospitals).astype(np.int64)
    observed = np.bincount(index, weights=y, minlength=n_hospitals).astype(np.float64)
    expected_count = np.bincount(index, weights=expit(eta), minlength=n_hospitals)
    effect = _posterior_modes(observed, n, eta, index, tau2)
    p = expit(eta + effect[index])
    predicted_count = np.bincount(index, weights=p, minlength=n_hospitals)
    information = np.bincount(index, weights=p * (1.0 - p), minlength=n_hospitals)
    shrink = 1.0 / (1.0 + tau2 * information)
    with np.errstate(invalid="ignore", divide="ignore"):
        err = predicted_count / expected_count
        slope = (observed - predicted_count) * shrink * information / expected_count
        predicted, expected = predicted_count / n, expected_count / n
    return HospitalEffects(
        effect=effect,
        se=np.sqrt(tau2 * shrink),
        reliability=np.asarray(1.0 - shrink),
        observed=np.rint(observed).astype(np.int64),
        n=n,
        predicted=predicted,
        expected=expected,
        err=err,
        err_slope_tau2=slope,
    )


def _posterior_modes(observed: Floats, n: Integers, eta: Floats, index: Integers, tau2: float) -> Floats:
    """Newton on u - tau2 (observed - sum p(u)) = 0, an increasing function of u, kept inside a bracket that each step
    narrows.

    As 0 < sum p < n, the root lies between tau2 (observed - n) and tau2 observed.
    """
    low, high = tau2 * (observed - n), tau2 * observed
    u = np.zeros_like(observed)
    for _ in range(MAX_NEWTON_STEPS):
        p = expit(eta + u[index])
        count = np.bincount(index, weights=p, minlength=u.size)
        information = np.bincount(index, weights=p * (1.0 - p), minlength=u.size)
        gap = u - tau2 * (observed - count)
        low, high = np.where(gap < 0.0, u, low), np.where(gap > 0.0, u, high)
        newton = u - gap / (1.0 + tau2 * information)
        # A step that lands on a bound is taken too when it is below the tolerance: there the bracket is rounding
        # itself.
        inside = ((newton > low) & (newton < high)) | (np.abs(newton - u) <= STEP_TOLERANCE)
        step = np.where(inside, newton, 0.5 * (low + high)) - u
        u = u + step
        if np.all(np.abs(step) <= STEP_TOLERANCE * (1.0 + np.abs(u))):
            return u
    raise ConvergenceError(
        f"The effects of {int(np.sum(np.abs(step) > STEP_TOLERANCE * (1.0 + np.abs(u))))} of {u.size} hospitals were "
        f"not found "
        f"in {MAX_NEWTON_STEPS} steps, expected a few. Check the linear predictors: their usual range is -5 to 2."
    )


def err_posterior(
    outcome: ArrayLike,
    linear_predictor: ArrayLike,
    hospital_index: ArrayLike,
    n_hospitals: int,
    tau2: float,
    tau2_se: float = 0.0,
) -> EffectPosterior:
    """The posterior of every hospital's effect and ERR given the model, by quadrature. Arguments as in
    `hospital_effects`.

    The log likelihood and the predicted rate are computed at Chebyshev points that span the posterior and interpolated
    between them; for tau2 up to 0.5 the distribution function is right to about 1e-6.
    """
    y, eta, index, tau2 = _checked(outcome, linear_predictor, hospital_index, n_hospitals, tau2)
    if not (np.isfinite(tau2_se) and tau2_se >= 0.0):
        raise InputContractError(f"tau2_se is {tau2_se}; expected a standard error, zero or above.")
    modes = hospital_effects(y, eta, index, n_hospitals, tau2)
    spread = _spread(tau2, tau2_se)
    nodes, basis, grid = _chebyshev()
    scale = POSTERIOR_HALF_WIDTH * np.exp(spread) * modes.se
    log_likelihood = np.empty((n_hospitals, nodes.size))
    log_predicted = np.empty((n_hospitals, nodes.size))
    with np.errstate(divide="ignore"):
        for k, node in enumerate(nodes):
            u = modes.effect + scale * node
            at = eta + u[index]
            log_likelihood[:, k] = np.bincount(index, weights=y * at - np.logaddexp(0.0, at), minlength=n_hospitals)
            log_predicted[:, k] = np.log(np.bincount(index, weights=expit(at), minlength=n_hospitals))
        log_expected = np.log(np.bincount(index, weights=expit(eta), minlength=n_hospitals))
    effect = modes.effect[:, None] + scale[:, None] * grid[None, :]
    log_density = log_likelihood @ basis.T + _log_prior(effect, tau2, spread)
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    middle = 0.5 * (density[:, 1:] + density[:, :-1])
    cdf = np.concatenate([np.zeros((n_hospitals, 1)), np.cumsum(middle, axis=1)], axis=1)
    cdf /= cdf[:, -1:]
    none = modes.n == 0
    log_predicted[none], log_expected[none] = np.nan, np.nan
    err = np.exp(log_predicted @ basis.T - log_expected[:, None])
    if tau2 < NO_VARIANCE:
        err[:] = modes.err[:, None]
    return EffectPosterior(effect, err, cdf)


def draw_errs(
    outcome: ArrayLike,
    linear_predictor: ArrayLike,
    hospital_index: ArrayLike,
    n_hospitals: int,
    tau2: float,
    draws: int,
    seed: int | np.random.Generator,
    tau2_se: float = 0.0,
) -> Floats:
    """Posterior draws of every hospital's ERR, shape (n_hospitals, draws); NaN for a hospital without stays."""
    posterior = err_posterior(outcome, linear_predictor, hospital_index, n_hospitals, tau2, tau2_se)
    return posterior.draw(draws, seed)


def _spread(tau2: float, tau2_se: float) -> float:
    """Standard deviation of log tau2: that of the log-normal distribution with this ratio of standard deviation to mean.

    At most LARGEST_SPREAD: a standard error beyond tau2 itself says that zero is near, and no longer how far tau2 may
    lie; a wider log-normal would then put most of its weight on no variance at all.
    """
    return min(float(np.sqrt(np.log1p((tau2_se / tau2) ** 2))), LARGEST_SPREAD) if tau2 > 0.0 else 0.0


def _log_prior(effect: Floats, tau2: float, spread: float) -> Floats:
    """log density of the effect before the hospital's own stays are seen, up to a constant."""
    if tau2 == 0.0:
        return np.zeros_like(effect)
    if spread == 0.0:
        return -0.5 * effect**2 / tau2
    node, weight = np.polynomial.hermite_e.hermegauss(TAU2_NODES)
    variance = tau2 * np.exp(spread * node)
    parts = [-0.5 * effect**2 / v - 0.5 * np.log(v) + np.log(w) for v, w in zip(variance, weight, strict=True)]
    return np.asarray(logsumexp(parts, axis=0))


@cache
def _chebyshev() -> tuple[Floats, Floats, Floats]:
    """Chebyshev points on [-1, 1], the matrix that interpolates from them to a uniform grid, and that grid."""
    k = np.arange(POSTERIOR_NODES)
    nodes = -np.cos(np.pi * k / (POSTERIOR_NODES - 1))
    grid = np.linspace(-1.0, 1.0, POSTERIOR_GRID)
    to_coefficients = np.linalg.inv(np.polynomial.chebyshev.chebvander(nodes, POSTERIOR_NODES - 1))
    basis = np.polynomial.chebyshev.chebvander(grid, POSTERIOR_NODES - 1) @ to_coefficients
    return nodes, basis, grid


def _checked(
    outcome: ArrayLike, linear_predictor: ArrayLike, hospital_index: ArrayLike, n_hospitals: int, tau2: float
) -> tuple[Floats, Floats, Integers, float]:
    """The arguments as arrays of the right kind; raises InputContractError naming the argument and what to do."""
    y = np.asarray(outcome, dtype=np.float64)
    eta = np.asarray(linear_predictor, dtype=np.float64)
    index = np.asarray(hospital_index)
    for name, part in (("outcome", y), ("linear_predictor", eta), ("hospital_index", index)):
        if part.ndim != 1 or part.size != y.size:
            raise InputContractError(
                f"{name} has shape {part.shape}; expected one element a stay, ({y.size},) as in outcome."
            )
    wrong = int(np.count_nonzero((y != 0.0) & (y != 1.0)))
    if wrong:
        raise InputContractError(
            f"outcome: {wrong} of {y.size} values are neither 0 nor 1. Drop or correct those stays."
        )
    wrong = int(np.count_nonzero(~np.isfinite(eta)))
    if wrong:
        raise InputContractError(
            f"linear_predictor: {wrong} of {eta.size} values are missing or infinite. Correct the risk variables or "
            f"coefficients."
        )
    if index.size and not np.issubdtype(index.dtype, np.integer):
        raise InputContractError(f"hospital_index is of type {index.dtype}; expected whole numbers from 0.")
    index = index.astype(np.int64)
    if index.size and (index.min() < 0 or index.max() >= n_hospitals):
        raise InputContractError(
            f"hospital_index runs from {index.min()} to {index.max()}; expected 0 to {n_hospitals - 1}."
        )
    tau2 = float(tau2)
    if not (np.isfinite(tau2) and tau2 >= 0.0):
        raise InputContractError(f"tau2 is {tau2}; expected a between-hospital variance, zero or above.")
    return y, eta, index, tau2
