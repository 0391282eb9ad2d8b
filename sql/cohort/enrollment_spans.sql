-- Unbroken runs of months in which a person is covered, for each kind of coverage that the rules ask for: Part A alone or with Part B,
-- in fee for service alone or with Medicare Advantage counting too. Only persons with a judged stay are looked at.
with

needed as (
    select
        enrollment.person_key,
        year(enrollment.month) * 12 + month(enrollment.month) as month_number,
        enrollment.part_a,
        enrollment.part_b,
        enrollment.ffs,
        enrollment.ma
    from staging.enrollment
    semi join cohort.period_stays using (person_key)
),

covered as (
    select
        person_key,
        month_number,
        'part_a' as parts,
        false as medicare_advantage
    from needed
    where part_a and ffs
    union all
    select
        person_key,
        month_number,
        'part_a' as parts,
        true as medicare_advantage
    from needed
    where part_a and (ffs or ma)
    union all
    select
        person_key,
        month_number,
        'parts_a_and_b' as parts,
        false as medicare_advantage
    from needed
    where part_a and part_b and ffs
    union all
    select
        person_key,
        month_number,
        'parts_a_and_b' as parts,
        true as medicare_advantage
    from needed
    where part_a and part_b and (ffs or ma)
),

-- Consecutive months keep their distance from their rank.
islands as (
    select
        *,
        month_number - row_number() over (
            partition by person_key, parts, medicare_advantage order by month_number
        ) as island
    from covered
)

select
    person_key,
    parts,
    medicare_advantage,
    min(month_number) as first_month,
    max(month_number) as last_month
from islands
group by person_key, parts, medicare_advantage, island
