"""CMS Research Identifiable Files (RIF) and Limited Data Set (LDS): inpatient claims, beneficiary summary, outpatient and carrier claims.

Headings: CMS's synthetic RIF (pipe-delimited, dates as 31-Dec-2024), the Chronic Conditions Warehouse record layouts, and the LDS
layouts, which call the person DESY_SORT_KEY and the claim CLAIM_NO and give ages in place of birth dates.
"""

from __future__ import annotations

from hrrp.intake.claims import (
    DIAGNOSES,
    EXTERNAL_CAUSES,
    MONTHS,
    PROCEDURES,
    add_beneficiaries,
    add_history,
    add_inpatient,
    beneficiary_layout,
    history_layout,
    inpatient_layout,
    numbered,
)
from hrrp.intake.layout import Column, FileLayout, optional, required
from hrrp.intake.sources import Adapted, Source
from hrrp.warehouse import Warehouse


def _inpatient(person: str, claim: str, title: str) -> FileLayout:
    return inpatient_layout(
        (
            required("claim_id", claim),
            required("person_id", person),
            required("provider", "PRVDR_NUM", width=6),
            required("admit_date", "CLM_ADMSN_DT", kind="date"),
            required("discharge_date", "NCH_BENE_DSCHRG_DT", kind="date"),
            optional("through_date", "CLM_THRU_DT", kind="date"),
            required("discharge_status", "PTNT_DSCHRG_STUS_CD", width=2),
            optional("admit_type", "CLM_IP_ADMSN_TYPE_CD"),
            optional("admit_source", "CLM_SRC_IP_ADMSN_CD"),
            optional("drg", "CLM_DRG_CD", width=3),
            optional("claim_type", "NCH_CLM_TYPE_CD"),
            optional("facility_type", "CLM_FAC_TYPE_CD"),
            optional("service_class", "CLM_SRVC_CLSFCTN_TYPE_CD"),
            optional("frequency", "CLM_FREQ_CD"),
            optional("final_action", "FINAL_ACTION"),
            optional("managed_care", "CLM_MCO_PD_SW"),
            optional("sex", "GNDR_CD"),
            optional("payment", "CLM_PMT_AMT"),
            optional("base_amount", "CLM_BASE_OPRTG_DRG_AMT"),
            optional("deductible", "NCH_BENE_IP_DDCTBL_AMT"),
            optional("coinsurance", "NCH_BENE_PTA_COINSRNC_LBLTY_AM", "NCH_BENE_PTA_COINSRNC_LBLTY_AMT"),
            optional("blood_deductible", "NCH_BENE_BLOOD_DDCTBL_LBLTY_AM", "NCH_BENE_BLOOD_DDCTBL_LBLTY_AMT"),
            optional("capital", "CLM_TOT_PPS_CPTL_AMT"),
            optional("outlier", "NCH_DRG_OUTLIER_APRVD_PMT_AMT"),
            optional("operating_ime", "IME_OP_CLM_VAL_AMT"),
            optional("operating_dsh", "DSH_OP_CLM_VAL_AMT"),
            optional("uncompensated_care", "CLM_UNCOMPD_CARE_PMT_AMT"),
            required("principal", "PRNCPAL_DGNS_CD"),
            optional("principal_version", "PRNCPAL_DGNS_VRSN_CD"),
            *numbered("diagnosis", DIAGNOSES, "ICD_DGNS_CD{n}"),
            *numbered("poa", DIAGNOSES, "CLM_POA_IND_SW{n}"),
            *numbered("version", DIAGNOSES, "ICD_DGNS_VRSN_CD{n}"),
            *numbered("external", EXTERNAL_CAUSES, "ICD_DGNS_E_CD{n}"),
            *numbered("external_poa", EXTERNAL_CAUSES, "CLM_E_POA_IND_SW{n}"),
            *numbered("procedure", PROCEDURES, "ICD_PRCDR_CD{n}"),
            *numbered("procedure_version", PROCEDURES, "ICD_PRCDR_VRSN_CD{n}"),
            *numbered("procedure_date", PROCEDURES, "PRCDR_DT{n}"),
        ),
        title,
    )


