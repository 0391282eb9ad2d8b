"""An oracle for the cohort: the six measures' rules in plain Python, one patient at a time, written from the specification alone.

It is slow and simple on purpose: `judge` reads like the rules do, and shares nothing with the SQL but the reference tables. Where
the rules' words leave two readings, AMBIGUITIES.md says which one stands here.

A patient is a mapping of the canonical extract's file names to rows of text, as they stand in the files:
`{"persons": [{...}], "stays": [...], "diagnoses": [...], "procedures": [...], "enrollment": [...], "history_diagnoses": [...],
"history_procedures": [...]}`. A missing value is None or ''.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from hrrp.program import MEASURES
from hrrp.program.reference import ProgramYear, Reference

Row = Mapping[str, str | None]
Patient = Mapping[str, Sequence[Row]]

REASONS_IN_ORDER = (
    "implausible_record",
    "not_short_term_acute",
    "excluded_quarter",
    "payer",
    "age",
    "enrollment_before",
    "died_in_hospital",
    "left_against_medical_advice",
    "still_a_patient",
    "transferred_out",
    "transferred_in",
    "enrollment_after",
    "prior_30_days",
    "same_day_discharge",
    "lvad_or_transplant",
    "not_isolated_cabg",
    "later_cabg",
    "fracture",
    "partial_or_revision",
    "mechanical_complication",
    "malignancy",
    "more_than_two_procedures",
    "covid_19",
    "follow_up_incomplete",
)


# --------------------------------------------------------------------------------------------------------------------------------
# The facts


class CodeList:
    """A list of codes given as prefixes: a code is in it when it begins with one of them."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self.prefixes = tuple(prefixes)
        self._known: dict[str, bool] = {}

    def __contains__(self, code: str | None) -> bool:
        if code is None:
            return False
        if code not in self._known:
            self._known[code] = code.startswith(self.prefixes)
        return self._known[code]


class Facts:
    """The reference tables, arranged for looking things up. They do not depend on the program year."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.measures = {row["measure"]: row for row in reference.rows("measures")}
        self.status_meaning = {row["code"]: row["meaning"] for row in reference.rows("discharge_status_codes")}
        self.facility_types = [
            (
                int(row["first_number"]),
                int(row["last_number"]),
                row["is_short_term_acute"] == "true",
                row["is_cah"] == "true",
            )
            for row in reference.rows("facility_types")
        ]
        self.parameters = {
            row["parameter"]: _typed(row["default_value"], row["type"]) for row in reference.rows("parameters")
        }
        self.cohort_codes = _code_lists(reference.rows("cohort_codes"), "measure", "role")
        self.is_present = {row["code"]: row["is_present"] == "true" for row in reference.rows("poa_codes")}
        self.exception_codes = _code_lists(reference.rows("outcome_exception_codes"), "exception")
        self.dx_ccs = {row["code"]: row["ccs"] for row in reference.rows("ccs_icd10cm")}
        self.procedure_ccs = {row["code"]: row["ccs"] for row in reference.rows("ccs_icd10pcs")}
        self.procedure_ccs_gap = {row["code"]: row["ccs"] for row in reference.rows("ccs_gap_icd10pcs")}
        self.planned_rows = reference.rows("planned_admission_codes")
        self.complication_ccs = {
            row["cc"] for row in reference.rows("condition_categories") if row["complication_of_care"] == "true"
        }
        self.ccs_of_code: dict[str, set[str]] = {}
        for row in reference.rows("cc_icd10cm"):
            self.ccs_of_code.setdefault(row["code"], set()).add(row["cc"])
        self.variables_of_cc: dict[tuple[str, str], set[str]] = {}
        for row in reference.rows("risk_variable_ccs"):
            self.variables_of_cc.setdefault((row["measure"], row["cc"]), set()).add(row["variable_key"])
        self.variables = {(row["measure"], row["variable_key"]) for row in reference.rows("risk_variables")}
        self._variables_by_category: dict[tuple[str, str, bool], frozenset[str]] = {}
        # measure -> place -> variable -> codes
        self.special_codes: dict[str, dict[str, dict[str, CodeList]]] = {}
        for (measure, place, variable), codes in _code_lists(
            reference.rows("risk_variable_codes"), "measure", "place", "variable_key"
        ).items():
            self.special_codes.setdefault(measure, {}).setdefault(place, {})[variable] = codes

    def codes(self, measure: str, role: str) -> CodeList:
        """The codes of one role in a measure's cohort definition."""
        return self.cohort_codes[measure, role]

    def variables_by_category(self, measure: str, code: str, complications: bool) -> frozenset[str]:
        """The measure's risk variables that a diagnosis sets through its condition categories.

        With `complications` False, categories that may be complications of care set nothing.
        """
        key = measure, code, complications
        if key not in self._variables_by_category:
            excluded = self.special_codes.get(measure, {}).get("excluded_from_cc", {})
            self._variables_by_category[key] = frozenset(
                variable
                for cc in self.ccs_of_code.get(code, ())
                if complications or cc not in self.complication_ccs
                for variable in self.variables_of_cc.get((measure, cc), ())
                if code not in excluded.get(variable, CodeList(()))
            )
        return self._variables_by_category[key]

    def hospital_kind(self, ccn: str) -> tuple[bool, bool]:
        """Whether the CCN is a short-term acute-care hospital's, and whether a critical access hospital's."""
        number = ccn[2:6]
        if len(ccn) != 6 or not (number.isascii() and number.isdigit()):
            return False, False
        for first, last, is_acute, is_cah in self.facility_types:
            if first <= int(number) <= last:
                return is_acute, is_cah
        return False, False


