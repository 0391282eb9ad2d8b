"""The shipped tables say what the collected facts say, cell by cell; skipped where the collected facts are not at hand."""

from __future__ import annotations

import csv
import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

from hrrp.program import Reference
from hrrp.settings import reference_dir

CHECKOUT = Path(__file__).resolve().parents[2]

# Shipped column -> collected column, for tables that are carried over row by row; `source` is added or made whole.
CARRIED: dict[str, dict[str, str]] = {
    "peer_group_medians": {name: name for name in ("program_year", "peer_group", "measure", "median_err", "source")},
    "peer_group_cuts": {
        name: name
        for name in ("program_year", "peer_group", "lowest_dual_proportion", "highest_dual_proportion", "hospitals")
    },
    "national_rates": {name: name for name in ("program_year", "measure", "national_observed_unplanned_30d_rate")},
    "between_hospital_variance": {name: name for name in ("measure", "tau2", "confidence")},
    "risk_coefficients": {
        name: name
        for name in ("program_year", "measure", "report_order", "variable_key", "report_label", "coefficient")
    },
    "risk_variable_codes": {
        name: name for name in ("measure", "variable_key", "place", "code_system", "code_prefix", "confidence")
    },
    "cohort_codes": {name: name for name in ("measure", "role", "code_system", "code_prefix", "confidence")},
    "outcome_exception_codes": {
        name: name for name in ("exception", "code_system", "code_prefix", "rule", "confidence")
    },
    "discharge_status_codes": {name: name for name in ("code", "meaning", "description")},
    "ccs_gap_icd10pcs": {"code": "icd10pcs", "ccs": "suggested_ccs", "confidence": "confidence"},
    "risk_variables": {
        "measure": "measure",
        "report_order": "report_order_fy2025",
        "variable_key": "variable_key",
        "report_label": "report_label",
        "type": "type",
        "other_rule": "other_rule",
        "confidence": "definition_confidence",
    },
    "program_years": {
        name: name
        for name in (
            *("program_year", "max_reduction", "method", "neutrality_modifier", "claims_snapshot", "covid_rule"),
            *("hospitals_in_file", "penalized", "pct_penalized", "mean_reduction_pct_all", "at_cap", "poa_rule"),
            *("mean_reduction_pct_penalized", "estimated_total_usd", "confidence"),
        )
    }
    | {"note": "notes"},
}


@pytest.fixture(scope="module")
def collected() -> Path:
    folder = Path(os.environ.get("HRRP_CMS_DIR", CHECKOUT.parent / "shared" / "cms")).parent / "reference"
    if not folder.is_dir():
        pytest.skip("the collected facts are not at hand")
    return folder


