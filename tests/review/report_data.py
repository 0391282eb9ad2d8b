"""A published review database of one invented hospital, small enough to know every figure of it.

FY2028 to FY2030 overlap; in FY2029 AMI has 8 readmissions (small), CABG 8 discharges (small), the other measures show all.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit

from hrrp.orchestration.python_tables import PYTHON_TABLES
from hrrp.outlook.assembly import forecast_table
from hrrp.penalty.factor import contributions, payment_reduction
from hrrp.program import MEASURES, Reference
from hrrp.settings import Settings
from hrrp.warehouse import open_warehouse

CCN, NAME = "980001", "Café & Søn <Memorial> Hospital"
YEARS = (2028, 2029, 2030)
AS_OF, EXTRACT_END = date(2026, 11, 1), date(2026, 10, 31)
GROUP, DUAL, STAYS, PAYMENTS, RATIO = 2, 317, 2113, 61_234_567.0, 0.0731
# Eligible discharges, readmissions and ERR to date, by measure, of the middle year; the others are multiples of it.
TO_DATE = {
    "AMI": (64, 8, 1.0312345678901234),
    "COPD": (213, 42, 1.0123456789012345),
    "HF": (412, 91, 1.0523456789012346),
    "PN": (389, 55, 0.9612345678901235),
    "CABG": (8, 0, 0.9912345678901236),
    "THA_TKA": (271, 13, 0.9412345678901237),
}
SCALE = {2028: 3, 2029: 2, 2030: 1}
TAU2 = {"AMI": 0.0228, "COPD": 0.0165, "HF": 0.0191, "PN": 0.0187, "CABG": 0.03, "THA_TKA": 0.0741}
RATE = {"AMI": 0.13, "COPD": 0.19, "HF": 0.2, "PN": 0.16, "CABG": 0.11, "THA_TKA": 0.045}
FLOW = {"payer": 61, "died_in_hospital": 44, "enrollment_before": 3, "transferred_out": 17, "prior_30_days": 5}


def counts(year: int, measure: str) -> tuple[int, int]:
    """Eligible discharges and readmissions: those of the middle year scaled by how much of the period is over."""
    cases, readmissions, _ = TO_DATE[measure]
    return cases * SCALE[year] // 2, readmissions * SCALE[year] // 2


def publish(out: Path, *, exempt: bool = False, payments: float | None = PAYMENTS, published: bool = True) -> Settings:
    """Lay `review.duckdb` of the hospital into `out`; returns the settings that find it."""
    settings = Settings(out=out, site_reference=out / "site", draws=200)
    reference = Reference(settings.site_reference)
    columns = {table.name: table.columns for table in PYTHON_TABLES}
    measures, inputs, penalties = [], [], []
    for year in YEARS:
        medians = reference.peer_group_medians(year).value
        modifier = reference.neutrality_modifier(year).value
        ratio = RATIO if payments else float("nan")
        of_year = []
        for measure in MEASURES:
            cases, readmissions = counts(year, measure)
            err, median = TO_DATE[measure][2], medians[GROUP, measure]
            (part,) = contributions([err], [median], [ratio], [cases], modifier)
            of_year.append(float(part) if payments else float("nan"))
            place = {"program_year": year, "ccn": CCN, "measure": measure}
            measures.append(
                place
                | {
                    "eligible_discharges": cases,
                    "readmissions": readmissions,
                    "observed_rate": readmissions / cases,
                    "predicted": RATE[measure] * err,
                    "expected": RATE[measure],
                    "err": err,
                    "tau2": TAU2[measure],
                    "peer_group": GROUP,
                    "peer_group_median": median,
                    "neutrality_modifier": modifier,
                    "penalty_indicator": cases >= 25 and err > median,
                    "drg_payment_ratio": ratio,
                    "contribution": of_year[-1],
                }
            )
            inputs.append(
                place
                | {
                    "linear_predictors": np.full(cases, float(logit(RATE[measure]))),
                    "readmissions": readmissions,
                    "pending": 0,
                    "future_mean": 0.5 * cases,
                    "future_cv": 0.1,
                    "volume_basis": "history",
                    "tau2": TAU2[measure],
                    "national_rate": RATE[measure],
                    "drg_payment_ratio": ratio,
                    "drg_payment_ratio_cv": 0.05,
                    "elsewhere_share": 0.0,
                    "elsewhere_share_se": 0.0,
                    "prior_mean": 0.0,
                    "prior_variance": TAU2[measure],
                    "dual_proportion": DUAL / STAYS,
                    "dual_proportion_se": 0.001,
                    "dual_stays": DUAL,
                    "peer_group": GROUP,
                    "annual_base_operating_payments": payments or float("nan"),
                    "share_of_period": 0.3 * SCALE[year],
                }
            )
        reduction = float(payment_reduction(of_year, 0.03)) if payments else float("nan")
        penalties.append(_penalty(year, 0.0 if exempt else reduction, modifier, payments, exempt))
    forecasts = forecast_table(pd.DataFrame(inputs), reference, draws=settings.draws, seed=settings.seed)
    for penalty in penalties:
        _at_end(penalty, forecasts, payments)
    flow = [
        {"program_year": year, "measure": measure, "ccn": CCN, "first_reason": reason, "stays": stays}
        for year in YEARS
        for measure in MEASURES
        for reason, stays in ({"included": counts(year, measure)[0]} | FLOW).items()
    ]
    notes = [
        "FY2029 peer group medians not published: FY2027's used (last published)",
        "FY2029 risk model of AMI not published: FY2025's used (last published)",
        "excluded_quarter: hospitals.excluded_quarters missing",
    ]
    with open_warehouse(out / "review.duckdb", settings) as warehouse:
        warehouse.load_reference(reference)
        for name, rows in (
            ("result.hospital_measures", measures),
            ("result.forecast_inputs", inputs),
            ("result.forecasts", forecasts),
        ):
            warehouse.write(name, pd.DataFrame(rows), columns[name])
        _write(
            warehouse, "result.hospital_penalties", penalties, {"name": "varchar", "state": "varchar", "ccn": "varchar"}
        )
        _write(warehouse, "cohort.measure_counts", flow, {})
        _write(
            warehouse,
            "intake.run",
            [{"as_of": AS_OF, "extract_end": EXTRACT_END}],
            {"as_of": "date", "extract_end": "date"},
        )
        _write(warehouse, "intake.source_files", [{"source_file": "stays.csv"}], {})
        duals = [
            {"program_year": year, "ccn": CCN, "dual_stays": DUAL * SCALE[year], "stays": STAYS * SCALE[year]}
            for year in YEARS
        ]
        _write(warehouse, "payment.dual_proportions", duals, {})
        listed = [
            {"program_year": year, "position": k, "note": note}
            for year in YEARS
            for k, note in enumerate(notes, start=1)
        ]
        _write(warehouse, "result.notes", listed, {})
        if published:
            figures = [(None, "reduction", 0.0043), ("HF", "err", 1.0444), ("HF", "eligible_discharges", 401.0)]
            _write(
                warehouse,
                "reference.published_results",
                [
                    {"program_year": 2027, "ccn": CCN, "measure": m, "figure": f, "value": v, "source": "FY2027 file"}
                    for m, f, v in figures
                ],
                {},
            )
    return settings


def _write(warehouse: object, name: str, rows: list[dict[str, object]], types: dict[str, str]) -> None:
    frame = pd.DataFrame(rows)
    kinds = {"int64": "integer", "float64": "double", "bool": "boolean"}
    found = {column: types.get(column, kinds.get(str(kind), "varchar")) for column, kind in frame.dtypes.items()}
    warehouse.write(name, frame, found)  # type: ignore[attr-defined]


def _penalty(year: int, reduction: float, modifier: float, payments: float | None, exempt: bool) -> dict[str, object]:
    return {
        "program_year": year,
        "ccn": CCN,
        "name": NAME,
        "state": "DC",
        "exempt": exempt,
        "share_of_period": 0.3 * SCALE[year],
        "dual_proportion": DUAL / STAYS,
        "peer_group": GROUP,
        "neutrality_modifier": modifier,
        "payment_reduction": reduction,
        "paf": 1.0 - reduction,
        "penalty_usd": float("nan") if payments is None else payments * reduction,
        "annual_base_operating_payments": float("nan") if payments is None else payments,
    }


def _at_end(penalty: dict[str, object], forecasts: pd.DataFrame, payments: float | None) -> None:
    of_year = forecasts[(forecasts["program_year"] == penalty["program_year"]) & forecasts["measure"].isna()]
    figures = of_year.set_index("figure")
    for part in ("low", "median", "high"):
        value = float(figures.loc["reduction", part])
        penalty[f"payment_reduction_{part}"] = value
        penalty[f"penalty_usd_{part}"] = float("nan") if payments is None else payments * value
    penalty["paf_low"], penalty["paf_median"], penalty["paf_high"] = (
        1.0 - float(figures.loc["reduction", part]) for part in ("high", "median", "low")
    )
    for name in ("chance_of_penalty", "chance_of_cap"):
        penalty[name] = float(figures.loc[name, "median"])
