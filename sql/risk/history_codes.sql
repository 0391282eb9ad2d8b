-- The diagnoses of every index admission's history: principal and secondary diagnoses of the inpatient stays of the 365 days before
-- admission and of earlier stays of its transfer chain, and outpatient and physician claims of these days.
with

indexed as (
    select distinct
        stay_key,
        person_key,
        admit_date
    from risk.index_stays
),

codes_needed as (
    select code
    from risk.category_codes
    union
    select code
    from risk.variable_codes
    where code_system = 'ICD10CM'
),

-- Inpatient stays: same-day earlier stays are allowed.
inpatient as (
    select
        indexed.stay_key,
        diagnoses.code
    from indexed
    inner join cohort.earlier_stays using (stay_key)
    inner join cohort.stay_parts on earlier_stays.earlier_stay_key = stay_parts.stay_key
    inner join staging.diagnoses on stay_parts.part_key = diagnoses.stay_key
    semi join codes_needed on diagnoses.code = codes_needed.code
),

-- Other claims: the date lies strictly before the admission.
other_claims as (
    select
        indexed.stay_key,
        history_diagnoses.code
    from indexed
    inner join staging.history_diagnoses
        on
            indexed.person_key = history_diagnoses.person_key
            and history_diagnoses.service_date >= indexed.admit_date - $lookback_days::integer
            and indexed.admit_date > history_diagnoses.service_date
    semi join codes_needed on history_diagnoses.code = codes_needed.code
)

select
    stay_key,
    code
from inpatient
union
select
    stay_key,
    code
from other_claims
