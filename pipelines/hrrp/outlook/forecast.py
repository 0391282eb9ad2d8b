"""The penalty of a program year being earned, as a distribution.

For one hospital and measure, with known index admissions i = 1..n, their linear predictors eta_i (CMS's model, hospital effect
zero) and y readmissions, let f(u) = mean_i expit(eta_i + u). At the end of the applicable period CMS will know n + N discharges
and y + Y readmissions, refit its model (its intercept moves by d) and find the hospital effect as the posterior mode

    u_end = tau2 * (y + Y - (n + N) * f(u_end + d)),      ERR = f(u_end + d) / f(d).

One draw takes, each from its own source of uncertainty:

    own results      the hospital's true effect u, given its discharges of the period and, as its prior, those before the period:
                     u ~ Normal(mode, standard error), where the mode solves u = m + v (y - n f(u)) with prior mean m and variance
                     v (0 and tau2 where nothing earlier is known), and the prior moves with the nation's d
    chance           Y given u and N: mean N f(u), variance N f(u) (1 - f(u))
    volume           N ~ mean m, variance m + (cv m)^2, plus admissions already made whose follow-up is not over
    elsewhere        readmissions to other hospitals that own data cannot see
    national model   d ~ Normal(0, the year-to-year spread of the national rate on the logit scale, per year ahead)
    peer medians     last published median ERR plus the spread of the published series, per year ahead
    neutrality       the modifier likewise
    payments         DRG payment ratios, normal about the known ones
    peer group       dual proportion at the end of the period against cuts that move

and then applies the payment formula of `hrrp.penalty.factor` with its 25-case rule and cap. N and Y are continuous in the draws
(moments are matched); only the 25-case test looks at whole discharges. f is the polynomial of `hrrp.outlook.risk_curve`, right to 1e-9;
u_end is found by Newton's method from the third-order expansion about the mode, to 1e-8 or better.

National sources are drawn once and shared by all hospitals, own sources per hospital, so that sums over a system are right. A
hospital's own draws are the same in all program years and scenarios: what differs between two of them is never the luck of the draw.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from types import ModuleType
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hrrp.outlook.risk_curve import FURTHEST, Patients, RiskCurve, interval
from hrrp.penalty.factor import MINIMUM_CASES, contributions, payment_reduction
from hrrp.program import MEASURES

Floats = NDArray[np.float64]
# ERR, contribution, penalised or not, of every draw; the chance of 25 cases.
Drawn = tuple[Floats, Floats, NDArray[np.bool_], float]

SOURCES: tuple[str, ...] = (
    "own results",
    "chance",
    "volume",
    "elsewhere",
    "national model",
    "peer medians",
    "neutrality modifier",
    "payments",
    "peer group",
)
PROBABILITIES = (0.05, 0.5, 0.95)
MODE_TOLERANCE = 1e-11
NEWTON_STEPS = 50
# After a step s Newton's next error is at most s^2 / 2 here (|f''| < f'): below 1e-8.
DRAW_TOLERANCE = 1e-4
# Courses and ratios of one hospital that are kept for the next question about it, 80 to 160 kB each.
MOST_KEPT = 40


T = TypeVar("T")


@dataclass(frozen=True)
class MeasureToDate:
    """What is known of one hospital's measure in one program year.

    `linear_predictor` (n,) of the index admissions whose outcome is known, `readmissions` among them; `pending` admissions made
    whose 30 days are not over; `future_mean` further admissions expected until the period ends and `future_cv` the relative
    uncertainty of that expectation; `prior_mean` and `prior_variance` of the hospital's true effect from its discharges before the
    period (NaN: nothing is known of it but tau2); `elsewhere_share` the share of all readmissions that own data cannot see and its standard
    error; `drg_payment_ratio` NaN where unknown.
    """

    linear_predictor: Floats
    readmissions: int
    pending: int
    future_mean: float
    future_cv: float
    tau2: float
    national_rate: float
    drg_payment_ratio: float
    drg_payment_ratio_cv: float = 0.05
    elsewhere_share: float = 0.0
    elsewhere_share_se: float = 0.0
    prior_mean: float = float("nan")
    prior_variance: float = float("nan")

    @cached_property
    def solved(self) -> dict[Any, Any]:
        """What `hrrp.outlook.what_if` has solved of it already, by question."""
        return {}

    @property
    def prior(self) -> tuple[float, float]:
        """Mean and variance of the true effect before the period's own discharges are seen."""
        if np.isfinite(self.prior_mean) and np.isfinite(self.prior_variance):
            return self.prior_mean, min(self.prior_variance, self.tau2)
        return 0.0, self.tau2


