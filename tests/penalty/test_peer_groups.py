"""Peer groups and medians on small cases whose answer is plain."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hrrp.penalty.peer_groups import (
    assign_peer_groups,
    group_of_rank,
    peer_group_medians,
    peer_groups_from_cuts,
    possible_peer_groups,
)


def test_ten_hospitals_make_five_pairs() -> None:
    shares = [0.5, 0.1, 0.4, 0.2, 0.3, 0.05, 0.15, 0.25, 0.35, 0.45]
    groups = assign_peer_groups(shares, [f"{number:06d}" for number in range(10)])
    assert groups.tolist() == [5, 1, 4, 2, 3, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("hospitals", [5, 7, 2912, 2945, 2980, 3173])
def test_groups_are_as_equal_as_can_be_and_rise_with_rank(hospitals: int) -> None:
    groups = group_of_rank(np.arange(1, hospitals + 1), hospitals)
    sizes = np.bincount(groups, minlength=6)[1:]
    assert groups.min() == 1
    assert groups.max() == 5
    assert (np.diff(groups) >= 0).all()
    assert sizes.max() - sizes.min() <= 1
    assert sizes.sum() == hospitals


def test_2980_hospitals_make_five_groups_of_596() -> None:
    assert np.bincount(group_of_rank(np.arange(1, 2981), 2980))[1:].tolist() == [596] * 5


def test_equal_shares_are_ranked_by_ccn() -> None:
    groups = assign_peer_groups([0.2] * 5, ["050001", "010001", "450001", "330001", "110001"])
    assert groups.tolist() == [2, 1, 5, 4, 3]


def test_a_hospital_without_a_share_is_not_ranked() -> None:
    groups = assign_peer_groups([0.1, math.nan, 0.2, 0.3, 0.4, 0.5], [f"{number:06d}" for number in range(6)])
    assert groups.tolist() == [1, 0, 2, 3, 4, 5]


def test_equal_shares_across_a_cut_may_belong_to_either_group() -> None:
    lowest, highest = possible_peer_groups([0.1, 0.2, 0.2, 0.3, 0.4, math.nan])
    assert lowest.tolist() == [1, 2, 2, 4, 5, 0]
    assert highest.tolist() == [1, 3, 3, 4, 5, 0]


def test_published_cuts_assign_too() -> None:
    groups = peer_groups_from_cuts(
        [0.0, 0.148, 0.1481, 0.3175, 0.3176, 1.0, math.nan], [0.148, 0.1928, 0.2414, 0.3175, 0.9]
    )
    assert groups.tolist() == [1, 1, 2, 4, 5, 5, 0]


def test_the_median_is_the_middle_one_or_the_mean_of_the_two_middle_ones() -> None:
    err = [[1.00, 0.9], [1.10, math.nan], [0.90, 1.1], [1.30, math.nan], [0.95, math.nan]]
    medians = peer_group_medians(err, [1, 1, 1, 2, 2])
    np.testing.assert_allclose(medians[0], [1.00, 1.0])
    np.testing.assert_allclose(medians[1], [1.125, math.nan])
    assert np.isnan(medians[2:]).all()
