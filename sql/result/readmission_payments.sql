-- What a hospital was paid for unplanned readmissions to itself after its own index admissions, under fee for service, by measure and
-- program year: the total payment where the extract has it, else the base operating DRG amount. Returns to other hospitals are paid there.
with

returns as (
    select
        index_admissions.program_year,
        index_admissions.measure,
        index_admissions.ccn,
        readmissions.readmission_stay_key,
        readmissions.readmission_ccn = index_admissions.ccn as to_same_hospital,
        readmissions.readmission_ccn = index_admissions.ccn and coalesce(stays.payer, 'FFS') = 'FFS' as is_paid_here
    from cohort.readmissions
    inner join cohort.index_admissions using (program_year, measure, stay_key)
    inner join cohort.stays on readmissions.readmission_stay_key = stays.stay_key
    where readmissions.unplanned_readmission
),

-- A merged stay was paid in its parts.
payments as (
    select
        stay_parts.stay_key,
        sum(coalesce(stays.total_paid, stays.base_operating_drg_amount) order by stay_parts.part_key) as payment
    from cohort.stay_parts
    inner join staging.stays on stay_parts.part_key = stays.stay_key
    group by stay_parts.stay_key
)

select
    returns.program_year,
    returns.measure,
    returns.ccn,
    count(*) as readmissions,
    count(*) filter (returns.to_same_hospital) as to_same_hospital,
    count(payments.payment) filter (returns.is_paid_here) as paid_here,
    sum(payments.payment order by returns.readmission_stay_key) filter (returns.is_paid_here) as payments_here
from returns
left join payments on returns.readmission_stay_key = payments.stay_key
group by returns.program_year, returns.measure, returns.ccn
order by returns.program_year, returns.measure, returns.ccn
