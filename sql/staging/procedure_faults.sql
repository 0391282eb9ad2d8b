-- The procedure records that cannot be used, each with the first fault found: faults of form, no usable stay to belong to, a line
-- that stands there already.
with

-- Read afresh wherever it is used: kept whole it would not fit into memory for a nation's stays.
typed as not materialized (
    select
        source_file,
        row_number,
        stay_id,
        sequence as sequence_text,
        try_cast(sequence as integer) as sequence,
        upper(replace(code, '.', '')) as code,
        cast(procedure_date as varchar) as date_text,
        as_date(procedure_date) as procedure_date
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

-- Most records are sound, of a usable stay, and stand there once, so that no other has their fingerprint; only the others need a
-- closer look.
suspects as (
    select hash(records.stay_id, records.sequence, records.code, records.procedure_date) as fingerprint
    from records
    left join staging.stays using (stay_id)
    group by fingerprint
    having
        count(*) > 1
        or bool_or(records.fault is not null or stays.stay_id is null)
),

looked_at as materialized (
    select records.*
    from records
    semi join suspects
        on hash(records.stay_id, records.sequence, records.code, records.procedure_date) = suspects.fingerprint
),

-- The stays that could not be used, and whether that is only because they stand there already.
rejected_stays as (
    select
        stay_id,
        bool_and(reason = 'duplicate') as is_repeated
    from staging.stay_faults
    group by stay_id
),

-- A procedure of a stay that is not in the file, or of a stay that could not be used, belongs to nothing.
stay_faults as (
    select
        looked_at.source_file,
        looked_at.row_number,
        case
            when rejected_stays.is_repeated is null then 'stay not in stays'
            when rejected_stays.is_repeated then 'duplicate'
            else 'stay rejected'
        end as reason
    from looked_at
    anti join staging.stays using (stay_id)
    left join rejected_stays using (stay_id)
    where looked_at.fault is null
),

repeated as (
    select
        looked_at.source_file,
        looked_at.row_number
    from looked_at
    semi join staging.stays using (stay_id)
    where looked_at.fault is null
    qualify
        row_number() over (
            partition by looked_at.stay_id, looked_at.sequence, looked_at.code, looked_at.procedure_date
            order by looked_at.source_file, looked_at.row_number
        ) > 1
)

select
    source_file,
    row_number,
    fault[1] as column_name,
    fault[2] as value_class,
    fault[3] as reason
from looked_at
where fault is not null
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
