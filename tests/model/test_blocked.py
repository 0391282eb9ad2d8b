"""Products in pieces equal the products."""

from __future__ import annotations

import numpy as np
import pytest

from hrrp.model import blocked


@pytest.mark.parametrize(
    ("rows", "a", "b"),
    [(0, 41, 41), (1, 41, 41), (155, 41, 41), (156, 41, 41), (1000, 41, 41), (1000, 1, 1), (7, 600, 3)],
)
def test_products(rows: int, a: int, b: int) -> None:
    rng = np.random.default_rng(0)
    left, right, matrix = rng.normal(size=(rows, a)), rng.normal(size=(rows, b)), rng.normal(size=(a, b))
    assert blocked.cross_product(left, right) == pytest.approx(left.T @ right, abs=1e-10)
    assert blocked.cross_product(left, left) == pytest.approx(left.T @ left, abs=1e-10)
    assert blocked.product(left, matrix) == pytest.approx(left @ matrix, abs=1e-10)
    square = matrix @ matrix.T
    assert blocked.quadratic_forms(left, square) == pytest.approx(((left @ square) * left).sum(axis=1), abs=1e-8)
    assert blocked.weighted_sum(left, rng.normal(size=rows) * 0 + 2.0) == pytest.approx(2 * left.sum(axis=0), abs=1e-10)
    assert blocked.combined(left, matrix[:, 0]) == pytest.approx(left @ matrix[:, 0], abs=1e-10)
