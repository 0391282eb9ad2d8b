"""Who may write the working file, what it begins with, and that nothing half-made is ever published."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrrp.errors import UsageError
from hrrp.orchestration.resources import Site, prepare_state
from hrrp.settings import Settings
from hrrp.warehouse import open_warehouse
from hrrp.warehouse.publish import put_in_place


@pytest.fixture
def site(settings: Settings) -> Site:
    return Site(settings)


def publish(site: Site, value: int) -> None:
    with site.writing() as warehouse:
        warehouse.execute(
            f"create schema if not exists result; create or replace table result.t as select {value} as v"
        )
    put_in_place(site.working, site.published)


def value(path: Path, site: Site) -> int:
    with open_warehouse(path, site.settings, read_only=True) as warehouse:
        return int(warehouse.rows("select v from result.t")[0][0])


def test_one_table_made_again_begins_with_the_published_ones(site: Site) -> None:
    publish(site, 1)
    with site.writing() as warehouse:
        assert warehouse.rows("select v from result.t") == [(1,)]
        warehouse.execute("update result.t set v = 2")
    assert value(site.published, site) == 1
    assert value(site.newest(), site) == 2


def test_a_whole_run_begins_with_nothing(site: Site) -> None:
    publish(site, 1)
    with site.writing() as warehouse:
        warehouse.execute("create table result.left_over as select 1 as x")
    site.begin("run")
    with site.writing("run") as warehouse:
        assert warehouse.tables() == {}


def test_a_run_that_was_overtaken_may_not_write(site: Site) -> None:
    site.begin("first")
    with site.writing("first") as warehouse:
        warehouse.execute("create schema result")
    Site(site.settings).begin("second")
    with pytest.raises(UsageError, match="took the working file over"), site.writing("first"):
        pass


def test_only_one_writes_at_a_time(site: Site) -> None:
    other = Site(site.settings)
    with site.locked(), pytest.raises(UsageError, match="Another run is writing"), other.locked():
        pass
    with other.locked():
        pass


def test_kept_open_from_table_to_table_and_closed_for_readers(site: Site) -> None:
    with site.keeping_open():
        with site.writing() as first:
            first.execute("create schema result; create table result.t as select 5 as v")
        with site.writing() as second:
            assert second is first
        assert value(site.newest(), site) == 5
        with site.writing() as third:
            assert third is not first
    assert value(site.newest(), site) == 5


def test_an_unclosed_file_is_not_published(site: Site) -> None:
    with site.writing() as warehouse:
        warehouse.execute("create schema result; create table result.t as select 1 as v")
    site.working.with_name("working.duckdb.wal").write_bytes(b"log")
    with pytest.raises(RuntimeError, match="was not closed"):
        put_in_place(site.working, site.published)
    assert not site.published.exists()


def test_a_reader_keeps_what_it_opened(site: Site) -> None:
    publish(site, 1)
    with open_warehouse(site.published, site.settings, read_only=True) as reader:
        site.begin("run")
        with site.writing("run") as warehouse:
            warehouse.execute("create schema result; create table result.t as select 2 as v")
        put_in_place(site.working, site.published)
        assert reader.rows("select v from result.t") == [(1,)]


def test_the_state_is_a_home_of_its_own_with_nothing_sent_anywhere(tmp_path: Path) -> None:
    home = prepare_state(Settings(out=tmp_path / 'out "quoted" folder'))
    text = (home / "dagster.yaml").read_text(encoding="utf-8")
    assert "data/out/state" not in text.split("telemetry:")[1]
    assert "telemetry:\n  enabled: false" in text
    assert "nux:\n  enabled: false" in text
    before = (home / "dagster.yaml").stat().st_mtime_ns
    assert prepare_state(Settings(out=tmp_path / 'out "quoted" folder')) == home
    assert (home / "dagster.yaml").stat().st_mtime_ns == before