def _code_lists(rows: Iterable[Mapping[str, str]], *key: str) -> dict[Any, CodeList]:
    prefixes: dict[Any, list[str]] = {}
    for row in rows:
        place = row[key[0]] if len(key) == 1 else tuple(row[name] for name in key)
        prefixes.setdefault(place, []).append(row["code_prefix"])
    return {place: CodeList(found) for place, found in prefixes.items()}


def _typed(text: str, kind: str) -> Any:
    return {"boolean": lambda value: value == "true", "integer": int, "double": float, "varchar": str}[kind](text)


@dataclass
class Rules:
    """The rules in force for one program year on one extract.

    `extract_end` is the extract's last discharge date, `as_of` the day of the run, after which nothing is known yet;
    `excluded_quarters` maps a hospital to its quarters ('2024Q3');
    `has_enrollment` says whether the extract has an enrollment file at all; `successors` maps a hospital's former number to the
    one that its stays count under.
    """

    facts: Facts
    program_year: int
    extract_end: date
    as_of: date
    changed_parameters: Mapping[str, Any] = field(default_factory=dict)
    excluded_quarters: Mapping[str, frozenset[str]] = field(default_factory=dict)
    has_enrollment: bool = True
    successors: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.year: ProgramYear = self.facts.reference.program_year(self.program_year)
        unknown = set(self.changed_parameters) - set(self.facts.parameters)
        if unknown:
            raise ValueError(f"no such parameter: {sorted(unknown)}")
        self.parameters = {**self.facts.parameters, **self.changed_parameters}

    def __getitem__(self, parameter: str) -> Any:
        return self.parameters[parameter]

    @cached_property
    def covid_rule(self) -> bool:
        return self.year.covid_rule == "excluded"

    @cached_property
    def last_day(self) -> date:
        """The last day whose admissions are known."""
        return self.as_of if self["follow_up_through"] == "as_of" else min(self.extract_end, self.as_of)

    def successor(self, ccn: str) -> str:
        while ccn in self.successors:
            ccn = self.successors[ccn]
        return ccn

    @cached_property
    def index_only_complications_count_when_poa(self) -> bool:
        rule = self["poa_rule"]
        return (self.year.poa_rule if rule == "by_year" else rule) == "present_on_admission"

    def in_period(self, day: date) -> bool:
        return any(period.start <= day <= period.end for period in self.year.periods)

    @cached_property
    def planned_lists(self) -> dict[tuple[str, str], CodeList | set[str]]:
        """(list, code system) -> codes as prefixes, CCS categories as a set."""
        strict = self["planned_algorithm"] == "strict_2019"
        found: dict[tuple[str, str], list[str]] = {}
        for row in self.facts.planned_rows:
            name = row["list"]
            if name == "potentially_planned_procedure_2019_only":
                if not strict:
                    continue
                name = "potentially_planned_procedure"
            elif strict and row["note"] == "not_in_2019_list":
                continue
            found.setdefault((name, row["code_system"]), []).append(row["code_prefix"])
        return {
            key: CodeList(codes) if key[1] in {"ICD10CM", "ICD10PCS"} else set(codes) for key, codes in found.items()
        }


