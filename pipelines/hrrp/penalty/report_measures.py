"""The figures of a Hospital-Specific Report that later forecasts are held against: what it prints, measure by measure, and the
linear predictors of the admissions that count, sorted, without any key to a patient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hrrp.penalty.report_places import linear_predictor
from hrrp.program import MEASURES
from hrrp.program.hospital_report import HospitalReport


def report_measures(report: HospitalReport, ccn: str) -> list[dict[str, Any]]:
    """One row a measure, as the report prints it; what it does not print is None.

    `payment_reduction` and `neutrality_modifier` are the hospital's, the same in every row. The linear predictors hold the national
    intercept (AVG_EFFECT), so that their mean risk is the printed expected rate.
    """
    adjustment = report.payment_adjustment
    reduction = adjustment.payment_reduction
    if reduction is None and adjustment.paf is not None:
        reduction = round(1.0 - adjustment.paf, 4)
    rows = []
    for measure in MEASURES:
        printed, table = report.results[measure], report.discharges[measure]
        predictor = np.empty(0)
        if table.average_effect is not None:
            predictor = np.sort(linear_predictor(table) + table.average_effect)
        rows.append(
            {
                "program_year": report.program_year,
                "ccn": ccn,
                "measure": measure,
                "eligible_discharges": printed.eligible_discharges,
                "readmissions": printed.readmissions,
                "predicted": printed.predicted,
                "expected": printed.expected,
                "err": printed.err,
                "peer_group": adjustment.peer_group,
                "peer_group_median": printed.peer_group_median,
                "drg_payment_ratio": printed.drg_payment_ratio,
                "neutrality_modifier": adjustment.neutrality_modifier,
                "payment_reduction": reduction,
                "linear_predictors": predictor.tolist(),
                "source": f"CMS FY{report.program_year} Hospital-Specific Report",
            }
        )
    return rows
