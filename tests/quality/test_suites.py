"""Every rule holds on a sound warehouse, and fails on one that is broken in just the way that it forbids."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hrrp.program import Reference
from hrrp.quality import SUITES, Rule, validate
from hrrp.quality.suites import REASONS
from hrrp.settings import Settings
from hrrp.warehouse import open_warehouse

# Two people with two stays each, all of the tables that the suites look at, nothing wrong.
SOUND = """
create schema staging; create schema cohort; create schema risk; create schema result;
create table staging.stays as select * from (values
    (1, 'S1', 1, '990001', date '2024-01-03', date '2024-01-08', '01', 'FFS'),
    (2, 'S2', 1, '990001', date '2024-01-20', date '2024-01-25', '06', 'FFS'),
    (3, 'S3', 2, '990002', date '2024-03-01', date '2024-03-04', '01', 'MA'),
    (4, 'S4', 2, '990002', date '2024-09-01', date '2024-09-02', '20', null)
) as t(stay_key, stay_id, person_key, ccn, admit_date, discharge_date, discharge_status, payer);
create table staging.persons as select * from (values
    (1, 'P1', date '1940-05-05', 'M', null::date),
    (2, 'P2', date '1950-06-06', null, date '2024-09-02')
) as t(person_key, person_id, birth_date, sex, death_date);
create table staging.diagnoses as select * from (values
    (1, 1, 3), (1, 2, 1), (2, 1, 3), (3, 1, 4), (4, 1, 2)
) as t(stay_key, sequence, code_key);
create table staging.diagnosis_codes as select * from (values
    (1, 'E119', null), (2, 'I10', '1'), (3, 'I5021', 'Y'), (4, 'J189', 'N')
) as t(code_key, code, poa);
create table staging.enrollment as select * from (values
    (1, 24289, 24300, true), (1, 24301, 24301, false), (2, 24289, 24289, true)
) as t(person_key, first_month, last_month, ffs);
create table staging.enrollment_counts as select * from (values (1, true, 13), (1, false, 1), (2, true, 1)) as t(person_key, ffs, records);
create table staging.enrollment_faults as select * from (values ('enrollment.csv', 14, 'duplicate')) as t(source_file, row_number, reason);
create table staging.rejects as select * from (values
    ('stays.csv', 7, 'discharge_date', 'not a date', 'unreadable_date'),
    ('stays.csv', 9, 'stay_id', 'copy of an earlier record', 'duplicate')
) as t(source_file, row_number, column_name, value_class, reason);
create table staging.row_accounting as select * from (values
    ('stays.csv', 'stays', 6, 4, 2, 1), ('persons.csv', 'persons', 2, 2, 0, 0)
) as t(source_file, canonical_file, rows_read, rows_kept, rows_rejected, duplicates);
create table cohort.cohort_flow as select * from (values
    (2027, 'HF', 'S1', '990001', true, null, []::varchar[]),
    (2027, 'HF', 'S2', '990001', false, 'prior_30_days', ['prior_30_days']),
    (2027, 'PN', 'S3', '990002', true, null, [])
) as t(program_year, measure, stay_id, ccn, included, first_reason, reasons);
create table cohort.index_admissions as select * from (values
    (2027, 'HF', 'S1', 'P1', '990001', date '2024-01-03', date '2024-01-08'),
    (2027, 'PN', 'S3', 'P2', '990002', date '2024-03-01', date '2024-03-04')
) as t(program_year, measure, stay_id, person_id, ccn, admit_date, discharge_date);
create table cohort.readmissions as select * from (values
    (2027, 'HF', 'S1', 'S2', 12, false, true)
) as t(program_year, measure, stay_id, readmission_stay_id, days, planned, unplanned_readmission);
create table result.hospital_measures as select * from (values
    (2027, 'HF', '990001', 1, 1, 0.2, 0.19, 0.2 / 0.19, 0.9, 1.2, 0.4),
    (2027, 'PN', '990002', 1, 0, null, null, null, null, null, null)
) as t(program_year, measure, ccn, eligible_discharges, readmissions, predicted, expected, err, err_low, err_high, reliability);
create table result.hospital_penalties as select * from (values
    (2027, '990001', 0.001, 0.999, 0.999, 0.998, 1.0, 0.6, 12000.0),
    (2027, '990002', 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0)
) as t(program_year, ccn, payment_reduction, paf, paf_median, paf_low, paf_high, chance_of_penalty, penalty_usd);
"""

# How to break each rule; a rule that is added without a line here fails `test_every_rule_has_its_breakage`.
BREAK: dict[tuple[str, str], str] = {
    ("staging.stays", "not_empty"): "delete from staging.stays",
    ("staging.stays", "stay_key_unique"): "update staging.stays set stay_key = 1",
    ("staging.stays", "stay_id_unique"): "update staging.stays set stay_id = 'S1'",
    ("staging.stays", "person_key_present"): "update staging.stays set person_key = null where stay_key = 3",
    ("staging.stays", "person_known"): "update staging.stays set person_key = 77 where stay_key = 3",
    ("staging.stays", "ccn_length"): "update staging.stays set ccn = '90001' where stay_key = 3",
    ("staging.stays", "discharge_not_before_admission"): "update staging.stays set discharge_date = date '2023-01-01'",
    ("staging.stays", "discharge_status_known"): "update staging.stays set discharge_status = 'XX' where stay_key = 3",
    (
        "staging.stays",
        "overlapping_stays_rare",
    ): "update staging.stays set admit_date = '2024-01-05' where stay_key = 2",
    ("staging.stays", "no_stay_after_death"): "update staging.stays set discharge_status = '20' where stay_key = 3",
    ("staging.persons", "person_key_unique"): "update staging.persons set person_key = 1",
    ("staging.persons", "person_id_unique"): "update staging.persons set person_id = 'P1'",
    ("staging.persons", "birth_date_present"): "update staging.persons set birth_date = null",
    ("staging.persons", "sex_known"): "update staging.persons set sex = '1'",
    ("staging.persons", "death_not_before_birth"): "update staging.persons set death_date = date '1930-01-01'",
    ("staging.diagnoses", "one_row_each"): "update staging.diagnoses set sequence = 1",
    ("staging.diagnoses", "code_known"): "update staging.diagnoses set code_key = 9 where stay_key = 1",
    ("staging.diagnoses", "stay_known"): "update staging.diagnoses set stay_key = 88 where stay_key = 4",
    ("staging.diagnoses", "principal_diagnosis_present"): "delete from staging.diagnoses where stay_key = 4",
    ("staging.diagnosis_codes", "code_key_unique"): "update staging.diagnosis_codes set code_key = 1",
    ("staging.diagnosis_codes", "code_length"): "update staging.diagnosis_codes set code = 'I5' where code_key = 3",
    ("staging.diagnosis_codes", "poa_known"): "update staging.diagnosis_codes set poa = 'Q' where code_key = 2",
    ("staging.rejects", "one_row_each"): "update staging.rejects set row_number = 7",
    ("staging.rejects", "source_file_present"): "update staging.rejects set source_file = null",
    ("staging.rejects", "reason_present"): "update staging.rejects set reason = null",
    ("staging.rejects", "value_class_present"): "update staging.rejects set value_class = null",
    ("staging.enrollment", "months_add_up"): "delete from staging.enrollment where person_key = 2",
    ("staging.row_accounting", "one_row_each"): "insert into staging.row_accounting from staging.row_accounting",
    ("staging.row_accounting", "rows_add_up"): "update staging.row_accounting set rows_kept = null",
    ("staging.row_accounting", "duplicates_are_rejects"): "update staging.row_accounting set duplicates = 3",
    ("cohort.cohort_flow", "one_row_each"): "update cohort.cohort_flow set stay_id = 'S1'",
    ("cohort.cohort_flow", "measure_known"): "update cohort.cohort_flow set measure = 'STROKE'",
    ("cohort.cohort_flow", "first_reason_known"): (
        "update cohort.cohort_flow set first_reason = 'other', reasons = ['other'] where not included"
    ),
    ("cohort.cohort_flow", "included_or_reason"): "update cohort.cohort_flow set reasons = ['age', 'prior_30_days']",
    ("cohort.index_admissions", "one_row_each"): "update cohort.index_admissions set stay_id = 'S1', measure = 'HF'",
    ("cohort.index_admissions", "as_in_cohort_flow"): "delete from cohort.index_admissions where measure = 'PN'",
    ("cohort.index_admissions", "within_applicable_period"): (
        "update cohort.index_admissions set discharge_date = date '2019-01-01'"
    ),
    ("cohort.readmissions", "one_row_each"): "insert into cohort.readmissions from cohort.readmissions",
    ("cohort.readmissions", "days_in_range"): "update cohort.readmissions set days = 31",
    ("cohort.readmissions", "unplanned_or_planned"): "update cohort.readmissions set planned = true",
    ("cohort.readmissions", "index_admission_known"): "update cohort.readmissions set readmission_stay_id = 'S1'",
    ("risk.risk_factors", "one_row_each"): "insert into risk.risk_factors from risk.risk_factors",
    ("risk.risk_factors", "value_present"): "update risk.risk_factors set value = null",
    ("risk.risk_factors", "variable_of_measure"): "update risk.risk_factors set variable_key = 'unknown'",
    ("risk.risk_factors", "index_admission_known"): "update risk.risk_factors set stay_id = 'S4'",
    ("result.hospital_measures", "one_row_each"): "insert into result.hospital_measures from result.hospital_measures",
    ("result.hospital_measures", "measure_known"): "update result.hospital_measures set measure = 'STROKE'",
    (
        "result.hospital_measures",
        "readmissions_within_discharges",
    ): "update result.hospital_measures set readmissions = 9",
    ("result.hospital_measures", "err_is_predicted_over_expected"): "update result.hospital_measures set err = 1.01",
    ("result.hospital_measures", "interval_holds_err"): "update result.hospital_measures set err_low = 1.1",
    ("result.hospital_measures", "err_in_range"): "update result.hospital_measures set err = 3.0",
    ("result.hospital_measures", "reliability_in_range"): "update result.hospital_measures set reliability = 1.1",
    ("result.hospital_penalties", "not_empty"): "delete from result.hospital_penalties",
    ("result.hospital_penalties", "one_row_each"): "update result.hospital_penalties set ccn = '990001'",
    ("result.hospital_penalties", "factor_is_one_minus_reduction"): "update result.hospital_penalties set paf = 0.9",
    (
        "result.hospital_penalties",
        "reduction_within_cap",
    ): "update result.hospital_penalties set payment_reduction = 0.031",
    ("result.hospital_penalties", "interval_in_order"): "update result.hospital_penalties set paf_high = 1.1",
    ("result.hospital_penalties", "chance_of_penalty_in_range"): (
        "update result.hospital_penalties set chance_of_penalty = -0.1"
    ),
    ("result.hospital_penalties", "penalty_usd_in_range"): "update result.hospital_penalties set penalty_usd = -5",
}

RULES = [(table, rule) for table, rules in SUITES.items() for rule in rules]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("quality") / "sound.duckdb"
    with open_warehouse(path, Settings()) as warehouse:
        warehouse.load_reference(Reference())
        warehouse.execute(SOUND)
        warehouse.execute(
            "create table risk.risk_factors as select 2027 as program_year, measure, 'S1' as stay_id, variable_key, 1.0 as value "
            "from reference.risk_variables where measure = 'HF' order by variable_key limit 2"
        )
    yield path


@pytest.mark.parametrize("table", SUITES)
def test_sound_tables_pass_every_rule(sound: Path, table: str) -> None:
    results = validate(sound, table, Settings())
    assert [result.rule.check for result in results] == [rule.check for rule in SUITES[table]]
    assert [result.rule.check for result in results if not (result.passed and result.ran)] == []


def test_every_rule_has_its_breakage() -> None:
    assert sorted(BREAK) == sorted((table, rule.check) for table, rule in RULES)


@pytest.mark.parametrize(("table", "rule"), RULES, ids=[f"{table}.{rule.check}" for table, rule in RULES])
def test_a_broken_table_fails_the_rule_and_shows_no_value(sound: Path, tmp_path: Path, table: str, rule: Rule) -> None:
    broken = tmp_path / "broken.duckdb"
    shutil.copyfile(sound, broken)
    with open_warehouse(broken, Settings()) as warehouse:
        warehouse.execute(BREAK[table, rule.check])
    (result,) = validate(broken, table, Settings(), (rule,))
    assert result.ran
    assert not result.passed
    assert all(isinstance(value, float) for value in result.counts.values())


def test_a_rule_that_cannot_run_has_not_passed(sound: Path) -> None:
    rule = Rule("absent", "A column that is not there.", "ExpectColumnValuesToNotBeNull", {"column": "no_such_column"})
    (result,) = validate(sound, "staging.stays", Settings(), (rule,))
    assert not result.ran
    assert not result.passed


def test_checks_have_names_and_descriptions_of_their_own() -> None:
    for table, rules in SUITES.items():
        names = [rule.check for rule in rules]
        assert len(set(names)) == len(names), table
        for rule in rules:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", rule.check)
            assert rule.description.endswith(".")
            assert len(rule.description) > 20


def test_queries_select_a_constant_and_never_a_column() -> None:
    for table, rule in RULES:
        query = rule.arguments.get("unexpected_rows_query")
        if query is not None:
            assert query.startswith("select 1 from "), (table, rule.check)


def test_reasons_are_unique() -> None:
    assert len(set(REASONS)) == len(REASONS) == 24
