"""A site's own rows: what they replace, how they may be written, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrrp.errors import HrrpError, InputContractError, RulesMissingError, UsageError
from hrrp.program import Reference, write_site_rows


def site(folder: Path, **files: str) -> Reference:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return Reference(site=folder)


def test_without_a_folder_the_shipped_rows_stand(tmp_path: Path) -> None:
    reference = Reference(site=tmp_path / "nothing here")
    assert reference.site_tables() == []
    assert reference.rows("program_years") == Reference().rows("program_years")


def test_a_row_of_the_site_wins_and_the_cells_that_it_leaves_empty_stay(tmp_path: Path) -> None:
    reference = site(tmp_path, program_years="program_year,neutrality_modifier,note\n2028,0.9631,\n")
    assert reference.neutrality_modifier(2028).value == 0.9631
    assert not reference.neutrality_modifier(2028).is_stand_in
    assert reference.neutrality_modifier(2029).year_used == 2028
    rules = reference.program_year(2028)
    assert rules.note == "dates rolled forward one year from FY2027"
    assert rules.source == "the site's own (program_years.csv)"
    assert reference.program_year(2027) == Reference().program_year(2027)
    assert reference.site_tables() == ["program_years"]


def test_a_new_year_needs_its_rules_and_then_stands(tmp_path: Path) -> None:
    reference = site(tmp_path, program_years="program_year,neutrality_modifier\n2031,0.97\n")
    assert list(reference.program_years)[-1] == 2030
    with pytest.raises(RulesMissingError, match=r"applicable_periods\.csv and program_year_measures\.csv"):
        reference.program_year(2031)
    reference = site(
        tmp_path,
        program_years="program_year,max_reduction,method,medicare_advantage,covid_rule,poa_rule\n"
        "2031,0.03,stratified,TRUE,none,present_on_admission\n",
        applicable_periods="program_year,segment,start_date,end_date\n2031,1,2027-07-01,2029-06-30\n",
        program_year_measures="program_year,measure,in_payment\n2031,HF,true\n2031,THA/TKA,True\n",
    )
    rules = reference.program_year(2031)
    assert rules.measures_in_payment == ("HF", "THA_TKA")
    assert rules.medicare_advantage and str(rules.start) == "2027-07-01"


def test_a_cohort_sheet_replaces_the_lists_that_it_has(tmp_path: Path) -> None:
    reference = site(
        tmp_path,
        cohort_codes="\ufeffMeasure,Role,Code_System,Code\nHF,principal_dx,ICD-10-CM,i50.9\nHF,principal_dx,ICD10CM,I50.9\n",
    )
    rows = reference.rows("cohort_codes")
    heart_failure = [row for row in rows if (row["measure"], row["role"]) == ("HF", "principal_dx")]
    assert [(row["code_system"], row["code_prefix"]) for row in heart_failure] == [("ICD10CM", "I509")]
    assert heart_failure[0]["source"] == "the site's own (cohort_codes.csv)"
    others = [row for row in rows if (row["measure"], row["role"]) != ("HF", "principal_dx")]
    shipped = [r for r in Reference().rows("cohort_codes") if (r["measure"], r["role"]) != ("HF", "principal_dx")]
    assert others == shipped


def test_a_ccs_map_replaces_both_code_maps(tmp_path: Path) -> None:
    reference = site(tmp_path, ccs_map="code_system,code,ccs\nICD10CM,I50.9,108\nICD-10-PCS,02100Z9,44\n")
    assert [(row["code"], row["ccs"]) for row in reference.rows("ccs_icd10cm")] == [("I509", "108")]
    assert [(row["code"], row["ccs"]) for row in reference.rows("ccs_icd10pcs")] == [("02100Z9", "44")]
    assert reference.site_tables() == ["ccs_icd10cm", "ccs_icd10pcs"]
    assert "ccs_map" not in reference.table_names()


def test_a_category_map_replaces_the_shipped_one(tmp_path: Path) -> None:
    reference = site(tmp_path, cc_map="code,cc\nE11.311,18\nE11.311,122\nE11.311,18\n")
    assert [(row["code"], row["cc"]) for row in reference.rows("cc_icd10cm")] == [("E11311", "18"), ("E11311", "122")]
    assert not any("this project's" in note for note in reference.list_notes())


def test_the_column_order_and_set_stay_those_of_the_shipped_table(tmp_path: Path) -> None:
    reference = site(tmp_path, cc_map="cc,code\n85,I509\n", peer_group_cuts="peer_group,program_year\n1,2028\n")
    for table in ("cc_icd10cm", "peer_group_cuts"):
        assert all(list(row) == list(Reference().rows(table)[0]) for row in reference.rows(table))


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("cohort_codes", "", "is empty: a heading row was expected"),
        ("cohort_codes", "measure,role,code\nHF,principal_dx,I509\n", "missing: code_system"),
        ("cohort_codes", "measure,role,code_system,code,colour\n", "unknown: colour"),
        (
            "cohort_codes",
            "measure,role,code_system,code\nHF,principal,ICD10CM,I509\n",
            "list 'HF principal'.*no rule uses",
        ),
        ("cohort_codes", "measure,role,code_system,code\nHF,principal_dx,ICD9CM,4280\n", "row 2, column code_system"),
        ("cohort_codes", "measure,role,code_system,code\nHF,principal_dx,ICD10CM,I50 9\n", "row 2, column code_prefix"),
        (
            "cohort_codes",
            "measure,role,code_system,code\nHF,principal_dx,ICD10CM\n",
            "row 2: 3 cells, the heading has 4",
        ),
        ("cohort_codes", "measure,role,code_system,code\nSEPSIS,principal_dx,ICD10CM,A419\n", "row 2, column measure"),
        (
            "program_years",
            "program_year,neutrality_modifier\n2028,high\n",
            "neutrality_modifier: 'high' is not a number",
        ),
        ("program_years", "program_year,medicare_advantage\n2028,yes\n", "'yes' is not true or false"),
        ("program_years", "program_year,note\n2028,a\n2028,b\n", "two different rows for 2028"),
        ("applicable_periods", "program_year,segment,start_date\n2028,1,07/01/2024\n", "is not a date as YYYY-MM-DD"),
        ("ccs_map", "code,ccs\nI509,108\n", "missing: code_system"),
        ("ccs_map", "code_system,code,ccs\nICD10CM,I509,108\n", "no rows for ICD10PCS"),
        ("cc_map", "code,cc\n", "has no rows, and would leave cc_icd10cm empty"),
        ("ccs_icd10cm", "code,ccs\nI509,108\nI50.9,109\n", "two different rows for I509"),
    ],
)
def test_a_faulty_file_says_where_and_what_was_expected(tmp_path: Path, table: str, text: str, message: str) -> None:
    reference = site(tmp_path, **{table: text})
    with pytest.raises(InputContractError, match=message) as raised:
        for name in reference.site_tables():
            reference.rows(name)
    assert raised.value.exit_code == 10


def test_a_file_named_like_no_table_is_not_ignored_in_silence(tmp_path: Path) -> None:
    with pytest.raises(InputContractError, match="no reference table of that name"):
        site(tmp_path, cohort_code="measure\n").site_tables()


def test_two_files_for_one_map_are_refused(tmp_path: Path) -> None:
    reference = site(tmp_path, cc_map="code,cc\nI509,85\n", cc_icd10cm="code,cc\nI509,85\n")
    with pytest.raises(InputContractError, match="has both"):
        reference.rows("cc_icd10cm")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cc_map.csv").write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(InputContractError, match="not UTF-8"):
        Reference(site=tmp_path).rows("cc_icd10cm")


def test_a_risk_model_without_its_intercept_is_refused(tmp_path: Path) -> None:
    reference = site(tmp_path, risk_coefficients="program_year,measure,variable_key,coefficient\n2026,HF,male,0.1\n")
    with pytest.raises(InputContractError, match="FY2026 HF and no national_intercept"):
        reference.published_model("HF", 2028)


def test_written_rows_are_read_again_and_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    rows = [
        {
            "program_year": 2028,
            "peer_group": group,
            "measure": "HF",
            "median_err": 1 + group / 1000,
            "source": "adopted",
        }
        for group in range(1, 6)
    ]
    path = write_site_rows(folder, "peer_group_medians", rows)
    write_site_rows(
        folder, "program_years", [{"program_year": 2028, "neutrality_modifier": 0.9633, "source": "adopted"}]
    )
    write_site_rows(folder, "program_years", [{"program_year": 2028, "medicare_advantage": True, "note": None}])
    write_site_rows(folder, "program_years", [{"program_year": 2029, "neutrality_modifier": 0.9644}])
    reference = Reference(site=folder)
    medians = reference.peer_group_medians(2028)
    assert medians.note is None and medians.value == {(group, "HF"): 1 + group / 1000 for group in range(1, 6)}
    assert reference.neutrality_modifier(2028).value == 0.9633
    assert reference.neutrality_modifier(2029).value == 0.9644
    assert reference.program_year(2028).source == "adopted"
    assert reference.program_year(2029).source == "the site's own (program_years.csv)"
    assert path == folder / "peer_group_medians.csv"
    assert sorted(each.name for each in folder.iterdir()) == ["peer_group_medians.csv", "program_years.csv"]


def test_writing_a_row_again_changes_nothing_else(tmp_path: Path) -> None:
    rows = [
        {"program_year": year, "measure": "HF", "national_observed_unplanned_30d_rate": 0.2} for year in (2026, 2027)
    ]
    path = write_site_rows(tmp_path, "national_rates", rows)
    write_site_rows(tmp_path, "national_rates", [rows[0] | {"national_observed_unplanned_30d_rate": 0.21}])
    found = Reference(site=tmp_path)
    assert found.national_rates(2026).value == {"HF": 0.21} and found.national_rates(2027).value == {"HF": 0.2}
    before = path.read_bytes()
    write_site_rows(tmp_path, "national_rates", [rows[1]])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("table", "row", "message"),
    [
        ("cohort_codes", {"measure": "HF"}, "only program_years"),
        ("program_years", {"neutrality_modifier": 0.96}, "A row for program_years has the columns neutrality_modifier"),
        ("program_years", {"program_year": 2028, "modifier": 0.96}, "A row for program_years has the columns"),
    ],
)
def test_rows_that_do_not_fit_are_not_written(tmp_path: Path, table: str, row: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        write_site_rows(tmp_path, table, [row])
    assert list(tmp_path.iterdir()) == []


def test_a_site_with_a_faulty_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "program_years.csv").write_text("colour\nblue\n")
    with pytest.raises(HrrpError):
        write_site_rows(tmp_path, "program_years", [{"program_year": 2028, "neutrality_modifier": 0.96}])
    assert (tmp_path / "program_years.csv").read_text() == "colour\nblue\n"
