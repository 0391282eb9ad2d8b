-- The payment adjustment factor of every hospital and program year: as the discharges known so far give it, and as a distribution for
-- the end of the applicable period, with its dollars.
-- watch: mean_payment_reduction = avg(payment_reduction_median)
-- watch: penalty_usd = sum(penalty_usd_median)
with

-- To date: the sum of the measures' contributions, at most the cap; unknown where a contribution is unknown.
to_date as (
    select
        hospital_measures.program_year,
        hospital_measures.ccn,
        any_value(hospital_measures.peer_group) as peer_group,
        any_value(hospital_measures.neutrality_modifier) as neutrality_modifier,
        case
            when count(hospital_measures.contribution) = count(*)
                then least(
                    sum(hospital_measures.contribution order by hospital_measures.measure),
                    any_value(program_years.max_reduction)
                )
        end as payment_reduction
    from result.hospital_measures
    inner join reference.program_years using (program_year)
    group by hospital_measures.program_year, hospital_measures.ccn
),

-- At the end of the period: the middle and the 90 % range of the drawn payment reductions, and the chances.
at_end as (
    select
        program_year,
        ccn,
        max(median) filter (where figure = 'reduction') as reduction_median,
        max(low) filter (where figure = 'reduction') as reduction_low,
        max(high) filter (where figure = 'reduction') as reduction_high,
        max(median) filter (where figure = 'chance_of_penalty') as chance_of_penalty,
        max(median) filter (where figure = 'chance_of_cap') as chance_of_cap
    from result.forecasts
    where measure is null
    group by program_year, ccn
),

-- What the hospital itself brings: its name, its payments, whether it is exempt, how much of the period has passed.
known as (
    select
        program_year,
        ccn,
        any_value(share_of_period) as share_of_period,
        any_value(dual_proportion) as dual_proportion,
        any_value(annual_base_operating_payments) as annual_base_operating_payments
    from result.forecast_inputs
    group by program_year, ccn
),

-- An exempt hospital is not in the program: its factor is 1.
reductions as (
    select
        to_date.program_year,
        to_date.ccn,
        hospitals.name,
        hospitals.state,
        coalesce(hospitals.exempt, false) as exempt,
        known.share_of_period,
        known.dual_proportion,
        to_date.peer_group,
        to_date.neutrality_modifier,
        known.annual_base_operating_payments,
        case when coalesce(hospitals.exempt, false) then 0 else to_date.payment_reduction end as payment_reduction,
        case when coalesce(hospitals.exempt, false) then 0 else at_end.reduction_median end as reduction_median,
        case when coalesce(hospitals.exempt, false) then 0 else at_end.reduction_low end as reduction_low,
        case when coalesce(hospitals.exempt, false) then 0 else at_end.reduction_high end as reduction_high,
        case when coalesce(hospitals.exempt, false) then 0 else at_end.chance_of_penalty end as chance_of_penalty,
        case when coalesce(hospitals.exempt, false) then 0 else at_end.chance_of_cap end as chance_of_cap
    from to_date
    inner join at_end using (program_year, ccn)
    inner join known using (program_year, ccn)
    left join staging.hospitals on to_date.ccn = hospitals.ccn
)

select
    reductions.program_year,
    reductions.ccn,
    reductions.name,
    reductions.state,
    reductions.exempt,
    reductions.share_of_period,
    reductions.dual_proportion,
    reductions.peer_group,
    reductions.neutrality_modifier,
    reductions.payment_reduction,
    1 - reductions.payment_reduction as paf,
    reductions.reduction_median as payment_reduction_median,
    reductions.reduction_low as payment_reduction_low,
    reductions.reduction_high as payment_reduction_high,
    1 - reductions.reduction_median as paf_median,
    1 - reductions.reduction_high as paf_low,
    1 - reductions.reduction_low as paf_high,
    reductions.chance_of_penalty,
    reductions.chance_of_cap,
    reductions.annual_base_operating_payments * reductions.payment_reduction as penalty_usd,
    reductions.annual_base_operating_payments * reductions.reduction_median as penalty_usd_median,
    reductions.annual_base_operating_payments * reductions.reduction_low as penalty_usd_low,
    reductions.annual_base_operating_payments * reductions.reduction_high as penalty_usd_high,
    reductions.annual_base_operating_payments
from reductions
order by reductions.program_year, reductions.ccn
