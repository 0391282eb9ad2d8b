-- The diagnoses of every index admission: principal or secondary, present on admission or not. A merged stay has the union of its
-- parts' codes.
with

indexed as (
    select distinct stay_key
    from risk.index_stays
)

select
    stay_parts.stay_key,
    diagnoses.code,
    bool_or(diagnoses.is_principal and stay_parts.is_first_part) as is_principal,
    bool_or(not (diagnoses.is_principal and stay_parts.is_first_part)) as is_secondary,
    bool_or(
        not (diagnoses.is_principal and stay_parts.is_first_part) and diagnoses.present_on_admission
    ) as is_secondary_on_admission
from staging.diagnoses
inner join cohort.stay_parts on diagnoses.stay_key = stay_parts.part_key
semi join indexed on stay_parts.stay_key = indexed.stay_key
where not (diagnoses.is_principal and stay_parts.repeats_principal)
group by stay_parts.stay_key, diagnoses.code
