"""The polynomial of the mean risk against the mean itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from hrrp.outlook.risk_curve import FURTHEST, Patients


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.floats(-4, 1), st.floats(0, 1.2), st.floats(-2.9, 2.9), st.floats(0, 3))
def test_it_is_right_to_1e_8(n: int, middle: float, spread: float, low: float, width: float) -> None:
    eta = np.random.default_rng(n).normal(middle, spread, n)
    patients = Patients(eta)
    high = min(low + width, FURTHEST)
    curve = patients.curve(low, high)
    u = np.linspace(low, high, 101)
    p = expit(eta[:, None] + u)
    assert curve.covers(u)
    risk, slope = curve.risk_and_slope(u)
    assert risk == pytest.approx(p.mean(axis=0), abs=1e-8)
    assert curve.risk(u) == pytest.approx(p.mean(axis=0), abs=1e-8)
    assert slope == pytest.approx((p * (1 - p)).mean(axis=0), abs=1e-6)


def test_derivatives_over_the_rows() -> None:
    eta = np.array([-2.0, -1.0, 0.3])
    patients = Patients(eta)
    h = 1e-4
    f, f1, f2, f3 = patients.derivatives(0.2)
    mean = [float(expit(eta + 0.2 + k * h).mean()) for k in (-2, -1, 0, 1, 2)]
    assert f == pytest.approx(mean[2], abs=1e-15)
    assert f1 == pytest.approx((mean[3] - mean[1]) / (2 * h), abs=1e-8)
    assert f2 == pytest.approx((mean[3] - 2 * mean[2] + mean[1]) / h**2, abs=1e-6)
    assert f3 == pytest.approx((mean[4] - 2 * mean[3] + 2 * mean[1] - mean[0]) / (2 * h**3), abs=1e-3)
    assert patients.risk_and_slope(0.2) == (pytest.approx(f), pytest.approx(f1))
