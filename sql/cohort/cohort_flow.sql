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

-- The reasons of a stay as one number, a bit for each: few combinations occur.
combinations as (
    select
        all_reasons.program_year,
        all_reasons.measure,
        all_reasons.stay_key,
        bit_or(1 << reason_codes.position) as combination
    from all_reasons
    inner join reference.reason_codes using (reason)
    group by all_reasons.program_year, all_reasons.measure, all_reasons.stay_key
),

occurring as (
    select distinct combination
    from combinations
),

-- Each combination is written out once, in the order of the reasons.
written_out as (
    select
        occurring.combination,
        list(reason_codes.reason order by reason_codes.position) as reasons
    from occurring
    inner join reference.reason_codes on occurring.combination & (1 << reason_codes.position) <> 0
    group by occurring.combination
)

select
    period_stays.program_year,
    period_stays.measure,
    period_stays.stay_id,
    period_stays.ccn,
    written_out.reasons is null as included,
    written_out.reasons[1] as first_reason,
    coalesce(written_out.reasons, []) as reasons,
    period_stays.stay_key
from cohort.period_stays
left join combinations using (program_year, measure, stay_key)
left join written_out on combinations.combination = written_out.combination
order by period_stays.program_year, period_stays.measure, period_stays.stay_key
