"""The simulator: same seed same bytes, the contract's files, and a truth that a second reading of the files agrees
with.

`Reading` is that second reading: the rules of the measures in plain Python, stay by stay, from the files and the
reference tables.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet
import pytest

from hrrp.errors import UsageError
from hrrp.intake.simulation import (
    REASONS,
    Options,
    Simulation,
    check_folder,
    check_options,
    simulate,
    write_simulation,
)
from hrrp.intake.simulation.catalogue import CASES, CONDITIONS, GROUPS, TRAITS
from hrrp.intake.simulation.facilities import _ENDINGS, _KINDS, _LANDSCAPE, MOST_HOSPITALS, _name, draw_facilities
from hrrp.intake.simulation.rules import models
from hrrp.program import MEASURES, Reference

CONTRACT = {
    "stays": "stay_id person_id ccn admit_date discharge_date discharge_status admit_type admit_source drg payer "
    "is_short_term_acute is_cah base_operating_drg_amount total_paid medical_record_number",
    "diagnoses": "stay_id sequence code poa",
    "procedures": "stay_id sequence code procedure_date",
    "persons": "person_id birth_date sex death_date",
    "enrollment": "person_id month part_a part_b ffs ma dual_code",
    "history_diagnoses": "person_id service_date code source",
    "history_procedures": "person_id service_date code source",
    "hospitals": "ccn name state annual_base_operating_payments dual_proportion exempt",
}
OPTIONS = Options(hospitals=7, stays=9_000, seed=5)


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(OPTIONS)


@pytest.fixture(scope="module")
def folder(simulation: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("extract")
    write_simulation(simulation, path)
    return path


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: parquet.read_table(folder / f"{name}.parquet").to_pylist() for name in CONTRACT}


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> list[dict[str, Any]]:
    return parquet.read_table(folder / "truth" / "outcomes.parquet").to_pylist()


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# Determinism and form


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_same_seed_same_bytes_whatever_the_threads(file_format: str, tmp_path: Path) -> None:
    small = Options(hospitals=9, stays=4_000, seed=11)
    for number, threads in enumerate((1, 2, 4)):
        write_simulation(simulate(small), tmp_path / str(number), file_format, threads)
    first = _hashes(tmp_path / "0")
    assert len(first) == len(CONTRACT) + 4
    assert first == _hashes(tmp_path / "1") == _hashes(tmp_path / "2")
    other = Options(hospitals=9, stays=4_000, seed=12)
    write_simulation(simulate(other), tmp_path / "other", file_format)
    assert not set(first.values()) & set(_hashes(tmp_path / "other").values()) - {
        first["truth/coefficients.csv"],  # the published model does not hang on the seed
    }


def test_csv_and_parquet_hold_the_same(simulation: Simulation, files: dict[str, Any], tmp_path: Path) -> None:
    write_simulation(simulation, tmp_path, "csv")
    for name in CONTRACT:
        text = arrow_csv.read_csv(
            tmp_path / f"{name}.csv",
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(CONTRACT[name].split(), "string"), strings_can_be_null=True, null_values=[""]
            ),
        ).to_pylist()
        assert len(text) == len(files[name])
        for seen, row in list(zip(text, files[name], strict=True))[:: max(1, len(text) // 300)]:
            for column, value in row.items():
                if isinstance(value, float):
                    assert float(seen[column]) == value
                elif isinstance(value, bool):
                    assert seen[column] == str(value).lower()
                else:
                    assert seen[column] == (None if value is None else str(value))


def test_files_have_the_columns_of_the_contract(files: dict[str, list[dict[str, Any]]]) -> None:
    for name, columns in CONTRACT.items():
        assert files[name], name
        assert list(files[name][0]) == columns.split()


@pytest.mark.parametrize("stays", [1, 2, 50, 777])
def test_as_many_stays_as_asked(stays: int) -> None:
    found = simulate(Options(hospitals=3, stays=stays, seed=2, end=date(2024, 6, 30)))
    assert len(found.tables["stays"]["stay_id"]) == stays


def test_rows_are_sorted_and_hang_together(files: dict[str, list[dict[str, Any]]]) -> None:
    ids = [row["stay_id"] for row in files["stays"]]
    persons = [row["person_id"] for row in files["persons"]]
    assert ids == sorted(set(ids))
    assert persons == sorted(set(persons))
    assert {row["person_id"] for row in files["stays"]} == set(persons)
    principal = [row["stay_id"] for row in files["diagnoses"] if row["sequence"] == 1]
    assert principal == ids
    keys = [(row["stay_id"], row["sequence"]) for row in files["diagnoses"]]
    assert keys == sorted(set(keys))
    codes = [(row["stay_id"], row["code"]) for row in files["diagnoses"]]
    assert len(codes) == len(set(codes)), "a diagnosis stands once on a stay"
    for name in ("enrollment", "history_diagnoses", "history_procedures"):
        assert {row["person_id"] for row in files[name]} <= set(persons)
    assert {row["stay_id"] for row in files["procedures"]} <= set(ids)
    months = [(row["person_id"], row["month"]) for row in files["enrollment"]]
    assert months == sorted(set(months))


def test_dates_make_sense(files: dict[str, list[dict[str, Any]]]) -> None:
    born = {row["person_id"]: row["birth_date"] for row in files["persons"]}
    died = {row["person_id"]: row["death_date"] for row in files["persons"]}
    last: dict[str, date] = {}
    for row in files["stays"]:
        person = row["person_id"]
        assert born[person] < row["admit_date"] <= row["discharge_date"] <= OPTIONS.end
        assert person not in last or last[person] <= row["admit_date"], "stays of a person do not overlap"
        last[person] = row["discharge_date"]
        if row["discharge_status"] == "20":
            assert died[person] == row["discharge_date"]
    assert all(died[person] is None or died[person] >= day for person, day in last.items())
    sent = Reading(files).sent_on
    early = [row for row in files["stays"] if row["discharge_date"] < OPTIONS.start]
    assert all(row["stay_id"] in sent for row in early), "before the window lie only stays that sent a patient into it"
    assert all(row["service_date"] <= OPTIONS.end for row in files["history_diagnoses"])


def test_every_hospital_has_its_own_size(files: dict[str, list[dict[str, Any]]]) -> None:
    size = defaultdict(int)
    for row in files["stays"]:
        if row["is_short_term_acute"]:
            size[row["ccn"]] += 1
    assert set(size) == {row["ccn"] for row in files["hospitals"]}
    assert len(set(size.values())) == OPTIONS.hospitals
    assert max(size.values()) > 5 * min(size.values())


def test_hospitals_are_nobodys(cms_dir: Path) -> None:
    with (cms_dir / "hospital_general_information_2026.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    real_numbers = {row["Facility ID"] for row in rows}
    real_names = {row["Facility Name"].casefold() for row in rows}
    facilities = draw_facilities(np.random.default_rng(1), MOST_HOSPITALS, models(Reference(), None))
    assert len(set(facilities.ccn)) == len(facilities.ccn)
    assert not real_numbers & set(facilities.ccn)
    assert all(1 <= int(ccn[2:]) <= 879 for ccn in facilities.ccn[:MOST_HOSPITALS])
    names = [_name(number) for number in range(len(_LANDSCAPE) * len(_ENDINGS) * len(_KINDS))]
    assert len(set(names)) == len(names) >= MOST_HOSPITALS
    assert not real_names & {name.casefold() for name in names}


# The catalogue against the reference tables


def _prefixes(reference: Reference, measure: str, role: str) -> tuple[str, ...]:
    rows = reference.rows("cohort_codes")
    return tuple(row["code_prefix"] for row in rows if row["measure"] == measure and row["role"] == role)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


class Planned:
    """The planned readmission algorithm on one stay's codes."""

    def __init__(self, reference: Reference) -> None:
        self.maps = {
            name: {row["code"]: row["ccs"] for row in reference.rows(f"ccs_{name}")} for name in ("icd10cm", "icd10pcs")
        }
        self.lists: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for row in reference.rows("planned_admission_codes"):
            self.lists[row["list"]]["ccs" if row["code_system"].startswith("CCS") else "code"].append(
                row["code_prefix"]
            )

    def _on(self, name: str, code: str, system: str) -> bool:
        wanted = self.lists[name]
        return self.maps[system].get(code) in wanted["ccs"] or code.startswith(tuple(wanted["code"]))

    def __call__(self, principal: str, procedures: list[str]) -> bool:
        if any(self._on("always_planned_procedure", code, "icd10pcs") for code in procedures):
            return True
        if self._on("always_planned_diagnosis", principal, "icd10cm"):
            return True
        may_be = any(self._on("potentially_planned_procedure", code, "icd10pcs") for code in procedures)
        return may_be and not self._on("acute_diagnosis", principal, "icd10cm")


