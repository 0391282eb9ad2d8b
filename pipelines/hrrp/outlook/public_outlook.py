"""Next years' penalty of any hospital from public files alone.

CMS prints, for every hospital h and measure m of one program year, the excess readmission ratio and (Provider Data Catalog) the expected
rate e and the number of cases n. Both together give back what lies behind them. With the hospital effect u = logit(ERR e) - logit(e),
and because CMS's u is a posterior mode,

    u = tau2 (y - n p(u)),    p(u) = expit(logit e + u),

so the *excess* readmissions against an average hospital are  E = y - n e = u / tau2 + n (p(u) - e), whether y is printed or not;
and where y is printed, tau2 itself is the slope of u on y - n p (least squares through 0 over all hospitals; all patients are taken to
have the risk e, which lowers tau2 by about 3 % and fits the rest of this calculation, made on the same footing). A ratio says little
of a small hospital: the information is W = n e (1 - e).

The applicable periods of two program years share days. With S the shared part of the old period, D its part that falls out and N the
days that come in, the excess of part s is drawn by the hospital's true effect in it,  E_s ~ Normal(W_s theta_s, W_s), W_s by volume:
by days, those before July 2020 weighted by how much more Medicare stays they had. True effects wander:
corr(theta(t), theta(t')) = rho^|t - t'| in years, scaled so that the average over the old period has variance tau2; C(s, t) is the
mean of rho^|t - t'| over the days of s and t, divided by that of the old period with itself, c_s = C(s, old).

What the other five measures say of the sixth comes from the covariance G of true effects between measures, estimated by moments over all
hospitals, G_kl = sum u_k u_l / sum R_k R_l with R = tau2 W / (1 + tau2 W), shrinking no hospital twice. With
V = W G W + diag(W) the covariance of a hospital's excesses, leaving k out gives theta_k the prior N(m, v) (Rasmussen & Williams,
Gaussian Processes, eq. 5.12):

    v = (1 / (V^-1)_kk - W) / W^2,     m = (E_k - (V^-1 E)_k / (V^-1)_kk) / W .

Given the prior and the hospital's own excess E over W, the excess of the new period E' = E_S + E_N is Normal with

    K    = W v (W_S c_S + W_N c_N) + W_S                         covariance with E
    mean = m (W_S c_S + W_N c_N) + K (E - W m) / (W + W^2 v)
    var  = W_S + W_N + sum_{s,t} W_s W_t (tau2 C(s,t) - (tau2 - v) c_s c_t) - K^2 / (W + W^2 v),   s, t in {S, N}

and CMS will find u' as the root of  u' = tau2' (E' + n' e - n' p(u')),  ERR' = p(u') / e. tau2', n', medians, modifier, payment
ratios and peer group are drawn about the last known ones. Where the file hides n (fewer than 11 readmissions), y is drawn from 1 to 10
with n = (y - u / tau2) / p(u), weighted by how likely y is at that n and by 1 / n.

Nothing here is fitted to the year that is predicted. rho, the yearly spread of tau2 and that of volume are constants with their reasons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr

from hrrp.outlook.forecast import PROBABILITIES, Draws, National, OwnDraws, own_draws
from hrrp.penalty.factor import MINIMUM_CASES, contributions, payment_reduction
from hrrp.program import MEASURES, Period

Floats = NDArray[np.float64]

# Correlation of a hospital's true effect with that of a year later: a judgement (turnover of staff, of patients, of practice), made
# before any backtest; docs/forecast-backtests.md shows what other values would have given.
YEARLY_CORRELATION = 0.9
# Relative spread of tau2 for a year ahead: root mean square of the changes of its logarithm, read back from CMS's mock Hospital-Specific
# Reports of FY2020, FY2022 and FY2024 (five measures). Those are two years apart; taken for one, as nothing says that changes add up.
VARIANCE_SPREAD = 0.13
# Relative yearly spread of a hospital's volume beyond chance, and of its DRG payment ratios; its dual proportion in absolute terms.
VOLUME_SPREAD = 0.08
RATIO_SPREAD = 0.08
DUAL_SPREAD = 0.012
# Readmissions that CMS hides: from 1 to 10.
HIDDEN = np.arange(1, 11)
# Fewest hospitals that tau2 or a covariance is estimated from.
ENOUGH = 30
NEWTON_STEPS = 12
STEP_TOLERANCE = 1e-7
DAY_STEP = 7
DAYS_A_YEAR = 365.25
# Volume a day before the pandemic, after it taken as 1. In the second and third quarter of 2020 Medicare fee-for-service stays were
# more than a fifth fewer than a year before; inpatient joint replacements fell from 293,000 to 166,000, as hips could be done outside
# the hospital from 2020 (Advisory Board, 13 July 2021, from Medicare claims).
BEFORE_THE_PANDEMIC = date(2020, 7, 1)
# Hospitals differ in it as much as the nation changed: outpatient shares of knees ran from 0 to 78 % by 2019 (PubMed 32088051).
EARLIER_VOLUME = {measure: 293 / 166 if measure == "THA_TKA" else 1 / (1 - 0.2) for measure in MEASURES}


@dataclass(frozen=True)
class PrintedFigures:
    """One program year's printed figures of H hospitals, measures in the order of MEASURES; NaN where nothing is printed.

    `err`, `expected`, `cases`, `readmissions`, `drg_payment_ratio` (H, 6); `dual_proportion` and `peer_group` (H,), the group 0 where
    unknown. `expected` are fractions; a national rate may stand in. `cases` NaN beside an `err` means that the number is hidden.
    """

    ccn: Sequence[str]
    err: Floats
    expected: Floats
    cases: Floats
    readmissions: Floats
    drg_payment_ratio: Floats
    dual_proportion: Floats
    peer_group: NDArray[np.int64]


@dataclass(frozen=True)
class Periods:
    """Old and new applicable period, by measure (6,): volumes of S (shared) and N (new only) as shares of the old period's, and the
    mean correlations of true effects between the parts: `c_shared`, `c_added` with the old period, `between` (6, 2, 2) over (S, N).

    `earlier` is the share of the old volume that falls out and lies before the pandemic, `earlier_spread` the spread of its logarithm
    between hospitals.
    """

    shared: Floats
    added: Floats
    earlier: Floats
    earlier_spread: Floats
    c_shared: Floats
    c_added: Floats
    between: Floats
    years_ahead: float


@dataclass(frozen=True)
class PublicOutlook:
    """Quantiles are 5 %, 50 %, 95 %. `err` (H, 6, 3), NaN where there is nothing to go by; reductions are fractions."""

    err: Floats
    chance_of_cases: Floats  # (H, 6)
    chance_of_contribution: Floats  # (H, 6)
    contribution: Floats  # (H, 6) mean
    reduction: Floats  # (H, 3)
    mean_reduction: Floats  # (H,)
    chance_of_penalty: Floats  # (H,)
    chance_of_cap: Floats  # (H,)
    chance_of_group: Floats  # (H, 5)


def compare_periods(
    old: Sequence[Period],
    new: Sequence[Period],
    yearly_correlation: float = YEARLY_CORRELATION,
    earlier_volume: Mapping[str, float] | None = None,
) -> Periods:
    """What two applicable periods share. `earlier_volume` by measure: see EARLIER_VOLUME, which it replaces."""
    heavier = EARLIER_VOLUME if earlier_volume is None else earlier_volume
    old_days, new_days = _days(old), _days(new)
    parts = (np.intersect1d(old_days, new_days), np.setdiff1d(new_days, old_days))
    found = []
    for measure in MEASURES:

        def volume(days: Floats, weight: float = heavier.get(measure, 1.0)) -> Floats:
            return np.where(days < BEFORE_THE_PANDEMIC.toordinal(), weight, 1.0)

        def correlation(first: Floats, second: Floats) -> float:
            if not first.size or not second.size:
                return 0.0
            first, second = first[::DAY_STEP], second[::DAY_STEP]
            lags = np.abs(first[:, None] - second[None, :]) / DAYS_A_YEAR
            weights = volume(first)[:, None] * volume(second)
            return float((weights * yearly_correlation**lags).sum() / weights.sum())

        scale, size = correlation(old_days, old_days), volume(old_days).sum()
        found.append(
            (
                *(volume(part).sum() / size for part in parts),
                volume(np.setdiff1d(old_days[old_days < BEFORE_THE_PANDEMIC.toordinal()], new_days)).sum() / size,
                math.log(heavier.get(measure, 1.0)),
                *(correlation(part, old_days) / scale for part in parts),
                [[correlation(s, t) / scale for t in parts] for s in parts],
            )
        )
    years_ahead = max((new[-1].end - old[-1].end).days / DAYS_A_YEAR, 0.0)
    shared, added, earlier, spread, c_shared, c_added, between = (np.array(part) for part in zip(*found, strict=True))
    return Periods(shared, added, earlier, spread, c_shared, c_added, between, years_ahead)


def _days(periods: Sequence[Period]) -> Floats:
    days = [day for period in periods for day in range(period.start.toordinal(), period.end.toordinal() + 1)]
    return np.array(days, dtype=np.float64)


def variances_from_print(figures: PrintedFigures) -> Floats:
    """tau2 of each measure from its printed rates, cases and readmissions, (6,): NaN where fewer than 30 hospitals print all."""
    effect, predicted = _effects(figures)
    unexplained = figures.readmissions - figures.cases * predicted
    found = np.full(len(MEASURES), np.nan)
    for k in range(len(MEASURES)):
        both = np.isfinite(effect[:, k] * unexplained[:, k])
        if both.sum() >= ENOUGH:
            u, d = effect[both, k], unexplained[both, k]
            found[k] = max(float(u @ d) / float(d @ d), 0.0)
    return found


def _effects(figures: PrintedFigures) -> tuple[Floats, Floats]:
    """Hospital effects and predicted rates."""
    predicted = np.clip(figures.err * figures.expected, 1e-6, 1.0 - 1e-6)
    return logit(predicted) - logit(figures.expected), predicted


def hidden_cases(effect: Floats, expected: Floats, predicted: Floats, tau2: Floats) -> tuple[Floats, Floats]:
    """The numbers of cases that 1 to 10 hidden readmissions would mean, and their weights: (..., 10) both, weights summing to 1.

    All of shape (...,). Numbers below 25 are left out, because CMS prints no ratio for them, unless nothing else is left.
    """
    u, e, p, t = (np.asarray(part)[..., None] for part in (effect, expected, predicted, tau2))
    cases = np.maximum((HIDDEN - u / t) / p, 1.0)
    chance = cases * e * (1.0 - e)
    variance = chance * (1.0 + t * chance)
    weight = np.exp(-0.5 * (HIDDEN - cases * e) ** 2 / variance) / (np.sqrt(variance) * cases)
    allowed = cases >= MINIMUM_CASES - 0.5
    weight = np.where(allowed | ~allowed.any(axis=-1, keepdims=True), weight, 0.0) + 1e-300
    return cases, weight / weight.sum(axis=-1, keepdims=True)


def between_measures(effect: Floats, information: Floats, tau2: Floats) -> Floats:
    """Covariance of true effects between measures, (6, 6), with tau2 on the diagonal; made positive definite if it is not."""
    known = np.isfinite(effect) & (information > 0.0)
    u = np.where(known, effect, 0.0)
    reliability = np.where(known, tau2 * information / (1.0 + tau2 * information), 0.0)
    together, weights = u.T @ u, reliability.T @ reliability
    pairs = known.T.astype(float) @ known.astype(float)
    covariance = np.where(pairs >= ENOUGH, together / np.maximum(weights, 1e-300), 0.0)
    limit = 0.95 * np.sqrt(np.outer(tau2, tau2))
    covariance = np.clip(covariance, -limit, limit)
    np.fill_diagonal(covariance, tau2)
    values, vectors = np.linalg.eigh(covariance)
    if values.min() < 1e-3 * values.max():
        covariance = (vectors * np.maximum(values, 1e-3 * values.max())) @ vectors.T
        scale = np.sqrt(tau2 / np.diag(covariance))
        covariance = covariance * np.outer(scale, scale)
    return covariance


def leave_one_out(excess: Floats, information: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Prior mean and variance of each measure's true effect, from the hospital's other measures; (H, 6) both.

    Where a measure has no information itself, the prior from the others all the same.
    """
    known = information > 0.0
    weight = np.where(known, information, 1e-9)
    excess = np.where(known, excess, 0.0)
    joint = weight[:, :, None] * covariance * weight[:, None, :]
    joint[:, range(len(MEASURES)), range(len(MEASURES))] += weight
    inverse = np.linalg.inv(joint)
    diagonal = np.einsum("hkk->hk", inverse)
    mean = (excess - np.einsum("hkl,hl->hk", inverse, excess) / diagonal) / weight
    variance = (1.0 / diagonal - weight) / weight**2
    return mean, np.clip(variance, 1e-12, np.diag(covariance))


