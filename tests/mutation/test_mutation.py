"""A small sample of the mutants: each fails a patient table. The full run is tests/mutation/mutate.py (docs/proof.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import patient_tables
import pytest
from mutants import Mutant
from mutate import equivalents
from scenes import Theatre, Trial, all_mutants, rule_tests
from test_rules import ALL_RULES

SAMPLE = (
    ("cohort.transfer_pairs", "without [departures.ccn <> arrivals.ccn]"),
    ("cohort.transfer_pairs", "without [ended <> 'died']"),
    ("cohort.return_candidates", "[stays.admit_date <= departures.discharge_date + CAST($outcome_days AS INT)] by lt"),
    ("cohort.return_candidates", "without the branch [SELECT * FROM rehabilitation]"),
    ("cohort.record_exclusions", "[age < $minimum_age] by lte"),
    ("cohort.discharge_exclusions", "without the branch [SELECT * FROM left_against_medical_advice]"),
    (
        "cohort.prior_index_exclusions",
        "[period_stays.admit_date - index_stays.discharge_date BETWEEN 0 AND $prior_index_days] with high - 1",
    ),
    ("cohort.clinical_exclusions", "without the branch [SELECT * FROM later_cabg]"),
    ("risk.factor_records", "without [diagnoses.sequence = 1]"),
    ("risk.factor_codes", "without the branch [SELECT * FROM by_category]"),
    ("reference.parameters", "$outcome_days is 29 by default"),
    ("reference.parameters", "$lookback_days is 366 by default"),
)


@pytest.fixture(scope="module")
def mutants() -> Mapping[tuple[str, str], Mutant]:
    return {(mutant.table, mutant.change): mutant for mutant in all_mutants()}


@pytest.fixture(scope="module")
def played() -> Iterator[tuple[Theatre, list[Trial]]]:
    """The patient tables of an ordinary run of FY2028, which most rules share."""
    own = patient_tables.run_cohort
    theatre = Theatre()
    ordinary = {f"rule: {rule.title}" for rule in ALL_RULES if patient_tables._same_run(rule, ALL_RULES[0])}
    try:
        yield theatre, theatre.rehearse([test for test in rule_tests(theatre) if test.name in ordinary])
    finally:
        theatre.close()
        _give_back(own)


def _give_back(run_cohort: object) -> None:
    import test_lineage
    import test_staging
    import test_tables

    for module in (patient_tables, test_lineage, test_staging, test_tables):
        module.run_cohort = run_cohort  # type: ignore[attr-defined]
    patient_tables._RUNS.clear()


@pytest.mark.parametrize(("table", "change"), SAMPLE)
def test_a_rule_turned_off_or_moved_fails_a_patient_table(
    table: str,
    change: str,
    mutants: Mapping[tuple[str, str], Mutant],
    played: tuple[Theatre, list[Trial]],
) -> None:
    theatre, tests = played
    assert theatre.killer(mutants[table, change], tests) is not None


def test_mutants_called_equivalent_exist_and_say_why(mutants: Mapping[tuple[str, str], Mutant]) -> None:
    known = equivalents()
    assert not set(known) - set(mutants)
    assert all(len(reason.split()) > 3 for reason in known.values())
