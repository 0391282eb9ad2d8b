-- Index stays and first returns within 30 days, all causes, at the level of stays: the question of benchmarks/bench_cohort.py that needs
-- no diagnoses. Reads the views stays and persons, which the benchmark lays over the two Parquet files of the extract.
with

-- Stays of short-term acute hospitals, critical access hospitals among them; an index stay can only be one of the former, paid fee for
-- service, discharged in the period with 30 days left to look at, alive, and not against medical advice.
acute as materialized (
    select
        stay_id,
        person_id,
        ccn,
        admit_date,
        discharge_date,
        is_short_term_acute
        and not is_cah
        and payer = 'FFS'
        and discharge_date between date '2021-07-01' and date '2024-05-31'
        and discharge_status not in ('20', '40', '41', '42', '07', '30') as may_be_index
    from stays
    where
        is_short_term_acute
        or is_cah
),

-- 65 or older on the day of admission, in whole years.
of_age as materialized (
    select
        acute.stay_id,
        acute.person_id,
        acute.ccn,
        acute.admit_date,
        acute.discharge_date
    from acute
    inner join persons using (person_id)
    where
        acute.may_be_index
        and year(acute.admit_date) * 10000 + month(acute.admit_date) * 100 + day(acute.admit_date)
        - (year(persons.birth_date) * 10000 + month(persons.birth_date) * 100 + day(persons.birth_date)) >= 650000
),

-- Other stays of the person that begin 0 to 30 days after the discharge. At another hospital on the same day or the next it is a
-- transfer, which is no return; one that comes later, in order of admission, discharge and stay id, takes the patient on.
candidates as (
    select
        of_age.stay_id,
        others.stay_id as return_id,
        others.admit_date - of_age.discharge_date as days,
        others.discharge_date,
        of_age.ccn <> others.ccn and others.admit_date - of_age.discharge_date <= 1 as is_transfer,
        row(others.admit_date, others.discharge_date, others.stay_id)
        > row(of_age.admit_date, of_age.discharge_date, of_age.stay_id) as comes_later
    from of_age
    inner join acute as others
        on
            of_age.person_id = others.person_id
            and of_age.discharge_date <= others.admit_date
            and others.admit_date <= of_age.discharge_date + 30
            and of_age.stay_id <> others.stay_id
),

-- Smallest interval, then earliest discharge.
decided as (
    select
        stay_id,
        bool_or(is_transfer and comes_later) as is_transferred_out,
        min(row(days, discharge_date, return_id)) filter (where not is_transfer) as first_return
    from candidates
    group by stay_id
)

-- Only the last hospital of a chain of transfers has an index stay.
select
    of_age.stay_id,
    decided.first_return[3] as return_id,
    decided.first_return[1] as days
from of_age
left join decided using (stay_id)
where not coalesce(decided.is_transferred_out, false)
