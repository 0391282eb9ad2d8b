-- What each code that occurs does to each risk variable, by the place where it stands: as the principal diagnosis of the index stay, as a
-- secondary one that was present on admission or was not, or in the history. 2: it sets the variable; 1: it does in the program years
-- with the present-on-admission rule on complications of care; 0: it is seen and does not count; null: it is not looked at there.
with

-- Condition categories: every diagnosis of the history, and every secondary diagnosis of the index stay (never the principal one). A
-- complication of care that stands on the index stay is dropped or, in the years with that rule, kept when it was present on admission.
by_category as (
    select
        measure,
        variable_key,
        'ICD10CM' as code_system,
        code,
        null as as_principal,
        if(only_complication_of_care, 1, 2) as as_secondary_present,
        if(only_complication_of_care, 0, 2) as as_secondary_absent,
        2 as in_history
    from risk.category_codes
),

-- Single codes, each in the place that the list names. index_principal, index_secondary_poa, index_any: the place says all, and the rule
-- on complications does not apply. any, any_secondary: on the index stay or before it. history: strictly before it. procedure_12m: a
-- procedure of the 12 months before.
by_code as (
    select
        variable_codes.measure,
        variable_codes.variable_key,
        variable_codes.code_system,
        variable_codes.code,
        case
            when variable_codes.place in ('index_principal', 'index_any', 'any') then 2
            when variable_codes.place = 'any_secondary' then 0
        end as as_principal,
        case
            when variable_codes.place in ('index_secondary_poa', 'index_any') then 2
            when variable_codes.place in ('any', 'any_secondary') then if(complication_codes.code is null, 2, 1)
        end as as_secondary_present,
        case
            when variable_codes.place = 'index_any' then 2
            when variable_codes.place in ('any', 'any_secondary') then if(complication_codes.code is null, 2, 0)
        end as as_secondary_absent,
        case when variable_codes.place in ('any', 'any_secondary', 'history', 'procedure_12m') then 2 end as in_history
    from risk.variable_codes
    left join risk.complication_codes using (code)
),

found as (
    select * from by_category
    union all
    select * from by_code
)

-- Where a category and a single code differ, the variable is set as soon as one of them sets it.
select
    variable_numbers.variable_number,
    found.code_system,
    found.code,
    cast(max(found.as_principal) as tinyint) as as_principal,
    cast(max(found.as_secondary_present) as tinyint) as as_secondary_present,
    cast(max(found.as_secondary_absent) as tinyint) as as_secondary_absent,
    cast(max(found.in_history) as tinyint) as in_history
from found
inner join risk.variable_numbers using (measure, variable_key)
group by variable_numbers.variable_number, found.code_system, found.code
order by all
