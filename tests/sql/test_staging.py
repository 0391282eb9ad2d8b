"""What cannot be used is rejected with its reason, once, and rows read are rows kept and rows rejected."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from harness import run_cohort

GOOD_STAY = {
    "stay_id": "s1",
    "person_id": "p1",
    "ccn": "360001",
    "admit_date": "2025-03-01",
    "discharge_date": "2025-03-04",
    "discharge_status": "01",
}
GOOD_PERSON = {"person_id": "p1", "birth_date": "1950-01-02", "sex": "F"}
GOOD_DIAGNOSIS = {"stay_id": "s1", "sequence": 1, "code": "I50.9"}
MONTH = {"person_id": "p1", "month": "2025-03", "part_a": True, "part_b": True, "ffs": True, "ma": False}

CODES = "select code from staging.diagnoses inner join staging.diagnosis_codes using (code_key)"

Rows = list[dict[str, Any]]
# What is changed in a good row, and the column, kind of thing and reason that it must be rejected with.
Faults = list[tuple[dict[str, Any], tuple[str, str, str]]]


def expected(name: str, faults: Faults) -> list[tuple[Any, ...]]:
    """The rejects of a file whose first row is good and whose others each have one of `faults`."""
    return [(name, record, *fault) for record, (_, fault) in enumerate(faults, start=3)]


def staged(**tables: Rows) -> tuple[Any, list[tuple[Any, ...]]]:
    """The warehouse and the rejects (file, record, column, class, reason) of the good rows with `tables` over them."""
    given = {"stays": [GOOD_STAY], "persons": [GOOD_PERSON], "diagnoses": [GOOD_DIAGNOSIS], **tables}
    warehouse = run_cohort(given, [2028], until="staging")
    accounts = warehouse.rows("select canonical_file, rows_read, rows_kept, rows_rejected from staging.row_accounting")
    assert {name for name, *_ in accounts} == {name for name, rows in given.items() if rows}
    for name, read, kept, rejected in accounts:
        assert read == kept + rejected, name
        months = "select sum(last_month - first_month + 1)::bigint from staging.enrollment"
        assert kept == (warehouse.rows(months)[0][0] if name == "enrollment" else warehouse.count(f"staging.{name}")), (
            name
        )
    rejects = warehouse.rows(
        "select canonical_file, row_number, column_name, value_class, reason from staging.rejects order by 1, 2"
    )
    return warehouse, rejects


STAY_FAULTS: Faults = [
    ({"stay_id": " "}, ("stay_id", "blank", "missing")),
    ({"person_id": None}, ("person_id", "blank", "missing")),
    ({"person_id": "nobody"}, ("person_id", "unknown code", "person not in persons")),
    ({"ccn": ""}, ("ccn", "blank", "missing")),
    ({"ccn": "60001"}, ("ccn", "too short", "not a certification number")),
    ({"ccn": "3600010"}, ("ccn", "too long", "not a certification number")),
    ({"ccn": "XXXXXX"}, ("ccn", "unknown code", "not a certification number")),
    ({"admit_date": ""}, ("admit_date", "blank", "missing")),
    ({"admit_date": "2025-02-30"}, ("admit_date", "impossible date", "not a date")),
    ({"admit_date": "03/01/2025"}, ("admit_date", "text", "not a date")),
    ({"discharge_date": None}, ("discharge_date", "blank", "missing")),
    ({"discharge_date": "2025-13-04"}, ("discharge_date", "impossible date", "not a date")),
    ({"discharge_date": "soon"}, ("discharge_date", "text", "not a date")),
    ({"discharge_date": "2020-12-31"}, ("discharge_date", "impossible date", "before the admission date")),
    ({"discharge_status": ""}, ("discharge_status", "blank", "missing")),
    ({"discharge_status": "99"}, ("discharge_status", "unknown code", "no such status")),
    ({"payer": "Aetna"}, ("payer", "unknown code", "not FFS, MA or other")),
    ({"is_short_term_acute": "maybe"}, ("is_short_term_acute", "text", "not true or false")),
    ({"is_cah": "2"}, ("is_cah", "text", "not true or false")),
    ({"base_operating_drg_amount": "1,000"}, ("base_operating_drg_amount", "text", "not a number")),
    ({"base_operating_drg_amount": -1}, ("base_operating_drg_amount", "number out of range", "not an amount")),
    ({"base_operating_drg_amount": "nan"}, ("base_operating_drg_amount", "number out of range", "not an amount")),
    ({"total_paid": "x"}, ("total_paid", "text", "not a number")),
    ({"total_paid": "inf"}, ("total_paid", "number out of range", "not an amount")),
    # What is faulty is rejected once: neither as another record's copy nor as a stay that overlaps one elsewhere.
    ({"stay_id": "s1", "ccn": "360002", "discharge_status": ""}, ("discharge_status", "blank", "missing")),
    ({"stay_id": "s1", "person_id": "nobody"}, ("person_id", "unknown code", "person not in persons")),
    (
        {"stay_id": "u", "person_id": "nobody", "admit_date": "2020-01-01"},
        ("person_id", "unknown code", "person not in persons"),
    ),
    (
        {"stay_id": "v", "person_id": "nobody", "admit_date": "2020-01-01", "ccn": "360002"},
        ("person_id", "unknown code", "person not in persons"),
    ),
    (
        {"admit_date": "2025-03-02", "discharge_date": "2025-03-08", "ccn": "360002", "payer": "x"},
        ("payer", "unknown code", "not FFS, MA or other"),
    ),
]


def test_faults_of_stays() -> None:
    bad = []
    for number, (change, _) in enumerate(STAY_FAULTS):
        first = date(2021, 1, 1) + timedelta(days=10 * number)
        dates = {"admit_date": first, "discharge_date": first + timedelta(days=3)}
        bad.append({**GOOD_STAY, "stay_id": f"x{number}", **dates, **change})
    warehouse, rejects = staged(stays=[GOOD_STAY, *bad])
    assert rejects == expected("stays", STAY_FAULTS)
    assert warehouse.rows("select stay_id, row_number from staging.stays") == [("s1", 2)]


def test_amounts_of_nothing_and_of_cents_are_good() -> None:
    """What Medicare paid may be below zero; the DRG amount may not."""
    amounts = [(0, 0), (0.5, -3), ("", "")]
    stays = [
        {**GOOD_STAY, "stay_id": f"x{number}", "ccn": f"36000{number}", "admit_date": day, "discharge_date": day}
        | {"base_operating_drg_amount": amount, "total_paid": paid}
        for number, (amount, paid) in enumerate(amounts, start=1)
        if (day := f"2025-03-0{number}")
    ]
    warehouse, rejects = staged(stays=stays, diagnoses=[])
    assert rejects == []
    assert warehouse.rows("select base_operating_drg_amount, total_paid from staging.stays order by stay_key") == [
        (0.0, 0.0),
        (0.5, -3.0),
        (None, None),
    ]


def test_values_are_normalised() -> None:
    stay = {
        **GOOD_STAY,
        "ccn": " 36t001 ",
        "admit_date": "2025-03-01 00:00:00",
        "discharge_date": "2025-03-04T13:45:00",
        "discharge_status": "7",
        "payer": "ma",
    }
    diagnoses = [
        {"stay_id": "s1", "sequence": "1", "code": " i50.9 ", "poa": "y"},
        {"stay_id": "s1", "sequence": 2, "code": "e119", "poa": "n"},
        {"stay_id": "s1", "sequence": 3, "code": "D62", "poa": None},
    ]
    procedures = [{"stay_id": "s1", "sequence": 1, "code": "0src0j9", "procedure_date": "2025-03-02 00:00:00"}]
    persons = [{"person_id": "p1", "birth_date": "1950-01-02", "sex": 1, "death_date": "2025-05-01"}]
    warehouse, rejects = staged(stays=[stay], diagnoses=diagnoses, procedures=procedures, persons=persons)
    assert rejects == []
    assert warehouse.rows(
        "select ccn, admit_date::varchar, discharge_date::varchar, discharge_status, payer, is_short_term_acute, is_cah "
        "from staging.stays"
    ) == [("36T001", "2025-03-01", "2025-03-04", "07", "MA", False, False)]
    assert warehouse.rows(
        "select code, poa, sequence = 1, present_on_admission from staging.diagnoses "
        "inner join staging.diagnosis_codes using (code_key) order by sequence"
    ) == [("I509", "Y", True, True), ("E119", "N", False, False), ("D62", None, False, True)]
    assert warehouse.rows("select code, procedure_date::varchar from staging.procedures") == [("0SRC0J9", "2025-03-02")]
    assert warehouse.rows("select sex, birth_date::varchar, death_date::varchar from staging.persons") == [
        ("M", "1950-01-02", "2025-05-01")
    ]


def test_stays_that_repeat_others() -> None:
    other_dates = {"admit_date": "2025-06-01", "discharge_date": "2025-06-04"}
    stays = [
        GOOD_STAY,
        {**GOOD_STAY, "discharge_status": "02"},
        {**GOOD_STAY, "stay_id": "s2"},
        {**GOOD_STAY, **other_dates},
        {**GOOD_STAY, **other_dates, "stay_id": "s3"},
        {**GOOD_STAY, "stay_id": "s4"},
        {**GOOD_STAY, "stay_id": "s4", "discharge_status": ""},
    ]
    diagnoses = [{**GOOD_DIAGNOSIS, "stay_id": name} for name in ("s1", "s2", "s9", "s3", "s3", "s4")]
    procedures = [{"stay_id": name, "sequence": 1, "code": "0SRC0J9"} for name in ("s1", "s2", "s9", "s3", "s3", "s4")]
    warehouse, rejects = staged(stays=stays, diagnoses=diagnoses, procedures=procedures)
    of_the_stay = [
        (3, "stay_id", "unknown code", "duplicate"),
        (4, "stay_id", "unknown code", "stay not in stays"),
        (5, "stay_id", "unknown code", "duplicate"),
        (6, "stay_id", "unknown code", "duplicate"),
        (7, "stay_id", "unknown code", "stay rejected"),  # not all of s4's records are copies
    ]
    assert rejects == [
        *(("diagnoses", *fault) for fault in of_the_stay),
        *(("procedures", *fault) for fault in of_the_stay),
        ("stays", 3, "admit_date", "copy", "duplicate"),
        ("stays", 4, "admit_date", "copy", "duplicate"),
        ("stays", 5, "stay_id", "copy", "stay_id of another stay"),
        ("stays", 6, "admit_date", "copy", "duplicate"),
        ("stays", 7, "admit_date", "copy", "duplicate"),
        ("stays", 8, "discharge_status", "blank", "missing"),
    ]
    assert warehouse.rows("select stay_id, discharge_status from staging.stays") == [("s1", "01")]


def test_stays_that_share_a_day_with_others_are_no_copies() -> None:
    days = [(1, 4), (1, 6), (2, 4), (2, 6)]
    stays = [
        {
            **GOOD_STAY,
            "stay_id": f"x{first}{last}",
            "admit_date": f"2025-03-0{first}",
            "discharge_date": f"2025-03-0{last}",
        }
        for first, last in days
    ]
    warehouse, rejects = staged(stays=stays, diagnoses=[])
    assert rejects == []
    assert warehouse.count("staging.stays") == 4


def test_what_belongs_to_a_rejected_stay_is_rejected() -> None:
    stays = [GOOD_STAY, {**GOOD_STAY, "stay_id": "s2", "admit_date": "2025-06-01", "discharge_date": "2025-05-01"}]
    diagnoses = [GOOD_DIAGNOSIS, {**GOOD_DIAGNOSIS, "stay_id": "s2"}, {**GOOD_DIAGNOSIS, "stay_id": "s2", "code": ""}]
    procedures = [{"stay_id": "s2", "sequence": 1, "code": "021009W"}, {"stay_id": "s8", "sequence": 1, "code": "x"}]
    _, rejects = staged(stays=stays, diagnoses=diagnoses, procedures=procedures)
    assert rejects == [
        ("diagnoses", 3, "stay_id", "unknown code", "stay rejected"),
        ("diagnoses", 4, "code", "blank", "missing"),
        ("procedures", 2, "stay_id", "unknown code", "stay rejected"),
        ("procedures", 3, "code", "too short", "not a procedure code"),
        ("stays", 3, "discharge_date", "impossible date", "before the admission date"),
    ]


DIAGNOSIS_FAULTS: Faults = [
    ({"stay_id": None}, ("stay_id", "blank", "missing")),
    ({"sequence": None}, ("sequence", "blank", "missing")),
    ({"sequence": "first"}, ("sequence", "text", "not a number")),
    ({"sequence": 0}, ("sequence", "number out of range", "not a place")),
    ({"sequence": "-1"}, ("sequence", "number out of range", "not a place")),
    ({"code": ""}, ("code", "blank", "missing")),
    ({"code": "E1"}, ("code", "too short", "not a diagnosis code")),
    ({"code": "E11.99999"}, ("code", "too long", "not a diagnosis code")),
    ({"code": "E11 9"}, ("code", "text", "not a diagnosis code")),
    ({"poa": "?"}, ("poa", "unknown code", "no such indicator")),
    ({"sequence": 1}, ("sequence", "copy", "place taken already")),
    ({"sequence": 1, "code": "I509"}, ("sequence", "copy", "duplicate")),
]


def test_faults_of_diagnoses() -> None:
    bad = [
        {"stay_id": "s1", "sequence": place, "code": "E119", **change}
        for place, (change, _) in enumerate(DIAGNOSIS_FAULTS, start=2)
    ]
    warehouse, rejects = staged(diagnoses=[GOOD_DIAGNOSIS, *bad])
    assert rejects == expected("diagnoses", DIAGNOSIS_FAULTS)
    assert warehouse.rows(CODES) == [("I509",)]


@pytest.mark.parametrize("fault", [fault for fault in DIAGNOSIS_FAULTS if "copy" not in fault[1]], ids=str)
def test_a_fault_of_a_diagnosis_is_found_where_nothing_else_is_wrong(
    fault: tuple[dict[str, Any], tuple[str, str, str]],
) -> None:
    change, found = fault
    stays = [GOOD_STAY, {**GOOD_STAY, "stay_id": "s2", "admit_date": "2025-06-01", "discharge_date": "2025-06-04"}]
    _, rejects = staged(stays=stays, diagnoses=[GOOD_DIAGNOSIS, {**GOOD_DIAGNOSIS, "stay_id": "s2", **change}])
    assert rejects == [("diagnoses", 3, *found)]


def test_places_are_taken_stay_by_stay() -> None:
    later = {"stay_id": "s2", "admit_date": "2025-06-01", "discharge_date": "2025-06-04"}
    lists = [{**GOOD_DIAGNOSIS, "stay_id": stay, "code": code} for stay in ("s1", "s2") for code in ("I509", "E119")]
    _, rejects = staged(stays=[GOOD_STAY, {**GOOD_STAY, **later}], diagnoses=lists)
    assert rejects == [("diagnoses", record, "sequence", "copy", "place taken already") for record in (3, 5)]


@pytest.mark.parametrize("name", ["enrollment", "history_diagnoses", "history_procedures"])
def test_an_unknown_person_is_found_where_nothing_else_is_wrong(name: str) -> None:
    claim = {"person_id": "p1", "service_date": "2024-12-01", "code": "E119", "source": "outpatient"}
    good = MONTH if name == "enrollment" else claim
    _, rejects = staged(**{name: [good, {**good, "person_id": "p9"}]})
    assert rejects == [(name, 3, "person_id", "unknown code", "person not in persons")]


def test_long_lists_of_diagnoses_are_told_apart() -> None:
    many = [{"stay_id": "s1", "sequence": place, "code": f"Z{place:03d}"} for place in range(1, 81)]
    _, rejects = staged(diagnoses=[*many, many[69]])
    assert rejects == [("diagnoses", 82, "sequence", "copy", "duplicate")]


def test_each_stay_has_its_own_places() -> None:
    stays = [GOOD_STAY, {**GOOD_STAY, "stay_id": "s2", "admit_date": "2025-06-01", "discharge_date": "2025-06-04"}]
    diagnoses = [{"stay_id": name, "sequence": 1, "code": code} for name in ("s1", "s2") for code in ("I509", "I110")]
    warehouse, rejects = staged(stays=stays, diagnoses=diagnoses)
    assert [(record, reason) for _, record, _, _, reason in rejects] == [(n, "place taken already") for n in (3, 5)]
    assert warehouse.rows(CODES) == [("I509",), ("I509",)]


PROCEDURE_FAULTS: Faults = [
    ({"stay_id": ""}, ("stay_id", "blank", "missing")),
    ({"sequence": "x"}, ("sequence", "text", "not a number")),
    ({"sequence": "-1"}, ("sequence", "number out of range", "not a place")),
    ({"sequence": 0}, ("sequence", "number out of range", "not a place")),
    ({"sequence": ""}, ("sequence", "blank", "missing")),
    ({"code": ""}, ("code", "blank", "missing")),
    ({"code": "0S"}, ("code", "too short", "not a procedure code")),
    ({"code": "0SRC0J99"}, ("code", "too long", "not a procedure code")),
    ({"code": "0SR-0J9"}, ("code", "text", "not a procedure code")),
    ({"procedure_date": "2025-02-31"}, ("procedure_date", "impossible date", "not a date")),
    ({"procedure_date": "x"}, ("procedure_date", "text", "not a date")),
    ({"sequence": 1}, ("sequence", "copy", "duplicate")),
]


def test_faults_of_procedures() -> None:
    good = {"stay_id": "s1", "sequence": 1, "code": "0SRC0J9", "procedure_date": "2025-03-01"}
    bad = [{**good, "sequence": place, **change} for place, (change, _) in enumerate(PROCEDURE_FAULTS, start=2)]
    warehouse, rejects = staged(procedures=[good, *bad])
    assert rejects == expected("procedures", PROCEDURE_FAULTS)
    assert warehouse.count("staging.procedures") == 1


def test_procedures_that_differ_in_one_thing_are_no_copies() -> None:
    """Of each line that stands there twice one is kept, whatever stands beside it: a procedure done twice on one day has two lines."""
    good = {"stay_id": "s1", "sequence": 1, "code": "0SRC0J9", "procedure_date": "2025-03-01"}
    changes: Rows = [{}, {"sequence": 2}, {"code": "0SRD0J9"}, {"procedure_date": "2025-03-02"}, {"procedure_date": ""}]
    lines = [{**good, **change} for change in changes]
    warehouse, rejects = staged(procedures=[*lines, *lines])
    assert rejects == [("procedures", record, "sequence", "copy", "duplicate") for record in range(7, 12)]
    assert warehouse.count("staging.procedures") == 5


def test_a_faulty_record_takes_no_place() -> None:
    """The good record after it does, whether they are of one place, one line or one month."""
    diagnoses = [{**GOOD_DIAGNOSIS, "poa": "?"}, GOOD_DIAGNOSIS]
    line = {"stay_id": "s1", "sequence": 1, "code": "0SRC0J9"}
    procedures = [{**line, "procedure_date": "soon"}, line]
    _, rejects = staged(diagnoses=diagnoses, procedures=procedures, enrollment=[{**MONTH, "ma": "x"}, MONTH])
    assert [(name, record, reason) for name, record, _, _, reason in rejects] == [
        ("diagnoses", 2, "no such indicator"),
        ("enrollment", 2, "not true or false"),
        ("procedures", 2, "not a date"),
    ]


PERSON_FAULTS: Faults = [
    ({"person_id": ""}, ("person_id", "blank", "missing")),
    ({"birth_date": ""}, ("birth_date", "blank", "missing")),
    ({"birth_date": "1950-02-30"}, ("birth_date", "impossible date", "not a date")),
    ({"birth_date": "1950"}, ("birth_date", "text", "not a date")),
    ({"death_date": "2025-02-30"}, ("death_date", "impossible date", "not a date")),
    ({"death_date": "dead"}, ("death_date", "text", "not a date")),
    ({"death_date": "1950-01-01"}, ("death_date", "impossible date", "before the birth date")),
    ({"person_id": "p1", "birth_date": "1950"}, ("birth_date", "text", "not a date")),
    ({"person_id": "p1"}, ("person_id", "copy", "duplicate")),
    ({"person_id": "p1", "sex": "M"}, ("person_id", "copy", "person listed twice")),
]


def test_faults_of_persons() -> None:
    bad = [{**GOOD_PERSON, "person_id": f"x{number}", **change} for number, (change, _) in enumerate(PERSON_FAULTS)]
    warehouse, rejects = staged(persons=[GOOD_PERSON, *bad])
    assert rejects == expected("persons", PERSON_FAULTS)
    assert warehouse.rows("select person_id, sex from staging.persons") == [("p1", "F")]


def test_of_each_person_listed_twice_the_first_record_is_kept() -> None:
    persons = [{**GOOD_PERSON, "person_id": name} for name in ("p1", "p2", "p1", "p2")]
    _, rejects = staged(persons=persons)
    assert rejects == [("persons", record, "person_id", "copy", "duplicate") for record in (4, 5)]


def test_keys_of_persons_follow_their_names_in_the_extract() -> None:
    """However the file is sorted, so that a person has the same key in every run."""
    persons = [{**GOOD_PERSON, "person_id": name} for name in ("p3", "p1", " p2")]
    warehouse, _ = staged(persons=persons)
    assert warehouse.rows("select person_key, person_id from staging.persons") == [(1, "p1"), (2, "p2"), (3, "p3")]


def test_a_death_on_the_day_of_birth_is_possible() -> None:
    _, rejects = staged(persons=[{**GOOD_PERSON, "death_date": GOOD_PERSON["birth_date"]}])
    assert rejects == []


def test_an_unknown_sex_is_kept() -> None:
    persons = [{**GOOD_PERSON, "person_id": f"p{place}", "sex": sex} for place, sex in enumerate(["", "0", "X", None])]
    warehouse, rejects = staged(persons=persons, stays=[], diagnoses=[])
    assert rejects == []
    assert warehouse.rows("select distinct sex from staging.persons") == [(None,)]


ENROLLMENT_FAULTS: Faults = [
    ({"person_id": None}, ("person_id", "blank", "missing")),
    ({"person_id": "p9"}, ("person_id", "unknown code", "person not in persons")),
    ({"month": ""}, ("month", "blank", "missing")),
    ({"month": "2025-13"}, ("month", "impossible date", "not a month")),
    ({"month": "March"}, ("month", "text", "not a month")),
    ({"month": "2025-3"}, ("month", "text", "not a month")),
    ({"month": "-123-01"}, ("month", "text", "not a month")),
    ({"part_a": None}, ("part_a", "blank", "not true or false")),
    ({"part_a": "x"}, ("part_a", "text", "not true or false")),
    ({"part_b": None}, ("part_b", "blank", "not true or false")),
    ({"part_b": "x"}, ("part_b", "text", "not true or false")),
    ({"ffs": None}, ("ffs", "blank", "not true or false")),
    ({"ffs": "2"}, ("ffs", "text", "not true or false")),
    ({"ma": ""}, ("ma", "blank", "not true or false")),
    ({"ma": "x"}, ("ma", "text", "not true or false")),
    ({"month": "2025-03"}, ("month", "copy", "duplicate")),
    ({"month": "2025-03", "ffs": False}, ("month", "copy", "month listed twice")),
    # What is faulty is no copy, and is rejected once.
    ({"month": "2025-03", "ffs": "x"}, ("ffs", "text", "not true or false")),
    ({"month": "2025-03", "person_id": "p9"}, ("person_id", "unknown code", "person not in persons")),
    ({"month": "2025-03", "person_id": "p9"}, ("person_id", "unknown code", "person not in persons")),
]


def test_faults_of_enrollment() -> None:
    bad = [{**MONTH, "month": f"{2010 + number}-01", **change} for number, (change, _) in enumerate(ENROLLMENT_FAULTS)]
    warehouse, rejects = staged(enrollment=[MONTH, *bad])
    assert rejects == expected("enrollment", ENROLLMENT_FAULTS)
    assert warehouse.count("staging.enrollment") == 1


def test_enrollment_over_many_years() -> None:
    months = [{**MONTH, "month": f"{year}-{month:02d}"} for year in range(2010, 2026) for month in range(1, 13)]
    warehouse, rejects = staged(enrollment=months)
    assert rejects == []
    assert runs(warehouse) == [("p1", "2010-01", "2025-12", "A B ffs", None)]


def test_a_month_may_stand_as_a_date() -> None:
    warehouse, rejects = staged(enrollment=[{**MONTH, "month": "2025-04-17"}])
    assert rejects == []
    assert runs(warehouse) == [("p1", "2025-04", "2025-04", "A B ffs", None)]


TWO = [GOOD_PERSON, {**GOOD_PERSON, "person_id": "p2"}]


def runs(warehouse: Any) -> list[tuple[Any, ...]]:
    """Person, first and last month, coverage and dual status of every run of months, in order."""
    month = "format('{{:04d}}-{{:02d}}', ({0} - 1) // 12, ({0} - 1) % 12 + 1)"
    return list(
        warehouse.rows(
            f"select person_id, {month.format('first_month')}, {month.format('last_month')}, "
            "concat_ws(' ', if(part_a, 'A', null), if(part_b, 'B', null), if(ffs, 'ffs', null), if(ma, 'ma', null)), dual_code "
            "from staging.enrollment inner join staging.persons using (person_key) order by all"
        )
    )


def months(*names: str, **facts: Any) -> Rows:
    """Records of p1's `MONTH` with other facts; a name is a month, or first and last month as 2024-11..2025-02."""
    found = []
    for name in names:
        first, _, last = name.partition("..")
        bounds = [int(each[:4]) * 12 + int(each[5:]) - 1 for each in (first, last or first)]
        numbers = range(bounds[0], bounds[1] + 1)
        found += [{**MONTH, "month": f"{number // 12:04d}-{number % 12 + 1:02d}", **facts} for number in numbers]
    return found


