"""The neutrality modifier: the one number that makes peer grouping cost hospitals, taken together, what the old formula
would.

With B_h a hospital's estimated annual base operating DRG payments, r_hm its DRG payment ratios and only measures with
enough cases:

    old_h     = min( sum_m r_hm max(ERR_hm - 1, 0), cap )                    as before FY2019
    new_h(x)  = min( x sum_m r_hm max(ERR_hm - median_m, 0), cap )           with peer group medians
    x solves    sum_h B_h new_h(x) = sum_h B_h old_h                         (Social Security Act 1886(q)(3)(D)(iv))

The left side rises with x until every hospital above its medians is at the cap, so x is the root of their difference.
Without the cap it would be the quotient of the two totals, as CMS words it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from hrrp.errors import InputContractError
from hrrp.penalty.factor import MINIMUM_CASES, contributions, payment_reduction

Floats = NDArray[np.float64]


def neutrality_modifier(
    base_payments: ArrayLike,
    drg_payment_ratio: ArrayLike,
    err: ArrayLike,
    median: ArrayLike,
    eligible_discharges: ArrayLike,
    cap: float,
    minimum_cases: int = MINIMUM_CASES,
) -> float:
    """The modifier x.

    Shapes: `base_payments` (hospitals,) in dollars, or any common unit; the others (hospitals, measures), `median`
    being that of each hospital's own peer group; NaN where there is no figure. A hospital without base payments (NaN)
    is left out. Raises InputContractError where no x balances the two sides.
    """
    payments = np.asarray(base_payments, dtype=np.float64)
    old_excess = contributions(err, 1.0, drg_payment_ratio, eligible_discharges, 1.0, minimum_cases)
    new_excess = contributions(err, median, drg_payment_ratio, eligible_discharges, 1.0, minimum_cases).sum(axis=-1)
    use = np.isfinite(payments) & (payments > 0.0)
    target = float(payments[use] @ payment_reduction(old_excess[use], cap))
    weight, excess = payments[use], new_excess[use]

    def surplus(x: float) -> float:
        return float(weight @ np.minimum(x * excess, cap)) - target

    most = float(weight[excess > 0.0].sum()) * cap
    if target == 0.0 and most == 0.0:
        raise InputContractError(
            "neutrality modifier: no hospital has an excess readmission ratio above 1 or above its peer group's median, so there is "
            "nothing to balance. Check the ratios, payment ratios and base operating payments."
        )
    if target > most:
        raise InputContractError(
            "neutrality modifier: even with every hospital above its median at the cap, peer grouping saves less than the formula "
            "without it. Check the medians and the base operating payments."
        )
    highest = cap / float(excess[excess > 0.0].min())  # there every hospital above its median is at the cap
    if surplus(highest) <= 0.0:  # both sides are at the cap: rounding must not hide the root at the end of the interval
        return highest
    return float(brentq(surplus, 0.0, highest, xtol=1e-15, rtol=1e-14, maxiter=500))
