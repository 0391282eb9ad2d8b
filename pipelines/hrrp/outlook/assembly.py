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
from numpy.typing import NDArray

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
from hrrp.outlook.projection import AdmissionHistory, share_elapsed
from hrrp.outlook.public_outlook import YEARLY_CORRELATION
from hrrp.program import MEASURES, Period, Reference

Row = tuple[int, str, str | None, str, float, float, float]

# The ordinal (date.toordinal) of the day that numpy counts days from.
EPOCH = date(1970, 1, 1).toordinal()
# Forecasts (hospitals times program years) from which compiling the draws pays.
WORTH_COMPILING = 500
# How far a hospital's DRG payment ratio still moves in relative terms from the start of a period to its end.
RATIO_CV = 0.06
# How far its dual proportion still moves, beyond sampling, over a whole period.
DUAL_WANDER = 0.01
# From this share of a period on its stays so far tell how many it will have.
ENOUGH_OF_A_PERIOD = 0.1


@dataclass(frozen=True)
class Known:
    """What is known of all hospitals on the as-of date, as tables.

    `last_known` is the last day whose discharges are known; `stays` has program_year, measure, ccn, stay_key, discharge_date, outcome,
    linear_predictor; `measures` is result.hospital_measures; `dual_proportions` has program_year, ccn, stays, dual_proportion;
    `annual_payments` is by CCN; `elsewhere` maps a measure to (share of readmissions that own data cannot see, its standard error).
    """

    hospitals: Sequence[str]
    years: Sequence[int]
    last_known: date
    stays: pd.DataFrame
    measures: pd.DataFrame
    dual_proportions: pd.DataFrame
    annual_payments: Mapping[str, float]
    elsewhere: Mapping[str, tuple[float, float]]


