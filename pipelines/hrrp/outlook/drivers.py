"""What moves the penalty: each difference split into its causes, so that the parts add up exactly.

A change from one state to another is split by the Shapley value (Shapley 1953; Shorrocks 2013): the causes are switched from old to new
one after the other, and each is given its step averaged over every order. With value v(S) when the causes S are new,

    part_i = sum over S without i of  |S|! (k - |S| - 1)! / k!  *  (v(S + i) - v(S)),        sum_i part_i = v(all) - v(none).

Causes of a measure's contribution to the reduction:

    volume         number of cases n
    case mix       the patients: the linear predictors eta_i
    outcome        readmissions, as the observed rate over the expected one of the same patients
    peer median    the peer group's median ERR
    payment ratio  the measure's share of base operating payments
    modifier       the neutrality modifier

For one state, predicted less expected is  (observed - expected) + (predicted - observed): what was observed above expected, and what
shrinkage towards the average takes of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hrrp.outlook.what_if import solve_effect
from hrrp.penalty.factor import MINIMUM_CASES, contributions

Floats = NDArray[np.float64]

CAUSES: tuple[str, ...] = ("volume", "case mix", "outcome", "peer median", "payment ratio", "modifier")


def shapley(names: Sequence[str], value: Callable[[frozenset[str]], float]) -> dict[str, float]:
    """The part of each cause in value(all) - value(none); `value` takes the set of causes that are new.

    2^k evaluations for k causes.
    """
    k = len(names)
    values = {}
    for code in range(2**k):
        values[code] = value(frozenset(name for place, name in enumerate(names) if code >> place & 1))
    parts = {}
    for place, name in enumerate(names):
        total = 0.0
        for code, with_others in values.items():
            if code >> place & 1:
                continue
            size = code.bit_count()
            weight = math.factorial(size) * math.factorial(k - size - 1) / math.factorial(k)
            total += weight * (values[code | 1 << place] - with_others)
        parts[name] = total
    return parts


@dataclass(frozen=True)
class MeasureState:
    """One measure at one time: `cases` patients like `linear_predictor` (one row at least), `readmissions` among them."""

    cases: float
    linear_predictor: Floats
    readmissions: float
    median: float
    drg_payment_ratio: float
    neutrality_modifier: float
    tau2: float

    @property
    def expected_rate(self) -> float:
        """Mean risk of these patients at an average hospital."""
        return float(expit(self.linear_predictor).mean())

    def err(self) -> float:
        """ERR = f(u) / f(0), u solved exactly."""
        rows = self.linear_predictor
        u = solve_effect(self.readmissions, self.cases / rows.size, rows, self.tau2)
        return float(expit(rows + u).mean()) / self.expected_rate

    def contribution(self) -> float:
        """What the measure adds to the reduction before the cap; NaN where it adds something and payments are unknown."""
        err, cases = self.err(), math.floor(self.cases + 0.5)
        if math.isnan(self.drg_payment_ratio) and cases >= MINIMUM_CASES and err > self.median:
            return math.nan
        return float(contributions(err, self.median, self.drg_payment_ratio, cases, self.neutrality_modifier))


@dataclass(frozen=True)
class Excess:
    """Predicted less expected of one measure, as rates: `observed_less_expected` + `shrinkage` = `predicted_less_expected`."""

    observed_less_expected: float
    shrinkage: float
    predicted_less_expected: float


def excess(state: MeasureState) -> Excess:
    """How predicted comes to differ from expected."""
    expected, observed = state.expected_rate, state.readmissions / state.cases if state.cases > 0 else math.nan
    predicted = state.err() * expected
    return Excess(observed - expected, predicted - observed, predicted - expected)


def change_of_contribution(
    old: MeasureState, new: MeasureState, value: Callable[[MeasureState], float] = MeasureState.contribution
) -> dict[str, float]:
    """The change of a measure's contribution (or of any `value` of a state) from `old` to `new`, by cause.

    The outcome is carried as observed over expected, so that case mix alone changes what is expected and not how well the hospital
    does with it. tau2 is the new state's throughout.
    """
    own = {"old": _relative_outcome(old), "new": _relative_outcome(new)}

    def mixed(switched: frozenset[str]) -> float:
        def of(cause: str) -> MeasureState:
            return new if cause in switched else old

        rows, cases = of("case mix").linear_predictor, of("volume").cases
        relative = own["new" if "outcome" in switched else "old"]
        state = MeasureState(
            cases=cases,
            linear_predictor=rows,
            readmissions=min(relative * cases * float(expit(rows).mean()), cases),
            median=of("peer median").median,
            drg_payment_ratio=of("payment ratio").drg_payment_ratio,
            neutrality_modifier=of("modifier").neutrality_modifier,
            tau2=new.tau2,
        )
        return value(state)

    return shapley(CAUSES, mixed)


def _relative_outcome(state: MeasureState) -> float:
    return state.readmissions / (state.cases * state.expected_rate) if state.cases > 0 else 1.0


@dataclass(frozen=True)
class PrintedState:
    """One measure as printed: what a change between two published years can be split into without any patient."""

    cases: float
    err: float
    median: float
    drg_payment_ratio: float
    neutrality_modifier: float


def change_between_reports(old: PrintedState, new: PrintedState) -> dict[str, float]:
    """The change of a measure's contribution between two printed states: cases (across the 25), ERR, median, ratio, modifier."""
    fields = {
        "cases": "cases",
        "ERR": "err",
        "peer median": "median",
        "payment ratio": "drg_payment_ratio",
        "modifier": "neutrality_modifier",
    }

    def mixed(switched: frozenset[str]) -> float:
        values: Mapping[str, float] = {
            field: getattr(new if name in switched else old, field) for name, field in fields.items()
        }
        part = contributions(
            values["err"], values["median"], values["drg_payment_ratio"], values["cases"], values["neutrality_modifier"]
        )
        return float(part)

    return shapley(tuple(fields), mixed)


def capped_shares(contribution: Mapping[str, float], cap: float) -> dict[str, float]:
    """Each measure's share of the reduction itself: where the cap binds, what is cut off is taken from all in proportion."""
    total = sum(contribution.values())
    scale = min(1.0, cap / total) if total > 0 else 0.0
    return {measure: part * scale for measure, part in contribution.items()}
