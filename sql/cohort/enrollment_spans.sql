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
        year(enrollment.month) * 12 + month(enrollment.month) as month_number,
        enrollment.part_b
    from staging.enrollment
    inner join rules on enrollment.ffs or (enrollment.ma and rules.medicare_advantage)
    semi join cohort.period_stays on enrollment.person_key = period_stays.person_key
    where enrollment.part_a
),

bounds as (
    select
        person_key,
        medicare_advantage,
        count(*) as months,
        min(month_number) as first_month,
        max(month_number) as last_month,
        count(*) filter (where part_b) as months_of_both,
        min(month_number) filter (where part_b) as first_of_both,
        max(month_number) filter (where part_b) as last_of_both
    from covered
    group by person_key, medicare_advantage
),

covers as materialized (
    select
        person_key,
        'part_a' as parts,
        medicare_advantage,
        first_month,
        last_month,
        months = last_month - first_month + 1 as is_unbroken
    from bounds
    union all
    select
        person_key,
        'parts_a_and_b' as parts,
        medicare_advantage,
        first_of_both as first_month,
        last_of_both as last_month,
        months_of_both = last_of_both - first_of_both + 1 as is_unbroken
    from bounds
),

-- Most persons' months have no gap; in the others consecutive months keep their distance from their rank.
islands as (
    select
        covered.person_key,
        covers.parts,
        covered.medicare_advantage,
        covered.month_number,
        covered.month_number - row_number() over (
            partition by covered.person_key, covers.parts, covered.medicare_advantage order by covered.month_number
        ) as island
    from covered
    inner join covers using (person_key, medicare_advantage)
    where
        not covers.is_unbroken
        and (covers.parts = 'part_a' or covered.part_b)
)

select
    person_key,
    parts,
    medicare_advantage,
    first_month,
    last_month
from covers
where is_unbroken
union all
select
    person_key,
    parts,
    medicare_advantage,
    min(month_number) as first_month,
    max(month_number) as last_month
from islands
group by person_key, parts, medicare_advantage, island
