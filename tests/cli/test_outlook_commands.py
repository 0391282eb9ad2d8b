"""forecast, what-if and break-even on a small synthetic system: contracts, and what a quality manager reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hrrp.cli import main
from hrrp.program import MEASURES

Run = Callable[..., tuple[int, str, str]]


# The first day of FY2030's period, long before the extract's end: nothing after it may count.
AS_OF = "2026-07-01"
CCN = "300878"


def called(*arguments: object) -> int:
    """The exit code of a command line."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr("sys.argv", ["hrrp", *map(str, arguments)])
        main()
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outlook")
    extract, out = folder / "extract", folder / "out"
    assert called("simulate", "--out", extract, "--hospitals", 2, "--stays", 4000, "--seed", 3) == 0
    assert called("run", "--data", extract, "--out", out, "--as-of", AS_OF, "--json") == 0
    return out


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], system: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = called(*arguments, "--out", system)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def document(run: Run, *arguments: str) -> Any:
    code, out, _ = run(*arguments, "--json")
    assert code == 0
    return json.loads(out)


def test_a_period_that_began_on_the_as_of_date_is_all_projected(run: Run) -> None:
    found = document(run, "forecast", "--ccn", CCN)["forecasts"]
    assert [each["program_year"] for each in found] == [2027, 2028, 2029, 2030]
    for each in found:
        assert list(each["measures"]) == list(MEASURES)
        low, high = each["paf_interval"]
        assert 0.97 <= low <= each["paf_median"] <= high <= 1.0
    begun = found[-1]
    assert begun["share_of_period"] == pytest.approx(1 / 730, rel=0.01)
    assert begun["measures"]["HF"]["eligible_discharges"] == 0
    # What is known before the period tells volume, payments and the hospital's own results.
    before = found[1]["measures"]["HF"]
    assert begun["measures"]["HF"]["cases_median"] == pytest.approx(before["cases_median"], rel=0.5)
    assert begun["penalty_usd_interval"][1] > 0
    assert begun["chance_of_penalty"] > 0.5


def test_history_says_what_is_still_missing(run: Run) -> None:
    (found,) = document(run, "forecast", "--ccn", CCN, "--program-year", "2028", "--history")["forecasts"]
    assert [night["as_of"] for night in found["history"]["nights"]] == [AS_OF]
    assert found["history"]["score"] is None
    code, out, _ = run("forecast", "--ccn", CCN, "--program-year", "2028", "--history")
    assert code == 0
    assert "setting hsr a Hospital-Specific Report" in " ".join(out.split())


def test_the_scenario_of_nothing_is_the_forecast(run: Run) -> None:
    (forecast,) = document(run, "forecast", "--ccn", CCN, "--program-year", "2029")["forecasts"]
    nothing = document(run, "what-if", "--ccn", CCN, "--program-year", "2029")
    assert nothing["what_if"] == nothing["forecast"]
    for figure in ("payment_reduction_median", "payment_reduction_interval", "chance_of_penalty"):
        assert nothing["forecast"][figure] == forecast[figure]
    for measure in MEASURES:
        assert nothing["forecast"]["measures"][measure]["err_interval"] == forecast["measures"][measure]["err_interval"]


def test_scenarios_are_saved_read_and_compared(run: Run, tmp_path: Path) -> None:
    clinic, calls = tmp_path / "clinic.json", tmp_path / "calls.json"
    place = ("what-if", "--ccn", CCN, "--program-year", "2029")
    assert run(*place, "--avoid", "hf=2", "--name", "HF clinic", "--save", str(clinic))[0] == 0
    assert json.loads(clinic.read_text())["avoid"] == {"HF": 2.0}
    assert run(*place, "--avoid", "HF=400", "--save", str(calls))[0] == 0
    code, out, _ = run(*place, "--scenario", str(clinic), "--scenario", str(calls))
    assert code == 0
    assert "HF clinic" in out
    assert "calls" in out
    assert "what has happened cannot be avoided any more" in " ".join(out.split())
    both = document(run, *place, "--scenario", str(clinic), "--scenario", str(calls))["scenarios"]
    assert both[1]["what_if"]["payment_reduction"] <= both[0]["what_if"]["payment_reduction"]
    assert both[0] == document(run, *place, "--scenario", str(clinic))
    code, _, err = run(*place, "--scenario", str(clinic), "--scenario", str(calls), "--save", str(tmp_path / "x.json"))
    assert code == 2
    assert "--save writes one scenario" in err


def test_break_even_reaches_what_it_says(run: Run) -> None:
    found = document(run, "break-even", "--ccn", CCN, "--program-year", "2029", "--target", "0.3%")
    aim = found["target"]
    assert aim["payment_reduction"] <= 0.003
    avoid = [word for measure, k in aim["avoid"].items() if k for word in ("--avoid", f"{measure}={k}")]
    check = document(run, "what-if", "--ccn", CCN, "--program-year", "2029", *avoid)
    assert check["what_if"]["payment_reduction"] == pytest.approx(aim["payment_reduction"], abs=1e-9)
    over = document(run, "break-even", "--ccn", CCN, "--program-year", "2028")
    costly = [row for row in over["measures"].values() if row["contribution"] > 0]
    assert costly
    assert all("cannot be reached in this period" in row["reason"] for row in costly if row["total"] is None)
    code, out, _ = run("break-even", "--ccn", CCN, "--program-year", "2029")
    assert code == 0
    assert "short of the 25 that make it count" in " ".join(out.split())


def test_what_moves_it_and_what_it_is_worth_read_well(run: Run) -> None:
    code, out, _ = run("forecast", "--ccn", CCN, "--program-year", "2029", "--why", "--value")
    said = " ".join(out.split())
    assert code == 0
    for words in (
        "What makes the range wide: chance",
        "What moves it",
        "Change of the contribution since FY2028, by cause",
        "Known from earlier claims alone",
        "What one avoided readmission is worth",
        "it does not pay, because",
        "after the factor",
    ):
        assert words in said
    assert max(len(line) for line in out.splitlines()) <= 100


def test_wrong_use_is_told_kindly(run: Run) -> None:
    place = ("what-if", "--ccn", CCN, "--program-year", "2029")
    for arguments, words in (
        ((*place, "--avoid", "HF"), "expected MEASURE=NUMBER"),
        ((*place, "--avoid", "STROKE=1"), "the measure is one of AMI"),
        (("what-if", "--ccn", "1", "--program-year", "2029"), "No results for hospital 1"),
        (("break-even", "--ccn", CCN, "--program-year", "2029", "--target", "much"), "--target 'much' is not a share"),
    ):
        code, _, err = run(*arguments)
        assert code == 2
        assert words in " ".join(err.split())
