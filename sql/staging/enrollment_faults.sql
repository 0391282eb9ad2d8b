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
        part_a as part_a_text,
        part_b as part_b_text,
        ffs as ffs_text,
        ma as ma_text,
        as_flag(part_a) as part_a,
        as_flag(part_b) as part_b,
        as_flag(ffs) as ffs,
        as_flag(ma) as ma,
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
                then ['part_a', if(coalesce(ltrim(part_a_text), '') = '', 'blank', 'text'), 'not true or false']
            when part_b is null
                then ['part_b', if(coalesce(ltrim(part_b_text), '') = '', 'blank', 'text'), 'not true or false']
            when ffs is null
                then ['ffs', if(coalesce(ltrim(ffs_text), '') = '', 'blank', 'text'), 'not true or false']
            when ma is null
                then ['ma', if(coalesce(ltrim(ma_text), '') = '', 'blank', 'text'), 'not true or false']
        end as fault
    from typed
),

-- In most persons' files every record is sound, every month stands once, and the person is known; only the others need a closer look.
suspects as (
    select months.person_id
    from (
        select
            person_id,
            count(*) as records,
            bit_count(
                bit_or(case when fault is null then 1::ubigint << ((year(month) * 12 + month(month)) % 64)::integer end)
            ) as months
        from records
        group by person_id
    ) as months
    left join staging.persons using (person_id)
    where
        months.records is distinct from months.months
        or persons.person_id is null
),

looked_at as materialized (
    select records.*
    from records
    semi join suspects on records.person_id is not distinct from suspects.person_id
),

unknown_persons as (
    select
        looked_at.source_file,
        looked_at.row_number
    from looked_at
    anti join staging.persons using (person_id)
    where looked_at.fault is null
),

repeated as (
    select
        looked_at.source_file,
        looked_at.row_number,
        looked_at.facts = first_value(looked_at.facts) over one_month as is_duplicate
    from looked_at
    semi join staging.persons using (person_id)
    where looked_at.fault is null
    window
        one_month as (
            partition by looked_at.person_id, looked_at.month order by looked_at.source_file, looked_at.row_number
        )
    qualify row_number() over one_month > 1
)

select
    source_file,
    row_number,
    fault[1] as column_name,
    fault[2] as value_class,
    fault[3] as reason
from looked_at
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
