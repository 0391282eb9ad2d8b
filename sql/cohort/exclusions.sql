-- Every reason that excludes a judged stay, except the 30-day spacing, which depends on all the others.
-- watch: reasons = count(*)
select * from cohort.record_exclusions
union all
select * from cohort.enrollment_exclusions
union all
select * from cohort.discharge_exclusions
union all
select * from cohort.clinical_exclusions