def test_shares_of_cases_and_groups_sum_to_one() -> None:
    for group, _ in enumerate(GROUPS):
        assert sum(case.share for case in CASES if case.group == group) == pytest.approx(1, abs=0.01)
    assert sum(traits.share for traits in TRAITS) == pytest.approx(1)
    assert len(TRAITS) == len(GROUPS)


def test_cases_are_planned_as_the_algorithm_says(reference: Reference) -> None:
    planned = Planned(reference)
    for case in CASES:
        assert case.principal in planned.maps["icd10cm"]
        assert all(code in planned.maps["icd10pcs"] for code in case.procedures)
        assert planned(case.principal, list(case.procedures)) == case.planned, case


def test_codes_of_a_condition_set_the_same_variables(reference: Reference) -> None:
    from hrrp.intake.simulation import rules

    lookup = rules._Lookup(reference)
    places = [
        (rules._HISTORY, True),
        (rules._INDEX_SECONDARY, True),
        (rules._INDEX_ACQUIRED, False),
    ]
    for condition in CONDITIONS:
        for measure in MEASURES:
            for place, complications in places:
                sets = [lookup.sets(measure, code, place, complications) for code in condition.codes]
                assert all(found == sets[0] for found in sets), (condition.key, measure)
            if condition.acquired:
                # What a code that came in hospital sets by name is not settled: only categories are used for those.
                named = lookup.listed(measure, condition.codes[0], rules._INDEX_ACQUIRED)
                assert not named, (condition.key, measure)
    for case in CASES:
        if case.group < len(MEASURES):
            assert not lookup.listed(MEASURES[case.group], case.principal, frozenset({"any"})), case


