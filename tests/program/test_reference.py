"""The reader of the reference tables: years, stand-ins, parameters, announced measures, versions of lists."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from hrrp.errors import RulesMissingError, UsageError
from hrrp.program import MEASURES, Reference
from hrrp.settings import reference_dir


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


@pytest.mark.parametrize(
    ("day", "years"),
    [
        (date(2026, 11, 23), (2028, 2029, 2030)),
        (date(2026, 9, 30), (2027, 2028, 2029, 2030)),
        (date(2026, 10, 1), (2028, 2029, 2030)),
        (date(2026, 6, 30), (2027, 2028, 2029)),
        (date(2011, 1, 1), (2013, 2014, 2015)),
        (date(2012, 10, 1), (2014, 2015, 2016, 2017)),
        (date(2008, 6, 30), ()),
        (date(2029, 10, 1), ()),
    ],
)
def test_years_being_earned(reference: Reference, day: date, years: tuple[int, ...]) -> None:
    assert reference.years_being_earned(day) == years


def test_an_unlisted_year_has_no_rules(reference: Reference) -> None:
    with pytest.raises(RulesMissingError, match=r"FY2031: the reference tables list FY2013 to FY2030") as raised:
        reference.program_year(2031)
    assert raised.value.exit_code == 11


def test_a_missing_figure_names_its_stand_in(reference: Reference) -> None:
    modifier = reference.neutrality_modifier(2028)
    assert modifier.value == 0.9628 and modifier.is_stand_in
    assert modifier.note == "FY2028 neutrality modifier not published: FY2027's used (last published)"
    assert reference.peer_group_medians(2030).year_used == 2027
    assert reference.national_rates(2029).year_used == 2025
    model = reference.published_model("HF", 2030)
    assert model.note == "FY2030 risk model of HF not published: FY2025's used (last published)"


def test_a_figure_of_the_year_itself_needs_no_note(reference: Reference) -> None:
    assert reference.neutrality_modifier(2027).note is None
    assert reference.peer_group_medians(2026).note is None


def test_a_year_with_one_group_published_is_not_taken_for_whole(reference: Reference) -> None:
    medians = reference.peer_group_medians(2024)
    assert medians.note == "FY2024 peer group medians not published: FY2025's used (first published)"
    assert set(medians.value) == {(group, measure) for group in range(1, 6) for measure in MEASURES}


def test_the_last_published_before_the_year_is_preferred_to_a_later_one(reference: Reference) -> None:
    assert reference.peer_group_cuts(2026).year_used == 2025


def test_notes_of_a_year_say_what_is_unsure_left_out_and_announced(reference: Reference) -> None:
    assert reference.year_notes(2027) == []
    rolled, sepsis = reference.year_notes(2028)
    assert rolled == "FY2028 rules are of medium confidence: dates rolled forward one year from FY2027"
    assert sepsis.startswith("SEPSIS is not computed: it counts in payment from FY2030")
    (pneumonia,) = reference.year_notes(2023)
    assert pneumonia.startswith("FY2023: PN is computed but not in the payment formula")
    (period,) = reference.year_notes(2018)
    assert period.startswith("FY2018 applicable period is of medium confidence")


def test_notes_of_lists_say_which_are_approximations(reference: Reference) -> None:
    categories, cohorts = reference.list_notes()
    assert "44 of the 110" in categories
    assert "CABG exclude_concomitant_procedure" in cohorts


@pytest.mark.parametrize("name", ["SEPSIS", "sepsis"])
def test_sepsis_is_announced_and_has_no_rules_yet(reference: Reference, name: str) -> None:
    with pytest.raises(RulesMissingError, match="definition is pending") as raised:
        reference.check_measure(name)
    assert raised.value.exit_code == 11
    with pytest.raises(RulesMissingError, match="definition is pending"):
        reference.published_model(name, 2030)
    with pytest.raises(RulesMissingError, match="definition is pending"):
        reference.between_hospital_variance(name)


def test_an_unknown_measure_is_wrong_use(reference: Reference) -> None:
    with pytest.raises(UsageError, match=r"no measure 'STROKE'\. Choose one of AMI, COPD, HF, PN, CABG, THA_TKA"):
        reference.check_measure("STROKE")
    assert [reference.check_measure(measure) for measure in MEASURES] == list(MEASURES)


def test_an_unknown_table_is_wrong_use(reference: Reference) -> None:
    with pytest.raises(UsageError, match="no reference table 'peers'"):
        reference.rows("peers")


def test_defaults_of_the_parameters(reference: Reference) -> None:
    values = {name: parameter.value for name, parameter in reference.parameters().items()}
    expected: dict[str, Any] = {
        "outcome_days": 30,
        "prior_index_days": 30,
        "lookback_days": 365,
        "minimum_age": 65,
        "enrollment_months_before": 12,
        "enrollment_days_after": 30,
        "transfer_days": 1,
        "merge_adjacent_stays": "same_code",
        "planned_algorithm": "v4_2022",
        "pcs_gap": "off",
        "covid_return": "no_outcome",
        "optional_pneumonia_secondary": False,
        "uncertain_hip_knee_procedures": False,
        "optional_assist_device_status": False,
        "poa_missing_is_present": True,
        "follow_up_through": "extract",
    }
    assert {name: values[name] for name in expected} == expected
    assert not any(parameter.is_overridden for parameter in reference.parameters().values())
    for parameter in reference.parameters().values():
        assert not parameter.choices or parameter.default in parameter.choices


def test_a_site_overrides_a_parameter(reference: Reference) -> None:
    found = reference.parameters({"outcome_days": 29, "pcs_gap": "unanimous", "uncertain_hip_knee_procedures": True})
    assert (found["outcome_days"].value, found["outcome_days"].default) == (29, 30)
    assert found["outcome_days"].is_overridden
    assert found["pcs_gap"].value == "unanimous"
    assert found["uncertain_hip_knee_procedures"].value is True


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"outcome_day": 30}, "Unknown parameters: outcome_day"),
        ({"pcs_gap": "on"}, "pcs_gap: 'on' is not one of off, unanimous"),
        ({"outcome_days": "a month"}, "outcome_days: 'a month' is not of type integer"),
        ({"outcome_days": -1}, "outcome_days: -1 is below zero"),
        ({"poa_missing_is_present": "perhaps"}, "'perhaps' is not of type boolean"),
    ],
)
def test_a_wrong_override_says_what_is_wrong(reference: Reference, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        reference.parameters(overrides)
    assert raised.value.exit_code == 2


def test_lists_in_use_name_every_table_with_its_version(reference: Reference) -> None:
    lists = {row["table"]: row for row in reference.lists_in_use()}
    assert set(lists) == set(reference.table_names()) - {"data_dictionary"}
    content = (reference_dir() / "cohort_codes.csv").read_bytes()
    assert lists["cohort_codes"] == {
        "table": "cohort_codes",
        "rows": 1430,
        "sha256": hashlib.sha256(content).hexdigest()[:12],
        "origin": "shipped",
    }


def test_a_changed_list_has_another_version(tmp_path: Path) -> None:
    (tmp_path / "cc_map.csv").write_text("code,cc\nI50.9,85\n")
    lists = {row["table"]: row for row in Reference(site=tmp_path).lists_in_use()}
    before = {row["table"]: row for row in Reference().lists_in_use()}
    assert lists["cc_icd10cm"]["origin"] == "site"
    assert lists["cc_icd10cm"]["sha256"] != before["cc_icd10cm"]["sha256"]
    assert lists["ccs_icd10cm"] == before["ccs_icd10cm"]
