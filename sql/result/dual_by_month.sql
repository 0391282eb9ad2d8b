-- The dual proportion of every hospital over the twelve months to each month: how it nears or leaves the cuts of its peer group. A window
-- is shown only as a whole; no single month leaves the working file.
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

-- Stays count in every month once, however many program years they count in. For patients who die in the month of discharge the
-- previous month's status counts.
discharges as (
    select
        ccn,
        stay_key,
        person_key,
        cast(date_trunc('month', discharge_date) as date) as month,
        case
            when ended = 'died' or month_of(death_date) = month_of(discharge_date) then month_of(discharge_date) - 1
            else month_of(discharge_date)
        end as status_month
    from payment.period_discharges
    qualify row_number() over (partition by stay_key order by program_year) = 1
),

months as (
    select
        discharges.ccn,
        discharges.month,
        count(dual_months.person_key) as dual_stays,
        count(*) as stays
    from discharges
    left join dual_months
        on
            discharges.person_key = dual_months.person_key
            and discharges.status_month between dual_months.first_month and dual_months.last_month
    group by discharges.ccn, discharges.month
),

-- Full months of the extract only, and windows that begin with the first of them.
last_month as (
    select date_trunc('month', least(as_of, extract_end) + interval 1 day) - interval 1 month as month
    from intake.run
),

first_month as (
    select min(month) as month
    from months
),

window_ends as (
    select unnest(generate_series(first_month.month + interval 11 months, last_month.month, interval 1 month)) as month
    from first_month
    cross join last_month
),

places as (
    select distinct ccn
    from months
),

known as (
    select coalesce(bool_or(dual_code is not null), false) as codes_known
    from staging.enrollment
)

select
    places.ccn,
    cast(window_ends.month as date) as month,
    cast(sum(months.dual_stays) as bigint) as dual_stays,
    cast(sum(months.stays) as bigint) as stays,
    sum(months.dual_stays) / sum(months.stays) as dual_proportion
from places
cross join window_ends
inner join months
    on
        places.ccn = months.ccn
        and months.month between window_ends.month - interval 11 months and window_ends.month
cross join known
where known.codes_known
group by places.ccn, window_ends.month
order by places.ccn, window_ends.month
