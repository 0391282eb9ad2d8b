"""Draw the figures of docs/performance.md and docs/model.md from benchmarks/results:  python benchmarks/figures.py"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).resolve().parent
RESULTS, IMAGES = HERE / "results", HERE.parent / "docs" / "img"
NAMES = {
    "gpboost_tight": "gpboost, tight",
    "gpboost_default": "gpboost, default",
    "glmmTMB": "glmmTMB",
    "lme4_0": "lme4, nAGQ = 0",
    "lme4_1": "lme4, nAGQ = 1",
    "glmmPQL": "MASS::glmmPQL",
    "statsmodels_vb": "statsmodels, variational",
    "statsmodels_map": "statsmodels, MAP",
}
COLOURS = ["#7f9bb8", "#b8c9da", "#a05a2c", "#6b8e5a", "#3f6632", "#8a6fa8", "#c28f2c", "#d9b877"]


def peers() -> None:
    document = json.loads((RESULTS / "peers.json").read_text())
    sizes = sorted(document["ours"], key=lambda size: int(size.split("x")[0]))
    stays = {size: int(size.split("x")[0]) for size in sizes}
    figure, axes = plt.subplots(figsize=(7.2, 4.8))
    for (peer, name), colour in zip(NAMES.items(), COLOURS, strict=True):
        fits = {size: document["fits"].get(f"{size} {peer}", {}) for size in sizes}
        done = [size for size in sizes if "processor_seconds" in fits[size]]
        axes.plot(
            [stays[size] for size in done],
            [fits[size]["processor_seconds"] for size in done],
            "o-",
            color=colour,
            label=name,
            ms=4,
        )
        for size in sizes:
            if fits[size].get("started") and fits[size]["ended"]:
                axes.plot(stays[size], fits[size]["process_processor_seconds"], "^", color=colour, ms=8, mfc="none")
    for method, name, style in (("rspl", "hrrp, RSPL", "o-"), ("laplace", "hrrp, Laplace", "s--")):
        best = [min(run[method]["construct_and_fit_processor"] for run in document["ours"][size]) for size in sizes]
        axes.plot([stays[size] for size in sizes], best, style, color="#1f3a5f", lw=2, label=name, ms=5)
    axes.set(xscale="log", yscale="log", xlabel="stays", ylabel="processor seconds, one core")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.set_title("Fitting the model: triangles were ended before they had an answer", fontsize=10)
    save(figure, "model_peers.svg")


def coverage() -> None:
    document = json.loads((RESULTS / "interval_coverage.json").read_text())
    figure, axes = plt.subplots(figsize=(7.2, 3.8))
    axes.axhspan(0.93, 0.97, color="#e4ebf2")
    axes.axhline(0.95, color="#a05a2c", lw=1)
    for k, (name, part) in enumerate(document["settings"].items()):
        edges = [*part["size_edges"], None]
        labels = [
            f"{low + 1 if low else 2} to {high}" if high else f"over {low}" for low, high in itertools.pairwise(edges)
        ]
        per_nation = np.array([row["covered_of_size"] for row in part["rows"]])
        hospitals = np.array([row["hospitals_of_size"] for row in part["rows"]])
        share = per_nation.sum(axis=0) / hospitals.sum(axis=0)
        # Hospitals of one nation share its variance, so nations are the unit: jackknife over them.
        left_out = (per_nation.sum(axis=0) - per_nation) / np.maximum(hospitals.sum(axis=0) - hospitals, 1)
        error = np.sqrt((len(per_nation) - 1) * left_out.var(axis=0))
        place = np.arange(len(labels)) + 0.2 * (k - 1)
        setting = part["setting"]
        label = (
            f"{name}: {len(per_nation)} nations of {setting['hospitals']} hospitals, {part['summary']['coverage']:.1%}"
        )
        axes.errorbar(place, share, 1.96 * error, fmt="os^"[k], ms=5, capsize=2, label=label)
    axes.set_xticks(np.arange(len(labels)), labels)
    axes.set(xlabel="stays of the hospital", ylabel="share of intervals that hold the true ERR", ylim=(0.85, 1.0))
    axes.legend(fontsize=8, frameon=False)
    axes.set_title("Coverage of the 95 % bootstrap interval", fontsize=10)
    save(figure, "interval_coverage.svg")


def save(figure: mpl.figure.Figure, name: str) -> None:
    figure.tight_layout()
    figure.savefig(IMAGES / name, metadata={"Date": None})
    print(IMAGES / name)


if __name__ == "__main__":
    mpl.rcParams["svg.hashsalt"] = "hrrp"
    if (RESULTS / "peers.json").exists():
        peers()
    if (RESULTS / "interval_coverage.json").exists():
        coverage()
