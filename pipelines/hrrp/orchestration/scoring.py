"""Reads what scoring needs from the warehouse, calls model, penalty and outlook, and lays their answers out as tables.

Nothing is computed here that has a formula: see `hrrp.model.one_hospital`, `hrrp.penalty.factor`, `hrrp.outlook`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hrrp.errors import InputContractError
from hrrp.model.one_hospital import err_posterior, hospital_effects
from hrrp.outlook.assembly import Known, forecast_table
from hrrp.outlook.assembly import forecast_inputs as outlook_inputs
from hrrp.outlook.national import hospital_share
from hrrp.penalty.factor import MINIMUM_CASES, contributions, penalty_indicator
from hrrp.penalty.nation import national_penalties
from hrrp.penalty.peer_groups import peer_groups_from_cuts
from hrrp.program import MEASURES, Reference
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse

PICTURES = "pictures"  # of a table's attributes: pictures for its asset's page that only its maker can draw
REPORT_COLUMNS = {
    "program_year": "integer",
    "ccn": "varchar",
    "measure": "varchar",
    "eligible_discharges": "integer",
    "readmissions": "integer",
    "predicted": "double",
    "expected": "double",
    "err": "double",
    "peer_group": "integer",
    "peer_group_median": "double",
    "drg_payment_ratio": "double",
    "neutrality_modifier": "double",
    "payment_reduction": "double",
    "linear_predictors": "double[]",
    "source": "varchar",
}


@dataclass(frozen=True)
class Elsewhere:
    """The share of a measure's readmissions that own data cannot see, its standard error, and where it comes from in words."""

    share: float
    standard_error: float
    source: str


def program_years(warehouse: Warehouse) -> list[int]:
    """The program years of this run."""
    return [year for (year,) in warehouse.rows("select program_year from intake.run_program_years order by 1")]


def last_known_day(warehouse: Warehouse, settings: Settings, reference: Reference) -> date:
    """The last day whose discharges are known: the extract's last, but none after the as-of date (or that date itself, as set)."""
    ((as_of, extract_end),) = warehouse.rows("select as_of, extract_end from intake.run")
    through = reference.parameters(settings.parameters)["follow_up_through"].value
    return as_of if through == "as_of" else min(as_of, extract_end)


def model_in_force(warehouse: Warehouse, settings: Settings, reference: Reference) -> pd.DataFrame:
    """CMS's last published model of every measure, or the one fitted on the data at hand (setting `reference`)."""
    variances = _site_variances(settings, reference)
    rows: list[dict[str, object]] = []
    for year in program_years(warehouse):
        for measure in MEASURES:
            published = reference.published_model(measure, year)
            tau2, confidence = reference.between_hospital_variance(measure)
            source = f"reference table, confidence {confidence}"
            if measure in variances:
                tau2, source = variances[measure]
            common = {
                "program_year": year,
                "measure": measure,
                "basis": "published",
                "model_program_year": published.year_used,
                "standard_error": None,
            }
            coefficients = f"CMS's national model of FY{published.year_used}"
            rows.append(
                common
                | {
                    "term": "national_intercept",
                    "kind": "intercept",
                    "value": published.value.intercept,
                    "source": coefficients,
                }
            )
            rows += [
                common | {"term": term, "kind": "coefficient", "value": value, "source": coefficients}
                for term, value in published.value.coefficients.items()
            ]
            rows.append(common | {"term": "tau2", "kind": "variance", "value": tau2, "source": source})
    if settings.reference != "fit":
        return pd.DataFrame(rows)
    from hrrp.orchestration.fitting import fit_models

    rows, pictures = fit_models(warehouse, rows)
    table = pd.DataFrame(rows)
    table.attrs[PICTURES] = pictures
    return table


def _site_variances(settings: Settings, reference: Reference) -> dict[str, tuple[float, str]]:
    """Between-hospital variances read back from the site's own report, where one is set."""
    if settings.hsr is None:
        return {}
    from hrrp.intake.hsr import read_hsr
    from hrrp.penalty.replicate import site_variances

    report = read_hsr(settings.hsr, reference)
    return dict(site_variances(report, reference))


