-- The stays that are judged: those that meet a measure's clinical definition and are discharged within the applicable period of a
-- program year of this run, with the stay and the day that the 30 days are counted from.
-- watch: stays = count(*)
with

-- CABG: the window starts at the final discharge of the transfer chain; elsewhere at the stay's own discharge.
chain_ends as (
    select
        stay_key,
        max(later_stay_key) as last_stay_key
    from cohort.transfer_chains
    group by stay_key
),

ends as (
    select
        measure_stays.measure,
        measure_stays.stay_key,
        case
            when measures.transfer_attribution = 'first_hospital'
                then coalesce(chain_ends.last_stay_key, measure_stays.stay_key)
            else measure_stays.stay_key
        end as last_stay_key
    from cohort.measure_stays
    inner join reference.measures using (measure)
    left join chain_ends using (stay_key)
)

select
    run_program_years.program_year,
    ends.measure,
    ends.stay_key,
    stays.stay_id,
    stays.person_key,
    stays.ccn,
    stays.admit_date,
    stays.discharge_date,
    ends.last_stay_key,
    last_stays.discharge_date as last_discharge_date,
    last_stays.ended as last_ended
from ends
inner join cohort.stays using (stay_key)
inner join cohort.stays as last_stays on ends.last_stay_key = last_stays.stay_key
inner join reference.applicable_periods
    on stays.discharge_date between applicable_periods.start_date and applicable_periods.end_date
inner join intake.run_program_years using (program_year)
order by run_program_years.program_year, ends.measure, ends.stay_key
