"""`hrrp reconcile` on a report that is really of the run's stays: a small system is judged twice.

Once with everything that CMS sees, which gives the report, and once with what one hospital has: its own stays under its own patient
numbers, no history of other providers, no enrollment, no death dates.
"""

from __future__ import annotations

import csv
import json
import runpy
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from hrrp.cli import app
from hrrp.errors import UsageError
from hrrp.intake.extract import load_extract
from hrrp.intake.hsr import read_hsr
from hrrp.intake.hsr_writer import write_hsr
from hrrp.intake.simulation import Options, simulate, write_simulation
from hrrp.program import MEASURES, Reference
from hrrp.program.hospital_report import HospitalReport
from hrrp.settings import load_settings
from hrrp.warehouse import load_steps, open_warehouse

CHECKOUT = Path(__file__).resolve().parents[2]
YEAR = 2025


@dataclass
class Site:
    ccn: str
    folder: Path

    @property
    def hsr(self) -> Path:
        return self.folder / "FY2025_HSR.xlsx"

    @cached_property
    def report(self) -> HospitalReport:
        return read_hsr(self.hsr)


def judge(extract: Path, out: Path) -> None:
    """The tables of a run up to the payments: what reconcile reads, without the model's share of the time."""
    settings = load_settings(data=extract, out=out, program_years=(YEAR,), threads=1)
    reference = Reference()
    out.mkdir()
    with open_warehouse(out / "hrrp.duckdb", settings) as warehouse:
        warehouse.load_reference(reference)
        load_extract(warehouse, settings, reference)
        values = {name: each.value for name, each in reference.parameters({}).items()}
        made: set[str] = set()
        for step in load_steps():
            known = all(up in made or up.split(".")[0] in {"intake", "reference"} for up in step.upstreams)
            if known and step.group in ("staging", "cohort", "risk", "payment"):
                warehouse.run_step(step, values)
                made.add(step.name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("reconciled")
    everything = Options(2, 2_400, 5, date(2020, 7, 1), date(2023, 7, 31))
    write_simulation(simulate(everything), folder / "cms", "csv")
    judge(folder / "cms", folder / "out_cms")
    makers = runpy.run_path(str(CHECKOUT / "scripts" / "build_sample.py"))
    with open_warehouse(folder / "out_cms" / "hrrp.duckdb", load_settings(), read_only=True) as warehouse:
        ((ccn, name),) = warehouse.rows(
            "select ccn, hospitals.name from staging.stays inner join staging.hospitals using (ccn) "
            "group by all order by count(*) desc limit 1"
        )
        report = makers["_report"](warehouse, ccn, name, Reference())
    site = Site(ccn, folder)
    write_hsr(report, site.hsr)
    _own_extract(site)
    judge(folder / "own", folder / "out_own")
    return site


def _own_extract(site: Site) -> None:
    own = site.folder / "own"
    own.mkdir()
    tables = {path.stem: pd.read_csv(path, dtype=str) for path in (site.folder / "cms").glob("*.csv")}
    stays = tables["stays"].loc[lambda table: table["ccn"] == site.ccn]
    numbers = stays.drop_duplicates("person_id").set_index("person_id")["medical_record_number"]
    persons = tables["persons"].loc[lambda table: table["person_id"].isin(numbers.index)].drop(columns="death_date")
    for name, table in (("stays", stays), ("persons", persons)):
        table.assign(person_id="EPI" + table["person_id"].map(numbers)).to_csv(own / f"{name}.csv", index=False)
    for name in ("diagnoses", "procedures"):
        tables[name].loc[lambda table: table["stay_id"].isin(stays["stay_id"])].to_csv(own / f"{name}.csv", index=False)


def reconciled(site: Site, out: str, *more: str) -> dict[str, Any]:
    arguments = ["reconcile", "--hsr", str(site.hsr), "--out", str(site.folder / out), "--json", *more]
    found = CliRunner().invoke(app, arguments)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    document: dict[str, Any] = json.loads(found.stdout)
    return document


def test_with_all_that_cms_sees_nothing_differs(site: Site) -> None:
    found = reconciled(site, "out_cms")
    assert (found["program_year"], found["ccn"], found["disagreements"]) == (YEAR, site.ccn, 0)
    for measure in MEASURES:
        table, row = site.report.discharges[measure], found["measures"][measure]
        assert row["matched"] == row["report_stays"] == len(table.discharges)
        assert row["index_both"] == table.included.sum()
        assert row["readmissions_both"] == row["readmissions_report"] == table.readmitted[table.included].sum()
        assert all(set(kinds) == {"both"} for kinds in row["risk_factors"].values())
        if row["calibration"] is not None:
            assert row["calibration"]["offset"] == pytest.approx(0, abs=1e-9)
            assert row["calibration"]["standard_error"] == pytest.approx(0, abs=1e-9)
    assert sum(row["index_both"] for row in found["measures"].values()) > 100


def test_own_stays_alone_lack_returns_elsewhere_and_history(site: Site, tmp_path: Path) -> None:
    """Matched by the medical record number alone: the report has other identifiers of the same persons."""
    listed = tmp_path / "rows.csv"
    found = reconciled(site, "out_own", "--rows", str(listed))
    elsewhere = 0
    for measure in MEASURES:
        table, row = site.report.discharges[measure], found["measures"][measure]
        assert row["index_both"] == table.included.sum() and row["index_report_only"] == 0
        there = [stay for stay in table.discharges if stay.included and stay.unplanned_readmission]
        elsewhere += sum(not stay.same_hospital for stay in there)
        assert row["only_cms_saw"] == row["only_cms_saw_elsewhere"] == sum(not stay.same_hospital for stay in there)
        assert row["readmissions_both"] == sum(bool(stay.same_hospital) for stay in there)
        if row["calibration"] is not None:
            assert row["calibration"]["offset"] > row["calibration"]["standard_error"] > 0
            assert row["calibration"]["own_expected"] < row["calibration"]["cms_expected"]
    assert elsewhere > 3
    assert any(row["calibration"] for row in found["measures"].values())
    factors = [kinds for row in found["measures"].values() for kinds in row["risk_factors"].values()]
    assert sum(kinds.get("only_cms", 0) for kinds in factors) > 50
    assert not any("only_own" in kinds or "differs" in kinds for kinds in factors)
    # Each stay that only own data count is out by a rule that needs enrollment, deaths or other hospitals.
    returns, rules = "only the report has the readmission: a return at another hospital that own data lack", set()
    for text in {text for row in found["measures"].values() for text in row["decided_by"]} - {returns}:
        assert text.startswith("only own data count it: report's rule: ")
        rules.update(text.removeprefix("only own data count it: report's rule: ").split(", "))
    assert rules == {"payer or enrollment_before", "enrollment_after or prior_30_days", "transferred_out"}
    with listed.open(newline="") as lines:
        assert len(list(csv.DictReader(lines))) == found["disagreements"] == found["rows_written"] > 0
    assert listed.stat().st_mode & 0o777 == 0o600


def test_a_calibration_is_kept_for_the_next_run(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HRRP_SITE_REFERENCE", str(tmp_path / "site"))
    found = reconciled(site, "out_own", "--apply")
    offsets = {
        measure: row["calibration"]["offset"] for measure, row in found["measures"].items() if row["calibration"]
    }
    kept = Reference(tmp_path / "site").rows("expected_calibration")
    assert {row["measure"]: float(row["logit_offset"]) for row in kept} == pytest.approx(offsets)
    assert {row["ccn"] for row in kept} == {site.ccn} and found["calibrations_applied"] == len(offsets)


def test_a_run_that_cannot_be_compared_is_told_what_to_do(site: Site) -> None:
    with pytest.raises(UsageError, match=r"There is no run in .*\. Run `hrrp run --program-year 2025` first"):
        reconciled(site, "nothing")
    with pytest.raises(UsageError, match=r"CCN 010001 has no stays in the run\. The run has \d hospital"):
        reconciled(site, "out_own", "--ccn", "010001")