# The second reading


@dataclass
class Stay:
    """One stay as a reader of the files knows it."""

    row: dict[str, Any]
    principal: str
    secondary: list[tuple[str, str]]
    procedures: list[str]

    @property
    def acute(self) -> bool:
        return 1 <= int(self.row["ccn"][2:]) <= 879 or self.critical_access

    @property
    def critical_access(self) -> bool:
        return 1300 <= int(self.row["ccn"][2:]) <= 1399


class Reading:
    """The measures' rules on the files, stay by stay, from the written rules rather than from the simulator."""

    def __init__(self, files: dict[str, list[dict[str, Any]]]) -> None:
        reference = Reference()
        self.reference = reference
        self.planned = Planned(reference)
        self.persons = {row["person_id"]: row for row in files["persons"]}
        diagnoses: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in files["diagnoses"]:
            diagnoses[row["stay_id"]].append(row)
        procedures: dict[str, list[str]] = defaultdict(list)
        for row in files["procedures"]:
            procedures[row["stay_id"]].append(row["code"])
        self.stays: dict[str, Stay] = {}
        self.of_person: dict[str, list[Stay]] = defaultdict(list)
        for row in files["stays"]:
            listed = diagnoses[row["stay_id"]]
            secondary = [(d["code"], d["poa"]) for d in listed if d["sequence"] > 1]
            stay = Stay(row, listed[0]["code"], secondary, procedures[row["stay_id"]])
            self.stays[row["stay_id"]] = stay
            self.of_person[row["person_id"]].append(stay)
        self.claims: dict[str, list[tuple[date, str]]] = defaultdict(list)
        for row in files["history_diagnoses"]:
            self.claims[row["person_id"]].append((row["service_date"], row["code"]))
        self.past: dict[str, list[tuple[date, str]]] = defaultdict(list)
        for row in files["history_procedures"]:
            self.past[row["person_id"]].append((row["service_date"], row["code"]))
        self.months: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        for row in files["enrollment"]:
            self.months[row["person_id"]][row["month"]] = row
        self.sent_on = {
            first.row["stay_id"]
            for stays in self.of_person.values()
            for first, then in self._pairs(stays)
            if first.row["ccn"] != then.row["ccn"]
            and (then.row["admit_date"] - first.row["discharge_date"]).days in (0, 1)
            and first.row["discharge_status"] != "20"
        }
        self.role = {
            (measure, row["role"]): _prefixes(reference, measure, row["role"])
            for measure in MEASURES
            for row in reference.rows("cohort_codes")
        }
        self.categories: dict[str, set[str]] = defaultdict(set)
        for row in reference.rows("cc_icd10cm"):
            self.categories[row["code"]].add(row["cc"])

    @staticmethod
    def _pairs(stays: list[Stay]) -> list[tuple[Stay, Stay]]:
        acute = [stay for stay in stays if stay.acute]
        return list(pairwise(acute))

    def measure(self, stay: Stay) -> str | None:
        """The measure whose clinical definition the stay meets."""

        def begins(code: str, measure: str, role: str) -> bool:
            return code.startswith(self.role[measure, role]) if self.role[measure, role] else False

        present = [code for code, poa in stay.secondary if poa not in ("N", "U")]
        found = {m for m in ("AMI", "COPD", "HF", "PN") if begins(stay.principal, m, "principal_dx")}
        if begins(stay.principal, "COPD", "principal_dx_needs_secondary") and any(
            begins(code, "COPD", "required_secondary_dx") for code, _ in stay.secondary
        ):
            found.add("COPD")
        if (
            begins(stay.principal, "PN", "principal_dx_needs_secondary")
            and any(begins(code, "PN", "required_secondary_dx") for code in present)
            and not any(begins(code, "PN", "disqualifying_secondary_dx_poa") for code in present)
        ):
            found.add("PN")
        if any(begins(code, "CABG", "qualifying_procedure") for code in stay.procedures):
            found.add("CABG")
        if self._joints(stay):
            found.add("THA_TKA")
        assert len(found) <= 1, "no simulated stay belongs to two measures: its outcome would have two chances"
        return found.pop() if found else None

    def _joints(self, stay: Stay) -> list[str]:
        qualifying = self.role["THA_TKA", "qualifying_procedure_tha"] + self.role["THA_TKA", "qualifying_procedure_tka"]
        return [code for code in stay.procedures if code.startswith(qualifying)]

    def outcome(self, stay: Stay) -> bool:
        """An unplanned return within 30 days: the first that counts, unless the algorithm calls it planned."""
        end = stay.row["discharge_date"]
        candidates = []
        for later in self.of_person[stay.row["person_id"]]:
            days = (later.row["admit_date"] - end).days
            if later is stay or not later.acute or not 0 <= days <= 30 or later.row["stay_id"] < stay.row["stay_id"]:
                continue
            if days <= 1 and later.row["ccn"] != stay.row["ccn"]:
                continue
            candidates.append((days, later.row["discharge_date"], later.row["stay_id"], later))
        if not candidates:
            return False
        first = min(candidates, key=lambda found: found[:3])[3]
        return not self.planned(first.principal, first.procedures)

    def reason(self, stay: Stay, measure: str) -> str | None:
        """The first reason against an index admission that does not hang on the program year."""
        row, person = stay.row, self.persons[stay.row["person_id"]]
        admit, end = row["admit_date"], row["discharge_date"]
        months = self.months[row["person_id"]]
        before = [_month(admit, -k) for k in range(1, 13)]
        dead = person["death_date"]
        role = self.role
        poa_fracture = [code for code, poa in stay.secondary if poa not in ("N", "U")] + [stay.principal]
        pump = role["HF", "exclude_if_procedure_index_or_12m"]
        year = [
            other
            for other in self.of_person[row["person_id"]]
            if other is stay or (timedelta(0) <= admit - other.row["discharge_date"] <= timedelta(365))
        ]
        surgery = {
            "not_isolated_cabg": measure == "CABG"
            and any(code.startswith(role["CABG", "exclude_concomitant_procedure"]) for code in stay.procedures),
            "fracture": measure == "THA_TKA"
            and any(code.startswith(role["THA_TKA", "exclude_dx_poa_fracture"]) for code in poa_fracture),
            "partial_or_revision": measure == "THA_TKA"
            and any(
                code.startswith(role["THA_TKA", f"exclude_procedure_{kind}"])
                for code in stay.procedures
                for kind in ("partial_hip", "revision", "resurfacing", "removal")
            ),
            "mechanical_complication": measure == "THA_TKA"
            and stay.principal.startswith(role["THA_TKA", "exclude_principal_dx_mechanical_complication"]),
            "malignancy": measure == "THA_TKA"
            and stay.principal.startswith(role["THA_TKA", "exclude_principal_dx_neoplasm"]),
            "more_than_two_procedures": measure == "THA_TKA" and len(self._joints(stay)) > 2,
        }
        holds = {
            "not_short_term_acute": not 1 <= int(row["ccn"][2:]) <= 879,
            "payer": row["payer"] == "other",
            "age": _age(person["birth_date"], admit) < 65,
            "enrollment_before": not (
                all(month in months and months[month]["part_a"] and months[month]["part_b"] for month in before)
                and _month(admit, 0) in months
            ),
            "died_in_hospital": row["discharge_status"] == "20",
            "left_against_medical_advice": row["discharge_status"] == "07",
            "still_a_patient": row["discharge_status"] == "30",
            "transferred_out": row["stay_id"] in self.sent_on,
            "enrollment_after": _month(end, 1) not in months
            and not (dead is not None and 0 <= (dead - end).days <= 30),
            "same_day_discharge": measure == "AMI" and admit == end,
            "lvad_or_transplant": measure == "HF" and any(code.startswith(pump) for o in year for code in o.procedures),
            **surgery,
        }
        return next((name for name in REASONS if holds[name]), None)

    def linear_predictor(self, stay: Stay, measure: str) -> float:
        """The newest published model on the stay's codes, the hospital effect being zero."""
        row, person = stay.row, self.persons[stay.row["person_id"]]
        admit = row["admit_date"]
        history = [code for day, code in self.claims[row["person_id"]] if 1 <= (admit - day).days <= 365]
        past = [code for day, code in self.past[row["person_id"]] if 1 <= (admit - day).days <= 365]
        for other in self.of_person[row["person_id"]]:
            if other is not stay and 0 <= (admit - other.row["discharge_date"]).days <= 365:
                history += [other.principal, *(code for code, _ in other.secondary)]
                past += other.procedures
        found = {"male"} if person["sex"] == "M" else set()
        for row_ in self.reference.rows("risk_variable_ccs"):
            if row_["measure"] != measure:
                continue
            here = [
                code for code, poa in stay.secondary if poa not in ("N", "U") or row_["complication_of_care"] == "false"
            ]
            excluded = tuple(self._codes(measure, row_["variable_key"], "excluded_from_cc"))
            for code in history + here:
                if row_["cc"] in self.categories[code] and not (excluded and code.startswith(excluded)):
                    found.add(row_["variable_key"])
        secondary = [code for code, _ in stay.secondary]
        where = {
            "index_principal": [stay.principal],
            "index_any": [stay.principal, *secondary],
            "index_secondary_poa": [code for code, poa in stay.secondary if poa not in ("N", "U")],
            "any_secondary": secondary + history,
            "any": [stay.principal, *secondary, *history],
            "history": history,
            "procedure_12m": past,
            "excluded_from_cc": [],
        }
        for row_ in self.reference.rows("risk_variable_codes"):
            if row_["measure"] == measure and any(
                code.startswith(row_["code_prefix"]) for code in where[row_["place"]]
            ):
                found.add(row_["variable_key"])
        if measure == "THA_TKA":
            joints = self._joints(stay)
            if any(code.startswith(self.role["THA_TKA", "qualifying_procedure_tha"]) for code in joints):
                found.add("index_tha")
            if len(joints) == 2:
                found.add("two_procedures")
        model = self.reference.published_model(measure, 2025).value
        years = _age(person["birth_date"], admit) - 65
        total = model.intercept + model.coefficients["years_over_65"] * years
        return total + sum(model.coefficients.get(key, 0.0) for key in sorted(found))

    def _codes(self, measure: str, key: str, place: str) -> list[str]:
        wanted = (measure, key, place)
        rows = self.reference.rows("risk_variable_codes")
        return [r["code_prefix"] for r in rows if (r["measure"], r["variable_key"], r["place"]) == wanted]


