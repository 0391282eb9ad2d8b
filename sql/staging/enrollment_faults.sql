-- The enrollment records that cannot be used, each with the first fault found: faults of form, a person that is not in the persons
-- file, a month that stands there already.
with

-- In most persons' files every record is sound and every month stands once; only the others need a closer look.
suspects as (
    select person_key
    from staging.enrollment_counts
    group by person_key
    having
        person_key is null
        or sum(records) is distinct from bit_count(
            bit_or(month_bits) filter (where part_a is not null and part_b is not null and ffs is not null and ma is not null)
        )
),

typed as not materialized (
    select
        enrollment.source_file,
        enrollment.row_number,
        persons.person_key,
        nullif(trim(enrollment.person_id), '') as person_id,
        nullif(trim(enrollment.month), '') as month_text,
        as_month(enrollment.month) as month_number,
        enrollment.part_a,
        enrollment.part_b,
        enrollment.ffs,
        enrollment.ma,
        [
            trim(enrollment.part_a),
            trim(enrollment.part_b),
            trim(enrollment.ffs),
            trim(enrollment.ma),
            trim(enrollment.dual_code)
        ] as facts
    from intake.enrollment
    left join staging.persons on trim(enrollment.person_id) = persons.person_id
),

looked_at as materialized (
    select
        typed.*,
        case
            when typed.person_id is null then ['person_id', 'blank', 'missing']
            when typed.month_text is null then ['month', 'blank', 'missing']
            when typed.month_number is null and regexp_full_match(typed.month_text, '[0-9]{4}-[0-9]{2}.*')
                then ['month', 'impossible date', 'not a month']
            when typed.month_number is null then ['month', 'text', 'not a month']
            when as_flag(typed.part_a) is null
                then ['part_a', if(coalesce(ltrim(typed.part_a), '') = '', 'blank', 'text'), 'not true or false']
            when as_flag(typed.part_b) is null
                then ['part_b', if(coalesce(ltrim(typed.part_b), '') = '', 'blank', 'text'), 'not true or false']
            when as_flag(typed.ffs) is null
                then ['ffs', if(coalesce(ltrim(typed.ffs), '') = '', 'blank', 'text'), 'not true or false']
            when as_flag(typed.ma) is null
                then ['ma', if(coalesce(ltrim(typed.ma), '') = '', 'blank', 'text'), 'not true or false']
            when typed.person_key is null then ['person_id', 'unknown code', 'person not in persons']
        end as fault
    from typed
    semi join suspects on typed.person_key is not distinct from suspects.person_key
),

repeated as (
    select
        source_file,
        row_number,
        facts = first_value(facts) over one_month as is_duplicate
    from looked_at
    where fault is null
    window one_month as (partition by person_key, month_number order by source_file, row_number)
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
    'month' as column_name,
    'copy' as value_class,
    case when is_duplicate then 'duplicate' else 'month listed twice' end as reason
from repeated
