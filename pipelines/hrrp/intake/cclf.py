"""CMS Claim and Claim Line Feed (CCLF), the monthly files of accountable care organisations, with headings.

CCLF1 (Part A claims), 3 (procedures), 4 (diagnoses), 5 (physician lines), 8 (demographics), 9 (cross-reference of identifiers);
headings as in CMS's CCLF data elements. The feed holds every version of a claim: what was cancelled or replaced is dropped here.
It has no admission date (the first day of the statement stands for it) and says enrollment only by listing a person in a month.
"""

from __future__ import annotations

import pandas as pd

from hrrp.intake.claims import add_stays, define_dates, inpatient_layout, insert_codes, set_aside
from hrrp.intake.layout import FileLayout, optional, required
from hrrp.intake.sources import PART, Adapted, Source
from hrrp.warehouse import Warehouse

CCLF5_DIAGNOSES = 12

CCLF1 = FileLayout(
    "cclf1",
    "CCLF1 (Part A claims)",
    (
        required("claim_id", "CUR_CLM_UNIQ_ID"),
        required("person_id", "BENE_MBI_ID"),
        required("provider", "PRVDR_OSCAR_NUM", width=6),
        required("claim_type", "CLM_TYPE_CD"),
        required("from_date", "CLM_FROM_DT", kind="date"),
        required("through_date", "CLM_THRU_DT", kind="date"),
        required("discharge_status", "BENE_PTNT_STUS_CD", width=2),
        required("principal", "PRNCPL_DGNS_CD"),
        optional("facility_type", "CLM_BILL_FAC_TYPE_CD"),
        optional("service_class", "CLM_BILL_CLSFCTN_CD"),
        optional("frequency", "CLM_BILL_FREQ_CD"),
        optional("payment", "CLM_PMT_AMT"),
        optional("drg", "DGNS_DRG_CD", width=3),
        optional("adjustment", "CLM_ADJSMT_TYPE_CD"),
        optional("effective_date", "CLM_EFCTV_DT", kind="date"),
        optional("control_number", "CLM_CNTL_NUM"),
        optional("original_control_number", "CLM_ORG_CNTL_NUM"),
        optional("admit_type", "CLM_ADMSN_TYPE_CD"),
        optional("admit_source", "CLM_ADMSN_SRC_CD"),
        optional("version", "DGNS_PRCDR_ICD_IND"),
        optional("capital_ime", "CLM_MDCR_IP_PPS_CPTL_IME_AMT"),
        optional("capital_dsh", "CLM_MDCR_IP_PPS_DSPRPRTNT_AMT"),
        optional("operating_ime", "CLM_OPRTNL_IME_AMT"),
        optional("operating_dsh", "CLM_OPRTNL_DSPRPRTNT_AMT"),
        optional("uncompensated_care", "CLM_HIPPS_UNCOMPD_CARE_AMT"),
    ),
)
CCLF3 = FileLayout(
    "cclf3",
    "CCLF3 (procedures)",
    (
        required("claim_id", "CUR_CLM_UNIQ_ID"),
        required("sequence", "CLM_VAL_SQNC_NUM"),
        required("code", "CLM_PRCDR_CD"),
        required("procedure_date", "CLM_PRCDR_PRFRM_DT", kind="date"),
        optional("version", "DGNS_PRCDR_ICD_IND"),
    ),
    required=False,
)
CCLF4 = FileLayout(
    "cclf4",
    "CCLF4 (diagnoses)",
    (
        required("claim_id", "CUR_CLM_UNIQ_ID"),
        required("kind", "CLM_PROD_TYPE_CD"),
        required("sequence", "CLM_VAL_SQNC_NUM"),
        required("code", "CLM_DGNS_CD"),
        optional("poa", "CLM_POA_IND"),
        optional("version", "DGNS_PRCDR_ICD_IND"),
    ),
)
CCLF5 = FileLayout(
    "cclf5",
    "CCLF5 (physician lines)",
    (
        required("claim_id", "CUR_CLM_UNIQ_ID"),
        required("line", "CLM_LINE_NUM"),
        required("person_id", "BENE_MBI_ID"),
        required("service_date", "CLM_LINE_THRU_DT", "CLM_THRU_DT", kind="date"),
        required("line_diagnosis", "CLM_LINE_DGNS_CD"),
        optional("adjustment", "CLM_ADJSMT_TYPE_CD"),
        optional("control_number", "CLM_CNTL_NUM"),
        optional("version", "DGNS_PRCDR_ICD_IND"),
        *(optional(f"diagnosis_{n}", f"CLM_DGNS_{n}_CD") for n in range(1, CCLF5_DIAGNOSES + 1)),
    ),
    required=False,
)
CCLF8 = FileLayout(
    "cclf8",
    "CCLF8 (demographics)",
    (
        required("person_id", "BENE_MBI_ID"),
        required("birth_date", "BENE_DOB", kind="date"),
        required("sex", "BENE_SEX_CD"),
        optional("death_date", "BENE_DEATH_DT", kind="date", null_is_value=True),
        optional("dual", "BENE_DUAL_STUS_CD"),
        optional("buy_in", "BENE_ENTLMT_BUYIN_IND"),
    ),
)
CCLF9 = FileLayout(
    "cclf9",
    "CCLF9 (identifiers)",
    (required("current", "CRNT_NUM"), required("previous", "PRVS_NUM"), optional("kind", "HICN_MBI_XREF_IND")),
    required=False,
)


