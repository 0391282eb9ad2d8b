-- The first return after every index admission that has one. The first candidate decides: if it was planned the outcome is 0 and no
-- later stay counts; otherwise it is an unplanned readmission.
-- watch: returns = count(*)
-- watch: unplanned = count(*) filter (unplanned_readmission)
with

candidates as (
    select
        index_admissions.program_year,
        index_admissions.measure,
        index_admissions.stay_id,
        index_admissions.stay_key,
        return_candidates.stay_key as readmission_stay_key,
        return_candidates.days,
        return_candidates.position,
        return_candidates.has_covid and program_years.covid_rule = 'excluded' as covid_19
    from cohort.index_admissions
    inner join reference.program_years using (program_year)
    inner join cohort.return_candidates using (last_stay_key)
),

-- COVID-19 rule: a first return with COVID-19 is not counted; whether a later one without it may then count is a parameter.
first_returns as (
    select *
    from candidates
    qualify
        row_number() over (
            partition by program_year, measure, stay_key
            order by covid_19 and $later_return_after_covid, position
        ) = 1
)

select
    first_returns.program_year,
    first_returns.measure,
    first_returns.stay_id,
    stays.stay_id as readmission_stay_id,
    first_returns.days,
    planned_stays.planned,
    not planned_stays.planned and not first_returns.covid_19 as unplanned_readmission,
    first_returns.covid_19,
    planned_stays.planned_by,
    stays.ccn as readmission_ccn,
    first_returns.stay_key,
    first_returns.readmission_stay_key
from first_returns
inner join staging.stays on first_returns.readmission_stay_key = stays.stay_key
inner join cohort.planned_stays on first_returns.readmission_stay_key = planned_stays.stay_key
order by first_returns.program_year, first_returns.measure, first_returns.stay_key
