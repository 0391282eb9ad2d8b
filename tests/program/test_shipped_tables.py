"""The shipped reference tables: complete, whole, each row with a source, in one spelling."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from hrrp.program import MEASURES, Reference
from hrrp.settings import reference_dir

CHECKOUT = Path(__file__).resolve().parents[2]

# Rows of every table whose size is a fact of its source; a table that lost a row would still look well otherwise.
ROWS = {
    "applicable_periods": 20,
    "between_hospital_variance": 6,
    "cc_icd10cm": 23_786,
    "ccs_gap_icd10pcs": 919,
    "ccs_icd10cm": 75_597,
    "ccs_icd10pcs": 79_758,
    "cohort_codes": 1_430,
    "condition_categories": 182,
    "discharge_status_codes": 41,
    "measures": 6,
    "national_rates": 36,
    "outcome_exception_codes": 2,
    "peer_group_cuts": 10,
    "peer_group_medians": 119,
    "planned_admission_codes": 12_065 + 2,
    "program_year_measures": 100,
    "program_years": 18,
    "readmissions_elsewhere": 6,
    "risk_coefficients": 1_302,
    "risk_variable_ccs": 459,
    "risk_variable_codes": 183,
    "risk_variables": 214,
}


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


def test_every_table_is_whole(reference: Reference) -> None:
    assert {table: len(reference.rows(table)) for table in ROWS} == ROWS


def test_code_maps_hold_what_their_sources_hold(reference: Reference) -> None:
    def codes(table: str, *origins: str) -> list[tuple[str, str]]:
        column = "cc" if table.startswith("cc_") else "ccs"
        return [(row["code"], row[column]) for row in reference.rows(table) if row["origin"] in origins]

    diagnoses, procedures = codes("ccs_icd10cm", "2019.1"), codes("ccs_icd10pcs", "2019.1")
    assert (len(diagnoses), len({ccs for _, ccs in diagnoses})) == (72_446, 283)
    assert (len(procedures), len({ccs for _, ccs in procedures})) == (79_758, 224)
    assert len(codes("ccs_icd10cm", "gap high", "gap medium", "gap low")) == 3_280 - 129
    v22 = codes("cc_icd10cm", "V22")
    assert (len({code for code, _ in v22}), len({cc for _, cc in v22}), len(v22)) == (9_837, 79, 9_837 + 284)
    v24 = codes("cc_icd10cm", "V24")
    assert Counter(cc for _, cc in v24) == {"51": 67, "52": 62, "56": 14, "60": 16, "138": 3, "159": 25, "59": 4}
    assert sorted(codes("cc_icd10cm", "patch")) == [("R0901", "84"), ("R0902", "84")]
    assert ("I132", "85") in v22
    gap = codes("cc_icd10cm", "gap prefix")
    assert len({code for code, _ in gap}) == len(gap) and not {code for code, _ in gap} & {
        code for code, _ in v22 + v24
    }


def test_every_category_that_a_measure_uses_has_codes(reference: Reference) -> None:
    used = {row["cc"] for row in reference.rows("risk_variable_ccs")}
    source = {row["cc"]: row["mapping_source"] for row in reference.rows("condition_categories")}
    origins: dict[str, set[str]] = {}
    for row in reference.rows("cc_icd10cm"):
        origins.setdefault(row["cc"], set()).add(row["origin"])
    assert len(used) == 110
    assert Counter(source[cc] == "gap prefix" for cc in used) == {False: 66, True: 44}
    for cc, named in source.items():
        assert origins.get(cc, {"none"}) - {"patch"} == {named}, f"category {cc}"


def test_every_row_has_a_source(reference: Reference) -> None:
    for table in reference.table_names():
        if table != "data_dictionary":
            bare = [row for row in reference.rows(table) if not row["source"].strip()]
            assert not bare, f"{table}: {len(bare)} rows without a source"


def test_the_dictionary_describes_exactly_the_columns_that_there_are(reference: Reference) -> None:
    described = Counter(
        (row["table_name"].removeprefix("reference."), row["column_name"])
        for row in reference.rows("data_dictionary")
        if row["table_name"].startswith("reference.")
    )
    # Headings are read from the files: a table that is a site's own ships without rows.
    headings = {path.stem: path.read_text(encoding="utf-8").splitlines()[0] for path in reference_dir().glob("*.csv")}
    found = Counter((table, column) for table, heading in headings.items() for column in heading.split(","))
    assert described == found
    for row in reference.rows("data_dictionary"):
        assert row["type"] and row["description"], f"{row['table_name']}.{row['column_name']} is not described"


def test_cells_are_of_the_type_that_the_dictionary_gives(reference: Reference) -> None:
    checks: dict[str, Callable[[str], object]] = {
        "INTEGER": int,
        "DOUBLE": float,
        "DATE": date.fromisoformat,
        "BOOLEAN": {"true": True, "false": False}.__getitem__,
    }
    for row in reference.rows("data_dictionary"):
        table = row["table_name"].removeprefix("reference.")
        if row["table_name"] == table or row["type"] not in checks:
            continue
        for each in reference.rows(table):
            if each[row["column_name"]]:
                checks[row["type"]](each[row["column_name"]])


def test_confidence_is_one_of_three_words(reference: Reference) -> None:
    for table in reference.table_names():
        if "confidence" in next(iter(reference.rows(table)), {}):
            assert {row["confidence"] for row in reference.rows(table)} <= {"high", "medium", "low"}, table


def test_codes_have_no_dots_and_are_upper_case(reference: Reference) -> None:
    for table in reference.table_names():
        for column in ("code", "code_prefix", "ccs"):
            if column in next(iter(reference.rows(table)), {}):
                wrong = [row[column] for row in reference.rows(table) if not re.fullmatch("[A-Z0-9]+", row[column])]
                assert not wrong, f"{table}.{column}: {wrong[:3]}"


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("applicable_periods", ("program_year", "segment")),
        ("cc_icd10cm", ("code", "cc")),
        ("ccs_icd10cm", ("code",)),
        ("ccs_icd10pcs", ("code",)),
        ("ccs_gap_icd10pcs", ("code",)),
        ("cohort_codes", ("measure", "role", "code_system", "code_prefix")),
        ("condition_categories", ("cc",)),
        ("discharge_status_codes", ("code",)),
        ("dual_status_codes", ("code",)),
        ("national_rates", ("program_year", "measure")),
        ("parameters", ("parameter",)),
        ("peer_group_medians", ("program_year", "peer_group", "measure")),
        ("planned_admission_codes", ("list", "code_system", "code_prefix")),
        ("program_years", ("program_year",)),
        ("program_year_measures", ("program_year", "measure")),
        ("risk_coefficients", ("program_year", "measure", "variable_key")),
        ("risk_variable_ccs", ("measure", "variable_key", "cc")),
        ("risk_variable_codes", ("measure", "variable_key", "place", "code_system", "code_prefix")),
        ("risk_variables", ("measure", "variable_key")),
    ],
)
def test_no_key_stands_twice(reference: Reference, table: str, key: tuple[str, ...]) -> None:
    places = Counter(tuple(row[name] for name in key) for row in reference.rows(table))
    assert [place for place, count in places.items() if count > 1] == []


def test_program_years_are_complete_and_do_not_overlap(reference: Reference) -> None:
    years = reference.program_years
    assert list(years) == list(range(2013, 2031))
    for year, rules in years.items():
        assert rules.payment_end - rules.payment_start in {timedelta(days=364), timedelta(days=365)}
        if year + 1 in years:
            assert years[year + 1].payment_start == rules.payment_end + timedelta(days=1)
        for earlier, later in zip(rules.periods, rules.periods[1:], strict=False):
            assert earlier.end < later.start
        assert all(period.start <= period.end for period in rules.periods)
        assert rules.end < rules.payment_start, "a period ends before its payment year begins"
        assert rules.max_reduction == {2013: 0.01, 2014: 0.02}.get(year, 0.03)
        assert rules.method == ("nonstratified" if year < 2019 else "stratified")
        assert rules.medicare_advantage == (year >= 2027)
        assert rules.covid_rule == ("excluded" if 2023 <= year <= 2026 else "none")
        assert rules.poa_rule == ("present_on_admission" if year >= 2023 else "complication_list")


def test_no_applicable_period_holds_the_half_year_whose_claims_are_not_used(reference: Reference) -> None:
    for rules in reference.program_years.values():
        for period in rules.periods:
            assert period.end <= date(2019, 12, 31) or period.start >= date(2020, 7, 1)


@pytest.mark.parametrize(
    ("year", "periods"),
    [
        (2013, [("2008-07-01", "2011-06-30")]),
        (2022, [("2017-07-01", "2019-12-01")]),
        (2023, [("2018-07-01", "2019-12-01"), ("2020-07-01", "2021-06-30")]),
        (2024, [("2019-07-01", "2019-12-01"), ("2020-07-01", "2022-06-30")]),
        (2027, [("2023-07-01", "2025-06-30")]),
        (2030, [("2026-07-01", "2028-06-30")]),
    ],
)
def test_applicable_periods(reference: Reference, year: int, periods: list[tuple[str, str]]) -> None:
    found = [(str(period.start), str(period.end)) for period in reference.program_year(year).periods]
    assert found == periods


def test_measures_come_into_the_formula_when_the_rule_says(reference: Reference) -> None:
    first = {row["measure"]: int(row["first_program_year"]) for row in reference.rows("measures")}
    assert first == {"AMI": 2013, "COPD": 2015, "HF": 2013, "PN": 2013, "CABG": 2017, "THA_TKA": 2015}
    for year, rules in reference.program_years.items():
        expected = {measure for measure in MEASURES if year >= first[measure]} - ({"PN"} if year == 2023 else set())
        assert set(rules.measures_in_payment) == expected
    left_out = [row for row in reference.rows("program_year_measures") if row["in_payment"] == "false"]
    assert [(row["program_year"], row["measure"]) for row in left_out] == [("2023", "PN")]


def test_every_model_of_2020_to_2025_has_a_coefficient_for_every_variable(reference: Reference) -> None:
    variables = {measure: set[str]() for measure in MEASURES}
    for row in reference.rows("risk_variables"):
        variables[row["measure"]].add(row["variable_key"])
    counts = {measure: len(keys) for measure, keys in variables.items()}
    assert counts == {"AMI": 32, "COPD": 41, "HF": 38, "PN": 42, "CABG": 27, "THA_TKA": 34}
    for measure in MEASURES:
        for year in range(2020, 2026):
            published = reference.published_model(measure, year)
            assert published.year_used == year
            # History of COVID-19 came into the models with FY2023.
            expected = variables[measure] - (set() if year >= 2023 else {"hx_covid"})
            assert set(published.value.coefficients) == expected, f"{measure} FY{year}"
            assert -5 < published.value.intercept < 0


def test_a_special_rule_has_codes_and_every_code_belongs_to_a_variable(reference: Reference) -> None:
    coded = {(row["measure"], row["variable_key"]) for row in reference.rows("risk_variable_codes")}
    mapped = {(row["measure"], row["variable_key"]) for row in reference.rows("risk_variable_ccs")}
    variables = {(row["measure"], row["variable_key"]) for row in reference.rows("risk_variables")}
    assert coded | mapped <= variables
    # What is left is told by the person or by the cohort's own procedure codes.
    by_rule = {key for _, key in variables - coded - mapped}
    assert by_rule == {"years_over_65", "male", "index_tha", "two_procedures"}


def test_complication_categories_are_the_same_in_both_tables(reference: Reference) -> None:
    flagged = {row["cc"] for row in reference.rows("condition_categories") if row["complication_of_care"] == "true"}
    in_use = {row["cc"] for row in reference.rows("risk_variable_ccs") if row["complication_of_care"] == "true"}
    used = {row["cc"] for row in reference.rows("risk_variable_ccs")}
    assert in_use == flagged & used
    listed = (
        "2 7 17 24 30 33 36 48 50 80 82-87 96 97 99-101 103 104 106-109 114 115 117 134 135 140-142 144 157-160 164"
    )
    listed += " 166-168 170 171 173 175-177 186-191"
    expected = set[int]()
    for part in listed.split():
        first, _, last = part.partition("-")
        expected |= set(range(int(first), int(last or first) + 1))
    assert {int(cc) for cc in flagged} == expected


@pytest.mark.parametrize(
    ("year", "modifier"),
    [
        (2020, 0.95760770567596),
        (2021, 0.96133875481065),
        (2022, 0.96370280258257),
        (2023, 0.95583991392119),
        (2024, 0.9630510589014),
        (2025, 0.96524016588985),
        (2026, 0.9627),
        (2027, 0.9628),
    ],
)
def test_neutrality_modifiers(reference: Reference, year: int, modifier: float) -> None:
    assert reference.neutrality_modifier(year).value == modifier
    assert not reference.neutrality_modifier(year).is_stand_in


def test_national_figures_as_the_specification_prints_them(reference: Reference) -> None:
    rates = reference.national_rates(2025).value
    assert {measure: round(rate, 3) for measure, rate in rates.items()} == {
        "AMI": 0.134,
        "COPD": 0.186,
        "HF": 0.197,
        "PN": 0.164,
        "CABG": 0.106,
        "THA_TKA": 0.045,
    }
    assert reference.peer_group_cuts(2025).value == {1: 0.1480, 2: 0.1928, 3: 0.2414, 4: 0.3175, 5: 1.0}
    assert reference.peer_group_cuts(2027).value == {1: 0.1370, 2: 0.1824, 3: 0.2332, 4: 0.3144, 5: 1.0}
    by_year = {row["program_year"]: row for row in reference.rows("program_years")}
    assert by_year["2027"]["estimated_total_usd"] == "361347626"
    assert by_year["2025"]["hospitals_in_file"] == "2980" and by_year["2027"]["hospitals_in_file"] == "2912"
    for measure in MEASURES:
        tau2, _ = reference.between_hospital_variance(measure)
        assert 0.01 < tau2 < 0.1


def test_planned_admission_lists(reference: Reference) -> None:
    rows = reference.rows("planned_admission_codes")
    categories = Counter(row["list"] for row in rows if row["code_system"].startswith("CCS"))
    assert categories == {
        "always_planned_procedure": 5,
        "always_planned_diagnosis": 4,
        "potentially_planned_procedure": 65,
        "potentially_planned_procedure_2019_only": 2,
        "acute_diagnosis": 80,
    }
    later = {row["code_prefix"] for row in rows if row["note"] == "not_in_2019_list"}
    assert later == {str(ccs) for ccs in (2, 42, 94, 96, 118, 123, 125, 147, 148, *range(160, 165), 211, 224)}
    only_2019 = {row["code_prefix"] for row in rows if row["list"] == "potentially_planned_procedure_2019_only"}
    assert only_2019 == {"49", "112"}


def test_planned_admission_categories_exist_in_the_code_maps(reference: Reference) -> None:
    for system, table in (("CCS_CM", "ccs_icd10cm"), ("CCS_PCS", "ccs_icd10pcs")):
        known = {row["ccs"] for row in reference.rows(table)}
        listed = {r["code_prefix"] for r in reference.rows("planned_admission_codes") if r["code_system"] == system}
        assert listed <= known


def test_discharge_statuses_and_dual_codes(reference: Reference) -> None:
    meanings: dict[str, set[str]] = {}
    for row in reference.rows("discharge_status_codes"):
        meanings.setdefault(row["meaning"], set()).add(row["code"])
    assert meanings["died"] == {"20", "40", "41", "42"}
    assert meanings["left_against_medical_advice"] == {"07"}
    assert meanings["still_a_patient"] == {"30"}
    assert meanings["acute_transfer"] == {"02", "05", "43", "66", "82", "85", "88", "94"}
    assert meanings["psychiatric"] == {"65", "93"}
    full = {row["code"] for row in reference.rows("dual_status_codes") if row["is_full_benefit"] == "true"}
    assert full == {"02", "04", "08"}


def test_facility_numbers(reference: Reference) -> None:
    def kind(number: int) -> str | None:
        for row in reference.rows("facility_types"):
            if int(row["first_number"]) <= number <= int(row["last_number"]):
                return row["facility_type"]
        return None

    assert [kind(number) for number in (1, 879, 880, 1300, 1399, 2000, 3025, 3300, 4499)] == [
        "short_term_acute",
        "short_term_acute",
        None,
        "critical_access",
        "critical_access",
        "long_term_care",
        "rehabilitation",
        "childrens",
        "psychiatric",
    ]


def text_of(*folders: str) -> str:
    paths = [path for folder in folders for path in (CHECKOUT / folder).rglob("*") if path.suffix in {".sql", ".py"}]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("cohort_codes", "role"),
        ("planned_admission_codes", "list"),
        ("outcome_exception_codes", "exception"),
        ("risk_variable_codes", "place"),
    ],
)
def test_every_code_list_is_used_by_a_step(reference: Reference, table: str, column: str) -> None:
    # Codes that look as if they belonged to a cohort and do not: kept for readers of the tables, joined by nothing.
    documented = {"excluded_near_miss"}
    # History of COVID-19 is a risk variable (risk_variable_codes, hx_covid); the cohort table lists its codes for readers.
    documented |= {"covid_history"}
    words = set(re.findall(r"'(\w+)'", text_of("sql")))
    unused = {row[column] for row in reference.rows(table)} - words - documented
    assert not unused, f"{table}: no SQL step names {', '.join(sorted(unused))}"


def test_history_of_covid_has_the_same_codes_in_both_tables(reference: Reference) -> None:
    listed = {row["code_prefix"] for row in reference.rows("cohort_codes") if row["role"] == "covid_history"}
    for measure in MEASURES:
        rows = [row for row in reference.rows("risk_variable_codes") if row["measure"] == measure]
        assert {row["code_prefix"] for row in rows if row["variable_key"] == "hx_covid"} == listed


def test_every_parameter_is_used(reference: Reference) -> None:
    in_steps = set(re.findall(r"\$(\w+)", text_of("sql")))
    rooms = [f"pipelines/hrrp/{path.name}" for path in (CHECKOUT / "pipelines" / "hrrp").iterdir() if path.is_dir()]
    in_rooms = set(re.findall(r'"(\w+)"', text_of(*(room for room in rooms if not room.endswith("/program")))))
    unused = {row["parameter"] for row in reference.rows("parameters")} - in_steps - in_rooms
    assert not unused, f"no step and no room uses {', '.join(sorted(unused))}"


def test_sources_page_tells_of_every_code_map() -> None:
    page = (reference_dir() / "SOURCES.md").read_text(encoding="utf-8")
    for table in ("ccs_icd10cm", "ccs_icd10pcs", "ccs_gap_icd10pcs", "cc_icd10cm"):
        assert table in page
