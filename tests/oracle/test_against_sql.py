"""The SQL against the oracle: every index flag, reason, return and risk factor of invented patients, without one difference.

`HRRP_ORACLE_PATIENTS` (default 100,000) and `HRRP_ORACLE_SEED` (default 1) make the bulk comparison larger or other.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache

import pytest
from comparison import compare
from histories import Tables, patients, seeded_patients
from hypothesis import HealthCheck, Phase, given, settings
from runs import RUNS, Answers, Run, facts, seeded_answers

from oracle import REASONS_IN_ORDER

PATIENTS = int(os.environ.get("HRRP_ORACLE_PATIENTS", "100000"))
SEED = int(os.environ.get("HRRP_ORACLE_SEED", "1"))
EACH = -(-PATIENTS // len(RUNS))


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_sql_and_oracle_agree_on_what_hypothesis_finds(run: Run) -> None:
    """Hypothesis draws the histories; all of a run go through the SQL together, and a difference is made smaller afterwards."""
    drawn: list[Tables] = []

    @settings(
        max_examples=60,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(patients(run.world()))
    def collect(batch: list[Tables]) -> None:
        for patient in batch:
            drawn.append(renamed(patient, f"h{len(drawn):05d}"))

    collect()
    assert len(drawn) > 60
    difference = compare(drawn, run)
    assert not difference, difference


def renamed(patient: Tables, new: str) -> Tables:
    """The same patient under another id."""
    old = patient["persons"][0]["person_id"]
    return {
        name: [
            {
                column: new + value[len(old) :] if column in {"person_id", "stay_id"} else value
                for column, value in row.items()
            }
            for row in rows
        ]
        for name, rows in patient.items()
    }


@cache
def bulk() -> tuple[list[str], Counter[tuple[str, ...]]]:
    """Differences by run, and how often the oracle gave each answer: the oracle works in another process, one run ahead."""
    found, counts = [], Counter[tuple[str, ...]]()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as elsewhere:
        waiting: list[Future[list[Answers]]] = [elsewhere.submit(seeded_answers, run, SEED, EACH) for run in RUNS[:2]]
        for number, run in enumerate(RUNS):
            oracle = waiting.pop(0).result()
            if number + 2 < len(RUNS):
                waiting.append(elsewhere.submit(seeded_answers, RUNS[number + 2], SEED, EACH))
            difference = compare(seeded_patients(run.world(), SEED, EACH), run, oracle)
            if difference:
                found.append(difference)
            counts += count_answers(oracle)
    return found, counts


def count_answers(answers: list[Answers]) -> Counter[tuple[str, ...]]:
    counts = Counter[tuple[str, ...]]()
    for of_patient in answers:
        counts["patients",] += 1
        for answer in of_patient.values():
            for (measure, _), (_, included, first, reasons) in answer.flow.items():
                counts[measure, "included" if included else "excluded"] += 1
                counts["first", str(first)] += 1
                counts.update(("reason", reason) for reason in reasons)
            for _, days, planned, unplanned in answer.readmissions.values():
                counts["return", "planned" if planned else "unplanned" if unplanned else "not counted"] += 1
                counts["return on day", str(days)] += 1
            for (measure, _), factors in answer.risk_factors.items():
                counts.update((measure, variable) for variable in factors)
    return counts


@pytest.mark.slow
def test_sql_and_oracle_agree_on_a_hundred_thousand_simulated_patients() -> None:
    differences, counts = bulk()
    assert not differences, "\n\n".join(differences)
    assert counts["patients",] >= 0.9 * PATIENTS


@pytest.mark.slow
def test_the_simulated_patients_meet_every_rule() -> None:
    """Agreement means something only where each answer is given: every reason, also as the first, every return, every variable."""
    _, counts = bulk()
    wanted = [("reason", reason) for reason in REASONS_IN_ORDER]
    wanted += [("first", reason) for reason in REASONS_IN_ORDER]
    wanted += [("return", kind) for kind in ("planned", "unplanned", "not counted")]
    wanted += [("return on day", str(day)) for day in (0, 1, 2, 29, 30)]
    wanted += sorted(facts().variables)
    assert not [what for what in wanted if not counts[what]]
    assert all(counts["reason", reason] >= PATIENTS // 400 for reason in REASONS_IN_ORDER)
    assert sum(counts[measure, "included"] for measure in facts().measures) >= PATIENTS // 5
