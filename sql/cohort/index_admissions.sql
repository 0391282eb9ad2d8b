-- The index admissions: the included stays of each measure and program year. The discharge date is the day that the 30 days are
-- counted from: for CABG the final discharge of the transfer chain.
-- watch: index_admissions = count(*)
select
    period_stays.program_year,
    period_stays.measure,
    period_stays.stay_id,
    persons.person_id,
    period_stays.ccn,
    period_stays.admit_date,
    period_stays.last_discharge_date as discharge_date,
    period_stays.stay_key,
    period_stays.person_key,
    period_stays.last_stay_key
from cohort.period_stays
inner join cohort.cohort_flow using (program_year, measure, stay_key)
inner join staging.persons using (person_key)
where cohort_flow.included
order by period_stays.program_year, period_stays.measure, period_stays.stay_key
