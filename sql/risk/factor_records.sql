-- Every record that says something about a risk factor of an index admission: the diagnoses of the index stay, and the diagnoses and
-- procedures of its history, each with what it does there (counts, as in risk.factor_codes). A merged stay has the records of all its
-- parts.
with

indexed as (
    select distinct
        stay_key,
        person_key,
        admit_date
    from risk.index_stays
),

-- The records of the index stay itself.
own_diagnoses as (
    select
        stay_parts.stay_key,
        stays.admit_date as found_on,
        diagnoses.code,
        diagnoses.record_key,
        diagnoses.is_principal and stay_parts.is_first_part as is_principal,
        diagnoses.present_on_admission
    from staging.diagnoses
    inner join cohort.stay_parts on diagnoses.stay_key = stay_parts.part_key
    inner join staging.stays on stay_parts.part_key = stays.stay_key
    semi join indexed on stay_parts.stay_key = indexed.stay_key
    where not (diagnoses.is_principal and stay_parts.repeats_principal)
),

-- The stays of its history: the inpatient stays of the 365 days before admission (same-day earlier stays are allowed) and the earlier
-- stays of its transfer chain.
earlier_parts as (
    select
        indexed.stay_key,
        stay_parts.part_key,
        stays.discharge_date as found_on
    from indexed
    inner join cohort.earlier_stays using (stay_key)
    inner join cohort.stay_parts on earlier_stays.earlier_stay_key = stay_parts.stay_key
    inner join staging.stays on stay_parts.part_key = stays.stay_key
),

-- Their records, and other claims of these days, whose date lies strictly before the admission.
history as (
    select
        earlier_parts.stay_key,
        'ICD10CM' as code_system,
        'earlier stay' as found_in,
        earlier_parts.found_on,
        diagnoses.code,
        diagnoses.record_key
    from earlier_parts
    inner join staging.diagnoses on earlier_parts.part_key = diagnoses.stay_key
    union all
    select
        indexed.stay_key,
        'ICD10CM' as code_system,
        coalesce(history_diagnoses.source, 'claim') as found_in,
        history_diagnoses.service_date as found_on,
        history_diagnoses.code,
        history_diagnoses.record_key
    from indexed
    inner join staging.history_diagnoses
        on
            indexed.person_key = history_diagnoses.person_key
            and history_diagnoses.service_date >= indexed.admit_date - $lookback_days::integer
            and indexed.admit_date > history_diagnoses.service_date
    union all
    select
        earlier_parts.stay_key,
        'ICD10PCS' as code_system,
        'earlier stay' as found_in,
        earlier_parts.found_on,
        procedures.code,
        procedures.record_key
    from earlier_parts
    inner join staging.procedures on earlier_parts.part_key = procedures.stay_key
    union all
    select
        indexed.stay_key,
        'ICD10PCS' as code_system,
        coalesce(history_procedures.source, 'claim') as found_in,
        history_procedures.service_date as found_on,
        history_procedures.code,
        history_procedures.record_key
    from indexed
    inner join staging.history_procedures
        on
            indexed.person_key = history_procedures.person_key
            and history_procedures.service_date >= indexed.admit_date - $lookback_days::integer
            and indexed.admit_date > history_procedures.service_date
),

codes as (
    select
        variable_numbers.measure,
        factor_codes.*
    from risk.factor_codes
    inner join risk.variable_numbers using (variable_number)
),

found as (
    select
        own_diagnoses.stay_key,
        codes.variable_number,
        case
            when own_diagnoses.is_principal then codes.as_principal
            when own_diagnoses.present_on_admission then codes.as_secondary_present
            else codes.as_secondary_absent
        end as counts,
        false as in_history,
        'index stay' as found_in,
        own_diagnoses.found_on,
        own_diagnoses.code,
        own_diagnoses.record_key
    from own_diagnoses
    inner join risk.index_stays using (stay_key)
    inner join codes
        on
            index_stays.measure = codes.measure
            and own_diagnoses.code = codes.code
            and codes.code_system = 'ICD10CM'
    union all
    select
        history.stay_key,
        codes.variable_number,
        codes.in_history as counts,
        true as in_history,
        history.found_in,
        history.found_on,
        history.code,
        history.record_key
    from history
    inner join risk.index_stays using (stay_key)
    inner join codes
        on
            index_stays.measure = codes.measure
            and history.code_system = codes.code_system
            and history.code = codes.code
)

select
    stay_key,
    variable_number,
    counts,
    in_history,
    found_in,
    found_on,
    code,
    record_key
from found
where counts is not null