@dataclass(frozen=True)
class National:
    """National figures of one program year, last published, with their spread for the years ahead.

    `medians` and `median_sd` (5, 6) by peer group and measure; `cuts` (4,) upper dual proportions of groups 1 to 4.
    """

    medians: Floats
    median_sd: Floats
    model_sd: Floats
    neutrality_modifier: float
    neutrality_modifier_sd: float
    cuts: Floats
    cuts_sd: float
    cap: float
    in_payment: NDArray[np.bool_]


@dataclass(frozen=True)
class HospitalToDate:
    """One hospital in one program year: its measures in the order of MEASURES, its dual proportion and payments."""

    ccn: str
    measures: tuple[MeasureToDate, ...]
    dual_proportion: float
    dual_proportion_se: float
    peer_group: int | None
    annual_payments: float


@dataclass(frozen=True)
class Forecast:
    """Quantiles are 5 %, 50 %, 95 %; reductions are fractions. `draws` holds the payment reduction of every draw."""

    err: Floats  # (6, 3)
    cases: Floats  # (6, 3)
    chance_of_cases: Floats  # (6,) chance that the measure reaches 25 cases
    contribution: Floats  # (6, 3)
    chance_of_contribution: Floats  # (6,)
    reduction: Floats  # (3,)
    mean_reduction: float
    chance_of_penalty: float
    chance_of_cap: float
    chance_of_group: Floats  # (5,)
    spread: dict[str, float]
    draws: Floats


@dataclass(frozen=True)
class Change:
    """A what-if scenario in the order of MEASURES: readmissions avoided (negative: added), factor on the admissions still to
    come, a dual proportion (NaN: as it is) and peer group medians (NaN: as drawn)."""

    avoided: tuple[float, ...] = (0.0,) * len(MEASURES)
    volume: tuple[float, ...] = (1.0,) * len(MEASURES)
    dual_proportion: float = float("nan")
    medians: tuple[float, ...] = (float("nan"),) * len(MEASURES)


NO_CHANGE = Change()


@dataclass(frozen=True)
class Draws:
    """Standard normal draws of the national sources, shared by every hospital of a forecast."""

    model: Floats  # (6, D)
    medians: Floats  # (6, D): one per measure, as medians of all groups move together
    neutrality: Floats  # (D,)
    cuts: Floats  # (D,)
    seed: int

    @property
    def count(self) -> int:
        return int(self.neutrality.size)


@lru_cache(maxsize=2)
def national_draws(count: int, seed: int) -> Draws:
    """The shared draws: `count` of each, reproducible from `seed`. Made once, so nobody may write to them."""
    rng = np.random.default_rng([seed, 0])
    six = (len(MEASURES), count)
    model, medians, neutrality, cuts = (rng.standard_normal(size) for size in (six, six, count, count))
    for each in (model, medians, neutrality, cuts):
        each.flags.writeable = False
    return Draws(model, medians, neutrality, cuts, seed)


