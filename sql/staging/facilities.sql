-- Every CMS certification number (CCN) of the stays with the kind of facility that it stands for: positions 3 to 6 of the number
-- name the kind, and a letter among them marks a unit or a swing bed, which is not the acute hospital.
with

numbers as (
    select distinct upper(trim(ccn)) as ccn
    from intake.stays
    where trim(ccn) <> ''
),

-- A hospital that has merged into another is that other hospital, so successors count too.
all_numbers as (
    select ccn from numbers
    union
    select ccn from staging.hospital_successors
)

select
    all_numbers.ccn,
    coalesce(facility_types.facility_type, 'other') as facility_type,
    coalesce(facility_types.is_short_term_acute, false) as is_short_term_acute,
    coalesce(facility_types.is_cah, false) as is_cah
from all_numbers
left join reference.facility_types
    on
        try_cast(substr(all_numbers.ccn, 3) as integer) between facility_types.first_number and facility_types.last_number
        and regexp_full_match(substr(all_numbers.ccn, 3), '[0-9]+')
order by all_numbers.ccn
