"""The ledger: every night's forecast, kept, so that it can be held against what CMS published in the end."""

from __future__ import annotations

import pandas as pd

from hrrp.program import Reference
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse

COLUMNS = ["as_of", "program_year", "ccn", "measure", "figure", "low", "median", "high"]

TONIGHT = """
select
    run.as_of,
    forecasts.program_year,
    forecasts.ccn,
    forecasts.measure,
    forecasts.figure,
    forecasts.low,
    forecasts.median,
    forecasts.high
from result.forecasts as forecasts
cross join intake.run as run
where forecasts.figure in ('reduction', 'chance_of_penalty', 'err')
"""


def forecast_ledger(warehouse: Warehouse, settings: Settings, reference: Reference) -> pd.DataFrame:
    """The ledger of the last good run with tonight's forecasts added; a second run on the same as-of date replaces its own."""
    tonight = warehouse.read(TONIGHT)
    earlier = _earlier(settings)
    if not earlier.empty:
        known = set(zip(tonight["as_of"], tonight["program_year"], strict=True))
        kept = [place not in known for place in zip(earlier["as_of"], earlier["program_year"], strict=True)]
        tonight = pd.concat([earlier[kept], tonight], ignore_index=True)
    return tonight.sort_values(COLUMNS[:5], na_position="first", ignore_index=True)


def _earlier(settings: Settings) -> pd.DataFrame:
    path = settings.out / "hrrp.duckdb"
    if not path.is_file():
        return pd.DataFrame(columns=COLUMNS)
    with open_warehouse(path, settings, read_only=True) as last:
        if "result.forecast_ledger" not in last.tables():
            return pd.DataFrame(columns=COLUMNS)
        return last.read("select * from result.forecast_ledger")
