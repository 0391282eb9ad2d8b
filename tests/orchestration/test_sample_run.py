"""One run of the whole pipeline on the shipped synthetic system, in a world without a network, looked at from all sides."""

from __future__ import annotations

import html
import io
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from hrrp.cli._output import plain
from hrrp.cli.run import print_result
from hrrp.intake.canonical import load_files
from hrrp.intake.layout import CANONICAL
from hrrp.orchestration.definitions import build_definitions
from hrrp.orchestration.python_tables import PYTHON_TABLES
from hrrp.orchestration.resources import Site
from hrrp.orchestration.runner import instance
from hrrp.program import REPORT_NAMES, Reference
from hrrp.quality import SUITES
from hrrp.review.document import result_document
from hrrp.settings import Settings, sample_dir
from hrrp.warehouse import Warehouse, load_steps, open_warehouse
from hrrp.warehouse.read import WHOLE_NUMBERS

GROUPS = {"reference", "intake", "staging", "cohort", "risk", "payment", "result", "published"}

# Runs `hrrp run` and lists every address outside the machine that Python code asks for; the list must stay empty.
WATCHED = """
import ipaddress, pathlib, sys
asked = pathlib.Path(sys.argv[1]).with_name("asked")
sys.argv = ["hrrp", "run", "--out", sys.argv[1], "--json"]
def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = str(arguments[0])
    else:
        return
    if host not in {"localhost", "None", ""} and not (host[:1].isdigit() and ipaddress.ip_address(host).is_loopback):
        with asked.open("a") as lines:
            lines.write(f"{event} {host}\\n")
sys.addaudithook(watch)
# Imported here, the suites are evaluated here and not in a process of their own, where nobody watches.
import great_expectations
from hrrp.cli import main
main()
"""


@dataclass(frozen=True)
class SampleRun:
    out: Path
    stdout: str
    asked: Path
    isolated: bool

    @property
    def settings(self) -> Settings:
        return Settings(out=self.out)


