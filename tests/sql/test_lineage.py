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


def test_what_is_not_of_the_index_stay_is_of_its_history() -> None:
    assert run().rows(
        "select in_history, string_agg(distinct found_in, ', ' order by found_in) from risk.factor_records group by all order by 1"
    ) == [(False, "index stay"), (True, "earlier stay, inpatient, professional")]


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


RUNS = (
    "Exact duplicates",
    "Complications of care, to FY2022",
    "Present on admission in every year",
    "Merging by condition",
    "HF: status codes",
)


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


# Beside every record that sets a factor stands one that must not be named: a day too old or too late, another person's, not present on
# admission, the principal diagnosis, a place that the list does not ask for.
TEMPTING = Rule(
    "Records that set a factor, and records that seem to",
    "",
    stays="""
        stay person ccn    in         out        dx                                                       px              status
        a    ann    360001 2025-03-01 2025-03-04 I50.9,E11.9/N,I48.91/N,Z95.1,R09.02/N,I48.0               -               01
        b    ann    360001 2025-03-04 2025-03-06 I50.9,D62/N,I50.1                                         -               01
        c    bea    360001 2025-03-01 2025-03-04 I21.02,I21.09,I13.2/N,Z95.5                               -               01
        d    cora   360001 2025-03-01 2025-03-08 I25.10,R57.0,R57.0/N,Z95.2                                021009W         01
        e    dora   360001 2025-03-01 2025-03-04 M16.4,M17.2,Q65.00                                        0SR90J9,0SRC0J9 01
        f    eve    360001 2025-03-01 2025-03-04 I13.2,I13.2/N,I13.2                                       -               01
        g    fay    360001 2025-03-01 2025-03-04 J44.1,G47.33/N,R09.02                                     -               01
        h    fay    360002 2024-11-01 2024-11-04 I50.9,G47.33/N                                            5A1955Z         01
        i    hal    360001 2025-03-01 2025-03-08 R57.0,R57.0                                              021009W         01
        j    gail   360001 2025-05-01 2025-05-04 M16.11                                                   0SR90J9         01
    """,
    history="""
        kind      person date       code    source
        diagnosis ann    2025-02-28 E11.9   -
        diagnosis ann    2025-03-01 E11.9   outpatient
        diagnosis ann    2024-03-01 E11.9   outpatient
        diagnosis ann    2024-02-29 E11.9   outpatient
        diagnosis ann    2025-01-10 I50.9   outpatient
        diagnosis ann    2025-01-10 I48.0   outpatient
        diagnosis ann    2025-01-10 Z95.1   outpatient
        diagnosis ann    2025-01-10 U07.1   outpatient
        diagnosis ann    2025-01-10 Z86.16  outpatient
        diagnosis gail   2025-01-10 E11.9   outpatient
        procedure ann    2025-02-28 021009W -
        procedure ann    2025-03-01 021009W outpatient
        procedure ann    2024-03-01 021009W outpatient
        procedure ann    2024-02-29 021009W outpatient
        procedure gail   2025-01-10 021009W outpatient
        procedure ann    2025-01-15 0DTJ4ZZ outpatient
        diagnosis bea    2025-01-10 I21.02  outpatient
        diagnosis bea    2025-01-10 I13.2   outpatient
        diagnosis cora   2025-01-10 R57.0   outpatient
        diagnosis dora   2025-01-10 M17.2   outpatient
        diagnosis dora   2025-01-10 Q65.00  outpatient
        diagnosis fay    2025-01-10 G47.33  professional
    """,
    persons="""
        person born
        gail   1950-01-02
    """,
    expect="",
)


def _records(**changes: Any) -> list[tuple[Any, ...]]:
    tables = canonical_tables(TEMPTING)
    for kind in ("history_diagnoses", "history_procedures"):
        tables[kind] = [row | {"source": None if row["source"] == "-" else row["source"]} for row in tables[kind]]
    warehouse = run_cohort(tables, [2028], TEMPTING.as_of, extract_end=TEMPTING.extract_end, **changes)
    return warehouse.rows(
        "select stay_id, variable_key, found_in, found_on::varchar, code, row_number from risk.risk_factor_sources "
        "order by all"
    )