def test_months_without_a_gap_are_one_run() -> None:
    """Over the end of a year, in whatever order they stand in the file; a gap ends the run."""
    records = months("2024-11..2025-02", "2025-04", "2025-06..2025-07")
    warehouse, rejects = staged(enrollment=records[::-1])
    assert rejects == []
    assert runs(warehouse) == [
        ("p1", "2024-11", "2025-02", "A B ffs", None),
        ("p1", "2025-04", "2025-04", "A B ffs", None),
        ("p1", "2025-06", "2025-07", "A B ffs", None),
    ]


@pytest.mark.parametrize(
    ("fact", "cover", "dual"),
    [
        ({"part_a": False}, "B ffs", None),
        ({"part_b": False}, "A ffs", None),
        ({"ffs": False}, "A B", None),
        ({"ma": True}, "A B ffs ma", None),
        ({"dual_code": "02"}, "A B ffs", "02"),
    ],
)
def test_a_run_ends_where_a_fact_changes(fact: dict[str, Any], cover: str, dual: str | None) -> None:
    records = months("2024-11..2024-12", "2025-02..2025-03") + months("2025-01", "2025-04", **fact)
    warehouse, rejects = staged(enrollment=records)
    assert rejects == []
    assert runs(warehouse) == [
        ("p1", "2024-11", "2024-12", "A B ffs", None),
        ("p1", "2025-01", "2025-01", cover, dual),
        ("p1", "2025-02", "2025-03", "A B ffs", None),
        ("p1", "2025-04", "2025-04", cover, dual),
    ]


