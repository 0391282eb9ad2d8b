-- Whether each candidate return was planned, by the planned readmission algorithm v4.0, and the rule that says so. All procedure
-- lines are searched, of the diagnoses only the principal one.
-- watch: share_planned = avg(planned::integer)
with

candidates as (
    select distinct
        stays.stay_key,
        stays.principal_code
    from cohort.return_candidates
    inner join cohort.stays using (stay_key)
),

candidate_procedures as (
    select
        stay_parts.stay_key,
        planned_codes.list
    from staging.procedures
    inner join cohort.stay_parts on procedures.stay_key = stay_parts.part_key
    semi join candidates on stay_parts.stay_key = candidates.stay_key
    inner join cohort.planned_codes on procedures.code = planned_codes.code and planned_codes.code_system = 'ICD10PCS'
),

procedure_lists as (
    select
        stay_key,
        bool_or(list = 'always_planned_procedure') as always_planned,
        bool_or(list = 'potentially_planned_procedure') as potentially_planned
    from candidate_procedures
    group by stay_key
),

diagnosis_lists as (
    select
        candidates.stay_key,
        bool_or(planned_codes.list = 'always_planned_diagnosis') as always_planned,
        bool_or(planned_codes.list = 'acute_diagnosis') as is_acute
    from candidates
    inner join cohort.planned_codes
        on
            candidates.principal_code = planned_codes.code
            and planned_codes.code_system = 'ICD10CM'
    group by candidates.stay_key
),

ruled as (
    select
        candidates.stay_key,
        case
            -- 1. Any procedure of an always-planned category.
            when procedure_lists.always_planned then 'always_planned_procedure'
            -- 2. Else a principal diagnosis of an always-planned category.
            when diagnosis_lists.always_planned then 'always_planned_diagnosis'
            -- 3. Else any potentially planned procedure where the principal diagnosis is not acute.
            when procedure_lists.potentially_planned and not coalesce(diagnosis_lists.is_acute, false)
                then 'potentially_planned_procedure'
        end as planned_by
    from candidates
    left join procedure_lists using (stay_key)
    left join diagnosis_lists using (stay_key)
)

-- 4. Else unplanned.
select
    stay_key,
    planned_by is not null as planned,
    planned_by
from ruled
order by stay_key
