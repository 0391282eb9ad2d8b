"""Penalties of a whole nation of hospitals (or of a state that is treated as one): groups, medians, modifier, factors
and dollars.

For whoever holds every hospital's figures. Each step is its own formula elsewhere: peer groups and medians in
`peer_groups`, the modifier in `neutrality`, contributions and factor in `factor`; the dollars are annual base operating
DRG payments times the reduction. All hospitals at once, as arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hrrp.errors import InputContractError
from hrrp.penalty.factor import MINIMUM_CASES, contributions, payment_reduction, penalty_indicator
from hrrp.penalty.neutrality import neutrality_modifier
from hrrp.penalty.peer_groups import GROUPS, assign_peer_groups, peer_group_medians

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NationalPenalties:
    """Shapes: hospitals H, measures m, groups 5. Reductions, factors and contributions are fractions, not rounded;
    dollars a year."""

    peer_group: NDArray[np.int64]  # (H,) 1 to 5, 0 where the dual proportion is unknown
    medians: Floats  # (5, m)
    median: Floats  # (H, m) of the hospital's own group
    neutrality_modifier: float
    contribution: Floats  # (H, m)
    penalty_indicator: NDArray[np.bool_]  # (H, m)
    payment_reduction: Floats  # (H,)
    payment_adjustment_factor: Floats  # (H,)
    penalty_usd: Floats  # (H,) NaN where base operating payments are unknown

    @property
    def total_usd(self) -> float:
        """Over the hospitals whose base operating payments are known."""
        return float(np.nansum(self.penalty_usd))


def national_penalties(
    ccn: Sequence[str],
    dual_proportion: ArrayLike,
    err: ArrayLike,
    eligible_discharges: ArrayLike,
    drg_payment_ratio: ArrayLike,
    base_payments: ArrayLike,
    cap: float,
    *,
    in_payment: ArrayLike | None = None,
    published_modifier: float | None = None,
    minimum_cases: int = MINIMUM_CASES,
) -> NationalPenalties:
    """Every hospital's penalty under peer grouping (program years from FY2019).

    Shapes: `ccn`, `dual_proportion`, `base_payments` (H,), the latter annual dollars; `err`, `eligible_discharges`,
    `drg_payment_ratio` (H, m), NaN where a hospital has none. `in_payment` (m,) leaves measures out of the payment
    formula (their medians are computed all the same). Medians are over every hospital of the group that has a ratio,
    also with fewer than `minimum_cases`. The modifier is computed unless `published_modifier` gives it. A hospital
    without a dual proportion has no group, no medians and no penalty. Raises InputContractError where shapes differ.
    """
    ratios, cases, shares = (
        np.asarray(part, dtype=np.float64) for part in (err, eligible_discharges, drg_payment_ratio)
    )
    payments, dual = np.asarray(base_payments, dtype=np.float64), np.asarray(dual_proportion, dtype=np.float64)
    for name, part in (("eligible_discharges", cases), ("drg_payment_ratio", shares)):
        if part.shape != ratios.shape:
            raise InputContractError(f"{name} has shape {part.shape}; expected {ratios.shape}, as err.")
    for name, count in (("ccn", len(ccn)), ("dual_proportion", dual.size), ("base_payments", payments.size)):
        if count != len(ratios):
            raise InputContractError(f"{name} has {count} hospitals; expected {len(ratios)}, as err.")
    counted = np.ones(ratios.shape[1], dtype=bool) if in_payment is None else np.asarray(in_payment, dtype=bool)
    group = assign_peer_groups(dual, ccn)
    medians = peer_group_medians(ratios, group)
    median = np.vstack([medians, np.full((1, ratios.shape[1]), np.nan)])[np.where(group > 0, group - 1, GROUPS)]
    paid = np.where(counted & (group > 0)[:, None], shares, np.nan)
    modifier = published_modifier
    if modifier is None:
        modifier = neutrality_modifier(payments, paid, ratios, median, cases, cap, minimum_cases)
    contribution = contributions(ratios, median, paid, cases, modifier, minimum_cases)
    reduction = payment_reduction(contribution, cap)
    return NationalPenalties(
        peer_group=group,
        medians=medians,
        median=median,
        neutrality_modifier=float(modifier),
        contribution=contribution,
        penalty_indicator=penalty_indicator(ratios, median, cases, minimum_cases),
        payment_reduction=reduction,
        payment_adjustment_factor=1.0 - reduction,
        penalty_usd=payments * reduction,
    )
