"""Wide CMS claim files: RIF, LDS and MedPAR, small synthetic files in their layouts, and CMS's own synthetic RIF sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hrrp.errors import InputContractError
from hrrp.intake.canonical import LoadedExtract, load_extract
from hrrp.program import Reference
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse

REFERENCE = Reference()


def load(place: Path, layout: str = "auto") -> tuple[dict[str, list[dict[str, Any]]], LoadedExtract]:
    settings = Settings(data=place, layout=layout)
    with open_warehouse(None, settings) as warehouse:
        loaded = load_extract(warehouse, settings, REFERENCE)
        adds_up(warehouse)
        tables = {
            name.removeprefix("intake."): warehouse.read(f"select * from {name}").astype(object).to_dict("records")
            for name in warehouse.tables()
        }
    for rows in tables.values():
        for row in rows:
            row.update({column: None for column, value in row.items() if pd.isna(value)})
    return tables, loaded


def adds_up(warehouse: Warehouse) -> None:
    """File and record number name one row of a table, and source_files counts them."""
    counted: dict[str, int] = dict(
        warehouse.rows(
            "select source_file, rows_read - (select count(*) from intake.structural_rejects as rejects "
            "where rejects.source_file = files.source_file) from intake.source_files as files"
        )
    )
    for table in (
        "stays",
        "diagnoses",
        "procedures",
        "persons",
        "enrollment",
        "history_diagnoses",
        "history_procedures",
    ):
        for source_file, rows, records in warehouse.rows(
            f"select source_file, count(*), count(distinct row_number) from intake.{table} group by all"
        ):
            assert rows == records == counted[source_file], (table, source_file)


def aside(loaded: LoadedExtract) -> dict[str, int]:
    return {each.reason: each.rows for each in loaded.set_aside}


CLAIM = {
    "BENE_ID": "-1",
    "CLM_ID": "100",
    "NCH_CLM_TYPE_CD": "60",
    "FINAL_ACTION": "F",
    "PRVDR_NUM": "220135",
    "CLM_FAC_TYPE_CD": "1",
    "CLM_SRVC_CLSFCTN_TYPE_CD": "1",
    "CLM_FREQ_CD": "1",
    "CLM_FROM_DT": "19-Mar-2025",
    "CLM_THRU_DT": "24-Mar-2025",
    "CLM_ADMSN_DT": "19-Mar-2025",
    "NCH_BENE_DSCHRG_DT": "24-Mar-2025",
    "PTNT_DSCHRG_STUS_CD": "1",
    "CLM_IP_ADMSN_TYPE_CD": "1",
    "CLM_SRC_IP_ADMSN_CD": "4",
    "CLM_DRG_CD": "64",
    "CLM_MCO_PD_SW": " ",
    "CLM_PMT_AMT": "10000.00",
    "NCH_BENE_IP_DDCTBL_AMT": "1600",
    "CLM_TOT_PPS_CPTL_AMT": "700",
    "IME_OP_CLM_VAL_AMT": "500",
    "DSH_OP_CLM_VAL_AMT": "300.5",
    "PRNCPAL_DGNS_CD": "I5033",
    "PRNCPAL_DGNS_VRSN_CD": "0",
    "ICD_DGNS_CD1": "I5033",
    "ICD_DGNS_VRSN_CD1": "0",
    "CLM_POA_IND_SW1": "Y",
    "ICD_DGNS_CD2": "E119",
    "ICD_DGNS_VRSN_CD2": "0",
    "CLM_POA_IND_SW2": "N",
    "ICD_DGNS_CD3": " ",
    "ICD_DGNS_VRSN_CD3": " ",
    "CLM_POA_IND_SW3": " ",
    "ICD_DGNS_E_CD1": "W19XXXA",
    "CLM_E_POA_IND_SW1": "1",
    "ICD_PRCDR_CD1": "4A023N7",
    "ICD_PRCDR_VRSN_CD1": "0",
    "PRCDR_DT1": "20-Mar-2025",
}
BENEFICIARY = {
    "BENE_ID": "-1",
    "RFRNC_YR": "2024",
    "BENE_BIRTH_DT": "17-Jan-1942",
    "BENE_SEX_IDENT_CD": "2",
    "DEATH_DT": "",
    **{f"MDCR_ENTLMT_BUYIN_{n}_IND": "C" for n in range(1, 13)},
    **{f"HMO_{n}_IND": "0" for n in range(1, 13)},
    **{
        f"META_DUAL_ELGBL_STUS_{month}_CD": "2"
        for month in ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEPT", "OCT", "NOV", "DEC")
    },
}


def write(path: Path, *rows: dict[str, str], sep: str = "|") -> Path:
    pd.DataFrame(rows, dtype=str).to_csv(path, sep=sep, index=False)
    return path


def test_a_claim_becomes_a_stay_with_its_codes(tmp_path: Path) -> None:
    tables, loaded = load(write(tmp_path / "inpatient.csv", CLAIM))
    assert loaded.layout == "rif"
    (stay,) = tables["stays"]
    assert stay == {
        "stay_id": "100",
        "person_id": "-1",
        "ccn": "220135",
        "admit_date": "2025-03-19",
        "discharge_date": "2025-03-24",
        "discharge_status": "01",
        "admit_type": "1",
        "admit_source": "4",
        "drg": "064",
        "payer": "FFS",
        "is_short_term_acute": None,
        "is_cah": None,
        # 10,000 + 1,600 deductible - 700 capital - 500 teaching - 300.50 disproportionate share
        "base_operating_drg_amount": "10099.5",
        "total_paid": "10000.0",
        "medical_record_number": None,
        "source_file": "inpatient.csv",
        "row_number": 2,
    }
    codes = sorted((int(d["sequence"]), d["code"], d["poa"], d["source_file"]) for d in tables["diagnoses"])
    assert codes == [
        (1, "I5033", "Y", "inpatient.csv > principal diagnosis"),
        (3, "E119", "N", "inpatient.csv > diagnosis 2"),
        (27, "W19XXXA", "1", "inpatient.csv > external cause 1"),
    ]
    assert [(p["code"], p["procedure_date"]) for p in tables["procedures"]] == [("4A023N7", "2025-03-20")]
    assert tables["persons"][0]["birth_date"] is None
    inputs = {row["input"]: row["present"] for row in tables["inputs"]}
    assert inputs["diagnoses.poa"] and not inputs["enrollment"] and not inputs["persons.death_date"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"NCH_CLM_TYPE_CD": "20"}, "not an inpatient claim"),
        ({"CLM_SRVC_CLSFCTN_TYPE_CD": "8"}, "not a hospital's inpatient bill (11x)"),
        ({"FINAL_ACTION": "N"}, "not the final action"),
        ({"CLM_FREQ_CD": "8"}, "void bill"),
        ({"CLM_ID": "100"}, "further line of a claim"),
    ],
)
def test_what_is_no_stay_is_set_aside_by_name(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    tables, loaded = load(write(tmp_path / "inpatient.csv", CLAIM, CLAIM | {"CLM_ID": "101"} | change))
    assert [stay["stay_id"] for stay in tables["stays"]] == ["100"]
    assert aside(loaded) == {reason: 1}


def test_interim_bills_of_one_admission_are_one_stay(tmp_path: Path) -> None:
    first = CLAIM | {"CLM_FREQ_CD": "2", "NCH_BENE_DSCHRG_DT": "", "PTNT_DSCHRG_STUS_CD": "30"}
    last = CLAIM | {
        "CLM_ID": "102", "CLM_FREQ_CD": "4", "CLM_THRU_DT": "30-Mar-2025", "NCH_BENE_DSCHRG_DT": "30-Mar-2025",
        "PTNT_DSCHRG_STUS_CD": "06", "CLM_PMT_AMT": "500",
    }  # fmt: skip
    other = CLAIM | {"CLM_ID": "103", "CLM_ADMSN_DT": "01-May-2025", "NCH_BENE_DSCHRG_DT": "02-May-2025"}
    tables, loaded = load(write(tmp_path / "inpatient.csv", first, last, other))
    merged = next(stay for stay in tables["stays"] if stay["stay_id"] == "102")
    assert (merged["discharge_date"], merged["discharge_status"], merged["total_paid"]) == (
        "2025-03-30",
        "06",
        "10500.0",
    )
    assert len(tables["stays"]) == 2
    assert aside(loaded) == {"interim bill, one stay with the last one": 1}


def test_managed_care_stays_are_told_apart(tmp_path: Path) -> None:
    tables, _ = load(
        write(
            tmp_path / "x.csv",
            CLAIM,
            CLAIM | {"CLM_ID": "2", "NCH_CLM_TYPE_CD": "62"},
            CLAIM | {"CLM_ID": "3", "CLM_MCO_PD_SW": "1"},
        )
    )
    assert {stay["stay_id"]: stay["payer"] for stay in tables["stays"]} == {"100": "FFS", "2": "MA", "3": "MA"}


def test_icd9_codes_never_pass_for_icd10(tmp_path: Path) -> None:
    by_version = CLAIM | {
        "PRNCPAL_DGNS_VRSN_CD": "9",
        "ICD_DGNS_VRSN_CD1": "9",
        "ICD_DGNS_VRSN_CD2": "9",
        "ICD_DGNS_E_CD1": "",
    }
    by_date = {name: value for name, value in CLAIM.items() if "VRSN" not in name} | {
        "CLM_ID": "5", "CLM_ADMSN_DT": "01-Sep-2015", "NCH_BENE_DSCHRG_DT": "30-Sep-2015",
    }  # fmt: skip
    folder = tmp_path / "x"
    folder.mkdir()
    write(folder / "a.csv", by_version)
    write(folder / "b.csv", by_date)
    tables, loaded = load(folder)
    assert tables["diagnoses"] == []
    assert sum(each.rows for each in loaded.set_aside if each.reason.startswith("ICD-9 code among the diagnoses")) == 5


def test_beneficiary_years_become_persons_and_months(tmp_path: Path) -> None:
    write(tmp_path / "inpatient.csv", CLAIM)
    died = BENEFICIARY | {
        "RFRNC_YR": "2025",
        "DEATH_DT": "03-Jun-2025",
        "HMO_2_IND": "1",
        "MDCR_ENTLMT_BUYIN_3_IND": "1",
    }
    died |= {f"MDCR_ENTLMT_BUYIN_{n}_IND": "" for n in range(7, 13)}
    write(tmp_path / "beneficiary_2024.csv", BENEFICIARY, BENEFICIARY)
    write(tmp_path / "beneficiary_2025.csv", died)
    tables, loaded = load(tmp_path)
    (person,) = tables["persons"]
    assert (person["birth_date"], person["sex"], person["death_date"]) == ("1942-01-17", "2", "2025-06-03")
    months = {row["month"]: row for row in tables["enrollment"]}
    assert len(tables["enrollment"]) == len(months) == 18
    assert (months["2024-12"]["part_a"], months["2024-12"]["ffs"], months["2024-12"]["dual_code"]) == (
        "true",
        "true",
        "02",
    )
    assert (months["2025-02"]["ffs"], months["2025-02"]["ma"]) == ("false", "true")
    assert (months["2025-03"]["part_a"], months["2025-03"]["part_b"]) == ("true", "false")
    assert aside(loaded) == {"replaced by a later record of the same person and year": 1}


def test_outpatient_and_carrier_claims_become_history(tmp_path: Path) -> None:
    write(tmp_path / "inpatient.csv", CLAIM)
    visit = {
        "BENE_ID": "-1", "CLM_ID": "7", "NCH_CLM_TYPE_CD": "40", "CLM_THRU_DT": "02-Feb-2025", "PRNCPAL_DGNS_CD": "N183",
        "ICD_DGNS_CD1": "N183", "ICD_DGNS_CD2": "E1122", "ICD_DGNS_VRSN_CD1": "0", "ICD_DGNS_VRSN_CD2": "0",
        "ICD_PRCDR_CD1": "5A1D70Z", "PRCDR_DT1": "02-Feb-2025",
    }  # fmt: skip
    write(tmp_path / "outpatient.csv", visit, visit | {"CLM_ID": "8", "NCH_CLM_TYPE_CD": "10"})
    doctor = {
        "BENE_ID": "-1", "CLM_ID": "9", "CARR_NUM": "00882", "NCH_CLM_TYPE_CD": "71", "CLM_THRU_DT": "20250110",
        "PRNCPAL_DGNS_CD": "J449", "LINE_ICD_DGNS_CD": "J9601",
    }  # fmt: skip
    write(tmp_path / "carrier.csv", doctor)
    tables, loaded = load(tmp_path)
    assert sorted((h["service_date"], h["code"], h["source"]) for h in tables["history_diagnoses"]) == [
        ("2025-01-10", "J449", "professional"),
        ("2025-01-10", "J9601", "professional"),
        ("2025-02-02", "E1122", "outpatient"),
        ("2025-02-02", "N183", "outpatient"),
    ]
    assert [(h["service_date"], h["code"]) for h in tables["history_procedures"]] == [("2025-02-02", "5A1D70Z")]
    assert aside(loaded) == {"neither an outpatient nor a professional claim": 1}


LDS_NAMES = {"BENE_ID": "DESY_SORT_KEY", "CLM_ID": "CLAIM_NO"}


def test_limited_data_set_with_ages_in_place_of_birth_dates(tmp_path: Path) -> None:
    claim = {
        LDS_NAMES.get(name, name): value
        for name, value in CLAIM.items()
        if name not in ("FINAL_ACTION", "IME_OP_CLM_VAL_AMT")
    }
    write(tmp_path / "ip.csv", claim | {"CLM_BASE_OPRTG_DRG_AMT": "9000.25", "CLM_ADMSN_DT": "20250319"}, sep=",")
    summary = {
        "DESY_SORT_KEY": "-1", "REFERENCE_YEAR": "2025", "SEX_CODE": "1", "AGE": "70", "DATE_OF_DEATH": "",
        **{f"ENTITLEMENT_BUY_IN_IND{n}": "3" for n in range(1, 13)},
        **{f"HMO_INDICATOR{n}": "0" for n in range(1, 13)},
        **{f"DUAL_STUS_CD_{n:02d}": "NA" for n in range(1, 13)},
    }  # fmt: skip
    write(tmp_path / "mbsf.csv", summary, sep=",")
    tables, loaded = load(tmp_path)
    assert loaded.layout == "lds"
    assert tables["stays"][0]["base_operating_drg_amount"] == "9000.25"
    assert tables["stays"][0]["admit_date"] == "2025-03-19"
    assert tables["persons"][0]["birth_date"] == "1955-12-31"
    assert any("nobody counts as older than they are" in note for note in loaded.notes)
    assert len(tables["enrollment"]) == 12


def test_medpar_stays_leave_out_units(tmp_path: Path) -> None:
    stay = {
        "BENE_ID": "-1", "PRVDR_NUM": "220135", "ADMSN_DT": "2025-03-19", "DSCHRG_DT": "2025-03-24", "DSCHRG_DSTNTN_CD": "03",
        "DRG_CD": "291", "SPCL_UNIT_CD": "", "GHO_PD_CD": "0", "MDCR_PMT_AMT": "10000", "BENE_IP_DDCTBL_AMT": "1600",
        "DRG_OUTLIER_PMT_AMT": "100", "IME_AMT": "500", "DSH_AMT": "300", "NCH_CLM_TYPE_CD": "60",
        "DGNS_1_CD": "I5033", "POA_DGNS_1_IND_CD": "Y", "DGNS_2_CD": "E119", "POA_DGNS_2_IND_CD": "N",
        "SRGCL_PRCDR_1_CD": "4A023N7",
    }  # fmt: skip
    write(
        tmp_path / "medpar.csv",
        stay,
        stay | {"SPCL_UNIT_CD": "T"},
        stay | {"GHO_PD_CD": "1", "ADMSN_DT": "2025-01-01"},
        sep=",",
    )
    tables, loaded = load(tmp_path)
    assert loaded.layout == "medpar"
    assert [(s["payer"], s["base_operating_drg_amount"]) for s in tables["stays"]] == [
        ("FFS", "10700.0"),
        ("MA", "10700.0"),
    ]
    assert [(d["sequence"], d["code"], d["poa"]) for d in tables["diagnoses"]][:2] == [
        ("1", "I5033", "Y"),
        ("3", "E119", "N"),
    ]
    assert aside(loaded) == {"swing bed, rehabilitation or psychiatric unit": 1}


def test_a_layout_asked_for_that_is_not_there_names_its_headings(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", {"a": "1", "b": "2"})
    with pytest.raises(InputContractError, match=r"not the layout 'rif'.*PRVDR_NUM.*Files seen: x\.csv"):
        load(tmp_path, layout="rif")


def test_only_other_claims_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputContractError, match="no inpatient stay among the records; 1 were set aside"):
        load(write(tmp_path / "snf.csv", CLAIM | {"NCH_CLM_TYPE_CD": "20"}))


def test_damaged_records_of_a_wide_file_are_accounted_for(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", CLAIM)
    with path.open("a") as file:
        file.write("-2|broken\n")
    tables, _ = load(path)
    assert [(r["source_file"], r["row_number"]) for r in tables["structural_rejects"]] == [("x.csv", 3)]
    assert next(f["rows_read"] for f in tables["source_files"] if f["source_file"] == "x.csv") == 2


def test_cms_synthetic_rif_sample(cms_dir: Path, tmp_path: Path) -> None:
    for name in ("bfd_rif_synthea_inpatient_16.csv", "bfd_rif_synthea_beneficiary_2017.csv"):
        (tmp_path / name).write_bytes((cms_dir / name).read_bytes())
    tables, loaded = load(tmp_path)
    assert loaded.layout == "rif"
    assert (len(tables["stays"]), len(tables["diagnoses"]), len(tables["persons"]), len(tables["enrollment"])) == (
        16,
        357,
        3,
        36,
    )
    assert {stay["discharge_date"][:4] for stay in tables["stays"]} <= {"2015", "2016", "2017", "2018", "2019"}
    assert loaded.set_aside == []
