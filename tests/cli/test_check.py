"""`hrrp check`: what it tells of good, lacking, damaged and unknown extracts; its document, its words, its exit code."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from hrrp.cli import app
from hrrp.errors import InputContractError
from hrrp.intake.checkup import EMPTY
from hrrp.program import MEASURES

DAYS = [date(2024, 2, 1) + timedelta(days=5 * k) for k in range(120)]
STAYS = pd.DataFrame(
    {
        "stay_id": [f"S{k}" for k in range(120)],
        "person_id": [f"P{k % 60}" for k in range(120)],
        "ccn": "010001",
        "admit_date": [day.isoformat() for day in DAYS],
        "discharge_date": [(day + timedelta(days=3)).isoformat() for day in DAYS],
        "discharge_status": "01",
    }
)
DIAGNOSES = pd.DataFrame({"stay_id": STAYS.stay_id, "sequence": "1", "code": ["I5033", "J189", "I2101", "E119"] * 30})
PERSONS = pd.DataFrame(
    {"person_id": [f"P{k}" for k in range(60)], "birth_date": ["1940-01-01"] * 57 + ["1990-01-01"] * 3, "sex": "1"}
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "extract"
    place.mkdir()
    for name, table in {"stays": STAYS, "diagnoses": DIAGNOSES, "persons": PERSONS}.items():
        table.to_csv(place / f"{name}.csv", index=False)
    return place


def run(*arguments: str) -> tuple[Any, str, BaseException | None]:
    result = CliRunner().invoke(app, ["check", *arguments])
    return result, result.stdout, result.exception if not isinstance(result.exception, SystemExit) else None


def document(*arguments: str) -> dict[str, Any]:
    _, out, _ = run(*arguments, "--json")
    return json.loads(out)


def test_a_sound_extract_is_fit_and_says_what_it_lacks(folder: Path) -> None:
    result, out, _ = run(str(folder))
    assert result.exit_code == 0
    assert "120 stays of 60 persons at 1 hospital(s), discharged 2024-02-04 to 2025-09-21; as of 2025-09-21" in out
    assert "Rows: 300 read, 300 kept, 0 rejected" in out
    assert "no enrollment: enrollment_before and enrollment_after is skipped" in out
    assert "no cross_hospital: returns to other hospitals is skipped" in out
    assert "114 of 120 stays could be index admissions" in out
    assert "6 cannot: younger than 65 at admission" in out
    assert "Fit to be run" in out
    assert not re.search(r"\bS\d|\bP\d", out)


def test_the_document_always_has_every_key(folder: Path, tmp_path: Path) -> None:
    good = document(str(folder))
    assert set(good) == set(EMPTY) == set(document(str(tmp_path / "nowhere")))
    assert good["ok"] and good["layout"] == "canonical" and good["message"] is None
    assert good["rows"] == {"read": 300, "kept": 300, "rejected": 0}
    assert set(good["qualification"]["measures"]) == set(MEASURES)
    assert good["qualification"]["measures"]["HF"] == sum(k % 60 < 57 for k in range(0, 120, 4))
    assert good["inputs"]["persons.death_date"] is False
    years = {each["program_year"]: each for each in good["program_years"]}
    assert set(years) == {2026, 2027, 2028, 2029}
    assert years[2027]["share_of_period"] == pytest.approx((date(2025, 6, 30) - date(2024, 2, 4)).days / 731, abs=0.002)
    assert years[2027]["follow_up_complete"] and not years[2027]["history_of_a_year_before"]
    assert good["being_earned"] == [2026, 2027, 2028, 2029]


def test_many_sound_files_of_a_table_are_one_line(folder: Path) -> None:
    """Those with rejects stay visible, and so does each table's count."""
    (folder / "stays.csv").unlink()
    for month in range(12):
        STAYS[month * 10 : month * 10 + 10].to_csv(folder / f"stays_{month:02d}.csv", index=False)
    STAYS[30:40].assign(admit_date="soon").to_csv(folder / "stays_03.csv", index=False)
    _, out, _ = run(str(folder))
    lines = [line.split() for line in out.splitlines() if line.strip().startswith("stays_")]
    assert lines == [
        ["stays_00.csv", "and", "10", "more", "files", "stays", "110", "110", "0", "0"],
        ["stays_03.csv", "stays", "10", "0", "10", "0"],
    ]
    assert len([each for each in document(str(folder))["files"] if each["canonical_file"] == "stays"]) == 12


