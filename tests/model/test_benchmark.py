"""The benchmark's data and document; times are not asserted."""

from __future__ import annotations

import json

import numpy as np
from typer.testing import CliRunner

from hrrp.cli import app
from hrrp.model.benchmark import synthetic_nation


def test_the_nation_is_what_it_says() -> None:
    outcome, design, hospital = synthetic_nation(20_000, 200, 12, 3)
    assert design.shape == (20_000, 12)
    assert (design.iloc[:, 2:].dtypes == np.uint8).all()
    assert abs(outcome.mean() - 0.15) < 0.01
    assert np.bincount(hospital).min() >= 25
    assert (np.diff(hospital) >= 0).all()


def test_the_command_prints_one_document() -> None:
    arguments = "benchmark model --stays 3000 --hospitals 40 --variables 6 --replicates 3 --repetitions 1 --no-compilation --json"
    answer = CliRunner().invoke(app, arguments.split())
    assert answer.exit_code == 0, answer.output
    document = json.loads(answer.stdout)
    assert document["data"]["stays"] == 3000
    assert {row["what"] for row in document["timings"]} >= {"RSPL with all ERRs", "bootstrap, 3 replicates"}
    assert document["bootstrap"] == {"replicates": 3, "failed": 0}
    assert len(document["scaling"]) == 6
    assert document["answers"]["largest_err_difference_numpy"] < 1e-8
    assert document["compilation_seconds"] is None