def _month(day: date, shift: int) -> str:
    number = day.year * 12 + day.month - 1 + shift
    return f"{number // 12}-{number % 12 + 1:02d}"


def _age(birth: date, day: date) -> int:
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


@pytest.fixture(scope="module")
def reading(files: dict[str, list[dict[str, Any]]]) -> Reading:
    return Reading(files)


def test_measures_are_those_of_the_cohort_codes(reading: Reading, outcomes: list[dict[str, Any]]) -> None:
    truth = {row["stay_id"]: row["measure"] for row in outcomes}
    seen = {key: reading.measure(stay) for key, stay in reading.stays.items() if reading.measure(stay)}
    assert seen == truth
    assert set(truth.values()) == set(MEASURES)


def test_reasons_are_those_that_the_files_give(reading: Reading, outcomes: list[dict[str, Any]]) -> None:
    seen = {}
    for row in outcomes:
        found = reading.reason(reading.stays[row["stay_id"]], row["measure"])
        # Without follow-up the month after discharge is not yet known.
        if row["complete"] or "enrollment_after" not in (found, row["reason"]):
            seen[row["stay_id"]] = (found, row["reason"])
    assert len(seen) > 0.97 * len(outcomes)
    assert {key: pair for key, pair in seen.items() if pair[0] != pair[1]} == {}
    met = {pair[0] for pair in seen.values()}
    assert met >= {*REASONS[:10], "not_isolated_cabg", "fracture", "partial_or_revision", None} - {"still_a_patient"}


