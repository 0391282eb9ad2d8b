-- Every index admission with its outcome and its linear predictor under the model in force, the hospital effect being zero:
-- intercept plus the sum of coefficient times value over the admission's risk factors, plus the calibration for missing history.
-- watch: readmission_rate = avg(outcome::integer)
with

-- The intercept and the coefficients that score each program year and measure.
intercepts as (
    select
        program_year,
        measure,
        value as intercept
    from risk.model_in_force
    where kind = 'intercept'
),

coefficients as (
    select
        program_year,
        measure,
        term as variable_key,
        value as coefficient
    from risk.model_in_force
    where kind = 'coefficient'
),

-- The sum runs in a fixed order, so that the same data give the same last digit on every run.
risk_sums as (
    select
        risk_factors.program_year,
        risk_factors.measure,
        risk_factors.stay_key,
        sum(coefficients.coefficient * risk_factors.value order by risk_factors.variable_key) as risk_sum
    from risk.risk_factors
    inner join coefficients using (program_year, measure, variable_key)
    group by risk_factors.program_year, risk_factors.measure, risk_factors.stay_key
)

select
    index_admissions.program_year,
    index_admissions.measure,
    index_admissions.stay_key,
    index_admissions.ccn,
    index_admissions.discharge_date,
    coalesce(readmissions.unplanned_readmission, false) as outcome,
    -- Where a report has been reconciled: what own history lacks on average, so that expected is CMS's.
    coalesce(expected_calibration.logit_offset, 0) as calibration,
    intercepts.intercept
    + coalesce(risk_sums.risk_sum, 0)
    + coalesce(expected_calibration.logit_offset, 0) as linear_predictor
from cohort.index_admissions
inner join intercepts using (program_year, measure)
left join risk_sums using (program_year, measure, stay_key)
left join cohort.readmissions using (program_year, measure, stay_key)
left join reference.expected_calibration
    on
        index_admissions.ccn = expected_calibration.ccn
        and index_admissions.measure = expected_calibration.measure
order by index_admissions.program_year, index_admissions.measure, index_admissions.ccn, index_admissions.stay_key
