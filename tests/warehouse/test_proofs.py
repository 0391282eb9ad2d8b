"""Results of replications and reconciliations beside a run: kept, published, and no fresher than the run."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from hrrp.settings import Settings
from hrrp.warehouse import open_warehouse
from hrrp.warehouse.proofs import keep_proof
from hrrp.warehouse.publish import write_review

PUBLISHED_AT = 1_700_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An output folder with one published table."""
    settings = Settings(out=tmp_path)
    with open_warehouse(tmp_path / "hrrp.duckdb", settings) as warehouse:
        warehouse.execute("create schema result")
        warehouse.execute("create table result.hospital_penalties as select '010001' as ccn")
    write_review(tmp_path / "hrrp.duckdb", tmp_path / "review.duckdb", settings)
    os.utime(tmp_path / "review.duckdb", (PUBLISHED_AT, PUBLISHED_AT))
    return settings


def proofs(settings: Settings) -> list[tuple[str, int, str | None, str]]:
    with open_warehouse(settings.out / "review.duckdb", settings, read_only=True) as review:
        return review.rows("select kind, program_year, ccn, document from result.proofs order by all")


def test_without_a_run_nothing_is_kept(tmp_path: Path) -> None:
    assert not keep_proof(Settings(out=tmp_path), "replicate", 2025, "010001", "report.xlsx", {})
    assert list(tmp_path.iterdir()) == []


def test_the_last_of_each_kind_is_published_at_once(settings: Settings) -> None:
    assert keep_proof(settings, "replicate", 2025, None, "folder/report.xlsx", {"agrees": False})
    keep_proof(settings, "replicate", 2025, None, "report.xlsx", {"agrees": True})
    keep_proof(settings, "reconcile", 2025, "010001", "report.xlsx", {"measures": {}})
    found = proofs(settings)
    assert [row[:3] for row in found] == [("reconcile", 2025, "010001"), ("replicate", 2025, None)]
    assert json.loads(found[1][3]) == {"agrees": True}
    with open_warehouse(settings.out / "review.duckdb", settings, read_only=True) as review:
        assert review.rows("select ccn from result.hospital_penalties") == [("010001",)]


def test_the_published_file_keeps_its_time(settings: Settings) -> None:
    keep_proof(settings, "replicate", 2025, None, "report.xlsx", {})
    assert (settings.out / "review.duckdb").stat().st_mtime == PUBLISHED_AT
    assert (settings.out / "proofs.json").stat().st_mode & 0o777 == 0o600


def test_beside_a_run_that_writes_it_waits_for_the_next_publication(settings: Settings) -> None:
    with (settings.out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = (settings.out / "review.duckdb").stat().st_ino
        assert keep_proof(settings, "replicate", 2025, None, "report.xlsx", {})
        assert (settings.out / "review.duckdb").stat().st_ino == before
    write_review(settings.out / "hrrp.duckdb", settings.out / "review.duckdb", settings)
    assert [row[:3] for row in proofs(settings)] == [("replicate", 2025, None)]


def test_a_damaged_file_does_not_stop_a_publication(settings: Settings) -> None:
    (settings.out / "proofs.json").write_text("[{]", encoding="utf-8")
    write_review(settings.out / "hrrp.duckdb", settings.out / "review.duckdb", settings)
    assert proofs(settings) == []