def test_one_fact_is_one_however_it_is_written() -> None:
    records = [
        *months("2025-01", dual_code="2", part_a="TRUE"),
        *months("2025-02", dual_code="02", person_id=" p1"),
        *months("2025-03", dual_code=" 02 ", ffs="1"),
        *months("2025-05", dual_code="na"),
        *months("2025-06", dual_code="NA"),
    ]
    warehouse, rejects = staged(enrollment=records)
    assert rejects == []
    assert runs(warehouse) == [
        ("p1", "2025-01", "2025-03", "A B ffs", "02"),
        ("p1", "2025-05", "2025-06", "A B ffs", "NA"),
    ]


@pytest.mark.parametrize("first", ["ffs", "ma"])
def test_of_two_facts_in_one_month_the_first_record_counts(first: str) -> None:
    """What the other record says is in no run, and cuts none."""
    facts: dict[str, dict[str, Any]] = {"ffs": {"dual_code": "2"}, "ma": {"ffs": False, "ma": True}}
    others = months("2025-01", "2025-03..2025-04", person_id="p2")
    records = [
        *months("2025-02", **facts.pop(first)),
        *months("2025-02", **facts.popitem()[1]),
        *months("2025-01", "2025-03"),
    ]
    warehouse, rejects = staged(enrollment=records + others, persons=TWO)
    assert rejects == [("enrollment", 3, "month", "copy", "month listed twice")]
    assert runs(warehouse) == [
        ("p1", "2025-01", "2025-01", "A B ffs", None),
        ("p1", "2025-02", "2025-02", *{"ffs": ("A B ffs", "02"), "ma": ("A B ma", None)}[first]),
        ("p1", "2025-03", "2025-03", "A B ffs", None),
        ("p2", "2025-01", "2025-01", "A B ffs", None),
        ("p2", "2025-03", "2025-04", "A B ffs", None),
    ]


