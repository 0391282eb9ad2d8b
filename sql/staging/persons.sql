-- Every usable person. Sex is M (1 or M), F (2 or F) or null where it is unknown.
-- watch: persons = count(*)
with

-- In the order of their names in the extract, so that a person has the same key in every run.
usable as (
    select
        trim(persons.person_id) as person_id,
        try_cast(trim(persons.birth_date) as date) as birth_date,
        case upper(trim(persons.sex)) when '1' then 'M' when 'M' then 'M' when '2' then 'F' when 'F' then 'F' end as sex,
        try_cast(nullif(trim(persons.death_date), '') as date) as death_date,
        (file_numbers.file_number << 40) + persons.row_number as person_record_key
    from intake.persons
    inner join staging.file_numbers on persons.source_file = file_numbers.source_file
    anti join staging.person_faults
        on
            persons.row_number = person_faults.row_number
            and persons.source_file = person_faults.source_file
    order by person_id
)

-- Rows keep their order, so that they need not be sorted once more to be numbered.
select
    cast(row_number() over () as integer) as person_key,
    person_id,
    birth_date,
    sex,
    death_date,
    person_record_key
from usable