# --------------------------------------------------------------------------------------------------------------------------------
# The patient's stays


@dataclass(eq=False)
class Stay:
    """One stay. `secondaries` are (code, present-on-admission indicator); the order of stays is (admission, discharge, stay id)."""

    stay_id: str
    ccn: str
    admit: date
    discharge: date
    status: str
    payer: str | None
    is_acute: bool
    is_cah: bool
    principal: tuple[str, str] | None
    secondaries: set[tuple[str, str]]
    procedures: set[str]

    @property
    def order(self) -> tuple[date, date, str]:
        return self.admit, self.discharge, self.stay_id

    @property
    def principal_code(self) -> str | None:
        return self.principal[0] if self.principal else None

    @property
    def acute_or_cah(self) -> bool:
        """Only such stays are transfers or readmissions."""
        return self.is_acute or self.is_cah

    @property
    def diagnoses(self) -> set[str]:
        return {code for code, _ in self.secondaries} | ({self.principal[0]} if self.principal else set())


@dataclass
class History:
    """What was known of the patient before one stay."""

    diagnoses: set[str]
    procedures: set[str]


@dataclass
class Return:
    """A candidate return after a stay."""

    stay: Stay
    days: int
    planned: bool
    with_covid: bool


@dataclass
class Answer:
    """What the rules say of one patient in one program year.

    `flow`: (measure, stay id) -> (ccn, included, first reason, all reasons in order); `index`: -> (ccn, admission, discharge);
    `readmissions`: -> (readmission stay id, days, planned, unplanned readmission); `risk_factors`: -> {variable: value}.
    """

    flow: dict[tuple[str, str], tuple[str, bool, str | None, tuple[str, ...]]] = field(default_factory=dict)
    index: dict[tuple[str, str], tuple[str, date, date]] = field(default_factory=dict)
    readmissions: dict[tuple[str, str], tuple[str, int, bool, bool]] = field(default_factory=dict)
    risk_factors: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _code(row: Row) -> str:
    """The row's code as the tables write codes: without dots and spaces, in capitals."""
    return (row["code"] or "").replace(".", "").strip().upper()


def _flag(text: str | None) -> bool:
    return text == "true"


def read_stays(patient: Patient, rules: Rules) -> list[Stay]:
    """The usable stays, in order: without duplicates, impossible dates, and overlapping stays at different hospitals."""
    known_persons = {row["person_id"] for row in patient["persons"]}
    seen = set()
    stays = []
    for row in patient["stays"]:
        admit, discharge = _day(row["admit_date"]), _day(row["discharge_date"])
        assert admit is not None and discharge is not None and row["ccn"] is not None and row["stay_id"] is not None
        ccn = rules.successor(row["ccn"])
        if row["person_id"] not in known_persons or discharge < admit or not re.search(rules["ccn_pattern"], ccn):
            continue
        if discharge > rules.as_of:
            continue
        # Exact duplicates: same person, dates, hospital. The first record stands.
        if (admit, discharge, ccn) in seen:
            continue
        seen.add((admit, discharge, ccn))
        is_acute, is_cah = rules.facts.hospital_kind(ccn)
        diagnoses = [each for each in patient.get("diagnoses", ()) if each["stay_id"] == row["stay_id"]]
        principal = [each for each in diagnoses if each["sequence"] == "1"]
        stays.append(
            Stay(
                stay_id=row["stay_id"],
                ccn=ccn,
                admit=admit,
                discharge=discharge,
                status=row["discharge_status"] or "",
                payer=row.get("payer") or None,
                is_acute=_flag(row["is_short_term_acute"]) if row.get("is_short_term_acute") else is_acute,
                is_cah=_flag(row["is_cah"]) if row.get("is_cah") else is_cah,
                principal=(_code(principal[0]), principal[0].get("poa") or "") if principal else None,
                secondaries={(_code(each), each.get("poa") or "") for each in diagnoses if each["sequence"] != "1"},
                procedures={_code(each) for each in patient.get("procedures", ()) if each["stay_id"] == row["stay_id"]},
            )
        )
    stays.sort(key=lambda stay: stay.order)
    kept: list[Stay] = []
    for stay in stays:
        if not any(_overlaps_earlier(stay, earlier) for earlier in kept):
            kept.append(stay)
    return kept


