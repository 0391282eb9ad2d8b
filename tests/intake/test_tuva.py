"""Tuva core tables as files: stays through the NPI crosswalk, ranks, history, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hrrp.errors import InputContractError
from hrrp.intake.canonical import LoadedExtract, load_extract
from hrrp.program import Reference
from hrrp.settings import Settings
from hrrp.warehouse import open_warehouse

ENCOUNTER = {
    "encounter_id": "E1",
    "person_id": "P1",
    "encounter_type": "acute inpatient",
    "encounter_start_date": "2025-03-19",
    "encounter_end_date": "2025-03-24",
    "discharge_disposition_code": "01",
    "admit_type_code": "1",
    "facility_npi": "1234567893",
    "drg_code": "291",
    "paid_amount": "10000.00",
    "primary_diagnosis_code": "I5033",
}


def condition(encounter: str, code: str, rank: str, system: str = "icd-10-cm") -> dict[str, str]:
    return {
        "person_id": "P1",
        "encounter_id": encounter,
        "recorded_date": "2025-02-02",
        "normalized_code": code,
        "normalized_code_type": system,
        "condition_rank": rank,
        "present_on_admit_code": "Y",
    }


FILES = {
    "encounter": [ENCOUNTER, ENCOUNTER | {"encounter_id": "E2", "encounter_type": "office visit"}],
    "condition": [
        condition("E1", "E119", "1"),
        condition("E1", "I5033", "2"),
        condition("E2", "N183", "1"),
        condition("E1", "44054006", "3", "snomed-ct"),
    ],
    "procedure": [
        {
            "person_id": "P1",
            "encounter_id": "E1",
            "procedure_date": "2025-03-20",
            "normalized_code": "4A023N7",
            "normalized_code_type": "icd-10-pcs",
        }
    ],
    "patient": [{"person_id": "P1", "birth_date": "1942-01-17", "sex": "female", "death_date": "", "race": "unknown"}],
    "member_months": [
        {"person_id": "P1", "year_month": "202501", "payer_type": "medicare", "dual_status_code": "02"},
        {"person_id": "P1", "year_month": "202502", "payer_type": "commercial", "dual_status_code": ""},
    ],
    "crosswalk": [{"npi": "1234567893", "ccn": "220135"}],
}


def load(folder: Path, **files: list[dict[str, str]] | None) -> tuple[dict[str, list[dict[str, Any]]], LoadedExtract]:
    for name, rows in (FILES | files).items():
        if rows is not None:
            pd.DataFrame(rows, dtype=str).to_csv(folder / f"{name}.csv", index=False)
    settings = Settings(data=folder)
    with open_warehouse(None, settings) as warehouse:
        loaded = load_extract(warehouse, settings, Reference())
        return {
            name.removeprefix("intake."): warehouse.read(f"select * from {name}").astype(object).to_dict("records")
            for name in warehouse.tables()
        }, loaded


def test_encounters_conditions_and_months(tmp_path: Path) -> None:
    tables, loaded = load(tmp_path)
    assert loaded.layout == "tuva"
    (stay,) = tables["stays"]
    assert (stay["ccn"], stay["drg"], stay["discharge_status"], stay["total_paid"]) == (
        "220135",
        "291",
        "01",
        "10000.00",
    )
    assert sorted((int(d["sequence"]), d["code"]) for d in tables["diagnoses"]) == [(1, "I5033"), (2, "E119")]
    assert [(p["code"], p["procedure_date"]) for p in tables["procedures"]] == [("4A023N7", "2025-03-20")]
    assert [(h["code"], h["service_date"]) for h in tables["history_diagnoses"]] == [("N183", "2025-02-02")]
    assert (tables["persons"][0]["sex"], tables["enrollment"][0]["month"], tables["enrollment"][0]["ffs"]) == (
        "F",
        "2025-01",
        "true",
    )
    assert {each.reason for each in loaded.set_aside} == {
        "not an acute inpatient encounter",
        "code of another system than ICD-10-CM",
        "month of a payer other than Medicare",
    }


def test_a_certification_number_in_the_encounter_needs_no_crosswalk(tmp_path: Path) -> None:
    encounters = [row | {"facility_ccn": "330101"} for row in FILES["encounter"]]
    tables, _ = load(tmp_path, encounter=encounters, crosswalk=None)
    assert tables["stays"][0]["ccn"] == "330101"


def test_without_any_certification_number_the_crosswalk_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputContractError, match="no crosswalk file with the columns npi and ccn"):
        load(tmp_path, crosswalk=None)