@dataclass(frozen=True)
class OwnDraws:
    """Standard normal draws of one hospital's own sources, (6, D) each, `dual` (D,).

    `volume_marks` (6, 2, 3) are the order statistics of `volume` that its quantiles lie between: cases increase with it. `kept` is what
    was drawn with them, for the next question about the hospital.
    """

    results: Floats
    chance: Floats
    volume: Floats
    payments: Floats
    elsewhere: Floats
    dual: Floats
    volume_marks: Floats
    kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, known: MeasureToDate, key: tuple[float, ...], make: Callable[[], T]) -> T:
        """What `make` gives for a measure and a question, made once. Nobody may write to it."""
        found = self.kept.get((id(known), *key))
        if found is None:
            if len(self.kept) >= MOST_KEPT:
                self.kept.clear()
            # With the measure, so that no other one gets its place in memory meanwhile.
            found = self.kept[id(known), *key] = (known, make())
        return cast("T", found[1])


def own_draws(ccn: str, shared: Draws) -> OwnDraws:
    """One hospital's draws, reproducible from the seed and its CCN."""
    rng = np.random.default_rng([shared.seed, zlib.crc32(ccn.encode())])
    results, chance, volume, payments, elsewhere = rng.standard_normal((5, len(MEASURES), shared.count))
    dual = rng.standard_normal(shared.count)
    marks = np.array([_marks(np.sort(row), row.size) for row in volume])
    return OwnDraws(results, chance, volume, payments, elsewhere, dual, marks)


def forecast_hospital(
    hospital: HospitalToDate,
    national: National,
    shared: Draws,
    change: Change = NO_CHANGE,
    own: OwnDraws | None = None,
    kernel: ModuleType | None = None,
    *,
    spread: bool = True,
) -> Forecast:
    """The distribution of ERRs, contributions and payment reduction at the end of the applicable period.

    `change` is a what-if scenario; the same draws serve every scenario, so the change of nothing gives the forecast itself. `own`
    are the hospital's draws where the caller has them already (they are the same for all its program years). `kernel` is
    the module `hrrp.outlook.forecast_kernel` where many hospitals make compiling worth while; the answer is the same to 1e-8.
    Without `spread` its shares are left out.
    """
    own = own or own_draws(hospital.ccn, shared)
    group = _groups(hospital, national, shared, own.dual, change.dual_proportion)
    modifier = national.neutrality_modifier + national.neutrality_modifier_sd * shared.neutrality
    total, any_penalised = np.zeros(shared.count), np.zeros(shared.count, dtype=bool)
    err, cases, contribution = (np.empty((len(MEASURES), len(PROBABILITIES))) for _ in range(3))
    chance_of_cases, chance_of_contribution = np.empty(len(MEASURES)), np.empty(len(MEASURES))
    for k, known in enumerate(hospital.measures):
        drawn = None
        if kernel is not None and known.tau2 > 0.0:
            drawn = _compiled(kernel, known, k, national, shared, own, change, group, modifier)
        ratio, part, penalised, chance_of_cases[k] = drawn or _drawn(
            known, k, national, shared, own, change, group, modifier
        )
        total += part
        any_penalised |= penalised
        err[k], contribution[k] = _quantiles(ratio), _quantiles_from_zero(part)
        cases[k] = _interpolated(_cases(known, own.volume_marks[k], change.volume[k])[1], shared.count)
        chance_of_contribution[k] = _share(penalised)
    reduction = payment_reduction(total[:, None], national.cap)
    sources = {
        "own results": own.results,
        "chance": own.chance,
        "volume": own.volume,
        "elsewhere": own.elsewhere[[known.elsewhere_share_se > 0.0 for known in hospital.measures]],
        "national model": shared.model[national.model_sd > 0.0],
        "peer medians": shared.medians[national.median_sd.max(axis=0) > 0.0],
        "neutrality modifier": shared.neutrality[None, :][: int(national.neutrality_modifier_sd > 0.0)],
        "payments": own.payments[[known.drg_payment_ratio_cv > 0.0 for known in hospital.measures]],
    }
    return Forecast(
        err=err,
        cases=cases,
        chance_of_cases=chance_of_cases,
        contribution=contribution,
        chance_of_contribution=chance_of_contribution,
        reduction=_quantiles_from_zero(reduction),
        mean_reduction=float(reduction.mean()),
        chance_of_penalty=_share(any_penalised),
        chance_of_cap=float("nan") if np.isnan(reduction).any() else _share(reduction >= national.cap),
        chance_of_group=np.bincount(group - 1, minlength=5) / shared.count,
        spread=spread_by_source(reduction, sources, {"peer group": group}, kernel) if spread else {},
        draws=reduction,
    )


