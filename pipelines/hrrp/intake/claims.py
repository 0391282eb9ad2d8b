"""What CMS's claim files have in common: one wide record a claim, up to 25 diagnoses and procedures side by side.

RIF, LDS, DE-SynPUF and MedPAR differ in their headings (each adapter lists them) and share this: which bills are inpatient stays,
how the wide record becomes rows, how the yearly beneficiary record becomes months of enrollment, how other claims become history.
All of it is one statement a table in the warehouse; nothing is done row by row in Python.

Meanings of codes: CMS/ResDAC record layouts of the Research Identifiable Files and the Limited Data Set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hrrp.intake.layout import CANONICAL, Column, FileLayout, optional
from hrrp.intake.sources import PART, Adapted, SetAside
from hrrp.warehouse import Warehouse

DIAGNOSES, EXTERNAL_CAUSES, PROCEDURES, MONTHS = 25, 12, 25, 12
MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEPT", "OCT", "NOV", "DEC")

# NCH claim types: 60 and 61 inpatient, 62 to 64 Medicare Advantage stays sent in for information or for teaching payments.
INPATIENT_TYPES = ("60", "61", "62", "63", "64")
MANAGED_CARE_TYPES = ("62", "63", "64")
# First discharge date coded in ICD-10 (HIPAA; 45 CFR 162.1002).
ICD10_BEGINS = "2015-10-01"
ICD9_REASON = "ICD-9 code among the {table} (the measures' lists are ICD-10)"


def numbered(name: str, count: int, *patterns: str) -> tuple[Column, ...]:
    """Columns `name_1` to `name_<count>`, with headings such as "ICD_DGNS_CD{n}" ({nn}: two digits, {mon}: JAN to DEC)."""
    return tuple(
        optional(
            f"{name}_{n}",
            *(
                pattern.format(n=n, nn=f"{n:02d}", mon=MONTH_NAMES[n - 1] if n <= MONTHS else "")
                for pattern in patterns
            ),
        )
        for n in range(1, count + 1)
    )


def inpatient_layout(columns: Iterable[Column], title: str) -> FileLayout:
    """The wide inpatient file: an adapter's own columns (which name what must be there), the rest of the shared ones optional."""
    own = {column.name: column for column in columns}
    shared = (
        *(optional(name) for name in INPATIENT_COLUMNS),
        *numbered("diagnosis", DIAGNOSES),
        *numbered("poa", DIAGNOSES),
        *numbered("version", DIAGNOSES),
        *numbered("external", EXTERNAL_CAUSES),
        *numbered("external_poa", EXTERNAL_CAUSES),
        *numbered("procedure", PROCEDURES),
        *numbered("procedure_version", PROCEDURES),
        *numbered("procedure_date", PROCEDURES),
    )
    return FileLayout("inpatient", title, tuple(own.get(column.name, column) for column in shared))


INPATIENT_COLUMNS = (
    "claim_id",
    "person_id",
    "provider",
    "admit_date",
    "discharge_date",
    "through_date",
    "discharge_status",
    "admit_type",
    "admit_source",
    "drg",
    "claim_type",
    "facility_type",
    "service_class",
    "special_unit",
    "frequency",
    "final_action",
    "managed_care",
    "sex",
    "payment",
    "base_amount",
    "deductible",
    "coinsurance",
    "blood_deductible",
    "capital",
    "outlier",
    "operating_ime",
    "operating_dsh",
    "uncompensated_care",
    "principal",
    "principal_version",
)


def beneficiary_layout(columns: Iterable[Column], title: str, *, must_be_there: bool = False) -> FileLayout:
    """The yearly beneficiary file: demographics, and a column for each month of entitlement, managed care and dual status."""
    own = {column.name: column for column in columns}
    shared = (
        *(optional(name) for name in ("person_id", "year", "birth_date", "age", "sex", "death_date")),
        *numbered("buy_in", MONTHS),
        *numbered("hmo", MONTHS),
        *numbered("dual", MONTHS),
    )
    return FileLayout("beneficiary", title, tuple(own.get(column.name, column) for column in shared), must_be_there)