def test_a_copy_hides_no_gap() -> None:
    """Three records from January to March, but February is not among them."""
    warehouse, rejects = staged(enrollment=months("2025-01", "2025-01", "2025-03"))
    assert rejects == [("enrollment", 3, "month", "copy", "duplicate")]
    assert runs(warehouse) == [("p1", month, month, "A B ffs", None) for month in ("2025-01", "2025-03")]


def test_a_record_that_cannot_be_used_is_in_no_run() -> None:
    records = months("2025-01") + months("2025-02", part_b="x") + months("2025-03..2025-04")
    warehouse, rejects = staged(enrollment=records)
    assert [(record, reason) for _, record, _, _, reason in rejects] == [(3, "not true or false")]
    assert runs(warehouse) == [
        ("p1", "2025-01", "2025-01", "A B ffs", None),
        ("p1", "2025-03", "2025-04", "A B ffs", None),
    ]


def test_months_almost_ten_years_apart_are_two_runs() -> None:
    """January 2025, which would share its bit with January 2015, is none of the months."""
    warehouse, rejects = staged(enrollment=months("2015-01", "2024-12"))
    assert rejects == []
    assert [(first, last) for _, first, last, _, _ in runs(warehouse)] == [
        ("2015-01", "2015-01"),
        ("2024-12", "2024-12"),
    ]