def test_rejects_are_counted_by_reason_with_the_first_row(folder: Path) -> None:
    stays = STAYS.copy()
    stays.loc[[10, 11], "discharge_date"] = "2020-01-01"
    stays.loc[20, "ccn"] = "12"
    stays.to_csv(folder / "stays.csv", index=False)
    found = document(str(folder))
    assert found["ok"]
    assert found["rejects"][0] | {"first_file": None} == {
        "canonical_file": "diagnoses", "column": "stay_id", "reason": "stay rejected", "value_class": "unknown code", "rows": 3,
        "first_file": None, "first_row": 12, "in_words": "belong to a stay that was rejected",
    }  # fmt: skip
    assert {(each["column"], each["rows"], each["first_row"]) for each in found["rejects"]} == {
        ("stay_id", 3, 12), ("discharge_date", 2, 12), ("ccn", 1, 22)
    }  # fmt: skip


def test_too_many_rejects_exit_10_and_still_print_the_document(folder: Path) -> None:
    STAYS.assign(discharge_date="2020-01-01").to_csv(folder / "stays.csv", index=False)
    _, out, error = run(str(folder), "--json")
    assert isinstance(error, InputContractError) and error.exit_code == 10
    told = json.loads(out)
    assert not told["ok"]
    assert "120 of 120 rows are before the admission date (first at row 2)" in told["message"]
    assert document(str(folder), "--allow-rejects", "100%")["ok"]


def test_a_wrong_share_is_wrong_use(folder: Path) -> None:
    _, _, error = run(str(folder), "--allow-rejects", "lots")
    assert error is not None and error.exit_code == 2


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    place = tmp_path / "flat"
    place.mkdir()
    visits = STAYS.rename(
        columns={
            "stay_id": "VisitID",
            "person_id": "Patient ID",
            "ccn": "Provider Number",
            "admit_date": "AdmitDate",
            "discharge_date": "dischg_dt",
            "discharge_status": "Dischg Disposition",
        }
    ).assign(DX1=DIAGNOSES.code, POA1="Y", DX2="E119", POA2="N", DOB="1940-01-01", Gender="F", Ward="7")
    visits.to_csv(place / "visits_2025.csv", index=False)
    return place


