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

flags as (
    select
        measure,
        stay_key,
        variable_key,
        counts_always
    from risk.category_factors
    union all
    select
        measure,
        stay_key,
        variable_key,
        counts_always
    from risk.special_factors
),

-- Binary flags are OR over all sources.
values_of_stays as (
    select
        measure,
        stay_key,
        variable_key,
        bool_or(counts_always) as counts_always,
        cast(1 as double) as value
    from flags
    group by measure, stay_key, variable_key
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