def drawn_reductions(
    hospital: HospitalToDate,
    national: National,
    shared: Draws,
    avoided: float,
    measures: Collection[int],
    own: OwnDraws,
) -> tuple[Floats, dict[int, Floats]]:
    """The drawn payment reductions of the forecast, and of it with `avoided` readmissions fewer in one of `measures` (their places).

    What `forecast_hospital(...).draws` gives for each of these changes; here a measure that does not change is drawn once.
    """
    group = _groups(hospital, national, shared, own.dual, NO_CHANGE.dual_proportion)
    modifier = national.neutrality_modifier + national.neutrality_modifier_sd * shared.neutrality

    def part(k: int, change: Change) -> Floats:
        if not national.in_payment[k]:
            return np.zeros(shared.count)
        known, ratio = hospital.measures[k], ratios[k]
        err, cases = _ratio_and_cases(known, k, national, shared, own, change)
        return _part(err, cases, medians[k], ratio, modifier, bool(national.in_payment[k]))[0]

    def together(parts: list[Floats]) -> Floats:
        total = np.zeros(shared.count)
        for each in parts:
            total += each
        return payment_reduction(total[:, None], national.cap)

    medians = [_median(k, national, shared, group, NO_CHANGE.medians[k]) for k in range(len(MEASURES))]
    ratios = [_payment_ratio(known, own.payments[k]) for k, known in enumerate(hospital.measures)]
    parts = [part(k, NO_CHANGE) for k in range(len(MEASURES))]
    base, fewer = together(parts), {}
    for k in measures:
        if avoided >= 0.0 and not parts[k].any():
            # What contributes in no draw contributes in none with fewer readmissions.
            fewer[k] = base
            continue
        change = Change(avoided=tuple(avoided if other == k else 0.0 for other in range(len(MEASURES))))
        fewer[k] = together([*parts[:k], part(k, change), *parts[k + 1 :]])
    return base, fewer


def _drawn(
    known: MeasureToDate,
    k: int,
    national: National,
    shared: Draws,
    own: OwnDraws,
    change: Change,
    group: NDArray[np.int64],
    modifier: Floats,
) -> Drawn:
    """The k-th measure at the end of the period: ERR, contribution and whether it is penalised, draw by draw; chance of 25 cases."""
    err, cases = _ratio_and_cases(known, k, national, shared, own, change)
    median = _median(k, national, shared, group, change.medians[k])
    ratio = _payment_ratio(known, own.payments[k])
    part, penalised = _part(err, cases, median, ratio, modifier, bool(national.in_payment[k]))
    return err, part, penalised, _share(cases >= MINIMUM_CASES)


def _ratio_and_cases(
    known: MeasureToDate, k: int, national: National, shared: Draws, own: OwnDraws, change: Change
) -> tuple[Floats, Floats]:
    """ERR and whole cases at the end of the period, draw by draw, whatever they are held against."""
    volume, avoided, model_sd = float(change.volume[k]), float(change.avoided[k]), float(national.model_sd[k])
    course = own.once(known, (k, model_sd, volume), lambda: _course(known, k, model_sd, shared, own, volume))

    def solve() -> tuple[Floats, Floats]:
        err = _err_at_end(known, course, avoided)
        cases = np.floor(course.total + 0.5)
        if cases.min() < 1.0:
            err = np.where(cases >= 1.0, err, np.nan)
        return err, cases

    return own.once(known, (k, model_sd, volume, avoided), solve)