def forecast_inputs(known: Known, reference: Reference) -> pd.DataFrame:
    """One row per program year, hospital and measure: everything that a forecast or a what-if starts from."""
    stays = known.stays
    of_year = _admissions(stays, ["program_year", "measure", "ccn"])
    # Volumes and earlier results look back beyond the period: an admission that counts in several years is one admission. Years that
    # count Medicare Advantage have more of them than years that do not, so each kind of year has a history of its own.
    counts_advantage = {year: reference.program_year(year).medicare_advantage for year in known.years}
    histories = {
        kind: _Histories(stays[stays["program_year"].map(counts_advantage) == kind], known.last_known)
        for kind in set(counts_advantage.values())
    }
    scored = {
        (row["program_year"], row["measure"], row["ccn"]): row for row in known.measures.to_dict(orient="records")
    }
    duals = {(row["program_year"], row["ccn"]): row for row in known.dual_proportions.to_dict(orient="records")}
    none = np.empty(0)
    ratios: dict[tuple[str, str], float] = {}
    shares: dict[int, float] = {}
    rows = []
    for year in sorted(known.years):
        history = histories[counts_advantage[year]]
        rates = reference.national_rates(year).value
        periods = reference.program_year(year).periods
        share = shares[year] = share_elapsed(periods, known.last_known)
        for ccn in known.hospitals:
            proportion, error, dual_stays = _dual(duals, year, ccn, shares)
            for measure in MEASURES:
                row = scored[year, measure, ccn]
                own = of_year.get((year, measure, ccn))
                unseen, unseen_se = known.elsewhere.get(measure, (0.0, 0.0))
                prior_mean, prior_variance = _prior(
                    history.known.get((measure, ccn)), periods, float(row["tau2"]), unseen
                )
                volume = history.volumes(measure, ccn).project(periods)
                ratio = ratios[ccn, measure] = _blended(
                    float(row["drg_payment_ratio"]), ratios.get((ccn, measure), np.nan), share
                )
                rows.append(
                    {
                        "program_year": year,
                        "ccn": ccn,
                        "measure": measure,
                        "linear_predictors": none if own is None else np.sort(own.linear_predictor),
                        "readmissions": row["readmissions"],
                        "pending": row["follow_up_incomplete"],
                        "future_mean": volume.mean,
                        "future_cv": volume.cv,
                        "volume_basis": volume.basis,
                        "tau2": row["tau2"],
                        "national_rate": rates[measure],
                        "drg_payment_ratio": ratio,
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


@dataclass(frozen=True)
class _Admissions:
    """Known index admissions of one place, by day: ordinal of the discharge day, linear predictor, whether readmitted."""

    day: NDArray[np.int64]
    linear_predictor: NDArray[np.float64]
    readmitted: NDArray[np.bool_]


def _admissions(stays: pd.DataFrame, keys: list[str]) -> dict[tuple[Any, ...], _Admissions]:
    """The stays by the values of `keys`. Arrays and slices of them: a nation has tens of thousands of places."""
    if stays.empty:
        return {}
    place = stays.groupby(keys, sort=False).ngroup().to_numpy()
    day = stays["discharge_date"].to_numpy().astype("datetime64[D]").astype(np.int64) + EPOCH
    order = np.lexsort((day, place))
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    ends = np.append(starts[1:], order.size)
    names = zip(*(stays[key].to_numpy()[order[starts]] for key in keys), strict=True)
    day, predictor = day[order], stays["linear_predictor"].to_numpy(dtype=np.float64)[order]
    readmitted = stays["outcome"].to_numpy(dtype=np.bool_)[order]
    return {
        name: _Admissions(day[first:last], predictor[first:last], readmitted[first:last])
        for name, first, last in zip(names, starts, ends, strict=True)
    }


class _Histories:
    """The known index admissions of every measure and hospital, each once, over all program years of one kind."""

    def __init__(self, stays: pd.DataFrame, last_known: date) -> None:
        self.known = _admissions(stays.drop_duplicates(["measure", "stay_key"]), ["measure", "ccn"])
        self.last_known = last_known
        first = min((int(each.day[0]) for each in self.known.values()), default=last_known.toordinal())
        self.first_known = date.fromordinal(min(first, last_known.toordinal()))
        self._volumes: dict[tuple[str, str], AdmissionHistory] = {}

    def volumes(self, measure: str, ccn: str) -> AdmissionHistory:
        """One history for all program years, so that trend and season are fitted once."""
        place = (measure, ccn)
        if place not in self._volumes:
            days = self.known[place].day if place in self.known else np.empty(0, dtype=np.int64)
            self._volumes[place] = AdmissionHistory(days, self.first_known, self.last_known)
        return self._volumes[place]


def _blended(own: float, year_before: float, share: float) -> float:
    """What a ratio will be at the end of the period: the part that is over as it was, the rest as the program year before has it."""
    if np.isnan(own) or np.isnan(year_before):
        return own if np.isnan(year_before) else year_before
    return share * own + (1.0 - share) * year_before


def _prior(history: _Admissions | None, periods: tuple[Period, ...], tau2: float, unseen: float) -> tuple[float, float]:
    """What the hospital's admissions before the period say of its true effect within it."""
    before = 0 if history is None else int(np.searchsorted(history.day, periods[0].start.toordinal()))
    if history is None or not before:
        return 0.0, tau2
    middle = periods[0].start + (periods[-1].end - periods[0].start) / 2
    average = date.fromordinal(round(float(history.day[:before].mean())))
    years = (middle - average).days / 365.25
    readmissions = float(history.readmitted[:before].sum()) / (1.0 - unseen)
    return prior_from_history(history.linear_predictor[:before], readmissions, tau2, YEARLY_CORRELATION**years)


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


def _dual(
    duals: Mapping[tuple[int, str], Mapping[Any, Any]], year: int, ccn: str, shares: Mapping[int, float]
) -> tuple[float, float, float]:
    """Dual proportion at the end of the period, its standard error, and the stays that it will be a share of.

    The part of the period that is over as it was; the rest as in the program year before (or two before). The error shrinks as the
    period fills up. `shares` are the shares of the periods that are over.
    """
    share = shares[year]
    proportion, stays = _dual_of(duals.get((year, ccn)))
    before, stays_before, earlier = np.nan, np.nan, year
    for earlier in (year - 1, year - 2):
        before, stays_before = _dual_of(duals.get((earlier, ccn)))
        if not np.isnan(before):
            break
    expected = _blended(proportion, before, share)
    if np.isnan(expected):
        return np.nan, 0.0, np.nan
    remaining = 1.0 if np.isnan(proportion) else 1.0 - share
    behind = np.nanmax([stays, stays_before, 0.0])
    # A proportion without stays behind it was given; it has no sampling error.
    sampling = expected * (1.0 - expected) / max(behind, 25.0) if behind > 0.0 else 0.0
    error = float(np.sqrt(sampling * remaining + (DUAL_WANDER * remaining) ** 2))
    for counted, over in ((stays, share), (stays_before, shares.get(earlier, 0.0))):
        if over >= ENOUGH_OF_A_PERIOD and counted > 0.0:
            return expected, error, float(counted / over)
    return expected, error, np.nan


def _dual_of(row: Mapping[Any, Any] | None) -> tuple[float, float]:
    """Dual proportion and stays of a program year so far; NaN where unknown."""
    if row is None or pd.isna(row["dual_proportion"]):
        return np.nan, np.nan
    return float(row["dual_proportion"]), float(row["stays"])
