"""Own stays against a Hospital-Specific Report's rows, in both directions: which rule, outcome or risk factor decided.

A stay of the report is matched to an own stay of the same measure by person (MBI or medical record number) and dates, else by birth date
and dates where that is unique. What own data lack shows in three places: stays that only one side counts, readmissions that only CMS
saw (other hospitals), and risk factors that only CMS had (claims of other providers). The last makes *expected* too low by an
amount that the matched stays tell: with own risks p_i(c) = expit(eta_i + c) and CMS's risks q_i of the same stays, under the report's
own coefficients, the calibration c of a measure solves

    sum_i p_i(c) = sum_i q_i,        se(c) = sqrt(sum_i (q_i - p_i(c))^2) / sum_i p_i(c) (1 - p_i(c)).

Adding c to every linear predictor gives own stays the expected count that CMS would have given them on average.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hrrp.program import MEASURES
from hrrp.program.hospital_report import Discharge, DischargeTable, HospitalReport

Floats = NDArray[np.float64]
NEWTON_STEPS = 50
FEWEST_MATCHED = 25


@dataclass(frozen=True)
class OwnStay:
    """A stay as this pipeline judged it for one measure. `reasons` is empty for an index admission."""

    measure: str
    identifiers: frozenset[str] = field(repr=False)
    birth_date: date | None = field(repr=False)
    admit_date: date = field(repr=False)
    discharge_date: date = field(repr=False)
    reasons: tuple[str, ...]
    readmitted: bool
    planned: bool | None
    risk_factors: Mapping[str, float] = field(repr=False)

    @property
    def included(self) -> bool:
        return not self.reasons


@dataclass(frozen=True)
class Calibration:
    """Shift of the linear predictor that makes own expected CMS's, its standard error, and the stays behind it."""

    offset: float
    standard_error: float
    matched: int
    own_expected: float
    cms_expected: float


@dataclass(frozen=True)
class Disagreement:
    """One stay on which the two differ; `row` is the report's worksheet row (None: not in the report)."""

    measure: str
    row: int | None
    kind: str
    decided_by: str
    own: OwnStay | None = field(repr=False)


@dataclass(frozen=True)
class MeasureReconciliation:
    """One measure: stays by who counts them, outcomes, risk factors, calibration."""

    measure: str
    report_stays: int
    own_stays: int
    matched: int
    index_both: int
    index_report_only: int
    index_own_only: int
    readmissions_report: int
    readmissions_both: int
    only_cms_saw: int
    only_cms_saw_elsewhere: int
    only_own: int
    risk_factors: dict[str, dict[str, int]]
    documentation_gaps: dict[str, float]
    calibration: Calibration | None
    decided_by: dict[str, int]


@dataclass(frozen=True)
class Reconciliation:
    """All measures, and every disagreement for the analyst's list."""

    program_year: int
    measures: dict[str, MeasureReconciliation]
    disagreements: list[Disagreement] = field(repr=False)


def reconcile(
    report: HospitalReport,
    own: Sequence[OwnStay],
    known_stays: Iterable[tuple[str, date]] = (),
    reason_names: Mapping[int, str] | None = None,
) -> Reconciliation:
    """Compare a report with own stays of the same hospital and program year.

    `known_stays` are (identifier, admission date) of every own stay, of whatever diagnosis, to tell a stay that the extract lacks
    from one that it judges otherwise. `reason_names` gives words for the report's numeric inclusion indicators.
    """
    known = {(_plain(identifier), admitted) for identifier, admitted in known_stays}
    names = reason_names or {}
    measures, disagreements = {}, []
    for measure in MEASURES:
        result, found = _measure(
            report.discharges[measure], [stay for stay in own if stay.measure == measure], known, names
        )
        measures[measure] = result
        disagreements += found
    return Reconciliation(report.program_year, measures, disagreements)