def _payment_ratio(known: MeasureToDate, normal: Floats) -> Floats | None:
    """The DRG payment ratio, draw by draw; None where it is unknown."""
    if not np.isfinite(known.drg_payment_ratio):
        return None
    return np.maximum(known.drg_payment_ratio * (1.0 + known.drg_payment_ratio_cv * normal), 0.0)


def _part(
    err: Floats, cases: Floats, median: Floats | float, ratio: Floats | None, modifier: Floats, in_payment: bool
) -> tuple[Floats, NDArray[np.bool_]]:
    """Contribution and whether it is penalised, draw by draw."""
    penalised = (cases >= MINIMUM_CASES) & (err > median) & in_payment
    if ratio is None:
        # Above the median with unknown payments: the contribution is unknown; that there is one is known.
        return np.where(penalised, np.nan, 0.0), penalised
    return contributions(err, median, ratio, cases, modifier) * in_payment, penalised


def _patients(known: MeasureToDate) -> Patients:
    """The known rows; without an own case the national rate stands for the case mix."""
    if known.linear_predictor.size:
        return Patients(known.linear_predictor)
    return Patients(np.log([known.national_rate / (1.0 - known.national_rate)]))


def _best_count(known: MeasureToDate) -> float:
    """Readmissions so far with those to be expected elsewhere."""
    return float(min(known.readmissions / (1.0 - known.elsewhere_share), known.linear_predictor.size))


@dataclass(frozen=True)
class Effect:
    """A hospital's true effect in one measure: mode, standard error, how far it goes with the nation, the nation's own spread."""

    mode: float
    sd: float
    with_nation: float
    model_sd: float


def _effect(known: MeasureToDate, mode: float, slope: float, model_sd: float) -> Effect:
    _, variance = known.prior
    shrink = 1.0 / (1.0 + variance * known.linear_predictor.size * slope)
    # Of the prior, the part that is not the hospital's own earlier record moves with the nation.
    with_nation = shrink * variance / known.tau2 if known.tau2 > 0.0 else 0.0
    return Effect(mode, math.sqrt(variance * shrink), with_nation, model_sd)


@dataclass(frozen=True)
class Course:
    """A measure to the end of the period, draw by draw, before anything is avoided: admissions, readmissions, and what the hospital's
    effect is solved from."""

    patients: Patients
    curve: RiskCurve
    mode: float
    shift: Floats
    total: Floats
    readmitted: Floats


def _course(known: MeasureToDate, k: int, model_sd: float, shared: Draws, own: OwnDraws, volume: float) -> Course:
    patients = _patients(known)
    prior_mean, variance = known.prior
    n_known = float(known.linear_predictor.size)
    mode = posterior_mode(patients, _best_count(known), n_known, variance, prior_mean)
    effect = _effect(known, mode, patients.risk_and_slope(mode)[1], model_sd)
    shift = effect.model_sd * shared.model[k]
    true_effect = effect.mode + effect.with_nation * shift + effect.sd * own.results[k]
    true_effect = np.minimum(np.maximum(true_effect, -FURTHEST, out=true_effect), FURTHEST, out=true_effect)
    curve = _curve(patients, true_effect, shift)

    total, _ = _cases(known, own.volume[k], volume)
    further = total - known.linear_predictor.size
    risk = curve.risk(true_effect)
    mean = further * risk
    returns = mean + np.sqrt(mean * (1.0 - risk)) * own.chance[k]
    np.minimum(np.maximum(returns, 0.0, out=returns), further, out=returns)
    return Course(patients, curve, mode, shift, total, _seen_and_unseen(known, own.elsewhere[k]) + returns)


