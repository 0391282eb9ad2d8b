"""From scored admissions to forecasts: what is known of each hospital, laid out for `hrrp.outlook.forecast`.

The layout is also a table (result.forecast_inputs: one row per program year, hospital and measure), so that whoever asks a
what-if later, on the page or at the command line, starts from the same numbers and gets the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from hrrp.outlook.forecast import (
    Forecast,
    HospitalToDate,
    MeasureToDate,
    forecast_hospital,
    national_draws,
    own_draws,
    prior_from_history,
)
from hrrp.outlook.national import national_figures
from hrrp.outlook.projection import project_volume, share_elapsed
from hrrp.outlook.public_outlook import YEARLY_CORRELATION
from hrrp.program import MEASURES, Period, Reference

Row = tuple[int, str, str | None, str, float, float, float]

# Forecasts (hospitals times program years) from which compiling the draws pays.
WORTH_COMPILING = 500
# How far a hospital's DRG payment ratio still moves in relative terms from the start of a period to its end.
RATIO_CV = 0.06
# How far its dual proportion still moves, beyond sampling, over a whole period.
DUAL_WANDER = 0.01


@dataclass(frozen=True)
class Known:
    """What is known of all hospitals on the as-of date, as tables.

    `stays` has program_year, measure, ccn, stay_key, discharge_date, outcome, linear_predictor; `measures` is result.hospital_measures;
    `dual_proportions` has program_year, ccn, stays, dual_proportion; `annual_payments` is by CCN; `elsewhere` maps a measure to
    (share of readmissions that own data cannot see, its standard error).
    """

    hospitals: Sequence[str]
    years: Sequence[int]
    extract_end: date
    stays: pd.DataFrame
    measures: pd.DataFrame
    dual_proportions: pd.DataFrame
    annual_payments: Mapping[str, float]
    elsewhere: Mapping[str, tuple[float, float]]


def forecast_inputs(known: Known, reference: Reference) -> pd.DataFrame:
    """One row per program year, hospital and measure: everything that a forecast or a what-if starts from."""
    stays = known.stays.assign(day=pd.to_datetime(known.stays["discharge_date"]))
    of_year: dict[Any, pd.DataFrame] = dict(iter(stays.groupby(["program_year", "measure", "ccn"], sort=False)))
    # Volumes look back beyond the period: an admission that counts in several years is one admission.
    ever = stays.drop_duplicates(["measure", "stay_key"])
    history = dict(iter(ever.groupby(["measure", "ccn"], sort=False)))
    days = {key: _ordinals(table["day"]) for key, table in history.items()}
    first_known = ever["day"].min().date() if len(ever) else known.extract_end
    scored = {
        (row["program_year"], row["measure"], row["ccn"]): row for row in known.measures.to_dict(orient="records")
    }
    duals = {(row["program_year"], row["ccn"]): row for row in known.dual_proportions.to_dict(orient="records")}
    nothing, none = np.empty(0, dtype=np.int64), np.empty(0)
    rows = []
    for year in known.years:
        rates = reference.national_rates(year).value
        periods = reference.program_year(year).periods
        share = share_elapsed(periods, known.extract_end)
        for ccn in known.hospitals:
            proportion, error, dual_stays = _dual(duals, year, ccn, share)
            for measure in MEASURES:
                row = scored[year, measure, ccn]
                table = of_year.get((year, measure, ccn))
                unseen, unseen_se = known.elsewhere.get(measure, (0.0, 0.0))
                prior_mean, prior_variance = _prior(history.get((measure, ccn)), periods, float(row["tau2"]), unseen)
                volume = project_volume(days.get((measure, ccn), nothing), first_known, known.extract_end, periods)
                rows.append(
                    {
                        "program_year": year,
                        "ccn": ccn,
                        "measure": measure,
                        "linear_predictors": none if table is None else np.sort(table["linear_predictor"].to_numpy()),
                        "readmissions": row["readmissions"],
                        "pending": row["follow_up_incomplete"],
                        "future_mean": volume.mean,
                        "future_cv": volume.cv,
                        "volume_basis": volume.basis,
                        "tau2": row["tau2"],
                        "national_rate": rates[measure],
                        "drg_payment_ratio": row["drg_payment_ratio"],
                        "drg_payment_ratio_cv": RATIO_CV * float(np.sqrt(1.0 - share)),
                        "elsewhere_share": unseen,
                        "elsewhere_share_se": unseen_se,
                        "prior_mean": prior_mean,
                        "prior_variance": prior_variance,
                        "dual_proportion": proportion,
                        "dual_proportion_se": error,
                        "dual_stays": dual_stays,
                        "peer_group": row["peer_group"],
                        "annual_base_operating_payments": known.annual_payments.get(ccn, np.nan),
                        "share_of_period": share,
                    }
                )
    return pd.DataFrame(rows)


def _prior(
    history: pd.DataFrame | None, periods: tuple[Period, ...], tau2: float, unseen: float
) -> tuple[float, float]:
    """What the hospital's admissions before the period say of its true effect within it."""
    if history is None:
        return 0.0, tau2
    before = history[history["day"] < pd.Timestamp(periods[0].start)]
    if before.empty:
        return 0.0, tau2
    middle = periods[0].start + (periods[-1].end - periods[0].start) / 2
    average = date.fromordinal(round(float(_ordinals(before["day"]).mean())))
    years = (middle - average).days / 365.25
    rows = before["linear_predictor"].to_numpy(dtype=np.float64)
    readmissions = float(before["outcome"].sum()) / (1.0 - unseen)
    return prior_from_history(rows, readmissions, tau2, YEARLY_CORRELATION**years)


