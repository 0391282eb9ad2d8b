-- The hospital records that cannot be used, each with the first fault found.
with

typed as (
    select
        source_file,
        row_number,
        nullif(upper(trim(ccn)), '') as ccn,
        nullif(trim(annual_base_operating_payments), '') as payments_text,
        try_cast(trim(annual_base_operating_payments) as double) as payments,
        nullif(trim(peer_group), '') as peer_group_text,
        try_cast(trim(peer_group) as integer) as peer_group,
        nullif(trim(dual_proportion), '') as dual_text,
        try_cast(trim(dual_proportion) as double) as dual_proportion,
        nullif(trim(exempt), '') as exempt_text,
        try_cast(trim(exempt) as boolean) as exempt,
        nullif(replace(upper(excluded_quarters), ' ', ''), '') as quarters,
        [name, state, annual_base_operating_payments, peer_group, dual_proportion, exempt, excluded_quarters] as facts
    from intake.hospitals
),

form_faults as (
    select
        *,
        case
            when ccn is null then ['ccn', 'blank', 'missing']
            when length(ccn) > 6
                then ['ccn', 'too long', 'not a certification number']
            when length(ccn) < 6
                then ['ccn', 'too short', 'not a certification number']
            when not regexp_full_match(ccn, $ccn_pattern)
                then ['ccn', 'unknown code', 'not a certification number']
            when payments_text is not null and payments is null
                then ['annual_base_operating_payments', 'text', 'not a number']
            when payments < 0 or not isfinite(payments)
                then ['annual_base_operating_payments', 'number out of range', 'not an amount']
            when peer_group_text is not null and peer_group is null
                then ['peer_group', 'text', 'not a number']
            when peer_group not between 1 and 5
                then ['peer_group', 'number out of range', 'not 1 to 5']
            when dual_text is not null and dual_proportion is null
                then ['dual_proportion', 'text', 'not a number']
            when not (dual_proportion between 0 and 1)
                then ['dual_proportion', 'number out of range', 'not a fraction from 0 to 1']
            when exempt_text is not null and exempt is null
                then ['exempt', 'text', 'not true or false']
            when not regexp_full_match(quarters, '[0-9]{4}Q[1-4](;[0-9]{4}Q[1-4])*;?')
                then ['excluded_quarters', 'text', 'not quarters as 2024Q3;2024Q4']
        end as fault
    from typed
),

repeated as (
    select
        source_file,
        row_number,
        facts = first_value(facts) over one_hospital as is_duplicate
    from form_faults
    where fault is null
    window one_hospital as (partition by ccn order by source_file, row_number)
    qualify row_number() over one_hospital > 1
)

select
    source_file,
    row_number,
    fault[1] as column_name,
    fault[2] as value_class,
    fault[3] as reason
from form_faults
where fault is not null
union all
select
    source_file,
    row_number,
    'ccn' as column_name,
    'copy' as value_class,
    case when is_duplicate then 'duplicate' else 'hospital listed twice' end as reason
from repeated