def identities(warehouse: Warehouse) -> None:
    """intake.raw_identities(id, person_id): every identifier of CCLF9 with the newest one of the same person.

    Chains (A became B, B became C) and records in both directions end at one identifier.
    """
    pairs = warehouse.rows(
        "select distinct previous, current from intake.raw_cclf9 "
        "where previous is not null and current is not null and previous <> current order by all"
    )
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for previous, current in pairs:
        parent[root(previous)] = root(current)
    replaced = {previous for previous, _ in pairs}
    groups: dict[str, list[str]] = {}
    for name in list(parent):
        groups.setdefault(root(name), []).append(name)
    newest = {
        name: min(group, key=lambda each: (each in replaced, each)) for group in groups.values() for name in group
    }
    warehouse.write(
        "intake.raw_identities",
        pd.DataFrame(sorted(newest.items()), columns=["id", "person_id"]),
        {"id": "varchar", "person_id": "varchar"},
    )
    for table in ("cclf1", "cclf5", "cclf8"):
        warehouse.execute(
            f"update intake.raw_{table} as claims set person_id = identities.person_id "  # noqa: S608
            "from intake.raw_identities as identities where claims.person_id = identities.id"
        )


def final_actions(warehouse: Warehouse, adapted: Adapted) -> None:
    """intake.raw_final: the claims of CCLF1 that stand, after cancellations and adjustments.

    A claim that several monthly files repeat counts once. A cancellation (type 1) takes away one claim of the same person,
    provider and dates; of what is left, the latest effective version of each control number stands.
    """
    warehouse.execute(
        """
        create or replace table intake.raw_versions as
        with typed as (
            select * replace (
                iso(from_date) as from_date, iso(through_date) as through_date, iso(effective_date) as effective_date
            )
            from intake.raw_cclf1
        ),
        -- Months repeat claims: the last file's record of a claim stands for all.
        records as (
            select
                *,
                row_number() over (partition by claim_id order by source_file desc, row_number desc) as copy,
                coalesce(adjustment, '0') = '1' as is_cancellation
            from typed
        ),
        counted as (
            select
                *,
                count(*) filter (is_cancellation) over same as cancellations,
                count(*) filter (not is_cancellation) over same as claims
            from records
            where copy = 1
            window same as (partition by person_id, provider, claim_type, from_date, through_date)
        ),
        -- As many claims of the same person, provider and dates fall away, the earliest first, as there are cancellations.
        ranked as (
            select
                *,
                row_number() over (
                    partition by person_id, provider, claim_type, from_date, through_date, is_cancellation
                    order by effective_date nulls first, adjustment, claim_id
                ) as place
            from counted
        ),
        standing as (
            select
                *,
                row_number() over (
                    partition by person_id, coalesce(original_control_number, control_number, claim_id)
                    order by effective_date desc nulls last, adjustment desc, claim_id desc
                ) as version_place
            from ranked
            where not is_cancellation and place > cancellations
        )
        select *, null as aside from standing where version_place = 1
        union all by name
        select *, 'replaced by a later version of the claim' as aside from standing where version_place > 1
        union all by name
        select *, 'cancelled claim, or its cancellation' as aside from ranked where is_cancellation or place <= cancellations
        union all by name
        select *, 'repeated by a later month' as aside from records where copy > 1
        """
    )
    set_aside(
        warehouse,
        adapted,
        "select source_file, aside, count(*) from intake.raw_versions where aside is not null group by all",
    )
    warehouse.execute(
        "create or replace table intake.raw_final as select * from intake.raw_versions where aside is null"
    )
    warehouse.execute("drop table intake.raw_versions")


