-- The risk factors that single codes set, each in the place that the code list names: on the index stay, in its history, or on either.
with

on_index_stay as (
    select
        index_stays.measure,
        index_stays.stay_key,
        variable_codes.variable_key
    from risk.index_stays
    inner join risk.index_codes using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and index_codes.code = variable_codes.code
            and variable_codes.code_system = 'ICD10CM'
    -- index_principal: the principal diagnosis of the index stay.
    where (variable_codes.place = 'index_principal' and index_codes.is_principal)
    -- index_secondary_poa: a secondary diagnosis of the index stay that was present on admission.
    or (variable_codes.place = 'index_secondary_poa' and index_codes.is_secondary_on_admission)
    -- any_secondary: a secondary diagnosis of the index stay, or the history.
    or (variable_codes.place = 'any_secondary' and index_codes.is_secondary)
    -- index_any and any: any diagnosis of the index stay; any is the history too.
    or variable_codes.place in ('index_any', 'any')
),

in_history as (
    select
        index_stays.measure,
        index_stays.stay_key,
        variable_codes.variable_key
    from risk.index_stays
    inner join risk.history_codes using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and history_codes.code = variable_codes.code
            and variable_codes.code_system = 'ICD10CM'
    -- history: before the index stay only.
    where variable_codes.place in ('any_secondary', 'any', 'history')
),

-- procedure_12m: a procedure of the 12 months before.
in_history_procedures as (
    select
        index_stays.measure,
        index_stays.stay_key,
        variable_codes.variable_key
    from risk.index_stays
    inner join risk.history_procedure_codes using (stay_key)
    inner join risk.variable_codes
        on
            index_stays.measure = variable_codes.measure
            and history_procedure_codes.code = variable_codes.code
            and variable_codes.code_system = 'ICD10PCS'
    where variable_codes.place = 'procedure_12m'
)

select * from on_index_stay
union
select * from in_history
union
select * from in_history_procedures
