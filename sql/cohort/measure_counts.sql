-- How many stays of each hospital and measure were judged, how many are index admissions, and how many each rule excluded first:
-- the counts of a measure and hospital add up to the judged stays.
with

hospitals as (
    select
        program_year,
        measure,
        ccn,
        count(*) as candidates
    from cohort.cohort_flow
    group by program_year, measure, ccn
)

select
    cohort_flow.program_year,
    cohort_flow.measure,
    cohort_flow.ccn,
    hospitals.candidates,
    coalesce(cohort_flow.first_reason, 'included') as first_reason,
    count(*) as stays
from cohort.cohort_flow
inner join hospitals using (program_year, measure, ccn)
group by all
order by all
