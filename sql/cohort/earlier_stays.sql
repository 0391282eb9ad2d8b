-- The history of every judged stay: the person's earlier stays discharged in the year before its admission (an earlier stay that ends
-- on the day of admission counts), and the earlier stays of its transfer chain.
with

judged as (
    select distinct
        stay_key,
        person_key,
        admit_date
    from cohort.period_stays
),

in_the_year_before as (
    select
        judged.stay_key,
        earlier.stay_key as earlier_stay_key
    from judged
    inner join cohort.stays as earlier
        on
            judged.person_key = earlier.person_key
            and judged.stay_key > earlier.stay_key
            and earlier.discharge_date between judged.admit_date - $lookback_days::integer and judged.admit_date
),

earlier_in_chain as (
    select
        judged.stay_key,
        transfer_chains.stay_key as earlier_stay_key
    from judged
    inner join cohort.transfer_chains on judged.stay_key = transfer_chains.later_stay_key
),

history as (
    select * from in_the_year_before
    union
    select * from earlier_in_chain
)

select
    stay_key,
    earlier_stay_key
from history
order by stay_key, earlier_stay_key