def match_stays(table: DischargeTable, own: Sequence[OwnStay]) -> dict[int, int]:
    """Index of the report's stay -> index of the own stay.

    By identifier and both dates, then (a transfer moves the printed discharge) by identifier and admission, then by birth date and both
    dates where only one stay on either side has them. Each stay is used once.
    """
    pairs: dict[int, int] = {}
    taken: set[int] = set()

    def link(report_keys: Mapping[int, Iterable[object]], own_keys: Mapping[int, Iterable[object]]) -> None:
        places: dict[object, list[int]] = {}
        for place, keys in own_keys.items():
            for key in keys:
                places.setdefault(key, []).append(place)
        asked = Counter(key for keys in report_keys.values() for key in keys)
        for place, keys in report_keys.items():
            for key in keys:
                free = [other for other in places.get(key, ()) if other not in taken]
                if len(free) == 1 and asked[key] == 1:
                    pairs[place] = free[0]
                    taken.add(free[0])
                    break

    def left() -> list[int]:
        return [place for place in range(len(table.discharges)) if place not in pairs]

    rows = table.discharges
    own_identifiers = [{_plain(each) for each in stay.identifiers} for stay in own]
    link(
        {k: [(i, rows[k].admit_date, rows[k].discharge_date) for i in _identifiers(rows[k])] for k in left()},
        {k: [(i, stay.admit_date, stay.discharge_date) for i in own_identifiers[k]] for k, stay in enumerate(own)},
    )
    link(
        {k: [(i, rows[k].admit_date) for i in _identifiers(rows[k])] for k in left()},
        {k: [(i, stay.admit_date) for i in own_identifiers[k]] for k, stay in enumerate(own) if k not in taken},
    )
    link(
        {
            k: [(rows[k].birth_date, rows[k].admit_date, rows[k].discharge_date)]
            for k in left()
            if rows[k].birth_date is not None and rows[k].admit_date is not None
        },
        {
            k: [(stay.birth_date, stay.admit_date, stay.discharge_date)]
            for k, stay in enumerate(own)
            if k not in taken and stay.birth_date is not None
        },
    )
    return pairs


def _plain(identifier: str) -> str:
    """An identifier as it is compared: a medical record number loses its leading zeros wherever a spreadsheet takes it for a number."""
    return identifier.strip().upper().lstrip("0")


def _identifiers(stay: Discharge) -> list[str]:
    """The identifiers that the report gives a stay's person, each once."""
    given = (stay.mbi, stay.hicno, stay.medical_record_number)
    return list(dict.fromkeys(_plain(each) for each in given if each))


def _measure(
    table: DischargeTable, own: Sequence[OwnStay], known: set[tuple[str, date]], names: Mapping[int, str]
) -> tuple[MeasureReconciliation, list[Disagreement]]:
    pairs = match_stays(table, own)
    found: list[Disagreement] = []
    both: list[tuple[int, int]] = []
    report_only = own_only = 0
    saw: Counter[str] = Counter()
    factors: dict[str, dict[str, int]] = {}
    for place, stay in enumerate(table.discharges):
        if place not in pairs:
            if stay.included:
                report_only += 1
                found.append(
                    Disagreement(table.measure, stay.row, "only the report counts it", _absent(stay, known), None)
                )
            continue
        mine = own[pairs[place]]
        if stay.included and mine.included:
            both.append((place, pairs[place]))
            found += _outcome(table, stay, mine, saw)
        elif stay.included:
            report_only += 1
            found.append(
                Disagreement(table.measure, stay.row, "only the report counts it", f"own rule: {mine.reasons[0]}", mine)
            )
        elif mine.included:
            own_only += 1
            words = ", ".join(names.get(code, f"code {code}") for code in stay.exclusion_codes)
            found.append(
                Disagreement(table.measure, stay.row, "only own data count it", f"report's rule: {words}", mine)
            )
    matched_own = set(pairs.values())
    for place, mine in enumerate(own):
        if place not in matched_own and mine.included:
            own_only += 1
            found.append(
                Disagreement(table.measure, None, "only own data count it", "the report does not list the stay", mine)
            )
    for place, other in both:
        for column, variable in enumerate(table.variables):
            cms = table.risk_factors[place, column] != 0
            mine_too = own[other].risk_factors.get(variable.variable_key, 0.0) != 0
            if variable.variable_key == "years_over_65":
                differs = own[other].risk_factors.get("years_over_65", 0.0) != table.risk_factors[place, column]
                kind = "differs" if differs else "both"
            elif cms and mine_too:
                kind = "both"
            elif cms or mine_too:
                kind = "only_cms" if cms else "only_own"
            else:
                continue
            factors.setdefault(variable.variable_key, {}).setdefault(kind, 0)
            factors[variable.variable_key][kind] += 1
    decided = Counter(f"{each.kind}: {each.decided_by}" for each in found)
    return (
        MeasureReconciliation(
            measure=table.measure,
            report_stays=len(table.discharges),
            own_stays=len(own),
            matched=len(pairs),
            index_both=len(both),
            index_report_only=report_only,
            index_own_only=own_only,
            readmissions_report=int(sum(table.discharges[place].unplanned_readmission for place, _ in both)),
            readmissions_both=saw["both"],
            only_cms_saw=saw["only_cms"],
            only_cms_saw_elsewhere=saw["elsewhere"],
            only_own=saw["only_own"],
            risk_factors=factors,
            documentation_gaps=documentation_gaps(table, own, both),
            calibration=calibrate(table, own, both),
            decided_by=dict(decided.most_common()),
        ),
        found,
    )


