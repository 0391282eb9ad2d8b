"""The result of a run as one document: what `hrrp run --json` prints, and what the terminal's table is drawn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from hrrp.program import MEASURES
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse

MEASURE_FIGURES = (
    "eligible_discharges",
    "readmissions",
    "observed_rate",
    "predicted",
    "expected",
    "err",
    "reliability",
    "peer_group_median",
    "penalty_indicator",
    "drg_payment_ratio",
    "contribution",
    "follow_up_incomplete",
)


def result_document(path: Path, settings: Settings) -> dict[str, Any]:
    """Read the results in the DuckDB file at `path` (working or published) as plain values; unknown is None.

    Ratios are fractions, intervals [5 %, 95 %], chances 0 to 1; all six measures are always present.
    """
    with open_warehouse(path, settings, read_only=True) as warehouse:
        return _document(warehouse)


def _document(warehouse: Warehouse) -> dict[str, Any]:
    measures = warehouse.read("select * from result.hospital_measures")
    penalties = warehouse.read("select * from result.hospital_penalties order by program_year, ccn")
    notes = warehouse.rows("select program_year, note from result.notes order by program_year, position")
    by_place = {(row.program_year, row.ccn, row.measure): row for row in measures.itertuples()}
    years: dict[str, Any] = {}
    for year, table in penalties.groupby("program_year", sort=True):
        years[str(year)] = {
            "hospitals": [_hospital(row, by_place) for row in table.itertuples()],
            "notes": [note for note_year, note in notes if note_year == year],
        }
    ((as_of, extract_end),) = warehouse.rows("select as_of, extract_end from intake.run")
    return {"as_of": str(as_of), "extract_end": str(extract_end), "program_years": years}


def _hospital(row: Any, by_place: dict[Any, Any]) -> dict[str, Any]:
    return {
        "ccn": row.ccn,
        "name": _known(row.name),
        "state": _known(row.state),
        "exempt": bool(row.exempt),
        "share_of_period": row.share_of_period,
        "paf": _known(row.paf),
        "paf_median": _known(row.paf_median),
        "paf_interval": [_known(row.paf_low), _known(row.paf_high)],
        "payment_reduction": _known(row.payment_reduction),
        "payment_reduction_median": _known(row.payment_reduction_median),
        "chance_of_penalty": _known(row.chance_of_penalty),
        "chance_of_cap": _known(row.chance_of_cap),
        "penalty_usd": _known(row.penalty_usd),
        "penalty_usd_median": _known(row.penalty_usd_median),
        "penalty_usd_interval": [_known(row.penalty_usd_low), _known(row.penalty_usd_high)],
        "dual_proportion": _known(row.dual_proportion),
        "peer_group": _known(row.peer_group),
        "neutrality_modifier": _known(row.neutrality_modifier),
        "measures": {measure: _measure(by_place.get((row.program_year, row.ccn, measure))) for measure in MEASURES},
    }


def _measure(row: Any) -> dict[str, Any]:
    figures: dict[str, Any] = {name: _known(getattr(row, name, None)) for name in MEASURE_FIGURES}
    figures["err_interval"] = [_known(getattr(row, "err_low", None)), _known(getattr(row, "err_high", None))]
    return figures


def _known(value: Any) -> Any:
    return None if value is None or pd.isna(value) else value
