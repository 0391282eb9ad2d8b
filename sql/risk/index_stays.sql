-- Every stay that is an index admission of a measure in at least one program year: its risk factors are the same in all of them, but
-- for the rule on complications of care.
select distinct
    measure,
    stay_key,
    person_key,
    admit_date
from cohort.index_admissions
order by measure, stay_key
