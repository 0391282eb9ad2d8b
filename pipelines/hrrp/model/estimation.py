"""Estimating coefficients and between-hospital variance from the sums of `hrrp.model.likelihood`.

RSPL
----
Restricted pseudo-likelihood with subject-specific linearisation, as PROC GLIMMIX fits by default, the residual scale
fixed at 1. Repeat: at the current coefficients b and effects u form the working response P = eta + u + (y - p) / (p (1
- p)) with weight w = v p (1 - p), and fit the linear mixed model P = x'b + u_j + e, var e = 1 / w, var u = t, by
restricted maximum likelihood. As sums over hospitals (names as in `likelihood`), with a = S u + R, k(t) = 1 / (1 + t
S), D = t k:

    A(t) = G - sum D C C'                               information of b with the effects swept out
    A(t) db = score + sum C u - sum D C a               change of the coefficients
    R~ = k (a - C'db)                                   the new effect is t R~
    d(REML) / dt = 1/2 sum [ R~^2 / phi - S k + k^2 C'A^-1 C ]        (maximum likelihood: without the last term)

The derivative is 0 at the estimate, or not positive at t = 0, where the estimate is 0. phi is 1; with a free scale it
is

    phi = [ sum (S u^2 + 2 u R) + chi^2 - sum D a^2 - db'(score + sum C u - sum D C a) ] / (N - p)

with Pearson's statistic chi^2 (maximum likelihood: / N, which is what MASS::glmmPQL maximises), and tau2 = phi t.

Before each linear mixed model the pass brings the effects to their conditional modes. The fixed point is that of the
textbook iteration: there the score is 0, every effect satisfies u = t R, and t solves the REML equation.

G and C cost more than the rest of a pass together, and move little. With many stays they are taken at the first pass
and once more near the estimate; between, those of the earlier pass serve, brought to the hospitals' new S. At the fixed
point only the last term of the REML derivative holds them, a small part of it.

The covariance of b is phi A^-1 and the prediction variance of an effect phi (D + D^2 C'A^-1 C), as the mixed model
equations give them with t taken as known; the variance of tau2 is the inverse of the observed REML information, the
last weights held.

Laplace and AGQ
---------------
The marginal log likelihood is maximised in (b, log t) by BFGS with its exact gradient, from A and 1/2 sum (t S k)^2 as
the curvature, with backtracking. Where t falls towards 0 the boundary is tested: at the fit without effects the
derivative with respect to t at t = 0 is 1/2 sum (R^2 - S); if it is not positive the estimate is 0. The covariance of
(b, log t) is the inverse of the observed information, by central differences of the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from hrrp.errors import ConvergenceError, InputContractError
from hrrp.model.blocked import combined, cross_product, quadratic_forms, weighted_sum
from hrrp.model.likelihood import LAPLACE, METHODS, RSPL, Sums, one_pass
from hrrp.model.packing import PackedStays

Floats = NDArray[np.float64]

START_TAU2 = 0.04
NEGLIGIBLE_TAU2 = 1e-12
BOUNDARY_TAU2 = 1e-4  # below it the marginal methods ask whether the estimate is 0
WARM_START_STAYS = 50_000  # from here on a part of the hospitals gives the start
WARM_START_PART = 16
WARM_START_STEP = 0.02
MARGINAL_START_STEP = 0.1  # Laplace and AGQ start from RSPL at about this distance
MARGINAL_START_TAU2 = 0.005
TOLERANCE = 1e-8
REUSE_INFORMATION = 0.1  # after a step shorter than this a pass makes do with the information of an earlier one ...
NEAR = 1e-6  # ... except the last information, which is taken no farther than this from the estimate
LARGEST_STEP = 5.0  # a longer step is shortened
RUNAWAY_ETA = 25.0  # a coefficient that moves a linear predictor this far has no finite estimate
NUMBER_REACH = 3.0  # numbers are in standard deviations
COLLINEAR = 1e-9  # share of a column's variance that the columns before it leave


@dataclass(frozen=True)
class Iteration:
    """One pass over the stays: where it was made, and the step that it suggests, as the largest change on the logit
    scale that a coefficient (over its column's range) or a hospital effect would bring."""

    number: int
    step: float
    tau2: float
    log_likelihood: float


@dataclass(frozen=True)
class Information:
    """C of each hospital, and A, the information of the coefficients with the effects swept out."""

    C: Floats
    A: Floats


@dataclass(frozen=True)
class Estimate:
    """Coefficients in the order inside. `sums` were taken exactly there, with C and G where the method needs them."""

    method: str
    nodes: int
    coefficients: Floats
    tau2: float
    scale: float
    sums: Sums
    iterations: tuple[Iteration, ...]
    stays: PackedStays
    restricted: bool = True
    free_scale: bool = False

    @property
    def t(self) -> float:
        """tau2 / scale: the variance that the sums were taken with."""
        return self.tau2 / self.scale

    @cached_property
    def information(self) -> Information:
        """At the estimate. Laplace and AGQ do without, so that it takes a pass the first time it is asked for."""
        sums = self.sums
        if sums.C is None or sums.G is None:
            code = METHODS[self.method]
            sums = one_pass(
                self.stays, self.coefficients, self.t, sums.effect, code, nodes=self.nodes, information=True
            )
            assert sums.C is not None and sums.G is not None
        return Information(sums.C, swept(sums.G, sums.C, self.t / (1.0 + self.t * sums.S)))

    @cached_property
    def tau2_se(self) -> float:
        """NaN where it needs more passes (Laplace, AGQ: see `observed_information`), at tau2 = 0 and with a free scale."""
        if self.method != "rspl" or self.free_scale:
            return math.nan
        assert self.sums.C is not None and self.sums.G is not None
        model = _LinearMixedModel(self.sums, self.sums.C, self.sums.G, self.restricted, None, math.nan)
        return model.observed_standard_error(self.t)


class Normal:
    """Solves A x = r for a positive definite A, scaled to unit diagonal for accuracy."""

    def __init__(self, A: Floats) -> None:
        diagonal = np.diag(A)
        if not (diagonal > 0.0).all():
            raise np.linalg.LinAlgError
        self.scale = 1.0 / np.sqrt(diagonal)
        self.scaled = A * np.outer(self.scale, self.scale)
        self.factor = cho_factor(self.scaled, lower=True)

    def solve(self, right: Floats) -> Floats:
        """A^-1 r for one vector r."""
        return np.asarray(self.scale * cho_solve(self.factor, self.scale * right))

    def squares(self, rows: Floats) -> Floats:
        """c'A^-1 c for each row c."""
        return quadratic_forms(rows, self.inverse())

    def inverse(self) -> Floats:
        inverse = np.linalg.inv(self.scaled)
        return np.asarray(0.5 * (inverse + inverse.T) * np.outer(self.scale, self.scale))


def swept(G: Floats, C: Floats, D: Floats) -> Floats:
    """A = G - sum D C C', symmetric to the last digit."""
    root = C * np.sqrt(D)[:, None]
    A = G - cross_product(root, root)
    return 0.5 * (A + A.T)


def determined_columns(G: Floats) -> list[tuple[int, list[int]]]:
    """Columns of a cross-product matrix that those before them determine, each with the ones that do."""
    diagonal = np.sqrt(np.maximum(np.diag(G), 1e-300))
    correlation = G / np.outer(diagonal, diagonal)
    kept = [0]
    found = []
    for k in range(1, len(G)):
        weights = np.linalg.solve(correlation[np.ix_(kept, kept)], correlation[kept, k])
        if G[k, k] <= 0.0 or 1.0 - weights @ correlation[kept, k] < COLLINEAR:
            found.append((k, [kept[m] for m in np.flatnonzero(np.abs(weights) > 1e-6)]))
        else:
            kept.append(k)
    return found


def names_inside(stays: PackedStays) -> list[str]:
    """Names of the coefficients in the order inside."""
    return ["national_intercept"] + [stays.columns[k].name for k in stays.number_columns + stays.flag_columns]


def check_rank(stays: PackedStays, G: Floats) -> None:
    """Raise InputContractError where a column is determined by others."""
    try:
        left = np.diag(Normal(G).factor[0]) ** 2
        if left.min() >= COLLINEAR:
            return
    except np.linalg.LinAlgError:
        pass
    found = determined_columns(G)
    if not found:
        return
    names = names_inside(stays)
    column, others = found[0]
    partners = ", ".join(f"'{names[k]}'" for k in others) or "nothing but zeros"
    more = f"; {len(found) - 1} further columns likewise" if len(found) > 1 else ""
    raise InputContractError(
        f"design, column '{names[column]}' is determined by {partners}{more}. A duplicate, or a sum of other "
        f"columns, has no coefficient "
        "of its own: drop it."
    )


def change_of_logits(stays: PackedStays, change: Floats) -> float:
    """The largest change of a linear predictor that one coefficient's change brings."""
    return float(np.max(np.abs(change) * _reach(stays)))


def shortened(stays: PackedStays, change: Floats) -> Floats:
    """The step, shortened so that no coefficient moves a linear predictor by more than LARGEST_STEP."""
    largest = change_of_logits(stays, change)
    return change * min(1.0, LARGEST_STEP / largest) if largest > 0.0 else change


def _reach(stays: PackedStays) -> Floats:
    """How far a column's values lie from zero, about."""
    reach = np.ones(stays.p)
    reach[1 : 1 + len(stays.number_columns)] = NUMBER_REACH
    return reach


def _stop_runaway(stays: PackedStays, coefficients: Floats, passes: int) -> None:
    moved = np.abs(coefficients) * _reach(stays)
    moved[0] = 0.0
    if stays.p > 1 and moved.max() > RUNAWAY_ETA:
        name = names_inside(stays)[int(moved.argmax())]
        raise ConvergenceError(
            f"The coefficient of column '{name}' grew beyond all bounds (pass {passes}): together with the other "
            f"columns it separates "
            "readmitted from other stays completely. Drop it, or merge it with a related column."
        )


def _not_converged(what: str, history: Sequence[Iteration]) -> ConvergenceError:
    last = history[-1]
    return ConvergenceError(
        f"{what} did not converge in {last.number} passes: the last step was {last.step:.2g} on the logit scale, "
        f"tau2 {last.tau2:.4g}. "
        "Likely causes are columns carried by very few stays or almost determined by others; drop them, or allow "
        "more passes."
    )


class _LinearMixedModel:
    """The linear mixed model of one RSPL iteration, made from a pass's sums, as a function of t."""

    def __init__(
        self, sums: Sums, C: Floats, G: Floats, restricted: bool, pearson: float | None, stays_less_p: float
    ) -> None:
        self.S, self.R, self.u, self.C, self.G = sums.S, sums.R, sums.effect, C, G
        self.restricted, self.pearson, self.degrees = restricted, pearson, stays_less_p
        self.a = self.S * self.u + self.R
        self.fixed = sums.score + weighted_sum(C, self.u)

    def at(self, t: float) -> _Solution:
        k = 1.0 / (1.0 + t * self.S)
        D = t * k
        A = swept(self.G, self.C, D)
        normal = Normal(A)
        right = self.fixed - weighted_sum(self.C, D * self.a)
        change = normal.solve(right)
        residual = k * (self.a - combined(self.C, change))
        scale = 1.0
        if self.pearson is not None:
            square = np.sum(self.u * (self.S * self.u + 2.0 * self.R) - D * self.a**2) + self.pearson - right @ change
            scale = float(square) / self.degrees
        terms = residual**2 / scale - self.S * k
        if self.restricted:
            terms = terms + k**2 * normal.squares(self.C)
        return _Solution(change, t * residual, 0.5 * float(terms.sum()), scale, A)

    def score(self, t: float) -> float:
        """Derivative of the restricted log likelihood with respect to t."""
        return self.at(t).score

    def solution(self, t: float) -> tuple[float, _Solution]:
        """The t that solves the REML equation, from a first guess, and the solution there."""
        t = root_of_score(self.score, self.information, t, 1e-3)
        return t, self.at(t)

    def refined(self, t: float, slope: float) -> tuple[float, _Solution, float]:
        """The same near the solution, by one Newton step and a correction; `slope` is the score's derivative at an
        earlier pass.

        Returns t, the solution (at a t that differs from it to second order) and the derivative for the next pass. Where
        that would take t to less than half or more than twice of what it was, the solution is not near: it is searched for.
        """
        before = self.score(t)
        near = t - before / slope
        if 0.5 * t < near < 2.0 * t:
            here = self.at(near)
            if abs(near - t) > 1e-6 * t:
                slope = (here.score - before) / (near - t)
            new = near - here.score / slope if slope < 0.0 else math.inf
            if 0.5 * t < new < 2.0 * t:
                return new, here, slope
        found, here = self.solution(t)
        return found, here, -self.information(found)

    def information(self, t: float) -> float:
        """Expected information of t with the coefficients taken as known."""
        return 0.5 * float(np.sum((self.S / (1.0 + t * self.S)) ** 2))

    def observed_standard_error(self, t: float) -> float:
        """From the second derivative at the estimate; NaN on the boundary."""
        if t <= NEGLIGIBLE_TAU2:
            return math.nan
        h = 1e-4 * t
        curvature = (self.score(t - h) - self.score(t + h)) / (2.0 * h)
        return 1.0 / math.sqrt(curvature) if curvature > 0.0 else math.nan


@dataclass(frozen=True)
class _Information:
    """C and G of one pass, with the S that each hospital had there."""

    C: Floats
    G: Floats
    S: Floats

    def brought_to(self, S: Floats) -> tuple[Floats, Floats]:
        """C and G about where the hospitals' total weights are S; the same where they are."""
        if S is self.S:
            return self.C, self.G
        return self.C * (S / self.S)[:, None], self.G * (S.sum() / self.S.sum())


@dataclass(frozen=True)
class _Solution:
    """The linear mixed model at one t: change of b, new effects, derivative of REML, scale, information of b."""

    change: Floats
    effect: Floats
    score: float
    scale: float
    A: Floats


def prediction_variance(estimate: Estimate) -> Floats:
    """phi (D + D^2 C'A^-1 C) of each hospital."""
    D = estimate.t / (1.0 + estimate.t * estimate.sums.S)
    return np.asarray(estimate.scale * (D + D**2 * Normal(estimate.information.A).squares(estimate.information.C)))


def root_of_score(
    score: Callable[[float], float], information: Callable[[float], float], start: float, tolerance: float
) -> float:
    """The t >= 0 where a score falls through 0, or 0 where it is not positive to begin with.

    A scoring step, then secant steps, inside the bracket that the signs give. `tolerance` is relative.
    """
    low, high = 0.0, math.inf
    t, value = start, score(start)
    new = t + value / information(t)
    for _ in range(100):
        if value > 0.0:
            low = t
        else:
            high = t
        if value == 0.0 or (high < math.inf and high - low <= tolerance * high):
            return t
        if new <= 0.0 and low == 0.0:
            if t == 0.0 or score(0.0) <= 0.0:
                return 0.0
            new = 0.1 * high
        elif not low < new < high:
            new = 0.5 * (low + high) if high < math.inf else 4.0 * low
        new = min(new, max(4.0 * t, START_TAU2))
        new_value = score(new)
        if abs(new - t) <= tolerance * new:
            return new
        slope = (new_value - value) / (new - t)
        t, value = new, new_value
        new = t - value / slope if slope < 0.0 else t + value / information(t)
    raise ConvergenceError(
        f"The between-hospital variance was not found in 100 steps (last {t:.3g}). Check that hospitals have several "
        f"stays each."
    )


def starting_values(stays: PackedStays) -> tuple[Floats, float]:
    """Coefficients and tau2 from a fit to every sixteenth hospital, or from the overall rate where stays are few."""
    rate = float(np.average(stays.rows.outcome, weights=stays.weights if stays.rows.weights.size else None))
    coefficients = np.zeros(stays.p)
    coefficients[0] = math.log(rate / (1.0 - rate))
    if stays.n < WARM_START_STAYS or stays.hospitals < 4 * WARM_START_PART:
        return coefficients, START_TAU2
    part = stays.hospitals_again(np.arange(0, stays.hospitals, WARM_START_PART))
    t = START_TAU2
    effect = np.zeros(part.hospitals)
    information: _Information | None = None
    for _ in range(10):
        sums = one_pass(part, coefficients, t, effect, RSPL, information=information is None)
        if information is None:
            assert sums.C is not None and sums.G is not None
            # A flag may be absent from the part: the ridge then holds its coefficient at 0.
            G = sums.G + 1e-3 * np.diag(np.diag(sums.G)) + np.eye(part.p)
            information = _Information(sums.C, G, sums.S)
        model = _LinearMixedModel(sums, *information.brought_to(sums.S), True, None, math.nan)
        t, here = model.solution(t)
        t = min(max(t, 1e-3), 1.0)
        change = shortened(part, here.change)
        coefficients, effect = coefficients + change, here.effect
        if change_of_logits(part, change) < WARM_START_STEP:
            break
    return coefficients, t


def rspl(
    stays: PackedStays,
    *,
    restricted: bool = True,
    free_scale: bool = False,
    max_passes: int = 100,
    tolerance: float = TOLERANCE,
    start: tuple[Floats, float, Floats] | None = None,
) -> Estimate:
    """Pseudo-likelihood. It ends where the step that a pass suggests is below `tolerance` (see `Iteration`).

    `start` is (coefficients, t, effects). Raises ConvergenceError, and InputContractError for columns that others
    determine.
    """
    if start is None:
        coefficients, t = starting_values(stays)
        effect = np.zeros(stays.hospitals)
    else:
        coefficients, t, effect = start
    degrees = float(stays.weights.sum()) - (stays.p if restricted else 0) if free_scale else math.nan
    history: list[Iteration] = []
    information: _Information | None = None
    is_large = stays.n >= WARM_START_STAYS
    slope: float | None = None  # derivative of the REML score, once t is near its solution
    last = since = math.inf  # the step before; the length of all steps since the information was taken
    fresh = True
    for number in range(1, max_passes + 1):
        sums = one_pass(stays, coefficients, t, effect, RSPL, information=fresh)
        if fresh or information is None:
            assert sums.C is not None and sums.G is not None
            if number == 1:
                check_rank(stays, sums.G)
            information, since = _Information(sums.C, sums.G, sums.S), 0.0
        C, G = information.brought_to(sums.S)
        pearson = _pearson(stays, coefficients, sums.effect) if free_scale else None
        model = _LinearMixedModel(sums, C, G, restricted, pearson, degrees)
        if number == 1 and (is_large or start is not None) and t > NEGLIGIBLE_TAU2:
            slope = -model.information(t)
        try:
            if slope is None:
                new_t, here = model.solution(t)
            else:
                new_t, here, slope = model.refined(t, slope)
        except np.linalg.LinAlgError:
            raise _not_converged("RSPL", [*history, Iteration(number, math.inf, t, math.nan)]) from None
        step = max(
            change_of_logits(stays, here.change), float(np.max(np.abs(here.effect - sums.effect))), abs(new_t - t)
        )
        history.append(Iteration(number, step, new_t * here.scale, math.nan))
        if step <= tolerance and since <= max(NEAR, tolerance):
            scale = model.at(t).scale if free_scale else 1.0
            return Estimate(
                method="rspl",
                nodes=1,
                coefficients=coefficients,
                tau2=t * scale,
                scale=scale,
                sums=replace(sums, C=C, G=G),
                iterations=tuple(history),
                stays=stays,
                restricted=restricted,
                free_scale=free_scale,
            )
        coefficients = coefficients + shortened(stays, here.change)
        _stop_runaway(stays, coefficients, number)
        is_near = step < REUSE_INFORMATION and new_t > NEGLIGIBLE_TAU2
        slope = (slope or -model.information(new_t)) if is_near else None
        t, effect = new_t, here.effect
        since += step
        shortens = min(1.0, step / last) if number > 1 else 1.0  # the next step is taken to shorten as this one did
        next_is_near = step <= tolerance or step * shortens <= NEAR
        fresh = not is_large or step >= REUSE_INFORMATION or (next_is_near and since > NEAR)
        last = step
    raise _not_converged("RSPL", history)


def _pearson(stays: PackedStays, coefficients: Floats, effect: Floats) -> float:
    """sum v (y - p)^2 / (p (1 - p)), which is sum v exp((1 - 2 y) (eta + u))."""
    eta = stays.linear_predictor(coefficients) + np.repeat(effect, stays.stays_of_hospital)
    return float(stays.weights @ np.exp((1.0 - 2.0 * stays.outcome) * eta))


def without_effects(stays: PackedStays, coefficients: Floats, max_passes: int = 100) -> Estimate:
    """Ordinary logistic regression (tau2 = 0) by Newton, as an Estimate of the marginal likelihood on its boundary."""
    none = np.zeros(stays.hospitals)
    history: list[Iteration] = []
    for number in range(1, max_passes + 1):
        sums = one_pass(stays, coefficients, 0.0, none, LAPLACE, information=True)
        assert sums.G is not None
        if number == 1:
            check_rank(stays, sums.G)
        try:
            change = Normal(sums.G).solve(sums.score)
        except np.linalg.LinAlgError:
            raise _not_converged("The fit without hospital effects", history) from None
        step = change_of_logits(stays, change)
        history.append(Iteration(number, step, 0.0, sums.log_likelihood))
        if step <= TOLERANCE:
            return Estimate("laplace", 1, coefficients, 0.0, 1.0, sums, tuple(history), stays)
        coefficients = coefficients + shortened(stays, change)
        _stop_runaway(stays, coefficients, number)
    raise _not_converged("The fit without hospital effects", history)


def marginal(
    stays: PackedStays,
    method: str,
    nodes: int,
    *,
    max_passes: int = 200,
    tolerance: float = TOLERANCE,
    start: tuple[Floats, float, Floats] | None = None,
) -> Estimate:
    """Maximum of the marginal likelihood by Laplace's approximation or adaptive quadrature.

    It ends where the step is below `tolerance` (see `Iteration`). Raises as `rspl`.
    """
    code = METHODS[method]
    refreshed = 0  # the curvature is taken afresh at the first two points, then updated
    inverse = np.empty(0)
    near: _Information | None = None
    if start is None:
        start, near = _after_rspl(stays)
        if stays.n >= WARM_START_STAYS:  # another information would cost more than the passes that it saves
            refreshed = 2
    coefficients, t, effect = start
    x = np.append(coefficients, math.log(max(t, MARGINAL_START_TAU2)))
    history: list[Iteration] = []
    boundary_is_ruled_out = False
    previous: tuple[Floats, Floats, float] | None = None  # point, gradient, log likelihood
    move = np.empty(0)
    for number in range(1, max_passes + 1):
        t = math.exp(x[-1])
        sums = one_pass(stays, x[:-1], t, effect, code, nodes=nodes, information=refreshed < 2)
        gradient = np.append(sums.score, sums.score_log_tau2)
        if previous is not None and not sums.log_likelihood >= previous[2] - 1e-10 * abs(previous[2]):
            move = 0.25 * move
            history.append(Iteration(number, math.inf, t, sums.log_likelihood))
            if np.abs(move).max() < 1e-14:
                break
            x = previous[0] + move
            continue
        effect = sums.effect
        if refreshed < 2:
            assert sums.C is not None and sums.G is not None
            if number == 1:
                check_rank(stays, sums.G)
            inverse = _starting_inverse(sums.C, sums.G, sums.S, t)
            refreshed += 1
        elif previous is None:
            assert near is not None
            inverse = _starting_inverse(*near.brought_to(sums.S), sums.S, t)
        else:
            inverse = _bfgs(inverse, x - previous[0], previous[1] - gradient)
        move = inverse @ gradient
        effect_change = float(np.max(np.abs(sums.effect) / (1.0 + t * sums.S))) * abs(move[-1])
        step = max(change_of_logits(stays, move[:-1]), effect_change)
        history.append(Iteration(number, step, t, sums.log_likelihood))
        if step <= tolerance:
            return Estimate(method, nodes, x[:-1], t, 1.0, sums, tuple(history), stays)
        if t < BOUNDARY_TAU2 and gradient[-1] < 0.0 and not boundary_is_ruled_out:
            flat = without_effects(stays, x[:-1])
            if 0.5 * float(np.sum(flat.sums.R**2 - flat.sums.S)) <= 0.0:
                iterations = tuple(history) + tuple(replace(i, number=i.number + number) for i in flat.iterations)
                return replace(flat, method=method, nodes=nodes, iterations=iterations)
            boundary_is_ruled_out = True
        move[:-1] = shortened(stays, move[:-1])
        move[-1] = min(max(move[-1], -1.0), 1.0)
        previous = x, gradient, sums.log_likelihood
        x = x + move
        _stop_runaway(stays, x[:-1], number)
    raise _not_converged(f"The {method} fit", history)


def _after_rspl(stays: PackedStays) -> tuple[tuple[Floats, float, Floats], _Information]:
    """Coefficients, t and effects one step after RSPL has come to about MARGINAL_START_STEP, and C and G before it."""
    near = rspl(stays, tolerance=MARGINAL_START_STEP)
    assert near.sums.C is not None and near.sums.G is not None
    model = _LinearMixedModel(near.sums, near.sums.C, near.sums.G, True, None, math.nan)
    if near.t > NEGLIGIBLE_TAU2:
        t, here, _ = model.refined(near.t, -model.information(near.t))
    else:
        t, here = model.solution(near.t)
    start = near.coefficients + shortened(stays, here.change), t, here.effect
    return start, _Information(near.sums.C, near.sums.G, near.sums.S)


def _starting_inverse(C: Floats, G: Floats, S: Floats, t: float) -> Floats:
    """Inverse of about the information of (b, log t)."""
    D = t / (1.0 + t * S)
    inverse = np.zeros((len(G) + 1,) * 2)
    inverse[:-1, :-1] = Normal(swept(G, C, D)).inverse()
    inverse[-1, -1] = 1.0 / max(0.5 * float(np.sum((D * S) ** 2)), 1e-6)
    return inverse


def _bfgs(inverse: Floats, moved: Floats, fell: Floats) -> Floats:
    """The update of an inverse information after the point moved and the gradient fell, where the curvature is
    positive."""
    product = float(moved @ fell)
    if product <= 1e-12 * math.sqrt(float(moved @ moved) * float(fell @ fell)):
        return inverse
    left = np.eye(len(moved)) - np.outer(moved, fell) / product
    return left @ inverse @ left.T + np.outer(moved, moved) / product


def observed_information(stays: PackedStays, estimate: Estimate) -> Floats:
    """Minus the second derivatives of the marginal log likelihood in (b, log t), inside order: 2 (p + 1) passes."""
    x = np.append(estimate.coefficients, math.log(estimate.tau2))
    of_log_tau2 = 0.5 * float(np.sum((estimate.tau2 * estimate.sums.S / (1.0 + estimate.tau2 * estimate.sums.S)) ** 2))
    steps = 1e-3 * np.sqrt(np.append(np.diag(Normal(estimate.information.A).inverse()), 1.0 / max(of_log_tau2, 1e-6)))
    matrix = np.empty((len(x), len(x)))

    def gradient(point: Floats) -> Floats:
        sums = one_pass(
            stays,
            point[:-1],
            math.exp(point[-1]),
            estimate.sums.effect,
            METHODS[estimate.method],
            nodes=estimate.nodes,
        )
        return np.append(sums.score, sums.score_log_tau2)

    for k, h in enumerate(steps):
        forth, back = x.copy(), x.copy()
        forth[k] += h
        back[k] -= h
        matrix[k] = (gradient(back) - gradient(forth)) / (2.0 * h)
    return 0.5 * (matrix + matrix.T)
