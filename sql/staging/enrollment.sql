-- Every usable month of enrollment: Part A, Part B, fee for service (ffs), Medicare Advantage (ma) and the month's dual status.
-- watch: months = count(*)
select
    persons.person_key,
    cast(left(trim(enrollment.month), 7) || '-01' as date) as month,
    as_flag(enrollment.part_a) as part_a,
    as_flag(enrollment.part_b) as part_b,
    as_flag(enrollment.ffs) as ffs,
    as_flag(enrollment.ma) as ma,
    case
        when length(trim(enrollment.dual_code)) = 1 then '0' || trim(enrollment.dual_code)
        else nullif(upper(trim(enrollment.dual_code)), '')
    end as dual_code
from intake.enrollment
inner join staging.persons on trim(enrollment.person_id) = persons.person_id
anti join staging.enrollment_faults
    on
        enrollment.row_number = enrollment_faults.row_number
        and enrollment.source_file = enrollment_faults.source_file
