"""What is true of a simulated extract: the outcomes that were drawn, from which chances, at hospitals with which
effects.

An integration test can lay the pipeline's results beside it: every stay that meets a measure's clinical definition is
here, with the reason for which it cannot be an index admission whatever program year is asked, or none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrrp.intake.simulation.catalogue import AMI, CASES, HF, THA_TKA
from hrrp.intake.simulation.courses import (
    AGAINST_ADVICE,
    DIED,
    RETURN_DAYS,
    STILL_A_PATIENT,
    Courses,
    Options,
    day_number,
    linear_predictor,
    whole_years,
)
from hrrp.intake.simulation.facilities import Facilities
from hrrp.intake.simulation.people import PAYERS, People, Selected
from hrrp.intake.simulation.rules import Model

# In the order in which a cohort's first reason is chosen; rules that hang on the program year (an earlier index
# admission within 30 days, a later bypass, COVID-19, follow-up) are not among them.
REASONS: tuple[str, ...] = (
    "not_short_term_acute",
    "payer",
    "age",
    "enrollment_before",
    "died_in_hospital",
    "left_against_medical_advice",
    "still_a_patient",
    "transferred_out",
    "enrollment_after",
    "same_day_discharge",
    "lvad_or_transplant",
    "not_isolated_cabg",
    "fracture",
    "partial_or_revision",
    "mechanical_complication",
    "malignancy",
    "more_than_two_procedures",
)
_CASE_REASON = np.array([REASONS.index(case.exclusion) if case.exclusion else -1 for case in CASES])


@dataclass(frozen=True)
class MeasureTruth:
    """Truth about the kept stays of one measure, in file order.

    `stay` is the position in the files. `values` has shape (stays, variables): the risk variables, age included.
    `linear_predictor` is that of an average hospital. `outcome`: an unplanned return within 30 days of discharge;
    `known` is false where there is none, because the patient died in hospital or was sent on. `reason`: position in
    REASONS, -1 none. `complete`: discharge + 30 days lies within the window. `covid_19`: COVID-19 present on
    admission, which some program years exclude.
    """

    model: Model
    stay: NDArray[np.int64]
    facility: NDArray[np.int32]
    values: NDArray[np.float64]
    linear_predictor: NDArray[np.float64]
    outcome: NDArray[np.bool_]
    known: NDArray[np.bool_]
    reason: NDArray[np.int64]
    complete: NDArray[np.bool_]
    covid_19: NDArray[np.bool_]

    @property
    def can_be_index(self) -> int:
        """Stays that nothing known here keeps from being index admissions."""
        return int((self.reason < 0).sum())

    @property
    def outcomes(self) -> int:
        """Unplanned returns among them."""
        return int(self.outcome[self.reason < 0].sum())

    @property
    def readmission_rate(self) -> float | None:
        """Share of them with an unplanned return, None where there is none."""
        return self.outcomes / self.can_be_index if self.can_be_index else None


def find_truth(
    options: Options,
    facilities: Facilities,
    models: tuple[Model, ...],
    courses: Courses,
    selected: Selected,
    people: People,
    covid_stay: NDArray[np.bool_],
) -> tuple[MeasureTruth, ...]:
    """The truth of every measure; `covid_stay` says which kept stays have COVID-19 present on admission."""
    stays, order = courses.stays, selected.stay
    reasons = _reasons(facilities, courses, selected, people)
    found = []
    for model, drawn in zip(models, courses.outcomes, strict=True):
        position = selected.position[drawn.stay]
        rows = np.flatnonzero(position >= 0)
        rows = rows[np.argsort(position[rows], kind="stable")]
        stay = position[rows]
        source = order[stay]
        age = whole_years(courses.birth[stays.episode[source]], stays.admit[source])
        values = drawn.variables[rows].astype(np.float64)
        values[:, model.variables.index("years_over_65")] = age - 65
        found.append(
            MeasureTruth(
                model=model,
                stay=stay,
                facility=stays.facility[source],
                values=values,
                linear_predictor=linear_predictor(model, age, drawn.variables[rows]),
                outcome=drawn.outcome[rows],
                known=drawn.known[rows],
                reason=reasons[stay],
                complete=stays.discharge[source] + RETURN_DAYS <= day_number(options.end),
                covid_19=covid_stay[stay],
            )
        )
    return tuple(found)


def _reasons(facilities: Facilities, courses: Courses, selected: Selected, people: People) -> NDArray[np.int64]:
    """The first reason that keeps each kept stay from being an index admission, -1 for none."""
    drawn, order = courses.stays, selected.stay
    episode, case, group = drawn.episode[order], drawn.case[order], drawn.group[order]
    status, admit, discharge = drawn.status[order], drawn.admit[order], drawn.discharge[order]
    generation = courses.generation[order]
    age = whole_years(courses.birth[episode], admit)
    # A stay that sent the patient on is followed by the one it was sent to.
    sent = generation == -1
    pump = np.array([case.exclusion == "lvad_or_transplant" for case in CASES])[case]
    first_pump = np.full(len(courses.person), np.iinfo(np.int32).max, dtype=np.int64)
    np.minimum.at(first_pump, episode[pump], admit[pump])
    holds = {
        "not_short_term_acute": drawn.facility[order] >= facilities.hospitals,
        "payer": people.payer == PAYERS.index("other"),
        "age": age < 65,
        "enrollment_before": ~people.covered_before,
        "died_in_hospital": status == DIED,
        "left_against_medical_advice": status == AGAINST_ADVICE,
        "still_a_patient": status == STILL_A_PATIENT,
        "transferred_out": sent,
        "enrollment_after": ~people.covered_after,
        "same_day_discharge": (group == AMI) & (admit == discharge),
        "lvad_or_transplant": (group == HF) & (admit >= first_pump[episode]),
    }
    reason = np.full(len(order), -1, dtype=np.int64)
    of_case = _CASE_REASON[case]
    surgical = (of_case >= REASONS.index("not_isolated_cabg")) & (group <= THA_TKA)
    reason[surgical] = of_case[surgical]
    for name in reversed(REASONS[: REASONS.index("not_isolated_cabg")]):
        reason[holds[name]] = REASONS.index(name)
    return reason


def hospital_measures(
    facilities: Facilities, truth: tuple[MeasureTruth, ...]
) -> dict[str, list[str] | NDArray[np.generic]]:
    """For every hospital and measure: stays that can be index admissions, their outcomes, what was expected of an
    average hospital and of this one, and the hospital's true effect; columns by name, hospitals by CCN within
    measures.
    """
    hospitals = facilities.hospitals
    by_ccn = np.argsort(np.array(facilities.ccn[:hospitals]))
    columns: dict[str, list[NDArray[np.generic]]] = {}
    for m, of in enumerate(truth):
        rows = (of.reason < 0) & of.complete & (of.facility < hospitals)
        facility = of.facility[rows]
        effect = facilities.effects[:hospitals, m]
        predictor = of.linear_predictor[rows]
        own = predictor + effect[facility]

        def total(weights: NDArray[np.float64] | None, facility: NDArray[np.int32] = facility) -> NDArray[np.generic]:
            return np.bincount(facility, weights=weights, minlength=hospitals)[by_ccn]

        for name, values in {
            "stays": total(None),
            "outcomes": total(of.outcome[rows].astype(np.float64)).astype(np.int64),
            "expected": total(1 / (1 + np.exp(-predictor))),
            "predicted": total(1 / (1 + np.exp(-own))),
            "hospital_effect": effect[by_ccn],
        }.items():
            columns.setdefault(name, []).append(values)
    joined: dict[str, list[str] | NDArray[np.generic]] = {
        "measure": [of.model.measure for of in truth for _ in range(hospitals)],
        "ccn": [facilities.ccn[h] for _ in truth for h in by_ccn],
    }
    joined.update({name: np.concatenate(parts) for name, parts in columns.items()})
    with np.errstate(invalid="ignore"):
        joined["err"] = np.asarray(joined["predicted"]) / np.asarray(joined["expected"])
    return joined
