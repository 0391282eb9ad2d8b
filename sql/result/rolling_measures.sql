-- Observed and expected readmissions of every hospital and measure in each twelve months whose outcomes are all known: the trend of the
-- page. A window is shown only as a whole; no single month leaves the working file.
with

-- An index admission that counts in several program years is one admission; the earliest of them scores it.
admissions as (
    select
        measure,
        ccn,
        stay_key,
        cast(date_trunc('month', discharge_date) as date) as month,
        outcome,
        1 / (1 + exp(-linear_predictor)) as risk
    from risk.linear_predictors
    qualify row_number() over (partition by measure, stay_key order by program_year) = 1
),

months as (
    select
        ccn,
        measure,
        month,
        count(*) as index_admissions,
        count(*) filter (outcome) as readmissions,
        sum(risk order by stay_key) as expected_readmissions
    from admissions
    group by ccn, measure, month
),

last_known_day as (
    select
        case $follow_up_through
            when 'as_of' then as_of
            else least(as_of, extract_end)
        end as last_day
    from intake.run
),

first_day as (
    select date_trunc('month', min(start_date)) as day
    from reference.applicable_periods
    semi join intake.run_program_years using (program_year)
),

-- Windows begin with the first applicable period of this run and end where the follow-up of the month's last discharge is over.
last_month as (
    select cast(last_day - $outcome_days::integer - interval 1 month + interval 1 day as date) as day
    from last_known_day
),

last_days as (
    select unnest(generate_series(first_day.day + interval 11 months, last_month.day, interval 1 month)) as day
    from first_day
    cross join last_month
),

ends as (
    select cast(day as date) as month
    from last_days
),

places as (
    select distinct
        ccn,
        measure
    from months
)

select
    places.ccn,
    places.measure,
    ends.month,
    cast(sum(months.index_admissions) as bigint) as index_admissions,
    cast(sum(months.readmissions) as bigint) as readmissions,
    sum(months.expected_readmissions order by months.month) as expected_readmissions
from places
cross join ends
inner join months
    on
        places.ccn = months.ccn
        and places.measure = months.measure
        and months.month between ends.month - interval 11 months and ends.month
group by places.ccn, places.measure, ends.month
order by places.ccn, places.measure, ends.month
