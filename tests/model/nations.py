"""Simulated nations that the tests of the hierarchical model share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit


@dataclass(frozen=True)
class Nation:
    """Stays of many hospitals drawn from the model, with the truth."""

    outcome: np.ndarray
    design: pd.DataFrame
    hospital: np.ndarray
    intercept: float
    coefficients: np.ndarray
    tau2: float
    effects: np.ndarray


def simulate(
    stays: int = 2000, hospitals: int = 40, flags: int = 5, numbers: int = 2, tau2: float = 0.15, seed: int = 1
) -> Nation:
    """Hospitals of unequal size, sorted by hospital; flags carried by 10 to 50 % of stays, numbers on their own
    scales."""
    rng = np.random.default_rng(seed)
    share = rng.lognormal(0, 0.8, hospitals)
    hospital = np.sort(rng.choice(hospitals, stays, p=share / share.sum()))
    hospital = np.unique(hospital, return_inverse=True)[1]
    columns: dict[str, np.ndarray] = {}
    for k in range(numbers):
        columns[f"number_{k}"] = rng.normal(70 + 5 * k, 8.0, stays)
    for k in range(flags):
        columns[f"flag_{k}"] = (rng.random(stays) < rng.uniform(0.1, 0.5)).astype(np.uint8)
    design = pd.DataFrame(columns)
    coefficients = np.concatenate([rng.normal(0.02, 0.01, numbers), rng.normal(0.2, 0.3, flags)])
    effects = np.sqrt(tau2) * rng.normal(size=hospital.max() + 1)
    linear = design.to_numpy(float) @ coefficients
    intercept = -1.4 - float(linear.mean())
    risk = expit(intercept + linear + effects[hospital])
    outcome = (rng.random(stays) < risk).astype(int)
    labels = np.array([f"{100 + j:06d}" for j in range(effects.size)])
    return Nation(outcome, design, labels[hospital], intercept, coefficients, tau2, effects)
