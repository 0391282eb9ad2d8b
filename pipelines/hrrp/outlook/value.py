"""What one avoided readmission is worth: fee for service against value.

Under fee for service a readmission is paid. Under the program it also lowers *every* Medicare inpatient payment of each program year
whose applicable period contains the index discharge (two years from FY2027 on, three before), so for measure m

    value_m = sum over those years of  B_y * (reduction_y - reduction_y with one readmission of m fewer)  -  margin

with B_y the annual base operating payments and `margin` the contribution margin of the payment that is lost: what the payment leaves
after the costs that the stay itself causes. Reductions are solved exactly, and drawn for the range.

It does not pay where the reduction does not move: at the cap, at or below the median, under 25 cases.

The multiplier sets the penalty beside what was paid for the excess readmissions that cause it:

    multiplier_m = B_y * contribution_m / (excess readmissions per year * payment per readmission)
    excess readmissions = cases * (predicted - median * expected) / years of the period
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hrrp.outlook.forecast import Change, Draws, HospitalToDate, National, OwnDraws, drawn_reductions, own_draws
from hrrp.outlook.what_if import HospitalEnd, one_fewer, what_if
from hrrp.penalty.factor import MINIMUM_CASES
from hrrp.program import MEASURES


@dataclass(frozen=True)
class YearInputs:
    """One hospital in one program year, with the national figures and the length of the applicable period in years."""

    program_year: int
    hospital: HospitalToDate
    national: National
    period_years: float


@dataclass(frozen=True)
class ReadmissionValue:
    """One measure. Dollars; `penalty_avoided` by program year; `interval` the 5 % and 95 % of the net value; `reason` says
    why it does not pay, or is empty."""

    measure: str
    penalty_avoided: dict[int, float]
    margin_lost: float
    net: float
    interval: tuple[float, float]
    multiplier: float | None
    reason: str


def value_of_avoiding(
    years: Sequence[YearInputs],
    shared: Draws | None,
    margin: float,
    payment_per_readmission: Mapping[str, float] | None = None,
    measures: Collection[str] = MEASURES,
    own: OwnDraws | None = None,
) -> list[ReadmissionValue]:
    """The value of one avoided readmission in each measure, best first.

    `years` are the program years whose periods contain the discharge, of one hospital; `margin` the contribution margin of one
    readmission in dollars; `payment_per_readmission` by measure, for the multiplier. Without `shared` draws there is no range (NaN);
    `own` are the hospital's where the caller has them.
    """
    payments = payment_per_readmission or {}
    base = {each.program_year: what_if(each.hospital, each.national, Change()) for each in years}
    draws = {}
    if shared is not None:
        own = own or own_draws(years[0].hospital.ccn, shared)
        places = [MEASURES.index(measure) for measure in measures]
        draws = {
            each.program_year: drawn_reductions(each.hospital, each.national, shared, 1.0, places, own)
            for each in years
        }
    values = []
    for k, measure in enumerate(MEASURES):
        if measure not in measures:
            continue
        avoided: dict[int, float] = {}
        drawn = np.full(1, math.nan) if shared is None else np.zeros(shared.count)
        for each in years:
            fewer = one_fewer(base[each.program_year], each.hospital, each.national, measure)
            dollars = each.hospital.annual_payments
            avoided[each.program_year] = dollars * (base[each.program_year].reduction - fewer.reduction)
            if shared is None:
                continue
            base_draws, fewer_draws = draws[each.program_year]
            drawn += dollars * (base_draws - fewer_draws[k])
        known = np.isfinite(drawn).all()
        low, high = np.quantile(drawn - margin, (0.05, 0.95)) if known else (math.nan, math.nan)
        net = sum(avoided.values()) - margin
        values.append(
            ReadmissionValue(
                measure=measure,
                penalty_avoided=avoided,
                margin_lost=margin,
                net=net,
                interval=(float(low), float(high)),
                multiplier=_multiplier(years[0], base[years[0].program_year], measure, payments.get(measure)),
                reason=_why_not(base, years, measure, net),
            )
        )
    return sorted(values, key=lambda value: (-value.net if math.isfinite(value.net) else math.inf, value.measure))


def _multiplier(year: YearInputs, end: HospitalEnd, measure: str, payment: float | None) -> float | None:
    figures = end.measures[measure]
    if payment is None or not payment > 0 or not figures.contribution > 0:
        return None
    excess = figures.cases * (figures.predicted - figures.median * figures.expected) / year.period_years
    return year.hospital.annual_payments * figures.contribution / (excess * payment) if excess > 0 else None


def _why_not(base: Mapping[int, HospitalEnd], years: Sequence[YearInputs], measure: str, net: float) -> str:
    """Why an avoided readmission brings nothing, in words, where every year agrees."""
    reasons = set()
    for each in years:
        end = base[each.program_year]
        figures = end.measures[measure]
        if math.floor(figures.cases + 0.5) < MINIMUM_CASES:
            reasons.add("under 25 cases the measure does not count")
        elif not figures.err > figures.median:
            reasons.add("the ERR is at or below the peer median: nothing left to gain")
        elif end.uncapped > each.national.cap:
            reasons.add("the reduction is at the cap: one fewer does not move it")
        else:
            if not math.isfinite(net):
                return "payments are unknown, so the penalty has no dollars"
            return "" if net > 0 else "the payment lost is worth more than the penalty avoided"
    return "; ".join(sorted(reasons))