def report_measures(warehouse: Warehouse, settings: Settings, reference: Reference) -> pd.DataFrame:
    """result.report_measures: see its description. Without a row where no report is set or its hospital is not to be told."""
    if settings.hsr is None:
        return pd.DataFrame(columns=list(REPORT_COLUMNS))
    from hrrp.intake.hsr import read_hsr
    from hrrp.penalty.report_measures import report_measures as rows_of

    report = read_hsr(settings.hsr, reference)
    known = hospitals(warehouse)["ccn"].astype(str).tolist()
    # A report tells its hospital through readmissions to it; a site with one hospital has no doubt.
    ccn = report.ccn if report.ccn in known else known[0] if report.ccn is None and len(known) == 1 else None
    return pd.DataFrame([] if ccn is None else rows_of(report, ccn), columns=list(REPORT_COLUMNS))


def _variances(warehouse: Warehouse) -> dict[tuple[int, str], tuple[float, float]]:
    """Between-hospital variance and its standard error: 0 where it is published, or lies on the boundary."""
    return {
        (year, measure): (value, error)
        for year, measure, value, error in warehouse.rows(
            "select program_year, measure, value, case when isfinite(standard_error) then standard_error else 0 end "
            "from risk.model_in_force where kind = 'variance'"
        )
    }


def hospitals(warehouse: Warehouse) -> pd.DataFrame:
    """The hospitals that results are about: those of hospitals.csv, else every hospital with an index admission."""
    listed = warehouse.read("select ccn, name, state, peer_group, exempt from staging.hospitals order by ccn")
    if not listed.empty:
        return listed
    found = warehouse.read("select distinct ccn from risk.linear_predictors order by ccn")
    return found.assign(name=None, state=None, peer_group=None, exempt=False)


def hospital_measures(warehouse: Warehouse, settings: Settings, reference: Reference) -> pd.DataFrame:
    """result.hospital_measures: see its description."""
    subjects = hospitals(warehouse)
    variances = _variances(warehouse)
    last_known = last_known_day(warehouse, settings, reference)
    tables = []
    for year in program_years(warehouse):
        results, payment_ratios, shared = [], [], []
        for measure in MEASURES:
            stays = warehouse.arrays(
                "select ccn, outcome, linear_predictor from risk.linear_predictors "
                "where program_year = $year and measure = $measure order by ccn, stay_key",
                {"year": year, "measure": measure},
            )
            ratios = _by_ccn(
                warehouse,
                "select ccn, drg_payment_ratio from payment.drg_payment_ratios where program_year = $year and measure = $measure",
                {"year": year, "measure": measure},
                subjects,
            )
            # Where the extract has no payments, the ratio that CMS published last for the hospital stands in (see the notes).
            ratios = ratios.fillna(
                _by_ccn(
                    warehouse,
                    "select ccn, arg_max(value, program_year) from reference.published_results where measure = $measure "
                    "and figure = 'drg_payment_ratio' and program_year <= $year group by ccn",
                    {"year": year, "measure": measure},
                    subjects,
                )
            )
            pending = _by_ccn(
                warehouse,
                # Beyond the last day known admissions are projected, not counted.
                "select cohort_flow.ccn, count(*) from cohort.cohort_flow inner join cohort.stays using (stay_key) "
                "where program_year = $year and measure = $measure and first_reason = 'follow_up_incomplete' "
                "and stays.discharge_date <= $last_known group by cohort_flow.ccn",
                {"year": year, "measure": measure, "last_known": last_known},
                subjects,
            ).fillna(0)
            tau2, tau2_se = variances[year, measure]
            index = pd.Index(subjects["ccn"]).get_indexer(pd.Index(stays["ccn"].astype(str)))
            own = index >= 0
            scored = (
                stays["outcome"][own].astype(np.float64),
                stays["linear_predictor"][own].astype(np.float64),
                index[own].astype(np.int64),
                len(subjects),
                tau2,
            )
            effects = hospital_effects(*scored)
            low, high = err_posterior(*scored, tau2_se).err_quantiles().T
            results.append(effects)
            payment_ratios.append(ratios.to_numpy())
            shared.append(
                pd.DataFrame(
                    {
                        "program_year": year,
                        "measure": measure,
                        "ccn": subjects["ccn"],
                        "eligible_discharges": effects.n.astype(int),
                        "readmissions": effects.observed.astype(int),
                        "observed_rate": effects.observed / np.where(effects.n > 0, effects.n, np.nan),
                        "predicted": effects.predicted,
                        "expected": effects.expected,
                        "err": effects.err,
                        "err_low": low,
                        "err_high": high,
                        "hospital_effect": np.where(effects.n > 0, effects.effect, np.nan),
                        "hospital_effect_se": np.where(effects.n > 0, effects.se, np.nan),
                        "reliability": np.where(effects.n > 0, effects.reliability, np.nan),
                        "tau2": tau2,
                        "drg_payment_ratio": ratios,
                        "follow_up_incomplete": pending.astype(int),
                    }
                )
            )
        err = np.column_stack([effects.err for effects in results])
        cases = np.column_stack([effects.n for effects in results]).astype(np.float64)
        shares = np.column_stack(payment_ratios)
        if settings.national_figures == "fit":
            figures = _figures_of_this_run(warehouse, reference, year, subjects, err, cases, shares)
        else:
            figures = _published_figures(warehouse, reference, year, subjects)
        in_payment = np.isin(MEASURES, reference.program_year(year).measures_in_payment)
        above = penalty_indicator(err, figures.median, cases)
        share = contributions(err, figures.median, shares, cases, figures.neutrality_modifier) * in_payment
        # Without payments, or without a modifier, a measure above its median has an unknown contribution, not none.
        unknown = above & (np.isnan(shares) | np.isnan(figures.neutrality_modifier))
        # Without a peer group, or left out of the groups: whether the measure is above its median is unknown.
        unknown |= (cases >= MINIMUM_CASES) & np.isfinite(err) & np.isnan(figures.median)
        contribution = np.where(unknown & in_payment, np.nan, share)
        for k, table in enumerate(shared):
            tables.append(
                table.assign(
                    peer_group=pd.array(figures.groups, dtype="Int64"),
                    peer_group_median=figures.median[:, k],
                    neutrality_modifier=figures.neutrality_modifier,
                    penalty_indicator=above[:, k],
                    contribution=contribution[:, k],
                )
            )
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


