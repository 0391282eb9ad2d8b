"""Where a difference in a Hospital-Specific Report most likely comes from.

When a printed figure is not the one recomputed from the rows, something in the workbook was changed or is missing. These
functions look for the single change that explains it: a stay whose own columns contradict each other, an intercept, a risk
factor value or a coefficient with which the printed rates come out again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from hrrp.program.hospital_report import (
    DISCHARGE_HEADINGS,
    EFFECT_HEADINGS,
    Discharge,
    DischargeTable,
    MeasureResult,
    place,
)

Floats = NDArray[np.float64]

TOLERANCE = 1e-10  # a printed figure has 14 decimals; sums of thousands of stays are right to about 1e-13
SUSPECTS_SHOWN = 5
WIDEST_AGE_SLIP = 60
WIDEST_SLIP = 40.0
SOLVED_DECIMALS = 9


@dataclass(frozen=True)
class Difference:
    """One printed figure that is not what it should be, or (kind `place`) where that most likely comes from.

    kind: `recomputed` (printed against recomputed from the rows), `national` (printed against the reference table), `place`.
    `printed` and `found` are what the report says and what was found instead; `rows` are all worksheet rows that would explain
    it equally well, `row` the first.
    """

    kind: str
    sheet: str
    row: int | None
    cell: str | None
    measure: str | None
    figure: str
    printed: float | bool | str | None
    found: float | bool | str | None
    remark: str
    rows: tuple[int, ...] = ()

    @property
    def gap(self) -> float | None:
        """printed - found, where both are numbers."""
        both = (self.printed, self.found)
        if any(isinstance(value, (bool, str)) or value is None for value in both):
            return None
        return float(both[0]) - float(both[1])  # type: ignore[arg-type]

    def document(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "sheet": self.sheet,
            "row": self.row,
            "cell": self.cell,
            "measure": self.measure,
            "figure": self.figure,
            "printed": self.printed,
            "found": self.found,
            "gap": self.gap,
            "rows": list(self.rows),
            "remark": self.remark,
        }


def linear_predictor(table: DischargeTable) -> Floats:
    """b'z of every stay that counts, without an intercept."""
    predictor: Floats = table.risk_factors[table.included] @ table.coefficients
    return predictor


def likely_places(
    table: DischargeTable, printed: MeasureResult, agrees: Mapping[str, bool], other_model: bool
) -> list[Difference]:
    """Where a measure's differences most likely come from.

    `other_model` where a coefficient or intercept is not the published one: that is listed already, and explains the rates.
    """
    found = []
    if not agrees["eligible_discharges"]:
        found += _doubtful_inclusions(table)
    elif not other_model:
        found += _doubtful_model(table, printed, agrees)
    if not agrees["readmissions"]:
        found += _doubtful_outcomes(table)
    return found


def _doubtful_inclusions(table: DischargeTable) -> list[Difference]:
    """Stays whose indicator and Index Stay contradict each other, and gaps in the report's own numbering."""
    found = [
        _place(
            table,
            "exclusion_codes",
            stay.row,
            ",".join(str(code) for code in stay.exclusion_codes),
            None,
            f"does not go with Index Stay = {'Yes' if stay.index_stay else 'No'}",
        )
        for stay in table.discharges
        if stay.index_stay != stay.included
    ]
    previous = 0
    for stay in table.discharges:
        if stay.id_number is None:
            continue
        if stay.id_number != previous + 1:
            found.append(_place(table, "id_number", stay.row, None, None, "the numbering skips: a stay may be missing"))
        previous = stay.id_number
    return found[:SUSPECTS_SHOWN]


def _doubtful_outcomes(table: DischargeTable) -> list[Difference]:
    """Stays whose outcome contradicts what the row says about the readmission."""

    def contradicts(stay: Discharge) -> bool:
        told = stay.unplanned_readmission or stay.covid_readmission or bool(stay.planned_readmission)
        return told != stay.readmission_listed

    found = [
        _place(
            table,
            "unplanned_readmission",
            stay.row,
            stay.unplanned_readmission,
            not stay.unplanned_readmission,
            "the row lists no readmission" if stay.unplanned_readmission else "the row lists a readmission",
        )
        for stay in table.discharges
        if stay.included and contradicts(stay)
    ]
    return found[:SUSPECTS_SHOWN]


def _place(
    table: DischargeTable,
    column: str,
    row: int,
    printed: float | bool | str | None,
    found: float | bool | str | None,
    remark: str,
    figure: str | None = None,
    rows: Sequence[int] = (),
) -> Difference:
    headings = DISCHARGE_HEADINGS | EFFECT_HEADINGS
    return Difference(
        kind="place",
        sheet=table.sheet,
        row=row,
        cell=place(table.columns, column, row),
        measure=table.measure,
        figure=figure or headings[column],
        printed=printed,
        found=found,
        remark=remark,
        rows=tuple(rows) or (row,),
    )