@pytest.mark.parametrize("flag", ["part_a", "part_b", "ffs", "ma"])
def test_a_person_all_of_whose_records_have_one_fault_has_no_run(flag: str) -> None:
    warehouse, rejects = staged(
        enrollment=months("2025-01", **{flag: "x"}) + months("2025-01", person_id="p2"), persons=TWO
    )
    assert rejects == [("enrollment", 2, flag, "text", "not true or false")]
    assert [name for name, *_ in runs(warehouse)] == ["p2"]


def test_each_person_has_months_of_its_own() -> None:
    records = [*months("2025-01"), *months("2025-01", person_id="p2")]
    warehouse, rejects = staged(enrollment=records * 2, persons=TWO)
    assert rejects == [("enrollment", record, "month", "copy", "duplicate") for record in (4, 5)]
    assert [name for name, *_ in runs(warehouse)] == ["p1", "p2"]


def test_a_fault_in_one_file_takes_no_month_out_of_another() -> None:
    files = [{**record, "source_file": name} for record, name in zip(months("2025-01..2025-03"), "aab", strict=True)]
    files[2]["ma"] = "x"
    warehouse = run_cohort({"persons": [GOOD_PERSON], "enrollment": files}, [2028], until="staging")
    assert warehouse.rows("select source_file, row_number from staging.rejects") == [("b", 2)]
    assert runs(warehouse) == [("p1", "2025-01", "2025-02", "A B ffs", None)]


@pytest.mark.parametrize("gap", ["2015-02", "2020-06"])
def test_months_ten_years_apart_are_told_apart(gap: str) -> None:
    """The bits of months begin anew after ten years; a month that is missing is not taken for one ten years before or after it."""
    records = [each for each in months("2012-01..2025-12") if each["month"] != gap]
    warehouse, rejects = staged(enrollment=records)
    assert rejects == []
    before, after = {"2015-02": ("2015-01", "2015-03"), "2020-06": ("2020-05", "2020-07")}[gap]
    assert runs(warehouse) == [
        ("p1", "2012-01", before, "A B ffs", None),
        ("p1", after, "2025-12", "A B ffs", None),
    ]


def test_a_month_ten_years_after_another_is_no_copy_of_it() -> None:
    warehouse, rejects = staged(enrollment=months("2015-03", "2025-03", "2015-04", "2025-02"))
    assert rejects == []
    assert [(first, last) for _, first, last, _, _ in runs(warehouse)] == [
        ("2015-03", "2015-04"),
        ("2025-02", "2025-03"),
    ]


HISTORY_FAULTS: Faults = [
    ({"person_id": ""}, ("person_id", "blank", "missing")),
    ({"person_id": "p9"}, ("person_id", "unknown code", "person not in persons")),
    ({"service_date": ""}, ("service_date", "blank", "missing")),
    ({"service_date": "2025-02-30"}, ("service_date", "impossible date", "not a date")),
    ({"service_date": "x"}, ("service_date", "text", "not a date")),
    ({"code": ""}, ("code", "blank", "missing")),
    ({"code": "E1"}, ("code", "too short", "not a {kind} code")),
    ({"code": "E119999X"}, ("code", "too long", "not a {kind} code")),
    ({"code": "E1 19"}, ("code", "text", "not a {kind} code")),
    ({}, ("code", "copy", "duplicate")),
    # What is faulty is no copy, and is rejected once.
    ({"code": "E1"}, ("code", "too short", "not a {kind} code")),
    ({"person_id": "p9"}, ("person_id", "unknown code", "person not in persons")),
]


@pytest.mark.parametrize("kind", ["diagnosis", "procedure"])
def test_faults_of_history(kind: str) -> None:
    name = {"diagnosis": "history_diagnoses", "procedure": "history_procedures"}[kind]
    good = {"person_id": "p1", "service_date": "2024-12-01", "code": "E119", "source": "Outpatient"}
    warehouse, rejects = staged(**{name: [good, *({**good, **change} for change, _ in HISTORY_FAULTS)]})
    assert rejects == [(*fault[:-1], fault[-1].format(kind=kind)) for fault in expected(name, HISTORY_FAULTS)]
    assert warehouse.count(f"staging.{name}") == 1


