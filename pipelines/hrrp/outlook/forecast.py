"""The penalty of a program year being earned, as a distribution.

For one hospital and measure, with known index admissions i = 1..n, their linear predictors eta_i (CMS's model, hospital effect
zero) and y readmissions, let f(u) = mean_i expit(eta_i + u). At the end of the applicable period CMS will know n + N discharges
and y + Y readmissions, refit its model (its intercept moves by d) and find the hospital effect as the posterior mode

    u_end = tau2 * (y + Y - (n + N) * f(u_end + d)),      ERR = f(u_end + d) / f(d).

One draw takes, each from its own source of uncertainty:

    own results      the hospital's true effect u ~ Normal(mode, standard error) given what is known
    chance           Y given u and N: mean N f(u), variance N f(u) (1 - f(u))
    volume           N ~ mean m, variance m + (cv m)^2, plus admissions already made whose follow-up is not over
    elsewhere        readmissions to other hospitals that own data cannot see
    national model   d ~ Normal(0, the year-to-year spread of the national rate on the logit scale, per year ahead)
    peer medians     last published median ERR plus the spread of the published series, per year ahead
    neutrality       the modifier likewise
    payments         DRG payment ratios, log-normal
    peer group       dual proportion at the end of the period against cuts that move

and then applies the payment formula of `hrrp.penalty.factor` with its 25-case rule and cap. N and Y are continuous in the draws
(moments are matched); only the 25-case test looks at whole discharges. f is tabulated on a grid of u and interpolated, which is
exact to about 1e-6 of an ERR; the figures "to date" are solved exactly in `hrrp.model`.

National sources are drawn once and shared by all hospitals, own sources per hospital, so that sums over a system are right.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hrrp.penalty.factor import MINIMUM_CASES, contributions, payment_reduction
from hrrp.program import MEASURES

Floats = NDArray[np.float64]

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
GRID = np.linspace(-3.0, 3.0, 601)
NEWTON_STEPS = 6


@dataclass(frozen=True)
class MeasureToDate:
    """What is known of one hospital's measure in one program year.

    `linear_predictor` (n,) of the index admissions whose outcome is known, `readmissions` among them; `pending` admissions made
    whose 30 days are not over; `future_mean` further admissions expected until the period ends and `future_cv` the relative
    uncertainty of that expectation; `elsewhere_share` the share of all readmissions that own data cannot see and its standard
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


def national_draws(count: int, seed: int) -> Draws:
    """The shared draws: `count` of each, reproducible from `seed`."""
    rng = np.random.default_rng([seed, 0])
    six = (len(MEASURES), count)
    return Draws(
        rng.standard_normal(six), rng.standard_normal(six), rng.standard_normal(count), rng.standard_normal(count), seed
    )


def _risk_table(linear_predictor: Floats, national_rate: float) -> tuple[Floats, Floats]:
    """f and its derivative on GRID. Without an own case the national rate stands for the case mix."""
    eta = linear_predictor if linear_predictor.size else np.array([np.log(national_rate / (1.0 - national_rate))])
    if eta.size > 512:  # bins of equal size keep the mean of f to about 1e-6
        ordered = np.sort(eta)
        edges = np.linspace(0, eta.size, 513).astype(int)
        weight = np.diff(edges) / eta.size
        eta = np.add.reduceat(ordered, edges[:-1]) / np.diff(edges)
    else:
        weight = np.full(eta.size, 1.0 / eta.size)
    risk = expit(eta[:, None] + GRID[None, :])
    return weight @ risk, weight @ (risk * (1.0 - risk))


def _mode(y: Floats, n: Floats, shift: Floats | float, tau2: float, f: Floats, slope: Floats) -> Floats:
    """The posterior mode u = tau2 (y - n f(u + shift)), by Newton on the tabulated f; monotone, so it converges from 0."""
    if tau2 <= 0.0:
        return np.zeros(np.broadcast_shapes(np.shape(y), np.shape(n), np.shape(shift)))
    u = np.zeros(np.broadcast_shapes(np.shape(y), np.shape(n), np.shape(shift)))
    for _ in range(NEWTON_STEPS):
        at = u + shift
        gap = u / tau2 + n * np.interp(at, GRID, f) - y
        u = u - gap / (1.0 / tau2 + n * np.interp(at, GRID, slope))
    return u


