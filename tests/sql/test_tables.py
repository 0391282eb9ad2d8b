"""The tables that others rely on: counts that add up, payments, the report's numbers, codes without a category."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from harness import run_cohort
from patient_tables import Rule, canonical_tables

from hrrp.program import Reference
from hrrp.warehouse import load_steps

SYSTEM = Rule(
    "A small system",
    "",
    stays="""
        stay person ccn    in         out        dx     px      status payer amount
        a    ann    360001 2025-03-01 2025-03-04 I50.9  -       01     FFS   1000
        b    ann    360001 2025-03-20 2025-03-24 I50.9  00160JA 01     FFS   2000
        c    bea    360001 2025-04-01 2025-04-04 I50.9  -       20     MA    4000
        d    cora   360001 2025-05-01 2025-05-04 J44.1  -       07     FFS   8000
        e    dora   360001 2025-06-01 2025-06-04 E11.9  -       01     other 16000
        f    dora   360002 2025-08-01 2025-08-04 I50.9  -       01     FFS   -
        g    eve    361301 2025-08-01 2025-08-04 I50.9  -       01     FFS   32000
    """,
    persons="""
        person born       died
        bea    1950-01-02 2025-04-04
        cora   1962-01-02 -
    """,
    enrollment="""
        person from    to      cover dual
        ann    2025-03 2025-03 AB    2
        bea    2025-03 2025-03 MA    08
        bea    2025-04 2025-04 MA    01
        cora   2025-05 2025-05 AB    03
    """,
    expect="",
)


def run(**changes: Any) -> Any:
    tables = canonical_tables(SYSTEM)
    tables.update(changes)
    return run_cohort(tables, [2028, 2027], SYSTEM.as_of, extract_end=SYSTEM.extract_end)


def test_counts_add_up() -> None:
    warehouse = run()
    assert warehouse.rows(
        "select ccn, first_reason, stays, candidates from cohort.measure_counts "
        "where program_year = 2028 and measure = 'HF' order by all"
    ) == [
        ("360001", "died_in_hospital", 1, 3),
        ("360001", "included", 1, 3),
        ("360001", "prior_30_days", 1, 3),
        ("360002", "included", 1, 1),
        ("361301", "not_short_term_acute", 1, 1),
    ]
    assert warehouse.rows(
        "select count(*) from (select candidates, sum(stays) as total from cohort.measure_counts "
        "group by program_year, measure, ccn, candidates) where candidates <> total"
    ) == [(0,)]


PARTS = Rule(
    "Stays of one record and of several",
    "",
    stays="""
        stay person in         out        dx    status
        a    ann    2025-03-01 2025-03-04 I50.9 30
        b    ann    2025-03-04 2025-03-08 I50.9 07
        c    bea    2025-03-01 2025-03-04 I50.9 20
        d    cora   2025-03-01 2025-03-04 I50.9 01
        e    cora   2025-03-04 2025-03-04 -     01
        f    cora   2025-03-04 2025-03-06 I50.9 01
    """,
    expect="",
)


def test_stays_of_one_record_and_of_several() -> None:
    """A record without a principal diagnosis stands between two records, which are then not one stay."""
    warehouse = run_cohort(canonical_tables(PARTS), [2028], PARTS.as_of, extract_end=PARTS.extract_end)
    assert warehouse.rows(
        "select records.stay_id, stays.discharge_status, stays.ended, stays.parts from cohort.stays "
        "inner join staging.stays as records using (stay_key) order by records.stay_id"
    ) == [
        ("a", "07", "left_against_medical_advice", 2),
        ("c", "20", "died", 1),
        ("d", "01", "other", 1),
        ("e", "01", "other", 1),
        ("f", "01", "other", 1),
    ]
    assert warehouse.rows(
        "select stay_id, last_ended from cohort.period_stays where measure = 'HF' order by stay_id"
    ) == [
        ("a", "left_against_medical_advice"),
        ("c", "died"),
        ("d", "other"),
        ("f", "other"),
    ]


def test_index_admissions_are_the_included_stays() -> None:
    warehouse = run()
    assert warehouse.rows("select distinct reasons from cohort.cohort_flow where included") == [([],)]
    query = "select program_year, measure, stay_id, ccn from {} {} order by all"
    assert warehouse.rows(query.format("cohort.index_admissions", "")) == warehouse.rows(
        query.format("cohort.cohort_flow", "where included")
    )
    assert {name for (name,) in warehouse.rows("select distinct person_id from cohort.index_admissions")} == {
        "ann",
        "dora",
    }


def test_the_reports_numbers() -> None:
    warehouse = run()
    assert warehouse.rows(
        "select stay_id, indicator from cohort.report_indicators where program_year = 2028 order by measure, stay_id"
    ) == [("d", "3"), ("a", "0"), ("b", "5"), ("c", "2"), ("f", "0"), ("g", None)]


def test_numbers_of_several_reasons_are_joined_in_ascending_order() -> None:
    tables = canonical_tables(SYSTEM)
    tables["enrollment"] = [row for row in tables["enrollment"] if row["month"] not in ("2025-05", "2025-06")]
    warehouse = run_cohort(tables, [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows("select indicator from cohort.report_indicators where stay_id = 'd'") == [("1,3,5",)]


def test_dual_proportions() -> None:
    # ann's dual status is 02 in the month of discharge; bea died in the month, so that the month before counts; dora's stay e is
    # neither fee for service nor Medicare Advantage; critical access hospitals are not in the program.
    assert run().rows(
        "select ccn, dual_stays, stays, dual_proportion, basis from payment.dual_proportions where program_year = 2028"
    ) == [("360001", 3, 4, 0.75, "stays"), ("360002", 0, 1, 0.0, "stays")]


def test_dual_status_of_the_month_of_death_before_fy2021() -> None:
    tables = canonical_tables(SYSTEM)
    warehouse = run_cohort(
        tables, [2028], SYSTEM.as_of, {"dual_previous_month_from": 2029}, extract_end=SYSTEM.extract_end
    )
    assert warehouse.rows("select dual_stays from payment.dual_proportions where ccn = '360001'") == [(2,)]


def test_dual_proportions_of_the_hospitals_file() -> None:
    tables = canonical_tables(SYSTEM)
    for row in tables["enrollment"]:
        row["dual_code"] = None
    tables["hospitals"] = [
        {"ccn": "360001", "name": "First", "dual_proportion": 0.2},
        {"ccn": "360009", "name": "Ninth", "dual_proportion": 0.3},
    ]
    warehouse = run_cohort(tables, [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows(
        "select ccn, dual_stays, stays, dual_proportion, basis from payment.dual_proportions order by ccn"
    ) == [
        ("360001", None, 4, 0.2, "hospitals file"),
        ("360002", None, 1, None, "unknown"),
        ("360009", None, 0, 0.3, "hospitals file"),
    ]


def test_drg_payment_ratios_are_of_fee_for_service() -> None:
    # Stay a is the index admission (1000); all fee-for-service stays of the hospital: a, b, d.
    assert run().rows(
        "select ccn, measure, measure_payments, all_payments, drg_payment_ratio, basis from payment.drg_payment_ratios "
        "where program_year = 2028 and measure in ('HF', 'COPD') order by ccn, measure"
    ) == [
        ("360001", "COPD", 0.0, 11000.0, 0.0, "stays"),
        ("360001", "HF", 1000.0, 11000.0, 1000 / 11000, "stays"),
        ("360002", "COPD", None, None, None, "unknown"),
        ("360002", "HF", None, None, None, "unknown"),
    ]


def test_excepted_quarters_leave_payments_and_dual_proportion() -> None:
    hospitals = [{"ccn": "360001", "name": "First", "excluded_quarters": "2025Q2"}]
    warehouse = run(hospitals=hospitals)
    assert warehouse.rows(
        "select stays from payment.dual_proportions where program_year = 2028 and ccn = '360001'"
    ) == [(2,)]
    assert warehouse.rows(
        "select distinct all_payments from payment.drg_payment_ratios where program_year = 2028 and ccn = '360001'"
    ) == [(3000.0,)]


def test_annual_payments() -> None:
    tables = canonical_tables(SYSTEM)
    tables["hospitals"] = [
        {"ccn": "360002", "name": "Second", "annual_base_operating_payments": 5e6},
        {"ccn": "360009", "name": "Ninth"},
    ]
    # The last 12 full months before 15 March 2026 begin in March 2025: a, b and d are 11000 in them.
    day = date(2026, 3, 15)
    warehouse = run_cohort(tables, [2028], day, extract_end=day)
    assert warehouse.rows("select * from payment.annual_payments order by ccn") == [
        ("360001", 11000.0, "stays"),
        ("360002", 5e6, "hospitals file"),
        ("360009", None, "unknown"),
    ]
    # On the last day of a month that month is full; an extract of eight months (March to October) is brought to a year.
    day = date(2025, 10, 31)
    warehouse = run_cohort(tables, [2028], day, extract_end=day)
    assert warehouse.rows(
        "select annual_base_operating_payments from payment.annual_payments where ccn = '360001'"
    ) == [(pytest.approx(11000.0 * 12 / 8),)]


def system(stays: str, **more: str) -> dict[str, list[dict[str, Any]]]:
    """The canonical tables of a few stays."""
    return canonical_tables(Rule("", "", stays=stays, expect="", **more))  # type: ignore[arg-type]


BOUNDS = """
    stay person ccn    in         out        dx    payer amount
    a    pa     360001 2024-06-29 2024-06-30 E11.9 FFS   1
    b    pb     360001 2024-06-30 2024-07-01 E11.9 FFS   2
    c    pc     360001 2026-06-29 2026-06-30 E11.9 FFS   4
    d    pd     360001 2026-06-30 2026-07-01 E11.9 FFS   8
