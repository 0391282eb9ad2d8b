-- Judged stays that cannot be index admissions because of their own codes: assist device or transplant (HF), other operations beside
-- the bypass and later bypasses (CABG), what makes a joint replacement not elective or not primary (THA/TKA), COVID-19.
with

judged as (
    select
        program_year,
        measure,
        stay_key,
        person_key
    from cohort.period_stays
),

-- HF: a left ventricular assist device or heart transplant on the index stay or in the prior 12 months.
assist_device_stays as (
    select stay_key
    from cohort.heart_device_history
),

lvad_or_transplant as (
    select
        judged.program_year,
        judged.measure,
        judged.stay_key,
        'lvad_or_transplant' as reason
    from judged
    where
        judged.measure = 'HF'
        and judged.stay_key in (select assist_device_stays.stay_key from assist_device_stays)
),

-- CABG: not isolated if the code of another operation of the list is present.
not_isolated_cabg as (
    select
        judged.program_year,
        judged.measure,
        judged.stay_key,
        'not_isolated_cabg' as reason
    from judged
    where
        judged.measure = 'CABG'
        and judged.stay_key in (
            select stay_roles.stay_key
            from cohort.stay_roles
            where
                stay_roles.measure = 'CABG'
                and stay_roles.role = 'exclude_concomitant_procedure'
        )
),

-- CABG: only the first is an index admission, the earliest isolated bypass discharged in the period, before other exclusions.
first_bypasses as (
    select
        judged.program_year,
        judged.measure,
        judged.person_key,
        min(judged.stay_key) as first_stay_key
    from judged
    inner join reference.measures using (measure)
    anti join not_isolated_cabg using (program_year, measure, stay_key)
    where measures.prior_index_rule = 'first_in_period'
    group by judged.program_year, judged.measure, judged.person_key
),

later_cabg as (
    select
        judged.program_year,
        judged.measure,
        judged.stay_key,
        'later_cabg' as reason
    from judged
    inner join first_bypasses using (program_year, measure, person_key)
    where judged.stay_key > first_bypasses.first_stay_key
),

-- THA/TKA: the roles whose codes make a stay no elective primary replacement, and where the code must stand.
joint_exclusions as (
    select
        stay_key,
        case
            -- Fracture of femur, hip or pelvis, principal or secondary present on admission.
            when role = 'exclude_dx_poa_fracture' and (is_principal or present_on_admission) then 'fracture'
            -- Partial hip replacement, revision, resurfacing, removal of an implanted device.
            when role = 'exclude_procedure_partial_hip' then 'partial_or_revision'
            when role = 'exclude_procedure_revision' then 'partial_or_revision'
            when role = 'exclude_procedure_resurfacing' then 'partial_or_revision'
            when role = 'exclude_procedure_removal' then 'partial_or_revision'
            -- Mechanical complication as principal diagnosis.
            when role = 'exclude_principal_dx_mechanical_complication' and is_principal then 'mechanical_complication'
            -- Malignant neoplasm of pelvis, sacrum, coccyx, lower limb, bone or disseminated as principal diagnosis.
            when role = 'exclude_principal_dx_neoplasm' and is_principal then 'malignancy'
        end as reason
    from cohort.stay_roles
    where measure = 'THA_TKA'
    union all
    -- More than two qualifying codes.
    select
        stay_key,
        'more_than_two_procedures' as reason
    from cohort.joint_procedures
    group by stay_key
    having count(*) > $most_hip_knee_procedures
),

not_elective_primary as (
    select distinct
        judged.program_year,
        judged.measure,
        judged.stay_key,
        joint_exclusions.reason
    from judged
    inner join joint_exclusions using (stay_key)
    where
        judged.measure = 'THA_TKA'
        and joint_exclusions.reason is not null
),

-- COVID-19 rule: in its years an index stay with COVID-19, principal or secondary present on admission, is excluded ...
covid_stays as (
    select stay_key
    from cohort.covid_stays
),

covid_19 as (
    select
        judged.program_year,
        judged.measure,
        judged.stay_key,
        'covid_19' as reason
    from judged
    inner join reference.program_years using (program_year)
    where
        program_years.covid_rule = 'excluded'
        and (
            judged.stay_key in (select covid_stays.stay_key from covid_stays)
            -- ... and with covid_return = drop_index also one whose first return has COVID-19.
            or (
                $covid_return = 'drop_index'
                and judged.stay_key in (
                    select period_stays.stay_key
                    from cohort.period_stays
                    inner join cohort.return_candidates using (last_stay_key)
                    where
                        period_stays.measure = judged.measure
                        and return_candidates.position = 1
                        and return_candidates.has_covid
                )
            )
        )
)

select * from lvad_or_transplant
union all
select * from not_isolated_cabg
union all
select * from later_cabg
union all
select * from not_elective_primary
union all
select * from covid_19