def history_layout(name: str, columns: Iterable[Column], title: str) -> FileLayout:
    """A wide file of outpatient or professional claims, for the history of risk factors."""
    own = {column.name: column for column in columns}
    shared = (
        *(
            optional(name)
            for name in ("person_id", "carrier", "service_date", "claim_type", "principal", "line_diagnosis")
        ),
        *numbered("diagnosis", DIAGNOSES),
        *numbered("version", DIAGNOSES),
        *numbered("procedure", PROCEDURES),
        *numbered("procedure_date", PROCEDURES),
    )
    return FileLayout(name, title, tuple(own.get(column.name, column) for column in shared), required=False)


def define_dates(warehouse: Warehouse) -> None:
    """`iso(text)`: a date as CMS's files write it (31-DEC-2024, 20241231, 12/31/2024) as ISO; any other text as it stands."""
    warehouse.execute(
        "create or replace temp macro iso(value) as coalesce(strftime("
        "try_strptime(value, ['%Y-%m-%d', '%d-%b-%Y', '%Y%m%d', '%m/%d/%Y', '%d%b%Y']), '%Y-%m-%d'), value)"
    )


def _list(name: str, count: int) -> str:
    return ", ".join(f"{name}_{n}" for n in range(1, count + 1))


def _in(values: Sequence[str]) -> str:
    return "(" + ", ".join(f"'{value}'" for value in values) + ")"


def add_inpatient(warehouse: Warehouse, adapted: Adapted, *, icd9: str = "by version and date") -> None:
    """intake.stays, intake.diagnoses and intake.procedures from intake.raw_inpatient.

    `icd9`: 'always' where the source's own headings say that every code is ICD-9.
    """
    add_stays(warehouse, adapted)
    add_wide_codes(warehouse, adapted, icd9=icd9)
    warehouse.execute("drop table intake.raw_bills")


def add_stays(warehouse: Warehouse, adapted: Adapted) -> None:
    """intake.stays from intake.raw_inpatient; leaves intake.raw_bills, where `aside` is null for the bill that is the stay."""
    define_dates(warehouse)
    warehouse.execute(
        f"""
        create or replace table intake.raw_bills as
        with typed as (
            select
                * replace (
                    iso(admit_date) as admit_date, iso(discharge_date) as discharge_date, iso(through_date) as through_date
                ),
                -- Bills that are no acute inpatient stay, or not the last word on one.
                case
                    when claim_type not in {_in(INPATIENT_TYPES)} then 'not an inpatient claim'
                    when facility_type <> '1' or service_class <> '1' then 'not a hospital''s inpatient bill (11x)'
                    when special_unit in ('M', 'R', 'S', 'T') then 'swing bed, rehabilitation or psychiatric unit'
                    when final_action = 'N' then 'not the final action'
                    when frequency = '8' then 'void bill'
                end as aside
            from intake.raw_inpatient
        ),
        -- A file with a record for each line or segment of a claim repeats the claim's own columns in each.
        lines as (
            select *, row_number() over (partition by claim_id order by source_file, row_number) as line
            from typed
            where aside is null
        ),
        -- Interim bills (2 first, 3 continuing, 4 last) of one admission are one stay; the last one tells how it ended.
        bills as (
            select
                *,
                frequency in ('2', '3', '4') as is_interim,
                row_number() over (
                    partition by
                        person_id, provider, admit_date, case when frequency in ('2', '3', '4') then '' else claim_id end
                    order by coalesce(discharge_date, through_date) desc, claim_id desc
                ) as place,
                sum(try_cast(payment as double)) over (
                    partition by
                        person_id, provider, admit_date, case when frequency in ('2', '3', '4') then '' else claim_id end
                ) as stay_payment
            from lines
            where line = 1
        )
        select * exclude (aside, line, place, is_interim), null as aside from bills where place = 1
        union all by name
        select * exclude (line, place, is_interim) replace ('interim bill, one stay with the last one' as aside)
        from bills
        where place > 1
        union all by name
        select * exclude (line) replace ('further line of a claim' as aside) from lines where line > 1
        union all by name
        select * from typed where aside is not null
        """  # noqa: S608
    )
    warehouse.execute(
        f"""
        insert into intake.stays by name
        select
            claim_id as stay_id,
            person_id,
            provider as ccn,
            admit_date,
            -- A person who has not left (status 30) has no discharge date; the bill's last day stands for it.
            coalesce(discharge_date, through_date) as discharge_date,
            lpad(discharge_status, greatest(2, length(discharge_status))::integer, '0') as discharge_status,
            admit_type,
            admit_source,
            case when length(drg) < 3 then lpad(drg, 3, '0') else drg end as drg,
            case
                when claim_type in {_in(MANAGED_CARE_TYPES)} or managed_care = '1' then 'MA'
                when claim_type is not null or managed_care is not null then 'FFS'
            end as payer,
            -- Base operating DRG amount: supplied, or what is left of the payment without capital, outlier, teaching,
            -- disproportionate share and uncompensated care, with what the patient owes.
            cast(coalesce(
                case when try_cast(base_amount as double) > 0 then try_cast(base_amount as double) end,
                case when estimate > 0 then round(estimate, 2) end
            ) as varchar) as base_operating_drg_amount,
            cast(round(stay_payment, 2) as varchar) as total_paid,
            source_file,
            row_number
        from (
            select
                *,
                stay_payment
                + coalesce(try_cast(deductible as double), 0)
                + coalesce(try_cast(coinsurance as double), 0)
                + coalesce(try_cast(blood_deductible as double), 0)
                - coalesce(try_cast(capital as double), 0)
                - coalesce(try_cast(outlier as double), 0)
                - try_cast(operating_ime as double)
                - try_cast(operating_dsh as double)
                - coalesce(try_cast(uncompensated_care as double), 0) as estimate
            from intake.raw_bills
            where aside is null
        )
        order by source_file, row_number
        """  # noqa: S608
    )
    set_aside(
        warehouse,
        adapted,
        "select source_file, aside, count(*) from intake.raw_bills where aside is not null group by all",
    )


