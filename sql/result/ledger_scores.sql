-- Every forecast of the ledger whose figure CMS has published since: how far the middle of the forecast was off, and whether the
-- published figure lay in the 90 % range. Empty until a supplemental file or report of that year has been adopted.
-- watch: share_in_range = avg(in_range::integer)
-- watch: mean_absolute_error = avg(abs(error))
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
inner join reference.published_results as published
    on
        ledger.program_year = published.program_year
        and ledger.ccn = published.ccn
        and ledger.figure = published.figure
        and ledger.measure is not distinct from published.measure
order by ledger.program_year, ledger.ccn, ledger.measure nulls first, ledger.figure, ledger.as_of
