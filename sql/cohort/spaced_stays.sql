-- The 30-day spacing, walked through stay by stay: among the stays that no other rule excludes, one is an index admission unless it was
-- admitted within 30 days after the discharge of an earlier index admission of the same measure and program year. Only an index
-- admission blocks; an excluded stay never does.
with recursive

-- CABG has its own rule: the first in the period.
eligible as (
    select
        period_stays.program_year,
        period_stays.measure,
        period_stays.person_key,
        period_stays.stay_key,
        period_stays.admit_date,
        period_stays.last_discharge_date as discharge_date,
        row_number() over (
            partition by period_stays.program_year, period_stays.measure, period_stays.person_key
            order by period_stays.stay_key
        ) as position
    from cohort.period_stays
    inner join reference.measures using (measure)
    anti join cohort.exclusions using (program_year, measure, stay_key)
    where measures.prior_index_rule = 'not_within_prior_index_days'
),

walk as (
    select
        program_year,
        measure,
        person_key,
        stay_key,
        position,
        true as is_index,
        [discharge_date] as index_discharges
    from eligible
    where position = 1
    union all
    select
        eligible.program_year,
        eligible.measure,
        eligible.person_key,
        eligible.stay_key,
        eligible.position,
        not list_bool_or(
            list_transform(
                walk.index_discharges,
                lambda discharge: eligible.admit_date - discharge between 0 and $prior_index_days
            )
        ) as is_index,
        case
            when
                list_bool_or(
                    list_transform(
                        walk.index_discharges,
                        lambda discharge: eligible.admit_date - discharge between 0 and $prior_index_days
                    )
                )
                then walk.index_discharges
            else list_append(walk.index_discharges, eligible.discharge_date)
        end as index_discharges
    from walk
    inner join eligible
        on
            walk.program_year = eligible.program_year
            and walk.measure = eligible.measure
            and walk.person_key = eligible.person_key
            and walk.position + 1 = eligible.position
)

select
    program_year,
    measure,
    stay_key,
    is_index
from walk
order by program_year, measure, stay_key
