"""MedPAR-like files: one record a stay, already put together from its bills.

Headings as in CMS's MedPAR RIF record layout, with and without the prefix of some extracts; the beneficiary summary of the
Research Identifiable Files serves for demographics and enrollment.
"""

from __future__ import annotations

from hrrp.intake.claims import (
    DIAGNOSES,
    EXTERNAL_CAUSES,
    PROCEDURES,
    add_beneficiaries,
    add_history,
    add_inpatient,
    inpatient_layout,
    numbered,
)
from hrrp.intake.layout import optional, required
from hrrp.intake.rif import RIF
from hrrp.intake.sources import Adapted, Source
from hrrp.warehouse import Warehouse


def _adapt(warehouse: Warehouse, there: set[str]) -> Adapted:
    adapted = Adapted()
    # A MedPAR record without a number of its own is told apart by its place in the file.
    warehouse.execute(
        "update intake.raw_inpatient set claim_id = source_file || ':' || row_number where claim_id is null"
    )
    add_inpatient(warehouse, adapted)
    add_beneficiaries(warehouse, adapted, there="beneficiary" in there)
    add_history(warehouse, adapted, [name for name in ("outpatient", "carrier") if name in there])
    return adapted


SOURCE = Source(
    "medpar",
    "MedPAR-like file, one record a stay",
    (
        inpatient_layout(
            (
                optional("claim_id", "MEDPAR_ID", "MEDPARID"),
                required("person_id", "BENE_ID"),
                required("provider", "PRVDR_NUM", "PRVDRNUM", width=6),
                required("admit_date", "ADMSN_DT", "ADMSNDT", kind="date"),
                required("discharge_date", "DSCHRG_DT", "DSCHRGDT", kind="date"),
                required("discharge_status", "DSCHRG_DSTNTN_CD", "DSTNTNCD", width=2),
                optional("admit_type", "TYPE_ADM", "IP_ADMSN_TYPE_CD"),
                optional("admit_source", "SRC_IP_ADMSN_CD", "SRC_ADMS"),
                optional("drg", "DRG_CD", width=3),
                optional("claim_type", "NCH_CLM_TYPE_CD", "CLM_TYPE"),
                optional("special_unit", "SPCL_UNIT_CD", "SPCLUNIT"),
                optional("managed_care", "GHO_PD_CD", "GHOPDCD"),
                optional("sex", "BENE_SEX_CD", "SEX"),
                optional("payment", "MDCR_PMT_AMT", "PMT_AMT"),
                optional("deductible", "BENE_IP_DDCTBL_AMT", "DED_AMT"),
                optional("coinsurance", "BENE_PTA_COINSRNC_AMT", "COIN_AMT"),
                optional("capital", "CPTL_AMT", "PPS_CPTL", "TOT_PPS_CPTL_AMT"),
                optional("outlier", "DRG_OUTLIER_PMT_AMT", "OUTLRAMT"),
                optional("operating_ime", "IME_AMT"),
                optional("operating_dsh", "DSH_AMT"),
                optional("uncompensated_care", "UNCOMPD_CARE_AMT", "UNCOMPD_CARE_PMT_AMT"),
                required("diagnosis_1", "DGNS_1_CD", "DGNSCD1", "DGNS_CD01"),
                *numbered("diagnosis", DIAGNOSES, "DGNS_{n}_CD", "DGNSCD{n}", "DGNS_CD{nn}")[1:],
                *numbered("poa", DIAGNOSES, "POA_DGNS_{n}_IND_CD", "POA_DGNS_CD{nn}"),
                *numbered("version", DIAGNOSES, "DGNS_VRSN_CD_{n}"),
                *numbered("external", EXTERNAL_CAUSES, "DGNS_E_{n}_CD"),
                *numbered("external_poa", EXTERNAL_CAUSES, "POA_DGNS_E_{n}_IND_CD"),
                *numbered("procedure", PROCEDURES, "SRGCL_PRCDR_{n}_CD", "PRCDRCD{n}", "PRCDR_CD{nn}"),
                *numbered(
                    "procedure_date", PROCEDURES, "SRGCL_PRCDR_PRFRM_{n}_DT", "SRGCL_PRCDR_DT_{n}", "PRCDR_DT{nn}"
                ),
            ),
            "MedPAR stays",
        ),
        *RIF.files[1:],
    ),
    _adapt,
)
