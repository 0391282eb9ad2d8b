"""A whole invented nation with unrounded figures, and the file that CMS would print of it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from hrrp.program import MEASURES
from hrrp.program.supplemental_file import SupplementalFile, SupplementalHospital, SupplementalMeasure

Nation = Callable[..., SupplementalFile]


def printed(value: float, decimals: int = 4) -> float:
    return float(Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP))


@pytest.fixture
def nation() -> Nation:
    """Builder: figures drawn unrounded, factor and indicator decided on them, then everything rounded as CMS prints it.

    Ranks, groups and medians are written out here in plain loops, apart from the code under test.
    """

    def build(hospitals: int = 200, seed: int = 1, year: int = 2028, modifier: float = 0.963512345) -> SupplementalFile:
        draw = np.random.default_rng(seed)
        dual = np.sort(draw.beta(2, 7, hospitals))
        group = [5 * (rank + 1) // (hospitals + 1) + 1 for rank in range(hospitals)]
        err = draw.normal(1.0, 0.07, (hospitals, 6))
        err[draw.random((hospitals, 6)) < 0.2] = np.nan
        cases = draw.integers(1, 1500, (hospitals, 6)) // draw.integers(1, 60, (hospitals, 6))
        ratio = draw.uniform(0.002, 0.09, (hospitals, 6))
        median = np.empty((hospitals, 6))
        for column in range(6):
            for number in range(1, 6):
                peers = [row for row in range(hospitals) if group[row] == number]
                known = sorted(err[row, column] for row in peers if not np.isnan(err[row, column]))
                half = len(known) // 2
                middle = known[half] if len(known) % 2 else (known[half - 1] + known[half]) / 2
                median[peers, column] = middle
        rows = []
        for row in range(hospitals):
            total = 0.0
            measures = {}
            for column, measure in enumerate(MEASURES):
                if np.isnan(err[row, column]):
                    measures[measure] = SupplementalMeasure(None, None, printed(median[row, column]), False, None)
                    continue
                counts = cases[row, column] >= 25 and err[row, column] > median[row, column]
                if counts:
                    total += modifier * ratio[row, column] * (err[row, column] - median[row, column])
                measures[measure] = SupplementalMeasure(
                    int(cases[row, column]),
                    printed(err[row, column]),
                    printed(median[row, column]),
                    bool(counts),
                    printed(ratio[row, column]),
                )
            paf = printed(1 - min(total, 0.03))
            rows.append(
                SupplementalHospital(
                    ccn=f"{10001 + row:06d}",
                    paf=paf,
                    payment_reduction=float(1 - Decimal(repr(paf))),
                    dual_proportion=printed(dual[row]),
                    peer_group=group[row],
                    neutrality_modifier=printed(modifier),
                    measures=measures,
                )
            )
        return SupplementalFile(year, f"FY {year} invented nation", tuple(rows), MEASURES, name="nation.csv")

    return build