def _stays(warehouse: Warehouse, adapted: Adapted) -> None:
    """The wide inpatient table of claims.py from the final Part A claims; interim bills of touching dates get one admission date."""
    layout = inpatient_layout((), "")
    have = {
        "claim_id", "person_id", "provider", "through_date", "discharge_status", "admit_type", "admit_source", "drg",
        "claim_type", "facility_type", "service_class", "frequency", "payment", "operating_ime", "operating_dsh",
        "uncompensated_care", "principal",
    }  # fmt: skip
    nulls = "".join(
        f"null::varchar as {name}, "
        for name in layout.column_names
        if name not in have | {"admit_date", "capital", "principal_version"}
    )
    warehouse.execute(
        f"""
        create or replace table intake.raw_inpatient as
        with inpatient as (
            select
                *,
                frequency in ('2', '3', '4') as is_interim,
                lag(through_date) over bill as last_through
            from intake.raw_final
            where claim_type <> '40'
            window bill as (
                partition by person_id, provider, claim_type, frequency in ('2', '3', '4') order by from_date, through_date
            )
        ),
        -- An interim bill continues the one before when it begins on its last day or the day after.
        begun as (
            select
                *,
                sum(case
                    when is_interim and last_through is not null
                    and try_cast(from_date as date) <= try_cast(last_through as date) + 1 then 0
                    else 1
                end) over (
                    partition by person_id, provider, claim_type, is_interim order by from_date, through_date, claim_id
                ) as run
            from inpatient
        )
        select
            {", ".join(sorted(have))},
            {nulls}
            case
                when is_interim then min(from_date) over (partition by person_id, provider, claim_type, is_interim, run)
                else from_date
            end as admit_date,
            cast(try_cast(capital_ime as double) + try_cast(capital_dsh as double) as varchar) as capital,
            version as principal_version,
            source_file,
            row_number
        from begun
        """  # noqa: S608
    )
    add_stays(warehouse, adapted)


