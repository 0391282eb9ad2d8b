"""`hrrp doctor` says what is right, what is wrong and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hrrp.cli import app


def doctor(*options: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, ["doctor", "--json", *options])
    return result.exit_code, json.loads(result.stdout)


def test_all_is_well_here(tmp_path: Path) -> None:
    code, document = doctor("--out", str(tmp_path / "out"))
    assert code == 0, document["checks"]
    assert document["ok"]
    assert {check["check"] for check in document["checks"]} >= {"libraries", "reference tables", "disk", "telemetry"}
    assert document["places"]["the review database (no patient's row)"] == str(tmp_path / "out" / "review.duckdb")
    assert not (tmp_path / "out").exists()


def test_settings_say_where_they_are_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hrrp.toml").write_text('memory_limit = "2GB"\n')
    monkeypatch.setenv("HRRP_SEED", "7")
    _, document = doctor()
    found = {name: (entry["value"], entry["from"]) for name, entry in document["settings"].items()}
    assert found["memory_limit"] == ("2GB", str(tmp_path / "hrrp.toml"))
    assert found["seed"] == (7, "environment")
    assert found["draws"][1] == "default"


def test_what_is_wrong_is_said_and_the_document_still_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRRP_DATA", str(tmp_path / "nowhere"))
    code, document = doctor()
    assert code == 1
    (wrong,) = [check for check in document["checks"] if not check["ok"]]
    assert wrong["check"] == "inputs"
    assert "there is no such file or folder" in wrong["detail"]
    printed = CliRunner().invoke(app, ["doctor"])
    assert printed.exit_code == 1
    assert "wrong" in printed.stdout
