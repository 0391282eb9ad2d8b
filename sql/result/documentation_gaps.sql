-- Risk factors that earlier claims show and the coding of the index admission lacks, for every hospital and measure: how many admissions
-- carry them by history alone, and how much of the expected rate hangs on that history. Where claims are missing, this part is lost.
with

-- The codes that set a variable from the history and, as a secondary diagnosis, can be coded on the index admission too.
either_way as (
    select
        variable_number,
        code
    from risk.factor_codes
    where as_secondary_absent is not null
),

in_history as (
    select distinct
        factor_records.stay_key,
        factor_records.variable_number
    from risk.factor_records
    semi join either_way using (variable_number, code)
    where factor_records.in_history
),

-- Coded on the index admission, whether or not the rule on complications of care lets it count.
on_index_stay as (
    select distinct
        stay_key,
        variable_number
    from risk.factor_records
    where not in_history
),

only_in_history as (
    select
        variable_numbers.measure,
        in_history.stay_key,
        variable_numbers.variable_key
    from in_history
    anti join on_index_stay using (stay_key, variable_number)
    inner join risk.variable_numbers using (variable_number)
),

admissions as (
    select
        program_year,
        measure,
        ccn,
        count(*) as index_admissions,
        avg(1 / (1 + exp(-linear_predictor)) / (1 + exp(linear_predictor)) order by stay_key) as slope
    from risk.linear_predictors
    group by program_year, measure, ccn
),

counted as (
    select
        index_admissions.program_year,
        index_admissions.measure,
        index_admissions.ccn,
        only_in_history.variable_key,
        count(*) as by_history_alone
    from cohort.index_admissions
    inner join only_in_history using (measure, stay_key)
    group by
        index_admissions.program_year, index_admissions.measure, index_admissions.ccn, only_in_history.variable_key
)

select
    counted.program_year,
    counted.measure,
    counted.ccn,
    counted.variable_key,
    admissions.index_admissions,
    counted.by_history_alone,
    model_in_force.value as coefficient,
    model_in_force.value * counted.by_history_alone / admissions.index_admissions * admissions.slope
        as expected_difference
from counted
inner join admissions using (program_year, measure, ccn)
inner join risk.model_in_force
    on
        counted.program_year = model_in_force.program_year
        and counted.measure = model_in_force.measure
        and counted.variable_key = model_in_force.term
        and model_in_force.kind = 'coefficient'
order by counted.program_year, counted.measure, counted.ccn, counted.variable_key