def forecast_public(
    figures: PrintedFigures,
    periods: Periods,
    national: National,
    tau2: Floats,
    shared: Draws,
    chosen: Sequence[int] | None = None,
    threads: int = 1,
) -> PublicOutlook:
    """The distribution of next ratios, contributions and reductions of every hospital, or of the `chosen` rows alone.

    `national` holds medians, modifier, cuts and cap of the year asked for with their spread; `tau2` (6,). Where a hospital's dual
    proportion is unknown its printed peer group holds. What is known of a hospital comes from all rows (its prior), so `figures`
    should be the whole file. Reproducible from the seed of `shared` and the CCN.
    """
    effect, predicted = _effects(figures)
    hidden = np.isfinite(effect) & ~np.isfinite(figures.cases)
    choices, weights = hidden_cases(effect, figures.expected, predicted, np.broadcast_to(tau2, effect.shape))
    middle = np.where(hidden, np.exp((np.log(choices) * weights).sum(axis=-1)), figures.cases)
    known = np.isfinite(effect) & (middle > 0.0)
    information = np.where(known, middle * figures.expected * (1.0 - figures.expected), 0.0)
    excess = np.where(known, effect / tau2 + middle * (predicted - figures.expected), 0.0)
    covariance = between_measures(np.where(known, effect, np.nan), information, tau2)
    prior_mean, prior_variance = leave_one_out(excess, information, covariance)
    ahead = math.sqrt(periods.years_ahead)
    new_tau2 = tau2[:, None] * np.exp(VARIANCE_SPREAD * ahead * shared.model)
    modifier = national.neutrality_modifier + national.neutrality_modifier_sd * shared.neutrality

    def of_hospital(h: int) -> tuple[Floats | float, ...]:
        own = own_draws(figures.ccn[h], shared)
        cases = np.broadcast_to(figures.cases[h][:, None], own.chance.shape)
        if hidden[h].any():
            cases = cases.copy()
            for k in np.flatnonzero(hidden[h]):
                cases[k] = _pick(choices[h, k], weights[h, k], own.elsewhere[k])
        known_effect, rate = effect[h][:, None], figures.expected[h][:, None]
        mean, spread, new_cases = _new_excess(
            known_effect,
            rate,
            cases,
            tau2[:, None],
            prior_mean[h][:, None],
            prior_variance[h][:, None],
            periods,
            own,
        )
        err = _err(mean + spread * own.chance, new_cases, rate, new_tau2)
        group = _groups(figures.dual_proportion[h], int(figures.peer_group[h]), national, ahead, shared, own)
        median = national.medians[group - 1].T + national.median_sd[group - 1].T * shared.medians
        ratio = np.maximum(figures.drg_payment_ratio[h][:, None] * (1.0 + RATIO_SPREAD * ahead * own.payments), 0.0)
        enough = np.floor(new_cases + 0.5) >= MINIMUM_CASES
        penalised = enough & (err > median) & national.in_payment[:, None]
        part = contributions(err, median, ratio, np.where(penalised, new_cases, 0.0), modifier)
        part = np.where(penalised & ~np.isfinite(ratio), np.nan, part)
        reduction = payment_reduction(part.T, national.cap)
        return (
            np.quantile(err, PROBABILITIES, axis=1).T,
            enough.mean(axis=1),
            penalised.mean(axis=1),
            part.mean(axis=1),
            np.quantile(reduction, PROBABILITIES),
            reduction.mean(),
            penalised.any(axis=0).mean(),
            np.nan if np.isnan(reduction).any() else (reduction >= national.cap).mean(),
            np.bincount(group - 1, minlength=5) / shared.count,
        )

    with ThreadPoolExecutor(threads) as pool:
        rows = list(pool.map(of_hospital, range(len(figures.ccn)) if chosen is None else chosen))
    return PublicOutlook(*(np.array(column) for column in zip(*rows, strict=True)))