def _codes(warehouse: Warehouse, adapted: Adapted) -> None:
    """Diagnoses and procedures of the stays; diagnoses of the outpatient claims are history."""
    warehouse.execute(
        f"""
        create or replace temp table feed as
        with claims as (
            select claim_id, person_id, principal, principal_version as version, discharge_status, 'inpatient' as place,
                through_date, source_file, row_number
            from intake.raw_bills
            where aside is null
            union all by name
            select claim_id, person_id, principal, version, discharge_status, 'outpatient' as place,
                through_date, source_file, row_number
            from intake.raw_final
            where claim_type = '40'
        ),
        -- Type A is the admitting diagnosis, which is no finding of the stay; E and 1 are external causes.
        others as (
            select
                claims.claim_id, claims.person_id, claims.place, claims.through_date, claims.principal,
                codes.code, codes.poa,
                coalesce(codes.version, claims.version) as version,
                case when codes.kind in ('E', '1') then 2 else 1 end as section,
                try_cast(codes.sequence as integer) as listed_at,
                codes.source_file, codes.row_number
            from intake.raw_cclf4 as codes
            inner join claims using (claim_id)
            where codes.kind <> 'A' and codes.code is not null
            -- Months repeat claims, and a claim may list a code twice.
            qualify row_number() over (
                partition by claims.claim_id, codes.code order by section, listed_at, codes.source_file, codes.row_number
            ) = 1
        ),
        indicators as (
            select claim_id, code, poa from others where poa is not null
        )
        select
            claims.claim_id, claims.person_id, claims.place, claims.through_date,
            0 as section, 0 as listed_at,
            claims.principal as code,
            indicators.poa,
            claims.version,
            claims.source_file || '{PART}principal diagnosis' as source_file,
            claims.row_number
        from claims
        left join indicators on claims.claim_id = indicators.claim_id and claims.principal = indicators.code
        where claims.principal is not null
        union all by name
        select * exclude (principal) from others where code is distinct from principal
        """  # noqa: S608
    )
    warehouse.execute(
        """
        create or replace temp table stay_codes as
        select
            claim_id as stay_id,
            row_number() over (partition by claim_id order by section, listed_at, source_file, row_number) as sequence,
            code, poa, source_file, row_number,
            coalesce(version = '9', false) as is_icd9
        from feed
        where place = 'inpatient'
        """
    )
    insert_codes(warehouse, adapted, "diagnoses", "stay_codes")
    warehouse.execute(
        """
        create or replace temp table visit_codes as
        select
            person_id, through_date as service_date, code, 'outpatient' as source, source_file, row_number,
            coalesce(version = '9', false) as is_icd9
        from feed
        where place = 'outpatient'
        """
    )
    insert_codes(warehouse, adapted, "history_diagnoses", "visit_codes")
    warehouse.execute("drop table feed")
    warehouse.execute(
        """
        create or replace temp table stay_procedures as
        select
            codes.claim_id as stay_id,
            row_number() over (
                partition by codes.claim_id order by try_cast(codes.sequence as integer), codes.source_file, codes.row_number
            ) as sequence,
            codes.code,
            iso(codes.procedure_date) as procedure_date,
            codes.source_file,
            codes.row_number,
            coalesce(codes.version, bills.principal_version) is not distinct from '9' as is_icd9
        from intake.raw_cclf3 as codes
        inner join intake.raw_bills as bills on codes.claim_id = bills.claim_id and bills.aside is null
        where codes.code is not null
        qualify row_number() over (
            partition by codes.claim_id, codes.sequence, codes.code order by codes.source_file, codes.row_number
        ) = 1
        """
    )
    insert_codes(warehouse, adapted, "procedures", "stay_procedures")
    _leftovers(warehouse, adapted)


def _leftovers(warehouse: Warehouse, adapted: Adapted) -> None:
    """Count the records of CCLF3 and CCLF4 that became nothing."""
    for name, tables in (("cclf3", ("procedures",)), ("cclf4", ("diagnoses", "history_diagnoses"))):
        set_aside(
            warehouse,
            adapted,
            f"select source_file, 'belongs to no claim that stands', count(*) from intake.raw_{name} "  # noqa: S608
            "anti join intake.raw_final using (claim_id) group by all",
        )
        used = "".join(f"anti join intake.{table} using (source_file, row_number) " for table in tables)
        set_aside(
            warehouse,
            adapted,
            f"select source_file, $reason, count(*) from intake.raw_{name} as codes "  # noqa: S608
            f"semi join intake.raw_final using (claim_id) {used}where version is distinct from '9' group by all",
            "admitting diagnosis, repeated code, or of a claim that is neither inpatient nor outpatient",
        )


def _professional(warehouse: Warehouse, adapted: Adapted) -> None:
    """History from physician lines; a line that was cancelled is no history."""
    listed = ", ".join(f"diagnosis_{n}" for n in range(1, CCLF5_DIAGNOSES + 1))
    warehouse.execute(
        f"""
        create or replace temp table line_codes as
        with lines as (
            select
                * replace (iso(service_date) as service_date),
                row_number() over (partition by claim_id, line order by source_file desc, row_number desc) as copy,
                coalesce(adjustment, '0') = '1' as is_cancellation
            from intake.raw_cclf5
        ),
        counted as (
            select
                *,
                count(*) filter (is_cancellation) over same as cancellations,
                row_number() over (
                    partition by coalesce(control_number, claim_id), line, person_id, is_cancellation order by claim_id
                ) as place
            from lines
            where copy = 1
            window same as (partition by coalesce(control_number, claim_id), line, person_id)
        ),
        unpacked as (
            select
                person_id, service_date, version, source_file, row_number,
                [line_diagnosis, {listed}] as codes,
                unnest([line_diagnosis, {listed}]) as code,
                unnest(range(1, {CCLF5_DIAGNOSES + 2})) as position
            from counted
            where not is_cancellation and place > cancellations
        )
        select
            person_id, service_date, code, 'professional' as source,
            source_file || '{PART}' || case when position = 1 then 'line diagnosis' else 'diagnosis ' || (position - 1) end
                as source_file,
            row_number,
            coalesce(version = '9', false) as is_icd9
        from unpacked
        where code is not null and list_position(codes, code) = position
        """  # noqa: S608
    )
    insert_codes(warehouse, adapted, "history_diagnoses", "line_codes")