def _doubtful_model(table: DischargeTable, printed: MeasureResult, agrees: Mapping[str, bool]) -> list[Difference]:
    """The intercept, risk factor value or coefficient whose change gives back the printed rates.

    An intercept moves only its own rate, and with it the ERR; a risk factor or a coefficient moves both rates. Where the
    printed rates and the printed ERR do not go together, one of them is itself what was changed, and its own entry names it.
    """
    if not table.included.any() or printed.predicted is None or printed.expected is None or printed.err is None:
        return []
    if abs(printed.predicted / printed.expected - printed.err) > TOLERANCE:
        return []
    if not agrees["predicted"] and agrees["expected"]:
        return _doubtful_intercept(table, "hospital_effect", printed.predicted)
    if agrees["predicted"] and not agrees["expected"]:
        return _doubtful_intercept(table, "average_effect", printed.expected)
    if not agrees["predicted"] and not agrees["expected"]:
        rates = (printed.predicted, printed.expected)
        return _doubtful_risk_factor(table, *rates) or _doubtful_coefficient(table, *rates)
    return []


def _solved(risks: Callable[[float], Floats], rate: float) -> float | None:
    """x at which the mean of `risks(x)` is `rate`, within +-`WIDEST_SLIP`; None where there is none."""

    def gap(x: float) -> float:
        return float(risks(x).mean()) - rate

    if gap(-WIDEST_SLIP) * gap(WIDEST_SLIP) >= 0.0:
        return None
    return float(brentq(gap, -WIDEST_SLIP, WIDEST_SLIP, xtol=1e-15))


def _doubtful_intercept(table: DischargeTable, name: str, rate: float) -> list[Difference]:
    predictor = linear_predictor(table)
    value = _solved(lambda intercept: expit(predictor + intercept), rate)
    remark = "only this intercept's rate and the ERR differ; with the value found they are as printed"
    if value is None:
        return []
    return [_place(table, name, table.coefficient_row, getattr(table, name), round(value, SOLVED_DECIMALS), remark)]


def _doubtful_coefficient(table: DischargeTable, predicted: float, expected: float) -> list[Difference]:
    """Single coefficients whose change gives back both printed rates: solved for the expected one, tried on the other."""
    if table.hospital_effect is None or table.average_effect is None:
        return []
    predictor, values = linear_predictor(table), table.risk_factors[table.included]
    average, hospital = table.average_effect, table.hospital_effect
    found = []
    for column, variable in enumerate(table.variables):
        factor = values[:, column]

        def moved(change: float, intercept: float, factor: Floats = factor) -> Floats:
            risks: Floats = expit(predictor + change * factor + intercept)
            return risks

        change = _solved(partial(moved, intercept=average), expected) if factor.any() else None
        if change is not None and abs(float(moved(change, hospital).mean()) - predicted) <= TOLERANCE:
            value = round(variable.coefficient + change, SOLVED_DECIMALS)
            remark = "with the coefficient found predicted and expected are as printed"
            found.append(
                _place(
                    table,
                    variable.variable_key,
                    table.coefficient_row,
                    variable.coefficient,
                    value,
                    remark,
                    variable.label,
                )
            )
    return found[:SUSPECTS_SHOWN]


def _doubtful_risk_factor(table: DischargeTable, predicted: float, expected: float) -> list[Difference]:
    """Single values whose change gives back both printed rates: a flag turned, or the years of age shifted.

    Both rates are met to `TOLERANCE`, so a coincidence is practically excluded; stays with equal risks cannot be told apart,
    and are all named.
    """
    if table.hospital_effect is None or table.average_effect is None:
        return []
    values = table.risk_factors[table.included]
    rows = [stay.row for stay in table.discharges if stay.included]
    predictor = linear_predictor(table)
    intercepts = (table.hospital_effect, table.average_effect)
    base = [expit(predictor + intercept) for intercept in intercepts]
    wanted = [rate * len(rows) - risk.sum() for rate, risk in zip((predicted, expected), base, strict=True)]

    found = []
    for column, variable in enumerate(table.variables):
        is_flag = bool(np.isin(values[:, column], (0.0, 1.0)).all())
        slips = [1.0 - 2.0 * values[:, column]] if is_flag else _age_slips(values[:, column])
        for slip in slips:
            moved = predictor + variable.coefficient * slip
            fits = np.ones(len(rows), dtype=bool)
            for intercept, risk, change in zip(intercepts, base, wanted, strict=True):
                fits &= np.abs(expit(moved + intercept) - risk - change) <= TOLERANCE * max(1, len(rows))
            if fits.any():
                where = [row for row, fit in zip(rows, fits, strict=True) if fit]
                first = int(np.flatnonzero(fits)[0])
                now = float(values[first, column])
                alike = "" if len(where) == 1 else f"; {len(where)} rows would explain it equally well"
                found.append(
                    _place(
                        table,
                        variable.variable_key,
                        where[0],
                        now,
                        now + float(slip[first]),
                        f"with the value found predicted and expected are as printed{alike}",
                        figure=variable.label,
                        rows=where[:SUSPECTS_SHOWN],
                    )
                )
    return found[:SUSPECTS_SHOWN]


def _age_slips(values: Floats) -> list[Floats]:
    return [np.full_like(values, years) for years in range(-WIDEST_AGE_SLIP, WIDEST_AGE_SLIP + 1) if years]
