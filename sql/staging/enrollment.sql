-- Every person's usable months of enrollment, as runs of months without a gap and with the same facts: Part A, Part B, fee for service
-- (ffs), Medicare Advantage (ma) and dual status. Every month lies in one run.
-- watch: months = sum(last_month - first_month + 1)
with

-- The records of a person are looked at one by one where some of them were rejected, or where months with a gap between them reach
-- beyond the 120 that have a bit of their own; for all others the counts say everything.
looked_at as materialized (
    select persons.person_key
    from intake.enrollment
    inner join staging.persons on trim(enrollment.person_id) = persons.person_id
    semi join staging.enrollment_faults
        on
            enrollment.row_number = enrollment_faults.row_number
            and enrollment.source_file = enrollment_faults.source_file
    union all
    select person_key
    from staging.enrollment_counts
    where
        last_month - first_month >= 120
        and records <> last_month - first_month + 1
),

-- Most persons' months of one kind of coverage have no gap.
counted as materialized (
    select
        *,
        records = last_month - first_month + 1 as is_unbroken
    from staging.enrollment_counts
    anti join looked_at using (person_key)
    where person_key is not null
),

broken as (
    select
        *,
        unnest(range(first_month, last_month + 1)) as month_number
    from counted
    where not is_unbroken
),

months as (
    select
        person_key,
        part_a,
        part_b,
        ffs,
        ma,
        dual_code,
        month_number
    from broken
    where month_bits & month_bit(month_number) <> 0
    union all
    select
        persons.person_key,
        as_flag(enrollment.part_a) as part_a,
        as_flag(enrollment.part_b) as part_b,
        as_flag(enrollment.ffs) as ffs,
        as_flag(enrollment.ma) as ma,
        as_dual_code(enrollment.dual_code) as dual_code,
        as_month(enrollment.month) as month_number
    from intake.enrollment
    inner join staging.persons on trim(enrollment.person_id) = persons.person_id
    semi join looked_at on persons.person_key = looked_at.person_key
    anti join staging.enrollment_faults
        on
            enrollment.row_number = enrollment_faults.row_number
            and enrollment.source_file = enrollment_faults.source_file
),

-- Consecutive months keep their distance from their rank.
islands as (
    select
        *,
        month_number - row_number() over (
            partition by person_key, part_a, part_b, ffs, ma, dual_code order by month_number
        ) as island
    from months
)

select
    person_key,
    first_month,
    last_month,
    part_a,
    part_b,
    ffs,
    ma,
    dual_code
from counted
where is_unbroken
union all
select
    person_key,
    cast(min(month_number) as integer) as first_month,
    cast(max(month_number) as integer) as last_month,
    part_a,
    part_b,
    ffs,
    ma,
    dual_code
from islands
group by person_key, part_a, part_b, ffs, ma, dual_code, island
