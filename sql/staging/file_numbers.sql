-- Every source file with a number, in the order of their names. File and record of a code are kept as one integer, record_key: the
-- file's number times 2^40 plus the number of the record in it.
with

names as (
    select distinct source_file
    from intake.source_files
)

select
    cast(row_number() over (order by source_file) as bigint) as file_number,
    source_file
from names
order by file_number
