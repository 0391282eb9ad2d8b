-- Every Medicare stay at an ordinary acute hospital that is discharged within an applicable period of this run, whatever its
-- diagnosis: what the dual proportion and the DRG payment ratio are taken from. Quarters under an exception are dropped.
select
    applicable_periods.program_year,
    stays.stay_key,
    stays.person_key,
    stays.ccn,
    stays.payer,
    stays.discharge_date,
    stays.ended,
    stays.death_date,
    stays.base_operating_drg_amount
from cohort.stays
inner join reference.applicable_periods
    on stays.discharge_date between applicable_periods.start_date and applicable_periods.end_date
semi join intake.run_program_years using (program_year)
anti join staging.excluded_quarters
    on
        stays.discharge_date between excluded_quarters.quarter_start and excluded_quarters.quarter_end
        and excluded_quarters.ccn in (stays.ccn, stays.former_ccn)
where
    stays.is_index_hospital
    -- Where the extract names no payer at all, every stay counts as Medicare.
    and coalesce(stays.payer, 'FFS') in ('FFS', 'MA')