"""


def test_the_first_and_the_last_day_of_the_period_count_for_payments() -> None:
    warehouse = run_cohort(system(BOUNDS), [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows("select sum(base_operating_drg_amount), count(*) from payment.period_discharges") == [(6, 2)]


def test_the_first_and_the_last_day_of_an_excepted_quarter_are_dropped() -> None:
    """Under the number that the hospital had or has; another hospital's quarter drops nothing."""
    stays = """
        stay person ccn    in         out        dx    payer amount
        a    pa     360001 2025-03-30 2025-03-31 E11.9 FFS   1
        b    pb     360001 2025-03-31 2025-04-01 E11.9 FFS   2
        c    pc     360001 2025-06-29 2025-06-30 E11.9 FFS   4
        d    pd     360001 2025-06-30 2025-07-01 E11.9 FFS   8
        e    pe     360002 2025-05-01 2025-05-02 E11.9 FFS   16
        f    pf     360003 2025-05-03 2025-05-04 E11.9 FFS   32
    """
    change = {"predecessor_ccn": "360002", "successor_ccn": "360003", "effective_date": "2025-06-01", "source": "test"}
    for listed, left in (("360001", 1 + 8 + 16 + 32), ("360002", 15 + 32), ("360003", 15)):
        tables = system(stays) | {"hospitals": [{"ccn": listed, "name": "Any", "excluded_quarters": "2025Q2"}]}
        warehouse = run_cohort(
            tables,
            [2028],
            SYSTEM.as_of,
            extract_end=SYSTEM.extract_end,
            reference_rows={"hospital_successions": [change]},
        )
        assert warehouse.rows("select sum(base_operating_drg_amount) from payment.period_discharges") == [(left,)]


