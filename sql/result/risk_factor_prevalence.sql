-- How often each hospital's index admissions have each risk factor, over all program years of the run, each admission once.
with

-- An index admission that counts in several program years is one admission, with the risk factors of the latest of them.
admissions as (
    select
        measure,
        ccn,
        stay_key,
        max(program_year) as program_year
    from cohort.index_admissions
    group by measure, ccn, stay_key
),

hospitals as (
    select
        measure,
        ccn,
        count(*) as index_admissions
    from admissions
    group by measure, ccn
),

factors as (
    select
        admissions.measure,
        admissions.ccn,
        risk_factors.variable_key,
        count(*) as with_factor,
        sum(risk_factors.value order by admissions.stay_key) as total
    from admissions
    inner join risk.risk_factors using (program_year, measure, stay_key)
    group by admissions.measure, admissions.ccn, risk_factors.variable_key
)

select
    hospitals.measure,
    risk_variables.variable_key,
    hospitals.ccn,
    hospitals.index_admissions,
    coalesce(factors.with_factor, 0) as with_factor,
    coalesce(factors.total, 0) / hospitals.index_admissions as mean_value
from hospitals
inner join reference.risk_variables using (measure)
left join factors using (measure, ccn, variable_key)
order by hospitals.measure, risk_variables.report_order, hospitals.ccn
