"""CMS DE-SynPUF: the layout is read, and the answer is why no stay qualifies."""

from __future__ import annotations

from pathlib import Path

from hrrp.intake.checkup import check_extract
from hrrp.program import Reference
from hrrp.settings import Settings


def test_no_claim_of_the_real_layout_qualifies_and_it_is_said_why(cms_dir: Path) -> None:
    document, error = check_extract(Settings(data=cms_dir / "desynpuf_inpatient_999.csv"), Reference())
    assert document["layout"] == "desynpuf"
    assert (document["extract"]["stays"], document["extract"]["persons"]) == (999, 570)
    able = document["qualification"]
    assert able["qualifying"] == 0
    assert {each["reason"]: each["stays"] for each in able["obstacles"]} == {
        "codes are ICD-9, and the measures are defined in ICD-10": 999,
        "discharge date is in no applicable period of the years that use ICD-10 codes": 999,
        "age is not known (no birth date)": 999,
        "discharge status is not in the file": 999,
    }
    assert sum(each["rows"] for each in document["set_aside"] if "ICD-9" in each["reason"]) == 7_960 + 1_394
    assert {each["icd9_share"] for each in document["program_years"]} == {"wholly"}
    assert error is not None and str(error).startswith(
        "None of the 999 stays can be an index admission (999: codes are ICD-9"
    )


def test_the_beneficiary_summary_gives_ages(tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text(
        "DESYNPUF_ID,CLM_ID,SEGMENT,PRVDR_NUM,CLM_ADMSN_DT,NCH_BENE_DSCHRG_DT,ICD9_DGNS_CD_1,ICD9_DGNS_CD_2\n"
        "A1,1,1,010001,20100312,20100313,4280,V4501\nA1,1,2,010001,20100312,20100313,4280,V4501\n"
    )
    (tmp_path / "people.csv").write_text("DESYNPUF_ID,BENE_BIRTH_DT,BENE_DEATH_DT,BENE_SEX_IDENT_CD\nA1,19400101,,2\n")
    document, _ = check_extract(Settings(data=tmp_path), Reference())
    assert document["extract"]["stays"] == 1
    reasons = {each["reason"] for each in document["qualification"]["obstacles"]}
    assert "age is not known (no birth date)" not in reasons
    assert {"source_file": "claims.csv", "reason": "further line of a claim", "rows": 1} in document["set_aside"]
