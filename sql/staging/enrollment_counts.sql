-- Every person's records of enrollment, counted for each kind of coverage: how many there are, the first and the last month that they
-- name, and all their months as bits of one number. The large file is gone through once, here; faulty records are counted too: without
-- a person_key those of persons that are not in the persons file, without a flag those in which it is neither true nor false.
with

-- A month as it is written: a file has a few dozen, and each is looked at once.
months as materialized (
    select
        month as month_text,
        as_month(month) as month_number,
        month_bit(as_month(month)) as month_bit
    from intake.enrollment
    group by month
),

-- Person and dual status as they are written, so that they are looked at once for many records.
written as not materialized (
    select
        enrollment.person_id,
        as_flag(enrollment.part_a) as part_a,
        as_flag(enrollment.part_b) as part_b,
        as_flag(enrollment.ffs) as ffs,
        as_flag(enrollment.ma) as ma,
        enrollment.dual_code,
        count(*) as records,
        min(months.month_number) as first_month,
        max(months.month_number) as last_month,
        bit_or(months.month_bit) as month_bits
    from intake.enrollment
    left join months on enrollment.month = months.month_text
    group by all
)

select
    persons.person_key,
    written.part_a,
    written.part_b,
    written.ffs,
    written.ma,
    as_dual_code(written.dual_code) as dual_code,
    cast(sum(written.records) as bigint) as records,
    min(written.first_month) as first_month,
    max(written.last_month) as last_month,
    bit_or(written.month_bits) as month_bits
from written
left join staging.persons on trim(written.person_id) = persons.person_id
group by all
