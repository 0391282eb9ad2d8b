"""How long the forecast takes: one hospital and three program years, and the nation; before that, the projection of volumes.

    python benchmarks/bench_outlook.py [--hospitals 3000] [--threads 2] [--draws 10000]

Hospitals are invented, with sizes like the nation's: the number of index admissions of a measure is log-normal with a median of 150 and
a ninth decile of 540. Prints times (wall clock and processor), the machine with its load, and the versions.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from datetime import date

import numpy as np
import pandas as pd
import scipy

from hrrp.outlook.assembly import forecast_table, hospital_to_date
from hrrp.outlook.forecast import forecast_hospital, national_draws
from hrrp.outlook.national import national_figures
from hrrp.outlook.projection import AdmissionHistory
from hrrp.program import MEASURES, Reference

YEARS = {2028: 1.0, 2029: 0.68, 2030: 0.18}


def inputs(hospitals: int, seed: int = 1) -> pd.DataFrame:
    """A table like result.forecast_inputs for `hospitals` invented hospitals and three program years."""
    rng = np.random.default_rng(seed)
    reference = Reference()
    rows = []
    for year, share in YEARS.items():
        rates = reference.national_rates(year).value
        for number in range(hospitals):
            dual = rng.uniform(0.05, 0.5)
            for measure in MEASURES:
                whole, rate = rng.lognormal(np.log(150), 1.0), rates[measure]
                known = round(whole * share)
                rows.append(
                    {
                        "program_year": year,
                        "ccn": f"{number:06d}",
                        "measure": measure,
                        "linear_predictors": np.sort(rng.normal(np.log(rate / (1 - rate)), 0.5, known)),
                        "readmissions": rng.binomial(known, rate),
                        "pending": round(whole / 24) if share < 1 else 0,
                        "future_mean": whole * (1 - share),
                        "future_cv": 0.1,
                        "tau2": reference.between_hospital_variance(measure)[0],
                        "national_rate": rate,
                        "drg_payment_ratio": 0.03,
                        "drg_payment_ratio_cv": 0.06 * (1 - share) ** 0.5,
                        "elsewhere_share": 0.2,
                        "elsewhere_share_se": 0.02,
                        "prior_mean": 0.0,
                        "prior_variance": 0.01,
                        "dual_proportion": dual,
                        "dual_proportion_se": 0.01,
                        "peer_group": None,
                        "annual_base_operating_payments": 50e6,
                    }
                )
    return pd.DataFrame(rows)


def volumes(series: int, seed: int = 1) -> str:
    """Project `series` series of 28 months for the three program years; those with enough admissions by regression."""
    rng = np.random.default_rng(seed)
    first, last = date(2024, 7, 1), date(2026, 10, 31)
    days = (last - first).days + 1
    histories = [
        AdmissionHistory(first.toordinal() + np.sort(rng.integers(0, days, round(whole * days / 730))), first, last)
        for whole in rng.lognormal(np.log(150), 1.0, series)
    ]
    periods = [Reference().program_year(year).periods for year in YEARS]
    histories[0].project(periods[0])  # importing statsmodels takes a second, once
    started, processor = time.perf_counter(), time.process_time()
    for history in histories:
        for period in periods:
            history.project(period)
    took, worked = time.perf_counter() - started, time.process_time() - processor
    fitted = sum(history.trend_and_season is not None for history in histories)
    return f"volumes of {series:,} series ({fitted:,} by regression), three years: {took:.1f} s, {worked:.1f} s of processor time"


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--hospitals", type=int, default=3000)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--draws", type=int, default=10_000)
    given = arguments.parse_args()
    reference = Reference()
    table = inputs(given.hospitals)

    one = table[table["ccn"] == "000000"]
    started = time.perf_counter()
    shared = national_draws(given.draws, 1)
    for year, rows in one.groupby("program_year"):
        nation, _ = national_figures(reference, int(str(year)))
        forecast_hospital(hospital_to_date(rows.to_dict(orient="records")), nation, shared)
    print(f"one hospital, three years, {given.draws:,} draws: {time.perf_counter() - started:.3f} s")

    started, processor = time.perf_counter(), time.process_time()
    result = forecast_table(table, reference, draws=given.draws, seed=1, threads=given.threads)
    took, worked = time.perf_counter() - started, time.process_time() - processor
    print(
        f"{given.hospitals:,} hospitals, three years, {given.threads} thread(s): {took:.1f} s, {worked:.1f} s of processor time, "
        f"{took / given.hospitals / len(YEARS) * 1e3:.1f} ms a hospital and year; {len(result):,} rows"
    )
    print(volumes(given.hospitals * len(MEASURES)))
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} processors, load over 1, 5 and 15 minutes {load}")
    print(
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    )


if __name__ == "__main__":
    main()
