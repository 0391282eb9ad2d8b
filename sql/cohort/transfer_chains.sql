-- Transfer chains: a chain is a run of transfer pairs. One row for each stay and each later stay of its chain.
with recursive

chains as (
    select
        from_stay_key as stay_key,
        to_stay_key as later_stay_key
    from cohort.transfer_pairs
    union
    select
        chains.stay_key,
        transfer_pairs.to_stay_key as later_stay_key
    from chains
    inner join cohort.transfer_pairs on chains.later_stay_key = transfer_pairs.from_stay_key
)

select
    stay_key,
    later_stay_key
from chains
order by stay_key, later_stay_key
