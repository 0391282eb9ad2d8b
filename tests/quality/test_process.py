"""Suites evaluated in a process of their own: the same answers, no value in an error, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hrrp.quality import Rule, evaluator, suite_process, validate
from hrrp.settings import Settings
from hrrp.warehouse import open_warehouse

RULES = (
    Rule("stay_id_unique", "No stay twice.", "ExpectColumnValuesToBeUnique", {"column": "stay_id"}, critical=True),
    Rule("age_present", "Every stay has an age.", "ExpectColumnValuesToNotBeNull", {"column": "age"}),
)


@pytest.fixture(scope="module")
def stays(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    path = tmp_path_factory.mktemp("process") / "warehouse.duckdb"
    settings = Settings(out=path.parent)
    with open_warehouse(path, settings) as warehouse:
        warehouse.execute("create schema staging")
        warehouse.execute(
            "create table staging.stays as from (values ('S1', 70), ('S2', null), ('S2', 71)) as t(stay_id, age)"
        )
    return path, settings


def test_its_answers_are_those_of_this_process_and_it_survives_a_table_that_is_missing(
    stays: tuple[Path, Settings],
) -> None:
    path, settings = stays
    with suite_process() as suites:
        there = suites.validate(path, "staging.stays", settings, RULES)
        with pytest.raises(RuntimeError, match=r"^staging.stays: the suite could not be run \(\w+\)$"):
            suites.validate(path.with_name("absent.duckdb"), "staging.stays", settings, RULES)
        again = suites.validate(path, "staging.stays", settings, RULES)
    assert there == validate(path, "staging.stays", settings, RULES) == again
    assert [result.passed for result in there] == [False, False]
    assert there[0].counts["unexpected_count"] == 2


def test_a_run_evaluates_here_only_where_great_expectations_is_imported_already(
    stays: tuple[Path, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, settings = stays
    monkeypatch.delitem(sys.modules, "great_expectations", raising=False)
    with evaluator() as evaluate:
        assert len(_children(os.getpid())) == 1
        there = evaluate(path, "staging.stays", settings, RULES)
        monkeypatch.undo()
    assert not _children(os.getpid())
    assert there == validate(path, "staging.stays", settings, RULES)
    with evaluator() as evaluate:
        assert evaluate is validate


def test_where_it_died_the_suite_is_evaluated_here(stays: tuple[Path, Settings]) -> None:
    path, settings = stays
    with suite_process() as suites:
        for process in _children(os.getpid()):
            os.kill(process, signal.SIGKILL)
        results = suites.validate(path, "staging.stays", settings, RULES)
    assert [result.ran for result in results] == [True, True]


def test_it_ends_with_an_owner_that_is_killed() -> None:
    held = "import time\nfrom hrrp.quality import suite_process\nwith suite_process():\n    print('on', flush=True)\n    time.sleep(60)"
    owner = subprocess.Popen(
        [sys.executable, "-c", held],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"on\n"
    children = _children(owner.pid)
    assert len(children) == 1
    owner.kill()
    owner.wait()
    # It looks at the pipe once its import is done.
    limit = time.monotonic() + 60
    while _serves(children[0]) and time.monotonic() < limit:
        time.sleep(0.1)
    assert not _serves(children[0])


def _children(parent: int) -> list[int]:
    """Processes of a parent that serve suites."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        process = int(status.parent.name)
        if int(fields[1]) == parent and _serves(process):
            found.append(process)
    return found


def _serves(process: int) -> bool:
    try:
        return b"hrrp.quality.process" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
