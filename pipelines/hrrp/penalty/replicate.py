"""Recomputing a Hospital-Specific Report from its own rows, and reading the between-hospital variance back from it.

For each measure, over the stays with inclusion indicator 0 (z = risk factors, b = printed coefficients):

    predicted = mean expit(HOSP_EFFECT + b'z)      expected = mean expit(AVG_EFFECT + b'z)      ERR = predicted / expected

then the penalty indicator, the contributions and the factor as in `hrrp.penalty.factor`, with the report's own peer group
medians, payment ratios and neutrality modifier; the dual proportion from the rows of Table 9. Every figure that the report
prints is compared with the one recomputed. Where one differs, the row that most likely explains it is looked for: the risk
factor value, the intercept or the outcome whose change would give back what is printed.

What the report prints of CMS's national figures (coefficients, national intercept, peer group medians, neutrality modifier,
national rates, peer group by its cuts) is compared with the reference tables where these have the same year's own figure, to
the decimals that the table has: medians that come from supplemental files have four. Beyond these decimals no difference is
harmless, for one of the two is then not what CMS published: it counts like any other. A discharge period or a set of risk
factors that is not the year's is noted. What neither the rows nor the tables tell (`TAKEN_AS_PRINTED`) is used as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hrrp.penalty.factor import contributions, payment_reduction, penalty_indicator, round_half_up
from hrrp.penalty.report_places import TOLERANCE, Difference, likely_places, linear_predictor
from hrrp.program import MEASURES, ProgramYear, Reference
from hrrp.program.hospital_report import (
    EFFECT_HEADINGS,
    TABLE_1_HEADINGS,
    TABLE_2_HEADINGS,
    DischargeTable,
    HospitalReport,
    MeasureResult,
    PaymentAdjustment,
    place,
)

Floats = NDArray[np.float64]

PRINTED_DECIMALS = 14
TAKEN_AS_PRINTED = "the DRG payment ratios, the total number of stays and the excluded quarters"

# A report's hospital effect is where CMS's iterative fit stopped; it is taken to be right to this much on the logit scale.
# Over the mock reports of FY2020 to FY2025 read-backs with an uncertainty of up to 3.5 % agree with their neighbours, the one
# of 24 % (FY2025 COPD, observed and predicted 0.02 apart) lies outside.
EFFECT_ACCURACY = 1e-4
LARGEST_UNCERTAINTY = 0.10


@dataclass(frozen=True)
class VarianceReadBack:
    """The between-hospital variance that a report implies, and how far it can be trusted.

    `tau2` is None where there is nothing to read it from; `uncertainty` is relative (0.1 = 10 %).
    """

    tau2: float | None
    uncertainty: float | None
    difference: float | None

    @property
    def is_usable(self) -> bool:
        return self.tau2 is not None and self.uncertainty is not None and self.uncertainty <= LARGEST_UNCERTAINTY


@dataclass(frozen=True)
class MeasureReplication:
    """One measure recomputed. Rates are fractions; None where the rows cannot tell."""

    measure: str
    eligible_discharges: int
    readmissions: int
    predicted: float | None
    expected: float | None
    err: float | None
    penalty_indicator: bool | None
    contribution: float | None
    read_back: VarianceReadBack
    between_hospital_variance: float
    between_hospital_variance_source: str
    readmissions_elsewhere: int
    readmissions_placed: int
    printed: MeasureResult
    hospital_effect: float | None
    average_effect: float | None

    def document(self) -> dict[str, Any]:
        printed = self.printed
        return {
            "eligible_discharges": self.eligible_discharges,
            "eligible_discharges_published": printed.eligible_discharges,
            "readmissions": self.readmissions,
            "readmissions_published": printed.readmissions,
            "predicted": self.predicted,
            "predicted_published": printed.predicted,
            "expected": self.expected,
            "expected_published": printed.expected,
            "err": self.err,
            "err_published": printed.err,
            "peer_group_median": printed.peer_group_median,
            "penalty_indicator": self.penalty_indicator,
            "penalty_indicator_published": printed.penalty_indicator,
            "drg_payment_ratio": printed.drg_payment_ratio,
            "contribution": self.contribution,
            "national_rate": printed.national_rate,
            "hospital_effect": self.hospital_effect,
            "average_effect": self.average_effect,
            "between_hospital_variance": self.between_hospital_variance,
            "between_hospital_variance_source": self.between_hospital_variance_source,
            "between_hospital_variance_read_back": self.read_back.tau2,
            "between_hospital_variance_uncertainty": self.read_back.uncertainty,
            "observed_minus_predicted": self.read_back.difference,
            "readmissions_elsewhere": self.readmissions_elsewhere,
            "readmissions_placed": self.readmissions_placed,
        }


@dataclass(frozen=True)
class Replication:
    """A report recomputed; `paf` and `payment_reduction` are not rounded.

    `figures_recomputed` and `figures_national` count the printed figures that were compared with the rows and with the reference
    tables; `largest_gap` is the largest between a printed and a recomputed rate, ratio or count.
    """

    report: HospitalReport
    dual_stays: int
    dual_proportion: float | None
    payment_reduction: float | None
    measures: Mapping[str, MeasureReplication]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    figures_recomputed: int
    figures_national: int
    largest_gap: float

    @property
    def paf(self) -> float | None:
        return None if self.payment_reduction is None else 1.0 - self.payment_reduction

    @property
    def agrees(self) -> bool:
        return not self.differences

    def document(self) -> dict[str, Any]:
        """The document of `hrrp replicate --json`. `paf` has four decimals like the printed one; reductions are fractions."""
        printed = self.report.payment_adjustment
        return {
            "program_year": self.report.program_year,
            "hospital": self.report.hospital_name or None,
            "discharge_periods": [[period.start.isoformat(), period.end.isoformat()] for period in self.report.periods],
            "agrees": self.agrees,
            "figures_recomputed": self.figures_recomputed,
            "figures_national": self.figures_national,
            "largest_gap": self.largest_gap,
            "paf": round_half_up(self.paf),
            "paf_unrounded": self.paf,
            "paf_published": printed.paf,
            "payment_reduction": self.payment_reduction,
            "payment_reduction_published": printed.payment_reduction,
            "dual_stays": self.dual_stays,
            "dual_stays_published": printed.dual_stays,
            "stays": printed.stays,
            "dual_proportion": self.dual_proportion,
            "dual_proportion_published": printed.dual_proportion,
            "peer_group": printed.peer_group,
            "neutrality_modifier": printed.neutrality_modifier,
            "measures": {measure: self.measures[measure].document() for measure in MEASURES},
            "differences": [difference.document() for difference in self.differences],
            "notes": list(self.notes),
        }


# ---- arithmetic ------------------------------------------------------------------------------------------------------


def read_back_variance(
    hospital_effect: float | None, average_effect: float | None, readmissions: int, predictor: Floats
) -> VarianceReadBack:
    """tau2 = (HOSP_EFFECT - AVG_EFFECT) / (observed - predicted readmissions).

    A report's hospital effect u = HOSP_EFFECT - AVG_EFFECT is the posterior mode, u = tau2 (observed - sum p(u)). An error d in u
    moves tau2 by d (1/|u| + W/|observed - predicted|) relatively, W = sum p (1 - p); `EFFECT_ACCURACY` is taken for d. A
    quotient that is not positive is none.
    """
    if hospital_effect is None or average_effect is None or predictor.size == 0:
        return VarianceReadBack(None, None, None)
    risks = expit(predictor + hospital_effect)
    effect = hospital_effect - average_effect
    difference = readmissions - float(risks.sum())
    if effect == 0.0 or difference == 0.0 or effect / difference < 0.0:
        return VarianceReadBack(None, None, difference)
    spread = float((risks * (1.0 - risks)).sum())
    uncertainty = EFFECT_ACCURACY * (1.0 / abs(effect) + spread / abs(difference))
    return VarianceReadBack(effect / difference, uncertainty, difference)


def _variance(table: DischargeTable, year: int, reference: Reference) -> tuple[VarianceReadBack, float, str]:
    """The read-back, the variance to use and where that comes from."""
    readmissions = int(table.readmitted[table.included].sum())
    read = read_back_variance(table.hospital_effect, table.average_effect, readmissions, linear_predictor(table))
    if read.is_usable and read.tau2 is not None and read.uncertainty is not None:
        how = f"read back from the FY{year} Hospital-Specific Report, to within {100 * read.uncertainty:.1g}%"
        return read, read.tau2, how
    pooled, confidence = reference.between_hospital_variance(table.measure)
    if read.difference is None:
        why = "the report has no stays to read it from"
    elif read.tau2 is None or read.uncertainty is None:
        why = "the report's effect and its readmissions, observed and predicted, do not point the same way"
    else:
        why = (
            f"observed and predicted readmissions are {abs(read.difference):.2f} apart, so the value read back "
            f"({read.tau2:.4f}) is uncertain by {100 * read.uncertainty:.0f}%"
        )
    return read, pooled, f"pooled over earlier reports (confidence {confidence}): {why}"


def site_variances(report: HospitalReport, reference: Reference | None = None) -> dict[str, tuple[float, str]]:
    """The between-hospital variance to use for each measure, and in words where it comes from.

    Read back from the report where that is well-conditioned, else the value pooled over reports (reference table).
    """
    reference = reference or Reference()
    return {measure: _variance(report.discharges[measure], report.program_year, reference)[1:] for measure in MEASURES}


def readmissions_elsewhere(report: HospitalReport) -> dict[str, tuple[int, int]]:
    """By measure: unplanned readmissions to another hospital, and all whose hospital the report tells.

    Only stays that count, and only readmissions with Yes or No under Readmission to Same Hospital.
    """
    return {measure: _elsewhere(report.discharges[measure]) for measure in MEASURES}


def _elsewhere(table: DischargeTable) -> tuple[int, int]:
    same = [stay.same_hospital for stay in table.discharges if stay.included and stay.unplanned_readmission]
    return same.count(False), same.count(False) + same.count(True)


# ---- replication -----------------------------------------------------------------------------------------------------


def replicate(report: HospitalReport, reference: Reference) -> Replication:
    """Recompute `report` from its own rows and compare every figure that it prints.

    Raises RulesMissingError for a program year that the reference tables do not list.
    """
    year = report.program_year
    rules = reference.program_year(year)
    ledger = _Ledger()
    notes = list(report.notes)
    modifier = report.payment_adjustment.neutrality_modifier

    measures = {}
    agreement = {}
    for measure in MEASURES:
        table, printed = report.discharges[measure], report.results[measure]
        recomputed = recompute_measure(table, printed, year, reference)
        in_payment = measure in rules.measures_in_payment
        if not in_payment:
            notes.append(f"{measure} is not in the payment formula of FY{year}: it contributes nothing.")
        contribution = measure_contribution(recomputed, printed, modifier) if in_payment else 0.0
        measures[measure] = replace(recomputed, contribution=contribution)
        agreement[measure] = _compare_measure(ledger, table, printed, recomputed, in_payment)

    reduction = total_reduction(measures, rules, modifier, notes)
    dual_stays, proportion = _compare_adjustment(ledger, report, reduction)
    _compare_national(ledger, report, rules, reference, notes)
    other_model = {difference.sheet for difference in ledger.differences if difference.kind == "national"}
    for measure in MEASURES:
        table, printed = report.discharges[measure], report.results[measure]
        ledger.differences += likely_places(table, printed, agreement[measure], table.sheet in other_model)
    notes.append(f"Taken as printed, because neither the rows nor a published table tells them: {TAKEN_AS_PRINTED}.")
    return Replication(
        report=report,
        dual_stays=dual_stays,
        dual_proportion=proportion,
        payment_reduction=reduction,
        measures=measures,
        differences=tuple(ledger.differences),
        notes=tuple(notes),
        figures_recomputed=ledger.recomputed,
        figures_national=ledger.national,
        largest_gap=ledger.largest_gap,
    )


def recompute_measure(
    table: DischargeTable, printed: MeasureResult, year: int, reference: Reference
) -> MeasureReplication:
    """A measure's figures from its rows, with the median that `printed` has; the contribution is left open."""
    predictor = linear_predictor(table)
    cases = int(table.included.sum())
    predicted = expected = err = None
    if cases and table.hospital_effect is not None:
        predicted = float(expit(predictor + table.hospital_effect).mean())
    if cases and table.average_effect is not None:
        expected = float(expit(predictor + table.average_effect).mean())
    if predicted is not None and expected is not None:
        err = predicted / expected
    indicator: bool | None = None
    if printed.peer_group_median is not None:
        indicator = err is not None and bool(penalty_indicator(err, printed.peer_group_median, cases))
    read, tau2, how = _variance(table, year, reference)
    elsewhere, placed = _elsewhere(table)
    return MeasureReplication(
        measure=table.measure,
        eligible_discharges=cases,
        readmissions=int(table.readmitted[table.included].sum()),
        predicted=predicted,
        expected=expected,
        err=err,
        penalty_indicator=indicator,
        contribution=None,
        read_back=read,
        between_hospital_variance=tau2,
        between_hospital_variance_source=how,
        readmissions_elsewhere=elsewhere,
        readmissions_placed=placed,
        printed=printed,
        hospital_effect=table.hospital_effect,
        average_effect=table.average_effect,
    )


