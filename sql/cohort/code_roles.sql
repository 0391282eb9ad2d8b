-- What each code that occurs does in the definition of each measure (reference.cohort_codes).
select distinct
    cohort_codes.measure,
    cohort_codes.role,
    code_prefixes.code_system,
    code_prefixes.code
from reference.cohort_codes
inner join cohort.code_prefixes using (code_system, code_prefix)
order by cohort_codes.measure, cohort_codes.role, code_prefixes.code
