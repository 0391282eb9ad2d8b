"""National figures: the last published ones with the spread of their series."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hrrp.errors import RulesMissingError
from hrrp.outlook.national import hospital_share, national_figures, yearly_spread
from hrrp.program import MEASURES, Reference


def test_spread_of_a_series_is_the_root_mean_square_of_its_steps() -> None:
    assert yearly_spread([{2020: 1.0, 2021: 1.3, 2022: 0.9}]) == pytest.approx(math.sqrt((0.09 + 0.16) / 2))
    # A step over two years counts as two yearly ones.
    assert yearly_spread([{2020: 1.0, 2022: 1.2}]) == pytest.approx(math.sqrt(0.04 / 2))
    assert yearly_spread([{2020: 1.0, 2021: 1.1}, {2020: 2.0, 2021: 2.3}]) == pytest.approx(math.sqrt(0.05))
    assert yearly_spread([{2020: 1.0}]) == 0.0
    assert yearly_spread([]) == 0.0


def test_a_published_year_has_its_own_figures_and_no_spread_about_them() -> None:
    figures, notes = national_figures(Reference(), 2025)
    assert figures.medians[0, MEASURES.index("HF")] == pytest.approx(0.9947, abs=5e-5)
    assert figures.neutrality_modifier == 0.96524016588985
    assert figures.cuts.tolist() == [0.148, 0.1928, 0.2414, 0.3175]
    assert figures.median_sd.max() == figures.neutrality_modifier_sd == figures.cuts_sd == 0.0
    assert figures.in_payment.all()
    assert notes == []


def test_years_ahead_widen_with_the_square_root_and_are_named() -> None:
    reference = Reference()
    one, notes = national_figures(reference, 2028)
    three, _ = national_figures(reference, 2030)
    assert (one.medians == three.medians).all()
    assert three.median_sd == pytest.approx(one.median_sd * math.sqrt(3))
    assert three.neutrality_modifier_sd == pytest.approx(one.neutrality_modifier_sd * math.sqrt(3))
    assert three.cuts_sd == pytest.approx(one.cuts_sd * math.sqrt(3))
    # The last published risk model is FY2025's: three and five years ahead.
    assert three.model_sd == pytest.approx(one.model_sd * math.sqrt(5 / 3))
    assert np.all(one.model_sd > 0)
    assert any("peer group medians not published: FY2027's used" in note for note in notes)


def test_a_measure_left_out_of_payment_is_marked() -> None:
    figures, _ = national_figures(Reference(), 2023)
    assert [m for m, counts in zip(MEASURES, figures.in_payment, strict=True) if not counts] == ["PN"]


def test_an_unlisted_year_has_no_figures() -> None:
    with pytest.raises(RulesMissingError, match="FY2099"):
        national_figures(Reference(), 2099)


def test_a_hospitals_own_share_is_drawn_to_the_national_one() -> None:
    # Mean 0.2 and standard deviation 0.08 weigh as much as 0.2 * 0.8 / 0.0064 - 1 = 24 cases.
    assert hospital_share(0, 0, 0.2, 0.08) == pytest.approx((0.2, 0.08))
    assert hospital_share(12, 24, 0.2, 0.08) == pytest.approx((0.35, math.sqrt(0.35 * 0.65 / 49)))
