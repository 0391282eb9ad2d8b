-- The procedure records that cannot be used, each with the first fault found: faults of form, no usable stay to belong to, a line
-- that stands there already.
with

-- Read afresh wherever it is used: kept whole it would not fit into memory for a nation's stays.
typed as not materialized (
    select
        source_file,
        row_number,
        nullif(trim(stay_id), '') as stay_id,
        nullif(trim(sequence), '') as sequence_text,
        try_cast(trim(sequence) as integer) as sequence,
        upper(replace(trim(code), '.', '')) as code,
        nullif(trim(procedure_date), '') as date_text,
        case when trim(procedure_date) like '____-__-__%' then try_cast(trim(procedure_date) as date) end as procedure_date
    from intake.procedures
),

records as not materialized (
    select
        *,
        case
            when stay_id is null then ['stay_id', 'blank', 'missing']
            when sequence_text is null then ['sequence', 'blank', 'missing']
            when sequence is null then ['sequence', 'text', 'not a number']
            when sequence < 1
                then ['sequence', 'number out of range', 'not a place']
            when coalesce(code, '') = '' then ['code', 'blank', 'missing']
            when length(code) > 7
                then ['code', 'too long', 'not a procedure code']
            when length(code) < 3
                then ['code', 'too short', 'not a procedure code']
            when not regexp_full_match(code, '[0-9A-Z]+')
                then ['code', 'text', 'not a procedure code']
            when procedure_date is null and regexp_full_match(date_text, '[0-9]{4}-[0-9]{2}-[0-9]{2}.*')
                then ['procedure_date', 'impossible date', 'not a date']
            when date_text is not null and procedure_date is null
                then ['procedure_date', 'text', 'not a date']
        end as fault
    from typed
),

-- The stays that could not be used, and whether that is only because they stand there already.
rejected_stays as (
    select
        stay_id,
        bool_and(reason = 'duplicate') as is_repeated
    from staging.stay_faults
    group by stay_id
),

form_faults as materialized (
    select
        source_file,
        row_number,
        fault
    from records
    where fault is not null
),

-- A procedure of a stay that is not in the file, or of a stay that could not be used, belongs to nothing.
stay_faults as materialized (
    select
        typed.source_file,
        typed.row_number,
        case
            when rejected_stays.is_repeated is null then 'stay not in stays'
            when rejected_stays.is_repeated then 'duplicate'
            else 'stay rejected'
        end as reason
    from typed
    anti join staging.stays using (stay_id)
    anti join form_faults using (source_file, row_number)
    left join rejected_stays using (stay_id)
),

repeated as (
    select
        source_file,
        row_number
    from records
    where fault is null
    qualify
        row_number() over (
            partition by stay_id, sequence, code, procedure_date
            order by source_file, row_number
        ) > 1
)

select
    source_file,
    row_number,
    fault[1] as column_name,
    fault[2] as value_class,
    fault[3] as reason
from form_faults
union all
select
    source_file,
    row_number,
    'stay_id' as column_name,
    'unknown code' as value_class,
    reason
from stay_faults
union all
select
    source_file,
    row_number,
    'sequence' as column_name,
    'copy' as value_class,
    'duplicate' as reason
from repeated
anti join stay_faults using (source_file, row_number)
