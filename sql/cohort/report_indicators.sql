-- The inclusion indicator of every judged stay as CMS's Hospital-Specific Report prints it: 0 for an index admission, else the numbers
-- of its reasons in ascending order. A reason whose number is not known leaves no number.
with

numbered as (
    select distinct
        flow.program_year,
        flow.measure,
        flow.stay_key,
        reason_codes.hsr_code
    from (
        select
            program_year,
            measure,
            stay_key,
            unnest(reasons) as reason
        from cohort.cohort_flow
    ) as flow
    inner join reference.reason_codes using (reason)
    where reason_codes.hsr_code is not null
),

joined as (
    select
        program_year,
        measure,
        stay_key,
        string_agg(hsr_code, ',' order by hsr_code) as indicator
    from numbered
    group by program_year, measure, stay_key
)

select
    cohort_flow.program_year,
    cohort_flow.measure,
    cohort_flow.stay_id,
    case when cohort_flow.included then '0' else joined.indicator end as indicator,
    cohort_flow.stay_key
from cohort.cohort_flow
left join joined using (program_year, measure, stay_key)
order by cohort_flow.program_year, cohort_flow.measure, cohort_flow.stay_key