def _compiled(
    kernel: ModuleType,
    known: MeasureToDate,
    k: int,
    national: National,
    shared: Draws,
    own: OwnDraws,
    change: Change,
    group: NDArray[np.int64],
    modifier: Floats,
) -> Drawn | None:
    """`_drawn` by the compiled kernel; None where a draw left its curve, which is made for six standard deviations."""
    inverse_odds = _patients(known).inverse_odds
    prior_mean, variance = known.prior
    n_known = float(known.linear_predictor.size)
    mode, *derivatives = kernel.posterior(inverse_odds, _best_count(known), n_known, variance, prior_mean)
    effect = _effect(known, mode, derivatives[1], float(national.model_sd[k]))
    reach = 6.0 * max(effect.sd, effect.model_sd, math.sqrt(known.tau2)) + 0.05
    centre, half, points, to_powers = interval(min(mode, 0.0) - reach, max(mode, 0.0) + reach)
    err, part = np.empty(shared.count), np.empty(shared.count)
    penalised = np.empty(shared.count, dtype=np.bool_)
    mean, stated = known.future_mean * change.volume[k], float(change.medians[k])
    has_stated = math.isfinite(stated)
    enough = kernel.at_end(
        kernel.powers_of(inverse_odds, points, to_powers, centre, half),
        centre,
        half,
        np.array(derivatives),
        mode,
        effect.with_nation,
        effect.sd,
        effect.model_sd,
        known.tau2,
        n_known,
        float(known.readmissions),
        known.elsewhere_share,
        known.elsewhere_share_se,
        mean,
        math.sqrt(mean + (known.future_cv * mean) ** 2),
        float(known.pending),
        float(change.avoided[k]),
        DRAW_TOLERANCE,
        own.results[k],
        own.chance[k],
        own.volume[k],
        own.elsewhere[k],
        shared.model[k],
        own.payments[k],
        float(known.drg_payment_ratio),
        known.drg_payment_ratio_cv,
        np.full(5, stated) if has_stated else np.ascontiguousarray(national.medians[:, k]),
        np.zeros(5) if has_stated else np.ascontiguousarray(national.median_sd[:, k]),
        shared.medians[k],
        group,
        modifier,
        MINIMUM_CASES,
        bool(national.in_payment[k]),
        err,
        part,
        penalised,
    )
    return None if enough < 0 else (err, part, penalised, enough / shared.count)


def _cases(known: MeasureToDate, normal: Floats, volume: float) -> tuple[Floats, Floats]:
    """Admissions at the end of the period, and whole cases: those followed up, those whose 30 days are not over, those to come."""
    mean = known.future_mean * volume
    spread = np.sqrt(mean + (known.future_cv * mean) ** 2)
    total = np.maximum(mean + spread * normal, 0.0) + (known.pending + known.linear_predictor.size)
    return total, np.floor(total + 0.5)


def _seen_and_unseen(known: MeasureToDate, normal: Floats) -> Floats | float:
    """Readmissions among the admissions followed up, with those to other hospitals that own data cannot see."""
    seen, most = float(known.readmissions), float(known.linear_predictor.size)
    if known.elsewhere_share <= 0.0 and known.elsewhere_share_se <= 0.0:
        return min(seen, most)
    share = np.minimum(np.maximum(known.elsewhere_share + known.elsewhere_share_se * normal, 0.0), 0.9)
    return np.minimum(seen / (1.0 - share), most)


def posterior_mode(
    patients: Patients, readmissions: float, cases: float, tau2: float, prior_mean: float = 0.0
) -> float:
    """The mode u = prior_mean + tau2 (readmissions - cases f(u)), by Newton inside a bracket; `cases` are like `patients`."""
    if tau2 <= 0.0 or cases <= 0.0:
        return prior_mean
    low, high = prior_mean + min(tau2 * (readmissions - cases), 0.0), prior_mean + max(tau2 * readmissions, 0.0)
    u = prior_mean
    for _ in range(NEWTON_STEPS):
        f, slope = patients.risk_and_slope(u)
        gap = u - prior_mean - tau2 * (readmissions - cases * f)
        low, high = (u, high) if gap < 0.0 else (low, u)
        following = u - gap / (1.0 + tau2 * cases * slope)
        if not low <= following <= high:
            following = 0.5 * (low + high)
        if abs(following - u) <= MODE_TOLERANCE:
            return following
        u = following
    return u


