-- The risk factors that condition categories set: from the history, and from secondary diagnoses of the index stay (never the
-- principal one), with how each was found, so that the rule on complications of care can be applied by program year.
with

from_history as (
    select
        index_stays.measure,
        index_stays.stay_key,
        category_codes.variable_key,
        'always' as counts
    from risk.index_stays
    inner join risk.history_codes using (stay_key)
    inner join risk.category_codes
        on
            index_stays.measure = category_codes.measure
            and history_codes.code = category_codes.code
),

-- A complication of care that stands on the index stay only is dropped or, in the years with the present-on-admission rule, kept
-- when it was present on admission.
from_index_stay as (
    select
        index_stays.measure,
        index_stays.stay_key,
        category_codes.variable_key,
        case
            when not category_codes.only_complication_of_care then 'always'
            when index_codes.is_secondary_on_admission then 'if_present_on_admission'
            else 'never'
        end as counts
    from risk.index_stays
    inner join risk.index_codes using (stay_key)
    inner join risk.category_codes
        on
            index_stays.measure = category_codes.measure
            and index_codes.code = category_codes.code
    where index_codes.is_secondary
),

found as (
    select * from from_history
    union all
    select * from from_index_stay
    where counts <> 'never'
)

select
    measure,
    stay_key,
    variable_key,
    bool_or(counts = 'always') as counts_always
from found
group by measure, stay_key, variable_key
