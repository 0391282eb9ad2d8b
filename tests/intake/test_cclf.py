"""CCLF: final action, one person behind several identifiers, codes and enrollment, on small synthetic files in CMS's layout."""

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

REFERENCE = Reference()

CLAIM = {
    "CUR_CLM_UNIQ_ID": "100",
    "PRVDR_OSCAR_NUM": "220135",
    "BENE_MBI_ID": "A1",
    "CLM_TYPE_CD": "60",
    "CLM_FROM_DT": "2025-03-19",
    "CLM_THRU_DT": "2025-03-24",
    "CLM_BILL_FAC_TYPE_CD": "1",
    "CLM_BILL_CLSFCTN_CD": "1",
    "CLM_BILL_FREQ_CD": "1",
    "PRNCPL_DGNS_CD": "I5033",
    "CLM_PMT_AMT": "10000",
    "BENE_PTNT_STUS_CD": "1",
    "DGNS_DRG_CD": "291",
    "CLM_ADJSMT_TYPE_CD": "0",
    "CLM_EFCTV_DT": "2025-04-10",
    "CLM_CNTL_NUM": "C100",
    "CLM_ORG_CNTL_NUM": "",
    "DGNS_PRCDR_ICD_IND": "0",
    "CLM_MDCR_IP_PPS_CPTL_IME_AMT": "20",
    "CLM_OPRTNL_IME_AMT": "500",
    "CLM_MDCR_IP_PPS_DSPRPRTNT_AMT": "30",
    "CLM_HIPPS_UNCOMPD_CARE_AMT": "100",
    "CLM_OPRTNL_DSPRPRTNT_AMT": "300",
}
PERSON = {
    "BENE_MBI_ID": "A1",
    "BENE_DOB": "1942-01-17",
    "BENE_SEX_CD": "2",
    "BENE_DEATH_DT": "",
    "BENE_DUAL_STUS_CD": "2",
    "BENE_ENTLMT_BUYIN_IND": "3",
}
JANUARY, FEBRUARY = "P.A0000.ACO.ZC8Y25.D250115.T0000000.csv", "P.A0000.ACO.ZC8Y25.D250215.T0000000.csv"


def claim(number: str, **change: str) -> dict[str, str]:
    return CLAIM | {"CUR_CLM_UNIQ_ID": number, "CLM_CNTL_NUM": f"C{number}"} | change


def code(number: str, sequence: str, value: str, kind: str = "D", poa: str = "Y") -> dict[str, str]:
    return {
        "CUR_CLM_UNIQ_ID": number,
        "CLM_PROD_TYPE_CD": kind,
        "CLM_VAL_SQNC_NUM": sequence,
        "CLM_DGNS_CD": value,
        "CLM_POA_IND": poa,
    }


def load(folder: Path, **files: list[dict[str, str]]) -> tuple[dict[str, list[dict[str, Any]]], LoadedExtract]:
    """Write the files (a dot for __ in the name) and load the folder."""
    given = {"cclf4": [code("100", "1", "I5033"), code("100", "2", "E119", poa="N")], JANUARY: [PERSON]} | files
    for name, rows in given.items():
        pd.DataFrame(rows, dtype=str).to_csv(
            folder / (name if name.endswith(".csv") else f"{name}.csv"), sep="|", index=False
        )
    settings = Settings(data=folder)
    with open_warehouse(None, settings) as warehouse:
        loaded = load_extract(warehouse, settings, REFERENCE)
        tables = {
            name.removeprefix("intake."): warehouse.read(f"select * from {name}").astype(object).to_dict("records")
            for name in warehouse.tables()
        }
        for table in ("stays", "diagnoses", "procedures", "persons", "enrollment", "history_diagnoses"):
            assert (
                warehouse.rows(
                    f"select source_file from intake.{table} group by source_file having count(*) <> count(distinct row_number)"
                )
                == []
            )
    return tables, loaded


def stays(tables: dict[str, list[dict[str, Any]]]) -> list[str]:
    return sorted(stay["stay_id"] for stay in tables["stays"])


def aside(loaded: LoadedExtract) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in loaded.set_aside:
        found[each.reason] = found.get(each.reason, 0) + each.rows
    return found


