-- The stays that are judged: those that meet a measure's clinical definition and are discharged within the applicable period of a
-- program year of this run, with the stay and the day that the 30 days are counted from.
-- watch: stays = count(*)
with

-- Found before the period is asked for: few stays are of a measure.
measured as materialized (
    select
        measure_stays.measure,
        measure_stays.stay_key,
        stays.person_key,
        stays.ccn,
        stays.admit_date,
        stays.discharge_date,
        stays.ended
    from cohort.measure_stays
    inner join cohort.stays using (stay_key)
),

chain_ends as (
    select
        stay_key,
        max(later_stay_key) as last_stay_key
    from cohort.transfer_chains
    group by stay_key
),

last_stays as (
    select
        chain_ends.stay_key,
        chain_ends.last_stay_key,
        stays.discharge_date,
        stays.ended
    from chain_ends
    inner join cohort.stays on chain_ends.last_stay_key = stays.stay_key
)

-- CABG: the window starts at the final discharge of the transfer chain; elsewhere at the stay's own discharge.
select
    run_program_years.program_year,
    measured.measure,
    measured.stay_key,
    records.stay_id,
    measured.person_key,
    measured.ccn,
    measured.admit_date,
    measured.discharge_date,
    coalesce(last_stays.last_stay_key, measured.stay_key) as last_stay_key,
    coalesce(last_stays.discharge_date, measured.discharge_date) as last_discharge_date,
    coalesce(last_stays.ended, measured.ended) as last_ended
from measured
inner join reference.measures using (measure)
inner join staging.stays as records using (stay_key)
left join last_stays
    on
        measured.stay_key = last_stays.stay_key
        and measures.transfer_attribution = 'first_hospital'
inner join reference.applicable_periods
    on measured.discharge_date between applicable_periods.start_date and applicable_periods.end_date
inner join intake.run_program_years using (program_year)
order by run_program_years.program_year, measured.measure, measured.stay_key
