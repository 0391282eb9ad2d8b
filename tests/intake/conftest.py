"""A small synthetic Hospital-Specific Report, and its workbook, for the tests of reader and writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrrp.intake.hsr_writer import write_hsr
from hrrp.penalty.assemble_report import assemble_report
from hrrp.program import Reference
from hrrp.program.hospital_report import Discharge, DualStay, HospitalReport, published_risk_factors


@pytest.fixture(scope="session")
def small_report() -> HospitalReport:
    """Twelve HF and six CABG stays with real dates and identifiers; one masked, one excluded, one COVID-19, one planned."""
    reference = Reference()
    rng = np.random.default_rng(3)
    plain = Discharge(
        row=0,
        id_number=1,
        hicno=None,
        mbi="1EG4TE5MK73",
        medical_record_number="MRN-0077",
        birth_date=date(1940, 2, 29),
        admit_date=date(2021, 1, 5),
        discharge_date=date(2021, 1, 9),
        exclusion_codes=(0,),
        index_stay=True,
        principal_diagnosis="I110",
        discharge_destination="01",
        unplanned_readmission=False,
        covid_readmission=False,
        planned_readmission=False,
        readmission_date=None,
        readmission_discharge_date=None,
        readmission_diagnosis=None,
        same_hospital=None,
        readmitting_ccn=None,
        readmission_listed=False,
    )
    returned = replace(
        plain,
        unplanned_readmission=True,
        readmission_date=date(2021, 1, 30),
        readmission_discharge_date=date(2021, 2, 2),
        readmission_diagnosis="I5033",
        same_hospital=True,
        readmitting_ccn="010001",
        readmission_listed=True,
    )
    special = [
        returned,
        replace(returned, unplanned_readmission=False, planned_readmission=True),
        replace(returned, unplanned_readmission=False, covid_readmission=True, planned_readmission=None),
        replace(returned, same_hospital=False, readmitting_ccn="330101"),
        replace(returned, readmission_date=None, readmission_discharge_date=None, birth_date=None),
        replace(plain, exclusion_codes=(1, 15), index_stay=False, discharge_destination="06", mbi=None),
    ]
    discharges = {
        "HF": [replace(stay, id_number=i) for i, stay in enumerate([*special, *[plain] * 6], start=1)],
        "CABG": [replace(plain, id_number=i) for i in range(1, 7)],
    }
    values = {}
    for measure, stays in discharges.items():
        factors, _ = published_risk_factors(reference, measure, 2025)
        matrix = rng.integers(0, 2, (len(stays), len(factors))).astype(float)
        matrix[[not stay.included for stay in stays]] = np.nan
        values[measure] = matrix
    dual = DualStay(0, 1, None, "1EG4TE5MK73", date(1940, 2, 29), date(2021, 1, 5), date(2021, 1, 9), "Managed Care")
    report = assemble_report(
        2025,
        "ST. ELSEWHERE [TEST]",
        discharges,
        values,
        [replace(dual, id_number=i) for i in (1, 2, 3)],
        20,
        2,
        {"HF": 0.1, "CABG": 0.05},
        reference,
    )
    return replace(report, excluded_quarters=("Q3 2020", "Q4 2020"))


@pytest.fixture(scope="session")
def small_workbook(small_report: HospitalReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hsr") / "report.xlsx"
    write_hsr(small_report, path)
    return path


@pytest.fixture
def edited(small_workbook: Path, tmp_path: Path) -> Callable[[Callable[[Any], None]], Path]:
    """The small workbook after an edit by openpyxl: `edited(lambda book: ...)` gives its path."""
    from openpyxl import load_workbook

    def edit(change: Callable[[Any], None]) -> Path:
        book = load_workbook(small_workbook)
        change(book)
        path = tmp_path / "edited.xlsx"
        book.save(path)
        return path

    return edit
