"""Making a Hospital-Specific Report from stays: every printed figure computed from the rows, as CMS does.

For reports of synthetic hospitals and for a site's own shadow of the report to come. With CMS's published model of the
program year (or the last one published), the hospital effect is the posterior mode of `hrrp.model.one_hospital`; rates,
indicators and factor follow as in `hrrp.penalty.replicate`, rounded as the report prints them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hrrp.errors import InputContractError
from hrrp.model.one_hospital import hospital_effect
from hrrp.penalty.factor import round_half_up
from hrrp.penalty.replicate import PRINTED_DECIMALS, measure_contribution, recompute_measure, total_reduction
from hrrp.program import MEASURES, Reference
from hrrp.program.hospital_report import (
    COEFFICIENT_ROW,
    FIRST_DUAL_STAY_ROW,
    FIRST_STAY_ROW,
    SHEET_NAMES,
    TABLE_1_ROW,
    TABLE_2_FIRST_ROW,
    Discharge,
    DischargeTable,
    DualStay,
    HospitalReport,
    MeasureResult,
    PaymentAdjustment,
    published_risk_factors,
)


def assemble_report(
    program_year: int,
    hospital_name: str,
    discharges: Mapping[str, Sequence[Discharge]],
    risk_factors: Mapping[str, ArrayLike],
    dual_stays: Sequence[DualStay],
    stays: int,
    peer_group: int,
    drg_payment_ratios: Mapping[str, float],
    reference: Reference,
    between_hospital_variance: Mapping[str, float] | None = None,
) -> HospitalReport:
    """The report of one hospital, with the national figures of `reference`.

    `discharges` and `risk_factors` are by measure; the latter has one row a stay and one column for each of
    `published_risk_factors(reference, measure, program_year)`, NaN for stays that do not count. Measures that are left out have
    no stays. `dual_stays` are the numerator and `stays` the denominator of the dual proportion.
    `between_hospital_variance` is tau squared by measure, else that of the reference table. Row numbers are set here.
    Raises InputContractError where a risk factor matrix has another shape.
    """
    rules = reference.program_year(program_year)
    medians = reference.peer_group_medians(program_year).value
    rates = reference.national_rates(program_year).value
    modifier = reference.neutrality_modifier(program_year).value
    tau2 = between_hospital_variance or {}

    tables, results, measures = {}, {}, {}
    for position, measure in enumerate(MEASURES):
        variance = tau2.get(measure, reference.between_hospital_variance(measure)[0])
        table = _table(
            measure, program_year, discharges.get(measure, ()), risk_factors.get(measure), variance, reference
        )
        printed = MeasureResult(
            measure=measure,
            sheet=SHEET_NAMES["table_2"],
            row=TABLE_2_FIRST_ROW + position,
            eligible_discharges=None,
            readmissions=None,
            predicted=None,
            expected=None,
            err=None,
            peer_group_median=medians[(peer_group, measure)],
            penalty_indicator=None,
            drg_payment_ratio=drg_payment_ratios.get(measure) if table.included.any() else None,
            national_rate=rates.get(measure),
            no_qualifying_cases=not table.included.any(),
        )
        found = recompute_measure(table, printed, program_year, reference)
        counts = measure in rules.measures_in_payment
        measures[measure] = replace(
            found, contribution=measure_contribution(found, printed, modifier) if counts else 0.0
        )
        results[measure] = replace(
            printed,
            eligible_discharges=found.eligible_discharges or None,
            readmissions=found.readmissions if found.eligible_discharges else None,
            predicted=_as_printed(found.predicted),
            expected=_as_printed(found.expected),
            err=_as_printed(found.err),
            penalty_indicator=found.penalty_indicator,
        )
        tables[measure] = table

    reduction = total_reduction(measures, rules, modifier, [])
    return HospitalReport(
        program_year=program_year,
        hospital_name=hospital_name,
        periods=rules.periods,
        payment_adjustment=PaymentAdjustment(
            sheet=SHEET_NAMES["table_1"],
            row=TABLE_1_ROW,
            dual_stays=len(dual_stays),
            stays=stays,
            dual_proportion=_as_printed(len(dual_stays) / stays) if stays else None,
            peer_group=peer_group,
            neutrality_modifier=modifier,
            payment_reduction=round_half_up(reduction),
            paf=round_half_up(None if reduction is None else 1.0 - reduction),
        ),
        results=results,
        discharges=tables,
        dual_stays=tuple(replace(stay, row=row) for row, stay in enumerate(dual_stays, start=FIRST_DUAL_STAY_ROW)),
        dual_stays_sheet=SHEET_NAMES["table_9"],
    )


def _table(
    measure: str,
    program_year: int,
    stays: Sequence[Discharge],
    risk_factors: ArrayLike | None,
    tau2: float,
    reference: Reference,
) -> DischargeTable:
    factors, intercept = published_risk_factors(reference, measure, program_year)
    values: NDArray[np.float64] = np.asarray([] if risk_factors is None else risk_factors, dtype=np.float64)
    if values.size == 0:
        values = values.reshape(0, len(factors))
    if values.shape != (len(stays), len(factors)):
        raise InputContractError(
            f"{measure}: the risk factors have shape {values.shape}; expected {(len(stays), len(factors))}, one row a stay and "
            f"one column for each risk factor of FY{program_year}, in the report's order."
        )
    table = DischargeTable(
        measure=measure,
        sheet=SHEET_NAMES[measure],
        coefficient_row=COEFFICIENT_ROW,
        variables=factors,
        hospital_effect=None,
        average_effect=intercept,
        discharges=tuple(replace(stay, row=row) for row, stay in enumerate(stays, start=FIRST_STAY_ROW)),
        risk_factors=values,
    )
    if not table.included.any():
        return table
    predictor = intercept + values[table.included] @ table.coefficients
    effect = hospital_effect(table.readmitted[table.included], predictor, tau2).effect
    return replace(table, hospital_effect=_as_printed(intercept + effect))


def _as_printed(value: float | None) -> float | None:
    return None if value is None else round(value, PRINTED_DECIMALS)