def test_outcomes_are_those_that_the_files_give(reading: Reading, outcomes: list[dict[str, Any]]) -> None:
    checked = 0
    for row in outcomes:
        if row["complete"] and row["outcome"] is not None and row["reason"] != "still_a_patient":
            checked += 1
            seen = reading.outcome(reading.stays[row["stay_id"]])
            assert seen == (row["outcome"] == "true"), (row["measure"], row["reason"])
    assert checked > 1_500


def test_linear_predictors_are_those_that_the_files_give(reading: Reading, outcomes: list[dict[str, Any]]) -> None:
    by_measure = defaultdict(list)
    for row in outcomes:
        by_measure[row["measure"]].append(row)
    for measure, rows in by_measure.items():
        for row in rows[:: max(1, len(rows) // 60)]:
            seen = reading.linear_predictor(reading.stays[row["stay_id"]], measure)
            assert seen == pytest.approx(row["linear_predictor"], abs=1e-12)


# Realism


@pytest.fixture(scope="module")
def nation() -> Simulation:
    return simulate(Options(hospitals=200, stays=120_000, seed=3))


def test_outcomes_happen_as_often_as_their_chances_say(nation: Simulation) -> None:
    for position, of in enumerate(nation.truth):
        effect = nation.facilities.effects[of.facility[of.known], position]
        chance = 1 / (1 + np.exp(-(of.linear_predictor[of.known] + effect)))
        spread = np.sqrt((chance * (1 - chance)).sum())
        assert abs(of.outcome[of.known].sum() - chance.sum()) < 4 * spread


def test_rates_lie_near_the_published_national_ones(nation: Simulation) -> None:
    published = Reference().national_rates(2025).value
    for of in nation.truth:
        expected = float(np.mean(1 / (1 + np.exp(-of.linear_predictor))))
        assert expected == pytest.approx(published[of.model.measure], rel=0.15)


def test_hospital_effects_spread_as_the_variances_say(nation: Simulation) -> None:
    effects = nation.facilities.effects[: nation.options.hospitals]
    tau2 = np.array([model.tau2 for model in nation.models])
    np.testing.assert_allclose(effects.var(axis=0), tau2, rtol=0.45)
    assert not nation.facilities.effects[nation.options.hospitals :].any()


def test_payment_ratios_are_plausible(nation: Simulation) -> None:
    amount = nation.tables["stays"]["base_operating_drg_amount"].values  # type: ignore[attr-defined]
    paid = ~np.isnan(amount)
    for of in nation.truth:
        ratio = np.nansum(amount[of.stay]) / amount[paid].sum()
        assert 0.008 < ratio < 0.075, of.model.measure


def test_returns_come_when_and_where_they_do(files: dict[str, Any], reading: Reading) -> None:
    days, elsewhere = [], []
    for stays in reading.of_person.values():
        for first, then in reading._pairs(stays):
            gap = (then.row["admit_date"] - first.row["discharge_date"]).days
            if gap > 30 or first.row["stay_id"] in reading.sent_on:
                continue
            other = first.row["ccn"] != then.row["ccn"]
            days.append(gap)
            elsewhere.append(other)
            assert gap > 1 or not other
    assert 0.15 < np.mean(elsewhere) < 0.32
    assert 9 < np.mean(days) < 15
    assert max(days) == 30
    apart = [
        (then.row["admit_date"] - first.row["discharge_date"]).days
        for stays in reading.of_person.values()
        for first, then in reading._pairs(stays)
    ]
    assert not [gap for gap in apart if 75 < gap <= 365], "a later episode looks back on no earlier one"


def test_people_are_as_varied_as_patients_are(files: dict[str, list[dict[str, Any]]]) -> None:
    payers = [row["payer"] for row in files["stays"]]
    assert 0.4 < payers.count("MA") / len(payers) < 0.55
    assert 0 < payers.count("other") / len(payers) < 0.06
    dual = {row["dual_code"] for row in files["enrollment"]}
    known = {row["code"] for row in Reference().rows("dual_status_codes")}
    assert {"02", "04", "08", "NA"} <= dual <= known
    assert any(not row["part_b"] for row in files["enrollment"])
    assert all(row["ffs"] != row["ma"] for row in files["enrollment"])
    assert {row["poa"] for row in files["diagnoses"]} == {"Y", "N", "U", "W", "1"}
    statuses = {row["discharge_status"] for row in files["stays"]}
    known = {row["code"] for row in Reference().rows("discharge_status_codes")}
    assert {"01", "02", "03", "06", "07", "20", "62"} <= statuses <= known
    paid = [row for row in files["stays"] if row["base_operating_drg_amount"] is not None]
    assert {row["payer"] for row in paid} == {"FFS"}
    assert all(row["total_paid"] >= row["base_operating_drg_amount"] > 1_000 for row in paid)


def test_winter_brings_more_pneumonia(nation: Simulation) -> None:
    of = nation.truth[MEASURES.index("PN")]
    day = nation.courses.stays.discharge[nation.selected.stay[of.stay]].astype("datetime64[D]")
    month = day.astype("datetime64[M]").astype(int) % 12
    assert np.isin(month, (11, 0, 1)).sum() > 1.3 * np.isin(month, (5, 6, 7)).sum()


# What the truth folder says


def test_truth_by_hospital_adds_up(folder: Path, outcomes: list[dict[str, Any]]) -> None:
    with (folder / "truth" / "hospital_measures.csv").open() as file:
        rows = {(row["measure"], row["ccn"]): row for row in csv.DictReader(file)}
    assert len(rows) == len(MEASURES) * OPTIONS.hospitals
    for (measure, ccn), row in rows.items():
        counted = [
            o for o in outcomes if (o["measure"], o["ccn"]) == (measure, ccn) and o["complete"] and o["reason"] is None
        ]
        expected = sum(1 / (1 + np.exp(-o["linear_predictor"])) for o in counted)
        own = sum(1 / (1 + np.exp(-o["linear_predictor"] - o["hospital_effect"])) for o in counted)
        assert int(row["stays"]) == len(counted)
        assert int(row["outcomes"]) == sum(o["outcome"] == "true" for o in counted)
        assert float(row["expected"] or 0) == pytest.approx(expected)
        assert float(row["predicted"] or 0) == pytest.approx(own)
        if counted:
            assert float(row["err"]) == pytest.approx(own / expected)


def test_truth_names_the_model(folder: Path) -> None:
    with (folder / "truth" / "coefficients.csv").open() as file:
        rows = {(row["measure"], row["variable_key"]): float(row["coefficient"]) for row in csv.DictReader(file)}
    model = Reference().published_model("HF", 2025).value
    assert rows["HF", "national_intercept"] == model.intercept
    assert {key: value for (m, key), value in rows.items() if m == "HF" and key != "national_intercept"} == dict(
        model.coefficients
    )


def test_an_older_model_can_be_asked_for() -> None:
    found = simulate(Options(hospitals=2, stays=500, seed=1, model_year=2021))
    assert {of.model.program_year for of in found.truth} == {2021}


# Wrong use


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (Options(0, 100, 1), "--hospitals"),
        (Options(MOST_HOSPITALS + 1, 100, 1), "--hospitals"),
        (Options(5, 0, 1), "--stays"),
        (Options(5, -3, 1), "--stays"),
        (Options(5, 100, -1), "--seed"),
        (Options(5, 100, 1, date(2024, 1, 1), date(2023, 1, 1)), "--start"),
        (Options(5, 100, 1, date(2024, 1, 1), date(2024, 2, 1)), "at least 90"),
    ],
)
def test_options_that_make_no_system_are_refused(options: Options, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        check_options(options)


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"not empty \(it holds notes.txt\).*--force"):
        check_folder(tmp_path, force=False)
    check_folder(tmp_path, force=True)
    with pytest.raises(UsageError, match="is a file"):
        check_folder(tmp_path / "notes.txt", force=True)
    with pytest.raises(UsageError, match="cannot be written"):
        check_folder(tmp_path / "notes.txt" / "below", force=True)


def test_writing_over_an_extract_leaves_one_extract(tmp_path: Path) -> None:
    small = simulate(Options(hospitals=2, stays=60, seed=1))
    write_simulation(small, tmp_path, "csv")
    (tmp_path / "notes.txt").write_text("mine")
    write_simulation(small, tmp_path, "parquet")
    assert sorted(path.name for path in tmp_path.glob("*.*")) == [
        *sorted([*(f"{name}.parquet" for name in CONTRACT), "notes.txt"])
    ]
    with pytest.raises(UsageError, match="parquet, csv"):
        write_simulation(small, tmp_path, "xlsx")
