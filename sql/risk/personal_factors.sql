-- The risk factors that no diagnosis sets: years over 65, male sex, and for THA/TKA a hip replacement and two procedures.
with

joints as (
    select
        stay_key,
        bool_or(is_hip) as has_hip,
        count(*) as procedures
    from cohort.joint_procedures
    group by stay_key
),

found as (
    select
        index_stays.measure,
        index_stays.stay_key,
        'years_over_65' as variable_key,
        cast(stays.age - $age_origin as double) as value
    from risk.index_stays
    inner join cohort.stays using (stay_key)
    union all
    select
        index_stays.measure,
        index_stays.stay_key,
        'male' as variable_key,
        if(stays.sex = 'M', 1.0, 0.0) as value
    from risk.index_stays
    inner join cohort.stays using (stay_key)
    union all
    select
        index_stays.measure,
        index_stays.stay_key,
        'index_tha' as variable_key,
        if(joints.has_hip, 1.0, 0.0) as value
    from risk.index_stays
    inner join joints using (stay_key)
    union all
    select
        index_stays.measure,
        index_stays.stay_key,
        'two_procedures' as variable_key,
        if(joints.procedures = 2, 1.0, 0.0) as value
    from risk.index_stays
    inner join joints using (stay_key)
)

select
    found.measure,
    found.stay_key,
    found.variable_key,
    found.value
from found
semi join reference.risk_variables using (measure, variable_key)
where found.value <> 0