@dataclass(frozen=True)
class _NationalFigures:
    """What a program year's hospitals are held against: group (None: unknown), median (hospitals, measures), modifier (or NaN)."""

    groups: list[int | None]
    median: NDArray[np.float64]
    neutrality_modifier: float


def _published_figures(
    warehouse: Warehouse, reference: Reference, year: int, subjects: pd.DataFrame
) -> _NationalFigures:
    """CMS's own, or the last published ones."""
    groups = peer_groups(warehouse, reference, year, subjects)
    medians = reference.peer_group_medians(year).value
    median = [[medians.get((group, each), np.nan) if group else np.nan for each in MEASURES] for group in groups]
    return _NationalFigures(
        groups,
        np.array(median, dtype=np.float64).reshape(len(groups), len(MEASURES)),
        reference.neutrality_modifier(year).value,
    )


def _figures_of_this_run(
    warehouse: Warehouse,
    reference: Reference,
    year: int,
    subjects: pd.DataFrame,
    err: NDArray[np.float64],
    cases: NDArray[np.float64],
    payment_ratios: NDArray[np.float64],
) -> _NationalFigures:
    """Computed from the hospitals of this run; the modifier is NaN where none balances their payments."""
    # An exempt hospital is not in the program: CMS's groups and medians are without it.
    dual = _dual_proportions(warehouse, year, subjects).where(~subjects["exempt"].eq(True))
    payments = _by_ccn(
        warehouse, "select ccn, annual_base_operating_payments from payment.annual_payments", {}, subjects
    )
    rules = reference.program_year(year)
    given = (subjects["ccn"].astype(str).tolist(), dual, err, cases, payment_ratios, payments, rules.max_reduction)
    in_payment = np.isin(MEASURES, rules.measures_in_payment)
    try:
        found = national_penalties(*given, in_payment=in_payment)
    except InputContractError:
        # A year that has hardly begun may have nothing to balance: groups and medians stand, and the notes say so.
        found = national_penalties(*given, in_payment=in_payment, published_modifier=np.nan)
    groups = [int(group) if group else None for group in found.peer_group]
    return _NationalFigures(groups, found.median, found.neutrality_modifier)


