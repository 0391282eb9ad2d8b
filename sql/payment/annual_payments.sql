-- The annual base operating DRG payments of every hospital: the figure of the hospitals file, else the sum over its
-- fee-for-service stays of the last 12 full months of the extract, brought to a year where the extract is shorter.
with

-- The last month counts when the extract reaches its last day.
window_end as (
    select
        case
            when least(as_of, extract_end) = last_day(least(as_of, extract_end))
                then cast(least(as_of, extract_end) + interval 1 day as date)
            else cast(date_trunc('month', least(as_of, extract_end)) as date)
        end as end_date
    from intake.run
),

-- The first month of the extract counts from its first full month on.
extract_start as (
    select cast(date_trunc('month', min(discharge_date)) as date) as first_month
    from cohort.stays
),

months as (
    select
        window_end.end_date,
        greatest(
            cast(window_end.end_date - to_months($annual_payment_months) as date),
            extract_start.first_month
        ) as start_date
    from window_end
    cross join extract_start
),

payments as (
    select
        stays.ccn,
        cast(sum(cast(stays.base_operating_drg_amount as decimal(18, 4))) as double)
        * 12
        / any_value(date_diff('month', months.start_date, months.end_date)) as annual_payments
    from cohort.stays
    inner join months on stays.discharge_date >= months.start_date and stays.discharge_date < months.end_date
    where
        stays.is_index_hospital
        -- Where the extract names no payer at all, every stay counts as fee for service.
        and coalesce(stays.payer, 'FFS') = 'FFS'
    group by stays.ccn
),

all_hospitals as (
    select ccn
    from staging.hospitals
    union
    select ccn
    from cohort.stays
    where is_index_hospital
)

select
    all_hospitals.ccn,
    coalesce(hospitals.annual_base_operating_payments, payments.annual_payments) as annual_base_operating_payments,
    case
        when hospitals.annual_base_operating_payments is not null then 'hospitals file'
        when payments.annual_payments is not null then 'stays'
        else 'unknown'
    end as basis
from all_hospitals
left join staging.hospitals using (ccn)
left join payments using (ccn)
order by all_hospitals.ccn