def hospital_to_date(rows: Sequence[Mapping[Any, Any]]) -> HospitalToDate:
    """The record of one hospital and program year from its six rows of `forecast_inputs`."""
    by_measure = {row["measure"]: row for row in rows}
    first = rows[0]
    return HospitalToDate(
        ccn=str(first["ccn"]),
        measures=tuple(_measure_to_date(by_measure[measure]) for measure in MEASURES),
        dual_proportion=float(first["dual_proportion"]),
        dual_proportion_se=float(first["dual_proportion_se"]),
        peer_group=None if pd.isna(first["peer_group"]) else int(first["peer_group"]),
        annual_payments=float(first["annual_base_operating_payments"]),
    )


def _measure_to_date(row: Mapping[Any, Any]) -> MeasureToDate:
    return MeasureToDate(
        linear_predictor=np.asarray(row["linear_predictors"], dtype=np.float64),
        readmissions=int(row["readmissions"]),
        pending=int(row["pending"]),
        **{
            # A review database of an earlier version has no record before the period.
            name: float(row.get(name, np.nan))
            for name in (
                "future_mean",
                "future_cv",
                "tau2",
                "national_rate",
                "drg_payment_ratio",
                "drg_payment_ratio_cv",
                "elsewhere_share",
                "elsewhere_share_se",
                "prior_mean",
                "prior_variance",
            )
        },
    )


def forecast_table(
    inputs: pd.DataFrame, reference: Reference, *, draws: int, seed: int, threads: int = 1
) -> pd.DataFrame:
    """The forecasts as a long table: program_year, ccn, measure (empty for the hospital), figure, low, median, high.

    Chances and shares stand under `median` alone. Reproducible from `seed`, whatever the number of threads.
    """
    shared = national_draws(draws, seed)
    by_hospital: dict[str, dict[int, list[Mapping[Any, Any]]]] = {}
    for row in inputs.to_dict(orient="records"):
        by_hospital.setdefault(str(row["ccn"]), {}).setdefault(int(row["program_year"]), []).append(row)
    kernel = _kernel(sum(len(years) for years in by_hospital.values()))
    nations = {int(year): national_figures(reference, int(year))[0] for year in inputs["program_year"].unique()}

    def of_hospital(ccn: str) -> list[Row]:
        own = own_draws(ccn, shared)
        rows = []
        for year, known in sorted(by_hospital[ccn].items()):
            forecast = forecast_hospital(hospital_to_date(known), nations[year], shared, own=own, kernel=kernel)
            rows += [(year, ccn, *figure) for figure in _figures(forecast)]
        return rows

    # numpy works outside the interpreter's lock, so threads are enough.
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(of_hospital, sorted(by_hospital)))
    columns = ["program_year", "ccn", "measure", "figure", "low", "median", "high"]
    # By year, and within it by hospital.
    rows = sorted((row for of_one in found for row in of_one), key=lambda row: row[0])
    return pd.DataFrame(rows, columns=columns)


def _kernel(forecasts: int) -> ModuleType | None:
    """The compiled kernel where there are enough forecasts for the seconds that compiling may take."""
    if forecasts < WORTH_COMPILING:
        return None
    from hrrp.model.compiled import progress_line
    from hrrp.outlook import forecast_kernel

    with progress_line("the forecast's kernel"):
        forecast_kernel.warm()
    return forecast_kernel


def _figures(forecast: Forecast) -> Iterator[tuple[str | None, str, float, float, float]]:
    """(measure, figure, low, median, high) of one forecast."""
    for k, measure in enumerate(MEASURES):
        for figure, quantiles in (
            ("err", forecast.err),
            ("cases", forecast.cases),
            ("contribution", forecast.contribution),
        ):
            low, median, high = quantiles[k].tolist()
            yield measure, figure, low, median, high
        yield measure, "chance_of_cases", np.nan, float(forecast.chance_of_cases[k]), np.nan
        yield measure, "chance_of_contribution", np.nan, float(forecast.chance_of_contribution[k]), np.nan
    low, median, high = forecast.reduction.tolist()
    yield None, "reduction", low, median, high
    for figure, value in (
        ("mean_reduction", forecast.mean_reduction),
        ("chance_of_penalty", forecast.chance_of_penalty),
        ("chance_of_cap", forecast.chance_of_cap),
        *((f"chance_of_group_{g}", float(chance)) for g, chance in enumerate(forecast.chance_of_group, 1)),
        *((f"spread: {source}", part) for source, part in forecast.spread.items()),
    ):
        yield None, figure, np.nan, value, np.nan


def _ordinals(days: pd.Series) -> np.ndarray:
    return np.array([day.toordinal() for day in days.dt.date], dtype=np.int64)


def _dual(
    duals: Mapping[tuple[int, str], Mapping[Any, Any]], year: int, ccn: str, share: float
) -> tuple[float, float, float]:
    """Dual proportion, its standard error at the end of the period, and the stays behind it.

    The year's own, else that of up to two years before; the standard error shrinks as the period fills up.
    """
    for known_year in (year, year - 1, year - 2):
        row = duals.get((known_year, ccn))
        if row is not None and pd.notna(row["dual_proportion"]):
            proportion = float(row["dual_proportion"])
            stays = float(row["stays"]) if pd.notna(row["stays"]) else np.nan
            remaining = 1.0 - share if known_year == year else 1.0
            sampling = proportion * (1.0 - proportion) / max(stays, 25.0) if np.isfinite(stays) else 0.0
            return proportion, float(np.sqrt(sampling * remaining + (DUAL_WANDER * remaining) ** 2)), stays
    return np.nan, 0.0, np.nan
