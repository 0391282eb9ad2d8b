-- Every risk variable of every measure with a number, by which its records are kept.
select
    cast(row_number() over (order by measure, variable_key) as smallint) as variable_number,
    measure,
    variable_key
from reference.risk_variables
order by variable_number
