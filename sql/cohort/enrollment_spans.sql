-- Unbroken runs of months in which a person is covered, for each kind of coverage that the rules of this run ask for: Part A alone or
-- with Part B, in fee for service alone or with Medicare Advantage counting too. Only persons with a judged stay are looked at.
with

-- Whether Medicare Advantage counts, in the program years of this run.
rules as (
    select distinct program_years.medicare_advantage
    from reference.program_years
    semi join intake.run_program_years using (program_year)
),

covered as not materialized (
    select
        enrollment.person_key,
        rules.medicare_advantage,
        enrollment.first_month,
        enrollment.last_month,
        enrollment.part_b
    from staging.enrollment
    inner join rules on enrollment.ffs or (enrollment.ma and rules.medicare_advantage)
    semi join cohort.period_stays on enrollment.person_key = period_stays.person_key
    where enrollment.part_a
),

covers as (
    select
        person_key,
        'part_a' as parts,
        medicare_advantage,
        first_month,
        last_month
    from covered
    union all
    select
        person_key,
        'parts_a_and_b' as parts,
        medicare_advantage,
        first_month,
        last_month
    from covered
    where part_b
),

-- Runs that follow upon one another keep their distance from the number of months up to their end.
islands as (
    select
        *,
        last_month - sum(last_month - first_month + 1) over (
            partition by person_key, parts, medicare_advantage order by first_month
        ) as island
    from covers
)

select
    person_key,
    parts,
    medicare_advantage,
    min(first_month) as first_month,
    max(last_month) as last_month
from islands
group by person_key, parts, medicare_advantage, island
