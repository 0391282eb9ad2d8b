-- The records of diagnosis history that cannot be used, each with the first fault found: faults of form, a person that is not in the
-- persons file, a record that stands there already.
with

-- Read afresh wherever it is used: kept whole it would not fit into memory for a nation's stays.
typed as not materialized (
    select
        source_file,
        row_number,
        person_id,
        cast(service_date as varchar) as date_text,
        as_date(service_date) as service_date,
        code as code_text,
        lower(source) as source
    from intake.history_diagnoses
),

-- The codes are judged where they are written, once each.
records as not materialized (
    select
        typed.*,
        diagnosis_spellings.code_key,
        case
            when typed.person_id is null then ['person_id', 'blank', 'missing']
            when typed.date_text is null then ['service_date', 'blank', 'missing']
            when typed.service_date is null and regexp_full_match(typed.date_text, '[0-9]{4}-[0-9]{2}-[0-9]{2}.*')
                then ['service_date', 'impossible date', 'not a date']
            when typed.service_date is null
                then ['service_date', 'text', 'not a date']
            else diagnosis_spellings.fault
        end as fault
    from typed
    inner join staging.diagnosis_spellings
        on
            typed.code_text is not distinct from diagnosis_spellings.code_text
            and diagnosis_spellings.poa_text is null
),

-- Most records are sound, of a known person, and stand there once, so that no other has their fingerprint; only the others need a
-- closer look.
suspects as (
    select hash(records.person_id, records.service_date, records.code_key, records.source) as fingerprint
    from records
    left join staging.persons using (person_id)
    group by fingerprint
    having
        count(*) > 1
        or bool_or(records.service_date is null or records.code_key is null or persons.person_id is null)
),

looked_at as materialized (
    select records.*
    from records
    semi join suspects
        on hash(records.person_id, records.service_date, records.code_key, records.source) = suspects.fingerprint
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
        looked_at.row_number
    from looked_at
    semi join staging.persons using (person_id)
    where looked_at.fault is null
    qualify
        row_number() over (
            partition by looked_at.person_id, looked_at.service_date, looked_at.code_key, looked_at.source
            order by looked_at.source_file, looked_at.row_number
        ) > 1
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
    'code' as column_name,
    'copy' as value_class,
    'duplicate' as reason
from repeated
