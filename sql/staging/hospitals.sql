-- Every usable hospital of the hospitals file.
select
    upper(trim(hospitals.ccn)) as ccn,
    nullif(trim(hospitals.name), '') as name,
    nullif(upper(trim(hospitals.state)), '') as state,
    try_cast(trim(hospitals.annual_base_operating_payments) as double) as annual_base_operating_payments,
    try_cast(trim(hospitals.peer_group) as integer) as peer_group,
    try_cast(trim(hospitals.dual_proportion) as double) as dual_proportion,
    coalesce(try_cast(trim(hospitals.exempt) as boolean), false) as exempt
from intake.hospitals
anti join staging.hospital_faults using (source_file, row_number)
order by ccn