_BUY_IN = numbered(
    "buy_in", MONTHS, "MDCR_ENTLMT_BUYIN_{n}_IND", "MDCR_ENTLMT_BUYIN_IND_{nn}", "ENTITLEMENT_BUY_IN_IND{n}"
)
_HMO = numbered("hmo", MONTHS, "HMO_{n}_IND", "HMO_IND_{nn}", "HMO_INDICATOR{n}", "HMO_IND{n}")
_DUAL = numbered("dual", MONTHS, "META_DUAL_ELGBL_STUS_{mon}_CD", "DUAL_STUS_CD_{nn}")


def _history(name: str, person: str, columns: tuple[Column, ...], title: str) -> FileLayout:
    return history_layout(
        name,
        (
            required("person_id", person),
            required("service_date", "CLM_THRU_DT", kind="date"),
            optional("claim_type", "NCH_CLM_TYPE_CD"),
            required("principal", "PRNCPAL_DGNS_CD"),
            optional("line_diagnosis", "LINE_ICD_DGNS_CD"),
            *numbered("diagnosis", DIAGNOSES, "ICD_DGNS_CD{n}"),
            *numbered("version", DIAGNOSES, "ICD_DGNS_VRSN_CD{n}"),
            *numbered("procedure", PROCEDURES, "ICD_PRCDR_CD{n}"),
            *numbered("procedure_date", PROCEDURES, "PRCDR_DT{n}"),
            *columns,
        ),
        title,
    )


def _adapt(warehouse: Warehouse, there: set[str]) -> Adapted:
    adapted = Adapted()
    add_inpatient(warehouse, adapted)
    add_beneficiaries(warehouse, adapted, there="beneficiary" in there)
    add_history(warehouse, adapted, [name for name in ("outpatient", "carrier") if name in there])
    return adapted


def _files(person: str, claim: str, beneficiary: FileLayout) -> tuple[FileLayout, ...]:
    return (
        _inpatient(person, claim, "inpatient claims"),
        beneficiary,
        _history("outpatient", person, (), "outpatient claims"),
        _history("carrier", person, (required("carrier", "CARR_NUM"),), "carrier (professional) claims"),
    )


RIF = Source(
    "rif",
    "CMS Research Identifiable Files",
    _files(
        "BENE_ID",
        "CLM_ID",
        beneficiary_layout(
            (
                required("person_id", "BENE_ID"),
                required("year", "RFRNC_YR", "BENE_ENROLLMT_REF_YR"),
                required("birth_date", "BENE_BIRTH_DT", kind="date"),
                optional("age", "AGE", "AGE_AT_END_REF_YR"),
                required("sex", "BENE_SEX_IDENT_CD", "SEX_IDENT_CD"),
                optional("death_date", "DEATH_DT", "BENE_DEATH_DT", kind="date", null_is_value=True),
                *_BUY_IN,
                *_HMO,
                *_DUAL,
            ),
            "beneficiary summary",
        ),
    ),
    _adapt,
)

LDS = Source(
    "lds",
    "CMS Limited Data Set",
    _files(
        "DESY_SORT_KEY",
        "CLAIM_NO",
        beneficiary_layout(
            (
                required("person_id", "DESY_SORT_KEY"),
                required("year", "REFERENCE_YEAR"),
                optional("birth_date", "BENE_BIRTH_DT", "BIRTH_DT", kind="date"),
                optional("age", "AGE"),
                required("sex", "SEX_CODE"),
                optional("death_date", "DATE_OF_DEATH", kind="date", null_is_value=True),
                *_BUY_IN,
                *_HMO,
                *_DUAL,
            ),
            "master beneficiary summary",
        ),
    ),
    _adapt,
)
