"""`hrrp simulate` as a user calls it: what it writes, what it prints, what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from hrrp.cli import main


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["hrrp", "simulate", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_json_is_one_document_and_the_files_are_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "my system"
    code = _run(monkeypatch, "--hospitals", "4", "--stays", "1200", "--seed", "9", "--out", str(out), "--json")
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert code == 0
    assert document["stays"] == 1200
    assert document["start"] == "2023-07-01"
    assert set(document["measures"]) == {"AMI", "COPD", "HF", "PN", "CABG", "THA_TKA"}
    assert {file["name"] for file in document["files"]} == {
        str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()
    }
    assert all((out / file["name"]).stat().st_size == file["bytes"] for file in document["files"])
    assert document["next"] == f"hrrp run --data '{out}'"
    assert "drawing" in printed.err


def test_summary_says_what_lies_where_and_what_comes_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ("--hospitals", "2", "--stays", "300", "--out", str(tmp_path / "x"), "--format", "csv")
    assert _run(monkeypatch, *arguments) == 0
    printed = capsys.readouterr().out
    for expected in ("stays.csv", "truth/outcomes.parquet", "readmitted", "Nobody in it exists", "hrrp run --data"):
        assert expected in printed
    assert (tmp_path / "x" / "stays.csv").read_text().count("\n") == 301


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--stays", "0"), "--stays is 0: give a number from 1"),
        (("--hospitals", "0"), "--hospitals is 0"),
        (("--start", "2025-01-01", "--end", "2024-01-01"), "give at least 90"),
        (("--format", "xlsx"), "--format is xlsx: give one of parquet, csv"),
    ],
)
def test_wrong_use_is_exit_2_with_what_to_do_and_writes_nothing(
    arguments: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    assert _run(monkeypatch, "--out", str(tmp_path / "x"), *arguments) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_folder_in_use_is_exit_2_unless_forced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    arguments = ("--hospitals", "2", "--stays", "50", "--out", str(tmp_path))
    assert _run(monkeypatch, *arguments) == 2
    assert "--force" in capsys.readouterr().err
    assert _run(monkeypatch, *arguments, "--force", "--json") == 0
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "stays.parquet").exists()


def test_a_place_that_cannot_be_written_is_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert _run(monkeypatch, "--stays", "50", "--out", str(tmp_path / "file" / "below")) == 2
    assert "cannot be written to" in capsys.readouterr().err


def test_a_full_disk_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hrrp.intake.simulation.write_tables", full)
    assert _run(monkeypatch, "--stays", "50", "--out", str(tmp_path)) == 1
    assert "could not be written (No space left on device)" in capsys.readouterr().err


def test_a_model_year_that_was_never_published_has_a_stand_in_that_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ("--stays", "200", "--out", str(tmp_path), "--model-year", "2028", "--json")
    assert _run(monkeypatch, *arguments) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["measures"]["HF"]["model_program_year"] == 2025
    assert "FY2028" in printed.err and "FY2025" in printed.err
