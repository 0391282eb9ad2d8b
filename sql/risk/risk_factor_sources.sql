-- Where each risk factor of an index admission comes from: every record that sets it, with its source file and number in it. The rules
-- are those of risk.category_factors, risk.special_factors and risk.personal_factors, record by record.
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
        'index stay' as found_in,
        stays.admit_date as found_on,
        diagnoses.code,
        diagnoses.record_key,
        diagnoses.is_principal and stay_parts.is_first_part as is_principal,
        diagnoses.present_on_admission
    from indexed
    inner join cohort.stay_parts using (stay_key)
    inner join staging.stays on stay_parts.part_key = stays.stay_key
    inner join staging.diagnoses on stay_parts.part_key = diagnoses.stay_key
    where not (diagnoses.is_principal and stay_parts.repeats_principal)
),

-- The records of its history: earlier inpatient stays ...
earlier_diagnoses as (
    select
        indexed.stay_key,
        'earlier stay' as found_in,
        stays.discharge_date as found_on,
        diagnoses.code,
        diagnoses.record_key
    from indexed
    inner join cohort.earlier_stays using (stay_key)
    inner join cohort.stay_parts on earlier_stays.earlier_stay_key = stay_parts.stay_key
    inner join staging.stays on stay_parts.part_key = stays.stay_key
    inner join staging.diagnoses on stay_parts.part_key = diagnoses.stay_key
),

-- ... and other claims, whose date lies strictly before the admission.
claimed_diagnoses as (
    select
        indexed.stay_key,
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
),

history_diagnoses_found as (
    select * from earlier_diagnoses
    union all
    select * from claimed_diagnoses
),

history_procedures_found as (
    select
        indexed.stay_key,
        'earlier stay' as found_in,
        stays.discharge_date as found_on,
        procedures.code,
        procedures.record_key
    from indexed
    inner join cohort.earlier_stays using (stay_key)
    inner join cohort.stay_parts on earlier_stays.earlier_stay_key = stay_parts.stay_key
    inner join staging.stays on stay_parts.part_key = stays.stay_key
    inner join staging.procedures on stay_parts.part_key = procedures.stay_key
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

-- Condition categories: from the history, and from secondary diagnoses of the index stay; a complication of care that stands on the
-- index stay only counts in the years with the present-on-admission rule, when it was present on admission.
by_category as (
    select
        index_stays.measure,
        found.stay_key,
        category_codes.variable_key,
        found.found_in,
        found.found_on,
        found.code,
        found.record_key,
        true as counts_always
    from history_diagnoses_found as found
    inner join risk.index_stays using (stay_key)
    inner join risk.category_codes
        on
            index_stays.measure = category_codes.measure
            and found.code = category_codes.code
    union all
    select
        index_stays.measure,
        found.stay_key,
        category_codes.variable_key,
        found.found_in,
        found.found_on,
        found.code,
        found.record_key,
        not category_codes.only_complication_of_care as counts_always
    from own_diagnoses as found
    inner join risk.index_stays using (stay_key)
    inner join risk.category_codes
        on
            index_stays.measure = category_codes.measure
            and found.code = category_codes.code
    where
        not found.is_principal
        and (found.present_on_admission or not category_codes.only_complication_of_care)
),

-- Single codes, each in the place that the list names.
by_code as (
    select
        index_stays.measure,
        found.stay_key,
        variable_codes.variable_key,
        found.found_in,
        found.found_on,
        found.code,
        found.record_key,
        true as counts_always
    from history_diagnoses_found as found
    inner join risk.index_stays using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and found.code = variable_codes.code
            and variable_codes.code_system = 'ICD10CM'
    where variable_codes.place in ('any', 'any_secondary', 'history')
    union all
    select
        index_stays.measure,
        found.stay_key,
        variable_codes.variable_key,
        found.found_in,
        found.found_on,
        found.code,
        found.record_key,
        variable_codes.place in ('index_principal', 'index_secondary_poa', 'index_any')
        or found.is_principal
        or complication_codes.code is null as counts_always
    from own_diagnoses as found
    inner join risk.index_stays using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and found.code = variable_codes.code
            and variable_codes.code_system = 'ICD10CM'
    left join risk.complication_codes on found.code = complication_codes.code
    where
        (variable_codes.place = 'index_principal' and found.is_principal)
        or (variable_codes.place = 'index_secondary_poa' and not found.is_principal and found.present_on_admission)
        or variable_codes.place = 'index_any'
        or (variable_codes.place = 'any' and found.is_principal)
        or (
            variable_codes.place in ('any', 'any_secondary')
            and not found.is_principal
            and (found.present_on_admission or complication_codes.code is null)
        )
    union all
    select
        index_stays.measure,
        found.stay_key,
        variable_codes.variable_key,
        found.found_in,
        found.found_on,
        found.code,
        found.record_key,
        true as counts_always
    from history_procedures_found as found
    inner join risk.index_stays using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and found.code = variable_codes.code
            and variable_codes.code_system = 'ICD10PCS'
    where variable_codes.place = 'procedure_12m'
),

-- What no diagnosis sets: the person's record, and the procedures of a joint replacement.
personal as (
    select
        personal_factors.measure,
        personal_factors.stay_key,
        personal_factors.variable_key,
        'person' as found_in,
        cast(null as date) as found_on,
        cast(null as varchar) as code,
        persons.person_record_key as record_key,
        true as counts_always
    from risk.personal_factors
    inner join indexed using (stay_key)
    inner join staging.persons using (person_key)
    where personal_factors.variable_key in ('years_over_65', 'male')
    union all
    select
        personal_factors.measure,
        personal_factors.stay_key,
        personal_factors.variable_key,
        'index stay' as found_in,
        coalesce(procedures.procedure_date, indexed.admit_date) as found_on,
        procedures.code,
        procedures.record_key,
        true as counts_always
    from risk.personal_factors
    inner join indexed using (stay_key)
    inner join cohort.joint_procedures using (stay_key)
    inner join cohort.stay_parts using (stay_key)
    inner join staging.procedures
        on
            stay_parts.part_key = procedures.stay_key
            and joint_procedures.code = procedures.code
    where
        personal_factors.variable_key = 'two_procedures'
        or (personal_factors.variable_key = 'index_tha' and joint_procedures.is_hip)
),

found as (
    select * from by_category
    union all
    select * from by_code
    union all
    select * from personal
),

-- A record that both a category and a single code read is named once; it counts in every year when one of them says so.
records as (
    select
        measure,
        stay_key,
        variable_key,
        found_in,
        found_on,
        code,
        record_key,
        bool_or(counts_always) as counts_always
    from found
    group by measure, stay_key, variable_key, found_in, found_on, code, record_key
),

rules as (
    select
        program_years.program_year,
        case $poa_rule when 'by_year' then program_years.poa_rule else $poa_rule end as poa_rule
    from reference.program_years
    semi join intake.run_program_years using (program_year)
)

select
    risk_factors.program_year,
    risk_factors.measure,
    risk_factors.stay_id,
    risk_factors.variable_key,
    records.found_in,
    records.found_on,
    records.code,
    file_numbers.source_file,
    records.record_key - ((records.record_key >> 40) << 40) as row_number,
    records.record_key,
    risk_factors.stay_key
from risk.risk_factors
inner join rules using (program_year)
inner join records using (measure, stay_key, variable_key)
inner join staging.file_numbers on records.record_key >> 40 = file_numbers.file_number
where
    records.counts_always
    or rules.poa_rule = 'present_on_admission'
