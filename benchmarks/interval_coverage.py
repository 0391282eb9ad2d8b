"""Whether the model recovers the truth and its intervals cover it: many simulated nations, each fitted and resampled.

    python benchmarks/interval_coverage.py [--nations 200] [--replicates 500] [--only NAME] [--first 0]

A nation's patients, coefficients and hospital effects are drawn anew each time. The truth of a hospital is its ERR at the true intercept,
coefficients and effect with the patients that it had:  sum expit(mu + u_j + b'z) / sum expit(mu + b'z). An interval covers where it
holds that figure. Coverage is the share of hospitals covered, over all nations; its standard error comes from the spread between nations.

Writes benchmarks/results/interval_coverage.json (a row a nation, so that a study can be made in pieces); figure: benchmarks/figures.py.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from hrrp.errors import ConvergenceError
from hrrp.model import RandomInterceptLogit

RESULTS = Path(__file__).resolve().parent / "results" / "interval_coverage.json"
SIZE_EDGES = (0, 25, 50, 100, 200, 400, 1_000_000)  # stays of a hospital


@dataclass(frozen=True)
class Setting:
    """One kind of nation: sizes of hospitals are log-normal about `median`, `tau2` the true between-hospital variance."""

    hospitals: int
    median: float
    tau2: float
    rate: float
    flags: int = 4
    numbers: int = 2


# The number of columns is kept small, so that hundreds of nations can be resampled: patients differ by a few risk factors as by forty.
SETTINGS = {
    "medical measure": Setting(hospitals=600, median=80, tau2=0.0225, rate=0.19),
    "surgical measure": Setting(hospitals=600, median=60, tau2=0.05, rate=0.05),
    "one state": Setting(hospitals=120, median=80, tau2=0.0225, rate=0.19, flags=3, numbers=1),
}


def drawn(setting: Setting, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Outcome, design, hospital, true (intercept, coefficients), true ERR of every hospital."""
    rng = np.random.default_rng([seed, 20261125])
    sizes = np.maximum(2, np.round(setting.median * rng.lognormal(0.0, 0.9, setting.hospitals))).astype(int)
    hospital = np.repeat(np.arange(setting.hospitals), sizes)
    n = len(hospital)
    share = np.exp(rng.uniform(np.log(0.05), np.log(0.4), setting.flags))
    logit = np.log(share / (1 - share)) + 0.3 * rng.normal(size=(setting.hospitals, setting.flags))
    flags = rng.random((n, setting.flags)) < expit(logit)[hospital]
    design = np.column_stack([rng.normal(0.0, 1.0, (n, setting.numbers)), flags])
    slopes = np.concatenate([rng.normal(0.1, 0.1, setting.numbers), rng.normal(0.15, 0.15, setting.flags)])
    effect = np.sqrt(setting.tau2) * rng.normal(size=setting.hospitals)
    linear = design @ slopes
    intercept = 0.0
    for _ in range(30):
        risk = expit(linear + intercept)
        intercept -= (risk.mean() - setting.rate) / (risk * (1 - risk)).mean()
    eta = intercept + linear
    outcome = (rng.random(n) < expit(eta + effect[hospital])).astype(np.uint8)
    true_err = np.bincount(hospital, expit(eta + effect[hospital])) / np.bincount(hospital, expit(eta))
    return outcome, design, hospital, np.concatenate([[intercept], slopes]), true_err


