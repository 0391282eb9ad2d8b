-- Acute stays that overlap an earlier acute stay of the same person at a different hospital and are no transfer: of the two the
-- later one, in order of admission, discharge and stay id, cannot be used.
with recursive

sound as (
    select
        stay_records.record_key,
        stay_records.person_key,
        stay_records.ccn,
        stay_records.admit_date,
        stay_records.discharge_date
    from staging.stay_records
    anti join staging.repeated_stays using (record_key)
    where
        stay_records.fault is null
        and (stay_records.is_short_term_acute or stay_records.is_cah)
),

-- Only persons with a stay that begins before the one before it has ended need to be walked through.
followed as (
    select
        person_key,
        admit_date < lag(discharge_date) over (partition by person_key order by admit_date) as begins_early
    from sound
),

overlapping as (
    select distinct person_key
    from followed
    where begins_early
),

looked_at as (
    select sound.*
    from sound
    semi join overlapping using (person_key)
),

ids as (
    select
        (file_numbers.file_number << 40) + stays.row_number as record_key,
        trim(stays.stay_id) as stay_id
    from intake.stays
    inner join staging.file_numbers using (source_file)
),

numbered as (
    select
        looked_at.*,
        row_number() over (
            partition by looked_at.person_key
            order by looked_at.admit_date, looked_at.discharge_date, ids.stay_id
        ) as position
    from looked_at
    inner join ids using (record_key)
),

-- Overlapping stays at different hospitals that are no transfer go to rejects: stay by stay, against the earlier stays kept so far.
walk as (
    select
        record_key,
        person_key,
        position,
        false as is_overlapping,
        [{ 'ccn': ccn, 'discharge_date': discharge_date }] as kept
    from numbered
    where position = 1
    union all
    select
        numbered.record_key,
        numbered.person_key,
        numbered.position,
        len(
            list_filter(
                walk.kept,
                lambda earlier: earlier['ccn'] <> numbered.ccn and numbered.admit_date < earlier['discharge_date']
            )
        ) > 0 as is_overlapping,
        case
            when
                len(
                    list_filter(
                        walk.kept,
                        lambda earlier: earlier['ccn'] <> numbered.ccn and numbered.admit_date < earlier['discharge_date']
                    )
                ) > 0
                then walk.kept
            else list_append(walk.kept, { 'ccn': numbered.ccn, 'discharge_date': numbered.discharge_date })
        end as kept
    from walk
    inner join numbered on walk.person_key = numbered.person_key and walk.position + 1 = numbered.position
)

select record_key
from walk
where is_overlapping
