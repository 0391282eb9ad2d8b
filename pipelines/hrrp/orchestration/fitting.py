"""Setting `reference = "fit"`: the risk models fitted on the data at hand, in place of CMS's published ones.

Reads the index admissions with their risk factors, hands them to `hrrp.model.RandomInterceptLogit` (RSPL, the criterion that
CMS uses), and lays its answers out as rows of risk.model_in_force, with a picture of each fit for the asset's page. A measure
that cannot be fitted (one hospital only, too few stays for its variables) keeps the published model, and its rows say why.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hrrp.errors import ConvergenceError, InputContractError
from hrrp.model import RandomInterceptLogit, RandomInterceptResults
from hrrp.program import REPORT_NAMES
from hrrp.review.model_pictures import POSTERIOR, model_picture
from hrrp.warehouse import Warehouse

ADMISSIONS = """
select
    index_admissions.ccn,
    coalesce(readmissions.unplanned_readmission, false) as outcome
from cohort.index_admissions
left join cohort.readmissions using (program_year, measure, stay_key)
where program_year = $year and measure = $measure
order by index_admissions.ccn, stay_key
"""

FACTORS = """
with ordered as (
    select
        stay_key,
        row_number() over (order by ccn, stay_key) - 1 as place
    from cohort.index_admissions
    where program_year = $year and measure = $measure
)

select
    ordered.place,
    risk_factors.variable_key,
    risk_factors.value
from risk.risk_factors
inner join ordered using (stay_key)
where risk_factors.program_year = $year and risk_factors.measure = $measure
order by ordered.place, risk_factors.variable_key
"""


def design_of(
    warehouse: Warehouse, year: int, measure: str, variables: list[str]
) -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """Outcome (n,), design (n, variables) and hospital (n,) of one measure's index admissions, sorted by hospital."""
    place = {"year": year, "measure": measure}
    admissions = warehouse.arrays(ADMISSIONS, place)
    factors = warehouse.arrays(FACTORS, place)
    column = pd.Index(variables).get_indexer(pd.Index(factors["variable_key"].astype(str)))
    design = np.zeros((len(admissions["ccn"]), len(variables)))
    known = column >= 0
    design[factors["place"][known].astype(np.int64), column[known]] = factors["value"][known]
    return (
        admissions["outcome"].astype(np.uint8),
        pd.DataFrame(design, columns=variables),
        admissions["ccn"].astype(str),
    )


def fit_models(warehouse: Warehouse, published: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The rows of risk.model_in_force with every model fitted that can be, and a picture of each fit as Markdown by title.

    `published` are the rows as CMS's models give them.

    Raises ConvergenceError where not one of them can be.
    """
    rows: list[dict[str, Any]] = []
    pictures: dict[str, str] = {}
    refused: list[str] = []
    for year, measure in dict.fromkeys((row["program_year"], row["measure"]) for row in published):
        own = [row for row in published if (row["program_year"], row["measure"]) == (year, measure)]
        variables = [row["term"] for row in own if row["kind"] == "coefficient"]
        outcome, design, hospital = design_of(warehouse, year, measure, variables)
        try:
            _enough(outcome, variables)
            fitted = RandomInterceptLogit(outcome, design, hospital, unestimable="drop").fit(method="rspl")
        except (InputContractError, ConvergenceError) as error:
            refused.append(f"{measure} FY{year}: {error}")
            reason = f"published model kept, because it cannot be fitted here: {error}"
            rows += [row | {"source": reason} for row in own]
            continue
        source = f"fitted on {len(outcome):,} index admissions of {len(set(hospital))} hospitals (RSPL)"
        common = {
            "program_year": year,
            "measure": measure,
            "basis": "fit",
            "model_program_year": year,
            "source": source,
        }
        errors = dict(fitted.bse)
        for term, value in dict(fitted.params).items():
            kind = "intercept" if term == "national_intercept" else "coefficient"
            rows.append(
                common | {"term": term, "kind": kind, "value": float(value), "standard_error": float(errors[term])}
            )
        rows.append(
            common
            | {
                "term": "tau2",
                "kind": "variance",
                "value": float(fitted.tau2),
                "standard_error": float(fitted.tau2_se),
            }
        )
        pictures[f"fit {REPORT_NAMES[measure]} FY{year}"] = _picture(
            fitted, f"{REPORT_NAMES[measure]}, program year {year}"
        )
    if refused and not any(row["basis"] == "fit" for row in rows):
        raise ConvergenceError(
            f"No model could be fitted on these discharges. {refused[0]} Bring more hospitals or more years, "
            'or set reference = "published" in hrrp.toml.'
        )
    return rows, pictures


def _enough(outcome: np.ndarray, variables: list[str]) -> None:
    """Refuse a model with more coefficients than admissions of the rarer outcome: it converges to figures of no meaning."""
    returned = int(outcome.sum())
    rarer = min(returned, len(outcome) - returned)
    if rarer < len(variables):
        raise InputContractError(
            f"{len(outcome):,} index admissions are too few for {len(variables)} risk variables: of readmitted and other admissions each "
            "there must be at least one a variable. Bring more hospitals or more years."
        )


def _picture(fitted: RandomInterceptResults, title: str) -> str:
    """Calibration and caterpillar of one fit."""
    interval = fitted.err_posterior_interval()
    c = f"{title}: {fitted.nobs:,} admissions, c-statistic {fitted.c_statistic():.3f}"
    tenths = [
        {str(name): float(value) for name, value in row.items()} for row in fitted.calibration().to_dict("records")
    ]
    return model_picture(
        c, tenths, fitted.err.to_numpy(), interval["low"].to_numpy(), interval["high"].to_numpy(), POSTERIOR
    )
