"""Tables that Python makes: each with its upstreams and columns, declared here and nowhere else.

The arithmetic lies in model, penalty and outlook; this module reads what they need from the warehouse, calls them, and names the
columns. Whoever runs the pipeline writes what `compute` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from hrrp.orchestration import notes, scoring
from hrrp.program import Reference
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse

Compute = Callable[[Warehouse, Settings, Reference], pd.DataFrame]


@dataclass(frozen=True)
class PythonTable:
    """A table of the warehouse that Python computes. `columns` maps column names to DuckDB types, in order."""

    name: str
    description: str
    upstreams: tuple[str, ...]
    columns: Mapping[str, str]
    compute: Compute


PYTHON_TABLES: tuple[PythonTable, ...] = (
    PythonTable(
        name="risk.model_in_force",
        description=(
            "The risk model that scores each program year and measure: intercept, coefficients and between-hospital variance, "
            "CMS's last published ones or fitted on the data at hand, each with the year it is of."
        ),
        upstreams=(
            "intake.run_program_years",
            "cohort.index_admissions",
            "cohort.readmissions",
            "risk.risk_factors",
            "reference.risk_coefficients",
            "reference.between_hospital_variance",
        ),
        columns={
            "program_year": "integer",
            "measure": "varchar",
            "term": "varchar",
            "kind": "varchar",
            "value": "double",
            "standard_error": "double",
            "basis": "varchar",
            "model_program_year": "integer",
            "source": "varchar",
        },
        compute=scoring.model_in_force,
    ),
    PythonTable(
        name="result.hospital_measures",
        description=(
            "Predicted, expected and excess readmission ratio of every hospital, measure and program year on the discharges known so "
            "far, beside the peer group's median, and what the measure contributes to the payment reduction."
        ),
        upstreams=(
            "intake.run",
            "intake.run_program_years",
            "risk.linear_predictors",
            "risk.model_in_force",
            "staging.hospitals",
            "cohort.measure_counts",
            "payment.dual_proportions",
            "payment.drg_payment_ratios",
            "reference.peer_group_medians",
            "reference.peer_group_cuts",
        ),
        columns={
            "program_year": "integer",
            "measure": "varchar",
            "ccn": "varchar",
            "eligible_discharges": "integer",
            "readmissions": "integer",
            "observed_rate": "double",
            "predicted": "double",
            "expected": "double",
            "err": "double",
            "err_low": "double",
            "err_high": "double",
            "hospital_effect": "double",
            "hospital_effect_se": "double",
            "reliability": "double",
            "tau2": "double",
            "peer_group": "integer",
            "peer_group_median": "double",
            "penalty_indicator": "boolean",
            "drg_payment_ratio": "double",
            "contribution": "double",
            "follow_up_incomplete": "integer",
        },
        compute=scoring.hospital_measures,
    ),
    PythonTable(
        name="result.hospital_penalties",
        description=(
            "The payment adjustment factor of every hospital and program year: as the discharges known so far give it, and as a "
            "distribution for the end of the applicable period, with its dollars."
        ),
        upstreams=(
            "intake.run",
            "intake.run_program_years",
            "result.hospital_measures",
            "risk.linear_predictors",
            "risk.model_in_force",
            "staging.hospitals",
            "payment.dual_proportions",
            "payment.annual_payments",
            "reference.program_years",
        ),
        columns={
            "program_year": "integer",
            "ccn": "varchar",
            "name": "varchar",
            "state": "varchar",
            "exempt": "boolean",
            "share_of_period": "double",
            "dual_proportion": "double",
            "peer_group": "integer",
            "neutrality_modifier": "double",
            "payment_reduction": "double",
            "paf": "double",
            "payment_reduction_median": "double",
            "payment_reduction_low": "double",
            "payment_reduction_high": "double",
            "paf_median": "double",
            "paf_low": "double",
            "paf_high": "double",
            "chance_of_penalty": "double",
            "chance_of_cap": "double",
            "penalty_usd": "double",
            "penalty_usd_median": "double",
            "penalty_usd_low": "double",
            "penalty_usd_high": "double",
            "annual_base_operating_payments": "double",
        },
        compute=scoring.hospital_penalties,
    ),
    PythonTable(
        name="result.notes",
        description=(
            "What a reader of the results must know: every stand-in for a figure not yet published, every input that is missing and "
            "the rule skipped for it, every rule choice of medium or low confidence, which lists ran."
        ),
        upstreams=(
            "intake.run",
            "intake.run_program_years",
            "staging.skipped_rules",
            "risk.model_in_force",
            "result.hospital_measures",
            "reference.parameters",
        ),
        columns={"program_year": "integer", "position": "integer", "note": "varchar"},
        compute=notes.result_notes,
    ),
)
