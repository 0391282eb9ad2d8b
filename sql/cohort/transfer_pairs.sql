-- Transfers: pairs of acute stays of one person at different hospitals, the second admission on the discharge day of the first or
-- the next day, where the first did not end in death. The discharge status does not decide, the dates do.
-- watch: transfers = count(*)
with

-- The days on which an admission elsewhere would be a transfer.
departures as (
    select
        stay_key,
        person_key,
        ccn,
        unnest(range(0, $transfer_days + 1)) as days,
        discharge_date
    from cohort.stays
    where
        is_acute
        and ended <> 'died'
)

select
    departures.stay_key as from_stay_key,
    arrivals.stay_key as to_stay_key
from departures
inner join cohort.stays as arrivals
    on
        departures.person_key = arrivals.person_key
        and departures.discharge_date + departures.days::integer = arrivals.admit_date
where
    arrivals.is_acute
    -- Different hospital.
    and departures.ccn <> arrivals.ccn
    -- Pairs only go forward, in order of admission, discharge and stay id.
    and departures.stay_key < arrivals.stay_key
order by from_stay_key, to_stay_key
