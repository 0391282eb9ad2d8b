"""The outlook's documents from a small review database: starting points, drivers, value, history, scores, pictures."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hrrp.errors import UsageError
from hrrp.outlook.assembly import forecast_table
from hrrp.outlook.drivers import CAUSES, MeasureState
from hrrp.outlook.what_if import Scenario
from hrrp.program import MEASURES, Reference
from hrrp.review.drivers import drivers_document, dual_by_month
from hrrp.review.forecasts import history_document
from hrrp.review.pictures import fan, pictures_of_forecasts, waterfall
from hrrp.review.scenarios import break_even_document, scenario_document, starting
from hrrp.review.value import value_document
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, load_steps, open_warehouse

YEARS = {2028: 1.0, 2029: 0.7}
CCN = "010001"
SETTINGS = Settings(draws=300)


def inputs() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    rows = []
    for year, share in YEARS.items():
        for measure in MEASURES:
            known = round(400 * share) if measure in {"HF", "PN"} else 0
            rows.append(
                {
                    "program_year": year,
                    "ccn": CCN,
                    "measure": measure,
                    "linear_predictors": np.sort(rng.normal(-1.4, 0.4, known)),
                    "readmissions": round(0.26 * known),
                    "pending": 0,
                    "future_mean": 400 * (1 - share) if known else 0.0,
                    "future_cv": 0.1,
                    "volume_basis": "",
                    "tau2": 0.02,
                    "national_rate": 0.2,
                    "drg_payment_ratio": 0.04,
                    "drg_payment_ratio_cv": 0.03,
                    "elsewhere_share": 0.0,
                    "elsewhere_share_se": 0.0,
                    "prior_mean": np.nan,
                    "prior_variance": np.nan,
                    "dual_proportion": 0.2,
                    "dual_proportion_se": 0.01,
                    "dual_stays": 2000.0,
                    "peer_group": 3,
                    "annual_base_operating_payments": 80e6,
                    "share_of_period": share,
                }
            )
    return pd.DataFrame(rows)


def frame(columns: str, *rows: tuple[Any, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=columns.split())


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    path: Path = tmp_path_factory.mktemp("review") / "review.duckdb"
    start = inputs()
    kinds = dict.fromkeys(start.columns, "double") | {
        "program_year": "integer",
        "ccn": "varchar",
        "measure": "varchar",
        "volume_basis": "varchar",
        "linear_predictors": "double[]",
        "peer_group": "integer",
    }
    with open_warehouse(path, SETTINGS) as made:
        made.write("result.forecast_inputs", start, kinds)
        table = forecast_table(start, Reference(), draws=300, seed=1)
        made.write("result.forecasts", table, _kinds(table))
        for name, rows in _tables().items():
            made.write(name, rows, _kinds(rows))
        (step,) = (each for each in load_steps() if each.name == "result.ledger_scores")
        made.run_step(step, {})
        yield made


def _tables() -> dict[str, pd.DataFrame]:
    nights = [
        (as_of, 2028, CCN, measure, figure, low, median, high)
        for as_of, wide in ((date(2026, 8, 1), 0.002), (date(2026, 9, 1), 0.001))
        for measure, figure, low, median, high in (
            (None, "reduction", 0.004 - wide, 0.004, 0.004 + wide),
            (None, "chance_of_penalty", None, 0.9, None),
            ("HF", "err", 1.02 - 10 * wide, 1.02, 1.02 + 10 * wide),
        )
    ]
    return {
        "result.hospital_penalties": frame("ccn name", (CCN, "Example General")),
        "result.forecast_ledger": frame("as_of program_year ccn measure figure low median high", *nights),
        "reference.published_results": frame(
            "program_year ccn measure figure value source",
            (2028, CCN, None, "reduction", 0.0055, "file"),
            (2028, CCN, None, "chance_of_penalty", 1.0, "file"),
            (2028, CCN, "HF", "err", 1.015, "file"),
            (2027, CCN, "HF", "err", 1.05, "file"),
            (2027, CCN, "HF", "eligible_discharges", 300.0, "file"),
            (2027, CCN, "HF", "drg_payment_ratio", 0.03, "file"),
        ),
        # FY2028's own report of HF: it replaces the file's ERR and brings the case mix of then.
        "result.report_measures": frame(
            "program_year ccn measure readmissions err peer_group_median drg_payment_ratio neutrality_modifier payment_reduction "
            "linear_predictors source",
            (2028, CCN, "HF", 70.0, 1.0149, 0.99, 0.03, 0.965, 0.0056, [-1.5] * 300, "report"),
            (2028, CCN, "AMI", None, None, None, None, 0.965, 0.0056, [], "report"),
        ),
        "result.risk_factor_drivers": frame(
            "program_year measure ccn variable_key coefficient expected_difference mean_value mean_value_all",
            (2029, "HF", CCN, "renal_failure", 0.25, 0.006, 0.8, 0.6),
            (2029, "HF", CCN, "dialysis", 0.3, -0.009, 0.1, 0.2),
        ),
        "result.documentation_gaps": frame(
            "program_year measure ccn variable_key coefficient expected_difference by_history_alone index_admissions",
            (2029, "HF", CCN, "renal_failure", 0.25, 0.004, 30, 280),
        ),
        "result.dual_by_month": frame(
            "ccn month dual_stays stays dual_proportion", (CCN, date(2026, 9, 1), 20, 100, 0.2)
        ),
        "result.readmission_payments": frame(
            "program_year ccn measure readmissions paid_here payments_here",
            (2028, CCN, "HF", 100, 50, 600_000.0),
            (2029, CCN, "HF", 70, 40, 480_000.0),
        ),
        "intake.run": frame("as_of extract_end", (date(2026, 10, 31), date(2026, 10, 31))),
    }


def _kinds(rows: pd.DataFrame) -> dict[str, str]:
    words = {"ccn", "measure", "figure", "source", "name", "variable_key"}
    kinds = {}
    for column in rows.columns:
        first = next((value for value in rows[column] if value is not None), None)
        kinds[column] = (
            "varchar"
            if column in words
            else "date"
            if isinstance(first, date)
            else "integer"
            if column == "program_year"
            else "double[]"
            if isinstance(first, list)
            else "double"
        )
    return kinds


def test_a_hospital_or_year_without_results_names_what_there_is(warehouse: Warehouse) -> None:
    with pytest.raises(UsageError, match=r"1 hospital.* 2028, 2029"):
        starting(warehouse, Reference(), "999999", 2029)


def test_the_scenario_of_nothing_is_the_forecast_itself(warehouse: Warehouse) -> None:
    start = starting(warehouse, Reference(), CCN, 2029)
    document = scenario_document(start, Scenario(), SETTINGS)
    assert document["forecast"] == document["what_if"]
    assert document["difference"] == {"payment_reduction": 0.0, "penalty_usd": 0.0, "chance_of_penalty": 0.0}
    fewer = scenario_document(start, Scenario(avoid={"HF": 10}), SETTINGS)
    assert fewer["difference"]["penalty_usd"] < 0
    assert break_even_document(start)["no_penalty"]["reason"]


def test_drivers_add_up(warehouse: Warehouse) -> None:
    document = drivers_document(warehouse, starting(warehouse, Reference(), CCN, 2029), Reference())
    assert (document["year_before"], document["published_year"]) == (2028, 2028)
    hf = document["measures"]["HF"]
    assert hf["observed_less_expected"] + hf["shrinkage"] == pytest.approx(hf["predicted_less_expected"])
    before = drivers_document(warehouse, starting(warehouse, Reference(), CCN, 2028), Reference())
    change = hf["contribution"] - before["measures"]["HF"]["contribution"]
    assert sum(hf["change_since_year_before"].values()) == pytest.approx(change, abs=1e-12)
    assert before["year_before"] is None
    # FY2027 printed ERR, cases and payment ratio: the printed change adds up as well.
    assert before["published_year"] == 2027
    national = Reference().peer_group_medians(2027).value[3, "HF"]
    modifier = Reference().neutrality_modifier(2027).value
    then = modifier * 0.03 * (1.05 - national)
    assert sum(before["measures"]["HF"]["change_since_published"].values()) == pytest.approx(
        before["measures"]["HF"]["contribution"] - then, abs=1e-12
    )
    # FY2028's own report, of 300 patients of equal risk: the change since then adds up too, cause by cause.
    assert (document["report_year"], before["report_year"]) == (2028, None)
    start = starting(warehouse, Reference(), CCN, 2029)
    known = start.hospital.measures[MEASURES.index("HF")]
    reported = MeasureState(300.0, np.full(300, -1.5), 70.0, 0.99, 0.03, 0.965, known.tau2)
    assert set(hf["change_since_report"]) == set(CAUSES)
    assert sum(hf["change_since_report"].values()) == pytest.approx(
        hf["contribution"] - reported.contribution(), abs=1e-12
    )
    assert document["measures"]["AMI"]["change_since_report"] is None
    assert [row["variable_key"] for row in hf["risk_factors"]] == ["dialysis", "renal_failure"]
    assert hf["documentation_gaps"][0]["by_history_alone"] == 30
    assert document["measures"]["AMI"]["shrinkage"] is None
    assert dual_by_month(warehouse, CCN) == [
        {"month": "2026-09", "dual_stays": 20, "stays": 100, "dual_proportion": 0.2}
    ]


def test_value_counts_only_years_still_open_and_ranks(warehouse: Warehouse) -> None:
    document = value_document(warehouse, Reference(), SETTINGS, CCN)
    assert document["years_still_open"] == [2029]
    assert (document["margin_usd"], document["margin_confidence"]) == (3814.0, "low")
    first, *_, last = document["one_avoided_readmission"]
    assert first["measure"] in {"HF", "PN"} and first["pays"]
    assert first["net_usd"] == pytest.approx(first["penalty_avoided_usd"]["2029"] - 3814.0)
    assert last["net_usd"] == -3814.0 and "25 cases" in last["reason"]
    hf = next(row for row in document["one_avoided_readmission"] if row["measure"] == "HF")
    assert hf["penalty_per_dollar_of_excess_readmissions"] > 1
    year = document["years"]["2028"]
    assert year["measures"]["HF"]["payments_for_readmissions_usd"] == 600_000.0
    assert sum(row["penalty_usd"] for row in year["measures"].values()) == pytest.approx(year["penalty_usd"])
    assert year["payments_after_the_factor"] == pytest.approx(80e6 - year["penalty_usd"])
    dearer = value_document(
        warehouse, Reference(), Settings(draws=300, parameters={"readmission_margin_usd": 1e6}), CCN
    )
    assert all(row["pays"] is False for row in dearer["one_avoided_readmission"])
    assert any("payment lost is worth more" in row["reason"] for row in dearer["one_avoided_readmission"])


def test_the_ledger_is_scored_against_what_was_published(warehouse: Warehouse) -> None:
    document = history_document(warehouse, 2028, CCN)
    assert [night["as_of"] for night in document["nights"]] == ["2026-08-01", "2026-09-01"]
    assert document["nights"][0]["payment_reduction_interval"] == [pytest.approx(0.002), pytest.approx(0.006)]
    # The supplemental file says 0.0055 and 1.015; the hospital's own report counts where it prints the same figure.
    assert document["published"] == {"reduction": 0.0056, "chance_of_penalty": 1.0, "err HF": 1.0149}
    score = document["score"]
    assert score["mean_absolute_error"] == {"reduction": pytest.approx(0.0016), "err": pytest.approx(0.0051)}
    # 0.0056 lies in 0.002 to 0.006 and not in 0.003 to 0.005; 1.0149 in both ranges of the ratio.
    assert score["share_in_90_percent_range"] == pytest.approx(3 / 4)
    assert score["brier_score"] == pytest.approx(0.01)
    assert history_document(warehouse, 2029, CCN)["score"] is None


def test_pictures_are_well_formed_and_name_hospitals_only(warehouse: Warehouse) -> None:
    pictures = pictures_of_forecasts(warehouse)
    assert list(pictures) == ["penalty by program year", "contributions by measure FY2028"]
    for markdown in pictures.values():
        svg = base64.b64decode(markdown.split("base64,")[1].rstrip(")")).decode()
        words = {element.text for element in ET.fromstring(svg).iter() if element.text}
        assert CCN in words
    assert "FY2029" in fan({CCN: {2029: (0.0, 0.001, 0.002)}})
    assert ET.fromstring(waterfall({CCN: dict.fromkeys(MEASURES, 0.0)})) is not None