def test_a_claim_becomes_a_stay_with_codes_and_payments(tmp_path: Path) -> None:
    procedure = {
        "CUR_CLM_UNIQ_ID": "100", "CLM_VAL_SQNC_NUM": "1", "CLM_PRCDR_CD": "4A023N7", "CLM_PRCDR_PRFRM_DT": "2025-03-20"
    }  # fmt: skip
    codes = [
        code("100", "1", "I5033"), code("100", "2", "E119", poa="N"), code("100", "1", "R0602", kind="A"),
        code("100", "1", "W19XXXA", kind="E", poa="1"), code("100", "2", "E119", poa="N"),
    ]  # fmt: skip
    tables, loaded = load(tmp_path, cclf1=[CLAIM], cclf3=[procedure], cclf4=codes)
    assert loaded.layout == "cclf"
    (stay,) = tables["stays"]
    assert (stay["admit_date"], stay["discharge_date"], stay["discharge_status"]) == ("2025-03-19", "2025-03-24", "01")
    # 10,000 - 20 - 30 capital - 500 teaching - 300 disproportionate share - 100 uncompensated care
    assert (stay["base_operating_drg_amount"], stay["payer"]) == ("9050.0", "FFS")
    assert sorted((int(d["sequence"]), d["code"], d["poa"]) for d in tables["diagnoses"]) == [
        (1, "I5033", "Y"),
        (2, "E119", "N"),
        (3, "W19XXXA", "1"),
    ]
    assert [(p["code"], p["procedure_date"]) for p in tables["procedures"]] == [("4A023N7", "2025-03-20")]
    assert aside(loaded) == {
        "admitting diagnosis, repeated code, or of a claim that is neither inpatient nor outpatient": 3
    }


def test_final_action_keeps_what_stands(tmp_path: Path) -> None:
    changed = {"CLM_FROM_DT": "2025-05-01", "CLM_THRU_DT": "2025-05-03"}
    replaced = {"CLM_FROM_DT": "2025-06-01", "CLM_THRU_DT": "2025-06-03"}
    again = {"CLM_FROM_DT": "2025-07-01", "CLM_THRU_DT": "2025-07-03"}
    claims = [
        # cancelled for good
        claim("1"),
        claim("2", CLM_ADJSMT_TYPE_CD="1", CLM_EFCTV_DT="2025-05-01"),
        # original, cancellation and adjustment of one day
        claim("3", **changed),
        claim("4", CLM_ADJSMT_TYPE_CD="1", CLM_EFCTV_DT="2025-06-10", **changed),
        claim("5", CLM_ADJSMT_TYPE_CD="2", CLM_EFCTV_DT="2025-06-10", **changed),
        # adjusted without a cancellation: the control number ties them, even over other dates
        claim("6", CLM_CNTL_NUM="C6", **replaced),
        claim("7", CLM_CNTL_NUM="C7", CLM_ORG_CNTL_NUM="C6", CLM_EFCTV_DT="2025-08-01", **(replaced | {"CLM_THRU_DT": "2025-06-04"})),
        # cancelled, then billed anew as an original
        claim("8", **again),
        claim("9", CLM_ADJSMT_TYPE_CD="1", CLM_EFCTV_DT="2025-08-01", **again),
        claim("10", CLM_EFCTV_DT="2025-09-01", **again),
    ]  # fmt: skip
    tables, loaded = load(tmp_path, cclf1=claims, cclf4=[code("1", "1", "I5033")])
    assert stays(tables) == ["10", "5", "7"]
    assert aside(loaded) == {
        "cancelled claim, or its cancellation": 6,
        "replaced by a later version of the claim": 1,
        "belongs to no claim that stands": 1,
    }


def test_a_claim_that_months_repeat_counts_once(tmp_path: Path) -> None:
    tables, loaded = load(
        tmp_path, cclf1_january=[CLAIM], cclf1_february=[CLAIM, claim("200", CLM_FROM_DT="2025-06-01")]
    )
    assert stays(tables) == ["100", "200"]
    assert aside(loaded)["repeated by a later month"] == 1


