"""The forecast held against invented hospitals whose truth is known.

    python benchmarks/backtest_simulated.py [--worlds 300] [--hospitals 4] [--draws 2000] [--figure FILE.svg]

A world is one future: a national rate that moves, medians, a modifier and cuts that move, and hospitals with a true
effect each in six measures, invented volumes and case mixes, that discharge patients over four years. The forecast of
the two-year period made of the last two is asked for on several as-of dates with what is known then (follow-up of 30
days, projected volume, earlier discharges). The truth is the whole period scored as CMS scores it, with its own year's
model. The yardstick is what a hospital has without a forecast: the figure of the last period that was over before, and
the spread of the differences between two such periods. Ratios are compared where they count (25 cases).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from hrrp.outlook.forecast import (
    HospitalToDate,
    MeasureToDate,
    National,
    forecast_hospital,
    national_draws,
    prior_from_history,
)
from hrrp.outlook.projection import project_volume, share_elapsed
from hrrp.outlook.public_outlook import YEARLY_CORRELATION
from hrrp.outlook.what_if import solve_effect
from hrrp.penalty.factor import MINIMUM_CASES, contributions, payment_reduction
from hrrp.program import MEASURES, Period

Floats = NDArray[np.float64]
SIX = len(MEASURES)
FIRST, START, END = date(2023, 7, 1), date(2025, 7, 1), date(2027, 6, 30)
PERIOD = (Period(START, END),)
EARLIER = (FIRST.toordinal(), date(2025, 6, 30).toordinal())
AS_OF = (date(2025, 12, 31), date(2026, 6, 30), date(2026, 12, 31), date(2027, 6, 30))
TAU2 = np.array([0.0228, 0.0165, 0.0191, 0.0187, 0.03, 0.0741])
RATE = np.array([0.134, 0.186, 0.197, 0.164, 0.106, 0.045])
# Expected medians of a peer group, and what the years ahead add: of the size of the published series.
NATIONAL = National(
    medians=np.full((5, SIX), 0.994) + np.linspace(-0.004, 0.004, 5)[:, None],
    median_sd=np.full((5, SIX), 0.004),
    model_sd=np.full(SIX, 0.05),
    neutrality_modifier=0.963,
    neutrality_modifier_sd=0.003,
    cuts=np.array([0.137, 0.182, 0.233, 0.314]),
    cuts_sd=0.004,
    cap=0.03,
    in_payment=np.ones(SIX, dtype=bool),
)
RATIO_CV = 0.06


@dataclass
class Score:
    """One forecast beside the truth and beside last year's figure."""

    as_of: date
    size: float
    err: Floats  # (6, 3)
    actual_err: Floats  # (6,), NaN under 25 cases
    last_err: Floats  # (6,)
    reduction: Floats  # (3,)
    actual_reduction: float
    last_reduction: float
    chance: float


@dataclass
class Backtest:
    """All forecasts of all worlds."""

    scores: list[Score] = field(default_factory=list)

    def of(self, as_of: date | None = None) -> list[Score]:
        """Those of one as-of date, or all."""
        return [score for score in self.scores if as_of in (None, score.as_of)]


def run(worlds: int = 150, hospitals: int = 8, draws: int = 2000, seed: int = 1, wander: float = 0.95) -> Backtest:
    """`wander` is the correlation of a hospital's true effect with that of a year later; the forecast takes it to be 1."""
    found = Backtest()
    for world in range(worlds):
        rng = np.random.default_rng([seed, world])
        shift = NATIONAL.model_sd * rng.standard_normal(SIX)
        medians = NATIONAL.medians + NATIONAL.median_sd * rng.standard_normal(SIX)
        modifier = NATIONAL.neutrality_modifier + NATIONAL.neutrality_modifier_sd * rng.standard_normal()
        cuts = NATIONAL.cuts + NATIONAL.cuts_sd * rng.standard_normal()
        for hospital in range(hospitals):
            _one(found, rng, f"{world:03d}{hospital:03d}", shift, medians, modifier, cuts, draws, seed, wander)
    return found


