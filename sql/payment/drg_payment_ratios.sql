-- The DRG payment ratio of every hospital and measure: base operating DRG payments of the measure's index admissions over those of all
-- its stays in the applicable period, fee for service only. Without payments in the extract it is unknown.
with

fee_for_service as (
    select *
    from payment.period_discharges
    where coalesce(payer, 'FFS') = 'FFS'
),

all_payments as (
    select
        program_year,
        ccn,
        cast(sum(cast(base_operating_drg_amount as decimal(18, 4))) as double) as all_payments
    from fee_for_service
    group by program_year, ccn
),

measure_payments as (
    select
        index_admissions.program_year,
        index_admissions.ccn,
        index_admissions.measure,
        cast(sum(cast(fee_for_service.base_operating_drg_amount as decimal(18, 4))) as double) as measure_payments
    from cohort.index_admissions
    inner join fee_for_service using (program_year, stay_key)
    group by index_admissions.program_year, index_admissions.ccn, index_admissions.measure
)

select
    all_payments.program_year,
    all_payments.ccn,
    measures.measure,
    case when all_payments.all_payments is not null then coalesce(measure_payments.measure_payments, 0) end
        as measure_payments,
    all_payments.all_payments,
    case
        when all_payments.all_payments > 0
            then coalesce(measure_payments.measure_payments, 0) / all_payments.all_payments
    end as drg_payment_ratio,
    case when all_payments.all_payments > 0 then 'stays' else 'unknown' end as basis
from all_payments
cross join reference.measures
left join measure_payments using (program_year, ccn, measure)
order by all_payments.program_year, all_payments.ccn, measures.report_order
