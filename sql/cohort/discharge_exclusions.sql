-- Judged stays that cannot be index admissions because of how the patient came or left: died, left against medical advice, still a
-- patient, transferred out or in, discharged on the day of admission.
with

judged as (
    select
        period_stays.program_year,
        period_stays.measure,
        period_stays.stay_key,
        period_stays.admit_date,
        period_stays.discharge_date,
        period_stays.last_ended,
        stays.ended,
        measures.transfer_attribution,
        measures.same_day_discharge_excluded
    from cohort.period_stays
    inner join cohort.stays using (stay_key)
    inner join reference.measures using (measure)
),

-- Discharged alive; for CABG a death in a receiving hospital counts as died in hospital.
died_in_hospital as (
    select
        program_year,
        measure,
        stay_key,
        'died_in_hospital' as reason
    from judged
    where
        ended = 'died'
        or last_ended = 'died'
),

-- Not against medical advice.
left_against_medical_advice as (
    select
        program_year,
        measure,
        stay_key,
        'left_against_medical_advice' as reason
    from judged
    where ended = 'left_against_medical_advice'
),

-- An unfinished stay is no index admission.
still_a_patient as (
    select
        program_year,
        measure,
        stay_key,
        'still_a_patient' as reason
    from judged
    where ended = 'still_a_patient'
),

-- Not transferred out to another acute hospital, except CABG, where the hospital of the first bypass keeps the case.
transferred_out as (
    select
        program_year,
        measure,
        stay_key,
        'transferred_out' as reason
    from judged
    where
        transfer_attribution <> 'first_hospital'
        and stay_key in (select transfer_pairs.from_stay_key from cohort.transfer_pairs)
),

-- THA/TKA: stays transferred in for the surgery are excluded too.
transferred_in as (
    select
        program_year,
        measure,
        stay_key,
        'transferred_in' as reason
    from judged
    where
        transfer_attribution = 'operating_hospital'
        and stay_key in (select transfer_pairs.to_stay_key from cohort.transfer_pairs)
),

-- AMI: drop stays with admission date = discharge date.
same_day_discharge as (
    select
        program_year,
        measure,
        stay_key,
        'same_day_discharge' as reason
    from judged
    where
        same_day_discharge_excluded
        and admit_date = discharge_date
)

select * from died_in_hospital
union all
select * from left_against_medical_advice
union all
select * from still_a_patient
union all
select * from transferred_out
union all
select * from transferred_in
union all
select * from same_day_discharge