def one_nation(setting: Setting, seed: int, replicates: int) -> dict[str, Any]:
    outcome, design, hospital, truth, true_err = drawn(setting, seed)
    fit = RandomInterceptLogit(outcome, design, hospital, threads=1).fit()
    boot = fit.bootstrap(replicates, seed)
    limits = boot.err_interval()
    covered = (limits["low"].to_numpy() <= true_err) & (true_err <= limits["high"].to_numpy())
    quick = fit.err_posterior_interval(0.025, 0.975)
    covered_quick = (quick["low"].to_numpy() <= true_err) & (true_err <= quick["high"].to_numpy())
    ofsize = np.digitize(np.bincount(hospital), SIZE_EDGES) - 1
    coefficients = boot.params_interval()
    inside = (coefficients["low"].to_numpy() <= truth) & (truth <= coefficients["high"].to_numpy())
    low, high = boot.tau2_interval()
    return {
        "seed": seed,
        "stays": len(outcome),
        "hospitals_of_size": np.bincount(ofsize, minlength=len(SIZE_EDGES) - 1).tolist(),
        "covered_of_size": np.bincount(ofsize, covered, len(SIZE_EDGES) - 1).tolist(),
        "covered_quick_of_size": np.bincount(ofsize, covered_quick, len(SIZE_EDGES) - 1).tolist(),
        "width": float((limits["high"] - limits["low"]).mean()),
        "width_quick": float((quick["high"] - quick["low"]).mean()),
        "tau2": fit.tau2,
        "tau2_laplace": fit.model.fit("laplace").tau2,
        "tau2_covered": bool(low <= setting.tau2 <= high),
        "z": ((fit.params.to_numpy() - truth) / fit.bse.to_numpy()).tolist(),
        "coefficients_covered": float(inside.mean()),
        "err_rmse": float(np.sqrt(np.mean((fit.err.to_numpy() - true_err) ** 2))),
        "mean_err": float(fit.err.mean()),
        "failed": boot.failed,
    }


def summary(setting: Setting, rows: list[dict[str, Any]]) -> dict[str, Any]:
    hospitals = np.array([row["hospitals_of_size"] for row in rows])
    covered = np.array([row["covered_of_size"] for row in rows])
    share = covered.sum(axis=1) / hospitals.sum(axis=1)
    tau2 = np.array([row["tau2"] for row in rows])
    z = np.array([row["z"] for row in rows])
    quick = np.array([row["covered_quick_of_size"] for row in rows]).sum() / hospitals.sum()
    return {
        "nations": len(rows),
        "stays": int(np.mean([row["stays"] for row in rows])),
        "coverage": float(covered.sum() / hospitals.sum()),
        "coverage_se": float(share.std(ddof=1) / np.sqrt(len(rows))),
        "coverage_by_size": (covered.sum(axis=0) / np.maximum(hospitals.sum(axis=0), 1)).tolist(),
        "hospitals_by_size": hospitals.sum(axis=0).tolist(),
        "coverage_posterior": float(quick),
        "tau2_true": setting.tau2,
        "tau2_mean": float(tau2.mean()),
        "tau2_se": float(tau2.std(ddof=1) / np.sqrt(len(rows))),
        "tau2_laplace_mean": float(np.mean([row["tau2_laplace"] for row in rows])),
        "tau2_zero": int((tau2 == 0.0).sum()),
        "tau2_coverage": float(np.mean([row["tau2_covered"] for row in rows])),
        "coefficients_coverage": float(np.mean([row["coefficients_covered"] for row in rows])),
        "largest_mean_z": float(np.abs(z.mean(axis=0)).max()),
        "spread_of_z": float(z.std()),
        "mean_err": float(np.mean([row["mean_err"] for row in rows])),
        "err_rmse": float(np.mean([row["err_rmse"] for row in rows])),
        "failed_replicates": int(sum(row["failed"] for row in rows)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nations", type=int, default=200)
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", choices=list(SETTINGS))
    asked = parser.parse_args()
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"settings": {}}
    for name, setting in SETTINGS.items():
        if asked.only not in (None, name):
            continue
        part = document["settings"].setdefault(name, {"setting": asdict(setting), "rows": []})
        done = {row["seed"] for row in part["rows"]}
        began = time.monotonic()
        for seed in range(asked.first, asked.nations):
            if seed not in done:
                try:
                    part["rows"].append(one_nation(setting, seed, asked.replicates))
                except ConvergenceError as error:
                    part.setdefault("not_converged", []).append({"seed": seed, "error": str(error)})
        part["replicates"] = asked.replicates
        part["size_edges"] = SIZE_EDGES[:-1]
        part["summary"] = summary(setting, part["rows"])
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(document) + "\n")
        print(name, f"{time.monotonic() - began:.0f} s", json.dumps(part["summary"], indent=1), flush=True)


if __name__ == "__main__":
    main()