def _one(
    found: Backtest,
    rng: np.random.Generator,
    ccn: str,
    shift: Floats,
    medians: Floats,
    modifier: float,
    cuts: Floats,
    draws: int,
    seed: int,
    wander: float,
) -> None:
    size = float(np.exp(rng.normal(np.log(110), 0.8)))
    dual = rng.uniform(0.08, 0.4)
    ratio = rng.uniform(0.005, 0.05, SIX)
    # Not every hospital treats every condition: so that penalties are not all but certain.
    offered = rng.random(SIX) < 0.35
    measures = [_admissions(rng, k, size if offered[k] else 1.0, shift[k], wander) for k in range(SIX)]
    final_dual = dual + 0.01 * rng.standard_normal()
    final_ratio = ratio * (1 + RATIO_CV * rng.standard_normal(SIX))
    actual = np.array(
        [_as_published(m, k, shift[k], START.toordinal(), END.toordinal()) for k, m in enumerate(measures)]
    )
    last = np.array([_as_published(m, k, 0.0, *EARLIER) for k, m in enumerate(measures)])
    counted = np.where(actual[:, 1] >= MINIMUM_CASES, actual[:, 0], np.nan)
    group = 1 + int(np.searchsorted(cuts, final_dual))
    before = 1 + int(np.searchsorted(NATIONAL.cuts, dual))
    reduction = _reduction(actual, medians[group - 1], final_ratio, modifier)
    last_reduction = _reduction(last, NATIONAL.medians[before - 1], ratio, NATIONAL.neutrality_modifier)
    for as_of in AS_OF:
        remaining = 1.0 - share_elapsed(PERIOD, as_of)
        known = HospitalToDate(
            ccn=ccn,
            measures=tuple(_known(m, k, ratio[k], as_of, remaining) for k, m in enumerate(measures)),
            dual_proportion=dual,
            dual_proportion_se=0.01,
            peer_group=None,
            annual_payments=5e7,
        )
        forecast = forecast_hospital(known, NATIONAL, national_draws(draws, seed))
        found.scores.append(
            Score(
                as_of, size, forecast.err, counted, last[:, 0], forecast.reduction, reduction, last_reduction,
                forecast.chance_of_penalty,
            )
        )  # fmt: skip


def _admissions(
    rng: np.random.Generator, k: int, size: float, shift: float, wander: float
) -> tuple[NDArray[np.int64], Floats, NDArray[np.bool_]]:
    """Discharge days (ordinals, sorted), linear predictors under the published model, outcomes, of four years."""
    days, eta, outcome = [], [], []
    effect = rng.normal(0, np.sqrt(TAU2[k]))
    spread = rng.uniform(0.35, 0.55)
    base = logit(RATE[k]) - 0.5 * spread**2 * (1 - 2 * RATE[k])
    yearly = size * np.exp(rng.normal(0, 0.5))
    for year in range(4):
        first = FIRST.toordinal() + 365 * year + (year > 0)  # 2024 has a leap day
        season = 1 + 0.15 * np.cos(2 * np.pi * (np.arange(365) - 180) / 365)
        count = rng.poisson(yearly * season / season.sum())
        of_day = np.repeat(np.arange(first, first + 365), count)
        risk = rng.normal(base, spread, of_day.size)
        days.append(of_day)
        eta.append(risk)
        outcome.append(rng.random(of_day.size) < expit(risk + effect + shift))
        effect = wander * effect + rng.normal(0, np.sqrt(TAU2[k] * (1 - wander**2)))
        yearly *= np.exp(rng.normal(0, 0.07))
    return np.concatenate(days), np.concatenate(eta), np.concatenate(outcome)


def _as_published(
    admissions: tuple[NDArray[np.int64], Floats, NDArray[np.bool_]], k: int, shift: float, first: int, last: int
) -> tuple[float, float]:
    """ERR and cases of a period, scored with that year's national model."""
    days, eta, outcome = admissions
    inside = (days >= first) & (days <= last)
    if not inside.any():
        return np.nan, 0.0
    rows = eta[inside] + shift
    u = solve_effect(float(outcome[inside].sum()), 1.0, rows, TAU2[k])
    return float(expit(rows + u).mean() / expit(rows).mean()), float(inside.sum())


def _reduction(figures: Floats, median: Floats, ratio: Floats, modifier: float) -> float:
    return float(payment_reduction(contributions(figures[:, 0], median, ratio, figures[:, 1], modifier), NATIONAL.cap))


def _known(
    admissions: tuple[NDArray[np.int64], Floats, NDArray[np.bool_]], k: int, ratio: float, as_of: date, remaining: float
) -> MeasureToDate:
    """What is known on the as-of date: outcomes of discharges 30 days back, volume projected from all discharges."""
    days, eta, outcome = admissions
    before = days < START.toordinal()
    years = (START.toordinal() + 365 - days[before].mean()) / 365.25 if before.any() else 0.0
    prior = prior_from_history(eta[before], float(outcome[before].sum()), TAU2[k], YEARLY_CORRELATION**years)
    through = as_of.toordinal()
    seen = (days >= START.toordinal()) & (days <= through - 30)
    pending = (days > through - 30) & (days <= through) & (days >= START.toordinal())
    volume = project_volume(days[days <= through], FIRST, as_of, PERIOD)
    return MeasureToDate(
        linear_predictor=eta[seen],
        readmissions=int(outcome[seen].sum()),
        pending=int(pending.sum()),
        future_mean=volume.mean,
        future_cv=volume.cv,
        tau2=TAU2[k],
        national_rate=RATE[k],
        drg_payment_ratio=ratio,
        drg_payment_ratio_cv=RATIO_CV * remaining**0.5 if remaining else RATIO_CV,
        prior_mean=prior[0],
        prior_variance=prior[1],
    )