def _overlaps_earlier(stay: Stay, earlier: Stay) -> bool:
    """The stay begins inside an earlier one at another acute hospital; touching on the day of a discharge is no overlap."""
    return stay.ccn != earlier.ccn and stay.acute_or_cah and earlier.acute_or_cah and stay.admit < earlier.discharge


def merge_adjacent(stays: Sequence[Stay], rules: Rules) -> list[Stay]:
    """Consecutive stays at one hospital for one principal diagnosis, the next beginning on or inside the first: one stay."""
    merged: list[Stay] = []
    for stay in stays:
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.ccn == stay.ccn
            and stay.admit <= last.discharge
            and _same_diagnosis(last, stay, rules)
        ):
            merged[-1] = _joined(last, stay)
        else:
            merged.append(stay)
    return merged


def _same_diagnosis(first: Stay, second: Stay, rules: Rules) -> bool:
    if first.principal is None or second.principal is None:
        return False
    if first.principal_code == second.principal_code:
        return True
    if rules["merge_adjacent_stays"] != "same_measure":
        return False
    return any(
        first.principal_code in rules.facts.codes(measure, "principal_dx")
        and second.principal_code in rules.facts.codes(measure, "principal_dx")
        for measure in rules["same_measure_merge"].split()
    )


def _joined(first: Stay, second: Stay) -> Stay:
    """First stay's id, admission and principal diagnosis; the later discharge with its status; the union of the codes."""
    last = second if second.discharge >= first.discharge else first
    others = {second.principal} if second.principal and second.principal_code != first.principal_code else set()
    return Stay(
        stay_id=first.stay_id,
        ccn=first.ccn,
        admit=first.admit,
        discharge=last.discharge,
        status=last.status,
        payer=first.payer,
        is_acute=first.is_acute,
        is_cah=first.is_cah,
        principal=first.principal,
        secondaries=first.secondaries | second.secondaries | others,
        procedures=first.procedures | second.procedures,
    )


def transfers_of(stay: Stay, stays: Sequence[Stay], rules: Rules) -> list[Stay]:
    """The stays at another acute hospital that this stay was transferred to: admitted on the discharge day or the next."""
    if not stay.acute_or_cah or rules.facts.status_meaning.get(stay.status) == "died":
        return []
    return [
        later
        for later in stays
        if later.order > stay.order
        and later.acute_or_cah
        and later.ccn != stay.ccn
        and 0 <= (later.admit - stay.discharge).days <= rules["transfer_days"]
    ]


# --------------------------------------------------------------------------------------------------------------------------------
# One patient


