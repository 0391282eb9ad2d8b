"""What scoring takes as known: the last day, readmissions elsewhere, and the notes that say so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from hrrp.orchestration import notes
from hrrp.orchestration.ledger import COLUMNS, forecast_ledger
from hrrp.orchestration.scoring import last_known_day, readmissions_elsewhere
from hrrp.outlook.projection import TOO_FEW_DAYS
from hrrp.program import MEASURES, Reference
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse

END = date(2026, 10, 31)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with open_warehouse(tmp_path / "working.duckdb", Settings()) as made:
        yield made


def _run(warehouse: Warehouse, as_of: date) -> None:
    warehouse.write(
        "intake.run", pd.DataFrame([{"as_of": as_of, "extract_end": END}]), {"as_of": "date", "extract_end": "date"}
    )


def _stays(warehouse: Warehouse, days: list[date], ccn: str = "010001") -> None:
    warehouse.write(
        "cohort.stays",
        pd.DataFrame({"discharge_date": days, "ccn": ccn}),
        {"discharge_date": "date", "ccn": "varchar"},
    )
    warehouse.write("staging.hospitals", pd.DataFrame({"ccn": ["010001"]}), {"ccn": "varchar"})


@pytest.mark.parametrize(
    ("as_of", "through", "known"),
    [
        (date(2026, 6, 30), "extract", date(2026, 6, 30)),
        (date(2026, 11, 30), "extract", END),
        (date(2026, 11, 30), "as_of", date(2026, 11, 30)),
    ],
)
def test_nothing_is_known_after_the_as_of_date(warehouse: Warehouse, as_of: date, through: str, known: date) -> None:
    _run(warehouse, as_of)
    settings = Settings(parameters={"follow_up_through": through})
    assert last_known_day(warehouse, settings, Reference()) == known


def test_readmissions_elsewhere_are_national_shares_unless_a_report_tells(cms_dir: Path) -> None:
    reference = Reference()
    assert readmissions_elsewhere(Settings(), reference) == {}
    own = readmissions_elsewhere(Settings(sees_other_hospitals=False), reference)
    assert set(own) == set(MEASURES)
    assert (own["HF"].share, own["HF"].source) == (0.191, "national share, confidence medium")
    told = readmissions_elsewhere(
        Settings(sees_other_hospitals=False, hsr=cms_dir / "fy2025_hrrp_mock_hsr.xlsx"), reference
    )
    assert told["CABG"] == own["CABG"]
    assert "FY2025 report" in told["HF"].source
    # One of two, beside what a share of 0.191 +- 0.08 weighs.
    weight = 0.191 * 0.809 / 0.08**2 - 1
    assert told["HF"].share == pytest.approx((1 + weight * 0.191) / (2 + weight))


def test_notes_say_what_own_discharges_cannot_see(warehouse: Warehouse) -> None:
    _run(warehouse, END)
    _stays(warehouse, [END])
    reference = Reference()
    (said,) = notes.elsewhere(warehouse, Settings(sees_other_hospitals=False), reference)
    assert "HF 19% (national share, confidence medium)" in said
    assert "same-hospital rates" in said and "cannot be compared with CMS's" in said
    (asked,) = notes.elsewhere(warehouse, Settings(), reference)
    assert "set sees_other_hospitals = false" in asked
    _stays(warehouse, [END], ccn="010005")
    assert notes.elsewhere(warehouse, Settings(), reference) == []


def test_notes_name_hospitals_that_changed_numbers(warehouse: Warehouse) -> None:
    stays = pd.DataFrame({"former_ccn": ["360001", "360001", None], "ccn": "360002"})
    warehouse.write("cohort.stays", stays, {"former_ccn": "varchar", "ccn": "varchar"})
    assert notes.successions(warehouse) == [
        "2 stays reported by 360001 count under 360002, its successor (reference.hospital_successions)"
    ]


def test_a_report_of_another_hospital_is_named(warehouse: Warehouse) -> None:
    kinds = {"program_year": "integer", "ccn": "varchar"}
    warehouse.write("result.report_measures", pd.DataFrame(columns=list(kinds)), kinds)
    settings = Settings(hsr=Path("/anywhere/fy2025.xlsx"))
    (said,) = notes.report(warehouse, settings)
    assert said.startswith("the report fy2025.xlsx is not of a hospital of this run")
    assert notes.report(warehouse, Settings()) == []
    warehouse.write("result.report_measures", pd.DataFrame([{"program_year": 2025, "ccn": "010001"}]), kinds)
    assert notes.report(warehouse, settings) == []


def test_a_running_period_without_the_year_before_is_named(warehouse: Warehouse) -> None:
    _run(warehouse, END)
    reference = Reference()
    for years, year, said in (([2028, 2029], 2029, False), ([2029], 2029, True), ([2028], 2028, False)):
        warehouse.write("intake.run_program_years", pd.DataFrame({"program_year": years}), {"program_year": "integer"})
        found = notes.history(warehouse, Settings(), reference, year)
        assert bool(found) is said
        assert all("FY2028 is not part of this run" in note for note in found)


def test_a_year_of_which_nothing_is_known_yet_is_named(warehouse: Warehouse) -> None:
    kinds = {"program_year": "integer", "volume_basis": "varchar"}
    for bases, said in (([TOO_FEW_DAYS] * 2, True), (["same days a year earlier"] * 2, False)):
        rows = pd.DataFrame({"program_year": 2029, "volume_basis": bases})
        warehouse.write("result.forecast_inputs", rows, kinds)
        assert bool(notes.volumes(warehouse, 2029)) is said
    assert notes.volumes(warehouse, 2030) == []


def test_a_last_month_that_is_not_complete_is_named(warehouse: Warehouse) -> None:
    _run(warehouse, END)
    steady = [END - timedelta(days=day % 210) for day in range(210 * 3)]
    _stays(warehouse, steady)
    assert notes.run_out(warehouse) == []
    _stays(warehouse, [day for day in steady if day <= END - timedelta(15)])
    (said,) = notes.run_out(warehouse)
    assert "hold 50% of the stays" in said
    assert "claims_run_out_days" in said
    # So few stays tell nothing.
    _stays(warehouse, [day for day in steady if day <= END - timedelta(15)][::10])
    assert notes.run_out(warehouse) == []


def test_the_ledger_keeps_every_night_and_a_second_run_of_a_night_replaces_its_own(tmp_path: Path) -> None:
    settings = Settings(out=tmp_path)
    kinds = dict(zip(COLUMNS, ("date", "integer", *["varchar"] * 3, *["double"] * 3), strict=True))
    for day, middle in ((END, 0.004), (END + timedelta(1), 0.005), (END + timedelta(1), 0.006)):
        with open_warehouse(tmp_path / "working.duckdb", settings) as tonight:
            _run(tonight, day)
            forecasts = pd.DataFrame(
                [
                    (2028, "010001", None, "reduction", middle - 0.001, middle, middle + 0.001),
                    (2028, "010001", None, "mean_reduction", None, middle, None),
                ],
                columns=COLUMNS[1:],
            )
            tonight.write("result.forecasts", forecasts, {name: kinds[name] for name in COLUMNS[1:]})
            found = forecast_ledger(tonight, settings, Reference())
            tonight.write("result.forecast_ledger", found, kinds)
        # What a run that ends well publishes is what the next night reads.
        (tmp_path / "working.duckdb").replace(tmp_path / "hrrp.duckdb")
    # Figures that nobody publishes are not kept.
    assert [(str(row["as_of"])[:10], row["median"]) for row in found.to_dict(orient="records")] == [
        ("2026-10-31", 0.004),
        ("2026-11-01", 0.006),
    ]