def _unshare() -> list[str]:
    """Words that run a command without any network, where this machine allows it."""
    for words in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if (
            shutil.which("unshare")
            and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
        ):
            return words
    return []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    folder = tmp_path_factory.mktemp("sample_run")
    out, isolation = folder / "out", _unshare()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HRRP_", "DAGSTER_"))}
    done = subprocess.run(
        [*isolation, sys.executable, "-c", WATCHED, str(out)],
        capture_output=True,
        text=True,
        env={**environment, "HRRP_SETTINGS": str(folder / "hrrp.toml"), "OPENBLAS_NUM_THREADS": "1"},
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return SampleRun(out, done.stdout, folder / "asked", bool(isolation))


@pytest.fixture
def warehouse(run: SampleRun) -> Iterator[Warehouse]:
    with open_warehouse(run.out / "hrrp.duckdb", run.settings, read_only=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def assets() -> dict[dg.AssetKey, dg.AssetSpec]:
    definitions = build_definitions(Site(Settings()))
    return {spec.key: spec for spec in definitions.resolve_all_asset_specs()}


def test_nothing_outside_the_machine_is_asked_for(run: SampleRun) -> None:
    assert not run.asked.exists(), run.asked.read_text()
    # Where the run had no network at all, that it ended well says the same of code that is not Python.
    assert (run.out / "hrrp.duckdb").is_file()


def test_every_table_is_an_asset_and_every_asset_a_table(
    warehouse: Warehouse, assets: dict[dg.AssetKey, dg.AssetSpec]
) -> None:
    tables = set(warehouse.tables())
    assert tables == {".".join(key.path) for key in assets if key.path[0] != "published"}
    assert tables >= {step.name for step in load_steps()} | {table.name for table in PYTHON_TABLES}


def test_assets_have_groups_descriptions_and_the_lineage_of_their_sql(assets: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    assert {spec.group_name for spec in assets.values()} == GROUPS
    for key, spec in assets.items():
        assert spec.description and len(spec.description) > 15, key
        assert {dep.asset_key for dep in spec.deps} <= set(assets), f"{key} reads a table that nothing makes"
    for step in load_steps():
        found = {".".join(dep.asset_key.path) for dep in assets[dg.AssetKey(step.name.split("."))].deps}
        assert found == set(step.upstreams)


def columns(run: SampleRun) -> dict[tuple[str, str], str]:
    """Every (table, column) of the published files, with its type."""
    found = {}
    for name in ("hrrp.duckdb", "review.duckdb"):
        with open_warehouse(run.out / name, run.settings, read_only=True) as opened:
            for schema, table, column, kind in opened.rows(
                "select schema_name, table_name, column_name, data_type from duckdb_columns() where not internal"
            ):
                found[f"{schema}.{table}", column] = kind
    return found


def test_every_column_of_every_table_is_described(run: SampleRun) -> None:
    described = {(row["table_name"], row["column_name"]) for row in Reference().rows("data_dictionary")}
    assert sorted(set(columns(run)) - described) == []
    assert sorted(described - set(columns(run))) == []


def test_types_are_those_of_the_dictionary(run: SampleRun) -> None:
    types = {
        (row["table_name"], row["column_name"]): row["type"].upper() for row in Reference().rows("data_dictionary")
    }
    # What Parquet files have as a number or a date is left so where it is read in place.
    for name, layout in CANONICAL.items():
        for column in layout.columns:
            if column.as_typed:
                kind = columns(run)[f"intake.{name}", column.name]
                assert kind == "DATE" if column.kind == "date" else kind in WHOLE_NUMBERS
                types[f"intake.{name}", column.name] = kind
    wrong = {place: (kind, types[place]) for place, kind in columns(run).items() if kind != types.get(place, kind)}
    assert wrong == {}


def test_every_suite_has_its_table_and_every_check_passed(run: SampleRun) -> None:
    with open_warehouse(run.out / "review.duckdb", run.settings, read_only=True) as review:
        checked = review.rows("select table_name, check_name, passed from result.quality_checks")
    assert {(table, rule.check) for table, rules in SUITES.items() for rule in rules} <= {row[:2] for row in checked}
    assert {row[1] for row in checked} >= {
        "every_row_accounted_for",
        "rejects_within_share",
        "replicates_golden_report",
        "replicates_golden_supplemental_file",
    }
    assert [row[:2] for row in checked if not row[2]] == []


def test_no_value_of_the_sample_is_in_the_history(run: SampleRun) -> None:
    """Identifiers and dates of patients are looked for in all that Dagster kept: metadata, messages, errors."""
    with open_warehouse(None, run.settings) as sample:
        load_files(sample, sample_dir(), run.settings)
        identifiers = {
            str(value)
            for column, table in (
                ("stay_id", "intake.stays"),
                ("person_id", "intake.persons"),
                ("medical_record_number", "intake.stays"),
            )
            for (value,) in sample.rows(f"select distinct {column} from {table} where length({column}) >= 5")
        }
        dates = {str(value) for (value,) in sample.rows("select distinct birth_date from intake.persons")}
    assert len(identifiers) > 100
    kept = ""
    for path in sorted((run.out / "state").rglob("*.db")):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
                for row in connection.execute(f'select * from "{table}"'):
                    kept += "\n".join(str(value) for value in row if isinstance(value, str)) + "\n"
    assert "hospital_measures" in kept
    words = set(re.findall(r"[A-Za-z0-9_-]+", kept))
    assert sorted(identifiers & words) == []
    assert sorted(dates & words) == []


def test_watched_numbers_are_numbers_over_time(run: SampleRun) -> None:
    watched = {step.name: {label for label, _ in step.watch} for step in load_steps() if step.watch}
    watched |= {table.name: set(table.watch) for table in PYTHON_TABLES if table.watch}
    assert set(watched) >= {"staging.rejects", "risk.linear_predictors", "result.hospital_penalties"}
    with instance(run.settings) as history:
        for table, labels in watched.items():
            event = history.get_latest_materialization_event(dg.AssetKey(table.split(".")))
            assert event is not None and event.asset_materialization is not None
            metadata = event.asset_materialization.metadata
            for label in labels & set(metadata):
                assert isinstance(metadata[label], dg.FloatMetadataValue), (table, label)


def test_the_picture_in_the_readme_is_what_a_run_prints(run: SampleRun, warehouse: Warehouse) -> None:
    drawn = (Path(__file__).parents[2] / "docs" / "img" / "run.svg").read_text(encoding="utf-8")
    shown = [html.unescape(text) for text in re.findall(r"<text[^>]*>(.*?)</text>", drawn)]
    document = plain(result_document(run.out / "review.duckdb", run.settings))
    ((read, kept, rejected),) = warehouse.rows(
        "select sum(rows_read), sum(rows_kept), sum(rows_rejected) from staging.row_accounting"
    )
    document["rows"] = {"read": int(read), "kept": int(kept), "rejected": int(rejected)}
    console = Console(record=True, width=100, file=io.StringIO(), highlight=False)
    print_result(document, Settings(), console)
    squeezed = re.sub(r"\s+", "", "".join(shown))
    for line in console.export_text().splitlines():
        assert re.sub(r"\s+", "", line) in squeezed, f"python scripts/picture_of_run.py OUT draws it anew: {line}"


def test_the_page_of_the_published_models(run: SampleRun) -> None:
    """Coefficients with odds ratios and the variance stand on it; calibration and caterpillar one click away, of every model."""
    with instance(run.settings) as history:

        def page(key: dg.AssetKey) -> Mapping[str, dg.MetadataValue]:
            event = history.get_latest_materialization_event(key)
            assert event is not None and event.asset_materialization is not None
            return event.asset_materialization.metadata

        own = page(dg.AssetKey(["risk", "model_in_force"]))
        link = own["calibration plot, caterpillar plot"]
        assert isinstance(link, dg.DagsterAssetMetadataValue)
        drawn = page(link.asset_key)
    for name in REPORT_NAMES.values():
        (table,) = (own[title] for title in own if title.startswith(f"coefficients {name} "))
        assert "Odds ratio" in str(table.value)
        assert isinstance(own[f"between-hospital variance {name}"], dg.FloatMetadataValue)
        assert any(title.startswith(f"fit {name} FY") for title in drawn)


def test_the_review_database_has_no_column_of_a_patient(run: SampleRun) -> None:
    with open_warehouse(run.out / "review.duckdb", run.settings, read_only=True) as review:
        columns = review.rows(
            "select schema_name || '.' || table_name, column_name from duckdb_columns() "
            "where not internal and schema_name <> 'reference'"
        )
        assert {"result.hospital_measures", "result.hospital_penalties", "result.notes"} <= {
            table for table, _ in columns
        }
    pattern = re.compile(r"(stay|person)_(id|key)|medical_record_number|(birth|death|admit|discharge|service)_date")
    assert [place for place in columns if pattern.search(place[1])] == []