def prior_from_history(
    linear_predictor: Floats, readmissions: float, tau2: float, correlation: float
) -> tuple[float, float]:
    """Mean and variance of the true effect now, from admissions before: with their posterior Normal(mode, s^2),

    mean = c mode,   variance = tau2 - c^2 (tau2 - s^2),   c the correlation of the true effect then and now.
    """
    if not linear_predictor.size or tau2 <= 0.0:
        return 0.0, tau2
    patients, n = Patients(linear_predictor), float(linear_predictor.size)
    mode = posterior_mode(patients, min(readmissions, n), n, tau2)
    known = tau2 * n * patients.risk_and_slope(mode)[1]
    return correlation * mode, tau2 - correlation**2 * tau2 * known / (1.0 + known)


def _curve(patients: Patients, *places: Floats) -> RiskCurve:
    """A risk curve that covers all of `places`."""
    low = min(float(each.min()) for each in places)
    high = max(float(each.max()) for each in places)
    return patients.curve(low - 0.01, high + 0.01)


def _err_at_end(known: MeasureToDate, course: Course, avoided: float) -> Floats:
    """ERR = f(v) / f(shift) with v = u_end + shift, the root of v + tau2 n f(v) = shift + tau2 y, increasing in v.

    The course's curve covers `shift`; its `mode` is a point that v is near to.
    """
    patients, curve, mode, shift, n, tau2 = (
        course.patients, course.curve, course.mode, course.shift, course.total, known.tau2,
    )  # fmt: skip
    y = course.readmitted - avoided
    np.minimum(np.maximum(y, 0.0, out=y), n, out=y)
    base = curve.risk(shift)
    if tau2 <= 0.0:
        return np.ones_like(base)
    target, weight = shift + tau2 * y, tau2 * n
    f, slope, bend, twist = patients.derivatives(mode)
    steepness = 1.0 + weight * slope
    first = (target - mode - weight * f) / steepness
    # The inverse series first * (1 - b + 2 b^2 - c); far from the mode, where it is of no use, its first term alone.
    scaled = weight * first / steepness
    b = (0.5 * bend) * scaled
    series = b * (2.0 * b - 1.0) - (twist / 6.0) * scaled * first
    if max(-float(series.min()), float(series.max())) > 0.5:
        series = np.where(np.abs(series) < 0.5, series, 0.0)
    v = mode + first * (1.0 + series)
    v = np.minimum(np.maximum(v, -FURTHEST, out=v), FURTHEST, out=v)
    for _ in range(NEWTON_STEPS):
        if not curve.covers(v):
            curve = _curve(patients, v)
        risk, slopes = curve.risk_and_slope(v)
        step = (target - v - weight * risk) / (1.0 + weight * slopes)
        step = np.minimum(np.maximum(step, -FURTHEST - v), FURTHEST - v)
        v += step
        if max(-float(step.min()), float(step.max())) <= DRAW_TOLERANCE:
            break
    return (risk + slopes * step) / base


def _median(k: int, national: National, shared: Draws, group: NDArray[np.int64], stated: float) -> Floats | float:
    """Peer group median ERR of the k-th measure, draw by draw; a scenario's where it states one."""
    if np.isfinite(stated):
        return stated
    first = int(group[0])
    where = first - 1 if _share(group == first) == 1.0 else group - 1
    return national.medians[where, k] + national.median_sd[where, k] * shared.medians[k]


def _groups(
    hospital: HospitalToDate, national: National, shared: Draws, normal: Floats, stated: float
) -> NDArray[np.int64]:
    """Peer group of every draw. Without a dual proportion the group that is given holds, and without that group 3.

    `stated` is a scenario's dual proportion, NaN for none; it replaces the known one and is taken as certain.
    """
    if np.isfinite(stated):
        proportion = np.full(shared.count, stated)
    elif np.isfinite(hospital.dual_proportion):
        proportion = hospital.dual_proportion + hospital.dual_proportion_se * normal
    else:
        return np.full(shared.count, hospital.peer_group or 3, dtype=np.int64)
    moved = proportion - national.cuts_sd * shared.cuts
    return 1 + np.searchsorted(national.cuts, moved, side="left").astype(np.int64)


