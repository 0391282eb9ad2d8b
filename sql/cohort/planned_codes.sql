-- The codes that occur with the lists of the planned readmission algorithm v4.0 that they are on, by CCS category or as single codes.
with

-- strict_2019 keeps of the potentially planned categories only those of the lists of 2013 to 2019, two of them whole.
lists as (
    select
        case list
            when 'potentially_planned_procedure_2019_only' then 'potentially_planned_procedure'
            else list
        end as list,
        code_system,
        code_prefix
    from reference.planned_admission_codes
    where (
        $planned_algorithm = 'v4_2022'
        and list <> 'potentially_planned_procedure_2019_only'
    )
    or (
        $planned_algorithm = 'strict_2019'
        and (
            list not in ('potentially_planned_procedure', 'potentially_planned_procedure_2019_only')
            or list = 'potentially_planned_procedure_2019_only'
            or note = 'in_2019_list'
            or code_system <> 'CCS_PCS'
        )
    )
),

by_category as (
    select
        lists.list,
        code_ccs.code_system,
        code_ccs.code
    from lists
    inner join cohort.code_ccs on lists.code_system = code_ccs.ccs_system and lists.code_prefix = code_ccs.ccs
),

by_code as (
    select
        lists.list,
        code_prefixes.code_system,
        code_prefixes.code
    from lists
    inner join cohort.code_prefixes using (code_system, code_prefix)
),

all_codes as (
    select * from by_category
    union
    select * from by_code
)

select
    list,
    code_system,
    code
from all_codes
order by list, code_system, code