def test_each_stay_has_its_own_procedures() -> None:
    stays = [GOOD_STAY, {**GOOD_STAY, "stay_id": "s2", "admit_date": "2025-06-01", "discharge_date": "2025-06-04"}]
    procedures = [{**PROCEDURE, "stay_id": name} for name in ("s1", "s2", "s1", "s2")]
    _, rejects = staged(stays=stays, procedures=procedures)
    assert rejects == [("procedures", record, "sequence", "copy", "duplicate") for record in (4, 5)]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *(("procedures", fault) for fault in PROCEDURE_FAULTS if "copy" not in fault[1]),
        *((f"history_{name}", fault) for name in ("diagnoses", "procedures") for fault in HISTORY_FAULTS[:9]),
    ],
    ids=str,
)
def test_a_fault_of_a_claim_is_found_where_nothing_else_is_wrong(
    name: str, fault: tuple[dict[str, Any], tuple[str, str, str]]
) -> None:
    change, (column, value_class, reason) = fault
    _, rejects = staged(**{name: [{**GOOD[name], "code": "D62X"}, {**GOOD[name], **change}]})
    kind = "procedure" if name.endswith("procedures") else "diagnosis"
    assert rejects == [(name, 3, column, value_class, reason.format(kind=kind))]


@pytest.mark.parametrize("name", ["history_diagnoses", "history_procedures"])
def test_claims_that_differ_in_one_thing_are_no_copies(name: str) -> None:
    """Of each claim that stands there twice one is kept, whatever stands beside it."""
    good = {"person_id": "p1", "service_date": "2024-12-01", "code": "E119", "source": "outpatient"}
    others: Rows = [{"person_id": "p2"}, {"service_date": "2024-12-02"}, {"code": "E1165"}, {"source": "professional"}]
    claims = [{**good, **change} for change in [{}, *others]]
    persons = [GOOD_PERSON, {**GOOD_PERSON, "person_id": "p2"}]
    warehouse, rejects = staged(persons=persons, **{name: [*claims, *claims]})
    assert rejects == [(name, record, "code", "copy", "duplicate") for record in range(7, 12)]
    assert warehouse.count(f"staging.{name}") == 5


@pytest.mark.parametrize("name", ["diagnoses", "procedures", "history_diagnoses", "history_procedures"])
def test_codes_of_three_and_of_seven_signs_are_good(name: str) -> None:
    of_stay = {"stay_id": "s1"}
    of_claim = {"person_id": "p1", "service_date": "2024-12-01"}
    codes = [
        {**(of_claim if name.startswith("history") else {**of_stay, "sequence": place}), "code": code}
        for place, code in enumerate(["D62", "S72001A"], start=1)
    ]
    warehouse, rejects = staged(**{name: codes})
    assert rejects == []
    by_key = "" if name.endswith("procedures") else " inner join staging.diagnosis_codes using (code_key)"
    assert warehouse.rows(f"select code from staging.{name}{by_key} order by 1") == [("D62",), ("S72001A",)]


HOSPITAL_FAULTS: Faults = [
    ({"ccn": ""}, ("ccn", "blank", "missing")),
    ({"ccn": "12345"}, ("ccn", "too short", "not a certification number")),
    ({"ccn": "1234567"}, ("ccn", "too long", "not a certification number")),
    ({"ccn": "AAAAAA"}, ("ccn", "unknown code", "not a certification number")),
    ({"annual_base_operating_payments": "x"}, ("annual_base_operating_payments", "text", "not a number")),
    (
        {"annual_base_operating_payments": -5},
        ("annual_base_operating_payments", "number out of range", "not an amount"),
    ),
    (
        {"annual_base_operating_payments": -0.5},
        ("annual_base_operating_payments", "number out of range", "not an amount"),
    ),
    (
        {"annual_base_operating_payments": "inf"},
        ("annual_base_operating_payments", "number out of range", "not an amount"),
    ),
    ({"peer_group": "x"}, ("peer_group", "text", "not a number")),
    ({"peer_group": 6}, ("peer_group", "number out of range", "not 1 to 5")),
    ({"peer_group": 0}, ("peer_group", "number out of range", "not 1 to 5")),
    ({"dual_proportion": 1.5}, ("dual_proportion", "number out of range", "not a fraction from 0 to 1")),
    ({"dual_proportion": -0.5}, ("dual_proportion", "number out of range", "not a fraction from 0 to 1")),
    ({"ccn": "360001", "peer_group": "y"}, ("peer_group", "text", "not a number")),
    ({"dual_proportion": "x"}, ("dual_proportion", "text", "not a number")),
    ({"dual_proportion": 20}, ("dual_proportion", "number out of range", "not a fraction from 0 to 1")),
    ({"exempt": "perhaps"}, ("exempt", "text", "not true or false")),
    ({"excluded_quarters": "2024Q5"}, ("excluded_quarters", "text", "not quarters as 2024Q3;2024Q4")),
    ({"ccn": "360001"}, ("ccn", "copy", "duplicate")),
    ({"ccn": "360001", "peer_group": 3}, ("ccn", "copy", "hospital listed twice")),
]


def test_faults_of_hospitals() -> None:
    good = {"ccn": "360001", "name": "First", "peer_group": 2}
    bad = [
        {**good, "ccn": f"36{number:04d}", **change} for number, (change, _) in enumerate(HOSPITAL_FAULTS, start=100)
    ]
    warehouse, rejects = staged(hospitals=[good, *bad])
    assert rejects == expected("hospitals", HOSPITAL_FAULTS)
    assert warehouse.count("staging.hospitals") == 1


def test_the_bounds_of_a_hospitals_values_are_good() -> None:
    hospitals = [
        {"ccn": "360001", "annual_base_operating_payments": 0, "peer_group": 1, "dual_proportion": 0, "exempt": True},
        {"ccn": "360002", "annual_base_operating_payments": 0.5, "peer_group": 5, "dual_proportion": 1, "exempt": ""},
    ]
    warehouse, rejects = staged(hospitals=hospitals)
    assert rejects == []
    assert warehouse.rows("select ccn, peer_group, dual_proportion, exempt from staging.hospitals order by 1") == [
        ("360001", 1, 0.0, True),
        ("360002", 5, 1.0, False),
    ]


