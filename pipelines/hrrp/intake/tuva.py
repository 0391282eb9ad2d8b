"""Tuva core tables, exported as files: encounter, condition, procedure, patient, member_months, and a crosswalk of NPI to CCN.

Tuva has no certification number: unless the encounter file carries one (`ccn` or `facility_ccn`), a file with the columns `npi`
and `ccn` must lie beside it. Acute inpatient encounters are stays; conditions of anything else are history.
"""

from __future__ import annotations

from hrrp.errors import InputContractError
from hrrp.intake.claims import define_dates, set_aside
from hrrp.intake.layout import FileLayout, optional, required
from hrrp.intake.sources import Adapted, Source
from hrrp.warehouse import Warehouse

ENCOUNTER = FileLayout(
    "encounter",
    "Tuva's encounter",
    (
        required("encounter_id"),
        required("person_id", "patient_id"),
        required("encounter_type"),
        required("encounter_start_date", kind="date"),
        required("encounter_end_date", kind="date"),
        required("discharge_disposition_code", width=2),
        optional("admit_type_code"),
        optional("admit_source_code"),
        optional("facility_npi", "facility_id", width=10),
        optional("ccn", "facility_ccn", width=6),
        optional("drg_code", "ms_drg_code", width=3),
        optional("paid_amount"),
        optional("primary_diagnosis_code"),
    ),
)
CONDITION = FileLayout(
    "condition",
    "Tuva's condition",
    (
        required("person_id", "patient_id"),
        required("encounter_id"),
        required("recorded_date", kind="date"),
        required("code", "normalized_code", "source_code"),
        required("condition_rank"),
        optional("code_type", "normalized_code_type", "source_code_type"),
        optional("present_on_admit_code"),
    ),
)
PROCEDURE = FileLayout(
    "procedure",
    "Tuva's procedure",
    (
        required("person_id", "patient_id"),
        required("encounter_id"),
        required("procedure_date", kind="date"),
        required("code", "normalized_code", "source_code"),
        optional("code_type", "normalized_code_type", "source_code_type"),
    ),
    required=False,
)
PATIENT = FileLayout(
    "patient",
    "Tuva's patient",
    (
        required("person_id", "patient_id"),
        required("birth_date", kind="date"),
        required("sex", "gender"),
        optional("death_date", kind="date", null_is_value=True),
    ),
)
MEMBER_MONTHS = FileLayout(
    "member_months",
    "Tuva's member months",
    (
        required("person_id", "patient_id"),
        required("year_month", kind="month"),
        required("payer_type"),
        optional("dual_status_code", width=2),
    ),
    required=False,
)
CROSSWALK = FileLayout(
    "crosswalk", "crosswalk of NPI to CCN", (required("npi", width=10), required("ccn", width=6)), required=False
)


def _stays(warehouse: Warehouse, adapted: Adapted, there: set[str]) -> None:
    ((numbered,),) = warehouse.rows("select count(ccn) from intake.raw_encounter")
    if not numbered and "crosswalk" not in there:
        raise InputContractError(
            "Tuva's encounter has no certification number (ccn), and there is no crosswalk file with the columns npi and ccn. "
            "Put one beside it: every facility's NPI with its CMS certification number."
        )
    warehouse.execute(
        """
        insert into intake.stays by name
        with crosswalk as (
            select npi, min(ccn) as known_ccn from intake.raw_crosswalk group by npi
        )
        select
            encounter_id as stay_id,
            person_id,
            coalesce(ccn, known_ccn) as ccn,
            iso(encounter_start_date) as admit_date,
            iso(encounter_end_date) as discharge_date,
            discharge_disposition_code as discharge_status,
            admit_type_code as admit_type,
            admit_source_code as admit_source,
            drg_code as drg,
            paid_amount as total_paid,
            source_file,
            row_number
        from intake.raw_encounter
        left join crosswalk on facility_npi = npi
        where lower(encounter_type) = 'acute inpatient'
        """
    )
    set_aside(
        warehouse,
        adapted,
        "select source_file, $reason, count(*) from intake.raw_encounter "
        "where lower(encounter_type) <> 'acute inpatient' group by all",
        "not an acute inpatient encounter",
    )