def add_wide_codes(warehouse: Warehouse, adapted: Adapted, *, icd9: str) -> None:
    """intake.diagnoses and intake.procedures from the numbered columns of intake.raw_bills."""
    old = (
        "true"
        if icd9 == "always"
        else f"coalesce(version = '9', coalesce(discharge_date, through_date) < '{ICD10_BEGINS}', false)"
    )
    warehouse.execute(
        f"""
        create or replace temp table wide_diagnoses as
        with listed as (
            select
                claim_id, source_file, row_number, discharge_date, through_date,
                -- Where there is no column for it, the first diagnosis is the principal one.
                [coalesce(principal, diagnosis_1), {_list("diagnosis", DIAGNOSES)}, {_list("external", EXTERNAL_CAUSES)}] as codes,
                [null, {_list("poa", DIAGNOSES)}, {_list("external_poa", EXTERNAL_CAUSES)}] as poas,
                [coalesce(principal_version, version_1), {_list("version", DIAGNOSES)}] as versions
            from intake.raw_bills
            where aside is null
        ),
        unpacked as (
            select *, unnest(codes) as code, generate_subscripts(codes, 1) as position from listed
        )
        select
            claim_id as stay_id,
            position as sequence,
            code,
            -- The principal diagnosis stands among the others too; its indicator is there.
            case when position = 1 then poas[1 + list_position(codes[2:], code)] else poas[position] end as poa,
            coalesce(versions[position], versions[1]) as version,
            source_file || '{PART}' || case
                when position = 1 then 'principal diagnosis'
                when position <= {DIAGNOSES + 1} then 'diagnosis ' || (position - 1)
                else 'external cause ' || (position - {DIAGNOSES + 1})
            end as source_file,
            row_number,
            {old} as is_icd9
        from unpacked
        -- Each code once: the principal diagnosis is repeated among the others.
        where code is not null and list_position(codes, code) = position
        """  # noqa: S608
    )
    insert_codes(warehouse, adapted, "diagnoses", "wide_diagnoses")
    warehouse.execute(
        f"""
        create or replace temp table wide_procedures as
        with unpacked as (
            select
                claim_id, source_file, row_number, discharge_date, through_date,
                unnest([{_list("procedure", PROCEDURES)}]) as code,
                unnest([{_list("procedure_version", PROCEDURES)}]) as version,
                unnest([{_list("procedure_date", PROCEDURES)}]) as procedure_date,
                unnest(range(1, {PROCEDURES + 1})) as sequence
            from intake.raw_bills
            where aside is null
        )
        select
            claim_id as stay_id,
            sequence,
            code,
            iso(procedure_date) as procedure_date,
            source_file || '{PART}procedure ' || sequence as source_file,
            row_number,
            {old} as is_icd9
        from unpacked
        where code is not null
        """  # noqa: S608
    )
    insert_codes(warehouse, adapted, "procedures", "wide_procedures")


