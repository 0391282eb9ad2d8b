-- Risk factors that earlier claims show and the coding of the index admission lacks, for every hospital and measure: how many admissions
-- carry them by history alone, and how much of the expected rate hangs on that history. Where claims are missing, this part is lost.
with

-- Found in the history: by condition category, or by a code whose place allows history.
in_history as (
    select
        index_stays.measure,
        index_stays.stay_key,
        category_codes.variable_key
    from risk.index_stays
    inner join risk.history_codes using (stay_key)
    inner join risk.category_codes
        on
            index_stays.measure = category_codes.measure
            and history_codes.code = category_codes.code
    union
    select
        index_stays.measure,
        index_stays.stay_key,
        variable_codes.variable_key
    from risk.index_stays
    inner join risk.history_codes using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and history_codes.code = variable_codes.code
            and variable_codes.code_system = 'ICD10CM'
    where variable_codes.place in ('any_secondary', 'any')
),

-- Coded on the index admission, as a secondary diagnosis, whether or not the rule on complications of care lets it count.
on_index_stay as (
    select
        index_stays.measure,
        index_stays.stay_key,
        category_codes.variable_key
    from risk.index_stays
    inner join risk.index_codes using (stay_key)
    inner join risk.category_codes
        on
            index_stays.measure = category_codes.measure
            and index_codes.code = category_codes.code
    where index_codes.is_secondary
    union
    select
        index_stays.measure,
        index_stays.stay_key,
        variable_codes.variable_key
    from risk.index_stays
    inner join risk.index_codes using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and index_codes.code = variable_codes.code
            and variable_codes.code_system = 'ICD10CM'
    where variable_codes.place in ('any_secondary', 'any')
),

only_in_history as (
    select
        in_history.measure,
        in_history.stay_key,
        in_history.variable_key
    from in_history
    anti join on_index_stay using (measure, stay_key, variable_key)
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
