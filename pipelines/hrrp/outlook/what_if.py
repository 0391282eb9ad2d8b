"""What would change it: a scenario's exact effect, and the fewest readmissions to avoid.

The figures here are those of the middle of the road at the end of the applicable period: the n admissions whose outcome is known
with their y readmissions, plus N expected further ones that look like them, of which Y = N f(u) return at the hospital's own effect u
(its mode, with what was known before the period as prior). A scenario changes y + Y, N, the peer medians or the peer group, and the
hospital effect is solved again,

    u_end = tau2 * ((y + Y - avoided) - (n + N) f(u_end)),        ERR = f(u_end) / f(0),

never by scaling the ERR: one avoided readmission lowers the predicted count by the reliability only. f is the mean over the rows
themselves, not a table. With N = 0 these are the figures to date.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hrrp.errors import UsageError
from hrrp.outlook.forecast import Change, HospitalToDate, MeasureToDate, National
from hrrp.penalty.factor import MINIMUM_CASES, contributions
from hrrp.program import MEASURES

Floats = NDArray[np.float64]
TOLERANCE = 1e-12
MAX_STEPS = 100
# Answers kept of a measure for further questions about it.
MOST_SOLVED = 500


@dataclass(frozen=True)
class Scenario:
    """A what-if as a small document: saved as JSON, linked as a query string, compared side by side.

    `avoid` readmissions by measure (negative adds), `volume` factor on admissions still to come, `medians` by measure.
    """

    name: str = ""
    avoid: Mapping[str, float] = field(default_factory=dict)
    volume: Mapping[str, float] = field(default_factory=dict)
    medians: Mapping[str, float] = field(default_factory=dict)
    dual_proportion: float | None = None

    @property
    def change(self) -> Change:
        """The same in the form that `forecast_hospital` takes."""
        return Change(
            avoided=tuple(float(self.avoid.get(measure, 0.0)) for measure in MEASURES),
            volume=tuple(float(self.volume.get(measure, 1.0)) for measure in MEASURES),
            medians=tuple(float(self.medians.get(measure, math.nan)) for measure in MEASURES),
            dual_proportion=math.nan if self.dual_proportion is None else float(self.dual_proportion),
        )

    def to_document(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Scenario:
        """Read a saved scenario.

        Raises UsageError naming the field that is unknown or out of range.
        """
        known = set(cls.__dataclass_fields__)
        unknown = sorted(set(document) - known)
        if unknown:
            raise UsageError(f"Scenario: unknown field {', '.join(unknown)}; known are {', '.join(sorted(known))}.")
        scenario = cls(**document)
        for name, lowest in (("avoid", -math.inf), ("volume", 0.0), ("medians", 0.0)):
            for measure, value in getattr(scenario, name).items():
                if measure not in MEASURES:
                    raise UsageError(f"Scenario, {name}: '{measure}' is not one of {', '.join(MEASURES)}.")
                if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= lowest):
                    raise UsageError(f"Scenario, {name} {measure}: a finite number of at least {lowest} is expected.")
        if scenario.dual_proportion is not None and not 0 <= scenario.dual_proportion <= 1:
            raise UsageError("Scenario, dual_proportion: a share between 0 and 1 is expected.")
        return scenario


@dataclass(frozen=True)
class MeasureEnd:
    """One measure at the end of the period; `cases` = n + N, `readmissions` = y + Y - avoided, `avoidable` = Y."""

    cases: float
    readmissions: float
    avoidable: float
    predicted: float
    expected: float
    err: float
    median: float
    reliability: float
    drg_payment_ratio: float
    contribution: float


@dataclass(frozen=True)
class HospitalEnd:
    """All six measures and the penalty. `uncapped` is the sum of contributions, `reduction` at most the cap."""

    measures: dict[str, MeasureEnd]
    peer_group: int
    uncapped: float
    reduction: float


def solve_effect(
    readmissions: float, weight: float, linear_predictor: Floats, tau2: float, prior_mean: float = 0.0
) -> float:
    """The posterior mode u = prior_mean + tau2 (readmissions - weight * sum expit(eta + u)), by Newton inside a bracket.

    `weight` stretches the known rows to n + N admissions. Increasing in u, so there is one root.
    """
    if tau2 <= 0.0 or not linear_predictor.size:
        return prior_mean
    low, high = tau2 * (readmissions - weight * linear_predictor.size), tau2 * readmissions
    low, high = prior_mean + min(low, high, 0.0), prior_mean + max(low, high, 0.0)
    u = prior_mean
    for _ in range(MAX_STEPS):
        risk = expit(linear_predictor + u)
        gap = u - prior_mean - tau2 * (readmissions - weight * risk.sum())
        low, high = (u, high) if gap < 0 else (low, u)
        step = -gap / (1.0 + tau2 * weight * float((risk * (1.0 - risk)).sum()))
        following = u + step
        if not low <= following <= high:
            following = 0.5 * (low + high)
        if abs(following - u) <= TOLERANCE:
            return following
        u = following
    return u


def _rows(known: MeasureToDate) -> Floats:
    """The known rows, or one patient at the national rate where there is none."""
    if known.linear_predictor.size:
        return known.linear_predictor
    return np.array([math.log(known.national_rate / (1.0 - known.national_rate))])


def _solved(known: MeasureToDate, avoided: float, volume: float) -> tuple[float, ...]:
    """Cases, readmissions and those still to come, predicted, expected and information at the end of the period: what a measure comes
    to, whatever it is held against. Solved once for each question, as many questions share it."""
    found: tuple[float, ...] | None = known.solved.get((avoided, volume))
    if found is None:
        if len(known.solved) >= MOST_SOLVED:
            known.solved.clear()
        found = known.solved[avoided, volume] = _solve(known, avoided, volume)
    return found


def _solve(known: MeasureToDate, avoided: float, volume: float) -> tuple[float, ...]:
    rows = _rows(known)
    n_known = float(known.linear_predictor.size)
    to_date = known.solved.get(None)
    if to_date is None:
        seen = min(known.readmissions / (1.0 - known.elsewhere_share), n_known)
        prior_mean, variance = known.prior
        own = solve_effect(seen, n_known / rows.size, rows, variance, prior_mean)
        to_date = known.solved[None] = seen, float(expit(rows + own).mean()), float(expit(rows).mean())
    seen, risk_of_own, expected = to_date
    further = known.future_mean * volume + known.pending
    cases = n_known + further
    returns = further * risk_of_own
    readmissions = min(max(seen + returns - avoided, 0.0), cases)
    weight = cases / rows.size
    end = solve_effect(readmissions, weight, rows, known.tau2)
    risk = expit(rows + end)
    information = weight * float((risk * (1.0 - risk)).sum())
    return cases, readmissions, returns, float(risk.mean()), expected, information


def measure_end(
    known: MeasureToDate,
    median: float,
    neutrality_modifier: float,
    *,
    avoided: float = 0.0,
    volume: float = 1.0,
    in_payment: bool = True,
) -> MeasureEnd:
    """One measure in the middle of the road at the end of the period, under a scenario."""
    cases, readmissions, returns, predicted, expected, information = _solved(known, float(avoided), float(volume))
    whole_cases = math.floor(cases + 0.5)
    err = predicted / expected if whole_cases >= 1 else math.nan
    contribution = float(
        contributions(err, median, known.drg_payment_ratio, whole_cases, neutrality_modifier) * in_payment
    )
    if in_payment and math.isnan(known.drg_payment_ratio) and whole_cases >= MINIMUM_CASES and err > median:
        # That it contributes is known; how much is not.
        contribution = math.nan
    return MeasureEnd(
        cases=cases,
        readmissions=readmissions,
        avoidable=returns,
        predicted=predicted,
        expected=expected,
        err=err,
        median=median,
        reliability=known.tau2 * information / (1.0 + known.tau2 * information),
        drg_payment_ratio=known.drg_payment_ratio,
        contribution=contribution,
    )


def peer_group_of(hospital: HospitalToDate, national: National, dual_proportion: float = math.nan) -> int:
    """The group that the dual proportion falls into (a scenario's, else the hospital's), else the given group, else 3."""
    proportion = dual_proportion if math.isfinite(dual_proportion) else hospital.dual_proportion
    if not math.isfinite(proportion):
        return hospital.peer_group or 3
    return 1 + int(np.searchsorted(national.cuts, proportion, side="left"))


def _end_of(k: int, group: int, hospital: HospitalToDate, national: National, change: Change) -> MeasureEnd:
    """The k-th measure of a hospital in a peer group under a scenario."""
    stated = change.medians[k]
    return measure_end(
        hospital.measures[k],
        stated if math.isfinite(stated) else float(national.medians[group - 1, k]),
        national.neutrality_modifier,
        avoided=change.avoided[k],
        volume=change.volume[k],
        in_payment=bool(national.in_payment[k]),
    )


def _together(ends: dict[str, MeasureEnd], group: int, national: National) -> HospitalEnd:
    uncapped = sum(end.contribution for end in ends.values())
    return HospitalEnd(ends, group, uncapped, min(uncapped, national.cap))


def what_if(hospital: HospitalToDate, national: National, change: Change) -> HospitalEnd:
    """The hospital at the end of the period under a scenario, exactly solved."""
    group = peer_group_of(hospital, national, change.dual_proportion)
    ends = {measure: _end_of(k, group, hospital, national, change) for k, measure in enumerate(MEASURES)}
    return _together(ends, group, national)


def one_fewer(base: HospitalEnd, hospital: HospitalToDate, national: National, measure: str) -> HospitalEnd:
    """`base`, the hospital as it is, with one readmission of a measure avoided: only that measure is solved anew."""
    k = MEASURES.index(measure)
    change = Change(avoided=tuple(1.0 if other == k else 0.0 for other in range(len(MEASURES))))
    ends = base.measures | {measure: _end_of(k, base.peer_group, hospital, national, change)}
    return _together(ends, base.peer_group, national)


@dataclass(frozen=True)
class BreakEven:
    """Fewest readmissions to avoid for a target; `avoid` is None where the period's own future cannot reach it.

    `reduction` is what is left: NaN where it hangs on unknown payments.
    """

    target: float
    avoid: dict[str, int] | None
    total: int | None
    reduction: float
    reason: str


def _with_payments(hospital: HospitalToDate) -> HospitalToDate:
    """The hospital with a DRG payment ratio of 1 where its own is unknown."""
    return replace(
        hospital,
        measures=tuple(
            replace(known, drg_payment_ratio=1.0) if math.isnan(known.drg_payment_ratio) else known
            for known in hospital.measures
        ),
    )


def contribution_path(hospital: HospitalToDate, national: National, measure: str, change: Change) -> Floats:
    """Contribution of one measure with 0, 1, 2, ... readmissions avoided, until it is zero or none is left to avoid.

    Whether it is zero does not hang on payments; where these are unknown, the rest of the path is to an unknown scale.
    """
    k = MEASURES.index(measure)
    hospital = _with_payments(hospital)
    base = _end_of(k, peer_group_of(hospital, national, change.dual_proportion), hospital, national, change)
    path = [base.contribution]
    for avoided in range(1, math.floor(base.avoidable) + 1):
        if path[-1] <= 0.0:
            break
        taken = list(change.avoided)
        taken[k] += avoided
        end = measure_end(
            hospital.measures[k],
            base.median,
            national.neutrality_modifier,
            avoided=taken[k],
            volume=change.volume[k],
            in_payment=bool(national.in_payment[k]),
        )
        path.append(end.contribution)
    return np.array(path)


def break_even_measure(
    hospital: HospitalToDate,
    national: National,
    measure: str,
    change: Change | None = None,
    paths: Mapping[str, Floats] | None = None,
) -> BreakEven:
    """Fewest readmissions to avoid in one measure by the end of the period so that it contributes nothing.

    `paths` are the measures' contribution paths where the caller has them already.
    """
    path = paths[measure] if paths else contribution_path(hospital, national, measure, change or Change())
    zero = np.flatnonzero(path <= 0.0)
    if zero.size:
        avoid = int(zero[0])
        reason = "it contributes nothing as it is" if avoid == 0 else "reached"
        return BreakEven(0.0, {measure: avoid}, avoid, 0.0, reason)
    is_known = math.isfinite(hospital.measures[MEASURES.index(measure)].drg_payment_ratio)
    return BreakEven(
        0.0,
        None,
        None,
        float(path[-1]) if is_known else math.nan,
        "cannot be reached in this period: "
        + (
            f"about {len(path) - 1} readmissions are still to come, and avoiding all of them leaves the ERR above the median"
            if len(path) > 1
            else "no readmission is still to come that could be avoided"
        ),
    )


def break_even(
    hospital: HospitalToDate,
    national: National,
    target: float,
    change: Change | None = None,
    paths: Mapping[str, Floats] | None = None,
) -> BreakEven:
    """Fewest readmissions to avoid, over all measures together, for a payment reduction of at most `target`.

    Exact: the best sum of contributions for K avoided readmissions is the min-plus convolution of the measures' paths (`paths`, where
    the caller has them already).
    """
    change = change or Change()
    is_known = math.isfinite(what_if(hospital, national, change).uncapped)
    if not is_known and target > 0.0:
        reason = "payments are unknown, so that no reduction can be aimed at but none at all"
        return BreakEven(target, None, None, math.nan, reason)
    if paths is None:
        paths = {measure: contribution_path(hospital, national, measure, change) for measure in MEASURES}
    best, choices = np.zeros(1), []
    for path in (paths[measure] for measure in MEASURES):
        together = best[:, None] + path[None, :]
        size = best.size + path.size - 1
        total, chosen = np.full(size, np.inf), np.zeros(size, dtype=int)
        for k in range(path.size):
            window = slice(k, k + best.size)
            better = together[:, k] < total[window]
            total[window] = np.where(better, together[:, k], total[window])
            chosen[window] = np.where(better, k, chosen[window])
        best = total
        choices.append(chosen)
    reached = np.flatnonzero(np.minimum(best, national.cap) <= target + 1e-15)
    if not reached.size:
        lowest = float(min(best.min(), national.cap)) if is_known else math.nan
        remains = f"of {100 * lowest:.3f} %" if is_known else "of unknown size"
        return BreakEven(
            target,
            None,
            None,
            lowest,
            f"cannot be reached in this period: avoiding every readmission still to come leaves a reduction {remains}",
        )
    total_avoided = left = int(reached[0])
    avoid = {}
    for measure, chosen in zip(reversed(MEASURES), reversed(choices), strict=True):
        avoid[measure] = int(chosen[left])
        left -= avoid[measure]
    ordered = {measure: avoid[measure] for measure in MEASURES}
    reduction = float(min(best[total_avoided], national.cap))
    return BreakEven(target, ordered, total_avoided, reduction, "reached")


@dataclass(frozen=True)
class PeerEdge:
    """The neighbouring peer group: how many more (or fewer) stays with full Medicaid lead there, and the reduction there."""

    peer_group: int
    cut: float
    dual_stays_away: int
    reduction: float


def peer_edges(hospital: HospitalToDate, national: National, stays: float) -> list[PeerEdge]:
    """The neighbouring groups, below and above; `stays` is the denominator of the dual proportion at the end of the period."""
    if not math.isfinite(hospital.dual_proportion):
        return []
    group = peer_group_of(hospital, national)
    edges = []
    for neighbour, cut in ((group - 1, group - 2), (group + 1, group - 1)):
        if not 1 <= neighbour <= 5:
            continue
        bound = float(national.cuts[cut])
        # At the cut itself a hospital is still in the lower group.
        gap = (bound - hospital.dual_proportion) * stays
        whole = math.floor(gap + 1e-9)
        away = whole + 1 if neighbour > group else whole
        moved = replace(hospital, dual_proportion=math.nan, peer_group=neighbour)
        edges.append(PeerEdge(neighbour, bound, away, what_if(moved, national, Change()).reduction))
    return edges


def contribution_at_25_cases(hospital: HospitalToDate, national: National) -> dict[str, float | None]:
    """What each measure would contribute if just so many more admissions like its own came that it counts.

    None where it counts already, or where no admission is still to come.
    """
    found: dict[str, float | None] = {}
    base = what_if(hospital, national, Change())
    for k, (measure, known) in enumerate(zip(MEASURES, hospital.measures, strict=True)):
        missing = MINIMUM_CASES - base.measures[measure].cases
        found[measure] = None
        if missing > 0.0 and known.future_mean > 0.0:
            end = measure_end(
                known,
                base.measures[measure].median,
                national.neutrality_modifier,
                volume=1.0 + missing / known.future_mean,
                in_payment=bool(national.in_payment[k]),
            )
            found[measure] = end.contribution
    return found


def unavoidable(hospital: HospitalToDate, national: National, change: Change) -> dict[str, tuple[float, float]]:
    """Measures in which a scenario avoids more than is still to come: (avoided, readmissions still to come)."""
    end = what_if(hospital, national, change)
    return {
        measure: (avoided, end.measures[measure].avoidable)
        for measure, avoided in zip(MEASURES, change.avoided, strict=True)
        if avoided > math.floor(end.measures[measure].avoidable)
    }


def case_edges(hospital: HospitalToDate) -> dict[str, float]:
    """How far each measure stands from the 25 cases that make it count: expected cases at the end minus 25."""
    return {
        measure: known.linear_predictor.size + known.pending + known.future_mean - MINIMUM_CASES
        for measure, known in zip(MEASURES, hospital.measures, strict=True)
    }
