-- Where each risk factor of an index admission comes from: every record that sets it, with its source file and number in it.
with

rules as (
    select
        program_years.program_year,
        case $poa_rule when 'by_year' then program_years.poa_rule else $poa_rule end as poa_rule
    from reference.program_years
    semi join intake.run_program_years using (program_year)
),

-- What no diagnosis sets: the person's record, and the procedures of a joint replacement.
personal as (
    select
        personal_factors.measure,
        personal_factors.stay_key,
        personal_factors.variable_key,
        2 as counts,
        'person' as found_in,
        cast(null as date) as found_on,
        cast(null as varchar) as code,
        persons.person_record_key as record_key
    from risk.personal_factors
    inner join risk.index_stays using (measure, stay_key)
    inner join staging.persons using (person_key)
    where personal_factors.variable_key in ('years_over_65', 'male')
    union all
    select
        personal_factors.measure,
        personal_factors.stay_key,
        personal_factors.variable_key,
        2 as counts,
        'index stay' as found_in,
        coalesce(procedures.procedure_date, index_stays.admit_date) as found_on,
        procedures.code,
        procedures.record_key
    from risk.personal_factors
    inner join risk.index_stays using (measure, stay_key)
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

records as (
    select
        variable_numbers.measure,
        factor_records.stay_key,
        variable_numbers.variable_key,
        factor_records.counts,
        factor_records.found_in,
        factor_records.found_on,
        factor_records.code,
        factor_records.record_key
    from risk.factor_records
    inner join risk.variable_numbers using (variable_number)
    union all
    select * from personal
)

-- Of a complication of care, only the records that count in the program year.
select
    index_admissions.program_year,
    index_admissions.measure,
    index_admissions.stay_id,
    records.variable_key,
    records.found_in,
    records.found_on,
    records.code,
    file_numbers.source_file,
    records.record_key - ((records.record_key >> 40) << 40) as row_number,
    records.record_key,
    index_admissions.stay_key
from cohort.index_admissions
inner join rules using (program_year)
inner join records using (measure, stay_key)
left join staging.file_numbers on records.record_key >> 40 = file_numbers.file_number
where
    records.counts = 2
    or (records.counts = 1 and rules.poa_rule = 'present_on_admission')