def _quantiles(values: Floats) -> Floats:
    """5 %, 50 % and 95 % of the finite values; draws without a case have no ERR."""
    ordered = np.sort(values)
    finite = ordered if ordered[-1] == ordered[-1] else ordered[: int(np.searchsorted(ordered, np.nan))]
    return _interpolated(_marks(finite, finite.size), finite.size)


def _quantiles_from_zero(values: Floats) -> Floats:
    """The same of values at or above zero: only those above it are sorted. NaN where any is unknown."""
    if np.isnan(values).any():
        return np.full(len(PROBABILITIES), np.nan)
    return _interpolated(_marks(np.sort(values[values > 0.0]), values.size), values.size)


def _marks(ordered: Floats, count: int) -> Floats:
    """The order statistics next below and above each quantile, (2, 3), of `count` values: zeros, then `ordered`."""
    if not count:
        return np.full((2, len(PROBABILITIES)), np.nan)
    at = _places(count)
    if ordered.size == count:
        return ordered[at]
    at = at - (count - ordered.size)
    return np.where(at >= 0, ordered[np.maximum(at, 0)], 0.0) if ordered.size else np.zeros(at.shape)


@cache
def _places(count: int) -> NDArray[np.int64]:
    """Where the order statistics next below and above each quantile of `count` values stand."""
    below = np.array([int(probability * (count - 1)) for probability in PROBABILITIES])
    return np.stack([below, np.minimum(below + 1, count - 1)])


def _share(happened: NDArray[np.bool_]) -> float:
    """Share of draws; counting is many times faster than averaging truth values."""
    return int(np.count_nonzero(happened)) / happened.size


def _interpolated(marks: Floats, count: int) -> Floats:
    """Quantiles of `count` values from their marks, as numpy's default interpolates."""
    place = np.array(PROBABILITIES) * max(count - 1, 0)
    return marks[0] + (marks[1] - marks[0]) * (place - np.floor(place))


def spread_by_source(
    result: Floats,
    normals: dict[str, Floats],
    groups: dict[str, NDArray[np.int64]] | None = None,
    kernel: ModuleType | None = None,
) -> dict[str, float]:
    """Share of the result's variance that each source carries by itself (first-order effects), scaled to sum to 1.

    `normals` maps a source to its standard normal draws z (columns, D). As z and z^2 - 1 of independent normals are orthogonal, with
    variances 1 and 2, they explain the variance  sum cov(z, result)^2 + cov(z^2, result)^2 / 2; what as many columns of noise would
    explain is taken off. `groups` maps a source of classes to its class numbers (D,): it explains the variance between classes.
    """
    total, count = float(result.var()), result.size
    names = [*normals, *(groups or {})]
    if not total > 0.0:
        return dict.fromkeys(names, 0.0 if total == 0.0 else float("nan"))
    centred = result - result.mean()
    shares = {}
    for name, z in normals.items():
        explained = (kernel.first_order if kernel else _first_order)(z, centred) / total
        shares[name] = max(explained - 2 * len(z) / count, 0.0)
    for name, classes in (groups or {}).items():
        size = np.bincount(classes)
        sums = np.bincount(classes, weights=centred)[size > 0]
        explained = float((sums * sums / size[size > 0]).sum()) / (total * count)
        shares[name] = max(explained - (sums.size - 1) / count, 0.0)
    scale = sum(shares.values())
    return {name: share / scale if scale > 0 else 0.0 for name, share in shares.items()}


def _first_order(normals: Floats, centred: Floats) -> float:
    """sum over the rows z of cov(z, centred)^2 + cov(z^2, centred)^2 / 2."""
    linear, square = (normals @ centred) / centred.size, ((normals * normals) @ centred) / centred.size
    return float(linear @ linear + 0.5 * (square @ square))
