-- Why rows of the extract could not be used: how many of each file and reason, without their place.
select
    source_file,
    canonical_file,
    column_name,
    value_class,
    reason,
    count(*) as rows_rejected
from staging.rejects
group by all
order by all
