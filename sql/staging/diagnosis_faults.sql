-- The diagnosis records that cannot be used, each with the first fault found: faults of form, no usable stay to belong to, a place
-- in the stay's list that is taken already.
-- watch: faults = count(*)
with

-- Read afresh wherever it is used: kept whole it would not fit into memory for a nation's stays.
typed as not materialized (
    select
        source_file,
        row_number,
        stay_id,
        sequence as sequence_text,
        try_cast(sequence as integer) as sequence,
        code as code_text,
        poa as poa_text
    from intake.diagnoses
),

-- In most stays every place of the list is taken once, the codes are sound, and the stay is usable; only the others need a closer
-- look.
crowded as (
    select places.stay_id
    from (
        select
            stay_id,
            count(*) as records,
            bit_count(bit_or(case when sequence >= 1 then 1::ubigint << least(sequence, 63) end)) as places
        from typed
        group by stay_id
    ) as places
    left join staging.stays using (stay_id)
    where
        places.records is distinct from places.places
        or stays.stay_id is null
),

miscoded as (
    select typed.stay_id
    from typed
    semi join (
        select
            code_text,
            poa_text
        from staging.diagnosis_spellings
        where fault is not null
    ) as faulty
        on
            typed.code_text is not distinct from faulty.code_text
            and typed.poa_text is not distinct from faulty.poa_text
),

suspects as (
    select stay_id
    from crowded
    union
    select stay_id
    from miscoded
),

looked_at as (
    select typed.*
    from typed
    semi join suspects on typed.stay_id is not distinct from suspects.stay_id
),

records as materialized (
    select
        looked_at.source_file,
        looked_at.row_number,
        looked_at.stay_id,
        looked_at.sequence,
        diagnosis_spellings.code,
        diagnosis_spellings.poa,
        case
            when looked_at.stay_id is null then ['stay_id', 'blank', 'missing']
            when looked_at.sequence_text is null
                then ['sequence', 'blank', 'missing']
            when looked_at.sequence is null
                then ['sequence', 'text', 'not a number']
            when looked_at.sequence < 1
                then ['sequence', 'number out of range', 'not a place']
            else diagnosis_spellings.fault
        end as fault
    from looked_at
    inner join staging.diagnosis_spellings
        on
            looked_at.code_text is not distinct from diagnosis_spellings.code_text
            and looked_at.poa_text is not distinct from diagnosis_spellings.poa_text
),

-- The stays that could not be used, and whether that is only because they stand there already.
rejected_stays as (
    select
        stay_id,
        bool_and(reason = 'duplicate') as is_repeated
    from staging.stay_faults
    group by stay_id
),

-- A diagnosis of a stay that is not in the file, or of a stay that could not be used, belongs to nothing.
stay_faults as materialized (
    select
        records.source_file,
        records.row_number,
        case
            when rejected_stays.is_repeated is null then 'stay not in stays'
            when rejected_stays.is_repeated then 'duplicate'
            else 'stay rejected'
        end as reason
    from records
    anti join staging.stays using (stay_id)
    left join rejected_stays using (stay_id)
    where records.fault is null
),

repeated as (
    select
        records.source_file,
        records.row_number,
        [records.code, records.poa] = first_value([records.code, records.poa]) over place as is_duplicate
    from records
    semi join staging.stays using (stay_id)
    where records.fault is null
    window
        place as (
            partition by records.stay_id, records.sequence order by records.source_file, records.row_number
        )
    qualify row_number() over place > 1
)

select
    source_file,
    row_number,
    fault[1] as column_name,
    fault[2] as value_class,
    fault[3] as reason
from records
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
    case when is_duplicate then 'duplicate' else 'place taken already' end as reason
from repeated