class PatientView:
    """A patient's stays after merging, with transfers, and everything the rules ask about the person."""

    def __init__(self, patient: Patient, rules: Rules) -> None:
        self.rules = rules
        self.facts = rules.facts
        self.stays = merge_adjacent(read_stays(patient, rules), rules)
        person = patient["persons"][0] if patient["persons"] else {}
        self.birth = _day(person.get("birth_date"))
        self.death = _day(person.get("death_date"))
        self.sex = {"1": "M", "M": "M", "2": "F", "F": "F"}.get(person.get("sex") or "")
        self.months = {str(row["month"]): row for row in patient.get("enrollment", ())}
        self.claims, self.claim_procedures = (
            [
                (_day(row["service_date"]), _code(row))
                for row in patient.get(name, ())
                if row["person_id"] == person.get("person_id")
            ]
            for name in ("history_diagnoses", "history_procedures")
        )
        self._history: dict[str, History] = {}
        self.transfers = {stay.stay_id: transfers_of(stay, self.stays, rules) for stay in self.stays}
        self.received = {to.stay_id for onward in self.transfers.values() for to in onward}

    def meaning(self, stay: Stay) -> str:
        return self.facts.status_meaning.get(stay.status, "other")

    def end_of_chain(self, stay: Stay) -> Stay:
        """The last stay of the run of transfers that begins with this stay."""
        onward = self.transfers[stay.stay_id]
        return max((self.end_of_chain(each) for each in onward), key=lambda each: each.order) if onward else stay

    def chain_before(self, stay: Stay) -> list[Stay]:
        """The earlier stays of the run of transfers that leads to this stay."""
        found: list[Stay] = []
        wanted = {stay.stay_id}
        for earlier in reversed(self.stays):
            if any(onward.stay_id in wanted for onward in self.transfers[earlier.stay_id]):
                wanted.add(earlier.stay_id)
                found.append(earlier)
        return found

    def age(self, stay: Stay) -> int:
        """Whole years between birth and admission."""
        assert self.birth is not None
        birthday_to_come = (stay.admit.month, stay.admit.day) < (self.birth.month, self.birth.day)
        return stay.admit.year - self.birth.year - int(birthday_to_come)

    def is_poa(self, indicator: str) -> bool:
        """Y, W and 1 are present on admission (1: exempt); without an indicator the parameter decides; N and U are not."""
        if indicator == "":
            return bool(self.rules["poa_missing_is_present"])
        return self.facts.is_present.get(indicator, False)

    def secondary_poa(self, stay: Stay, codes: CodeList) -> bool:
        return any(code in codes and self.is_poa(poa) for code, poa in stay.secondaries)

    def has_covid(self, stay: Stay) -> bool:
        """COVID-19 as the principal diagnosis, or as a secondary one present on admission."""
        codes = self.facts.codes("ALL", "covid_dx")
        return stay.principal_code in codes or self.secondary_poa(stay, codes)

    def died_within(self, discharge: date, days: int) -> bool:
        return self.death is not None and 0 <= (self.death - discharge).days <= days

    # Enrollment

    def is_covered(self, month: str, needs_part_b: bool) -> bool:
        row = self.months.get(month)
        if row is None or not _flag(row["part_a"]) or (needs_part_b and not _flag(row["part_b"])):
            return False
        return _flag(row["ffs"]) or (self.rules.year.medicare_advantage and _flag(row["ma"]))

    def payer(self, stay: Stay) -> str | None:
        """FFS, MA or other, from the stay, else from the month of admission; None where there is no enrollment file."""
        if stay.payer is not None or not self.rules.has_enrollment:
            return stay.payer
        row = self.months.get(_month(stay.admit, 0), {})
        return "FFS" if _flag(row.get("ffs")) else "MA" if _flag(row.get("ma")) else "other"

    # History

    def history(self, stay: Stay) -> History:
        """Codes of the 365 days before the admission: stays discharged before it (or on its day, earlier in order), earlier
        stays of its transfer chain, and other claims dated before it."""
        if stay.stay_id not in self._history:
            self._history[stay.stay_id] = self._read_history(stay)
        return self._history[stay.stay_id]

    def _read_history(self, stay: Stay) -> History:
        first_day = stay.admit - timedelta(days=self.rules["lookback_days"])
        chain = {each.stay_id for each in self.chain_before(stay)}
        found = History(set(), set())
        for other in self.stays:
            before = first_day <= other.discharge < stay.admit
            same_day = other.discharge == stay.admit and other.order < stay.order
            if before or same_day or other.stay_id in chain:
                found.diagnoses |= other.diagnoses
                found.procedures |= other.procedures
        found.diagnoses |= {code for day, code in self.claims if day is not None and first_day <= day < stay.admit}
        found.procedures |= {
            code for day, code in self.claim_procedures if day is not None and first_day <= day < stay.admit
        }
        return found

    # Cohorts

    def meets_definition(self, stay: Stay, measure: str) -> bool:
        """The clinical definition of the measure, by principal diagnosis or by procedure."""
        if measure == "CABG":
            return self.count_of(stay, measure, "qualifying_procedure") > 0
        if measure == "THA_TKA":
            return self.hip_knee_procedures(stay) > 0
        if stay.principal_code in self.facts.codes(measure, "principal_dx"):
            return True
        if measure == "COPD" and stay.principal_code in self.facts.codes(measure, "principal_dx_needs_secondary"):
            return any(code in self.facts.codes(measure, "required_secondary_dx") for code, _ in stay.secondaries)
        if measure == "PN" and stay.principal_code in self.facts.codes(measure, "principal_dx_needs_secondary"):
            pneumonia = self.secondary_poa(stay, self.facts.codes(measure, "required_secondary_dx"))
            if self.rules["optional_pneumonia_secondary"]:
                pneumonia |= self.secondary_poa(stay, self.facts.codes(measure, "required_secondary_dx_optional"))
            severe_sepsis = self.secondary_poa(stay, self.facts.codes(measure, "disqualifying_secondary_dx_poa"))
            return pneumonia and not severe_sepsis
        return False

    def count_of(self, stay: Stay, measure: str, *roles: str) -> int:
        return sum(any(code in self.facts.codes(measure, role) for role in roles) for code in stay.procedures)

    def hip_knee_procedures(self, stay: Stay) -> int:
        roles = ["qualifying_procedure_tha", "qualifying_procedure_tka"]
        if self.rules["uncertain_hip_knee_procedures"]:
            roles.append("uncertain_procedure")
        return self.count_of(stay, "THA_TKA", *roles)

    # Outcome

    def returns(self, index: Stay, measure: str) -> list[Return]:
        """The candidate returns, first one first: within 30 days, no transfer, none of the exceptions."""
        left = self.end_of_chain(index) if measure == "CABG" else index
        candidates = []
        for stay in self.stays:
            days = (stay.admit - left.discharge).days
            if stay.order <= left.order or not stay.acute_or_cah or not 0 <= days <= self.rules["outcome_days"]:
                continue
            if stay.ccn != left.ccn and days <= self.rules["transfer_days"]:
                continue  # a transfer
            if stay.ccn == left.ccn and days == 0 and stay.principal_code == left.principal_code is not None:
                continue  # the same stay again, kept apart only by another one between them
            if stay.principal_code in self.facts.exception_codes["rehabilitation"]:
                continue
            if (
                stay.principal_code in self.facts.exception_codes["psychiatric"]
                and days <= self.rules["psychiatric_return_days"]
                and self.meaning(left) == "psychiatric"
            ):
                continue
            candidates.append((days, stay.discharge, stay.stay_id, stay))
        return [
            Return(stay, days, self.is_planned(stay), self.rules.covid_rule and self.has_covid(stay))
            for days, _, _, stay in sorted(candidates, key=lambda each: each[:3])
        ]

    def deciding_return(self, index: Stay, measure: str) -> Return | None:
        """The first candidate decides; with `later_return_after_covid` the first one without COVID-19, where there is one."""
        returns = self.returns(index, measure)
        if self.rules["later_return_after_covid"]:
            returns = [each for each in returns if not each.with_covid] or returns
        return returns[0] if returns else None

    def is_planned(self, stay: Stay) -> bool:
        """The planned readmission algorithm v4.0."""
        lists = self.rules.planned_lists
        gap = self.facts.procedure_ccs_gap if self.rules["pcs_gap"] == "unanimous" else {}

        def procedure_in(name: str) -> bool:
            return any(
                self.facts.procedure_ccs.get(code, gap.get(code)) in lists.get((name, "CCS_PCS"), ())
                or code in lists.get((name, "ICD10PCS"), ())
                for code in stay.procedures
            )

        def principal_in(name: str) -> bool:
            code = stay.principal_code
            return code is not None and (
                self.facts.dx_ccs.get(code) in lists.get((name, "CCS_CM"), ())
                or code in lists.get((name, "ICD10CM"), ())
            )

        if procedure_in("always_planned_procedure") or principal_in("always_planned_diagnosis"):
            return True
        return procedure_in("potentially_planned_procedure") and not principal_in("acute_diagnosis")


