"""From excess readmission ratios to the payment adjustment factor.

From FY2019 (42 CFR 412.154, Social Security Act 1886(q)), for measure m of a hospital in peer group g:

    contribution_m = NM * ratio_m * max(ERR_m - median_{g,m}, 0)     if eligible discharges_m >= 25, else 0
    reduction      = min(sum_m contribution_m, cap)
    PAF            = 1 - reduction

Before FY2019 the comparison is with 1 and there is no neutrality modifier: the same formula with median = 1 and NM = 1.
Doubles are carried throughout; rounding (half up, 4 decimals) happens only at output.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MINIMUM_CASES = 25


def contributions(
    err: ArrayLike,
    median: ArrayLike,
    drg_payment_ratio: ArrayLike,
    eligible_discharges: ArrayLike,
    neutrality_modifier: ArrayLike = 1.0,
    minimum_cases: int = MINIMUM_CASES,
) -> NDArray[np.float64]:
    """Contribution of each measure to the payment reduction, as a fraction of base operating DRG payments.

    The arguments broadcast against each other, the last axis is usually the measures. NaN in any of err, median, ratio or
    discharges (a measure without a result) contributes 0.
    """
    err, median, ratio, cases, modifier = (
        np.asarray(part, dtype=np.float64)
        for part in (err, median, drg_payment_ratio, eligible_discharges, neutrality_modifier)
    )
    raw = modifier * ratio * np.maximum(err - median, 0.0)
    counted = (cases >= minimum_cases) & np.isfinite(raw)
    return np.where(counted, raw, 0.0)


def payment_reduction(contribution: ArrayLike, cap: ArrayLike) -> NDArray[np.float64]:
    """The reduction as a fraction: contributions summed over the last axis (the measures), at most the cap."""
    return np.minimum(np.asarray(contribution, dtype=np.float64).sum(axis=-1), cap)


def payment_adjustment_factor(contribution: ArrayLike, cap: ArrayLike) -> NDArray[np.float64]:
    """The factor by which every base operating DRG payment is multiplied: 1 - reduction, not rounded."""
    return 1.0 - payment_reduction(contribution, cap)


def penalty_indicator(
    err: ArrayLike, median: ArrayLike, eligible_discharges: ArrayLike, minimum_cases: int = MINIMUM_CASES
) -> NDArray[np.bool_]:
    """Yes only where there are enough cases and the ERR is strictly above the median (on unrounded values)."""
    return (np.asarray(eligible_discharges, dtype=float) >= minimum_cases) & (np.asarray(err) > np.asarray(median))


def round_half_up(value: float | None, digits: int = 4) -> Any:
    """`value` rounded half up as CMS prints it (0.99985 -> 0.9999); None and NaN pass unchanged.

    The shortest decimal text of the double is what is rounded, so that 0.99985, not its binary neighbour, decides.
    """
    if value is None or value != value:
        return value
    return float(Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP))
