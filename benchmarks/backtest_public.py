"""The outlook from public files, held against what CMS published a year later.

    python benchmarks/backtest_public.py FOLDER [--draws 2000] [--figure docs/img/outlook_backtest_public.svg]

FOLDER holds fy2024_pdc_hrrp_hospital.csv and fy2025_hrrp_supplemental.csv. The FY2024 Provider Data Catalog file and the figures published
up to FY2024 predict every FY2025 excess readmission ratio and payment reduction. Two things were public in 2024 but are not in that
file, and are taken from the FY2025 file for every method alike: DRG payment ratios and peer groups. Nothing else of FY2025 is used.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrrp.intake.provider_data import ProviderData, read_provider_data
from hrrp.intake.supplemental import read_supplemental
from hrrp.outlook.forecast import National, national_draws
from hrrp.outlook.national import yearly_spread
from hrrp.outlook.public_outlook import (
    EARLIER_VOLUME,
    YEARLY_CORRELATION,
    PrintedFigures,
    PublicOutlook,
    compare_periods,
    forecast_public,
    variances_from_print,
)
from hrrp.penalty.factor import contributions, payment_reduction
from hrrp.penalty.peer_groups import peer_group_medians
from hrrp.program import MEASURES, Reference
from hrrp.program.supplemental_file import SupplementalFile

Floats = NDArray[np.float64]
KNOWN, PREDICTED = 2024, 2025
SIZES = (0, 25, 50, 100, 200, 400, np.inf)


@dataclass(frozen=True)
class Backtest:
    """`known` what was printed for FY2024; `actual_err` and `actual_cases` (H, 6), `actual_reduction` (H,) those of FY2025."""

    known: PrintedFigures
    national: National
    tau2: Floats
    actual_err: Floats
    actual_cases: Floats
    actual_reduction: Floats
    outlook: PublicOutlook


def run(folder: Path, draws: int = 2000, seed: int = 1, threads: int = 2, **periods: Any) -> Backtest:
    """Predict FY2025 from FY2024; `periods` are handed on to `compare_periods`."""
    reference = Reference()
    then = read_provider_data(folder / "fy2024_pdc_hrrp_hospital.csv", reference)
    later = read_supplemental(folder / "fy2025_hrrp_supplemental.csv", PREDICTED, reference)
    known = _printed(then, later)
    national = _as_known(known, reference)
    tau2 = variances_from_print(known)
    share = compare_periods(reference.program_year(KNOWN).periods, reference.program_year(PREDICTED).periods, **periods)
    outlook = forecast_public(known, share, national, tau2, national_draws(draws, seed), threads=threads)
    return Backtest(
        known=known,
        national=national,
        tau2=tau2,
        actual_err=_column(later, "err"),
        actual_cases=_column(later, "eligible_discharges"),
        actual_reduction=np.array([1.0 - (row.paf if row.paf is not None else np.nan) for row in later.hospitals]),
        outlook=outlook,
    )


def _column(file: SupplementalFile, name: str) -> Floats:
    rows = [[getattr(row.measures.get(measure), name, None) for measure in MEASURES] for row in file.hospitals]
    return np.array(rows, dtype=np.float64)


def _printed(then: ProviderData, later: SupplementalFile) -> PrintedFigures:
    """FY2024's figures of the hospitals of the FY2025 file, with that file's payment ratios and peer groups."""

    def of(name: str) -> Floats:
        rows = [
            [getattr(then.hospitals.get(row.ccn, {}).get(measure), name, None) for measure in MEASURES]
            for row in later.hospitals
        ]
        return np.array(rows, dtype=np.float64)

    return PrintedFigures(
        ccn=[row.ccn for row in later.hospitals],
        err=of("err"),
        expected=of("expected"),
        cases=of("discharges"),
        readmissions=of("readmissions"),
        drg_payment_ratio=_column(later, "drg_payment_ratio"),
        dual_proportion=np.full(len(later.hospitals), np.nan),
        peer_group=np.array([row.peer_group or 0 for row in later.hospitals]),
    )


def _as_known(known: PrintedFigures, reference: Reference) -> National:
    """National figures as of FY2024: medians of its own ratios, its modifier, spreads of series that end with it."""

    def up_to(table: str, value: str, **where: object) -> dict[int, float]:
        return {
            int(row["program_year"]): float(row[value])
            for row in reference.rows(table)
            if row[value] and int(row["program_year"]) <= KNOWN and all(row[k] == str(v) for k, v in where.items())
        }

    median_sd = [
        yearly_spread(
            [up_to("peer_group_medians", "median_err", measure=measure, peer_group=group) for group in range(1, 6)]
        )
        for measure in MEASURES
    ]
    modifiers = up_to("program_years", "neutrality_modifier")
    return National(
        medians=peer_group_medians(known.err, known.peer_group),
        median_sd=np.tile(median_sd, (5, 1)),
        model_sd=np.zeros(len(MEASURES)),
        neutrality_modifier=modifiers[KNOWN],
        neutrality_modifier_sd=yearly_spread([modifiers]),
        cuts=np.full(4, np.nan),
        cuts_sd=0.0,
        cap=reference.program_year(PREDICTED).max_reduction,
        in_payment=np.ones(len(MEASURES), dtype=bool),
    )


def other_methods(test: Backtest) -> dict[str, Floats]:
    """Predicted ratios (H, 6) of the methods to beat; the best linear shrink is fitted on FY2025 itself, to its own advantage."""
    err = test.known.err
    median = test.national.medians[test.known.peer_group - 1]
    both = np.isfinite(err) & np.isfinite(test.actual_err)
    slopes = np.linspace(0.5, 1.0, 101)
    errors = [np.abs(1 + slope * (err[both] - 1) - test.actual_err[both]).mean() for slope in slopes]
    best = slopes[int(np.argmin(errors))]
    days = compare_periods(
        Reference().program_year(KNOWN).periods, Reference().program_year(PREDICTED).periods, earlier_volume={}
    ).shared[0]
    return {
        "same as last year": err,
        "everyone at the median": np.where(np.isfinite(err), median, np.nan),
        f"linear shrink by the shared days ({days:.3f})": 1.0 + days * (err - 1.0),
        f"best linear shrink in hindsight ({best:.3f})": 1.0 + best * (err - 1.0),
    }


def reductions(test: Backtest, err: Floats) -> Floats:
    """Payment reduction that predicted ratios give, with the figures known then; hidden numbers of cases count as enough."""
    median = test.national.medians[test.known.peer_group - 1]
    cases = np.where(np.isfinite(test.known.cases), test.known.cases, 25.0)
    part = contributions(err, median, test.known.drg_payment_ratio, cases, test.national.neutrality_modifier)
    return payment_reduction(part, test.national.cap)


def table(test: Backtest) -> list[tuple[str, float, float]]:
    """(method, mean absolute error of the ratio, of the payment reduction), this outlook last."""
    both = np.isfinite(test.known.err) & np.isfinite(test.actual_err)
    rows = []
    for name, err in other_methods(test).items():
        rows.append(
            (
                name,
                float(np.abs(err - test.actual_err)[both].mean()),
                float(np.abs(reductions(test, err) - test.actual_reduction).mean()),
            )
        )
    middle = test.outlook.err[..., 1]
    rows.append(
        (
            "this outlook (median)",
            float(np.abs(middle - test.actual_err)[both].mean()),
            float(np.abs(test.outlook.reduction[:, 1] - test.actual_reduction).mean()),
        )
    )
    return rows


def coverage(test: Backtest) -> dict[str, tuple[float, int]]:
    """Share of FY2025 ratios inside the 90 % range, and their number: all, by measure, by FY2025 cases; and of reductions."""
    low, high = test.outlook.err[..., 0], test.outlook.err[..., 2]
    both = np.isfinite(low) & np.isfinite(test.actual_err)
    inside = (low <= test.actual_err) & (test.actual_err <= high)
    found = {"all": (float(inside[both].mean()), int(both.sum()))}
    for k, measure in enumerate(MEASURES):
        found[measure] = (float(inside[both[:, k], k].mean()), int(both[:, k].sum()))
    for low_size, high_size in itertools.pairwise(SIZES):
        rows = both & (test.actual_cases >= low_size) & (test.actual_cases < high_size)
        label = (
            f"{low_size:.0f} cases or more" if np.isinf(high_size) else f"{low_size:.0f} to {high_size - 1:.0f} cases"
        )
        found[label] = (float(inside[rows].mean()), int(rows.sum()))
    quantiles = test.outlook.reduction
    ranged = np.isfinite(quantiles[:, 0])
    actual = test.actual_reduction
    # CMS prints factors with four decimals: half a unit of the last is no miss.
    within = (quantiles[:, 0] - 5e-5 <= actual) & (actual <= quantiles[:, 2] + 5e-5)
    found["payment reduction"] = (float(within[ranged].mean()), int(ranged.sum()))
    return found


def calibration(test: Backtest, bins: int = 10) -> list[tuple[float, float, int]]:
    """(mean chance given, share penalised, hospitals) in bins of the chance of a penalty."""
    chance, penalised = test.outlook.chance_of_penalty, test.actual_reduction > 0
    place = np.minimum((chance * bins).astype(int), bins - 1)
    return [
        (float(chance[place == k].mean()), float(penalised[place == k].mean()), int((place == k).sum()))
        for k in range(bins)
        if (place == k).any()
    ]


def main() -> None:
    """Print the tables as they stand in the documentation, and draw the figure."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--draws", type=int, default=2000)
    arguments.add_argument("--figure", type=Path)
    arguments.add_argument("--sensitivity", action="store_true")
    given = arguments.parse_args()
    started = time.perf_counter()
    test = run(given.folder, given.draws)
    print(f"{len(test.known.ccn):,} hospitals, {given.draws:,} draws, {time.perf_counter() - started:.0f} s")
    print(
        "tau2 read from the FY2024 file: " + ", ".join(f"{m} {v:.4f}" for m, v in zip(MEASURES, test.tau2, strict=True))
    )
    print("\n| method | mean absolute error of ERR | of the payment reduction |\n|---|---|---|")
    for name, error, money in table(test):
        print(f"| {name} | {error:.4f} | {money:.5f} |")
    print("\n| of | in the 90 % range | ratios |\n|---|---|---|")
    for name, (share, number) in coverage(test).items():
        print(f"| {name} | {share:.1%} | {number:,} |")
    print("\n| chance given | penalised | hospitals |\n|---|---|---|")
    for chance, share, number in calibration(test):
        print(f"| {chance:.0%} | {share:.0%} | {number:,} |")
    if given.sensitivity:
        print("\n| yearly correlation | volumes | error of ERR | in the 90 % range | THA/TKA |\n|---|---|---|---|---|")
        for correlation in (1.0, YEARLY_CORRELATION, 0.8, 0.7):
            for label, volume in (("as known", EARLIER_VOLUME), ("equal days", {})):
                other = run(given.folder, min(given.draws, 600), yearly_correlation=correlation, earlier_volume=volume)
                shares = coverage(other)
                print(
                    f"| {correlation} | {label} | {table(other)[-1][1]:.4f} | {shares['all'][0]:.1%} | {shares['THA_TKA'][0]:.1%} |"
                )
    if given.figure:
        draw(test, given.figure)


def draw(test: Backtest, path: Path) -> None:
    """Coverage by measure and size, and the reliability of the chances, as one figure."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "hrrp"
    import matplotlib.pyplot as plt

    shares = coverage(test)
    names = [name for name in shares if name not in {"all", "payment reduction"}]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    left.axvspan(0.85, 0.95, color="#e8eef4")
    left.axvline(0.9, color="#51708f", linewidth=1)
    left.plot([shares[name][0] for name in names], range(len(names)), "o", color="#1f3a5f")
    left.set(yticks=range(len(names)), xlim=(0.75, 1.0), xlabel="share of FY2025 ratios inside the 90 % range")
    left.set_yticklabels([f"{name.replace('_', '/')} ({shares[name][1]:,})" for name in names])
    left.invert_yaxis()
    points = calibration(test)
    right.plot([0, 1], [0, 1], color="#51708f", linewidth=1)
    right.scatter(
        [p[0] for p in points], [p[1] for p in points], s=[10 + p[2] / 4 for p in points], color="#1f3a5f", alpha=0.8
    )
    right.set(xlabel="chance of a penalty given", ylabel="share penalised in FY2025", xlim=(0, 1), ylim=(0, 1))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
