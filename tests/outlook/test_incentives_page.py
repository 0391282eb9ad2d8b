"""The page on incentives says what is computed, and its worked hospital can be followed by hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit

from hrrp.outlook.forecast import Change
from hrrp.outlook.what_if import what_if
from hrrp.program import Reference

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_incentives", CHECKOUT / "scripts" / "build_incentives.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_incentives"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_is_computed(builder: ModuleType) -> None:
    page = (CHECKOUT / "docs" / "incentives.md").read_text(encoding="utf-8")
    assert builder.page_part() in page


def test_the_worked_hospital_by_hand(builder: ModuleType) -> None:
    reference = Reference()
    end = what_if(builder.hospital(reference), builder.national(reference), Change())
    tau2 = reference.between_hospital_variance("HF")[0]

    def err(readmissions: float) -> float:
        u = brentq(lambda v: v - tau2 * (readmissions - 500 * expit(logit(0.2) + v)), -2, 2, xtol=1e-14)
        return float(expit(logit(0.2) + u)) / 0.2

    penalty = [60e6 * 0.9628 * 0.035 * (err(y) - 0.99) for y in (115, 114)]
    assert 60e6 * end.measures["HF"].contribution == pytest.approx(penalty[0], rel=1e-9)
    worth = builder.values(reference, 3814.0, builder.hospital(reference))["HF"]
    assert worth.net == pytest.approx(2 * (penalty[0] - penalty[1]) - 3814.0, rel=1e-9)
