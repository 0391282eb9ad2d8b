-- The codes that occur with the special rules of risk variables that they are on, and the place where each must stand.
select distinct
    risk_variable_codes.measure,
    risk_variable_codes.variable_key,
    risk_variable_codes.place,
    code_prefixes.code_system,
    code_prefixes.code
from reference.risk_variable_codes
inner join cohort.code_prefixes using (code_system, code_prefix)
order by all
