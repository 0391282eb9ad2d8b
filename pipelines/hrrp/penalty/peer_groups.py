"""Peer groups: five equal groups of hospitals by dual proportion, and the median ERR of each.

With rank 1..N by dual proportion (ties by CCN), group = floor(5 * rank / (N + 1)) + 1; group 1 has the lowest share of stays
with full Medicaid benefits. The median is the middle ERR of *every* hospital of the group that has one, also those with fewer
than 25 discharges; of two middle ones their mean. Both verified on the complete FY2025 supplemental file: 2,980 of 2,980
groups, 30 of 30 medians.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

GROUPS = 5


def group_of_rank(rank: ArrayLike, hospitals: int, groups: int = GROUPS) -> NDArray[np.int64]:
    """Peer group (1..groups) of the hospital that stands at `rank` (1..hospitals) by dual proportion."""
    return groups * np.asarray(rank, dtype=np.int64) // (hospitals + 1) + 1


def assign_peer_groups(dual_proportion: ArrayLike, ccn: Sequence[str], groups: int = GROUPS) -> NDArray[np.int64]:
    """Peer group of each hospital, by rank of (dual proportion, CCN).

    Shapes: (hospitals,) both and the result. A hospital whose dual proportion is NaN is not ranked and gets 0.
    """
    proportion = np.asarray(dual_proportion, dtype=np.float64)
    assigned = np.zeros(len(proportion), dtype=np.int64)
    known = np.flatnonzero(np.isfinite(proportion))
    order = known[np.lexsort((np.asarray(ccn, dtype=str)[known], proportion[known]))]
    assigned[order] = group_of_rank(np.arange(1, len(known) + 1), len(known), groups)
    return assigned


def possible_peer_groups(
    dual_proportion: ArrayLike, groups: int = GROUPS
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest and highest peer group that a hospital may have when hospitals of equal (printed) proportion may stand in any order.

    CMS ranks unrounded proportions; where equal printed ones lie across a cut, either group agrees with the file. Shapes as in
    `assign_peer_groups`; NaN gets 0 and 0.
    """
    proportion = np.asarray(dual_proportion, dtype=np.float64)
    known = np.isfinite(proportion)
    ordered = np.sort(proportion[known])
    first = np.searchsorted(ordered, proportion, side="left") + 1
    last = np.searchsorted(ordered, proportion, side="right")
    lowest = np.where(known, group_of_rank(first, len(ordered), groups), 0)
    highest = np.where(known, group_of_rank(last, len(ordered), groups), 0)
    return lowest, highest


def peer_groups_from_cuts(dual_proportion: ArrayLike, highest: Sequence[float]) -> NDArray[np.int64]:
    """Peer group by published cuts: the first group whose highest dual proportion is not below the hospital's; NaN gets 0.

    `highest` are the highest proportions of groups 1, 2, ... in order; a proportion above the last belongs to the last group.
    """
    proportion = np.asarray(dual_proportion, dtype=np.float64)
    group = np.minimum(
        np.searchsorted(np.asarray(highest, dtype=np.float64), proportion, side="left"), len(highest) - 1
    )
    return np.where(np.isfinite(proportion), group + 1, 0)


def peer_group_medians(err: ArrayLike, peer_group: ArrayLike, groups: int = GROUPS) -> NDArray[np.float64]:
    """Median ERR of each group and measure, over every hospital of the group that has an ERR.

    Shapes: `err` (hospitals, measures) with NaN where there is none, `peer_group` (hospitals,); the result is
    (groups, measures), NaN where no hospital of the group has an ERR.
    """
    ratios, group = np.asarray(err, dtype=np.float64), np.asarray(peer_group)
    medians = np.full((groups, ratios.shape[1]), np.nan)
    for number in range(1, groups + 1):
        for measure, column in enumerate(ratios[group == number].T):
            present = column[np.isfinite(column)]
            if present.size:
                medians[number - 1, measure] = np.median(present)
    return medians
