"""Reconciliation with a report: a few stays by hand, and a calibration whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit

from hrrp.penalty.reconcile import OwnStay, calibrate, documentation_gaps, match_stays, reconcile
from hrrp.program import MEASURES
from hrrp.program.hospital_report import Discharge, DischargeTable, RiskFactor

KEYS = ("years_over_65", "chf", "copd")
COEFFICIENTS = (0.01, 0.3, 0.2)


def reported(row: int, mbi: str | None, day: int, **given: object) -> Discharge:
    values: dict[str, object] = {
        "row": row,
        "id_number": row,
        "hicno": None,
        "mbi": mbi,
        "medical_record_number": None,
        "birth_date": date(1940, 1, 1),
        "admit_date": date(2022, 3, day),
        "discharge_date": date(2022, 3, day + 4),
        "exclusion_codes": (0,),
        "index_stay": True,
        "principal_diagnosis": "I509",
        "discharge_destination": "01",
        "unplanned_readmission": False,
        "covid_readmission": False,
        "planned_readmission": False,
        "readmission_date": None,
        "readmission_discharge_date": None,
        "readmission_diagnosis": None,
        "same_hospital": None,
        "readmitting_ccn": None,
        "readmission_listed": False,
    }
    return Discharge(**(values | given))  # type: ignore[arg-type]


def own(person: str, day: int, *reasons: str, **given: object) -> OwnStay:
    values: dict[str, object] = {
        "measure": "HF",
        "identifiers": frozenset({person}),
        "birth_date": date(1950, 1, 1),
        "admit_date": date(2022, 3, day),
        "discharge_date": date(2022, 3, day + 4),
        "reasons": reasons,
        "readmitted": False,
        "planned": None,
        "risk_factors": {"years_over_65": 10.0},
    }
    return OwnStay(**(values | given))  # type: ignore[arg-type]


def table(stays: Sequence[Discharge], flags: Sequence[Sequence[float]] | None = None) -> DischargeTable:
    return DischargeTable(
        measure="HF",
        sheet="Table 5",
        coefficient_row=8,
        variables=tuple(RiskFactor(key, key, value) for key, value in zip(KEYS, COEFFICIENTS, strict=True)),
        hospital_effect=-2.0,
        average_effect=-2.0,
        discharges=tuple(stays),
        risk_factors=np.array(flags if flags is not None else [[10.0, 0.0, 0.0]] * len(stays)).reshape(-1, 3),
    )


def report_of(found: DischargeTable) -> SimpleNamespace:
    others = {measure: table([]) for measure in MEASURES if measure != "HF"}
    return SimpleNamespace(program_year=2025, discharges={**others, "HF": found})


def test_stays_match_by_person_and_dates_then_by_birth_date() -> None:
    rows = [reported(9, "A", 1), reported(10, None, 2, birth_date=date(1950, 1, 1)), reported(11, "C", 3)]
    mine = [own("B", 2), own("A", 1), own("C", 9)]
    assert match_stays(table(rows), mine) == {0: 1, 1: 0}


def test_record_numbers_match_without_their_leading_zeros() -> None:
    """A spreadsheet takes 00417 for a number; the birth dates differ here, so that nothing else can match."""
    rows = [reported(9, None, 1, medical_record_number="00417"), reported(10, None, 2, medical_record_number="23")]
    mine = [own("E5", 1, identifiers=frozenset({"E5", "417"})), own("E6", 2, identifiers=frozenset({"E6", "0023"}))]
    assert match_stays(table(rows), mine) == {0: 0, 1: 1}
    found = reconcile(report_of(table(rows)), [], known_stays=[("0023", date(2022, 3, 2))])  # type: ignore[arg-type]
    assert [each.decided_by for each in found.disagreements] == [
        "the extract does not have the stay",
        "the extract has the stay, but not in this measure's definition",
    ]


def test_a_moved_discharge_still_matches_and_two_candidates_do_not() -> None:
    rows = [reported(9, "A", 1, discharge_date=date(2022, 3, 20))]
    assert match_stays(table(rows), [own("A", 1)]) == {0: 0}
    twins = [reported(9, None, 1), reported(10, None, 1)]
    alike = [own("A", 1, birth_date=date(1940, 1, 1)), own("B", 1, birth_date=date(1940, 1, 1))]
    assert match_stays(table(twins), alike) == {}


def test_every_disagreement_names_what_decided() -> None:
    rows = [
        reported(9, "A", 1),
        reported(10, "B", 2),
        reported(11, "C", 3, exclusion_codes=(1, 5), index_stay=False),
        reported(12, "D", 4, unplanned_readmission=True, same_hospital=False),
        reported(13, "E", 5),
        reported(14, "F", 6),
    ]
    mine = [
        own("A", 1),
        own("B", 2, "prior_30_days", "age"),
        own("C", 3),
        own("D", 4),
        own("G", 7),
        own("H", 8, "age"),
    ]
    found = reconcile(
        report_of(table(rows)),  # type: ignore[arg-type]
        mine,
        known_stays=[("E", date(2022, 3, 5))],
        reason_names={1: "enrollment_before"},
    )
    said = {(each.row, each.kind, each.decided_by) for each in found.disagreements}
    assert said == {
        (10, "only the report counts it", "own rule: prior_30_days"),
        (11, "only own data count it", "report's rule: enrollment_before, code 5"),
        (12, "only the report has the readmission", "a return at another hospital that own data lack"),
        (13, "only the report counts it", "the extract has the stay, but not in this measure's definition"),
        (14, "only the report counts it", "the extract does not have the stay"),
        (None, "only own data count it", "the report does not list the stay"),
    }
    result = found.measures["HF"]
    assert (result.matched, result.index_both, result.index_report_only, result.index_own_only) == (4, 2, 3, 2)
    assert (result.only_cms_saw, result.only_cms_saw_elsewhere, result.only_own) == (1, 1, 0)
    assert found.measures["AMI"].report_stays == 0


def test_risk_factors_that_only_cms_has_are_counted() -> None:
    rows = [reported(9, "A", 1), reported(10, "B", 2)]
    mine = [own("A", 1, risk_factors={"years_over_65": 10.0, "copd": 1.0}), own("B", 2)]
    found = reconcile(report_of(table(rows, [[10, 1, 1], [11, 1, 0]])), mine)  # type: ignore[arg-type]
    assert found.measures["HF"].risk_factors == {
        "years_over_65": {"both": 1, "differs": 1},
        "chf": {"only_cms": 2},
        "copd": {"both": 1},
    }


def test_calibration_gives_the_expected_count_of_cms() -> None:
    rng = np.random.default_rng(3)
    flags = np.column_stack([rng.integers(0, 30, 200), rng.random((200, 2)) < 0.5]).astype(float)
    seen = flags.copy()
    seen[:, 1] *= rng.random(200) < 0.6  # own history knows six in ten of heart failure
    rows = [reported(9 + k, f"P{k}", 1) for k in range(200)]
    mine = [own(f"P{k}", 1, risk_factors=dict(zip(KEYS, seen[k], strict=True))) for k in range(200)]
    result = calibrate(table(rows, flags.tolist()), mine, [(k, k) for k in range(200)])
    assert result is not None
    wanted = expit(-2.0 + flags @ COEFFICIENTS).sum()
    assert expit(-2.0 + seen @ COEFFICIENTS + result.offset).sum() == pytest.approx(wanted, rel=1e-12)
    assert result.offset == pytest.approx(0.3 * 0.5 * 0.4, abs=0.02)
    assert 0 < result.standard_error < 0.02
    assert calibrate(table(rows, flags.tolist()), mine, [(k, k) for k in range(24)]) is None


def test_nothing_of_a_patient_in_what_is_printed() -> None:
    found = reconcile(report_of(table([reported(9, "SECRET", 1)])), [own("SECRET", 2)])  # type: ignore[arg-type]
    assert "SECRET" not in repr(found)
    assert "2022" not in repr(found)


def test_documentation_gaps_say_what_a_missing_factor_would_add_to_expected() -> None:
    """Two of four stays carry heart failure in the report; own data have it on one. 0.3 p (1 - p) of that one stay, over four."""
    flags = [[10.0, 1.0, 0.0], [10.0, 1.0, 0.0], [10.0, 0.0, 0.0], [10.0, 0.0, 1.0]]
    stays = [reported(row, f"P{row}", 1) for row in range(4)]
    mine = [own(f"P{row}", 1, risk_factors=dict(zip(KEYS, flags[row], strict=True))) for row in range(4)]
    mine[1] = own("P1", 1, risk_factors={"years_over_65": 10.0})
    both = [(row, row) for row in range(4)]
    p = float(expit(-2.0 + 0.1 + 0.3))
    assert documentation_gaps(table(stays, flags), mine, both) == pytest.approx({"chf": 0.3 * p * (1 - p) / 4})
    # Close to what the expected rate really gains, and nothing where nothing is missing.
    gained = (p - float(expit(-2.0 + 0.1))) / 4
    assert 0.3 * p * (1 - p) / 4 == pytest.approx(gained, rel=0.15)
    mine[1] = own("P1", 1, risk_factors=dict(zip(KEYS, flags[1], strict=True)))
    assert documentation_gaps(table(stays, flags), mine, both) == {}
    assert documentation_gaps(table(stays, flags), mine, []) == {}
