"""What the page says of replications and reconciliations, and to whom: differences are mostly a handful of patients."""

from __future__ import annotations

import json
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from hrrp.program import MEASURES
from hrrp.review.suppression import HIDDEN
from hrrp.review.viewers import Viewer
from hrrp.review.views import proof_view

CALIBRATION = {
    "offset": 0.0371,
    "standard_error": 0.01,
    "matched": 412,
    "own_expected": 0.18124,
    "cms_expected": 0.18731,
}


def reconciled(both: int, report_only: int, own_only: int) -> dict[str, Any]:
    return {
        "index_both": both,
        "index_report_only": report_only,
        "index_own_only": own_only,
        "readmissions_both": both // 5,
        "only_cms_saw": 3,
        "only_own": 0,
        "calibration": CALIBRATION,
        "decided_by": {"prior_30_days": 4},
    }


def version(ccn: str | None = "010001", **measures: dict[str, Any]) -> Any:
    found = {measure: reconciled(0, 0, 0) for measure in MEASURES} | measures
    row = {
        "kind": "reconcile",
        "program_year": 2025,
        "ccn": ccn,
        "report": "report.xlsx",
        "made_at": datetime(2026, 11, 1),
        "document": json.dumps({"hospital": "H", "measures": found}),
    }
    return SimpleNamespace(facts=SimpleNamespace(proofs=(row,)))


def measure(viewer: Viewer, **measures: dict[str, Any]) -> dict[str, Any]:
    (row,) = proof_view(version(**measures), viewer)["reconciliations"]
    return row["measures"]["HF"]


def test_with_patient_level_every_count_stands_there() -> None:
    shown = measure(Viewer(patient_level=True), HF=reconciled(405, 7, 2))
    assert (shown["index_both"], shown["index_report_only"], shown["index_own_only"]) == (405, 7, 2)
    assert shown["index_agreement"] == 405 / 414
    assert shown["decided_by"] == {"prior_30_days": 4}
    assert shown["own_expected"] == 0.18124


def test_without_it_no_count_and_a_coarse_agreement() -> None:
    shown = measure(Viewer(), HF=reconciled(405, 7, 2))
    counts = ("index_both", "index_report_only", "index_own_only", "readmissions_both", "only_cms_saw", "only_own")
    assert all(shown[name] is HIDDEN for name in counts)
    assert shown["decided_by"] == {}
    assert shown["index_agreement"] == 0.95
    # 81 of 84: every step of 5 % would stand for four.
    assert shown["readmission_agreement"] is HIDDEN
    assert (shown["own_expected"], shown["offset"]) == (0.181, 0.04)


def test_the_agreement_does_not_tell_few_differences_apart() -> None:
    seen = {measure(Viewer(), HF=reconciled(200 - k, k, 0))["index_agreement"] for k in range(1, 11)}
    assert seen == {0.95}


def test_a_measure_without_stays_has_no_agreement() -> None:
    assert measure(Viewer())["index_agreement"] is None


def test_a_report_is_shown_to_those_who_may_see_its_hospital() -> None:
    one, other = Viewer(hospitals=frozenset({"010001"})), Viewer(hospitals=frozenset({"010002"}))
    assert len(proof_view(version(), one)["reconciliations"]) == 1
    assert proof_view(version(), other) == {"replications": [], "reconciliations": []}
    # A report that names no hospital could be anyone's.
    assert proof_view(version(ccn=None), one)["reconciliations"] == []
    assert len(proof_view(version(ccn=None), Viewer())["reconciliations"]) == 1
