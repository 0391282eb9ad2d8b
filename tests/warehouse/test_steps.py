"""SQL that was parsed before is not parsed again, and nothing old is ever taken for new."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hrrp.warehouse import steps
from hrrp.warehouse.steps import ParsedBefore, load_steps, parse_step

ONE = "-- A table.\nselect a from staging.stays where a > $least\n"


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    folder = tmp_path / "sql" / "cohort"
    folder.mkdir(parents=True)
    (folder / "one.sql").write_text(ONE, encoding="utf-8")
    return folder.parent


def load(sql: Path, place: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    load_steps.cache_clear()
    (step,) = load_steps(sql, place)
    return step.upstreams, step.parameters


def test_what_has_not_changed_is_not_parsed_again(sql: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "sql_steps.json"
    first = load(sql, place)
    assert first == (("staging.stays",), ("least",))
    monkeypatch.setattr(steps, "_names", lambda *_: pytest.fail("parsed again"))
    assert load(sql, place) == first


def test_a_changed_file_is_parsed_and_what_it_was_is_forgotten(sql: Path, tmp_path: Path) -> None:
    place = tmp_path / "sql_steps.json"
    load(sql, place)
    (sql / "cohort" / "one.sql").write_text("-- A table.\nselect a from staging.persons\n", encoding="utf-8")
    assert load(sql, place) == (("staging.persons",), ())
    assert len(json.loads(place.read_text())) == 1


def test_another_version_of_the_parser_parses_anew(sql: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "sql_steps.json"
    load(sql, place)
    (before,) = json.loads(place.read_text())
    monkeypatch.setattr(steps, "version", lambda _: "0.0.1")
    load(sql, place)
    (after,) = json.loads(place.read_text())
    assert after != before


@pytest.mark.parametrize("content", ["", "[]", "{", '{"key": 1}', '{"key": [1, 2]}', '{"key": [["a"]]}'])
def test_a_file_that_is_no_such_file_counts_as_none(sql: Path, tmp_path: Path, content: str) -> None:
    place = tmp_path / "sql_steps.json"
    place.write_text(content, encoding="utf-8")
    assert load(sql, place) == (("staging.stays",), ("least",))
    assert len(json.loads(place.read_text())) == 1


def test_a_folder_that_is_not_there_is_not_made(sql: Path, tmp_path: Path) -> None:
    assert load(sql, tmp_path / "absent" / "sql_steps.json") == (("staging.stays",), ("least",))
    assert not (tmp_path / "absent").exists()


def test_the_shipped_steps_are_the_same_parsed_or_read(tmp_path: Path) -> None:
    place = tmp_path / "sql_steps.json"
    load_steps.cache_clear()
    parsed = load_steps(None, place)
    load_steps.cache_clear()
    assert load_steps(None, place) == parsed == load_steps()
    assert all(parse_step(step.path, ParsedBefore(place)) == step for step in parsed)