def test_no_other_record_is_named() -> None:
    assert _records() == [
        ("a", "anemia", "index stay", "2025-03-04", "D62", 9),
        ("a", "arrhythmia", "index stay", "2025-03-01", "I480", 7),
        ("a", "arrhythmia", "outpatient", "2025-01-10", "I480", 7),
        ("a", "chf", "index stay", "2025-03-04", "I501", 10),
        ("a", "chf", "outpatient", "2025-01-10", "I509", 6),
        ("a", "diabetes", "claim", "2025-02-28", "E119", 2),
        ("a", "diabetes", "index stay", "2025-03-01", "E119", 3),
        ("a", "diabetes", "outpatient", "2024-03-01", "E119", 4),
        ("a", "hx_cabg", "claim", "2025-02-28", "021009W", 2),
        ("a", "hx_cabg", "index stay", "2025-03-01", "Z951", 5),
        ("a", "hx_cabg", "outpatient", "2024-03-01", "021009W", 4),
        ("a", "hx_cabg", "outpatient", "2025-01-10", "Z951", 8),
        ("a", "hx_covid", "outpatient", "2025-01-10", "U071", 9),
        ("a", "hx_covid", "outpatient", "2025-01-10", "Z8616", 10),
        ("a", "years_over_65", "person", None, None, 2),
        ("c", "acs", "index stay", "2025-03-01", "I2109", 12),
        ("c", "acs", "outpatient", "2025-01-10", "I2102", 12),
        ("c", "anterior_mi", "index stay", "2025-03-01", "I2102", 11),
        ("c", "chf", "outpatient", "2025-01-10", "I132", 13),
        ("c", "hx_ptca", "index stay", "2025-03-01", "Z955", 14),
        ("c", "renal_failure", "index stay", "2025-03-01", "I132", 13),
        ("c", "renal_failure", "outpatient", "2025-01-10", "I132", 13),
        ("c", "years_over_65", "person", None, None, 3),
        ("d", "cardiogenic_shock", "index stay", "2025-03-01", "R570", 16),
        ("d", "hx_cabg_or_valve", "index stay", "2025-03-01", "Z952", 18),
        ("d", "years_over_65", "person", None, None, 4),
        ("e", "congenital_hip_deformity", "index stay", "2025-03-01", "Q6500", 21),
        ("e", "congenital_hip_deformity", "outpatient", "2025-01-10", "Q6500", 16),
        ("e", "index_tha", "index stay", "2025-03-01", "0SR90J9", 3),
        ("e", "post_traumatic_oa", "index stay", "2025-03-01", "M164", 19),
        ("e", "post_traumatic_oa", "index stay", "2025-03-01", "M172", 20),
        ("e", "two_procedures", "index stay", "2025-03-01", "0SR90J9", 3),
        ("e", "two_procedures", "index stay", "2025-03-01", "0SRC0J9", 4),
        ("e", "years_over_65", "person", None, None, 5),
        ("f", "chf", "index stay", "2025-03-01", "I132", 22),
        ("f", "chf", "index stay", "2025-03-01", "I132", 24),
        ("f", "renal_failure", "index stay", "2025-03-01", "I132", 23),
        ("f", "renal_failure", "index stay", "2025-03-01", "I132", 24),
        ("f", "years_over_65", "person", None, None, 6),
        ("g", "cardioresp_failure", "index stay", "2025-03-01", "R0902", 27),
        ("g", "chf", "earlier stay", "2024-11-04", "I509", 28),
        ("g", "hx_mech_vent", "earlier stay", "2024-11-04", "5A1955Z", 5),
        ("g", "sleep_disordered_breathing", "earlier stay", "2024-11-04", "G4733", 29),
        ("g", "sleep_disordered_breathing", "index stay", "2025-03-01", "G4733", 26),
        ("g", "sleep_disordered_breathing", "professional", "2025-01-10", "G4733", 17),
        ("g", "years_over_65", "person", None, None, 7),
        ("h", "years_over_65", "person", None, None, 7),
        ("i", "cardiogenic_shock", "index stay", "2025-03-01", "R570", 31),
        ("i", "years_over_65", "person", None, None, 9),
        ("j", "diabetes", "outpatient", "2025-01-10", "E119", 11),
        ("j", "index_tha", "index stay", "2025-05-01", "0SR90J9", 7),
        ("j", "years_over_65", "person", None, None, 8),
    ]


def test_a_complication_of_the_index_stay_alone_is_named_only_under_the_newer_rule() -> None:
    newer, older = set(_records()), set(_records(parameters={"poa_rule": "complication_list"}))
    assert older <= newer
    assert sorted(newer - older) == [
        ("a", "arrhythmia", "index stay", "2025-03-01", "I480", 7),
        ("a", "chf", "index stay", "2025-03-04", "I501", 10),
        ("c", "acs", "index stay", "2025-03-01", "I2109", 12),
        ("f", "chf", "index stay", "2025-03-01", "I132", 24),
        ("g", "cardioresp_failure", "index stay", "2025-03-01", "R0902", 27),
    ]