def measure_contribution(
    recomputed: MeasureReplication, printed: MeasureResult, neutrality_modifier: float | None
) -> float | None:
    """The measure's share of the reduction; None where it would count but a figure for it is not printed."""
    if recomputed.penalty_indicator is False:
        return 0.0
    err, median, ratio = recomputed.err, printed.peer_group_median, printed.drg_payment_ratio
    if err is None or median is None or ratio is None or neutrality_modifier is None:
        return None
    return float(contributions(err, median, ratio, recomputed.eligible_discharges, neutrality_modifier))


def total_reduction(
    measures: Mapping[str, MeasureReplication], rules: ProgramYear, neutrality_modifier: float | None, notes: list[str]
) -> float | None:
    """The payment reduction; None, with a sentence added to `notes`, where a figure for it is not printed."""
    shares = [recomputed.contribution for recomputed in measures.values()]
    if neutrality_modifier is None or None in shares:
        unknown = [measure for measure, recomputed in measures.items() if recomputed.contribution is None]
        missing = "neutrality modifier" if neutrality_modifier is None else f"figures for {', '.join(unknown)}"
        notes.append(
            f"The report prints no {missing} (Maryland's hospitals are exempt, for one), so the factor is not recomputed."
        )
        return None
    return float(payment_reduction([share for share in shares if share is not None], rules.max_reduction))


