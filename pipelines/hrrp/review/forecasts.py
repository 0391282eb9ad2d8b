"""The forecast of one hospital as a document, and the ledger of earlier forecasts with how good they were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from hrrp.program import MEASURES
from hrrp.warehouse import Warehouse


def forecast_document(warehouse: Warehouse, program_year: int, ccn: str) -> dict[str, Any]:
    """One hospital and program year: the penalty as a distribution, its measures, what carries the spread, the notes."""
    place = {"year": program_year, "ccn": ccn}
    rows = warehouse.rows(
        "select measure, figure, low, median, high from result.forecasts where program_year = $year and ccn = $ccn",
        place,
    )
    (penalty,) = warehouse.records(
        "select * from result.hospital_penalties where program_year = $year and ccn = $ccn", place
    )
    to_date = {
        row["measure"]: row
        for row in warehouse.records(
            "select * from result.hospital_measures where program_year = $year and ccn = $ccn", place
        )
    }
    notes = [
        note
        for (note,) in warehouse.rows(
            "select note from result.notes where program_year = $year order by position", {"year": program_year}
        )
    ]
    return forecast_from(program_year, ccn, rows, penalty, to_date, notes)


def forecast_from(
    program_year: int,
    ccn: str,
    rows: Iterable[Sequence[Any]],
    penalty: Mapping[str, Any],
    to_date: Mapping[str, Mapping[str, Any]],
    notes: list[str],
) -> dict[str, Any]:
    """`forecast_document` from rows already read: of result.forecasts (measure, figure, low, median, high), of
    result.hospital_penalties, and of result.hospital_measures by measure."""
    figures = {(measure, figure): (low, median, high) for measure, figure, low, median, high in rows}
    return {
        "program_year": program_year,
        "ccn": ccn,
        "name": known(penalty["name"]),
        "exempt": bool(penalty["exempt"]),
        "share_of_period": penalty["share_of_period"],
        "paf": known(penalty["paf"]),
        "paf_median": known(penalty["paf_median"]),
        "paf_interval": [known(penalty["paf_low"]), known(penalty["paf_high"])],
        "payment_reduction_median": known(penalty["payment_reduction_median"]),
        "payment_reduction_interval": [
            known(penalty["payment_reduction_low"]),
            known(penalty["payment_reduction_high"]),
        ],
        "penalty_usd_median": known(penalty["penalty_usd_median"]),
        "penalty_usd_interval": [known(penalty["penalty_usd_low"]), known(penalty["penalty_usd_high"])],
        "chance_of_penalty": known(penalty["chance_of_penalty"]),
        "chance_of_cap": known(penalty["chance_of_cap"]),
        "chance_of_peer_group": {
            str(group): known(figures[None, f"chance_of_group_{group}"][1]) for group in range(1, 6)
        },
        "spread": {
            figure.removeprefix("spread: "): known(values[1])
            for (measure, figure), values in figures.items()
            if measure is None and figure.startswith("spread: ")
        },
        "measures": {
            measure: {
                "eligible_discharges": known(to_date[measure]["eligible_discharges"]),
                "readmissions": known(to_date[measure]["readmissions"]),
                "err": known(to_date[measure]["err"]),
                "peer_group_median": known(to_date[measure]["peer_group_median"]),
                "reliability": known(to_date[measure]["reliability"]),
                "err_median": known(figures[measure, "err"][1]),
                "err_interval": [known(figures[measure, "err"][0]), known(figures[measure, "err"][2])],
                "cases_median": known(figures[measure, "cases"][1]),
                "cases_interval": [known(figures[measure, "cases"][0]), known(figures[measure, "cases"][2])],
                "chance_of_25_cases": known(figures[measure, "chance_of_cases"][1]),
                "contribution_median": known(figures[measure, "contribution"][1]),
                "contribution_interval": [
                    known(figures[measure, "contribution"][0]),
                    known(figures[measure, "contribution"][2]),
                ],
                "chance_of_contribution": known(figures[measure, "chance_of_contribution"][1]),
            }
            for measure in MEASURES
        },
        "notes": notes,
    }


def history_document(warehouse: Warehouse, program_year: int, ccn: str) -> dict[str, Any]:
    """How the forecasts of one hospital and program year moved, as-of date by as-of date, and how good they were.

    `published` is what CMS printed in the end, by figure (err by measure), empty until a supplemental file of that year is adopted.
    `score` then holds, over all forecasts of this hospital and year, the mean absolute error of the median by figure, the share of
    published figures inside the 90 % range, and the Brier score of the chance of a penalty.
    """
    place = {"year": program_year, "ccn": ccn}
    nights: dict[str, dict[str, Any]] = {}
    for as_of, measure, figure, low, median, high in warehouse.rows(
        "select as_of, measure, figure, low, median, high from result.forecast_ledger "
        "where program_year = $year and ccn = $ccn order by as_of, measure nulls first, figure",
        place,
    ):
        night = nights.setdefault(str(as_of), {"as_of": str(as_of), "measures": {}})
        if figure == "reduction":
            night["payment_reduction_median"] = known(median)
            night["payment_reduction_interval"] = [known(low), known(high)]
        elif figure == "chance_of_penalty":
            night["chance_of_penalty"] = known(median)
        else:
            night["measures"][measure] = {"err_median": known(median), "err_interval": [known(low), known(high)]}
    scores = warehouse.read(
        "select measure, figure, published, error, in_range from result.ledger_scores "
        "where program_year = $year and ccn = $ccn",
        place,
    )
    return {
        "program_year": program_year,
        "ccn": ccn,
        "nights": list(nights.values()),
        "published": {
            (figure if measure is None or pd.isna(measure) else f"{figure} {measure}"): float(value)
            for measure, figure, value in zip(scores["measure"], scores["figure"], scores["published"], strict=True)
        },
        "score": _score(scores),
    }


def _score(scores: pd.DataFrame) -> dict[str, Any] | None:
    if scores.empty:
        return None
    errors, chance = scores["error"].abs(), scores["figure"] == "chance_of_penalty"
    ranged = scores["in_range"].dropna().astype(bool)
    return {
        "forecasts": len(scores),
        "mean_absolute_error": {
            str(figure): float(errors[scores["figure"] == figure].mean())
            for figure in ("reduction", "err")
            if (scores["figure"] == figure).any()
        },
        "share_in_90_percent_range": known(float(ranged.mean())) if len(ranged) else None,
        "brier_score": float((errors[chance] ** 2).mean()) if chance.any() else None,
    }


def known(value: Any) -> Any:
    """The value, or None where it is missing."""
    if isinstance(value, float):
        return None if value != value else value
    return None if value is None or pd.isna(value) else value
