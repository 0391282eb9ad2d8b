-- Code and present-on-admission indicator of the diagnoses as they are written, each pair once, with the code that it means or its
-- fault. A nation's records have a few thousand pairs; each is looked at here, and nowhere else.
with

-- Diagnoses of a person's history come without an indicator.
written as (
    select
        code as code_text,
        poa as poa_text
    from intake.diagnoses
    group by code, poa
    union
    select
        code as code_text,
        cast(null as varchar) as poa_text
    from intake.history_diagnoses
    group by code
),

normalised as (
    select
        code_text,
        poa_text,
        upper(replace(trim(code_text), '.', '')) as code,
        nullif(upper(trim(poa_text)), '') as poa
    from written
),

judged as (
    select
        normalised.*,
        coalesce(poa_codes.is_present, $poa_missing_is_present) as present_on_admission,
        case
            when coalesce(normalised.code, '') = ''
                then ['code', 'blank', 'missing']
            when length(normalised.code) > 7
                then ['code', 'too long', 'not a diagnosis code']
            when length(normalised.code) < 3
                then ['code', 'too short', 'not a diagnosis code']
            when not regexp_full_match(normalised.code, '[0-9A-Z]+')
                then ['code', 'text', 'not a diagnosis code']
            when normalised.poa is not null and poa_codes.code is null
                then ['poa', 'unknown code', 'no such indicator']
        end as fault
    from normalised
    left join reference.poa_codes on normalised.poa = poa_codes.code
)

-- Spellings that mean the same have one key; the keys follow the order of codes and indicators.
select
    code_text,
    poa_text,
    case
        when fault is null then cast(dense_rank() over (order by fault is not null, code, poa nulls first) as integer)
    end as code_key,
    code,
    poa,
    present_on_admission,
    fault
from judged
order by code_key, code_text, poa_text
