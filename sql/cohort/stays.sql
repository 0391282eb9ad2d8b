-- Every stay after merging: first admission date, last discharge date and last discharge status of its parts, principal diagnosis
-- and hospital of the first part.
-- watch: stays = count(*)
-- watch: merged = count(*) filter (parts > 1)
with

-- Hardly any stay is of several parts; only their records are put together.
of_several_parts as (
    select distinct stay_key
    from cohort.stay_parts
    where not is_first_part
),

merged as (
    select
        stay_parts.stay_key,
        count(*) as parts,
        max(stays.discharge_date) as discharge_date,
        arg_max(stays.discharge_status, row(stays.discharge_date, stays.stay_key)) as discharge_status,
        cast(sum(cast(stays.base_operating_drg_amount as decimal(18, 4))) as double) as base_operating_drg_amount
    from cohort.stay_parts
    semi join of_several_parts using (stay_key)
    inner join staging.stays on stay_parts.part_key = stays.stay_key
    group by stay_parts.stay_key
),

principal_diagnoses as (
    select
        stay_key,
        code_key
    from staging.diagnoses
    where sequence = 1
),

-- Without a payer on the stay, enrollment in the month of admission names it; who is not enrolled has another payer.
without_payer as (
    select distinct person_key
    from staging.stays
    where payer is null
),

enrolled_payers as (
    select
        person_key,
        first_month,
        last_month,
        case when ffs then 'FFS' when ma then 'MA' else 'other' end as payer
    from staging.enrollment
    semi join without_payer using (person_key)
),

enrollment_file as (
    select coalesce(bool_or(present), false) as is_present
    from intake.inputs
    where input = 'enrollment'
)

select
    stays.stay_key,
    stays.person_key,
    stays.ccn,
    stays.former_ccn,
    stays.admit_date,
    coalesce(merged.discharge_date, stays.discharge_date) as discharge_date,
    coalesce(merged.discharge_status, stays.discharge_status) as discharge_status,
    discharge_status_codes.meaning as ended,
    diagnosis_codes.code as principal_code,
    -- Short-term acute hospitals, critical access hospitals among them, take part in transfers and readmissions.
    stays.is_short_term_acute or stays.is_cah as is_acute,
    stays.is_short_term_acute and not stays.is_cah as is_index_hospital,
    coalesce(
        stays.payer,
        enrolled_payers.payer,
        case when enrollment_file.is_present then 'other' end
    ) as payer,
    -- Age in whole years between birth and admission.
    year(stays.admit_date) - year(persons.birth_date)
    - case
        when
            (month(stays.admit_date), day(stays.admit_date)) < (month(persons.birth_date), day(persons.birth_date))
            then 1
        else 0
    end as age,
    persons.sex,
    persons.death_date,
    coalesce(merged.base_operating_drg_amount, stays.base_operating_drg_amount) as base_operating_drg_amount,
    coalesce(merged.parts, 1) as parts
from cohort.stay_parts
inner join staging.stays on stay_parts.part_key = stays.stay_key
inner join staging.persons using (person_key)
left join merged on stay_parts.stay_key = merged.stay_key
inner join reference.discharge_status_codes
    on coalesce(merged.discharge_status, stays.discharge_status) = discharge_status_codes.code
cross join enrollment_file
left join principal_diagnoses on stay_parts.stay_key = principal_diagnoses.stay_key
left join staging.diagnosis_codes on principal_diagnoses.code_key = diagnosis_codes.code_key
left join enrolled_payers
    on
        stays.person_key = enrolled_payers.person_key
        and month_of(stays.admit_date) between enrolled_payers.first_month and enrolled_payers.last_month
where stay_parts.is_first_part
order by stays.stay_key