def test_files_are_read_in_the_order_of_their_names() -> None:
    def twice(good: dict[str, Any], **change: Any) -> Rows:
        return [{**good, **change, "source_file": "b.csv"}, {**good, "source_file": "a.csv"}]

    procedure = {"stay_id": "s1", "sequence": 1, "code": "0SRC0J9"}
    claim = {"person_id": "p1", "service_date": "2024-12-01", "code": "E119", "source": "outpatient"}
    warehouse = run_cohort(
        {
            "stays": twice(GOOD_STAY, discharge_status="07"),
            "persons": twice(GOOD_PERSON, sex="M"),
            "diagnoses": twice(GOOD_DIAGNOSIS, code="I110"),
            "procedures": twice(procedure),
            "enrollment": twice(MONTH, ffs=False),
            "history_diagnoses": twice(claim),
            "history_procedures": twice(claim),
            "hospitals": twice({"ccn": "360001", "name": "First", "peer_group": 2}, peer_group=3),
        },
        [2028],
        until="staging",
    )
    assert warehouse.rows(
        "select canonical_file, source_file, reason from staging.rejects order by canonical_file"
    ) == [
        ("diagnoses", "b.csv", "place taken already"),
        ("enrollment", "b.csv", "month listed twice"),
        ("history_diagnoses", "b.csv", "duplicate"),
        ("history_procedures", "b.csv", "duplicate"),
        ("hospitals", "b.csv", "hospital listed twice"),
        ("persons", "b.csv", "person listed twice"),
        ("procedures", "b.csv", "duplicate"),
        ("stays", "b.csv", "duplicate"),
    ]


PROCEDURE = {"stay_id": "s1", "sequence": 1, "code": "0SRC0J9"}
CLAIM = {"person_id": "p1", "service_date": "2024-12-01", "code": "E119", "source": "outpatient"}
GOOD: dict[str, dict[str, Any]] = {
    "stays": GOOD_STAY,
    "persons": GOOD_PERSON,
    "diagnoses": GOOD_DIAGNOSIS,
    "procedures": PROCEDURE,
    "enrollment": MONTH,
    "history_diagnoses": CLAIM,
    "history_procedures": CLAIM,
    "hospitals": {"ccn": "360001", "name": "First"},
}


def test_a_fault_in_one_file_is_none_of_another_files_record_of_that_number() -> None:
    """Record 2 of every second file cannot be used, record 2 of every first one can."""
    extract = {
        name: [{**row, "source_file": f"{name}_a.csv"}, {"source_file": f"{name}_b.csv"}] for name, row in GOOD.items()
    }
    warehouse = run_cohort(extract, [2028], until="staging")
    assert warehouse.rows("select source_file, row_number from staging.rejects order by 1") == [
        (f"{name}_b.csv", 2) for name in sorted(GOOD)
    ]
    assert {name: warehouse.count(f"staging.{name}") for name in GOOD} == dict.fromkeys(GOOD, 1)
    assert warehouse.rows("select source_file, rows_kept, rows_rejected from staging.row_accounting order by 1") == [
        account for name in sorted(GOOD) for account in ((f"{name}_a.csv", 1, 0), (f"{name}_b.csv", 0, 1))
    ]


def test_records_that_could_not_be_taken_apart_are_counted() -> None:
    stays = [GOOD_STAY, {"reject": "too few fields"}, GOOD_STAY]
    warehouse, rejects = staged(stays=stays)
    assert rejects == [
        ("stays", 3, None, "record", "too few fields"),
        ("stays", 4, "admit_date", "copy", "duplicate"),
    ]
    query = (
        "select canonical_file, rows_read, rows_kept, rows_rejected, duplicates from staging.row_accounting order by 1"
    )
    assert warehouse.rows(query) == [("diagnoses", 1, 1, 0, 0), ("persons", 1, 1, 0, 0), ("stays", 3, 1, 2, 1)]


def test_a_code_has_one_key_however_it_is_written() -> None:
    """One for each indicator beside it; the codes of a person's history have none. The keys follow the order of the codes."""
    written = [
        ("I50.9", "Y"),
        ("i509 ", "y"),
        ("D62", " "),
        ("D62", None),
        ("D62", "N"),
        ("D62", "1"),
        ("D62", "Q"),
        ("?", "Y"),
    ]
    diagnoses = [
        {**GOOD_DIAGNOSIS, "sequence": place, "code": code, "poa": poa}
        for place, (code, poa) in enumerate(written, start=1)
    ]
    claims = [{**CLAIM, "code": code} for code in ("I50.9", "E119", "D62", "#")]
    warehouse, rejects = staged(diagnoses=diagnoses, history_diagnoses=claims)
    assert len(rejects) == 3
    assert warehouse.rows("select * from staging.diagnosis_codes order by code_key") == [
        (1, "D62", None, True),
        (2, "D62", "1", True),
        (3, "D62", "N", False),
        (4, "E119", None, True),
        (5, "I509", None, True),
        (6, "I509", "Y", True),
    ]
    assert warehouse.rows("select sequence, code_key from staging.diagnoses order by 1") == [
        (1, 6), (2, 6), (3, 1), (4, 1), (5, 3), (6, 2),
    ]  # fmt: skip
    assert warehouse.rows("select code_key from staging.history_diagnoses order by 1") == [(1,), (4,), (5,)]


def test_a_key_leads_back_to_file_and_record() -> None:
    """The key of a record is its file's number, in the order of the files' names, times 2^40 plus its own number there."""
    for name in ("diagnoses", "procedures", "history_diagnoses", "history_procedures", "persons"):
        other = {**GOOD[name], "person_id": "p0"} if name == "persons" else {**GOOD[name], "code": "D62", "sequence": 2}
        if name.startswith("history"):
            other.pop("sequence")
        rows = [{**other, "source_file": "zz.csv"}, {**GOOD[name], "source_file": "aa.csv"}]
        extract = {**{each: [GOOD[each]] for each in ("stays", "persons", "diagnoses")}, name: rows}
        key = "person_record_key" if name == "persons" else "record_key"
        warehouse = run_cohort(extract, [2028], until="staging")
        files = warehouse.rows("select source_file, file_number from staging.file_numbers order by file_number")
        assert [number for _, number in files] == list(range(1, len(files) + 1))
        assert [file for file, _ in files] == sorted(file for file, _ in files)
        assert warehouse.rows(
            f"select source_file, {key} - file_number * 1099511627776 from staging.{name}, staging.file_numbers "
            f"where {key} // 1099511627776 = file_number order by 1"
        ) == [("aa.csv", 2), ("zz.csv", 2)]


def test_excluded_quarters_are_calendar_quarters() -> None:
    hospitals = [{"ccn": "360001", "name": "First", "excluded_quarters": "2024q4; 2025Q1;2025Q1;"}]
    warehouse, rejects = staged(hospitals=hospitals)
    assert rejects == []
    assert warehouse.rows(
        "select ccn, quarter_start::varchar, quarter_end::varchar from staging.excluded_quarters order by 2"
    ) == [("360001", "2024-10-01", "2024-12-31"), ("360001", "2025-01-01", "2025-03-31")]


def test_overlapping_stays_are_walked_through_in_order() -> None:
    def stay(name: str, ccn: str, first: str, last: str) -> dict[str, Any]:
        return {**GOOD_STAY, "stay_id": name, "ccn": ccn, "admit_date": first, "discharge_date": last}

    stays = [
        stay("d", "360003", "2025-03-12", "2025-03-14"),
        stay("a", "360001", "2025-03-01", "2025-03-10"),
        stay("c", "361301", "2025-03-09", "2025-03-09"),
        stay("b", "360002", "2025-03-05", "2025-03-20"),
        stay("e", "363025", "2025-03-13", "2025-03-20"),
        stay("f", "360002", "2025-03-14", "2025-03-18"),
        stay("g", "360002", "2025-03-15", "2025-03-16"),
    ]
    warehouse, rejects = staged(stays=stays, diagnoses=[])
    reason = ("admit_date", "impossible date", "overlaps an earlier stay at another hospital")
    assert rejects == [("stays", 4, *reason), ("stays", 5, *reason)]
    assert [name for (name,) in warehouse.rows("select stay_id from staging.stays order by stay_key")] == list("adefg")