def test_a_code_does_what_the_lists_say_in_each_place() -> None:
    """2 sets the variable, 1 only in years with the present-on-admission rule, 0 does not count, None is not looked at."""
    # D62 is in a category of anemia. R09.02 is a complication of care, and of cardioresp_failure by its category.
    listed = [
        ("diabetes", "index_principal", "ICD10CM", "E119"),
        ("anemia", "index_secondary_poa", "ICD10CM", "E119"),
        ("arrhythmia", "index_any", "ICD10CM", "E119"),
        ("copd", "any", "ICD10CM", "E119"),
        ("depression", "any_secondary", "ICD10CM", "E119"),
        ("dementia", "history", "ICD10CM", "E119"),
        ("renal_failure", "any", "ICD10CM", "R0902"),
        ("malnutrition", "any_secondary", "ICD10CM", "R0902"),
        ("cardioresp_failure", "index_any", "ICD10CM", "R0902"),
        ("cardioresp_failure", "any_secondary", "ICD10CM", "R0902"),
        ("hx_cabg", "procedure_12m", "ICD10PCS", "021009W"),
    ]
    columns = ("measure", "variable_key", "place", "code_system", "code_prefix", "confidence", "source")
    rule = Rule(
        "Codes in every place",
        "",
        stays="""
            stay person ccn    in         out        dx                        px      status
            a    ann    360001 2025-03-01 2025-03-04 I50.9,E11.9,R09.02,D62    021009W 01
        """,
        expect="",
    )
    warehouse = run_cohort(
        canonical_tables(rule),
        [2028],
        rule.as_of,
        extract_end=rule.extract_end,
        reference_rows={
            "risk_variable_codes": [
                dict(zip(columns, ("HF", *each, "high", "invented"), strict=True)) for each in listed
            ]
        },
        until="risk.factor_codes",
    )
    found = warehouse.rows(
        "select variable_key, code, as_principal, as_secondary_present, as_secondary_absent, in_history "
        "from risk.factor_codes inner join risk.variable_numbers using (variable_number) where measure = 'HF' order by all"
    )
    assert found == [
        ("anemia", "D62", None, 2, 2, 2),
        ("anemia", "E119", None, 2, None, None),
        ("arrhythmia", "E119", 2, 2, 2, None),
        ("cardioresp_failure", "R0902", 2, 2, 2, 2),
        ("chf", "I509", None, 1, 0, 2),
        ("copd", "E119", 2, 2, 2, 2),
        ("dementia", "E119", None, None, None, 2),
        ("depression", "E119", 0, 2, 2, 2),
        ("diabetes", "E119", 2, 2, 2, 2),
        ("hx_cabg", "021009W", None, None, None, 2),
        ("malnutrition", "R0902", 0, 1, 0, 2),
        ("renal_failure", "R0902", 2, 1, 0, 2),
    ]


def test_each_record_stands_once_for_each_measure_with_what_it_does() -> None:
    rule = Rule(
        "An index admission of two measures",
        "",
        stays="""
            stay person ccn    in         out        dx                                  px      status
            a    ann    360001 2025-01-01 2025-01-04 J44.9                               -       01
            b    ann    360001 2025-03-01 2025-03-08 I21.09,I50.9/N,D62/N,E11.9,R57.0/N  021009W 01
        """,
        history="""
            kind      person date       code    source
            diagnosis ann    2025-02-01 E11.9   outpatient
            diagnosis ann    2025-02-01 R57.0   outpatient
        """,
        expect="",
    )
    warehouse = run_cohort(canonical_tables(rule), [2028], rule.as_of, extract_end=rule.extract_end)
    found = warehouse.rows(
        "select measure, variable_key, counts, in_history, found_in, code from risk.factor_records "
        "inner join risk.variable_numbers using (variable_number) where measure in ('AMI', 'CABG') order by all"
    )
    assert found == [
        ("AMI", "anemia", 2, False, "index stay", "D62"),
        ("AMI", "anterior_mi", 2, False, "index stay", "I2109"),
        ("AMI", "chf", 0, False, "index stay", "I509"),
        ("AMI", "copd", 2, True, "earlier stay", "J449"),
        ("AMI", "diabetes", 2, False, "index stay", "E119"),
        ("AMI", "diabetes", 2, True, "outpatient", "E119"),
        ("CABG", "chf", 0, False, "index stay", "I509"),
        ("CABG", "copd", 2, True, "earlier stay", "J449"),
        ("CABG", "diabetes", 2, False, "index stay", "E119"),
        ("CABG", "diabetes", 2, True, "outpatient", "E119"),
    ]
    assert warehouse.rows("select count(*) from risk.factor_records") == [(len(found),)]
