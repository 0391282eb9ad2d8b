-- Every stay that meets a measure's clinical definition and is discharged within the applicable period: included or not, the first
-- rule that excludes it, and all of them in their order.
-- watch: stays = count(*)
-- watch: included = count(*) filter (included)
with

all_reasons as (
    select * from cohort.exclusions
    union all
    select * from cohort.prior_index_exclusions
),

reasons_by_stay as (
    select
        all_reasons.program_year,
        all_reasons.measure,
        all_reasons.stay_key,
        list(all_reasons.reason order by reason_codes.position) as reasons
    from all_reasons
    inner join reference.reason_codes using (reason)
    group by all_reasons.program_year, all_reasons.measure, all_reasons.stay_key
)

select
    period_stays.program_year,
    period_stays.measure,
    period_stays.stay_id,
    period_stays.ccn,
    reasons_by_stay.reasons is null as included,
    reasons_by_stay.reasons[1] as first_reason,
    coalesce(reasons_by_stay.reasons, []) as reasons,
    period_stays.stay_key
from cohort.period_stays
left join reasons_by_stay using (program_year, measure, stay_key)
order by period_stays.program_year, period_stays.measure, period_stays.stay_key
