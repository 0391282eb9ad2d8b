"""What a recorded code means for the risk model: which variables of which measure a condition, procedure or principal
diagnosis sets.

Read from the reference tables (risk_variables, risk_variable_ccs, risk_variable_codes, cc_icd10cm, cohort_codes),
apart from the SQL that does the same for real data, so that the synthetic truth is a second opinion on it. The rule
on complications of care is that of present_on_admission (program years from FY2023): such a diagnosis counts from the
index stay when present on admission.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrrp.intake.simulation.catalogue import CASES, CONDITIONS, PAST_PROCEDURES
from hrrp.program import MEASURES, Reference

Effects = NDArray[np.bool_]

# Places of risk_variable_codes from which a code counts, by where it stands.
_HISTORY = frozenset({"history", "any", "any_secondary"})
_INDEX_SECONDARY = frozenset({"any", "any_secondary", "index_any", "index_secondary_poa"})
_INDEX_ACQUIRED = frozenset({"any", "any_secondary", "index_any"})
_INDEX_PRINCIPAL = frozenset({"index_principal", "index_any"})
_PAST_PROCEDURE = frozenset({"procedure_12m"})


@dataclass(frozen=True)
class Model:
    """The risk model that a measure's outcomes are drawn from; `coefficients` in the order of `variables`."""

    measure: str
    program_year: int
    intercept: float
    tau2: float
    variables: tuple[str, ...]
    coefficients: NDArray[np.float64]


@dataclass(frozen=True)
class Recorded:
    """Columns of the patient record (`columns` of them) and what each sets, for each measure a matrix (columns,
    variables).

    Columns are the conditions of the catalogue, the procedures of the year before, then principal diagnoses that set
    something no earlier column sets. `history`: recorded before the stay. `present`, `acquired`, for the conditions
    only: secondary diagnosis present on admission; secondary diagnosis not present on admission. `principal[measure]`
    has shape (cases, variables): what a case's own principal diagnosis and procedures set. `case_history`, shape
    (cases, columns): what a case's codes are once they are history.
    """

    columns: int
    history: tuple[Effects, ...]
    present: tuple[Effects, ...]
    acquired: tuple[Effects, ...]
    principal: tuple[Effects, ...]
    case_history: NDArray[np.bool_]


def models(reference: Reference, model_year: int | None) -> tuple[Model, ...]:
    """The published model of every measure: of `model_year` or the last one published before it; without a year the
    newest.
    """
    found = []
    for measure in MEASURES:
        published = reference.published_model(measure, model_year or 9999)
        variables = variable_keys(reference, measure)
        coefficients = np.array([published.value.coefficients.get(key, 0.0) for key in variables])
        tau2, _ = reference.between_hospital_variance(measure)
        found.append(Model(measure, published.year_used, published.value.intercept, tau2, variables, coefficients))
    return tuple(found)


def variable_keys(reference: Reference, measure: str) -> tuple[str, ...]:
    """The measure's risk variables in report order."""
    rows = [row for row in reference.rows("risk_variables") if row["measure"] == measure]
    return tuple(row["variable_key"] for row in sorted(rows, key=lambda row: int(row["report_order"])))


class _Lookup:
    """The reference tables, arranged for asking what one code sets."""

    def __init__(self, reference: Reference) -> None:
        self.categories: dict[str, list[str]] = defaultdict(list)
        for row in reference.rows("cc_icd10cm"):
            self.categories[row["code"]].append(row["cc"])
        self.by_category: dict[tuple[str, str], list[tuple[str, bool]]] = defaultdict(list)
        for row in reference.rows("risk_variable_ccs"):
            key = (row["measure"], row["cc"])
            self.by_category[key].append((row["variable_key"], row["complication_of_care"] == "true"))
        self.by_code: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in reference.rows("risk_variable_codes"):
            self.by_code[row["measure"]].append(row)
        self.hip, self.hip_or_knee = [
            tuple(row["code_prefix"] for row in reference.rows("cohort_codes") if row["role"] in roles)
            for roles in ({"qualifying_procedure_tha"}, {"qualifying_procedure_tha", "qualifying_procedure_tka"})
        ]

    def listed(self, measure: str, code: str, places: frozenset[str]) -> set[str]:
        """Variables that name the code itself, at one of `places`."""
        rows = self.by_code[measure]
        return {row["variable_key"] for row in rows if row["place"] in places and code.startswith(row["code_prefix"])}

    def sets(self, measure: str, code: str, places: frozenset[str], complications_count: bool) -> set[str]:
        """Variables that a diagnosis code sets, by its condition categories or by name."""
        excluded = self.listed(measure, code, frozenset({"excluded_from_cc"}))
        found = self.listed(measure, code, places)
        for category in self.categories.get(code, ()):
            for variable, complication in self.by_category[measure, category]:
                if variable not in excluded and (complications_count or not complication):
                    found.add(variable)
        return found

    def index_sets(self, measure: str, principal: str, procedures: tuple[str, ...]) -> set[str]:
        """Variables that the index stay's principal diagnosis and own procedures set."""
        found = self.listed(measure, principal, _INDEX_PRINCIPAL)
        if measure == "THA_TKA":
            if any(code.startswith(self.hip) for code in procedures):
                found.add("index_tha")
            if sum(code.startswith(self.hip_or_knee) for code in procedures) == 2:
                found.add("two_procedures")
        return found


def _matrix(rows: list[set[str]], variables: tuple[str, ...]) -> Effects:
    matrix = np.zeros((len(rows), len(variables)), dtype=np.bool_)
    for position, found in enumerate(rows):
        for key in found:
            matrix[position, variables.index(key)] = True
    return matrix


def recorded(reference: Reference) -> Recorded:
    """What every column of the record sets, from the reference tables."""
    lookup = _Lookup(reference)

    def in_history(code: str) -> list[set[str]]:
        return [lookup.sets(measure, code, _HISTORY, True) for measure in MEASURES]

    codes = [condition.codes[0] for condition in CONDITIONS]
    history = [in_history(code) for code in codes]
    history += [[lookup.listed(m, past.code, _PAST_PROCEDURE) for m in MEASURES] for past in PAST_PROCEDURES]

    known_later: list[set[int]] = []
    for case in CASES:
        all_sets = [in_history(case.principal)]
        all_sets += [
            [lookup.listed(measure, code, _PAST_PROCEDURE) for measure in MEASURES] for code in case.procedures
        ]
        for sets in all_sets:
            if any(sets) and sets not in history:
                history.append(sets)
        known_later.append({history.index(sets) for sets in all_sets if any(sets)})
    case_history = np.zeros((len(CASES), len(history)), dtype=np.bool_)
    for position, found in enumerate(known_later):
        case_history[position, sorted(found)] = True

    return Recorded(
        columns=len(history),
        history=tuple(
            _matrix([sets[m] for sets in history], variable_keys(reference, measure))
            for m, measure in enumerate(MEASURES)
        ),
        present=tuple(
            _matrix(
                [lookup.sets(measure, code, _INDEX_SECONDARY, True) for code in codes],
                variable_keys(reference, measure),
            )
            for measure in MEASURES
        ),
        acquired=tuple(
            _matrix(
                [lookup.sets(measure, code, _INDEX_ACQUIRED, False) for code in codes],
                variable_keys(reference, measure),
            )
            for measure in MEASURES
        ),
        principal=tuple(
            _matrix(
                [lookup.index_sets(measure, case.principal, case.procedures) for case in CASES],
                variable_keys(reference, measure),
            )
            for measure in MEASURES
        ),
        case_history=case_history,
    )