def _month(day: date, plus: int) -> str:
    """The month `plus` months after that of `day`, as YYYY-MM."""
    number = day.year * 12 + day.month - 1 + plus
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def _quarter(day: date) -> str:
    return f"{day.year:04d}Q{(day.month + 2) // 3}"


# --------------------------------------------------------------------------------------------------------------------------------
# The answer


def judge(patient: Patient, rules: Rules) -> Answer:
    """Which stays are index admissions of which measure and why the others are not, what followed, and the risk factors."""
    view = PatientView(patient, rules)
    answer = Answer()
    for measure in MEASURES:
        definition = [stay for stay in view.stays if view.meets_definition(stay, measure)]
        in_period = [stay for stay in definition if rules.in_period(stay.discharge)]
        earlier_index: list[Stay] = []
        for stay in in_period:
            reasons = set(reasons_of_stay(view, stay, measure))
            if measure == "CABG":
                reasons |= reasons_cabg(view, stay, in_period)
            elif any(0 <= (stay.admit - index.discharge).days <= rules["prior_index_days"] for index in earlier_index):
                reasons.add("prior_30_days")
            in_order = tuple(reason for reason in REASONS_IN_ORDER if reason in reasons)
            place = (measure, stay.stay_id)
            answer.flow[place] = (stay.ccn, not in_order, in_order[0] if in_order else None, in_order)
            if in_order:
                continue
            earlier_index.append(stay)
            answer.index[place] = (stay.ccn, stay.admit, index_discharge(view, stay, measure))
            found = view.deciding_return(stay, measure)
            if found is not None:
                unplanned = not found.planned and not found.with_covid
                answer.readmissions[place] = (found.stay.stay_id, found.days, found.planned, unplanned)
            answer.risk_factors[place] = risk_factors(view, stay, measure)
    return answer