class _Ledger:
    """The comparisons made: how many, how close, and those that failed."""

    def __init__(self) -> None:
        self.differences: list[Difference] = []
        self.recomputed = 0
        self.national = 0
        self.largest_gap = 0.0

    def compare(
        self,
        record: PaymentAdjustment | MeasureResult,
        name: str,
        found: float | bool | None,
        remark: str,
        tolerance: float = TOLERANCE,
    ) -> bool:
        """Whether the figure `name` as printed is the one `found`; a figure that is not printed is not compared."""
        printed = getattr(record, name)
        if printed is None:
            return True
        self.recomputed += 1
        if isinstance(printed, bool) or found is None:
            agrees = printed is found
        else:
            gap = abs(printed - found)
            agrees = gap <= tolerance
            if tolerance == TOLERANCE:
                self.largest_gap = max(self.largest_gap, gap)
        if not agrees:
            names = TABLE_1_HEADINGS if isinstance(record, PaymentAdjustment) else TABLE_2_HEADINGS
            self.differs("recomputed", record, record.row, name, names[name], printed, found, remark)
        return agrees

    def compare_published(
        self,
        record: PaymentAdjustment | MeasureResult | DischargeTable,
        row: int,
        column: str,
        figure: str,
        printed: float | None,
        published: str | None,
        table: str,
    ) -> None:
        """A national figure as printed against the text of the reference table's figure, to the decimals that it has."""
        if printed is None or not published:
            return
        self.national += 1
        if abs(printed - float(published)) > _half_unit(published):
            remark = f"CMS's national figure of that year in the reference table {table}"
            self.differs("national", record, row, column, figure, printed, float(published), remark)

    def differs(
        self,
        kind: str,
        record: PaymentAdjustment | MeasureResult | DischargeTable,
        row: int,
        column: str,
        figure: str,
        printed: float | bool | str,
        found: float | bool | None,
        remark: str,
    ) -> None:
        """Take a difference down."""
        measure = None if isinstance(record, PaymentAdjustment) else record.measure
        cell = place(record.columns, column, row)
        self.differences.append(
            Difference(kind, record.sheet, row, cell, measure, figure, printed, found, remark, (row,))
        )

    def compare_nq(self, printed: MeasureResult, cases: int, source: str) -> bool:
        """NQ (no qualifying cases) against the stays that count."""
        self.recomputed += 1
        if cases:
            figure = TABLE_2_HEADINGS["eligible_discharges"]
            remark = f"stays with inclusion indicator 0 {source}"
            self.differs("recomputed", printed, printed.row, "eligible_discharges", figure, "NQ", cases, remark)
        return cases == 0


