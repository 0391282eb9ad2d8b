-- Every diagnosis code that the records have, with each present-on-admission indicator beside it. Present on admission: Y, W, 1 or
-- blank is present, N and U are not; where the feed has no indicator at all, everything is present.
select distinct
    code_key,
    code,
    poa,
    present_on_admission
from staging.diagnosis_spellings
where fault is null
order by code_key