@pytest.mark.parametrize("second", [("360001", "03", "09"), ("360002", "05", "09")], ids=["same hospital", "transfer"])
def test_a_stay_is_laid_beside_every_stay_that_was_kept(second: tuple[str, str, str]) -> None:
    """Two stays of one hospital may overlap, and a transfer begins on the last day; a stay elsewhere within the second is out."""
    days = {"a": ("360001", "01", "05"), "b": second, "c": ("360003", "07", "08")}
    stays = [
        {
            **GOOD_STAY,
            "stay_id": name,
            "ccn": ccn,
            "admit_date": f"2025-03-{first}",
            "discharge_date": f"2025-03-{last}",
        }
        for name, (ccn, first, last) in days.items()
    ]
    _, rejects = staged(stays=stays, diagnoses=[])
    assert rejects == [("stays", 4, "admit_date", "impossible date", "overlaps an earlier stay at another hospital")]


def test_a_record_under_the_id_of_another_stay_overlaps_nothing() -> None:
    """It is rejected for its id alone, and a later stay is none the worse for it."""
    stays = [
        GOOD_STAY,
        {**GOOD_STAY, "ccn": "360002", "admit_date": "2025-03-02", "discharge_date": "2025-03-20"},
        {**GOOD_STAY, "stay_id": "s2", "ccn": "360003", "admit_date": "2025-03-10", "discharge_date": "2025-03-12"},
    ]
    warehouse, rejects = staged(stays=stays)
    assert rejects == [("stays", 3, "stay_id", "copy", "stay_id of another stay")]
    assert warehouse.rows("select stay_id from staging.stays order by stay_key") == [("s1",), ("s2",)]


def test_hospitals_that_changed_numbers() -> None:
    changes = [
        {"predecessor_ccn": "360001", "successor_ccn": "360002", "effective_date": "2025-01-01", "source": "test"},
        {"predecessor_ccn": "360002", "successor_ccn": "360003", "effective_date": "2025-02-01", "source": "test"},
        {"predecessor_ccn": "360005", "successor_ccn": "360006", "effective_date": "2027-02-01", "source": "test"},
        {"predecessor_ccn": "360007", "successor_ccn": "360008", "effective_date": "2025-02-01", "source": "test"},
        {"predecessor_ccn": "360008", "successor_ccn": "360007", "effective_date": "2025-02-01", "source": "test"},
    ]
    stays = [
        {**GOOD_STAY, "stay_id": ccn, "ccn": ccn, "admit_date": date, "discharge_date": date}
        for ccn, date in (
            ("360001", "2025-03-01"),
            ("360003", "2025-03-01"),
            ("360002", "2025-03-02"),
            ("360005", "2025-04-01"),
        )
    ]
    warehouse = run_cohort(
        {"stays": stays, "persons": [GOOD_PERSON], "diagnoses": [{**GOOD_DIAGNOSIS, "stay_id": "360001"}]},
        [2028],
        reference_rows={"hospital_successions": changes},
    )
    assert warehouse.rows("select ccn, former_ccn from staging.stays order by stay_key") == [
        ("360003", "360001"),
        ("360003", "360002"),
        ("360005", None),
    ]
    assert warehouse.rows("select row_number, reason from staging.rejects") == [(3, "duplicate")]
    assert warehouse.rows("select ccn, included from cohort.cohort_flow") == [("360003", True)]


def test_excluded_quarters_of_a_hospital_that_changed_numbers() -> None:
    """Under its number of then or of today, and once where both name the quarter; on the very day the change counts."""
    change = {"predecessor_ccn": "360011", "successor_ccn": "360012", "effective_date": "2025-12-01", "source": "test"}
    stay = {**GOOD_STAY, "ccn": "360011"}
    for listed in (["360011"], ["360012"], ["360011", "360012"]):
        warehouse = run_cohort(
            {
                "stays": [stay],
                "persons": [GOOD_PERSON],
                "diagnoses": [GOOD_DIAGNOSIS],
                "hospitals": [{"ccn": ccn, "name": ccn, "excluded_quarters": "2025Q1"} for ccn in listed],
            },
            [2028],
            date(2025, 12, 1),
            extract_end=date(2025, 12, 1),
            reference_rows={"hospital_successions": [change]},
        )
        assert warehouse.rows("select ccn, reasons from cohort.cohort_flow") == [("360012", ["excluded_quarter"])]
        assert warehouse.rows("select is_index_hospital from cohort.stays") == [(True,)]


def test_a_replaced_reference_table_comes_back() -> None:
    change = {"predecessor_ccn": "360001", "successor_ccn": "360002", "effective_date": "2025-01-01", "source": "test"}
    extract = {"stays": [GOOD_STAY], "persons": [GOOD_PERSON], "diagnoses": [GOOD_DIAGNOSIS]}
    warehouse = run_cohort(
        extract, [2028], reference_rows={"hospital_successions": [change]}, until="staging.hospital_successors"
    )
    assert warehouse.count("staging.hospital_successors") == 1
    assert warehouse.count("reference.hospital_successions") == 0


def test_rules_that_missing_inputs_skip() -> None:
    warehouse = run_cohort(
        {"stays": [GOOD_STAY], "persons": [GOOD_PERSON], "diagnoses": [GOOD_DIAGNOSIS]},
        [2028],
        until="staging.skipped_rules",
    )
    skipped = {
        (rule, missing) for rule, missing in warehouse.rows("select rule, missing_input from staging.skipped_rules")
    }
    assert ("enrollment_before and enrollment_after", "enrollment") in skipped
    assert ("payer", "enrollment") in skipped
    assert ("present on admission", "diagnoses.poa") in skipped
    stay = {**GOOD_STAY, "payer": "FFS"}
    warehouse = run_cohort(
        {"stays": [stay], "persons": [GOOD_PERSON], "diagnoses": [{**GOOD_DIAGNOSIS, "poa": "Y"}]},
        [2028],
        until="staging.skipped_rules",
    )
    skipped = {
        (rule, missing) for rule, missing in warehouse.rows("select rule, missing_input from staging.skipped_rules")
    }
    assert ("payer", "enrollment") not in skipped
    assert ("present on admission", "diagnoses.poa") not in skipped


def test_no_message_carries_a_value() -> None:
    secret = {**GOOD_STAY, "stay_id": "SECRET1", "person_id": "SECRET2", "admit_date": "31.12.1999"}
    warehouse, _ = staged(stays=[GOOD_STAY, secret])
    (text,) = warehouse.rows("select string_agg(rejects::varchar, ' ') from staging.rejects")[0]
    assert "SECRET" not in text and "1999" not in text
