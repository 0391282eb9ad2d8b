-- Every record of the stays file, with what decides whether it can be used: person, hospital and days, and the first fault of form that
-- it has (null where it has none): a value that is missing, is not of its kind, or contradicts another value of the same record.
with

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
        nullif(upper(trim(payer)), '') as payer,
        nullif(trim(is_short_term_acute), '') as short_term_acute_text,
        nullif(trim(is_cah), '') as cah_text,
        nullif(trim(base_operating_drg_amount), '') as base_amount_text,
        nullif(trim(total_paid), '') as total_paid_text
    from intake.stays
),

-- Dates are ISO dates (2025-06-30); a time of day behind the date is left out.
typed as (
    select
        *,
        case when admit_text like '____-__-__%' then try_cast(admit_text as date) end as admit_date,
        case when discharge_text like '____-__-__%' then try_cast(discharge_text as date) end as discharge_date,
        as_flag(short_term_acute_text) as given_short_term_acute,
        as_flag(cah_text) as given_cah,
        try_cast(base_amount_text as double) as base_operating_drg_amount,
        try_cast(total_paid_text as double) as total_paid
    from texts
),

-- Hospitals that merged or changed numbers count under the number of today, before anything else. Each number is looked at once.
numbers as (
    select
        reported.ccn as reported_ccn,
        today.ccn,
        today.is_short_term_acute,
        today.is_cah,
        case
            when length(reported.ccn) > 6
                then ['ccn', 'too long', 'not a certification number']
            when length(reported.ccn) < 6
                then ['ccn', 'too short', 'not a certification number']
            when not regexp_full_match(reported.ccn, $ccn_pattern)
                then ['ccn', 'unknown code', 'not a certification number']
        end as fault
    from staging.facilities as reported
    left join staging.hospital_successors on reported.ccn = hospital_successors.reported_ccn
    inner join staging.facilities as today on coalesce(hospital_successors.ccn, reported.ccn) = today.ccn
)

select
    (file_numbers.file_number << 40) + typed.row_number as record_key,
    persons.person_key,
    numbers.ccn,
    typed.admit_date,
    typed.discharge_date,
    coalesce(typed.given_short_term_acute, numbers.is_short_term_acute) as is_short_term_acute,
    coalesce(typed.given_cah, numbers.is_cah) as is_cah,
    typed.base_operating_drg_amount,
    typed.total_paid,
    case
        when typed.stay_id is null then ['stay_id', 'blank', 'missing']
        when typed.person_id is null then ['person_id', 'blank', 'missing']
        when typed.reported_ccn is null then ['ccn', 'blank', 'missing']
        when numbers.fault is not null then numbers.fault
        when typed.admit_text is null then ['admit_date', 'blank', 'missing']
        when typed.admit_date is null and regexp_full_match(typed.admit_text, '[0-9]{4}-[0-9]{2}-[0-9]{2}.*')
            then ['admit_date', 'impossible date', 'not a date']
        when typed.admit_date is null then ['admit_date', 'text', 'not a date']
        when typed.discharge_text is null then ['discharge_date', 'blank', 'missing']
        when typed.discharge_date is null and regexp_full_match(typed.discharge_text, '[0-9]{4}-[0-9]{2}-[0-9]{2}.*')
            then ['discharge_date', 'impossible date', 'not a date']
        when typed.discharge_date is null
            then ['discharge_date', 'text', 'not a date']
        when typed.discharge_date < typed.admit_date
            then ['discharge_date', 'impossible date', 'before the admission date']
        when typed.discharge_status is null
            then ['discharge_status', 'blank', 'missing']
        when discharge_status_codes.code is null
            then ['discharge_status', 'unknown code', 'no such status']
        when typed.payer not in ('FFS', 'MA', 'OTHER')
            then ['payer', 'unknown code', 'not FFS, MA or other']
        when typed.short_term_acute_text is not null and typed.given_short_term_acute is null
            then ['is_short_term_acute', 'text', 'not true or false']
        when typed.cah_text is not null and typed.given_cah is null
            then ['is_cah', 'text', 'not true or false']
        when typed.base_amount_text is not null and typed.base_operating_drg_amount is null
            then ['base_operating_drg_amount', 'text', 'not a number']
        when typed.base_operating_drg_amount < 0 or not isfinite(typed.base_operating_drg_amount)
            then ['base_operating_drg_amount', 'number out of range', 'not an amount']
        when typed.total_paid_text is not null and typed.total_paid is null
            then ['total_paid', 'text', 'not a number']
        when not isfinite(typed.total_paid)
            then ['total_paid', 'number out of range', 'not an amount']
        when persons.person_key is null
            then ['person_id', 'unknown code', 'person not in persons']
    end as fault
from typed
inner join staging.file_numbers using (source_file)
left join staging.persons on typed.person_id = persons.person_id
left join numbers on typed.reported_ccn = numbers.reported_ccn
left join reference.discharge_status_codes on typed.discharge_status = discharge_status_codes.code
