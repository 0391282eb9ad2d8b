-- How well the model in force fits the index admissions at hand: tenths by expected risk (hospital effect zero), with the readmissions
-- observed and expected in each.
with

-- Equal risks stay in the order of the stays, so that the same data give the same tenths on every run.
tenths as (
    select
        program_year,
        measure,
        stay_key,
        outcome,
        1 / (1 + exp(-linear_predictor)) as risk,
        ntile(10) over (partition by program_year, measure order by linear_predictor, stay_key) as tenth
    from risk.linear_predictors
)

select
    program_year,
    measure,
    tenth,
    count(*) as index_admissions,
    count(*) filter (outcome) as readmissions,
    sum(risk order by stay_key) as expected_readmissions,
    min(risk) as lowest_risk,
    max(risk) as highest_risk
from tenths
group by program_year, measure, tenth
order by program_year, measure, tenth