def index_discharge(view: PatientView, stay: Stay, measure: str) -> date:
    """The day the 30 days begin: for CABG the last discharge of the transfer chain, otherwise the stay's own."""
    return view.end_of_chain(stay).discharge if measure == "CABG" else stay.discharge


def reasons_of_stay(view: PatientView, stay: Stay, measure: str) -> Iterable[str]:
    """Every reason, but those that depend on the measure's other stays."""
    rules, facts = view.rules, view.facts
    discharge = index_discharge(view, stay, measure)

    if is_implausible(view, stay):
        yield "implausible_record"
    if not stay.is_acute or stay.is_cah:
        yield "not_short_term_acute"
    if _quarter(stay.discharge) in rules.excluded_quarters.get(stay.ccn, ()):
        yield "excluded_quarter"
    accepted = {"FFS", "MA"} if rules.year.medicare_advantage else {"FFS"}
    payer = view.payer(stay)
    if payer is not None and payer not in accepted:
        yield "payer"
    if view.age(stay) < rules["minimum_age"]:
        yield "age"

    if rules.has_enrollment:
        months = range(1, rules["enrollment_months_before"] + 1)
        before = all(view.is_covered(_month(stay.admit, -back), needs_part_b=True) for back in months)
        if not before or not view.is_covered(_month(stay.admit, 0), needs_part_b=False):
            yield "enrollment_before"
    if discharge + timedelta(days=rules["outcome_days"]) > rules.last_day:
        if not (rules["death_completes_follow_up"] and view.died_within(discharge, rules["outcome_days"])):
            yield "follow_up_incomplete"
    elif (
        rules.has_enrollment
        and not view.died_within(discharge, rules["enrollment_days_after"])
        and not view.is_covered(_month(discharge, 1), needs_part_b=False)
    ):
        yield "enrollment_after"

    ended = view.end_of_chain(stay) if measure == "CABG" else stay
    if "died" in (view.meaning(stay), view.meaning(ended)):
        yield "died_in_hospital"
    if view.meaning(stay) == "left_against_medical_advice":
        yield "left_against_medical_advice"
    if view.meaning(stay) == "still_a_patient":
        yield "still_a_patient"
    if measure != "CABG" and view.transfers[stay.stay_id]:
        yield "transferred_out"
    if measure == "THA_TKA" and stay.stay_id in view.received:
        yield "transferred_in"

    if measure == "AMI" and stay.admit == stay.discharge:
        yield "same_day_discharge"
    if measure == "HF":
        history = view.history(stay)
        codes = facts.codes("HF", "exclude_if_procedure_index_or_12m")
        status_codes = facts.codes("HF", "exclude_if_status_dx_12m_optional")
        if any(code in codes for code in stay.procedures | history.procedures) or (
            rules["optional_assist_device_status"] and any(code in status_codes for code in history.diagnoses)
        ):
            yield "lvad_or_transplant"
    if measure == "THA_TKA":
        yield from reasons_hip_knee(view, stay)

    if rules.covid_rule:
        drops = rules["covid_return"] == "drop_index"
        if view.has_covid(stay) or (drops and any(each.with_covid for each in view.returns(stay, measure)[:1])):
            yield "covid_19"