def _by_ccn(warehouse: Warehouse, sql: str, values: dict[str, object], subjects: pd.DataFrame) -> pd.Series:
    """The second column of a query by CCN, in the order of the subjects; NaN where a hospital has none."""
    found = dict(warehouse.rows(sql, values))
    return subjects["ccn"].map(found).astype(float).reset_index(drop=True)


def _dual_proportions(warehouse: Warehouse, year: int, subjects: pd.DataFrame) -> pd.Series:
    sql = "select ccn, dual_proportion from payment.dual_proportions where program_year = $year"
    return _by_ccn(warehouse, sql, {"year": year}, subjects)


def peer_groups(warehouse: Warehouse, reference: Reference, year: int, subjects: pd.DataFrame) -> list[int | None]:
    """Peer group of each hospital: as its own file states it, else its dual proportion against the last published cuts."""
    proportions = _dual_proportions(warehouse, year, subjects)
    cuts = reference.peer_group_cuts(year).value
    computed = peer_groups_from_cuts(proportions.to_numpy(), [cuts[group] for group in (1, 2, 3, 4, 5)])
    return [
        int(given) if pd.notna(given) else (int(found) if found > 0 else None)
        for given, found in zip(subjects["peer_group"], computed, strict=True)
    ]


def forecast_inputs(warehouse: Warehouse, settings: Settings, reference: Reference) -> pd.DataFrame:
    """result.forecast_inputs: see its description."""
    subjects = hospitals(warehouse)
    measures = warehouse.read("select * from result.hospital_measures")
    if settings.national_figures == "fit":
        # The forecast stands on CMS's published medians, so on CMS's groups.
        placed = {
            (year, ccn): group
            for year in program_years(warehouse)
            for ccn, group in zip(subjects["ccn"], peer_groups(warehouse, reference, year, subjects), strict=True)
        }
        own = [placed[place] for place in zip(measures["program_year"], measures["ccn"], strict=True)]
        measures["peer_group"] = pd.array(own, dtype="Int64")
    known = Known(
        hospitals=subjects["ccn"].astype(str).tolist(),
        years=program_years(warehouse),
        last_known=last_known_day(warehouse, settings, reference),
        stays=pd.DataFrame(
            warehouse.arrays(
                "select program_year, measure, ccn, stay_key, discharge_date, outcome, linear_predictor "
                "from risk.linear_predictors "
                "order by program_year, measure, ccn, stay_key"
            )
        ),
        measures=measures,
        dual_proportions=warehouse.read(
            "select program_year, ccn, stays, dual_proportion from payment.dual_proportions"
        ),
        annual_payments=dict(
            warehouse.rows(
                "select ccn, annual_base_operating_payments from payment.annual_payments "
                "where annual_base_operating_payments is not null"
            )
        ),
        elsewhere={
            measure: (found.share, found.standard_error)
            for measure, found in readmissions_elsewhere(settings, reference).items()
        },
    )
    return outlook_inputs(known, reference)


def readmissions_elsewhere(settings: Settings, reference: Reference) -> dict[str, Elsewhere]:
    """By measure what own data cannot see; nothing where the extract holds other hospitals' stays and sees it itself.

    The national share of the measure, drawn to what the site's own report shows, where one is set.
    """
    if settings.sees_other_hospitals:
        return {}
    shares = {}
    for measure in MEASURES:
        share, spread, confidence = reference.readmissions_elsewhere(measure)
        shares[measure] = Elsewhere(share, spread, f"national share, confidence {confidence}")
    if settings.hsr is not None:
        from hrrp.intake.hsr import read_hsr
        from hrrp.penalty.replicate import readmissions_elsewhere as in_report

        report = read_hsr(settings.hsr, reference)
        for measure, (elsewhere, total) in in_report(report).items():
            if total > 0:
                known = shares[measure]
                share, error = hospital_share(elsewhere, total, known.share, known.standard_error)
                source = f"{elsewhere} of {total} in the site's FY{report.program_year} report, and the {known.source}"
                shares[measure] = Elsewhere(share, error, source)
    return shares


def forecasts(warehouse: Warehouse, settings: Settings, reference: Reference) -> pd.DataFrame:
    """result.forecasts: see its description."""
    inputs = warehouse.read("select * from result.forecast_inputs order by program_year, ccn, measure")
    return forecast_table(inputs, reference, draws=settings.draws, seed=settings.seed, threads=settings.threads)
