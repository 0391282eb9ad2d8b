-- Codes that occur and have no AHRQ CCS category, so that the planned readmission algorithm does not know them: how often each occurs on
-- stays, and how many first returns hang on it (an unplanned return with such a procedure might have been planned).
with

unmapped as (
    select
        codes_in_use.code_system,
        codes_in_use.code
    from cohort.codes_in_use
    anti join cohort.code_ccs using (code_system, code)
),

occurrences as (
    select
        unmapped.code_system,
        unmapped.code,
        diagnoses.stay_key,
        diagnoses.sequence = 1 as is_principal
    from unmapped
    inner join staging.diagnosis_codes on unmapped.code = diagnosis_codes.code
    inner join staging.diagnoses on diagnosis_codes.code_key = diagnoses.code_key
    where unmapped.code_system = 'ICD10CM'
    union all
    select
        unmapped.code_system,
        unmapped.code,
        procedures.stay_key,
        true as is_principal
    from unmapped
    inner join staging.procedures on unmapped.code = procedures.code
    where unmapped.code_system = 'ICD10PCS'
),

-- Of the diagnoses only the principal one decides.
first_returns as (
    select distinct
        occurrences.code_system,
        occurrences.code,
        readmissions.program_year,
        readmissions.measure,
        readmissions.stay_key
    from occurrences
    inner join cohort.stay_parts on occurrences.stay_key = stay_parts.part_key
    inner join cohort.readmissions on stay_parts.stay_key = readmissions.readmission_stay_key
    where
        occurrences.is_principal
        and (readmissions.unplanned_readmission or occurrences.code_system = 'ICD10CM')
),

first_return_counts as (
    select
        code_system,
        code,
        count(*) as first_returns
    from first_returns
    group by code_system, code
)

select
    occurrences.code_system,
    occurrences.code,
    count(*) as occurrences,
    coalesce(any_value(first_return_counts.first_returns), 0) as first_returns
from occurrences
left join first_return_counts using (code_system, code)
group by occurrences.code_system, occurrences.code
order by occurrences.code_system, occurrences.code