def _compare_measure(
    ledger: _Ledger, table: DischargeTable, printed: MeasureResult, recomputed: MeasureReplication, in_payment: bool
) -> dict[str, bool]:
    """Table 2's row against the rows of the measure's table; by figure, whether they agree."""
    source = f"from the rows of '{table.sheet}'"
    remarks = {
        "eligible_discharges": f"stays with inclusion indicator 0 {source}",
        "readmissions": f"unplanned readmissions of stays that count {source}",
        "predicted": f"mean of expit(HOSP_EFFECT + coefficients x risk factors) {source}",
        "expected": f"mean of expit(AVG_EFFECT + coefficients x risk factors) {source}",
        "err": f"predicted / expected {source}",
    }
    agrees = {
        name: ledger.compare(printed, name, getattr(recomputed, name), remark) for name, remark in remarks.items()
    }
    if printed.no_qualifying_cases:
        agrees["eligible_discharges"] = ledger.compare_nq(printed, recomputed.eligible_discharges, source)
    if in_payment:
        remark = "Yes when there are 25 eligible discharges and the ERR recomputed is above the printed median"
        ledger.compare(printed, "penalty_indicator", recomputed.penalty_indicator, remark)
    return agrees


def _compare_adjustment(ledger: _Ledger, report: HospitalReport, reduction: float | None) -> tuple[int, float | None]:
    """Table 1 against Table 9 and the contributions; returns the dual stays counted and their proportion."""
    printed = report.payment_adjustment
    dual_stays = len(report.dual_stays)
    proportion = dual_stays / printed.stays if printed.stays else None
    ledger.compare(printed, "dual_stays", dual_stays, f"rows of '{report.dual_stays_sheet}'")
    if proportion is not None and not ledger.compare(
        printed,
        "dual_proportion",
        proportion,
        f"rows of '{report.dual_stays_sheet}' / total number of stays as printed",
    ):
        implied = dual_stays / printed.dual_proportion if printed.dual_proportion else 0.0
        if abs(implied - round(implied)) < 1e-6 and round(implied) not in (0, printed.stays):
            remark = "with the number found the dual proportion is as printed"
            figure = TABLE_1_HEADINGS["stays"]
            ledger.differs("place", printed, printed.row, "stays", figure, printed.stays or 0, round(implied), remark)
    if reduction is not None:
        how = "neutrality modifier x sum of DRG payment ratio x (ERR - median) over the measures that count, capped"
        shown = round_half_up(reduction)
        ledger.compare(printed, "payment_reduction", shown, how, tolerance=1e-9)
        ledger.compare(
            printed, "paf", round_half_up(1.0 - reduction), f"1 - {how}; unrounded {1 - reduction:.8f}", 1e-9
        )
    return dual_stays, proportion


