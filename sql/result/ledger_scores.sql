-- Every forecast of the ledger whose figure CMS has published since: how far the middle of the forecast was off, and whether the
-- published figure lay in the 90 % range. Published by the supplemental file that was adopted (hrrp public --adopt) or by the site's own
-- Hospital-Specific Report (setting hsr). Empty until one of that year has arrived.
-- watch: share_in_range = avg(in_range::integer)
-- watch: mean_absolute_error = avg(abs(error))
with

-- The report's reduction is the hospital's, the same in the row of every measure; a chance turns out to be 1 or 0.
in_report as (
    select
        program_year,
        ccn,
        measure,
        'err' as figure,
        err as value,
        source
    from result.report_measures
    where err is not null
    union all
    select distinct
        program_year,
        ccn,
        null as measure,
        'reduction' as figure,
        payment_reduction as value,
        source
    from result.report_measures
    where payment_reduction is not null
    union all
    select distinct
        program_year,
        ccn,
        null as measure,
        'chance_of_penalty' as figure,
        case when payment_reduction > 0 then 1 else 0 end as value,
        source
    from result.report_measures
    where payment_reduction is not null
),

-- Where both have a figure the hospital's own report counts: the supplemental file is printed with fewer digits.
published as (
    select *
    from in_report
    union all
    select
        supplemental.program_year,
        supplemental.ccn,
        supplemental.measure,
        supplemental.figure,
        supplemental.value,
        supplemental.source
    from reference.published_results as supplemental
    left join in_report
        on
            supplemental.program_year = in_report.program_year
            and supplemental.ccn = in_report.ccn
            and supplemental.figure = in_report.figure
            and supplemental.measure is not distinct from in_report.measure
    where in_report.ccn is null
)

select
    ledger.as_of,
    ledger.program_year,
    ledger.ccn,
    ledger.measure,
    ledger.figure,
    ledger.low,
    ledger.median,
    ledger.high,
    published.value as published,
    published.source,
    ledger.median - published.value as error,
    case when ledger.low is not null then published.value between ledger.low and ledger.high end as in_range
from result.forecast_ledger as ledger
inner join published
    on
        ledger.program_year = published.program_year
        and ledger.ccn = published.ccn
        and ledger.figure = published.figure
        and ledger.measure is not distinct from published.measure
order by ledger.program_year, ledger.ccn, ledger.measure nulls first, ledger.figure, ledger.as_of
