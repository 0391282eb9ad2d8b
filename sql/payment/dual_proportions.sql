-- The dual proportion of every hospital and program year: of its fee-for-service and Medicare Advantage stays in the applicable
-- period, the share of patients with full Medicaid benefits in the month of discharge. Without dual status codes in the extract it
-- is the figure of the hospitals file, and the stays are still counted.
with

dual_months as (
    select
        enrollment.person_key,
        enrollment.first_month,
        enrollment.last_month
    from staging.enrollment
    inner join reference.dual_status_codes on enrollment.dual_code = dual_status_codes.code
    where dual_status_codes.is_full_benefit
),

-- For patients who die in the month of discharge the previous month counts, from FY2021.
status_months as (
    select
        program_year,
        ccn,
        stay_key,
        person_key,
        case
            when
                program_year >= $dual_previous_month_from
                and (
                    ended = 'died'
                    or month_of(death_date) = month_of(discharge_date)
                )
                then month_of(discharge_date) - 1
            else month_of(discharge_date)
        end as month_number
    from payment.period_discharges
),

counted as (
    select
        status_months.program_year,
        status_months.ccn,
        count(dual_months.person_key) as dual_stays,
        count(*) as stays
    from status_months
    left join dual_months
        on
            status_months.person_key = dual_months.person_key
            and status_months.month_number between dual_months.first_month and dual_months.last_month
    group by status_months.program_year, status_months.ccn
),

known as (
    select bool_or(dual_code is not null) as codes_known
    from staging.enrollment
),

-- A hospital of the hospitals file counts even where the extract has no stay of it in the period.
all_hospitals as (
    select
        program_year,
        ccn
    from counted
    union
    select
        run_program_years.program_year,
        hospitals.ccn
    from intake.run_program_years
    cross join staging.hospitals
    where hospitals.dual_proportion is not null
)

select
    all_hospitals.program_year,
    all_hospitals.ccn,
    case when known.codes_known then coalesce(counted.dual_stays, 0) end as dual_stays,
    coalesce(counted.stays, 0) as stays,
    case
        when known.codes_known and counted.stays is not null then counted.dual_stays / counted.stays
        else hospitals.dual_proportion
    end as dual_proportion,
    case
        when known.codes_known and counted.stays is not null then 'stays'
        when hospitals.dual_proportion is not null then 'hospitals file'
        else 'unknown'
    end as basis
from all_hospitals
cross join known
left join counted using (program_year, ccn)
left join staging.hospitals using (ccn)
order by all_hospitals.program_year, all_hospitals.ccn
