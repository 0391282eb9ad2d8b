"""Setting reference = "fit": what goes into risk.model_in_force is the model's own answer on the warehouse's admissions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from hrrp.errors import ConvergenceError
from hrrp.model import RandomInterceptLogit
from hrrp.orchestration.fitting import fit_models
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse

VARIABLES = ["years_over_65", "male"]


def nation() -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(7)
    hospital = np.sort(rng.integers(0, 15, 900))
    design = pd.DataFrame({"years_over_65": rng.integers(0, 30, 900), "male": rng.integers(0, 2, 900)}).astype(float)
    eta = -1.8 + design.to_numpy() @ [0.02, 0.2] + 0.4 * rng.normal(size=15)[hospital]
    return (rng.random(900) < expit(eta)).astype(int), design, np.array([f"{100000 + j:06d}" for j in hospital])


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """HF of fifteen hospitals; AMI of one hospital only."""
    outcome, design, hospital = nation()
    with open_warehouse(tmp_path / "work.duckdb", Settings(out=tmp_path)) as made:
        made.execute("create schema cohort; create schema risk")
        parts = [("HF", np.arange(900)), ("AMI", np.flatnonzero(hospital == hospital[0]))]
        admissions = pd.concat(
            [
                pd.DataFrame({"program_year": 2028, "measure": m, "stay_key": rows, "ccn": hospital[rows]})
                for m, rows in parts
            ]
        )
        integers = {"program_year": "integer", "measure": "varchar", "stay_key": "integer"}
        made.write(
            "cohort.index_admissions", admissions.sample(frac=1.0, random_state=1), integers | {"ccn": "varchar"}
        )
        returned = admissions.assign(unplanned_readmission=outcome[admissions["stay_key"]] == 1)
        # A first return that does not count, and no return at all, are both no readmission.
        returned = returned[returned["unplanned_readmission"] | (returned["stay_key"] % 3 == 0)].drop(columns="ccn")
        made.write("cohort.readmissions", returned, integers | {"unplanned_readmission": "boolean"})
        factors = admissions.merge(design.assign(stay_key=range(900)), on="stay_key").melt(
            ["program_year", "measure", "stay_key"], VARIABLES, "variable_key"
        )
        made.write(
            "risk.risk_factors",
            factors[factors["value"] != 0],
            integers | {"variable_key": "varchar", "value": "double"},
        )
        yield made


def published(measure: str) -> list[dict[str, Any]]:
    common = {"program_year": 2028, "measure": measure, "basis": "published", "model_program_year": 2025}
    terms = [("national_intercept", "intercept"), *((name, "coefficient") for name in VARIABLES), ("tau2", "variance")]
    return [common | {"term": t, "kind": k, "value": 0.0, "standard_error": None, "source": "CMS"} for t, k in terms]


def test_the_rows_are_the_answer_of_the_model(warehouse: Warehouse) -> None:
    rows, pictures = fit_models(warehouse, published("HF"))
    fitted = RandomInterceptLogit(*nation()).fit()
    found = {row["term"]: row for row in rows}
    for term, value in fitted.params.items():
        assert found[term]["value"] == pytest.approx(value, abs=1e-9)
        assert found[term]["standard_error"] == pytest.approx(fitted.bse[term], abs=1e-9)
    assert found["tau2"]["value"] == pytest.approx(fitted.tau2, abs=1e-9)
    assert found["tau2"]["standard_error"] == pytest.approx(fitted.tau2_se, abs=1e-9)
    assert {row["basis"] for row in rows} == {"fit"}
    assert "900 index admissions of 15 hospitals" in rows[0]["source"]
    assert list(pictures) == ["fit HF FY2028"]


def test_a_measure_that_cannot_be_fitted_keeps_the_published_model_and_says_why(warehouse: Warehouse) -> None:
    rows, pictures = fit_models(warehouse, published("AMI") + published("HF"))
    kept = [row for row in rows if row["measure"] == "AMI"]
    assert [row["basis"] for row in kept] == ["published"] * 4
    assert "cannot be fitted here" in kept[0]["source"] and "at least two" in kept[0]["source"]
    assert len(pictures) == 1
    with pytest.raises(ConvergenceError, match=r"No model could be fitted.*AMI FY2028"):
        fit_models(warehouse, published("AMI"))


def test_more_variables_than_readmissions_keep_the_published_model(warehouse: Warehouse) -> None:
    """It would converge, to a variance of no meaning."""
    outcome, _, _ = nation()
    extra = [published("HF")[1] | {"term": f"other_{k}"} for k in range(int(outcome.sum()))]
    with pytest.raises(ConvergenceError, match="900 index admissions are too few for"):
        fit_models(warehouse, published("HF") + extra)
