-- The inclusion indicator of every judged stay as CMS's Hospital-Specific Report prints it: 0 for an index admission, else the numbers
-- of its reasons in ascending order. A reason whose number is not known leaves no number.
with

-- Few combinations of reasons occur; each is written out once.
combinations as (
    select distinct reasons
    from cohort.cohort_flow
),

numbered as (
    select distinct
        single.reasons,
        reason_codes.hsr_code
    from (
        select
            reasons,
            unnest(reasons) as reason
        from combinations
    ) as single
    inner join reference.reason_codes using (reason)
    where reason_codes.hsr_code is not null
),

joined as (
    select
        reasons,
        string_agg(hsr_code, ',' order by hsr_code) as indicator
    from numbered
    group by reasons
)

select
    cohort_flow.program_year,
    cohort_flow.measure,
    cohort_flow.stay_id,
    case when cohort_flow.included then '0' else joined.indicator end as indicator,
    cohort_flow.stay_key
from cohort.cohort_flow
left join joined using (reasons)
order by cohort_flow.program_year, cohort_flow.measure, cohort_flow.stay_key
