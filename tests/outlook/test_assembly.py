"""From tables to forecasts: what is laid out for each hospital, year and measure, and that the table says what the forecast says."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from hrrp.outlook.assembly import DUAL_WANDER, RATIO_CV, Known, forecast_inputs, forecast_table, hospital_to_date
from hrrp.outlook.forecast import forecast_hospital, national_draws
from hrrp.outlook.national import national_figures
from hrrp.program import MEASURES, Reference

# Admissions every day or every third day look like a perfect fit to the regression of volumes.
pytestmark = pytest.mark.filterwarnings("ignore:Perfect separation")

YEARS = (2028, 2029)
END = date(2026, 6, 30)


def known() -> Known:
    rng = np.random.default_rng(1)
    stays, measures = [], []
    for year, first in ((2028, "2024-07-01"), (2029, "2025-07-01")):
        for ccn, a_day in (("010001", 1), ("010005", 3)):
            days = pd.date_range("2024-07-01", END, freq=f"{a_day}D")
            days = days[days >= first]
            eta = np.random.default_rng(a_day).normal(-1.4, 0.4, days.size)
            table = pd.DataFrame(
                {"discharge_date": days, "linear_predictor": eta, "outcome": rng.random(days.size) < 0.2}
            )
            # An admission has one key in every program year that it counts in.
            table["stay_key"] = [10 * day.toordinal() + a_day for day in days.date]
            stays.append(table.assign(program_year=year, measure="HF", ccn=ccn))
            for measure in MEASURES:
                has = measure == "HF"
                measures.append(
                    {
                        "program_year": year,
                        "measure": measure,
                        "ccn": ccn,
                        "readmissions": int(table["outcome"].sum()) if has else 0,
                        "follow_up_incomplete": 7 if has else 0,
                        "tau2": 0.02,
                        "drg_payment_ratio": 0.05 if has else np.nan,
                        "peer_group": 3,
                    }
                )
    duals = pd.DataFrame(
        {"program_year": [2028, 2028, 2029], "ccn": ["010001", "010005", "010001"], "stays": [900.0, 800.0, 400.0]}
    ).assign(dual_proportion=[0.2, 0.3, 0.25])
    return Known(
        hospitals=["010001", "010005"],
        years=YEARS,
        last_known=END,
        stays=pd.concat(stays),
        measures=pd.DataFrame(measures),
        dual_proportions=duals,
        annual_payments={"010001": 5e7},
        elsewhere={"HF": (0.2, 0.02)},
    )


@pytest.fixture(scope="module")
def inputs() -> pd.DataFrame:
    return forecast_inputs(known(), Reference())


def row(inputs: pd.DataFrame, year: int, ccn: str, measure: str = "HF") -> pd.Series:
    found = inputs[(inputs["program_year"] == year) & (inputs["ccn"] == ccn) & (inputs["measure"] == measure)]
    assert len(found) == 1
    return found.iloc[0]


def test_every_hospital_year_and_measure_has_a_row(inputs: pd.DataFrame) -> None:
    assert len(inputs) == 2 * 2 * 6
    over, running = row(inputs, 2028, "010001"), row(inputs, 2029, "010001")
    assert (over["share_of_period"], running["share_of_period"]) == (1.0, 0.5)
    assert (len(over["linear_predictors"]), len(running["linear_predictors"])) == (730, 365)
    assert (np.diff(running["linear_predictors"]) >= 0).all()
    assert (over["future_mean"], over["pending"]) == (0.0, 7)
    assert running["future_mean"] == pytest.approx(365.0, rel=0.01)
    assert "trend and season" in running["volume_basis"]
    assert row(inputs, 2029, "010005")["future_mean"] == pytest.approx(122.0, rel=0.03)
    assert (running["elsewhere_share"], row(inputs, 2029, "010001", "PN")["elsewhere_share"]) == (0.2, 0.0)
    assert running["drg_payment_ratio_cv"] == pytest.approx(RATIO_CV * math.sqrt(0.5))
    assert np.isnan(row(inputs, 2029, "010005")["annual_base_operating_payments"])


def test_the_days_to_come_have_the_dual_proportion_of_the_year_before(inputs: pd.DataFrame) -> None:
    own, borrowed = row(inputs, 2029, "010001"), row(inputs, 2029, "010005")
    # Half of the period is over with 25 %; for the other half FY2028's 20 % stand in.
    assert own["dual_proportion"] == pytest.approx(0.225)
    assert own["dual_proportion_se"] == pytest.approx(math.sqrt(0.225 * 0.775 / 900 * 0.5 + (DUAL_WANDER * 0.5) ** 2))
    assert own["dual_stays"] == pytest.approx(400 / 0.5)
    assert borrowed["dual_proportion"] == 0.3
    assert borrowed["dual_proportion_se"] == pytest.approx(math.sqrt(0.3 * 0.7 / 800 + DUAL_WANDER**2))
    assert borrowed["dual_stays"] == 800.0
    assert row(inputs, 2028, "010001")["dual_proportion_se"] == 0.0


def test_the_days_to_come_have_the_payment_ratio_of_the_year_before() -> None:
    asked = known()
    measures = asked.measures.copy()
    of_2029 = (measures["program_year"] == 2029) & (measures["measure"] == "HF")
    measures.loc[of_2029 & (measures["ccn"] == "010001"), "drg_payment_ratio"] = 0.03
    measures.loc[of_2029 & (measures["ccn"] == "010005"), "drg_payment_ratio"] = np.nan
    inputs = forecast_inputs(replace(asked, measures=measures), Reference())
    assert row(inputs, 2029, "010001")["drg_payment_ratio"] == pytest.approx(0.5 * 0.03 + 0.5 * 0.05)
    # A period without payments so far has those of the year before, not none.
    assert row(inputs, 2029, "010005")["drg_payment_ratio"] == 0.05
    assert row(inputs, 2028, "010001")["drg_payment_ratio"] == 0.05


def test_a_year_without_medicare_advantage_projects_only_its_own_kind_of_admission() -> None:
    """FY2026 counts fee for service alone, FY2027 Medicare Advantage too: on 30 June 2023 one year of FY2026 is to come."""
    days = pd.date_range("2021-07-01", "2023-06-30")
    admissions = pd.DataFrame({"discharge_date": days, "linear_predictor": -1.4, "outcome": False})
    admissions["stay_key"] = range(len(days))
    is_fee_for_service = admissions["stay_key"] % 2 == 0
    stays = pd.concat(
        [
            admissions[is_fee_for_service].assign(program_year=2026, measure="HF", ccn="010001"),
            admissions[days >= "2022-07-01"].assign(program_year=2027, measure="HF", ccn="010001"),
        ]
    )
    asked = known()
    measures = asked.measures[asked.measures["ccn"] == "010001"].copy()
    measures["program_year"] = measures["program_year"].map({2028: 2026, 2029: 2027})
    one = replace(
        asked,
        hospitals=["010001"],
        years=(2026, 2027),
        last_known=date(2023, 6, 30),
        stays=stays,
        measures=measures,
        dual_proportions=asked.dual_proportions.iloc[:0],
    )
    inputs = forecast_inputs(one, Reference())
    assert row(inputs, 2026, "010001")["future_mean"] == pytest.approx(183, rel=0.03)
    assert row(inputs, 2027, "010001")["future_mean"] == pytest.approx(731, rel=0.03)


def test_the_table_says_what_the_forecast_says(inputs: pd.DataFrame) -> None:
    reference = Reference()
    table = forecast_table(inputs, reference, draws=500, seed=4)
    shared = national_draws(500, 4)
    for year in YEARS:
        rows = inputs[(inputs["program_year"] == year) & (inputs["ccn"] == "010001")].to_dict(orient="records")
        forecast = forecast_hospital(hospital_to_date(rows), national_figures(reference, year)[0], shared)
        mine = table[(table["program_year"] == year) & (table["ccn"] == "010001")]
        hf = mine[(mine["measure"] == "HF") & (mine["figure"] == "err")].iloc[0]
        assert [hf["low"], hf["median"], hf["high"]] == forecast.err[MEASURES.index("HF")].tolist()
        penalty = mine[mine["figure"] == "reduction"].iloc[0]
        assert [penalty["low"], penalty["median"], penalty["high"]] == forecast.reduction.tolist()
        chance = mine[mine["figure"] == "chance_of_penalty"].iloc[0]
        assert chance["median"] == forecast.chance_of_penalty
        shares = mine[mine["figure"].str.startswith("spread: ")]["median"]
        assert shares.sum() == pytest.approx(1.0)


def test_threads_change_nothing(inputs: pd.DataFrame) -> None:
    reference = Reference()
    one, two = (forecast_table(inputs, reference, draws=200, seed=4, threads=count) for count in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_a_hospital_without_a_peer_group_has_none() -> None:
    asked = known()
    measures = asked.measures.assign(peer_group=None)
    inputs = forecast_inputs(
        replace(asked, measures=measures, dual_proportions=asked.dual_proportions.iloc[:0]), Reference()
    )
    rows = inputs[(inputs["program_year"] == 2029) & (inputs["ccn"] == "010001")].to_dict(orient="records")
    hospital = hospital_to_date(rows)
    assert hospital.peer_group is None
    assert math.isnan(hospital.dual_proportion)
