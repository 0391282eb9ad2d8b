-- The risk factors that single codes set, each in the place that the code list names: on the index stay, in its history, or on either.
-- Whether a factor counts in every year depends on the rule on complications of care.
with

-- index_principal, index_secondary_poa, index_any: the place says all, and the rule on complications does not apply.
on_index_stay as (
    select
        index_stays.measure,
        index_stays.stay_key,
        variable_codes.variable_key,
        'always' as counts
    from risk.index_stays
    inner join risk.index_codes using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and index_codes.code = variable_codes.code
            and variable_codes.code_system = 'ICD10CM'
    where
        (variable_codes.place = 'index_principal' and index_codes.is_principal)
        or (variable_codes.place = 'index_secondary_poa' and index_codes.is_secondary_on_admission)
        or variable_codes.place = 'index_any'
),

-- any: the principal diagnosis of the index stay ...
on_index_stay_or_before_as_principal as (
    select
        index_stays.measure,
        index_stays.stay_key,
        variable_codes.variable_key,
        'always' as counts
    from risk.index_stays
    inner join risk.index_codes using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and index_codes.code = variable_codes.code
            and variable_codes.code_system = 'ICD10CM'
    where
        variable_codes.place = 'any'
        and index_codes.is_principal
),

-- ... any and any_secondary: a secondary diagnosis of the index stay, where it is not dropped as a complication of care ...
on_index_stay_or_before_as_secondary as (
    select
        index_stays.measure,
        index_stays.stay_key,
        variable_codes.variable_key,
        case
            when complication_codes.code is null then 'always'
            when index_codes.is_secondary_on_admission then 'if_present_on_admission'
            else 'never'
        end as counts
    from risk.index_stays
    inner join risk.index_codes using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and index_codes.code = variable_codes.code
            and variable_codes.code_system = 'ICD10CM'
    left join risk.complication_codes on index_codes.code = complication_codes.code
    where
        variable_codes.place in ('any', 'any_secondary')
        and index_codes.is_secondary
),

-- ... or the history. history: strictly before the index stay, which itself never counts.
in_history as (
    select
        index_stays.measure,
        index_stays.stay_key,
        variable_codes.variable_key,
        'always' as counts
    from risk.index_stays
    inner join risk.history_codes using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and history_codes.code = variable_codes.code
            and variable_codes.code_system = 'ICD10CM'
    where variable_codes.place in ('any', 'any_secondary', 'history')
),

-- procedure_12m: a procedure of the 12 months before.
in_history_procedures as (
    select
        index_stays.measure,
        index_stays.stay_key,
        variable_codes.variable_key,
        'always' as counts
    from risk.index_stays
    inner join risk.history_procedure_codes using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and history_procedure_codes.code = variable_codes.code
            and variable_codes.code_system = 'ICD10PCS'
    where variable_codes.place = 'procedure_12m'
),

found as (
    select * from on_index_stay
    union all
    select * from on_index_stay_or_before_as_principal
    union all
    select * from on_index_stay_or_before_as_secondary
    union all
    select * from in_history
    union all
    select * from in_history_procedures
)

select
    measure,
    stay_key,
    variable_key,
    bool_or(counts = 'always') as counts_always
from found
where counts <> 'never'
group by measure, stay_key, variable_key
