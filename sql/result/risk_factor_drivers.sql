-- What carries the expected rate of every hospital and measure: how much more or less often its index admissions have each risk factor
-- than those of all hospitals of the extract, times the factor's coefficient, on the logit scale and as a difference of the expected
-- rate.
with

coefficients as (
    select
        program_year,
        measure,
        term as variable_key,
        value as coefficient
    from risk.model_in_force
    where kind = 'coefficient'
),

-- How steeply the mean risk follows the linear predictor: the mean of p (1 - p) with the hospital effect zero.
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

all_admissions as (
    select
        program_year,
        measure,
        sum(index_admissions) as index_admissions
    from admissions
    group by program_year, measure
),

totals as (
    select
        index_admissions.program_year,
        index_admissions.measure,
        index_admissions.ccn,
        risk_factors.variable_key,
        sum(risk_factors.value order by risk_factors.stay_key) as total
    from cohort.index_admissions
    inner join risk.risk_factors using (program_year, measure, stay_key)
    group by
        index_admissions.program_year, index_admissions.measure, index_admissions.ccn, risk_factors.variable_key
),

all_totals as (
    select
        program_year,
        measure,
        variable_key,
        sum(total order by ccn) as total
    from totals
    group by program_year, measure, variable_key
)

select
    admissions.program_year,
    admissions.measure,
    admissions.ccn,
    coefficients.variable_key,
    coefficients.coefficient,
    coalesce(totals.total, 0) / admissions.index_admissions as mean_value,
    coalesce(all_totals.total, 0) / all_admissions.index_admissions as mean_value_all,
    coefficients.coefficient
    * (coalesce(totals.total, 0) / admissions.index_admissions - coalesce(all_totals.total, 0) / all_admissions.index_admissions)
        as logit_difference,
    coefficients.coefficient
    * (coalesce(totals.total, 0) / admissions.index_admissions - coalesce(all_totals.total, 0) / all_admissions.index_admissions)
    * admissions.slope as expected_difference
from admissions
inner join all_admissions using (program_year, measure)
inner join coefficients using (program_year, measure)
left join totals using (program_year, measure, ccn, variable_key)
left join all_totals using (program_year, measure, variable_key)
order by admissions.program_year, admissions.measure, admissions.ccn, coefficients.variable_key