def is_implausible(view: PatientView, stay: Stay) -> bool:
    """Too old, unknown sex, too long a stay, admitted after death, or dead in hospital and yet admitted again."""
    rules = view.rules
    admitted_again = view.meaning(stay) == "died" and any(
        later.order > stay.order and later.admit >= stay.discharge for later in view.stays
    )
    return (
        view.age(stay) > rules["maximum_age"]
        or view.sex is None
        or (stay.discharge - stay.admit).days > rules["longest_stay_days"]
        or (view.death is not None and stay.admit > view.death)
        or admitted_again
    )


def reasons_cabg(view: PatientView, stay: Stay, in_period: Sequence[Stay]) -> set[str]:
    """Isolated surgery only, and only the first isolated one that is discharged in the period, before other exclusions."""
    isolated = [each for each in in_period if not view.count_of(each, "CABG", "exclude_concomitant_procedure")]
    reasons = set()
    if stay not in isolated:
        reasons.add("not_isolated_cabg")
    if isolated and stay.order > isolated[0].order:
        reasons.add("later_cabg")
    return reasons


def reasons_hip_knee(view: PatientView, stay: Stay) -> Iterable[str]:
    codes = view.facts.codes
    fracture = codes("THA_TKA", "exclude_dx_poa_fracture")
    if stay.principal_code in fracture or view.secondary_poa(stay, fracture):
        yield "fracture"
    roles = ("partial_hip", "revision", "resurfacing", "removal")
    if view.count_of(stay, "THA_TKA", *(f"exclude_procedure_{role}" for role in roles)):
        yield "partial_or_revision"
    if stay.principal_code in codes("THA_TKA", "exclude_principal_dx_mechanical_complication"):
        yield "mechanical_complication"
    if stay.principal_code in codes("THA_TKA", "exclude_principal_dx_neoplasm"):
        yield "malignancy"
    if view.hip_knee_procedures(stay) > view.rules["most_hip_knee_procedures"]:
        yield "more_than_two_procedures"


def risk_factors(view: PatientView, stay: Stay, measure: str) -> dict[str, float]:
    """The risk factors that are not zero."""
    history = view.history(stay)
    flags: set[str] = set()

    # Condition categories: any code of the history; of the index stay the secondary diagnoses that are no complication of care.
    for code in history.diagnoses:
        flags |= view.facts.variables_by_category(measure, code, complications=True)
    for code, poa in stay.secondaries:
        kept = view.rules.index_only_complications_count_when_poa and view.is_poa(poa)
        flags |= view.facts.variables_by_category(measure, code, complications=kept)

    # Codes named one by one, each with the place where it must stand.
    principal = {stay.principal_code} if stay.principal_code else set()
    secondary = {code for code, _ in stay.secondaries}
    no_complication = {
        code
        for code, poa in stay.secondaries
        if (view.rules.index_only_complications_count_when_poa and view.is_poa(poa))
        or not view.facts.ccs_of_code.get(code, set()) & view.facts.complication_ccs
    }
    places = {
        "index_principal": principal,
        "index_secondary_poa": {code for code, poa in stay.secondaries if view.is_poa(poa)},
        "index_any": principal | secondary,
        "any_secondary": no_complication | history.diagnoses,
        "any": principal | no_complication | history.diagnoses,
        "history": history.diagnoses,
        "procedure_12m": history.procedures,
    }
    for place, variables in view.facts.special_codes.get(measure, {}).items():
        if place == "excluded_from_cc":
            continue
        for variable, codes in variables.items():
            if any(code in codes for code in places[place]):
                flags.add(variable)

    if measure == "THA_TKA":
        hips = view.facts.codes("THA_TKA", "qualifying_procedure_tha")
        first_four = {prefix[:4] for prefix in hips.prefixes}
        uncertain = view.facts.codes("THA_TKA", "uncertain_procedure")
        switched_on = view.rules["uncertain_hip_knee_procedures"]
        if any(
            code in hips or (switched_on and code in uncertain and code[:4] in first_four) for code in stay.procedures
        ):
            flags.add("index_tha")
        if view.hip_knee_procedures(stay) == 2:
            flags.add("two_procedures")

    if view.sex == "M" and (measure, "male") in view.facts.variables:
        flags.add("male")
    factors = dict.fromkeys(flags, 1.0)
    years_over_65 = view.age(stay) - view.rules["age_origin"]
    if years_over_65:
        factors["years_over_65"] = float(years_over_65)
    return factors