def _pick(choices: Floats, weights: Floats, normal: Floats) -> Floats:
    """One of the ten choices per draw, by its weight; `normal` (D,) decides."""
    return np.asarray(choices[np.searchsorted(np.cumsum(weights)[:-1], ndtr(normal))])


def _new_excess(
    effect: Floats,
    expected: Floats,
    cases: Floats,
    tau2: Floats,
    prior_mean: Floats,
    prior_variance: Floats,
    periods: Periods,
    own: OwnDraws,
) -> tuple[Floats, Floats, Floats]:
    """Mean and standard deviation of the new period's excess, and its cases, (6, D): the formulas of the module.

    `cases` (6, D), the rest (6, 1).
    """
    information = cases * (expected * (1.0 - expected))
    excess = effect / tau2 + cases * (expit(logit(expected) + effect) - expected)
    per_volume = 1.0 / (1.0 + periods.earlier[:, None] * np.expm1(periods.earlier_spread[:, None] * own.results))
    staying = cases * periods.shared[:, None] * per_volume
    coming = cases * periods.added[:, None] * per_volume
    coming_sd = np.sqrt(coming + periods.years_ahead * (VOLUME_SPREAD * coming) ** 2)
    coming = np.maximum(coming + coming_sd * own.volume, 0.0)
    shared = staying * (expected * (1.0 - expected))
    added = coming * (expected * (1.0 - expected))
    lever = shared * periods.c_shared[:, None] + added * periods.c_added[:, None]
    total = information + information**2 * prior_variance
    link = information * prior_variance * lever + shared
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = prior_mean * lever + link * (excess - information * prior_mean) / total
        wander = (
            shared**2 * periods.between[:, 0, 0, None]
            + added**2 * periods.between[:, 1, 1, None]
            + 2.0 * shared * added * periods.between[:, 0, 1, None]
        )
        variance = shared + added + tau2 * wander - (tau2 - prior_variance) * lever**2 - link**2 / total
    return mean, np.sqrt(np.maximum(variance, 0.0)), staying + coming