def _absent(stay: Discharge, known: set[tuple[str, date]]) -> str:
    if stay.admit_date is not None and any((each, stay.admit_date) in known for each in _identifiers(stay)):
        return "the extract has the stay, but not in this measure's definition"
    return "the extract does not have the stay"


def _outcome(table: DischargeTable, stay: Discharge, mine: OwnStay, saw: Counter[str]) -> list[Disagreement]:
    """Count who saw the readmission; a disagreement where they differ."""
    if stay.unplanned_readmission == mine.readmitted:
        saw["both"] += stay.unplanned_readmission
        return []
    if stay.unplanned_readmission:
        saw["only_cms"] += 1
        saw["elsewhere"] += stay.same_hospital is False
        where = "at another hospital" if stay.same_hospital is False else "at the same hospital"
        why = (
            f"a return {where} that own data lack" if mine.planned is None else "own rule: the first return is planned"
        )
        return [Disagreement(table.measure, stay.row, "only the report has the readmission", why, mine)]
    saw["only_own"] += 1
    why = "report: the first return is planned" if stay.planned_readmission else "report: no readmission"
    return [Disagreement(table.measure, stay.row, "only own data have the readmission", why, mine)]


def documentation_gaps(
    table: DischargeTable, own: Sequence[OwnStay], both: Sequence[tuple[int, int]]
) -> dict[str, float]:
    """Risk factors that the report's rows have and own data lack: what each would add to the expected rate, largest first.

    To first order: the coefficient times p (1 - p) at the report's own risk, summed over the stays that lack it, over all stays that both
    count. Empty without stays in common or without the report's intercept.
    """
    if not both or table.average_effect is None:
        return {}
    cms = table.risk_factors[[place for place, _ in both]]
    risk = expit(table.average_effect + cms @ table.coefficients)
    slope = risk * (1.0 - risk)
    gaps = {}
    for column, variable in enumerate(table.variables):
        if variable.variable_key == "years_over_65":
            continue
        mine = np.array([own[other].risk_factors.get(variable.variable_key, 0.0) for _, other in both])
        lacking = (cms[:, column] != 0) & (mine == 0)
        if lacking.any():
            gaps[variable.variable_key] = float(variable.coefficient * slope[lacking].sum() / len(both))
    return dict(sorted(gaps.items(), key=lambda item: -abs(item[1])))


def calibrate(table: DischargeTable, own: Sequence[OwnStay], both: Sequence[tuple[int, int]]) -> Calibration | None:
    """The calibration of expected on stays that both sides count; None under 25 of them or without coefficients."""
    if len(both) < FEWEST_MATCHED or table.average_effect is None:
        return None
    cms = table.risk_factors[[place for place, _ in both]]
    mine = np.array(
        [[own[other].risk_factors.get(key, 0.0) for key in table.variable_keys] for _, other in both],
        dtype=np.float64,
    )
    wanted = expit(table.average_effect + cms @ table.coefficients)
    predictor = table.average_effect + mine @ table.coefficients
    offset = 0.0
    for _ in range(NEWTON_STEPS):
        risk = expit(predictor + offset)
        step = float((wanted - risk).sum() / (risk * (1.0 - risk)).sum())
        offset += step
        if abs(step) < 1e-12:
            break
    risk = expit(predictor + offset)
    error = float(np.sqrt(((wanted - risk) ** 2).sum()) / (risk * (1.0 - risk)).sum())
    return Calibration(offset, error, len(both), float(expit(predictor).mean()), float(wanted.mean()))