def test_an_unknown_flat_extract_gets_a_mapping_that_works(
    flat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, error = run(str(flat))
    assert isinstance(error, InputContractError)
    told = document(str(flat))["mapping"]
    assert told["missing_files"] == []
    assert told["toml"] in out
    mapping = tomllib.loads(told["toml"])["mapping"]
    assert mapping["stays"] == {
        "file": "visits_2025.csv",
        "stay_id": "VisitID",
        "person_id": "Patient ID",
        "ccn": "Provider Number",
        "admit_date": "AdmitDate",
        "discharge_date": "dischg_dt",
        "discharge_status": "Dischg Disposition",
    }
    assert mapping["diagnoses"] == {"file": "visits_2025.csv", "stay_id": "VisitID", "code": "DX{n}", "poa": "POA{n}"}
    assert mapping["persons"] == {
        "file": "visits_2025.csv",
        "person_id": "Patient ID",
        "birth_date": "DOB",
        "sex": "Gender",
    }
    settings = tmp_path / "mapped.toml"
    settings.write_text(told["toml"])
    monkeypatch.setenv("HRRP_SETTINGS", str(settings))
    found = document(str(flat))
    assert found["ok"] and found["layout"] == "canonical"
    assert {each["canonical_file"]: (each["rows_read"], each["rows_kept"]) for each in found["files"]} == {
        "stays": (120, 120), "diagnoses": (240, 240), "persons": (120, 60)
    }  # fmt: skip


def test_files_of_the_same_columns_are_proposed_together(
    flat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file a year, and beside them another table whose name is like theirs until the pattern would take it in."""
    whole = pd.read_csv(flat / "visits_2025.csv", dtype=str)
    for year, part in ((2024, whole[:50]), (2025, whole[50:])):
        part.to_csv(flat / f"visits_{year}.csv", index=False)
    mapping = tomllib.loads(document(str(flat))["mapping"]["toml"])["mapping"]
    assert {mapping[name]["file"] for name in ("stays", "diagnoses", "persons")} == {"visits_*.csv"}
    settings = tmp_path / "mapped.toml"
    settings.write_text(document(str(flat))["mapping"]["toml"])
    monkeypatch.setenv("HRRP_SETTINGS", str(settings))
    assert document(str(flat))["extract"]["stays"] == 120
    monkeypatch.delenv("HRRP_SETTINGS")
    (flat / "visits_staff.csv").write_text("staff,ward\n1,7\n")
    mapping = tomllib.loads(document(str(flat))["mapping"]["toml"])["mapping"]
    assert mapping["stays"]["file"] == "visits_2024.csv"


def test_a_hospitals_own_extract_knows_persons_by_the_medical_record_number(tmp_path: Path) -> None:
    place = tmp_path / "own"
    place.mkdir()
    STAYS.rename(columns={"person_id": "MRN", "ccn": "Facility CCN"}).to_csv(place / "encounters.csv", index=False)
    DIAGNOSES.rename(columns={"code": "ICD10 Code"}).to_csv(place / "dx.csv", index=False)
    PERSONS.rename(columns={"person_id": "Medical Record No."}).to_csv(place / "patients.csv", index=False)
    mapping = tomllib.loads(document(str(place))["mapping"]["toml"])["mapping"]
    assert mapping["stays"]["person_id"] == mapping["stays"]["medical_record_number"] == "MRN"
    assert mapping["persons"]["person_id"] == "Medical Record No."


def test_a_near_miss_in_a_canonical_file_is_proposed_too(folder: Path) -> None:
    STAYS.rename(columns={"discharge_date": "dischg_dt"}).to_csv(folder / "stays.csv", index=False)
    told = document(str(folder))
    assert "Did you mean discharge_date for dischg_dt?" in told["message"]
    assert 'discharge_date = "dischg_dt"' in told["mapping"]["toml"]
    assert set(told["mapping"]["files"]) == {"stays"}


def test_nothing_is_proposed_where_headings_are_not_the_trouble(folder: Path) -> None:
    (folder / "stays.csv").write_bytes(b"")
    assert document(str(folder))["mapping"] is None


def test_cms_synthetic_rif_is_fit_but_nothing_qualifies(cms_dir: Path, tmp_path: Path) -> None:
    for name in ("bfd_rif_synthea_inpatient_16.csv", "bfd_rif_synthea_beneficiary_2017.csv"):
        (tmp_path / name).write_bytes((cms_dir / name).read_bytes())
    found = document(str(tmp_path))
    assert found["ok"] and found["layout"] == "rif"
    assert found["rows"]["rejected"] == 0
    assert found["qualification"]["qualifying"] == 0
    assert {each["reason"]: each["stays"] for each in found["qualification"]["obstacles"]} == {
        "enrollment of the 12 months before is not in the file": 16,
        "discharge date is in no applicable period of the years that use ICD-10 codes": 1,
    }


def test_help_has_an_example() -> None:
    _, out, _ = run("--help")
    assert "hrrp check extract" in out
