-- The calendar quarters that CMS drops from a hospital's calculation because of an extraordinary circumstances exception (ECE).
with

listed as (
    select
        upper(trim(hospitals.ccn)) as ccn,
        unnest(string_split(replace(upper(hospitals.excluded_quarters), ' ', ''), ';')) as quarter
    from intake.hospitals
    anti join staging.hospital_faults using (source_file, row_number)
),

starts as (
    select distinct
        ccn,
        make_date(cast(left(quarter, 4) as integer), 3 * cast(right(quarter, 1) as integer) - 2, 1) as quarter_start
    from listed
    where quarter <> ''
)

select
    ccn,
    quarter_start,
    cast(quarter_start + interval 3 months - interval 1 day as date) as quarter_end
from starts
order by ccn, quarter_start
