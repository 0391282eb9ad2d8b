-- The risk factors of every index admission: one row for each that is not zero, flags as 1, years over 65 as a number.
-- watch: factors = count(*)
with

rules as (
    select
        program_years.program_year,
        case $poa_rule when 'by_year' then program_years.poa_rule else $poa_rule end as poa_rule
    from reference.program_years
    semi join intake.run_program_years using (program_year)
),

-- Binary flags are OR over all records; what only some years count is told from what all do (risk.factor_codes).
flags as (
    select
        stay_key,
        variable_number,
        max(counts) = 2 as counts_always
    from risk.factor_records
    where counts > 0
    group by stay_key, variable_number
),

values_of_stays as (
    select
        variable_numbers.measure,
        flags.stay_key,
        variable_numbers.variable_key,
        flags.counts_always,
        cast(1 as double) as value
    from flags
    inner join risk.variable_numbers using (variable_number)
    union all
    select
        measure,
        stay_key,
        variable_key,
        true as counts_always,
        value
    from risk.personal_factors
)

select
    index_admissions.program_year,
    index_admissions.measure,
    index_admissions.stay_id,
    values_of_stays.variable_key,
    values_of_stays.value,
    index_admissions.stay_key
from cohort.index_admissions
inner join rules using (program_year)
inner join values_of_stays using (measure, stay_key)
where
    values_of_stays.counts_always
    or rules.poa_rule = 'present_on_admission'
