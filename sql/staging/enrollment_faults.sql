-- The enrollment records that cannot be used, each with the first fault found: faults of form, a person that is not in the persons
-- file, a month that stands there already.
with

-- Read afresh wherever it is used: kept whole it would not fit into memory for a nation's stays.
typed as not materialized (
    select
        source_file,
        row_number,
        nullif(trim(person_id), '') as person_id,
        nullif(trim(month), '') as month_text,
        case when trim(month) like '____-__%' then try_cast(left(trim(month), 7) || '-01' as date) end as month,
        [trim(part_a), trim(part_b), trim(ffs), trim(ma)] as flag_texts,
        try_cast(trim(part_a) as boolean) as part_a,
        try_cast(trim(part_b) as boolean) as part_b,
        try_cast(trim(ffs) as boolean) as ffs,
        try_cast(trim(ma) as boolean) as ma,
        [trim(part_a), trim(part_b), trim(ffs), trim(ma), trim(dual_code)] as facts
    from intake.enrollment
),

records as not materialized (
    select
        *,
        case
            when person_id is null then ['person_id', 'blank', 'missing']
            when month_text is null then ['month', 'blank', 'missing']
            when month is null and regexp_full_match(month_text, '[0-9]{4}-[0-9]{2}.*')
                then ['month', 'impossible date', 'not a month']
            when month is null then ['month', 'text', 'not a month']
            when part_a is null
                then ['part_a', if(coalesce(flag_texts[1], '') = '', 'blank', 'text'), 'not true or false']
            when part_b is null
                then ['part_b', if(coalesce(flag_texts[2], '') = '', 'blank', 'text'), 'not true or false']
            when ffs is null
                then ['ffs', if(coalesce(flag_texts[3], '') = '', 'blank', 'text'), 'not true or false']
            when ma is null
                then ['ma', if(coalesce(flag_texts[4], '') = '', 'blank', 'text'), 'not true or false']
        end as fault
    from typed
),

unknown_persons as (
    select
        records.source_file,
        records.row_number
    from records
    anti join staging.persons using (person_id)
    where records.fault is null
),

-- In most persons' files every month stands once; only the others need a closer look.
crowded as (
    select person_id
    from records
    where fault is null
    group by person_id
    having count(*) <> bit_count(bit_or(1::ubigint << ((year(month) * 12 + month(month)) % 64)::integer))
),

repeated as (
    select
        records.source_file,
        records.row_number,
        records.facts = first_value(records.facts) over one_month as is_duplicate
    from records
    semi join crowded using (person_id)
    semi join staging.persons using (person_id)
    where records.fault is null
    window one_month as (partition by records.person_id, records.month order by records.source_file, records.row_number)
    qualify row_number() over one_month > 1
)

select
    source_file,
    row_number,
    fault[1] as column_name,
    fault[2] as value_class,
    fault[3] as reason
from records
where fault is not null
union all
select
    source_file,
    row_number,
    'person_id' as column_name,
    'unknown code' as value_class,
    'person not in persons' as reason
from unknown_persons
union all
select
    source_file,
    row_number,
    'month' as column_name,
    'copy' as value_class,
    case when is_duplicate then 'duplicate' else 'month listed twice' end as reason
from repeated
