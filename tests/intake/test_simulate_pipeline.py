"""The whole pipeline against a truth that it knows nothing of: every index admission, outcome and linear predictor.

The truth is drawn by the simulator from the codes that it writes, in numpy; the pipeline judges the same files in
SQL. Where the two disagree on a single stay, one of them reads the measures' rules wrongly.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from hrrp.intake.simulation import Options, simulate, write_simulation
from hrrp.program import Reference
from hrrp.settings import load_settings
from hrrp.warehouse import open_warehouse

# Reasons that hang on the program year and so are no part of the truth.
OF_THE_YEAR = {"prior_30_days", "follow_up_incomplete", "covid_19", "later_cabg"}


@dataclass
class Judged:
    """One extract with its truth by stay, and what the pipeline made of it."""

    years: tuple[int, ...]
    truth: dict[str, dict[str, Any]]
    flow: list[tuple[int, str, str, str | None]]
    admissions: list[tuple[int, str, str, bool, float]]
    rejected: int


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((2028, 2029, 2030), id="years being earned, Medicare Advantage counts"),
        pytest.param((2025,), id="FY2025, fee for service only, COVID-19 excluded"),
    ],
)
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    from hrrp.orchestration.runner import run_pipeline

    years = request.param
    window = (date(2023, 7, 1), date(2026, 10, 31)) if years[0] > 2025 else (date(2020, 7, 1), date(2023, 7, 31))
    folder = tmp_path_factory.mktemp("judged")
    write_simulation(simulate(Options(5, 8_000, 31, *window)), folder / "extract")
    settings = load_settings(data=folder / "extract", out=folder / "out", program_years=years)
    outcome = run_pipeline(settings)
    with open_warehouse(Path(folder / "out" / "hrrp.duckdb"), settings, read_only=True) as warehouse:
        flow = warehouse.rows("select program_year, measure, stay_id, first_reason from cohort.cohort_flow")
        admissions = warehouse.rows(
            """
            select predictors.program_year, predictors.measure, stays.stay_id, predictors.outcome,
                predictors.linear_predictor
            from risk.linear_predictors as predictors
            inner join staging.stays using (stay_key)
            """
        )
    stays = parquet.read_table(folder / "extract" / "stays.parquet", columns=["stay_id", "discharge_date"]).to_pylist()
    discharged = {row["stay_id"]: row["discharge_date"] for row in stays}
    truth = {
        row["stay_id"]: {**row, "discharge_date": discharged[row["stay_id"]]}
        for row in parquet.read_table(folder / "extract" / "truth" / "outcomes.parquet").to_pylist()
    }
    return Judged(years, truth, flow, admissions, outcome.rows["rejected"])


@pytest.mark.slow
def test_nothing_synthetic_is_rejected(judged: Judged) -> None:
    assert judged.rejected == 0


@pytest.mark.slow
def test_measures_and_reasons_are_true(judged: Judged) -> None:
    assert {year for year, *_ in judged.flow} == set(judged.years)
    seen = Counter()
    for _, measure, stay, reason in judged.flow:
        truth = judged.truth[stay]
        assert measure == truth["measure"]
        seen[reason] += 1
        if reason in OF_THE_YEAR:
            continue
        if judged.years == (2025,) and reason in {"payer", "enrollment_before", "enrollment_after"}:
            continue  # the truth counts Medicare Advantage, as years from FY2027 do
        assert reason == truth["reason"], (measure, reason, truth["reason"])
    assert seen[None] > 500
    assert {"died_in_hospital", "transferred_out", "prior_30_days", "enrollment_before", "fracture"} <= set(seen)
    assert ("covid_19" in seen) == (judged.years == (2025,))


@pytest.mark.slow
def test_every_qualifying_stay_of_the_period_is_judged(judged: Judged) -> None:
    rules = Reference().program_years
    found = {(year, stay) for year, _, stay, _ in judged.flow}
    assert len(found) == len(judged.flow)
    for year in judged.years:
        due = {
            key
            for key, row in judged.truth.items()
            if any(period.start <= row["discharge_date"] <= period.end for period in rules[year].periods)
        }
        assert {stay for found_year, stay in found if found_year == year} == due


@pytest.mark.slow
def test_outcomes_are_true(judged: Judged) -> None:
    assert len(judged.admissions) > 500
    for _, measure, stay, outcome, _ in judged.admissions:
        truth = judged.truth[stay]
        assert truth["measure"] == measure
        assert truth["outcome"] == ("true" if outcome else "false"), measure


@pytest.mark.slow
def test_linear_predictors_are_true(judged: Judged) -> None:
    for _, measure, stay, _, predictor in judged.admissions:
        assert predictor == pytest.approx(judged.truth[stay]["linear_predictor"], abs=1e-12), measure
