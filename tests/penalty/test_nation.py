"""Neutrality modifier and national penalties against loops written out, and against CMS's complete FY2025 file."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median as middle

import numpy as np
import pandas as pd
import pytest

from hrrp.errors import InputContractError
from hrrp.penalty.nation import NationalPenalties, national_penalties
from hrrp.penalty.neutrality import neutrality_modifier

CAP = 0.03


def figures(hospitals: int = 400, seed: int = 0) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    err = draw.normal(1.0, 0.09, (hospitals, 6))
    err[draw.random((hospitals, 6)) < 0.2] = np.nan
    return {
        "ccn": np.array([f"{k:06d}" for k in range(hospitals)]),
        "dual_proportion": draw.beta(2, 7, hospitals),
        "err": err,
        "eligible_discharges": draw.integers(1, 400, (hospitals, 6)),
        "drg_payment_ratio": draw.uniform(0.0, 0.15, (hospitals, 6)),
        "base_payments": draw.lognormal(16.5, 1.0, hospitals),
    }


def written_out(given: dict[str, np.ndarray], x: float, published: bool = True) -> tuple[float, float, list[float]]:
    """Savings with and without peer grouping at modifier x, and each hospital's reduction, in plain loops."""
    hospitals = len(given["ccn"])
    order = sorted(range(hospitals), key=lambda h: (given["dual_proportion"][h], given["ccn"][h]))
    group = {h: 5 * (place + 1) // (hospitals + 1) for place, h in enumerate(order)}
    new = old = 0.0
    reductions = []
    for h in range(hospitals):
        above_median = above_one = 0.0
        for m in range(6):
            peers = [
                given["err"][k, m]
                for k in range(hospitals)
                if group[k] == group[h] and not math.isnan(given["err"][k, m])
            ]
            ratio, value = given["drg_payment_ratio"][h, m], given["err"][h, m]
            if math.isnan(value) or given["eligible_discharges"][h, m] < 25:
                continue
            above_median += ratio * max(value - middle(peers), 0.0)
            above_one += ratio * max(value - 1.0, 0.0)
        reductions.append(min(x * above_median, CAP))
        new += given["base_payments"][h] * reductions[-1]
        old += given["base_payments"][h] * min(above_one, CAP)
    return new, old, reductions


@pytest.mark.parametrize("seed", [0, 1])
def test_everything_equals_the_loops(seed: int) -> None:
    given = figures(150, seed)
    found = national_penalties(**given, cap=CAP)
    new, old, reductions = written_out(given, found.neutrality_modifier)
    assert new == pytest.approx(old, rel=1e-12)
    assert found.payment_reduction == pytest.approx(reductions, abs=1e-15)
    assert found.payment_adjustment_factor == pytest.approx(1.0 - np.array(reductions), abs=1e-15)
    assert found.penalty_usd == pytest.approx(given["base_payments"] * reductions, rel=1e-12)
    assert found.total_usd == pytest.approx(old, rel=1e-12)
    assert (found.payment_reduction == CAP).any(), "the cap must bite, or the root is a plain quotient"
    assert np.bincount(found.peer_group)[1:].tolist() == [30] * 5


def test_without_the_cap_it_is_the_quotient_of_totals() -> None:
    given = figures()
    ratio = given["drg_payment_ratio"] / 100
    median = np.nanmedian(given["err"], axis=0) + np.zeros_like(ratio)
    x = neutrality_modifier(given["base_payments"], ratio, given["err"], median, given["eligible_discharges"], CAP)
    many = given["eligible_discharges"] >= 25

    def total(threshold: np.ndarray | float) -> float:
        part = np.where(many, ratio * np.fmax(given["err"] - threshold, 0.0), 0.0)
        return float(given["base_payments"] @ np.nansum(part, axis=1))

    assert x == pytest.approx(total(1.0) / total(median), rel=1e-12)


def test_medians_of_one_give_a_modifier_of_one() -> None:
    given = figures()
    x = neutrality_modifier(
        given["base_payments"],
        given["drg_payment_ratio"],
        given["err"],
        np.ones((400, 6)),
        given["eligible_discharges"],
        CAP,
    )
    assert x == pytest.approx(1.0, rel=1e-12)


def test_scale_of_payments_does_not_matter_and_unknown_ones_are_left_out() -> None:
    given = figures()
    found = national_penalties(**given, cap=CAP)
    thousands = national_penalties(**{**given, "base_payments": given["base_payments"] / 1000}, cap=CAP)
    assert thousands.neutrality_modifier == pytest.approx(found.neutrality_modifier, rel=1e-12)
    unknown = given["base_payments"].copy()
    unknown[:50] = np.nan
    some = national_penalties(**{**given, "base_payments": unknown}, cap=CAP)
    kept = {name: value[50:] for name, value in given.items() if name not in {"ccn", "dual_proportion"}}
    x = neutrality_modifier(
        kept["base_payments"],
        kept["drg_payment_ratio"],
        kept["err"],
        found.median[50:],
        kept["eligible_discharges"],
        CAP,
    )
    assert some.neutrality_modifier == pytest.approx(x, rel=1e-12)
    assert np.isnan(some.penalty_usd[:50]).all() and np.isfinite(some.payment_reduction[:50]).all()


def test_a_measure_outside_payment_keeps_its_median_only() -> None:
    given = figures()
    without = national_penalties(**given, cap=CAP, in_payment=[True, True, True, False, True, True])
    assert (without.contribution[:, 3] == 0).all()
    assert np.isfinite(without.medians[:, 3]).all()
    assert without.penalty_indicator[:, 3].any()


def test_a_hospital_without_a_dual_proportion_has_no_penalty() -> None:
    given = figures()
    given["dual_proportion"][7] = np.nan
    found = national_penalties(**given, cap=CAP)
    assert found.peer_group[7] == 0
    assert found.payment_reduction[7] == 0.0
    assert np.isnan(found.median[7]).all()
    assert not found.penalty_indicator[7].any()


def test_what_cannot_be_balanced_is_said() -> None:
    given = figures(20)
    with pytest.raises(InputContractError, match="nothing to balance"):
        neutrality_modifier(
            np.ones(20), given["drg_payment_ratio"], np.full((20, 6), 0.9), 1.0, np.full((20, 6), 50), CAP
        )
    with pytest.raises(InputContractError, match="saves less"):
        neutrality_modifier(
            np.ones(20), given["drg_payment_ratio"], np.full((20, 6), 1.1), 1.2, np.full((20, 6), 50), CAP
        )
    with pytest.raises(InputContractError, match="drg_payment_ratio has shape"):
        national_penalties(**{**given, "drg_payment_ratio": given["drg_payment_ratio"][:, :5]}, cap=CAP)
    with pytest.raises(InputContractError, match="base_payments has 19"):
        national_penalties(**{**given, "base_payments": given["base_payments"][1:]}, cap=CAP)


def test_both_sides_at_the_cap_balance_at_the_end_of_the_interval() -> None:
    """One hospital, at the cap by either formula, whatever the rounding of cap / excess."""
    for err in np.linspace(1.31, 1.39, 200):
        one = np.array([[err]])
        x = neutrality_modifier([1e6], [[0.1]], one, [[1.02]], [[50]], CAP)
        assert min(x * 0.1 * (err - 1.02), CAP) == pytest.approx(CAP, rel=1e-14)


def test_the_real_file_of_fy2025(cms_dir: Path) -> None:
    """Groups, medians and (with the published modifier) factors of all 2,980 hospitals; the modifier itself needs CMS's
    payments, which are not public, but equal payments already bring it near the published 0.9652."""
    file = pd.read_csv(cms_dir / "fy2025_hrrp_supplemental.csv", skiprows=1, dtype=str, encoding="latin-1")
    file = file[file.iloc[:, 0].str.strip().str.fullmatch(r"\d{6}", na=False)]

    def column(k: int) -> np.ndarray:
        return pd.to_numeric(file.iloc[:, k].str.replace(",", ""), errors="coerce").to_numpy()

    def measures(first: int) -> np.ndarray:
        return np.column_stack([column(6 + 5 * m + first) for m in range(6)])

    given = {
        "ccn": file.iloc[:, 0].str.strip().tolist(),
        "dual_proportion": column(3),
        "err": measures(1),
        "eligible_discharges": measures(0),
        "drg_payment_ratio": measures(4),
        "base_payments": np.ones(len(file)),
    }
    found: NationalPenalties = national_penalties(**given, cap=CAP, published_modifier=0.96524016588985)
    assert len(file) == 2980
    assert found.peer_group.tolist() == column(4).astype(int).tolist()
    printed = measures(2)
    assert found.median[np.isfinite(printed)] == pytest.approx(printed[np.isfinite(printed)], abs=6e-5)
    assert np.abs(found.payment_adjustment_factor - column(1)).max() < 1.2e-4
    assert (np.abs(found.payment_adjustment_factor - column(1)) <= 5.0001e-5).mean() > 0.97
    assert national_penalties(**given, cap=CAP).neutrality_modifier == pytest.approx(0.9652, abs=0.02)