def table(test: Backtest) -> list[dict[str, float | str]]:
    """By as-of date: coverage of the 90 % ranges, errors beside last year's, widths beside the range that last year's errors give."""
    rows = []
    for as_of in AS_OF:
        scores = test.of(as_of)
        err = np.array([score.err for score in scores])
        actual = np.array([score.actual_err for score in scores])
        last = np.array([score.last_err for score in scores])
        both = np.isfinite(actual) & np.isfinite(last) & np.isfinite(err[..., 0])
        money = np.array([score.reduction for score in scores])
        actual_money = np.array([score.actual_reduction for score in scores])
        last_money = np.array([score.last_reduction for score in scores])
        persistence = (actual - last)[both]
        rows.append(
            {
                "as of": str(as_of),
                "share of period": share_elapsed(PERIOD, as_of),
                "ERR in range": float(((err[..., 0] <= actual) & (actual <= err[..., 2]))[both].mean()),
                "ERR error": float(np.abs(err[..., 1] - actual)[both].mean()),
                "ERR error last year": float(np.abs(persistence).mean()),
                "ERR width": float((err[..., 2] - err[..., 0])[both].mean()),
                "ERR width last year": float(np.diff(np.quantile(persistence, (0.05, 0.95)))[0]),
                "reduction in range": float(
                    ((money[:, 0] - 1e-9 <= actual_money) & (actual_money <= money[:, 2] + 1e-9)).mean()
                ),
                "reduction error": float(np.abs(money[:, 1] - actual_money).mean()),
                "reduction error last year": float(np.abs(last_money - actual_money).mean()),
                "Brier": float(np.mean([(s.chance - (s.actual_reduction > 0)) ** 2 for s in scores])),
                "Brier last year": float(np.mean([((s.last_reduction > 0) - (s.actual_reduction > 0)) ** 2 for s in scores])),
            }
        )  # fmt: skip
    return rows


def calibration(test: Backtest, bins: int = 10) -> list[tuple[float, float, int]]:
    """(mean chance given, share penalised, forecasts) in bins of the chance of a penalty."""
    chance = np.array([score.chance for score in test.scores])
    penalised = np.array([score.actual_reduction > 0 for score in test.scores])
    place = np.minimum((chance * bins).astype(int), bins - 1)
    return [
        (float(chance[place == k].mean()), float(penalised[place == k].mean()), int((place == k).sum()))
        for k in range(bins)
        if (place == k).any()
    ]


def main() -> None:
    """Print the tables as they stand in the documentation, and draw the figure."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--worlds", type=int, default=150)
    arguments.add_argument("--hospitals", type=int, default=8)
    arguments.add_argument("--draws", type=int, default=2000)
    arguments.add_argument("--wander", type=float, default=0.95)
    arguments.add_argument("--figure", type=Path)
    given = arguments.parse_args()
    started = time.perf_counter()
    test = run(given.worlds, given.hospitals, given.draws, wander=given.wander)
    print(f"{len(test.scores):,} forecasts of {given.worlds} worlds, {time.perf_counter() - started:.0f} s")
    rows = table(test)
    print("\n| | " + " | ".join(str(row["as of"]) for row in rows) + " |\n|---|" + "---|" * len(rows))
    for name in list(rows[0])[1:]:
        print(f"| {name} | " + " | ".join(f"{row[name]:.4g}" for row in rows) + " |")
    print("\n| chance given | penalised | forecasts |\n|---|---|---|")
    for chance, share, number in calibration(test):
        print(f"| {chance:.0%} | {share:.0%} | {number:,} |")
    if given.figure:
        draw(test, given.figure)


def draw(test: Backtest, path: Path) -> None:
    """Coverage and error by as-of date, and the reliability of the chances, as one figure."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "hrrp"
    import matplotlib.pyplot as plt

    rows, points = table(test), calibration(test)
    passed = [row["share of period"] for row in rows]
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    left.axhspan(0.85, 0.95, color="#e8eef4")
    left.plot(passed, [row["ERR in range"] for row in rows], "o-", color="#1f3a5f", label="ERR")
    left.plot(passed, [row["reduction in range"] for row in rows], "s--", color="#a05a2c", label="payment reduction")
    left.set(xlabel="share of the period over", ylabel="share inside the 90 % range", ylim=(0.7, 1.0))
    left.legend(frameon=False)
    middle.plot(passed, [row["ERR error"] for row in rows], "o-", color="#1f3a5f", label="forecast")
    middle.plot(passed, [row["ERR error last year"] for row in rows], "--", color="#888888", label="same as last year")
    middle.set(xlabel="share of the period over", ylabel="mean absolute error of ERR", ylim=(0, None))
    middle.legend(frameon=False)
    right.plot([0, 1], [0, 1], color="#51708f", linewidth=1)
    right.scatter(
        [p[0] for p in points], [p[1] for p in points], s=[10 + p[2] / 4 for p in points], color="#1f3a5f", alpha=0.8
    )
    right.set(xlabel="chance of a penalty given", ylabel="share penalised", xlim=(0, 1), ylim=(0, 1))
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
