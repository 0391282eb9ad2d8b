"""Write the synthetic nation that the stored peers' answers are of: tests/model/stored/nation.csv.

    python benchmarks/peers/stored_nation.py

1,500 stays of 45 hospitals of 4 to 130 stays, one hospital without and one with nothing but readmissions, four flags and two numbers,
drawn from the model with a between-hospital variance of 0.15. No person is behind it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

STORED = Path(__file__).resolve().parents[2] / "tests" / "model" / "stored"


def main() -> None:
    rng = np.random.default_rng(20261123)
    hospitals, stays = 45, 1500
    share = rng.lognormal(0.0, 0.9, hospitals)
    hospital = np.sort(
        np.concatenate(
            [np.repeat(np.arange(hospitals), 4), rng.choice(hospitals, stays - 4 * hospitals, p=share / share.sum())]
        )
    )
    frame = pd.DataFrame(
        {
            "hospital": hospital + 1,
            "age_65": rng.integers(0, 36, stays),
            "earlier_stays": rng.poisson(0.8, stays),
            "diabetes": (rng.random(stays) < 0.40).astype(int),
            "renal_failure": (rng.random(stays) < 0.25).astype(int),
            "copd": (rng.random(stays) < 0.30).astype(int),
            "cancer": (rng.random(stays) < 0.05).astype(int),
        }
    )
    linear = frame.drop(columns="hospital").to_numpy(float) @ [0.015, 0.18, 0.10, 0.35, 0.25, 0.40]
    effect = np.sqrt(0.15) * rng.normal(size=hospitals)
    outcome = (rng.random(stays) < expit(-2.4 + linear + effect[hospital])).astype(int)
    smallest = np.argsort(np.bincount(hospital), kind="stable")[:2]
    outcome[hospital == smallest[0]] = 0
    outcome[hospital == smallest[1]] = 1
    frame.insert(1, "readmitted", outcome)
    STORED.mkdir(parents=True, exist_ok=True)
    frame.to_csv(STORED / "nation.csv", index=False)


if __name__ == "__main__":
    main()
