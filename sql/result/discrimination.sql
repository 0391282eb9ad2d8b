-- How well the model in force tells apart the index admissions with and without a readmission: the chance that of one of each the
-- readmitted one has the higher expected risk (c-statistic, ties count half).
-- watch: c_statistic = avg(c_statistic)
with

-- Equal risks share the mean of their ranks.
ranked as (
    select
        program_year,
        measure,
        outcome,
        rank() over (partition by program_year, measure order by linear_predictor)
        + (count(*) over (partition by program_year, measure, linear_predictor) - 1) / 2 as mean_rank
    from risk.linear_predictors
),

counted as (
    select
        program_year,
        measure,
        count(*) as index_admissions,
        count(*) filter (outcome) as readmissions,
        sum(mean_rank) filter (outcome) as rank_sum
    from ranked
    group by program_year, measure
)

select
    program_year,
    measure,
    index_admissions,
    readmissions,
    case
        when readmissions between 1 and index_admissions - 1
            then
                (rank_sum - readmissions * (readmissions + 1) / 2)
                / (readmissions * (index_admissions - readmissions))
    end as c_statistic
from counted
order by program_year, measure