def test_twelve_months_of_payments_from_their_first_day_to_their_last() -> None:
    """March 2025 to February 2026; a critical access hospital's payments are none, though the hospitals file lists it."""
    stays = """
        stay person ccn    in         out        dx    payer amount
        a    pa     360001 2025-02-27 2025-02-28 E11.9 FFS   1
        b    pb     360001 2025-02-28 2025-03-01 E11.9 FFS   2
        c    pc     360001 2026-02-27 2026-02-28 E11.9 FFS   4
        d    pd     360001 2026-02-28 2026-03-01 E11.9 FFS   8
        e    pe     361301 2025-05-01 2025-05-02 E11.9 FFS   16
    """
    tables = system(stays) | {"hospitals": [{"ccn": "361301", "name": "Access"}]}
    day = date(2026, 3, 15)
    warehouse = run_cohort(tables, [2028], day, extract_end=day)
    assert warehouse.rows("select * from payment.annual_payments order by ccn") == [
        ("360001", 6.0, "stays"),
        ("361301", None, "unknown"),
    ]


def test_where_no_payer_is_named_every_stay_is_paid_as_fee_for_service() -> None:
    tables = system(BOUNDS) | {"enrollment": []}
    for row in tables["stays"]:
        row.pop("payer", None)
    day = date(2026, 6, 30)
    warehouse = run_cohort(tables, [2028], day, extract_end=day)
    assert warehouse.rows("select distinct all_payments from payment.drg_payment_ratios") == [(6.0,)]
    assert warehouse.rows("select annual_base_operating_payments from payment.annual_payments") == [(4.0,)]
    assert warehouse.rows("select dual_stays, stays, dual_proportion from payment.dual_proportions") == [
        (None, 2, None)
    ]


