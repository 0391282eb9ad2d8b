"""The forecast against invented hospitals whose truth is known, on a small scale: the benchmark of the documentation in a few seconds."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "backtest_simulated.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("backtest_simulated", BENCHMARK)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["backtest_simulated"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def worlds(benchmark: ModuleType) -> Any:
    return benchmark.run(worlds=140, hospitals=1, draws=300, seed=2)


def test_ranges_cover_as_they_say(benchmark: ModuleType, worlds: Any) -> None:
    rows = benchmark.table(worlds)
    assert 0.86 <= np.mean([row["ERR in range"] for row in rows]) <= 0.94
    for row in rows:
        assert 0.83 <= row["ERR in range"] <= 0.96
        assert row["reduction in range"] >= 0.85


def test_forecasts_are_sharper_than_last_years_figure_and_sharpen(benchmark: ModuleType, worlds: Any) -> None:
    rows = benchmark.table(worlds)
    for row in rows:
        assert row["ERR error"] < 0.85 * row["ERR error last year"]
        assert row["ERR width"] < 0.85 * row["ERR width last year"]
        assert row["reduction error"] < row["reduction error last year"]
        assert row["Brier"] < row["Brier last year"]
    widths = [row["ERR width"] for row in rows]
    assert widths == sorted(widths, reverse=True)


def test_chances_come_true_as_often_as_they_say(benchmark: ModuleType, worlds: Any) -> None:
    points = benchmark.calibration(worlds, bins=5)
    for chance, share, number in points:
        # The four forecasts of one hospital share its fortune, so the error is wider than that of single draws.
        assert abs(chance - share) < 3 * np.sqrt(0.25 / number * 3), (chance, share, number)
