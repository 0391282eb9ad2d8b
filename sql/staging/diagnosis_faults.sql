-- The diagnosis records that cannot be used, each with the first fault found: faults of form, no usable stay to belong to, a place
-- in the stay's list that is taken already.
-- watch: faults = count(*)
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
        upper(trim(poa)) as poa
    from intake.diagnoses
),

records as not materialized (
    select
        typed.*,
        case
            when typed.stay_id is null then ['stay_id', 'blank', 'missing']
            when typed.sequence_text is null
                then ['sequence', 'blank', 'missing']
            when typed.sequence is null
                then ['sequence', 'text', 'not a number']
            when typed.sequence < 1
                then ['sequence', 'number out of range', 'not a place']
            when coalesce(typed.code, '') = ''
                then ['code', 'blank', 'missing']
            when length(typed.code) > 7
                then ['code', 'too long', 'not a diagnosis code']
            when length(typed.code) < 3
                then ['code', 'too short', 'not a diagnosis code']
            when not regexp_full_match(typed.code, '[0-9A-Z]+')
                then ['code', 'text', 'not a diagnosis code']
            when typed.poa <> '' and poa_codes.code is null
                then ['poa', 'unknown code', 'no such indicator']
        end as fault
    from typed
    left join reference.poa_codes on typed.poa = poa_codes.code
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

-- A diagnosis of a stay that is not in the file, or of a stay that could not be used, belongs to nothing.
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

-- In most stays every place of the list is taken once; only the others need a closer look.
crowded as (
    select stay_id
    from typed
    where sequence >= 1
    group by stay_id
    having count(*) <> bit_count(bit_or(1::ubigint << least(sequence, 63)))
),

places as (
    select records.*
    from records
    semi join crowded using (stay_id)
    where records.fault is null
),

repeated as (
    select
        source_file,
        row_number,
        [code, poa] = first_value([code, poa]) over place as is_duplicate
    from places
    window place as (partition by stay_id, sequence order by source_file, row_number)
    qualify row_number() over place > 1
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
    case when is_duplicate then 'duplicate' else 'place taken already' end as reason
from repeated
anti join stay_faults using (source_file, row_number)
