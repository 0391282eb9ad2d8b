"""From a stay and its risk factors to the source file and record of each."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import run_cohort
from patient_tables import Rule, _same_run, _tables, canonical_tables
from test_rules import ALL_RULES

# The invented patients of the oracle's tests, which are dense in edge cases.
ORACLE = str(Path(__file__).parents[1] / "oracle")
if ORACLE not in sys.path:
    sys.path.append(ORACLE)

SYSTEM = Rule(
    "A heart failure stay with a history",
    "",
    stays="""
        stay person ccn    in         out        dx                  px      status
        a    ann    360001 2024-12-01 2024-12-04 E11.9,J44.9         -       01
        b    ann    360001 2025-03-01 2025-03-04 I50.9,N18.6,I48.91  -       01
        c    ann    360001 2025-03-04 2025-03-06 I50.9,D62/N         -       01
        d    ann    360002 2025-03-20 2025-03-24 E11.9               -       01
        e    bob    360001 2025-03-01 2025-03-08 I25.10              021009W 02
        f    bob    360002 2025-03-08 2025-03-20 I25.10              -       01
        g    cora   360001 2025-03-01 2025-03-04 M17.0               0SRC0J9,0SRD0J9,0DTJ4ZZ 01
    """,
    persons="""
        person born       sex
        bob    1950-01-02 M
    """,
    history="""
        kind      person date       code    source
        diagnosis ann    2024-11-01 E11.9   professional
        diagnosis ann    2024-02-01 J44.9   outpatient
        procedure ann    2024-11-02 021009W inpatient
    """,
    expect="",
)


def run() -> Any:
    return run_cohort(canonical_tables(SYSTEM), [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)


def test_risk_factors_name_the_records_that_set_them() -> None:
    found = run().rows(
        "select variable_key, found_in, code, source_file, row_number from risk.risk_factor_sources "
        "where measure = 'HF' and stay_id = 'b' order by all"
    )
    assert found == [
        ("anemia", "index stay", "D62", "diagnoses.csv", 8),
        ("arrhythmia", "index stay", "I4891", "diagnoses.csv", 6),
        ("copd", "earlier stay", "J449", "diagnoses.csv", 3),
        ("diabetes", "earlier stay", "E119", "diagnoses.csv", 2),
        ("diabetes", "professional", "E119", "history_diagnoses.csv", 2),
        ("hx_cabg", "inpatient", "021009W", "history_procedures.csv", 2),
        ("renal_failure", "index stay", "N186", "diagnoses.csv", 5),
        ("years_over_65", "person", None, "persons.csv", 2),
    ]


def test_a_joint_replacement_names_its_procedures() -> None:
    assert run().rows(
        "select code, source_file, row_number from risk.risk_factor_sources where variable_key = 'two_procedures' order by all"
    ) == [("0SRC0J9", "procedures.csv", 3), ("0SRD0J9", "procedures.csv", 4)]


def test_stays_and_returns_name_their_records() -> None:
    found = run().rows(
        "select measure, stay_id, role, source_stay_id, source_file, row_number from cohort.stay_sources order by all"
    )
    assert found == [
        ("CABG", "e", "last stay of the transfer chain", "f", "stays.csv", 7),
        ("CABG", "e", "stay", "e", "stays.csv", 6),
        ("HF", "b", "first return", "d", "stays.csv", 5),
        ("HF", "b", "stay", "b", "stays.csv", 3),
        ("HF", "b", "stay", "c", "stays.csv", 4),
        ("THA_TKA", "g", "stay", "g", "stays.csv", 8),
    ]


def _agrees(warehouse: Any) -> None:
    """Every risk factor has a record, every record belongs to a risk factor, and the record named holds the code."""
    keys = "(program_year, measure, stay_key, variable_key)"
    assert warehouse.count("risk.risk_factors") > 0
    for one, other in (("factors", "factor_sources"), ("factor_sources", "factors")):
        without = warehouse.rows(
            f"select variable_key, count(*) from risk.risk_{one} anti join risk.risk_{other} using {keys} group by all"
        )
        assert without == [], f"{one} without {other}"
    assert warehouse.rows("select count(*) from risk.risk_factor_sources where code is not null") != [(0,)]
    assert warehouse.rows("""
        with records as (
            select source_file, row_number, code from intake.diagnoses
            union all select source_file, row_number, code from intake.procedures
            union all select source_file, row_number, code from intake.history_diagnoses
            union all select source_file, row_number, code from intake.history_procedures
        )
        select count(*) from risk.risk_factor_sources as sources
        left join records using (source_file, row_number)
        where sources.code is not null and sources.code is distinct from upper(replace(trim(records.code), '.', ''))
        """) == [(0,)]


RUNS = ("Exact duplicates", "Complications of care, to FY2022", "Merging by condition", "HF: status codes")


@pytest.mark.parametrize("title", RUNS)
def test_every_risk_factor_of_the_patient_tables_has_its_records(title: str) -> None:
    (rule,) = (rule for rule in ALL_RULES if rule.title == title)
    together = tuple(other for other in ALL_RULES if _same_run(other, rule))
    _agrees(run_cohort(_tables(together), rule.years, rule.as_of, rule.parameters, extract_end=rule.extract_end))


@pytest.mark.parametrize("number", [0, 1, 6])
def test_every_risk_factor_of_invented_patients_has_its_records(number: int) -> None:
    from histories import FILES, seeded_patients
    from runs import RUNS as ORACLE_RUNS

    chosen = ORACLE_RUNS[number]
    people: Sequence[Any] = seeded_patients(chosen.world(), 3, 250)
    tables = {name: [row for patient in people for row in patient[name]] for name in FILES}
    _agrees(
        run_cohort(
            tables,
            list(chosen.program_years),
            as_of=chosen.as_of or chosen.extract_end,
            extract_end=chosen.extract_end,
            parameters=dict(chosen.parameters),
        )
    )
