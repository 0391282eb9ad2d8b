-- Stays with COVID-19 as principal diagnosis, or as a secondary diagnosis that was present on admission.
select distinct stay_key
from cohort.stay_roles
where
    role = 'covid_dx'
    and (is_principal or present_on_admission)
order by stay_key
