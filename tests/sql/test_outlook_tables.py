"""The tables behind the outlook's drivers and values, on a few patients that can be counted by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pytest
from harness import run_cohort
from patient_tables import Rule, canonical_tables

from hrrp.program import Reference
from hrrp.warehouse import load_steps

SYSTEM = Rule(
    "Heart failure at two hospitals",
    "",
    stays="""
        stay person ccn    in         out        dx                status payer amount
        a    ann    360001 2025-03-01 2025-03-04 I50.9,N18.5       01     FFS   1000
        b    ann    360001 2025-03-20 2025-03-24 I50.9             01     FFS   2000
        c    bea    360001 2025-04-01 2025-04-04 I50.9             01     FFS   4000
        d    cora   360002 2025-05-01 2025-05-04 I50.9,J44.9       01     FFS   8000
        e    cora   360001 2025-05-20 2025-05-24 E11.9             01     FFS   500
        f    dora   360001 2025-06-01 2025-06-04 I50.9             01     MA    16000
        g    dora   360001 2025-06-20 2025-06-24 E11.9             01     MA    700
    """,
    persons="""
        person born       died
        bea    1950-01-02 -
    """,
    history="""
        person date       kind      code
        bea    2025-01-10 diagnosis J44.9
        bea    2025-01-11 diagnosis N18.5
    """,
    enrollment="""
        person from    to      cover dual
        ann    2025-03 2025-03 AB    02
        bea    2025-05 2025-06 AB    02
        cora   2025-03 2025-04 AB    02
        dora   2025-05 2025-07 AB    02
    """,
    expect="",
)
COEFFICIENTS = {"renal_failure": 0.25, "copd": 0.16}


@pytest.fixture(scope="module")
def warehouse() -> Any:
    made = run_cohort(canonical_tables(SYSTEM), [2028], date(2026, 3, 31), extract_end=date(2026, 3, 31))
    model = [
        ("national_intercept", "intercept", -1.5),
        *((key, "coefficient", value) for key, value in COEFFICIENTS.items()),
    ]
    made.write(
        "risk.model_in_force",
        pd.DataFrame([{"program_year": 2028, "measure": "HF", "term": t, "kind": k, "value": v} for t, k, v in model]),
        {"program_year": "integer", "measure": "varchar", "term": "varchar", "kind": "varchar", "value": "double"},
    )
    values = {name: each.value for name, each in Reference().parameters().items()}
    wanted = (
        "risk.linear_predictors",
        "result.risk_factor_drivers",
        "result.documentation_gaps",
        "result.dual_by_month",
        "result.readmission_payments",
    )
    steps = {step.name: step for step in load_steps()}
    for name in wanted:
        made.run_step(steps[name], values)
    return made


def test_drivers_are_coefficient_times_difference(warehouse: Any) -> None:
    rows = warehouse.rows(
        "select ccn, variable_key, mean_value, mean_value_all, logit_difference, expected_difference "
        "from result.risk_factor_drivers order by ccn, variable_key"
    )
    found = {(ccn, key): values for ccn, key, *values in rows}
    # Index admissions: a, c and f at 360001, d at 360002. COPD: c (history) and d (coded); renal failure: a and c.
    own, everyone, logit, _ = found["360001", "renal_failure"]
    assert (own, everyone) == (pytest.approx(2 / 3), pytest.approx(2 / 4))
    assert logit == pytest.approx(0.25 * (2 / 3 - 2 / 4))
    assert found["360002", "renal_failure"][:2] == [0.0, pytest.approx(0.5)]
    assert found["360002", "copd"][:2] == [1.0, pytest.approx(0.5)]
    p = 1 / (1 + 2.718281828459045 ** (1.5 - 0.16))
    assert found["360002", "copd"][3] == pytest.approx(0.16 * 0.5 * p * (1 - p))


def test_gaps_are_factors_known_from_history_alone(warehouse: Any) -> None:
    assert warehouse.rows(
        "select ccn, variable_key, index_admissions, by_history_alone from result.documentation_gaps "
        "where measure = 'HF' order by all"
    ) == [("360001", "copd", 3, 1), ("360001", "renal_failure", 3, 1)]


def test_payments_are_those_of_returns_to_the_same_hospital_under_fee_for_service(warehouse: Any) -> None:
    # b came back to the same hospital; e to another one, which was paid; g under Medicare Advantage.
    assert warehouse.rows(
        "select ccn, readmissions, to_same_hospital, paid_here, payments_here from result.readmission_payments "
        "where measure = 'HF' order by ccn"
    ) == [("360001", 2, 2, 1, 2000.0), ("360002", 1, 0, 0, None)]


def test_dual_proportion_by_month_is_of_whole_windows(warehouse: Any) -> None:
    rows = warehouse.rows(
        "select ccn, month, dual_stays, stays, dual_proportion from result.dual_by_month order by all"
    )
    # The first month is March 2025: the first whole window ends with February 2026 and holds every stay. Dual status the month before
    # (cora) or after (bea) does not count.
    first = next(row for row in rows if row[0] == "360001")
    assert first == ("360001", date(2026, 2, 1), 4, 6, pytest.approx(4 / 6))
    last = [row for row in rows if row[0] == "360001"][-1]
    assert last == ("360001", date(2026, 3, 1), 2, 4, 0.5)