def insert_codes(warehouse: Warehouse, adapted: Adapted, table: str, wide: str) -> None:
    """Add a temporary table's ICD-10 codes to a canonical table; set the ICD-9 codes aside."""
    columns = ", ".join(column for column in CANONICAL[table].column_names)
    warehouse.execute(
        f"insert into intake.{table} by name select {columns}, source_file, row_number from {wide} where not is_icd9"  # noqa: S608
    )
    set_aside(
        warehouse,
        adapted,
        f"select split_part(source_file, '{PART}', 1), $reason, count(*) from {wide} where is_icd9 group by all",  # noqa: S608
        ICD9_REASON.format(table=table.replace("_", " ")),
    )
    warehouse.execute(f"drop table {wide}")


def set_aside(warehouse: Warehouse, adapted: Adapted, sql: str, reason: str | None = None) -> None:
    """Note what the query (file, reason, rows) finds; `reason` is bound as $reason."""
    found = warehouse.rows(f"{sql} order by all", {"reason": reason} if reason else None)
    adapted.set_aside += [SetAside(source_file, why, rows) for source_file, why, rows in found]


def add_beneficiaries(warehouse: Warehouse, adapted: Adapted, *, there: bool) -> None:
    """intake.persons and intake.enrollment from intake.raw_beneficiary; without that file every person of the stays, age unknown."""
    define_dates(warehouse)
    if not there:
        warehouse.execute(
            f"""
            insert into intake.persons by name
            select
                person_id,
                any_value(sex order by source_file, row_number) as sex,
                min_by(source_file, (source_file, row_number)) || '{PART}person' as source_file,
                min_by(row_number, (source_file, row_number)) as row_number
            from intake.raw_inpatient
            where person_id is not null
            group by person_id
            """  # noqa: S608
        )
        adapted.notes.append("no beneficiary file: birth dates, deaths and enrollment are not known")
        adapted.absent.setdefault("persons", set()).add("death_date")
        return
    warehouse.execute(
        """
        create or replace temp table years as
        select
            * replace (iso(birth_date) as birth_date, iso(death_date) as death_date),
            row_number() over (
                partition by person_id, year order by source_file desc, row_number desc
            ) as place
        from intake.raw_beneficiary
        """
    )
    set_aside(
        warehouse,
        adapted,
        "select source_file, $reason, count(*) from years where place > 1 group by all",
        "replaced by a later record of the same person and year",
    )
    warehouse.execute(
        """
        insert into intake.persons by name
        select
            person_id,
            -- Files without birth dates have the age: the youngest person of that age was born on 31 December.
            coalesce(
                arg_max(birth_date, year),
                cast(max(try_cast(year as integer) - try_cast(age as integer)) as varchar) || '-12-31'
            ) as birth_date,
            arg_max(sex, year) as sex,
            max(death_date) as death_date,
            arg_max(source_file, year) as source_file,
            arg_max(row_number, year) as row_number
        from (select * replace (coalesce(year, '') as year) from years where place = 1)
        group by person_id
        """
    )
    ((dated,),) = warehouse.rows("select count(birth_date) from intake.raw_beneficiary")
    if not dated:
        adapted.notes.append(
            "birth dates are not in the beneficiary file: 31 December of the year that the age gives stands for them, "
            "so that nobody counts as older than they are"
        )
    # Buy-in: 1 Part A, 2 Part B, 3 both; A, B, C the same with the state paying. HMO: 0 and 4 fee for service.
    warehouse.execute(
        f"""
        insert into intake.enrollment by name
        with months as (
            select
                person_id, year, source_file, row_number,
                unnest([{_list("buy_in", MONTHS)}]) as buy_in,
                unnest([{_list("hmo", MONTHS)}]) as hmo,
                unnest([{_list("dual", MONTHS)}]) as dual,
                unnest(range(1, {MONTHS + 1})) as month
            from years
            where place = 1
        )
        select
            person_id,
            year || '-' || lpad(cast(month as varchar), 2, '0') as month,
            cast(buy_in in ('1', '3', 'A', 'C') as varchar) as part_a,
            cast(buy_in in ('2', '3', 'B', 'C') as varchar) as part_b,
            cast(coalesce(hmo, '0') in ('0', '4') as varchar) as ffs,
            cast(coalesce(hmo, '0') not in ('0', '4') as varchar) as ma,
            case when length(dual) = 1 then '0' || dual else dual end as dual_code,
            source_file || '{PART}month ' || month as source_file,
            row_number
        from months
        where buy_in is not null
        """  # noqa: S608
    )
    warehouse.execute("drop table years")


