-- Judged stays admitted within 30 days after the discharge of an earlier index admission of the same measure and program year.
with

index_stays as (
    select
        period_stays.program_year,
        period_stays.measure,
        period_stays.person_key,
        period_stays.stay_key,
        period_stays.last_discharge_date as discharge_date
    from cohort.period_stays
    inner join cohort.spaced_stays using (program_year, measure, stay_key)
    where spaced_stays.is_index
)

select distinct
    period_stays.program_year,
    period_stays.measure,
    period_stays.stay_key,
    'prior_30_days' as reason
from cohort.period_stays
inner join index_stays
    on
        period_stays.program_year = index_stays.program_year
        and period_stays.measure = index_stays.measure
        and period_stays.person_key = index_stays.person_key
        and period_stays.stay_key > index_stays.stay_key
        and period_stays.admit_date - index_stays.discharge_date between 0 and $prior_index_days
