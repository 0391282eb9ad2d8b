-- Hospitals that merged or changed numbers: every predecessor's CCN with the CCN that its stays count under today, following
-- chains of changes that had taken effect by the as-of date.
with recursive

changes as (
    select
        upper(trim(hospital_successions.predecessor_ccn)) as predecessor_ccn,
        upper(trim(hospital_successions.successor_ccn)) as successor_ccn
    from reference.hospital_successions
    inner join intake.run on hospital_successions.effective_date <= run.as_of
),

-- A successor may itself have a successor; the numbers passed on the way are kept, so that a circle of changes ends.
steps as (
    select
        predecessor_ccn,
        successor_ccn,
        [predecessor_ccn, successor_ccn] as passed
    from changes
    union all
    select
        steps.predecessor_ccn,
        changes.successor_ccn,
        list_append(steps.passed, changes.successor_ccn) as passed
    from steps
    inner join changes on steps.successor_ccn = changes.predecessor_ccn
    where not list_contains(steps.passed, changes.successor_ccn)
)

-- The longest way leads to the number of today.
select
    predecessor_ccn as reported_ccn,
    arg_max(successor_ccn, len(passed)) as ccn
from steps
group by predecessor_ccn
order by predecessor_ccn