@pytest.mark.parametrize(("amount", "ratio"), [("0", None), ("0.5", 1.0)])
def test_a_ratio_needs_payments_above_zero(amount: str, ratio: float | None) -> None:
    stays = f"""
        stay in         out        dx    payer amount
        a    2025-03-01 2025-03-04 I50.9 FFS   {amount}
    """
    warehouse = run_cohort(system(stays), [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows(
        "select measure_payments, all_payments, drg_payment_ratio, basis from payment.drg_payment_ratios where measure = 'HF'"
    ) == [(float(amount), float(amount), ratio, "stays" if ratio else "unknown")]


def test_the_month_before_counts_for_who_dies_in_the_month_of_discharge() -> None:
    """In hospital without a death date, or at home in the same month; dying a month later changes nothing."""
    stays = """
        stay person in         out        dx    payer status
        a    ann    2025-03-01 2025-03-04 E11.9 FFS   20
        b    bea    2025-03-01 2025-03-04 E11.9 FFS   01
        c    cora   2025-03-01 2025-03-04 E11.9 FFS   01
    """
    persons = """
        person born       died
        bea    1950-01-02 2025-03-31
        cora   1950-01-02 2025-04-01
    """
    enrollment = """
        person from    to      cover dual
        ann    2025-02 2025-02 AB    02
        bea    2025-02 2025-02 AB    02
        cora   2025-02 2025-02 AB    02
    """
    tables = system(stays, persons=persons, enrollment=enrollment)
    for first_year, dual in ((2028, 2), (2029, 0)):
        warehouse = run_cohort(
            tables, [2028], SYSTEM.as_of, {"dual_previous_month_from": first_year}, extract_end=SYSTEM.extract_end
        )
        assert warehouse.rows("select dual_stays, stays from payment.dual_proportions") == [(dual, 3)]


def test_no_month_beside_that_of_discharge_counts() -> None:
    stays = """
        stay person in         out        dx    payer
        a    ann    2025-03-01 2025-03-04 E11.9 FFS
        b    bea    2025-03-01 2025-03-04 E11.9 FFS
        c    cora   2025-03-01 2025-03-04 E11.9 FFS
        d    dora   2025-03-01 2025-03-04 E11.9 FFS
    """
    enrollment = """
        person from    to      cover dual
        ann    2025-01 2025-02 AB    02
        bea    2025-04 2025-05 AB    02
        cora   2025-02 2025-03 AB    02
        dora   2025-03 2025-04 AB    02
    """
    warehouse = run_cohort(system(stays, enrollment=enrollment), [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows("select dual_stays, stays from payment.dual_proportions") == [(2, 4)]


def test_the_month_before_counts_from_fy2021() -> None:
    stays = """
        stay person in         out        dx    payer status
        a    ann    2018-03-01 2018-03-04 E11.9 FFS   20
    """
    enrollment = """
        person from    to      cover dual
        ann    2018-02 2018-02 AB    02
    """
    day = date(2019, 12, 31)
    warehouse = run_cohort(system(stays, enrollment=enrollment), [2020, 2021, 2022], day, extract_end=day)
    assert warehouse.rows("select program_year, dual_stays from payment.dual_proportions order by 1") == [
        (2020, 0),
        (2021, 1),
        (2022, 1),
    ]


def test_a_change_that_the_rules_do_not_ask_about_breaks_no_span() -> None:
    """Dual status, and Medicare Advantage where it counts (FY2027 on); without Part B the months are of Part A alone."""
    covers = {
        "2024-10 2024-11": {"part_b": True, "ffs": True, "dual_code": None},
        "2024-12 2025-01": {"part_b": True, "ffs": True, "dual_code": "02"},
        "2025-02": {"part_b": True, "ffs": False, "dual_code": "02"},
        "2025-03": {"part_b": False, "ffs": True, "dual_code": "02"},
        "2025-04": {"part_b": True, "ffs": True, "dual_code": "02"},
        # No month of May.
        "2025-06 2025-07": {"part_b": True, "ffs": True, "dual_code": None},
    }
    months = [
        {"person_id": "ann", "month": month, "part_a": True, "ma": not facts["ffs"], **facts}
        for names, facts in covers.items()
        for month in names.split()
    ]
    stays = """
        stay person in         out        dx    payer
        a    ann    2024-03-01 2024-03-04 I50.9 FFS
    """
    tables = system(stays) | {"enrollment": months}
    warehouse = run_cohort(tables, [2026, 2027], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    spans = warehouse.rows(
        "select medicare_advantage, parts, first_month - 2025 * 12, last_month - 2025 * 12 from cohort.enrollment_spans order by all"
    )
    assert spans == [
        (False, "part_a", -2, 1),
        (False, "part_a", 3, 4),
        (False, "part_a", 6, 7),
        (False, "parts_a_and_b", -2, 1),
        (False, "parts_a_and_b", 4, 4),
        (False, "parts_a_and_b", 6, 7),
        (True, "part_a", -2, 4),
        (True, "part_a", 6, 7),
        (True, "parts_a_and_b", -2, 2),
        (True, "parts_a_and_b", 4, 4),
        (True, "parts_a_and_b", 6, 7),
    ]


def test_a_hospital_of_the_file_without_stays_keeps_its_dual_proportion() -> None:
    hospitals = [
        {"ccn": "360001", "name": "First", "dual_proportion": 0.9},
        {"ccn": "360008", "name": "Eighth"},
        {"ccn": "360009", "name": "Ninth", "dual_proportion": 0.3},
    ]
    assert run(hospitals=hospitals).rows(
        "select ccn, dual_stays, stays, dual_proportion, basis from payment.dual_proportions "
        "where program_year = 2028 and ccn <> '360002' order by ccn"
    ) == [("360001", 3, 4, 0.75, "stays"), ("360009", 0, 0, 0.3, "hospitals file")]


def test_codes_without_a_category_are_listed() -> None:
    assert run().rows("select * from cohort.unmapped_codes") == [("ICD10PCS", "00160JA", 1, 2)]


def test_of_the_diagnoses_only_a_principal_one_decides_a_return() -> None:
    tables = canonical_tables(SYSTEM)
    tables["procedures"] = []
    for row in tables["diagnoses"]:
        if row["stay_id"] == "b":
            row["code"] = "X99.98"
    tables["diagnoses"].append({"stay_id": "b", "sequence": 2, "code": "X99.97", "poa": "Y"})
    warehouse = run_cohort(tables, [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows("select * from cohort.unmapped_codes") == [
        ("ICD10CM", "X9997", 1, 0),
        ("ICD10CM", "X9998", 1, 1),
    ]


def test_a_planned_return_hangs_on_no_procedure_without_a_category() -> None:
    tables = canonical_tables(SYSTEM)
    tables["procedures"].append({"stay_id": "b", "sequence": 2, "code": "0TY00Z0"})
    warehouse = run_cohort(tables, [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows("select * from cohort.unmapped_codes") == [("ICD10PCS", "00160JA", 1, 0)]


def test_a_code_twice_on_a_stay_hangs_on_its_return_once() -> None:
    tables = canonical_tables(SYSTEM)
    tables["procedures"].append({"stay_id": "b", "sequence": 2, "code": "00160JA"})
    warehouse = run_cohort(tables, [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows("select * from cohort.unmapped_codes") == [("ICD10PCS", "00160JA", 2, 1)]


def test_a_planned_return_hangs_on_a_principal_diagnosis_without_a_category() -> None:
    """A known category might have been an acute one, and the return with its angioplasty (027034Z) then unplanned."""
    tables = canonical_tables(SYSTEM)
    tables["procedures"] = [{"stay_id": "b", "sequence": 1, "code": "027034Z"}]
    for row in tables["diagnoses"]:
        if row["stay_id"] == "b":
            row["code"] = "X99.98"
    warehouse = run_cohort(tables, [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows("select planned from cohort.readmissions where readmission_stay_id = 'b'") == [(True,)]
    assert warehouse.rows("select * from cohort.unmapped_codes") == [("ICD10CM", "X9998", 1, 1)]


def test_without_enrollment_its_rules_are_skipped() -> None:
    """Without the file nobody is excluded by it, and a payer that no column names passes."""
    tables = canonical_tables(SYSTEM)
    tables["enrollment"] = []
    for row in tables["stays"]:
        row.pop("payer", None)
    warehouse = run_cohort(tables, [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows(
        "select stay_id, reasons from cohort.cohort_flow where measure = 'HF' and ccn <> '361301' order by stay_id"
    ) == [("a", []), ("b", ["prior_30_days"]), ("c", ["died_in_hospital"]), ("f", [])]


def test_reasons_with_one_number_give_it_once() -> None:
    tables = canonical_tables(SYSTEM)
    tables["enrollment"] = [row for row in tables["enrollment"] if row["month"] > "2025-05"]
    for row in tables["stays"]:
        row["payer"] = "other"
    warehouse = run_cohort(tables, [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows("select indicator from cohort.report_indicators where stay_id = 'a'") == [("1,5",)]


def test_risk_factors_of_zero_have_no_row() -> None:
    tables = canonical_tables(SYSTEM)
    tables["persons"][0]["birth_date"] = "1960-01-02"
    warehouse = run_cohort(tables, [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows("select count(*), min(value) from risk.risk_factors where stay_id = 'a'") == [(0, None)]


def test_codes_taken_out_of_a_category() -> None:
    """With a map that puts R09.02 among the major symptoms, the definition of that variable takes it out again."""
    rule = Rule(
        "",
        "",
        stays="""
            stay person in         out        dx            px
            a    ann    2025-03-01 2025-03-04 M17.11,R09.02 0SRC0J9
            b    bea    2025-03-01 2025-03-04 M17.11,R07.9  0SRC0J9
            c    cora   2025-03-01 2025-03-04 J44.1,R09.02  -
        """,
        expect="",
    )
    codes = [("R0902", 178), ("R079", 178), ("R0902", 84)]
    warehouse = run_cohort(
        canonical_tables(rule),
        [2028],
        rule.as_of,
        extract_end=rule.extract_end,
        reference_rows={
            "cc_icd10cm": [{"code": code, "cc": cc, "origin": "V22", "source": "test"} for code, cc in codes]
        },
    )
    assert warehouse.rows(
        "select stay_id, variable_key from risk.risk_factors where variable_key in ('major_symptoms', 'cardioresp_failure') order by 1"
    ) == [("b", "major_symptoms"), ("c", "cardioresp_failure")]


def test_readmissions_name_rule_and_hospital() -> None:
    assert run().rows(
        "select stay_id, readmission_stay_id, days, planned, unplanned_readmission, planned_by, readmission_ccn "
        "from cohort.readmissions where program_year = 2028"
    ) == [("a", "b", 16, False, True, None, "360001")]


def test_a_stay_without_a_principal_diagnosis_is_judged_for_nothing_and_can_be_a_return() -> None:
    tables = canonical_tables(SYSTEM)
    tables["diagnoses"] = [row for row in tables["diagnoses"] if row["stay_id"] != "b"]
    warehouse = run_cohort(tables, [2028], SYSTEM.as_of, extract_end=SYSTEM.extract_end)
    assert warehouse.rows("select readmission_stay_id from cohort.readmissions") == [("b",)]
    assert warehouse.rows("select count(*) from cohort.cohort_flow where stay_id = 'b'") == [(0,)]


def test_an_empty_extract_makes_every_table() -> None:
    warehouse = run_cohort({"stays": [], "persons": [], "diagnoses": []}, [2028])
    assert warehouse.count("cohort.cohort_flow") == 0
    assert warehouse.count("risk.risk_factors") == 0


def test_reasons_stand_in_their_order_in_the_reference_table() -> None:
    rows = Reference().rows("reason_codes")
    assert [int(row["position"]) for row in rows] == list(range(1, len(rows) + 1))
    from hrrp.quality.suites import REASONS

    assert [row["reason"] for row in rows] == list(REASONS)


def test_every_step_says_what_it_is_and_every_parameter_exists() -> None:
    known = set(Reference().parameters())
    for step in load_steps():
        assert step.description.endswith(".") or step.watch, step.name
        assert set(step.parameters) <= known, step.name
