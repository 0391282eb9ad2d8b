-- Every stay record known on the as-of date with the stay that it is part of: records of one person at one hospital that touch and
-- have the same principal diagnosis are one stay, which keeps the key of its first part.
with

-- What is discharged after the as-of date is not known yet.
known as not materialized (
    select
        stays.stay_key,
        stays.person_key,
        stays.ccn,
        stays.admit_date,
        stays.discharge_date
    from staging.stays
    inner join intake.run on stays.discharge_date <= run.as_of
),

followed as (
    select
        person_key,
        admit_date <= lag(discharge_date) over (partition by person_key order by stay_key) as touches
    from known
),

-- Only persons with a stay that begins on or before the last day of the one before it need a closer look.
touching as (
    select distinct person_key
    from followed
    where touches
),

looked_at as (
    select known.*
    from known
    semi join touching using (person_key)
),

principal_diagnoses as (
    select
        diagnoses.stay_key,
        diagnosis_codes.code
    from staging.diagnoses
    semi join looked_at using (stay_key)
    inner join staging.diagnosis_codes using (code_key)
    where diagnoses.sequence = 1
),

-- Same principal diagnosis code; with same_measure also two principal diagnoses of one of the measures named.
condition_codes as (
    select
        code,
        min(measure) as condition
    from cohort.code_roles
    where
        role = 'principal_dx'
        and code_system = 'ICD10CM'
        and $merge_adjacent_stays = 'same_measure'
        and list_contains(string_split($same_measure_merge, ' '), measure)
    group by code
),

compared as (
    select
        looked_at.*,
        principal_diagnoses.code as principal_code,
        coalesce(condition_codes.condition, principal_diagnoses.code) as diagnosis,
        lag(looked_at.ccn) over person_order as previous_ccn,
        lag(coalesce(condition_codes.condition, principal_diagnoses.code)) over person_order as previous_diagnosis
    from looked_at
    left join principal_diagnoses using (stay_key)
    left join condition_codes on principal_diagnoses.code = condition_codes.code
    window person_order as (partition by looked_at.person_key order by looked_at.stay_key)
),

-- Only between consecutive stays of the person: a run of stays at one hospital with one diagnosis.
runs as (
    select
        *,
        sum(case when ccn = previous_ccn and diagnosis = previous_diagnosis then 0 else 1 end) over (
            partition by person_key order by stay_key
        ) as run
    from compared
),

-- The second admission lies on, or inside, the first stay's last day; more than two chain together.
starts as (
    select
        *,
        coalesce(
            admit_date > max(discharge_date) over (
                partition by person_key, run order by stay_key rows between unbounded preceding and 1 preceding
            ),
            true
        ) as is_first_part
    from runs
),

numbered as (
    select
        stay_key as part_key,
        max(case when is_first_part then stay_key end) over (
            partition by person_key order by stay_key rows between unbounded preceding and current row
        ) as stay_key,
        is_first_part,
        principal_code
    from starts
),

-- The principal diagnosis of a later part is a secondary diagnosis of the whole stay, unless it repeats the principal diagnosis.
later_parts as (
    select
        part_key,
        stay_key,
        coalesce(principal_code = first_value(principal_code) over (partition by stay_key order by part_key), false)
            as repeats_principal
    from numbered
    qualify not is_first_part
)

-- Every other record is the first, and mostly the only, part of its own stay.
select
    known.stay_key as part_key,
    coalesce(later_parts.stay_key, known.stay_key) as stay_key,
    later_parts.part_key is null as is_first_part,
    coalesce(later_parts.repeats_principal, false) as repeats_principal
from known
left join later_parts on known.stay_key = later_parts.part_key
order by part_key