def raw(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "scripts" / "reference" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("table", CARRIED)
def test_rows_are_carried_over(collected: Path, table: str) -> None:
    columns = CARRIED[table]
    shipped = [tuple(row[name] for name in columns) for row in Reference().rows(table)]
    facts = [tuple(row[name] for name in columns.values()) for row in raw(collected, table)]
    assert sorted(shipped) == sorted(facts)


def test_years_are_split_into_periods_and_measures(collected: Path) -> None:
    reference = Reference()
    flags = {row["program_year"]: row["medicare_advantage"] for row in reference.rows("program_years")}
    for row in raw(collected, "program_years"):
        rules = reference.program_year(int(row["program_year"]))
        assert ";".join(f"{p.start}/{p.end}" for p in rules.periods) == row["performance_segments"]
        assert " ".join(rules.measures_in_payment) == row["measures_in_payment"]
        assert flags[row["program_year"]] == {"yes": "true", "no": "false"}[row["medicare_advantage"]]
    windows = {
        row["program_year"]: "/".join(filter(None, (row["review_start"], row["review_end"])))
        for row in reference.rows("program_years")
    }
    assert windows == {row["program_year"]: row["review_window"] for row in raw(collected, "program_years")}


def test_measures(collected: Path) -> None:
    facts = {row["measure"]: row for row in raw(collected, "cohorts")}
    shipped = {row["measure"]: row for row in Reference().rows("measures")}
    assert set(shipped) == set(facts)
    for measure, row in shipped.items():
        fact = facts[measure]
        assert row["minimum_age"] == fact["min_age"]
        assert row["first_program_year"] == fact["in_payment_from_fy"]
        assert (row["same_day_discharge_excluded"] == "true") == (fact["same_day_discharge_excluded"] == "yes")
        assert row["confidence"] == fact["confidence"]
        assert fact["condition_or_procedure"].startswith(row["name"])
    attribution = {measure: row["transfer_attribution"] for measure, row in shipped.items()}
    assert attribution == dict.fromkeys(("AMI", "COPD", "HF", "PN"), "last_hospital") | {
        "CABG": "first_hospital",
        "THA_TKA": "operating_hospital",
    }
    assert {m for m, row in shipped.items() if row["prior_index_rule"] == "first_in_period"} == {"CABG"}


def test_categories_of_each_variable(collected: Path) -> None:
    shipped = sorted((row["measure"], row["variable_key"], row["cc"]) for row in Reference().rows("risk_variable_ccs"))
    facts = [
        (row["measure"], row["variable_key"], cc)
        for row in raw(collected, "risk_variables")
        for cc in row["cc_v22"].split()
    ]
    assert shipped == sorted(facts)
    labels = {
        row["cc"]: (row["label"], row["complication_of_care"]) for row in Reference().rows("condition_categories")
    }
    yes = {"yes": "true", "no": "false"}
    assert labels == {
        row["cc"]: (row["label"], yes[row["complication_of_care_if_index_only"]])
        for row in raw(collected, "cc_v22_labels")
    }


def test_payment_map_sizes_by_category(collected: Path) -> None:
    counts: dict[str, int] = {}
    for row in Reference().rows("cc_icd10cm"):
        if row["origin"] == "V22":
            counts[row["cc"]] = counts.get(row["cc"], 0) + 1
    for row in raw(collected, "cc_v22_labels"):
        assert counts.get(row["cc"], 0) == int(row["icd10cm_codes_in_v22_payment_map"]), row["cc"]


def test_gap_codes_of_the_diagnosis_map(collected: Path) -> None:
    shipped = {
        (row["code"], row["ccs"], row["origin"].removeprefix("gap "))
        for row in Reference().rows("ccs_icd10cm")
        if row["origin"].startswith("gap ")
    }
    facts = {
        (row["icd10cm"], row["suggested_ccs"], row["confidence"])
        for row in raw(collected, "ccs_gap_icd10cm")
        if row["suggested_ccs"]
    }
    assert shipped == facts


def test_planned_admission_codes_are_carried_over(collected: Path) -> None:
    columns = ("list", "code_system", "code_prefix", "label", "note")
    shipped = [
        tuple(row[name] for name in columns)
        for row in Reference().rows("planned_admission_codes")
        if row["list"] != "potentially_planned_procedure_2019_only"
    ]
    assert shipped == [tuple(row[name] for name in columns) for row in raw(collected, "planned_admission_codes")]


def test_the_build_script_makes_exactly_what_is_shipped(collected: Path, tmp_path: Path) -> None:
    build = script("build_tables")
    for step in (build.program_years, build.measures, build.national_figures, build.risk_model, build.code_lists):
        step(collected, tmp_path)
    built = sorted(tmp_path.glob("*.csv"))
    assert len(built) == 17
    for path in built:
        assert path.read_bytes() == (reference_dir() / path.name).read_bytes(), path.name


def test_gap_prefixes_of_categories(collected: Path) -> None:
    """The gap rows of the shipped map follow from the prefixes by a plain reading of the rule."""
    prefixes = [
        (prefix, row["cc_v22"], row["exclude_prefixes"].split())
        for row in raw(collected, "cc_gap_icd10cm_prefixes")
        for prefix in row["include_prefixes"].split()
    ]
    by_letter: dict[str, list[tuple[str, str, list[str]]]] = {}
    for entry in sorted(prefixes, key=lambda entry: -len(entry[0])):
        by_letter.setdefault(entry[0][0], []).append(entry)
    rows = Reference().rows("cc_icd10cm")
    mapped = {row["code"] for row in rows if row["origin"] in {"V22", "V24"}}
    shipped = {row["code"]: row["cc"] for row in rows if row["origin"] == "gap prefix"}
    for code in {row["code"] for row in Reference().rows("ccs_icd10cm")} - mapped:
        expected = next(
            (
                cc
                for prefix, cc, excluded in by_letter.get(code[0], [])
                if code.startswith(prefix) and not any(code.startswith(each) for each in excluded)
            ),
            None,
        )
        assert shipped.get(code) == expected, code
