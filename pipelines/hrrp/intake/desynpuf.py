"""CMS DE-SynPUF (2008-2010 Data Entrepreneurs' Synthetic Public Use File): inpatient claims and beneficiary summary.

Its codes are ICD-9 throughout and its discharges are of 2008 to 2010, so that no stay can be an index admission of a measure whose
lists are ICD-10; the layout is read so that this can be said with counts. It has no discharge status and no monthly enrollment.
"""

from __future__ import annotations

from hrrp.intake.claims import add_beneficiaries, add_inpatient, beneficiary_layout, inpatient_layout, numbered
from hrrp.intake.layout import optional, required
from hrrp.intake.sources import Adapted, Source
from hrrp.warehouse import Warehouse

CODES = 10
PROCEDURE_CODES = 6


def _adapt(warehouse: Warehouse, there: set[str]) -> Adapted:
    adapted = Adapted()
    add_inpatient(warehouse, adapted, icd9="always")
    add_beneficiaries(warehouse, adapted, there="beneficiary" in there)
    adapted.notes.append(
        "DE-SynPUF has no discharge status: deaths, transfers and departures against advice cannot be seen"
    )
    return adapted


SOURCE = Source(
    "desynpuf",
    "CMS DE-SynPUF synthetic claims",
    (
        inpatient_layout(
            (
                required("claim_id", "CLM_ID"),
                required("person_id", "DESYNPUF_ID"),
                required("provider", "PRVDR_NUM", width=6),
                required("admit_date", "CLM_ADMSN_DT", kind="date"),
                required("discharge_date", "NCH_BENE_DSCHRG_DT", kind="date"),
                optional("through_date", "CLM_THRU_DT", kind="date"),
                optional("drg", "CLM_DRG_CD", width=3),
                optional("payment", "CLM_PMT_AMT"),
                optional("deductible", "NCH_BENE_IP_DDCTBL_AMT"),
                optional("coinsurance", "NCH_BENE_PTA_COINSRNC_LBLTY_AM"),
                required("principal", "ICD9_DGNS_CD_1"),
                *numbered("diagnosis", CODES, "ICD9_DGNS_CD_{n}"),
                *numbered("procedure", PROCEDURE_CODES, "ICD9_PRCDR_CD_{n}"),
            ),
            "inpatient claims",
        ),
        beneficiary_layout(
            (
                required("person_id", "DESYNPUF_ID"),
                required("birth_date", "BENE_BIRTH_DT", kind="date"),
                required("sex", "BENE_SEX_IDENT_CD"),
                optional("death_date", "BENE_DEATH_DT", kind="date", null_is_value=True),
            ),
            "beneficiary summary",
        ),
    ),
    _adapt,
)
