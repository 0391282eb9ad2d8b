"""data/sample: what its seed gives, small, and in step with itself: the report and the supplemental file come out exact."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as parquet
import pytest

from hrrp.intake.hsr import read_hsr
from hrrp.intake.simulation import simulate
from hrrp.intake.simulation.files import rows_of, write_tables
from hrrp.intake.simulation.tables import truth_tables
from hrrp.intake.supplemental import read_supplemental
from hrrp.penalty.replicate import replicate
from hrrp.penalty.supplemental import recompute
from hrrp.program import Reference
from hrrp.settings import sample_dir

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def sample() -> Path:
    return sample_dir()


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_sample", CHECKOUT / "scripts" / "build_sample.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sample_is_what_its_seed_gives(sample: Path, builder: ModuleType, tmp_path: Path) -> None:
    drawn = simulate(builder.EXTRACT)
    tables = {f"{name}.{'csv' if name == 'hospitals' else 'parquet'}": table for name, table in drawn.tables.items()}
    tables["outcomes.parquet"] = truth_tables(drawn.facilities, drawn.truth)["outcomes"]
    write_tables(tmp_path, tables)
    for name, table in tables.items():
        shipped = sample / ("truth" if name.startswith("outcomes") else "") / name
        if name.endswith(".csv"):
            assert shipped.read_text() == (tmp_path / name).read_text()
        else:
            # Contents, not bytes: another version of the Parquet library writes its own name into the file.
            assert parquet.read_table(shipped).equals(parquet.read_table(tmp_path / name)), name
            assert parquet.read_metadata(shipped).num_rows == rows_of(table)


def test_the_sample_is_small_and_says_what_it_is(sample: Path) -> None:
    files = [path for path in sample.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    text = (sample / "README.md").read_text()
    assert "Nobody in this folder exists" in text
    assert "--seed 2026" in text and "scripts/build_sample.py" in text
    for path in (sample / "cms").iterdir():
        assert path.name in text


def test_the_report_is_replicated_exactly(sample: Path) -> None:
    (path,) = (sample / "cms").glob("*.xlsx")
    report = read_hsr(path)
    found = replicate(report, Reference())
    assert found.agrees, found.differences
    assert found.largest_gap < 1e-12
    assert all(result.eligible_discharges for result in report.results.values()), "all six measures have stays"
    assert any(result.penalty_indicator for result in report.results.values())
    assert report.dual_stays


def test_the_report_and_the_supplemental_file_tell_the_same(sample: Path) -> None:
    (report_path,) = (sample / "cms").glob("*.xlsx")
    (file_path,) = (sample / "cms").glob("*.csv")
    report, file = read_hsr(report_path), read_supplemental(file_path)
    (row,) = [row for row in file.hospitals if row.ccn == report.ccn]
    assert row.paf == report.payment_adjustment.paf
    assert row.peer_group == report.payment_adjustment.peer_group
    for measure, printed in report.results.items():
        figures = row.measures[measure]
        assert figures.eligible_discharges == printed.eligible_discharges
        assert figures.err == pytest.approx(printed.err, abs=0.00005)
        assert figures.penalty_indicator == printed.penalty_indicator
    with (sample / "hospitals.csv").open() as text:
        names = {hospital["ccn"]: hospital["name"] for hospital in csv.DictReader(text)}
    assert names[row.ccn] == report.hospital_name
    assert set(names) <= {hospital.ccn for hospital in file.hospitals}


def test_the_supplemental_file_is_recomputed_exactly(sample: Path) -> None:
    (path,) = (sample / "cms").glob("*.csv")
    file = read_supplemental(path)
    reference = Reference()
    rules = reference.program_year(file.program_year)
    found = recompute(file, rules, rules.neutrality_modifier)
    assert found.complete
    assert len(found.with_agreement("exact")) == len(file.hospitals) == 205
    assert found.peer_groups_agree == 205
    assert found.medians_agree == 30


def test_no_hospital_of_the_sample_is_real(sample: Path, cms_dir: Path) -> None:
    with (cms_dir / "hospital_general_information_2026.csv").open(encoding="utf-8-sig") as text:
        rows = list(csv.DictReader(text))
    numbers = {row["Facility ID"] for row in rows}
    names = {row["Facility Name"].casefold() for row in rows}
    (path,) = (sample / "cms").glob("*.csv")
    assert not numbers & {row.ccn for row in read_supplemental(path).hospitals}
    with (sample / "hospitals.csv").open() as text:
        assert not names & {row["name"].casefold() for row in csv.DictReader(text)}