def add_history(warehouse: Warehouse, adapted: Adapted, files: Sequence[str]) -> None:
    """intake.history_diagnoses and intake.history_procedures from the raw tables of outpatient and professional claims."""
    define_dates(warehouse)
    for name in files:
        warehouse.execute(
            f"""
            create or replace temp table other_claims as
            select
                * replace (iso(service_date) as service_date),
                case
                    when claim_type in ('71', '72') or (claim_type is null and carrier is not null) then 'professional'
                    when claim_type = '40' or claim_type is null then 'outpatient'
                end as source
            from intake.raw_{name}
            """  # noqa: S608
        )
        set_aside(
            warehouse,
            adapted,
            "select source_file, $reason, count(*) from other_claims where source is null group by all",
            "neither an outpatient nor a professional claim",
        )
        warehouse.execute(
            f"""
            create or replace temp table wide_history as
            with listed as (
                select
                    *,
                    [principal, {_list("diagnosis", DIAGNOSES)}, line_diagnosis] as codes,
                    [version_1, {_list("version", DIAGNOSES)}, version_1] as versions
                from other_claims
                where source is not null
            ),
            unpacked as (
                select
                    person_id, service_date, source, source_file, row_number, codes, versions,
                    unnest(codes) as code, generate_subscripts(codes, 1) as position
                from listed
            )
            select
                person_id, service_date, code, source,
                source_file || '{PART}' || case
                    when position = 1 then 'principal diagnosis'
                    when position <= {DIAGNOSES + 1} then 'diagnosis ' || (position - 1)
                    else 'line diagnosis'
                end as source_file,
                row_number,
                coalesce(versions[position] = '9', service_date < '{ICD10_BEGINS}', false) as is_icd9
            from unpacked
            where code is not null and list_position(codes, code) = position
            """  # noqa: S608
        )
        insert_codes(warehouse, adapted, "history_diagnoses", "wide_history")
        warehouse.execute(
            f"""
            create or replace temp table wide_history as
            with unpacked as (
                select
                    person_id, service_date, source, source_file, row_number,
                    unnest([{_list("procedure", PROCEDURES)}]) as code,
                    unnest([{_list("procedure_date", PROCEDURES)}]) as procedure_date,
                    unnest(range(1, {PROCEDURES + 1})) as position
                from other_claims
                where source is not null
            )
            select
                person_id, coalesce(iso(procedure_date), service_date) as service_date, code, source,
                source_file || '{PART}procedure ' || position as source_file,
                row_number,
                coalesce(service_date < '{ICD10_BEGINS}', false) as is_icd9
            from unpacked
            where code is not null
            """  # noqa: S608
        )
        insert_codes(warehouse, adapted, "history_procedures", "wide_history")
        warehouse.execute("drop table other_claims")