# ---- national figures ------------------------------------------------------------------------------------------------


def _compare_national(
    ledger: _Ledger, report: HospitalReport, rules: ProgramYear, reference: Reference, notes: list[str]
) -> None:
    """What the report prints of CMS's national figures against the reference tables, where they have this year's own."""
    year, adjustment = report.program_year, report.payment_adjustment
    modifiers = _of_year(reference, "program_years", year, "neutrality_modifier", ("program_year",))
    group = str(adjustment.peer_group)
    medians = {
        measure: median
        for (peer_group, measure), median in _of_year(
            reference, "peer_group_medians", year, "median_err", ("peer_group", "measure")
        ).items()
        if peer_group == group
    }
    rates = _of_year(reference, "national_rates", year, "national_observed_unplanned_30d_rate", ("measure",))
    coefficients = _of_year(reference, "risk_coefficients", year, "coefficient", ("measure", "variable_key"))

    column, row = "neutrality_modifier", adjustment.row
    printed, published = adjustment.neutrality_modifier, modifiers.get((str(year),))
    ledger.compare_published(adjustment, row, column, TABLE_1_HEADINGS[column], printed, published, "program_years")
    for measure in MEASURES:
        result, table = report.results[measure], report.discharges[measure]
        for column, published, name in (
            ("peer_group_median", medians.get(measure), "peer_group_medians"),
            ("national_rate", rates.get((measure,)), "national_rates"),
        ):
            printed = getattr(result, column)
            ledger.compare_published(result, result.row, column, TABLE_2_HEADINGS[column], printed, published, name)
        model: list[tuple[str, str, float | None]]
        model = [(variable.variable_key, variable.label, variable.coefficient) for variable in table.variables]
        model.append(("national_intercept", EFFECT_HEADINGS["average_effect"], table.average_effect))
        for key, label, printed in model:
            published = coefficients.get((measure, key))
            column = "average_effect" if key == "national_intercept" else key
            row = table.coefficient_row
            ledger.compare_published(table, row, column, label, printed, published, "risk_coefficients")
            if coefficients and published is None:
                notes.append(f"{table.sheet}: FY{year}'s published model has no coefficient of '{label}'.")
    _compare_peer_group(ledger, report, reference)

    if report.periods != rules.periods:
        notes.append(f"The discharge period printed is not FY{year}'s in the reference table applicable_periods.")
    texts = {
        "the neutrality modifier": list(modifiers.values()),
        f"the medians of peer group {group}": list(medians.values()),
        "the national rates": list(rates.values()),
        "the coefficients": list(coefficients.values()),
    }
    absent = [name for name, published_texts in texts.items() if not published_texts]
    if absent:
        notes.append(f"Not compared, because the reference tables do not have FY{year}'s: {', '.join(absent)}.")
    for name, published_texts in texts.items():
        decimals = max(map(_decimals, published_texts), default=PRINTED_DECIMALS)
        if decimals < PRINTED_DECIMALS // 2:
            notes.append(f"FY{year}: {name} are compared to the {decimals} decimals that the reference table has.")


