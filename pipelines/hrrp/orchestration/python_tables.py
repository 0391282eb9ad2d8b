"""Tables that Python makes: each with its upstreams and columns, declared here and nowhere else.

The arithmetic lies in model, penalty and outlook; this module reads what they need from the warehouse, calls them, and names the
columns. Whoever runs the pipeline writes what `compute` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from hrrp.orchestration import ledger, notes, scoring
from hrrp.program import MEASURES, REPORT_NAMES, Reference
from hrrp.review.model_pictures import coefficient_tables, pictures_of_measures
from hrrp.review.pictures import pictures_of_forecasts
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse

Compute = Callable[[Warehouse, Settings, Reference], pd.DataFrame]


@dataclass(frozen=True)
class PythonTable:
    """A table of the warehouse that Python computes. `columns` maps column names to DuckDB types, in order.

    `watch` maps the names of numbers worth watching over time to the SQL expressions that give them; `pictures` draws the table
    for the asset's page, as Markdown by title; `see` names what stands on another table's page, and that table.
    """

    name: str
    description: str
    upstreams: tuple[str, ...]
    columns: Mapping[str, str]
    compute: Compute
    watch: Mapping[str, str] = field(default_factory=dict)
    pictures: Callable[[Warehouse], Mapping[str, str]] | None = None
    see: Mapping[str, str] = field(default_factory=dict)


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
            "reference.risk_variables",
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
        # The earliest program year's; its history over the runs stands on the asset's page.
        watch={
            f"between-hospital variance {REPORT_NAMES[measure]}": (
                f"arg_min(value, program_year) filter (where kind = 'variance' and measure = '{measure}')"
            )
            for measure in MEASURES
        },
        pictures=coefficient_tables,
        see={"calibration plot, caterpillar plot": "result.hospital_measures"},
    ),
    PythonTable(
        name="result.hospital_measures",
        description=(
            "Predicted, expected and excess readmission ratio of every hospital, measure and program year on the discharges known so "
            "far, beside the peer group's median and the neutrality modifier (CMS's last published ones, or those of this run's "
            "hospitals), and what the measure contributes to the payment reduction."
        ),
        upstreams=(
            "intake.run",
            "intake.run_program_years",
            "risk.linear_predictors",
            "risk.model_in_force",
            "staging.hospitals",
            "cohort.cohort_flow",
            "cohort.stays",
            "payment.dual_proportions",
            "payment.drg_payment_ratios",
            "payment.annual_payments",
            "reference.parameters",
            "reference.program_years",
            "reference.peer_group_medians",
            "reference.peer_group_cuts",
            "reference.published_results",
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
            "neutrality_modifier": "double",
            "penalty_indicator": "boolean",
            "drg_payment_ratio": "double",
            "contribution": "double",
            "follow_up_incomplete": "integer",
        },
        compute=scoring.hospital_measures,
        pictures=pictures_of_measures,
    ),
    PythonTable(
        name="result.forecast_inputs",
        description=(
            "What the forecast of each program year, hospital and measure starts from: the linear predictors of the admissions known "
            "so far (sorted, without any key to a patient), readmissions, projected volume, variance, payment ratio, dual proportion."
        ),
        upstreams=(
            "intake.run",
            "intake.run_program_years",
            "staging.hospitals",
            "risk.linear_predictors",
            "result.hospital_measures",
            "payment.dual_proportions",
            "payment.annual_payments",
            "reference.applicable_periods",
            "reference.parameters",
            "reference.program_years",
            "reference.peer_group_cuts",
            "reference.national_rates",
            "reference.readmissions_elsewhere",
        ),
        columns={
            "program_year": "integer",
            "ccn": "varchar",
            "measure": "varchar",
            "linear_predictors": "double[]",
            "readmissions": "integer",
            "pending": "integer",
            "future_mean": "double",
            "future_cv": "double",
            "volume_basis": "varchar",
            "tau2": "double",
            "national_rate": "double",
            "drg_payment_ratio": "double",
            "drg_payment_ratio_cv": "double",
            "elsewhere_share": "double",
            "elsewhere_share_se": "double",
            "prior_mean": "double",
            "prior_variance": "double",
            "dual_proportion": "double",
            "dual_proportion_se": "double",
            "dual_stays": "double",
            "peer_group": "integer",
            "annual_base_operating_payments": "double",
            "share_of_period": "double",
        },
        compute=scoring.forecast_inputs,
    ),
    PythonTable(
        name="result.forecasts",
        description=(
            "The distribution of each hospital's results at the end of the applicable period, from seeded draws: 5 %, 50 % and 95 % of "
            "ERR, cases, contribution and payment reduction, the chances, and how much of the spread each source carries."
        ),
        upstreams=(
            "result.forecast_inputs",
            "reference.program_years",
            "reference.peer_group_medians",
            "reference.peer_group_cuts",
            "reference.national_rates",
        ),
        columns={
            "program_year": "integer",
            "ccn": "varchar",
            "measure": "varchar",
            "figure": "varchar",
            "low": "double",
            "median": "double",
            "high": "double",
        },
        compute=scoring.forecasts,
        pictures=pictures_of_forecasts,
    ),
    PythonTable(
        name="result.forecast_ledger",
        description=(
            "Every night's forecast of the payment reduction, its chance and each measure's ERR, kept from run to run, so that it can be "
            "held against what CMS publishes in the end (result.ledger_scores)."
        ),
        upstreams=("intake.run", "result.forecasts"),
        columns={
            "as_of": "date",
            "program_year": "integer",
            "ccn": "varchar",
            "measure": "varchar",
            "figure": "varchar",
            "low": "double",
            "median": "double",
            "high": "double",
        },
        compute=ledger.forecast_ledger,
    ),
    PythonTable(
        name="result.report_measures",
        description=(
            "What the site's newest Hospital-Specific Report prints of each measure (setting hsr), and the linear predictors of the "
            "admissions that count, sorted, without any key to a patient: what forecasts of its year are scored against, and what "
            "changes since it are split from. Empty where no report is set or it is not of a hospital of this run."
        ),
        upstreams=("staging.hospitals", "risk.linear_predictors"),
        columns=scoring.REPORT_COLUMNS,
        compute=scoring.report_measures,
    ),
    PythonTable(
        name="result.notes",
        description=(
            "What a reader of the results must know: every stand-in for a figure not yet published, every input that is missing and "
            "the rule skipped for it, every rule choice of medium or low confidence, which lists ran."
        ),
        upstreams=(
            "intake.notes",
            "intake.run",
            "intake.run_program_years",
            "staging.hospitals",
            "staging.skipped_rules",
            "cohort.stays",
            "risk.model_in_force",
            "result.hospital_measures",
            "result.forecast_inputs",
            "result.report_measures",
            "payment.drg_payment_ratios",
            "reference.published_results",
            "reference.parameters",
            "reference.readmissions_elsewhere",
        ),
        columns={"program_year": "integer", "position": "integer", "note": "varchar"},
        compute=notes.result_notes,
    ),
)
