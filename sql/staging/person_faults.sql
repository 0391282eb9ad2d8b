-- The person records that cannot be used, each with the first fault found. An unknown sex is no fault here: it makes the person's
-- stays implausible as index admissions.
with

typed as not materialized (
    select
        source_file,
        row_number,
        nullif(trim(person_id), '') as person_id,
        nullif(trim(birth_date), '') as birth_text,
        nullif(trim(death_date), '') as death_text,
        upper(trim(sex)) as sex,
        case when trim(birth_date) like '____-__-__%' then try_cast(trim(birth_date) as date) end as birth_date,
        case when trim(death_date) like '____-__-__%' then try_cast(trim(death_date) as date) end as death_date
    from intake.persons
),

form_faults as not materialized (
    select
        source_file,
        row_number,
        person_id,
        case
            when person_id is null then ['person_id', 'blank', 'missing']
            when birth_text is null then ['birth_date', 'blank', 'missing']
            when birth_date is null and regexp_full_match(birth_text, '[0-9]{4}-[0-9]{2}-[0-9]{2}.*')
                then ['birth_date', 'impossible date', 'not a date']
            when birth_date is null then ['birth_date', 'text', 'not a date']
            when death_date is null and regexp_full_match(death_text, '[0-9]{4}-[0-9]{2}-[0-9]{2}.*')
                then ['death_date', 'impossible date', 'not a date']
            when death_text is not null and death_date is null
                then ['death_date', 'text', 'not a date']
            when death_date < birth_date
                then ['death_date', 'impossible date', 'before the birth date']
        end as fault,
        [birth_text, death_text, sex] as facts
    from typed
),

-- Most persons stand in the file once, without a fault of form; only the others need a closer look.
suspects as (
    select person_id
    from form_faults
    group by person_id
    having
        count(*) > 1
        or count(fault) > 0
),

looked_at as materialized (
    select form_faults.*
    from form_faults
    semi join suspects on form_faults.person_id is not distinct from suspects.person_id
),

-- A person who stands in the file twice: the same facts again are a duplicate, other facts contradict the first record.
repeated as (
    select
        source_file,
        row_number,
        facts = first_value(facts) over first_record as is_duplicate
    from looked_at
    where fault is null
    window first_record as (partition by person_id order by source_file, row_number)
    qualify row_number() over first_record > 1
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
    'copy' as value_class,
    case when is_duplicate then 'duplicate' else 'person listed twice' end as reason
from repeated