def test_several_identifiers_are_one_person(tmp_path: Path) -> None:
    xref = [
        {"HICN_MBI_XREF_IND": "M", "CRNT_NUM": "B1", "PRVS_NUM": "A1"},
        {"HICN_MBI_XREF_IND": "M", "CRNT_NUM": "C1", "PRVS_NUM": "B1"},
        {"HICN_MBI_XREF_IND": "M", "CRNT_NUM": "C1", "PRVS_NUM": "B1"},
        {"HICN_MBI_XREF_IND": "M", "CRNT_NUM": "Y1", "PRVS_NUM": "X1"},
        {"HICN_MBI_XREF_IND": "M", "CRNT_NUM": "X1", "PRVS_NUM": "Y1"},
    ]
    claims = [
        CLAIM,
        claim("101", BENE_MBI_ID="C1", CLM_FROM_DT="2025-04-01", CLM_THRU_DT="2025-04-03"),
        claim("102", BENE_MBI_ID="B1", CLM_FROM_DT="2025-05-01", CLM_THRU_DT="2025-05-03"),
        claim("103", BENE_MBI_ID="Z1", CLM_FROM_DT="2025-05-01", CLM_THRU_DT="2025-05-03"),
        claim("104", BENE_MBI_ID="Y1", CLM_FROM_DT="2025-06-01", CLM_THRU_DT="2025-06-03"),
        claim("105", BENE_MBI_ID="X1", CLM_FROM_DT="2025-06-11", CLM_THRU_DT="2025-06-13"),
    ]
    tables, loaded = load(
        tmp_path,
        cclf1=claims,
        cclf9=xref,
        **{FEBRUARY: [PERSON | {"BENE_MBI_ID": "C1", "BENE_DEATH_DT": "2025-06-01"}]},
    )
    person = {stay["stay_id"]: stay["person_id"] for stay in tables["stays"]}
    assert person["100"] == person["101"] == person["102"] == "C1"
    assert person["104"] == person["105"]
    assert len({*person.values()}) == 3
    (known,) = tables["persons"]
    assert (known["person_id"], known["death_date"]) == ("C1", "2025-06-01")
    assert any("3 former identifiers were joined" in note for note in loaded.notes)


def test_interim_bills_of_touching_dates_are_one_stay(tmp_path: Path) -> None:
    bills = [
        claim("1", CLM_BILL_FREQ_CD="2", CLM_FROM_DT="2025-03-01", CLM_THRU_DT="2025-03-31", BENE_PTNT_STUS_CD="30"),
        claim("2", CLM_BILL_FREQ_CD="3", CLM_FROM_DT="2025-04-01", CLM_THRU_DT="2025-04-30", BENE_PTNT_STUS_CD="30"),
        claim("3", CLM_BILL_FREQ_CD="4", CLM_FROM_DT="2025-04-30", CLM_THRU_DT="2025-05-05", BENE_PTNT_STUS_CD="06"),
        claim("4", CLM_BILL_FREQ_CD="4", CLM_FROM_DT="2025-05-09", CLM_THRU_DT="2025-05-10"),
    ]
    tables, _ = load(tmp_path, cclf1=bills)
    merged = next(stay for stay in tables["stays"] if stay["stay_id"] == "3")
    assert (merged["admit_date"], merged["discharge_date"], merged["discharge_status"]) == (
        "2025-03-01",
        "2025-05-05",
        "06",
    )
    assert merged["total_paid"] == "30000.0"
    assert stays(tables) == ["3", "4"]


