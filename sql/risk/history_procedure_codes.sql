-- The procedures of every index admission's history, inpatient stays and other claims of the 365 days before admission.
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
    from risk.variable_codes
    where place = 'procedure_12m'
),

inpatient as (
    select
        indexed.stay_key,
        procedures.code
    from indexed
    inner join cohort.earlier_stays using (stay_key)
    inner join cohort.stay_parts on earlier_stays.earlier_stay_key = stay_parts.stay_key
    inner join staging.procedures on stay_parts.part_key = procedures.stay_key
    semi join codes_needed on procedures.code = codes_needed.code
),

other_claims as (
    select
        indexed.stay_key,
        history_procedures.code
    from indexed
    inner join staging.history_procedures
        on
            indexed.person_key = history_procedures.person_key
            and history_procedures.service_date >= indexed.admit_date - $lookback_days::integer
            and indexed.admit_date > history_procedures.service_date
    semi join codes_needed on history_procedures.code = codes_needed.code
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