def _persons(warehouse: Warehouse, adapted: Adapted) -> None:
    """Persons from the latest monthly record, enrollment from the month in the file's name (…D240115… or 2024-01)."""
    warehouse.execute(
        """
        create or replace temp table listings as
        select
            * replace (iso(birth_date) as birth_date, nullif(iso(death_date), '9999-12-31') as death_date),
            -- CMS's own name first: the time at its end (T1200000) may look like a year and a month.
            coalesce(
                '20' || nullif(regexp_replace(
                    regexp_extract(source_file, '[.]D([0-9]{2}(0[1-9]|1[0-2]))[0-9]{2}', 1), '^(..)(..)$', '\\1-\\2'
                ), ''),
                nullif(regexp_replace(
                    regexp_extract(source_file, '(20[0-9]{2}[-_]?(0[1-9]|1[0-2]))([^0-9]|$)', 1), '^(....)[-_]?(..)$', '\\1-\\2'
                ), '')
            ) as month
        from intake.raw_cclf8
        """
    )
    warehouse.execute(
        """
        insert into intake.persons by name
        select person_id, birth_date, sex, death_date, source_file, row_number
        from (
            select
                * replace (max(death_date) over (partition by person_id) as death_date),
                row_number() over (partition by person_id order by month desc nulls last, source_file desc, row_number desc) as place
            from listings
        )
        where place = 1
        """
    )
    ((months,),) = warehouse.rows("select count(month) from listings")
    if not months:
        adapted.notes.append(
            "the names of the CCLF8 files tell no month (as in P.A0000.ACO.ZC8Y24.D240115.T0000000), so enrollment is not known"
        )
    else:
        adapted.notes.append(
            "enrollment in fee for service is inferred: a person whom a month's CCLF8 lists was enrolled in it"
        )
    warehouse.execute(
        f"""
        insert into intake.enrollment by name
        select
            person_id,
            month,
            cast(coalesce(buy_in, '3') in ('1', '3', 'A', 'C') as varchar) as part_a,
            cast(coalesce(buy_in, '3') in ('2', '3', 'B', 'C') as varchar) as part_b,
            'true' as ffs,
            'false' as ma,
            case when length(dual) = 1 then '0' || dual else dual end as dual_code,
            source_file || '{PART}month' as source_file,
            row_number
        from listings
        where month is not null
        qualify row_number() over (partition by person_id, month order by source_file desc, row_number desc) = 1
        """  # noqa: S608
    )
    set_aside(
        warehouse,
        adapted,
        "select source_file, $reason, count(*) from (select *, row_number() over (partition by person_id, "
        "coalesce(month, source_file) order by source_file desc, row_number desc) as place from listings) "
        "where place > 1 group by all",
        "replaced by a later record of the same person and month",
    )
    warehouse.execute("drop table listings")


def _adapt(warehouse: Warehouse, there: set[str]) -> Adapted:
    adapted = Adapted()
    define_dates(warehouse)
    identities(warehouse)
    ((joined,),) = warehouse.rows("select count(*) - count(distinct person_id) from intake.raw_identities")
    if joined:
        adapted.notes.append(f"{joined:,} former identifiers were joined to the newest one of the same person (CCLF9)")
    final_actions(warehouse, adapted)
    _stays(warehouse, adapted)
    _codes(warehouse, adapted)
    if "cclf5" in there:
        _professional(warehouse, adapted)
    _persons(warehouse, adapted)
    adapted.notes.append("CCLF has no admission date: the first day of the claim's statement stands for it")
    for table in ("raw_identities", "raw_final", "raw_bills", "raw_inpatient"):
        warehouse.execute(f"drop table intake.{table}")
    return adapted


SOURCE = Source("cclf", "CMS Claim and Claim Line Feed (CCLF)", (CCLF1, CCLF3, CCLF4, CCLF5, CCLF8, CCLF9), _adapt)
