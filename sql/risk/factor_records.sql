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
        diagnoses.code_key,
        diagnoses.record_key,
        diagnoses.sequence = 1 and stay_parts.is_first_part as is_principal
    from staging.diagnoses
    inner join cohort.stay_parts on diagnoses.stay_key = stay_parts.part_key
    inner join staging.stays on stay_parts.part_key = stays.stay_key
    semi join indexed on stay_parts.stay_key = indexed.stay_key
    where not (diagnoses.sequence = 1 and stay_parts.repeats_principal)
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
earlier_diagnoses as (
    select
        earlier_parts.stay_key,
        'earlier stay' as found_in,
        earlier_parts.found_on,
        diagnoses.code_key,
        diagnoses.record_key
    from earlier_parts
    inner join staging.diagnoses on earlier_parts.part_key = diagnoses.stay_key
    union all
    select
        indexed.stay_key,
        coalesce(history_diagnoses.source, 'claim') as found_in,
        history_diagnoses.service_date as found_on,
        history_diagnoses.code_key,
        history_diagnoses.record_key
    from indexed
    inner join staging.history_diagnoses
        on
            indexed.person_key = history_diagnoses.person_key
            and history_diagnoses.service_date >= indexed.admit_date - $lookback_days::integer
            and indexed.admit_date > history_diagnoses.service_date
),

earlier_procedures as (
    select
        earlier_parts.stay_key,
        'earlier stay' as found_in,
        earlier_parts.found_on,
        procedures.code,
        procedures.record_key
    from earlier_parts
    inner join staging.procedures on earlier_parts.part_key = procedures.stay_key
    union all
    select
        indexed.stay_key,
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

-- What the codes do: those of diagnoses by key, whose indicator tells what a secondary one was.
of_diagnoses as (
    select
        variable_numbers.measure,
        factor_codes.variable_number,
        diagnosis_codes.code_key,
        factor_codes.code,
        factor_codes.as_principal,
        case
            when diagnosis_codes.present_on_admission then factor_codes.as_secondary_present
            else factor_codes.as_secondary_absent
        end as as_secondary,
        factor_codes.in_history
    from risk.factor_codes
    inner join risk.variable_numbers using (variable_number)
    inner join staging.diagnosis_codes using (code)
    where factor_codes.code_system = 'ICD10CM'
),

of_procedures as (
    select
        variable_numbers.measure,
        factor_codes.variable_number,
        factor_codes.code,
        factor_codes.in_history
    from risk.factor_codes
    inner join risk.variable_numbers using (variable_number)
    where factor_codes.code_system = 'ICD10PCS'
),

found as (
    select
        own_diagnoses.stay_key,
        of_diagnoses.variable_number,
        case
            when own_diagnoses.is_principal then of_diagnoses.as_principal
            else of_diagnoses.as_secondary
        end as counts,
        false as in_history,
        'index stay' as found_in,
        own_diagnoses.found_on,
        of_diagnoses.code,
        own_diagnoses.record_key
    from own_diagnoses
    inner join risk.index_stays using (stay_key)
    inner join of_diagnoses using (measure, code_key)
    union all
    select
        earlier_diagnoses.stay_key,
        of_diagnoses.variable_number,
        of_diagnoses.in_history as counts,
        true as in_history,
        earlier_diagnoses.found_in,
        earlier_diagnoses.found_on,
        of_diagnoses.code,
        earlier_diagnoses.record_key
    from earlier_diagnoses
    inner join risk.index_stays using (stay_key)
    inner join of_diagnoses using (measure, code_key)
    union all
    select
        earlier_procedures.stay_key,
        of_procedures.variable_number,
        of_procedures.in_history as counts,
        true as in_history,
        earlier_procedures.found_in,
        earlier_procedures.found_on,
        of_procedures.code,
        earlier_procedures.record_key
    from earlier_procedures
    inner join risk.index_stays using (stay_key)
    inner join of_procedures using (measure, code)
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
