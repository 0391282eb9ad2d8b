-- Acute stays that overlap an earlier acute stay of the same person at a different hospital and are no transfer: of the two the
-- later one, in order of admission, discharge and stay id, cannot be used.
with recursive

sound as (
    select
        stay_records.record_key,
        stay_records.person_id,
        stay_records.ccn,
        stay_records.admit_date,
        stay_records.discharge_date,
        stay_records.stay_id
    from staging.stay_records
    inner join staging.persons using (person_id)
    anti join staging.repeated_stays using (record_key)
    where
        stay_records.fault is null
        and (stay_records.is_short_term_acute or stay_records.is_cah)
),

-- Only persons with a stay that begins before an earlier one has ended need to be walked through.
followed as (
    select
        person_id,
        admit_date,
        max(discharge_date) over (
            partition by person_id order by admit_date, discharge_date, stay_id
            rows between unbounded preceding and 1 preceding
        ) as earlier_discharge
    from sound
),

begins_early as (
    select distinct person_id
    from followed
    where admit_date < earlier_discharge
),

numbered as (
    select
        sound.*,
        row_number() over (
            partition by sound.person_id order by sound.admit_date, sound.discharge_date, sound.stay_id
        ) as position
    from sound
    semi join begins_early using (person_id)
),

-- Overlapping stays at different hospitals that are no transfer go to rejects: stay by stay, against the earlier stays kept so far.
walk as (
    select
        record_key,
        person_id,
        position,
        false as is_overlapping,
        [{ 'ccn': ccn, 'discharge_date': discharge_date }] as kept
    from numbered
    where position = 1
    union all
    select
        numbered.record_key,
        numbered.person_id,
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
    inner join numbered on walk.person_id = numbered.person_id and walk.position + 1 = numbered.position
)

select record_key
from walk
where is_overlapping
