-- Heart failure stays with a left ventricular assist device or a heart transplant on the stay itself or in the year before it, by
-- procedure; with optional_assist_device_status also by a status diagnosis of the year before.
with

heart_failure as (
    select distinct
        stay_key,
        person_key,
        admit_date
    from cohort.period_stays
    where measure = 'HF'
),

device_stays as (
    select distinct stay_key
    from cohort.stay_roles
    where
        measure = 'HF'
        and role = 'exclude_if_procedure_index_or_12m'
),

device_or_status_stays as (
    select stay_key
    from device_stays
    union
    select stay_key
    from cohort.stay_roles
    where
        measure = 'HF'
        and role = 'exclude_if_status_dx_12m_optional'
        and $optional_assist_device_status
),

device_codes as (
    select
        code_system,
        code
    from cohort.code_roles
    where
        measure = 'HF'
        and (
            role = 'exclude_if_procedure_index_or_12m'
            or (role = 'exclude_if_status_dx_12m_optional' and $optional_assist_device_status)
        )
),

other_claims as (
    select
        history_procedures.person_key,
        history_procedures.service_date
    from staging.history_procedures
    inner join device_codes on history_procedures.code = device_codes.code and device_codes.code_system = 'ICD10PCS'
    union all
    select
        history_diagnoses.person_key,
        history_diagnoses.service_date
    from staging.history_diagnoses
    inner join staging.diagnosis_codes using (code_key)
    inner join device_codes on diagnosis_codes.code = device_codes.code and device_codes.code_system = 'ICD10CM'
),

-- On the index stay ...
on_the_stay as (
    select heart_failure.stay_key
    from heart_failure
    semi join device_stays using (stay_key)
),

-- ... on an earlier stay of the year before ...
on_an_earlier_stay as (
    select earlier_stays.stay_key
    from cohort.earlier_stays
    semi join heart_failure using (stay_key)
    semi join device_or_status_stays on earlier_stays.earlier_stay_key = device_or_status_stays.stay_key
),

-- ... or on another claim of the year before.
on_another_claim as (
    select heart_failure.stay_key
    from heart_failure
    inner join other_claims
        on
            heart_failure.person_key = other_claims.person_key
            and other_claims.service_date >= heart_failure.admit_date - $lookback_days::integer
            and heart_failure.admit_date > other_claims.service_date
)

select stay_key
from on_the_stay
union
select stay_key
from on_an_earlier_stay
union
select stay_key
from on_another_claim