def _codes(warehouse: Warehouse, adapted: Adapted) -> None:
    """Conditions and procedures of acute inpatient encounters belong to the stays; all others are history."""
    warehouse.execute(
        """
        insert into intake.diagnoses by name
        select
            conditions.encounter_id as stay_id,
            -- Tuva's ranks begin anew in each claim of an encounter; its own principal diagnosis comes first.
            row_number() over (
                partition by conditions.encounter_id
                order by
                    conditions.code is distinct from encounters.primary_diagnosis_code,
                    try_cast(conditions.condition_rank as integer) nulls last,
                    conditions.source_file,
                    conditions.row_number
            ) as sequence,
            conditions.code,
            conditions.present_on_admit_code as poa,
            conditions.source_file,
            conditions.row_number
        from intake.raw_condition as conditions
        inner join intake.raw_encounter as encounters using (encounter_id)
        where
            coalesce(lower(conditions.code_type), 'icd-10-cm') = 'icd-10-cm'
            and lower(encounters.encounter_type) = 'acute inpatient'
        """
    )
    warehouse.execute(
        """
        insert into intake.procedures by name
        select
            procedures.encounter_id as stay_id,
            row_number() over (
                partition by procedures.encounter_id order by procedures.source_file, procedures.row_number
            ) as sequence,
            procedures.code,
            iso(procedures.procedure_date) as procedure_date,
            procedures.source_file,
            procedures.row_number
        from intake.raw_procedure as procedures
        inner join intake.raw_encounter as encounters using (encounter_id)
        where
            coalesce(lower(procedures.code_type), 'icd-10-pcs') = 'icd-10-pcs'
            and lower(encounters.encounter_type) = 'acute inpatient'
        """
    )
    for raw, table, code_system, day in (
        ("condition", "history_diagnoses", "icd-10-cm", "recorded_date"),
        ("procedure", "history_procedures", "icd-10-pcs", "procedure_date"),
    ):
        warehouse.execute(
            f"""
            insert into intake.{table} by name
            select person_id, iso({day}) as service_date, code, 'outpatient' as source, source_file, row_number
            from intake.raw_{raw}
            anti join (
                select encounter_id from intake.raw_encounter where lower(encounter_type) = 'acute inpatient'
            ) using (encounter_id)
            where coalesce(lower(code_type), '{code_system}') = '{code_system}'
            """  # noqa: S608
        )
        set_aside(
            warehouse,
            adapted,
            f"select source_file, $reason, count(*) from intake.raw_{raw} "  # noqa: S608
            f"where lower(code_type) <> '{code_system}' group by all",
            f"code of another system than {code_system.upper()}",
        )


def _persons(warehouse: Warehouse, adapted: Adapted, there: set[str]) -> None:
    warehouse.execute(
        """
        insert into intake.persons by name
        select
            person_id,
            iso(birth_date) as birth_date,
            case lower(sex) when 'male' then 'M' when 'female' then 'F' else sex end as sex,
            iso(death_date) as death_date,
            source_file,
            row_number
        from intake.raw_patient
        """
    )
    if "member_months" in there:
        warehouse.execute(
            """
            insert into intake.enrollment by name
            select
                person_id,
                regexp_replace(year_month, '^([0-9]{4})([0-9]{2})$', '\\1-\\2') as month,
                'true' as part_a,
                'true' as part_b,
                cast(lower(payer_type) = 'medicare' as varchar) as ffs,
                cast(lower(payer_type) <> 'medicare' as varchar) as ma,
                dual_status_code as dual_code,
                source_file,
                row_number
            from intake.raw_member_months
            where lower(payer_type) in ('medicare', 'medicare advantage')
            """
        )
        set_aside(
            warehouse,
            adapted,
            "select source_file, $reason, count(*) from intake.raw_member_months "
            "where lower(payer_type) not in ('medicare', 'medicare advantage') group by all",
            "month of a payer other than Medicare",
        )
        adapted.notes.append("Tuva's member months do not tell Part A from Part B: a Medicare month counts as both")


def _adapt(warehouse: Warehouse, there: set[str]) -> Adapted:
    adapted = Adapted()
    define_dates(warehouse)
    _stays(warehouse, adapted, there)
    _codes(warehouse, adapted)
    _persons(warehouse, adapted, there)
    return adapted


SOURCE = Source(
    "tuva", "Tuva core tables", (ENCOUNTER, CONDITION, PROCEDURE, PATIENT, MEMBER_MONTHS, CROSSWALK), _adapt
)