def forecast_hospital(
    hospital: HospitalToDate, national: National, shared: Draws, change: Change = NO_CHANGE
) -> Forecast:
    """The distribution of ERRs, contributions and payment reduction at the end of the applicable period.

    `change` is a what-if scenario; the same draws serve every scenario, so the change of nothing gives the forecast itself.
    """
    rng = np.random.default_rng([shared.seed, zlib.crc32(hospital.ccn.encode())])
    own = rng.standard_normal((5, len(MEASURES), shared.count))
    dual_normal = rng.standard_normal(shared.count)
    ends = [
        _measure_at_end(known, national.model_sd[k] * shared.model[k], own[:, k], change.avoided[k], change.volume[k])
        for k, known in enumerate(hospital.measures)
    ]
    err, cases, ratio = (np.array(part) for part in zip(*ends, strict=True))
    group = _groups(hospital, national, shared, dual_normal, change.dual_proportion)
    median = national.medians[group - 1].T + national.median_sd[group - 1].T * shared.medians
    stated = np.asarray(change.medians, dtype=np.float64)[:, None]
    median = np.where(np.isfinite(stated), stated, median)
    modifier = national.neutrality_modifier + national.neutrality_modifier_sd * shared.neutrality
    part = contributions(err.T, median.T, ratio.T, cases.T, modifier[:, None]) * national.in_payment
    reduction = payment_reduction(part, national.cap)
    penalised = ((cases >= MINIMUM_CASES) & (err > median)).T & national.in_payment
    # A measure that counts but whose payments are unknown leaves the reduction unknown; whether there is one is still known.
    part = np.where(penalised & ~np.isfinite(ratio.T), np.nan, part)
    reduction = np.where(np.isnan(part).any(), np.nan, reduction)
    # Scaled by their influence, so that a source that plays no part carries no share.
    sources = {
        "own results": own[0],
        "chance": own[1],
        "volume": own[2],
        "elsewhere": own[3] * np.array([[known.elsewhere_share_se] for known in hospital.measures]),
        "national model": shared.model * national.model_sd[:, None],
        "peer medians": shared.medians * national.median_sd.max(axis=0)[:, None],
        "neutrality modifier": shared.neutrality[None, :] * national.neutrality_modifier_sd,
        "payments": own[4] * np.array([[known.drg_payment_ratio_cv] for known in hospital.measures]),
        "peer group": group[None, :].astype(np.float64),
    }
    return Forecast(
        # Draws without a single case have no ERR, which quantiles must not see.
        err=np.array([_quantiles(row[np.isfinite(row)]) for row in err]),
        cases=np.array([_quantiles(row) for row in cases]),
        chance_of_cases=(cases >= MINIMUM_CASES).mean(axis=1),
        contribution=np.array([_quantiles(row) for row in part.T]),
        chance_of_contribution=penalised.mean(axis=0),
        reduction=_quantiles(reduction),
        mean_reduction=float(reduction.mean()),
        chance_of_penalty=float(penalised.any(axis=1).mean()),
        chance_of_cap=float((reduction >= national.cap).mean()) if np.isfinite(reduction).all() else float("nan"),
        chance_of_group=np.bincount(group - 1, minlength=5) / shared.count,
        spread=spread_by_source(reduction, sources),
        draws=reduction,
    )


def _measure_at_end(
    known: MeasureToDate, shift: Floats, own: Floats, avoided: float, volume: float
) -> tuple[Floats, Floats, Floats]:
    """ERR, whole number of cases and DRG payment ratio of one measure at the end of the period, draw by draw.

    `shift` (D,) is the move of the national model; `own` (5, D) the normal draws of own results, chance, volume, elsewhere,
    payments; `avoided` readmissions are taken from the total, `volume` scales the admissions still to come.
    """
    seen, n_known = float(known.readmissions), float(known.linear_predictor.size)
    f, slope = _risk_table(known.linear_predictor, known.national_rate)

    share = np.clip(known.elsewhere_share + known.elsewhere_share_se * own[3], 0.0, 0.9)
    unseen = seen * share / (1.0 - share)
    best_total = min(seen / (1.0 - known.elsewhere_share), n_known)
    mode = float(_mode(np.array(best_total), np.array(n_known), 0.0, known.tau2, f, slope))
    information = n_known * float(np.interp(mode, GRID, slope))
    effect = mode + own[0] * np.sqrt(known.tau2 / (1.0 + known.tau2 * information))

    mean = known.future_mean * volume
    further = np.maximum(mean + np.sqrt(mean + (known.future_cv * mean) ** 2) * own[2], 0.0) + known.pending
    risk = np.interp(effect, GRID, f)
    returns = np.clip(further * risk + np.sqrt(further * risk * (1.0 - risk)) * own[1], 0.0, further)

    total = n_known + further
    readmitted = np.clip(np.minimum(seen + unseen, n_known) + returns - avoided, 0.0, total)
    at_end = _mode(readmitted, total, shift, known.tau2, f, slope)
    cases = np.floor(total + 0.5)
    err = np.interp(at_end + shift, GRID, f) / np.interp(shift, GRID, f)
    cv = known.drg_payment_ratio_cv
    ratio = known.drg_payment_ratio * np.exp(cv * own[4] - 0.5 * cv * cv)
    return np.where(cases >= 1, err, np.nan), cases, ratio


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
    if not values.size:
        return np.full(3, np.nan)
    return np.quantile(values, (0.05, 0.5, 0.95))


def spread_by_source(result: Floats, inputs: dict[str, Floats]) -> dict[str, float]:
    """Share of the result's variance that each source carries by itself (first-order effects), scaled to sum to 1.

    For each source the result is regressed on its normal draws and their squares; the explained variance, less what as many
    columns of noise would explain, is its share. `inputs` maps a source to its draws (columns, D).
    """
    total = float(result.var())
    if not total > 0.0:
        return dict.fromkeys(inputs, 0.0 if total == 0.0 else float("nan"))
    centred = result - result.mean()
    shares = {}
    for name, columns in inputs.items():
        varying = [(column - column.mean()) / column.std() for column in columns if column.std() > 0.0]
        if not varying:
            shares[name] = 0.0
            continue
        z = np.array(varying)
        design = np.vstack([z, z * z])
        design = design - design.mean(axis=1, keepdims=True)
        solution, *_ = np.linalg.lstsq(design @ design.T, design @ centred, rcond=None)
        explained = float(solution @ (design @ centred)) / (total * result.size)
        shares[name] = max(explained - design.shape[0] / result.size, 0.0)
    scale = sum(shares.values())
    return {name: share / scale if scale > 0 else 0.0 for name, share in shares.items()}