def _of_year(reference: Reference, table: str, year: int, value: str, key: Sequence[str]) -> dict[tuple[str, ...], str]:
    """A year's own published figures as printed, by key."""
    return {
        tuple(row[name] for name in key): row[value]
        for row in reference.rows(table)
        if row["program_year"] == str(year) and row[value] != ""
    }


def _decimals(text: str) -> int:
    exponent = Decimal(text).as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _half_unit(text: str) -> float:
    """Half a unit of the last decimal that a figure is published with, but no less than `TOLERANCE`."""
    return max(TOLERANCE, 0.5 * 10.0 ** -_decimals(text) + 1e-12)


def _compare_peer_group(ledger: _Ledger, report: HospitalReport, reference: Reference) -> None:
    """The printed group against the year's observed cuts: only a proportion inside another group's range contradicts it."""
    printed = report.payment_adjustment
    cuts = _of_year(reference, "peer_group_cuts", report.program_year, "highest_dual_proportion", ("peer_group",))
    lowest = _of_year(reference, "peer_group_cuts", report.program_year, "lowest_dual_proportion", ("peer_group",))
    if len(cuts) != 5 or len(lowest) != 5 or printed.peer_group is None or printed.dual_proportion is None:
        return
    shown = round_half_up(printed.dual_proportion)
    inside = [int(g) for (g,) in cuts if float(lowest[(g,)]) <= shown <= float(cuts[(g,)])]
    ledger.national += 1
    if inside and printed.peer_group not in inside:
        remark = "group of the printed dual proportion by the cuts in the reference table peer_group_cuts"
        figure = TABLE_1_HEADINGS["peer_group"]
        ledger.differs("national", printed, printed.row, "peer_group", figure, printed.peer_group, inside[0], remark)
