"""From scored admissions to forecasts: what is known of each hospital, laid out for `hrrp.outlook.forecast`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from hrrp.outlook.forecast import (
    Draws,
    Forecast,
    HospitalToDate,
    MeasureToDate,
    National,
    forecast_hospital,
    national_draws,
)
from hrrp.outlook.national import national_figures
from hrrp.outlook.projection import project_volume, share_elapsed
from hrrp.program import MEASURES, Reference

# Where a hospital's payments are unknown its DRG payment ratio is too; the forecast then has no money in it.
RATIO_CV = 0.06


@dataclass(frozen=True)
class HospitalYearInputs:
    """Everything a forecast needs, as tables.

    `stays` has program_year, measure, ccn, discharge_date, outcome, linear_predictor; `measures` is result.hospital_measures;
    `dual_proportions` has program_year, ccn, stays, dual_proportion; `annual_payments` is aligned with `hospitals`; `tau2` is by
    (program year, measure). `elsewhere` maps a measure to (share of readmissions that own data cannot see, standard error).
    """

    hospitals: Sequence[str]
    years: Sequence[int]
    extract_end: date
    stays: pd.DataFrame
    measures: pd.DataFrame
    dual_proportions: pd.DataFrame
    annual_payments: np.ndarray
    tau2: dict[tuple[int, str], float]
    elsewhere: dict[str, tuple[float, float]] | None = None


@dataclass(frozen=True)
class HospitalForecast(Forecast):
    """A forecast, with the share of the applicable period that has passed and what it stood on."""

    share_of_period: float = 0.0
    inputs: HospitalToDate | None = None
    volume_basis: tuple[str, ...] = ()


def forecast_years(
    inputs: HospitalYearInputs, reference: Reference, *, draws: int, seed: int
) -> dict[tuple[int, str], HospitalForecast]:
    """A forecast for each program year and hospital, by (program year, CCN). Reproducible from `seed`."""
    shared = national_draws(draws, seed)
    stays = inputs.stays.assign(day=pd.to_datetime(inputs.stays["discharge_date"]))
    known: dict[Any, pd.DataFrame] = dict(iter(stays.groupby(["program_year", "measure", "ccn"], sort=False)))
    # Volumes look back beyond the period: an admission that counts in several years is one admission.
    ever = stays.drop_duplicates(["measure", "ccn", "day", "linear_predictor"])
    days = {key: _ordinals(table["day"]) for key, table in ever.groupby(["measure", "ccn"], sort=False)}
    first_known = ever["day"].min().date() if len(ever) else inputs.extract_end
    rows = {(row["program_year"], row["measure"], row["ccn"]): row for row in inputs.measures.to_dict(orient="records")}
    duals = {(row["program_year"], row["ccn"]): row for row in inputs.dual_proportions.to_dict(orient="records")}
    forecasts = {}
    for year in inputs.years:
        national, _ = national_figures(reference, year)
        rates = reference.national_rates(year).value
        periods = reference.program_year(year).periods
        share = share_elapsed(periods, inputs.extract_end)
        for position, ccn in enumerate(inputs.hospitals):
            measures, bases = [], []
            for measure in MEASURES:
                row = rows[year, measure, ccn]
                table = known.get((year, measure, ccn))
                volume = project_volume(
                    days.get((measure, ccn), np.empty(0, dtype=np.int64)), first_known, inputs.extract_end, periods
                )
                bases.append(volume.basis)
                unseen, unseen_se = (inputs.elsewhere or {}).get(measure, (0.0, 0.0))
                measures.append(
                    MeasureToDate(
                        linear_predictor=(
                            table["linear_predictor"].to_numpy(np.float64) if table is not None else np.empty(0)
                        ),
                        readmissions=int(row["readmissions"]),
                        pending=int(row["follow_up_incomplete"]),
                        future_mean=volume.mean,
                        future_cv=volume.cv,
                        tau2=inputs.tau2[year, measure],
                        national_rate=rates[measure],
                        drg_payment_ratio=float(row["drg_payment_ratio"]),
                        drg_payment_ratio_cv=RATIO_CV * np.sqrt(1.0 - share) if share < 1.0 else 0.0,
                        elsewhere_share=unseen,
                        elsewhere_share_se=unseen_se,
                    )
                )
            proportion, error = _dual(duals, year, ccn, share)
            group = rows[year, MEASURES[0], ccn]["peer_group"]
            hospital = HospitalToDate(
                ccn=ccn,
                measures=tuple(measures),
                dual_proportion=proportion,
                dual_proportion_se=error,
                peer_group=int(group) if pd.notna(group) else None,
                annual_payments=float(inputs.annual_payments[position]),
            )
            forecasts[year, ccn] = _with_inputs(hospital, national, shared, share, tuple(bases))
    return forecasts


def _with_inputs(
    hospital: HospitalToDate, national: National, shared: Draws, share: float, bases: tuple[str, ...]
) -> HospitalForecast:
    plain = forecast_hospital(hospital, national, shared)
    return HospitalForecast(**vars(plain), share_of_period=share, inputs=hospital, volume_basis=bases)


def _ordinals(days: pd.Series) -> np.ndarray:
    return np.array([day.toordinal() for day in days.dt.date], dtype=np.int64)


def _dual(duals: Mapping[tuple[int, str], Mapping[Any, Any]], year: int, ccn: str, share: float) -> tuple[float, float]:
    """Dual proportion of the year, else of the year before; its standard error shrinks as the period fills up."""
    for known_year in (year, year - 1, year - 2):
        row = duals.get((known_year, ccn))
        if row is not None:
            proportion, stays = float(row["dual_proportion"]), float(row["stays"])
            if np.isfinite(proportion):
                remaining = 1.0 - share if known_year == year else 1.0
                sampling = proportion * (1.0 - proportion) / max(stays, 25.0) if np.isfinite(stays) else 0.0
                return proportion, float(np.sqrt(sampling * remaining + (0.01 * remaining) ** 2))
    return np.nan, 0.0
