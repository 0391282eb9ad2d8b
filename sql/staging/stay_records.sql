-- Every record of the stays file with its values typed and normalised, and the first fault of form that it has (null where it has
-- none): a value that is missing, is not of its kind, or contradicts another value of the same record.
with

-- Files in the order of their names, records in the order of the file: the smaller key is the earlier record.
files as (
    select
        source_file,
        row_number() over (order by source_file) as file_number
    from intake.stays
    group by source_file
),

texts as (
    select
        source_file,
        row_number,
        nullif(trim(stay_id), '') as stay_id,
        nullif(trim(person_id), '') as person_id,
        nullif(upper(trim(ccn)), '') as reported_ccn,
        nullif(trim(admit_date), '') as admit_text,
        nullif(trim(discharge_date), '') as discharge_text,
        case
            when length(trim(discharge_status)) = 1 then '0' || trim(discharge_status)
            else nullif(trim(discharge_status), '')
        end as discharge_status,
        nullif(trim(admit_type), '') as admit_type,
        nullif(trim(admit_source), '') as admit_source,
        nullif(trim(drg), '') as drg,
        nullif(upper(trim(payer)), '') as payer,
        nullif(trim(is_short_term_acute), '') as short_term_acute_text,
        nullif(trim(is_cah), '') as cah_text,
        nullif(trim(base_operating_drg_amount), '') as base_amount_text,
        nullif(trim(total_paid), '') as total_paid_text,
        nullif(trim(medical_record_number), '') as medical_record_number
    from intake.stays
),

-- Dates are ISO dates (2025-06-30); a time of day behind the date is left out.
typed as (
    select
        *,
        case when admit_text like '____-__-__%' then try_cast(admit_text as date) end as admit_date,
        case when discharge_text like '____-__-__%' then try_cast(discharge_text as date) end as discharge_date,
        try_cast(short_term_acute_text as boolean) as given_short_term_acute,
        try_cast(cah_text as boolean) as given_cah,
        try_cast(base_amount_text as double) as base_operating_drg_amount,
        try_cast(total_paid_text as double) as total_paid
    from texts
),

-- Hospitals that merged or changed numbers count under the number of today, before anything else.
at_hospitals as (
    select
        typed.*,
        coalesce(hospital_successors.ccn, typed.reported_ccn) as ccn,
        coalesce(typed.given_short_term_acute, facilities.is_short_term_acute) as is_short_term_acute,
        coalesce(typed.given_cah, facilities.is_cah) as is_cah,
        discharge_status_codes.code is not null as status_is_known
    from typed
    left join staging.hospital_successors using (reported_ccn)
    left join staging.facilities on coalesce(hospital_successors.ccn, typed.reported_ccn) = facilities.ccn
    left join reference.discharge_status_codes on typed.discharge_status = discharge_status_codes.code
)

select
    (files.file_number << 40) + at_hospitals.row_number as record_key,
    source_file,
    row_number,
    stay_id,
    person_id,
    ccn,
    reported_ccn,
    admit_date,
    discharge_date,
    discharge_status,
    admit_type,
    admit_source,
    drg,
    case payer when 'OTHER' then 'other' else payer end as payer,
    is_short_term_acute,
    is_cah,
    base_operating_drg_amount,
    total_paid,
    medical_record_number,
    case
        when stay_id is null then ['stay_id', 'blank', 'missing']
        when person_id is null then ['person_id', 'blank', 'missing']
        when reported_ccn is null then ['ccn', 'blank', 'missing']
        when length(reported_ccn) > 6
            then ['ccn', 'too long', 'not a certification number']
        when length(reported_ccn) < 6
            then ['ccn', 'too short', 'not a certification number']
        when not regexp_full_match(reported_ccn, $ccn_pattern)
            then ['ccn', 'unknown code', 'not a certification number']
        when admit_text is null then ['admit_date', 'blank', 'missing']
        when admit_date is null and regexp_full_match(admit_text, '[0-9]{4}-[0-9]{2}-[0-9]{2}.*')
            then ['admit_date', 'impossible date', 'not a date']
        when admit_date is null then ['admit_date', 'text', 'not a date']
        when discharge_text is null then ['discharge_date', 'blank', 'missing']
        when discharge_date is null and regexp_full_match(discharge_text, '[0-9]{4}-[0-9]{2}-[0-9]{2}.*')
            then ['discharge_date', 'impossible date', 'not a date']
        when discharge_date is null
            then ['discharge_date', 'text', 'not a date']
        when discharge_date < admit_date
            then ['discharge_date', 'impossible date', 'before the admission date']
        when discharge_status is null
            then ['discharge_status', 'blank', 'missing']
        when not status_is_known
            then ['discharge_status', 'unknown code', 'no such status']
        when payer not in ('FFS', 'MA', 'OTHER')
            then ['payer', 'unknown code', 'not FFS, MA or other']
        when short_term_acute_text is not null and given_short_term_acute is null
            then ['is_short_term_acute', 'text', 'not true or false']
        when cah_text is not null and given_cah is null
            then ['is_cah', 'text', 'not true or false']
        when base_amount_text is not null and base_operating_drg_amount is null
            then ['base_operating_drg_amount', 'text', 'not a number']
        when base_operating_drg_amount < 0 or not isfinite(base_operating_drg_amount)
            then ['base_operating_drg_amount', 'number out of range', 'not an amount']
        when total_paid_text is not null and total_paid is null
            then ['total_paid', 'text', 'not a number']
        when not isfinite(total_paid)
            then ['total_paid', 'number out of range', 'not an amount']
    end as fault
from at_hospitals
inner join files using (source_file)