def _err(excess: Floats, cases: Floats, expected: Floats, tau2: Floats) -> Floats:
    """ERR' = p(u') / e with u' = tau2 (excess + n e - n p(u')), by Newton from the linear solution."""
    base = logit(expected)
    u = tau2 * excess / (1.0 + tau2 * cases * (expected * (1.0 - expected)))
    for _ in range(NEWTON_STEPS):
        p = expit(base + u)
        step = (u - tau2 * (excess + cases * (expected - p))) / (1.0 + tau2 * cases * p * (1.0 - p))
        u = u - step
        if not (np.abs(step) > STEP_TOLERANCE).any():
            break
    return np.asarray(expit(base + u) / expected)


def _groups(
    dual_proportion: float, printed: int, national: National, ahead: float, shared: Draws, own: OwnDraws
) -> NDArray[np.int64]:
    """Peer group of every draw: by the wandering dual proportion against moving cuts, else as printed, else 3."""
    if not (math.isfinite(dual_proportion) and np.isfinite(national.cuts).all()):
        return np.full(shared.count, printed or 3, dtype=np.int64)
    moved = dual_proportion + DUAL_SPREAD * ahead * own.dual - national.cuts_sd * shared.cuts
    return 1 + np.searchsorted(national.cuts, moved, side="left").astype(np.int64)
