-- The diagnosis codes that occur with a condition category that is a complication of care when it stands on the index stay only.
select distinct cc_icd10cm.code
from reference.cc_icd10cm
inner join reference.condition_categories using (cc)
semi join cohort.codes_in_use
    on
        cc_icd10cm.code = codes_in_use.code
        and codes_in_use.code_system = 'ICD10CM'
where condition_categories.complication_of_care
order by cc_icd10cm.code