def test_other_claims_are_history_or_set_aside(tmp_path: Path) -> None:
    claims = [
        CLAIM,
        claim("7", CLM_TYPE_CD="40", CLM_FROM_DT="2025-02-02", CLM_THRU_DT="2025-02-02", PRNCPL_DGNS_CD="N183"),
        claim("8", CLM_TYPE_CD="20", CLM_FROM_DT="2025-04-01", CLM_THRU_DT="2025-04-20"),
    ]
    line = {
        "CUR_CLM_UNIQ_ID": "9", "CLM_LINE_NUM": "1", "BENE_MBI_ID": "A1", "CLM_LINE_THRU_DT": "2025-01-10",
        "CLM_LINE_DGNS_CD": "J449", "CLM_ADJSMT_TYPE_CD": "0", "CLM_CNTL_NUM": "L9",
        "CLM_DGNS_1_CD": "J449", "CLM_DGNS_2_CD": "J9601",
    }  # fmt: skip
    dropped = line | {"CUR_CLM_UNIQ_ID": "10", "CLM_CNTL_NUM": "L10", "CLM_LINE_DGNS_CD": "C349"}
    cancel = dropped | {"CUR_CLM_UNIQ_ID": "11", "CLM_ADJSMT_TYPE_CD": "1"}
    tables, loaded = load(
        tmp_path,
        cclf1=claims,
        cclf4=[code("100", "1", "I5033"), code("7", "1", "N183"), code("7", "2", "E1122")],
        cclf5=[line, dropped, cancel],
    )
    assert stays(tables) == ["100"]
    assert sorted((h["service_date"], h["code"], h["source"]) for h in tables["history_diagnoses"]) == [
        ("2025-01-10", "J449", "professional"),
        ("2025-01-10", "J9601", "professional"),
        ("2025-02-02", "E1122", "outpatient"),
        ("2025-02-02", "N183", "outpatient"),
    ]
    assert aside(loaded)["not an inpatient claim"] == 1


def test_enrollment_is_read_from_the_months_that_list_a_person(tmp_path: Path) -> None:
    tables, loaded = load(tmp_path, cclf1=[CLAIM], **{FEBRUARY: [PERSON | {"BENE_DUAL_STUS_CD": "NA"}, PERSON]})
    assert [
        (e["month"], e["ffs"], e["part_b"], e["dual_code"])
        for e in sorted(tables["enrollment"], key=lambda e: e["month"])
    ] == [
        ("2025-01", "true", "true", "02"),
        ("2025-02", "true", "true", "02"),
    ]
    assert aside(loaded)["replaced by a later record of the same person and month"] == 1
    assert any("enrollment in fee for service is inferred" in note for note in loaded.notes)


def test_a_feed_without_one_of_its_files_is_told_which(tmp_path: Path) -> None:
    pd.DataFrame([CLAIM], dtype=str).to_csv(tmp_path / "ZC1.csv", index=False)
    pd.DataFrame([code("100", "1", "I5033")], dtype=str).to_csv(tmp_path / "ZC4.csv", index=False)
    with open_warehouse(None, Settings()) as warehouse, pytest.raises(InputContractError) as told:
        load_extract(warehouse, Settings(data=tmp_path), REFERENCE)
    assert "CCLF8 (demographics) with the columns BENE_MBI_ID, BENE_DOB, BENE_SEX_CD" in str(told.value)
    assert "Files seen: ZC1.csv, ZC4.csv." in str(told.value)


def test_the_time_in_a_file_name_is_no_month(tmp_path: Path) -> None:
    march = (
        "P.A0000.ACO.ZC8Y25.D250315.T1200000.csv"  # 20 00 00 is no year and month, and 2051-03 is none of the feed's
    )
    april = "P.A0000.ACO.ZC8Y25.D250415.T1205103.csv"
    tables, _ = load(tmp_path, cclf1=[CLAIM], **{march: [PERSON], april: [PERSON], "cclf8_2025-05.csv": [PERSON]})
    assert sorted(e["month"] for e in tables["enrollment"]) == ["2025-01", "2025-03", "2025-04", "2025-05"]


def test_without_a_month_in_the_file_name_enrollment_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    given = {"cclf1": [CLAIM], JANUARY: [], "cclf8": [PERSON]}
    pd.DataFrame(given["cclf8"], dtype=str).to_csv(tmp_path / "x" / "demographics.csv", index=False)
    pd.DataFrame([CLAIM], dtype=str).to_csv(tmp_path / "x" / "claims.csv", index=False)
    pd.DataFrame([code("100", "1", "I5033")], dtype=str).to_csv(tmp_path / "x" / "codes.csv", index=False)
    settings = Settings(data=tmp_path / "x")
    with open_warehouse(None, settings) as warehouse:
        loaded = load_extract(warehouse, settings, REFERENCE)
    assert not loaded.inputs["enrollment"]
    assert any("tell no month" in note for note in loaded.notes)
