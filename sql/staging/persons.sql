-- Every usable person. Sex is M (1 or M), F (2 or F) or null where it is unknown.
-- watch: persons = count(*)
select
    cast(row_number() over (order by trim(persons.person_id)) as integer) as person_key,
    trim(persons.person_id) as person_id,
    try_cast(trim(persons.birth_date) as date) as birth_date,
    case upper(trim(persons.sex)) when '1' then 'M' when 'M' then 'M' when '2' then 'F' when 'F' then 'F' end as sex,
    try_cast(nullif(trim(persons.death_date), '') as date) as death_date
from intake.persons
anti join staging.person_faults using (source_file, row_number)
order by person_key
