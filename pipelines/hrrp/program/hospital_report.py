"""The plain records of CMS's Hospital-Specific Report (HSR): what one hospital is told about one program year.

`hrrp.intake.hsr` reads the workbook, `hrrp.intake.hsr_writer` writes it, `hrrp.penalty.replicate` recomputes it; all speak
these records. Rates, ratios and reductions are fractions; what the report does not print is None (NQ, N/A and -- alike).
Row numbers are those of the worksheet, so that a finding can be looked up. Fields that tell who a patient is, and dates of
patients, are kept out of `repr`, so that no trace or log shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hrrp.program.reference import Period, Reference

INCLUDED = (0,)
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

# Figures of Tables 1 and 2 by field name, in the order and words of CMS's FY2025 workbook.
TABLE_1_HEADINGS: dict[str, str] = {
    "dual_stays": "Number of Dually Eligible Stays (Numerator)",
    "stays": "Total Number of Stays (Denominator)",
    "dual_proportion": "Dual Proportion",
    "peer_group": "Peer Group Assignment",
    "neutrality_modifier": "Neutrality Modifier",
    "payment_reduction": "Payment Reduction Percentage",
    "paf": "Payment Adjustment Factor",
}
TABLE_2_HEADINGS: dict[str, str] = {
    "measure": "Measure",
    "eligible_discharges": "Number of Eligible Discharges",
    "readmissions": "Number of Readmissions Among Eligible Discharges",
    "predicted": "Predicted Readmission Rate",
    "expected": "Expected Readmission Rate",
    "err": "Excess Readmission Ratio (ERR)",
    "peer_group_median": "Peer Group Median ERR",
    "penalty_indicator": "Penalty Indicator (Yes/No)",
    "drg_payment_ratio": "Ratio of DRG Payments Per Measure to Total Payments",
    "national_rate": "National Observed Readmission Rate",
}
# Columns of Tables 3 to 8 before the risk factors. HICNO stands in the workbooks of FY2020 to FY2024 only.
DISCHARGE_HEADINGS: dict[str, str] = {
    "id_number": "ID Number",
    "hicno": "HICNO",
    "mbi": "MBI",
    "medical_record_number": "Medical Record Number",
    "birth_date": "Beneficiary DOB",
    "admit_date": "Admission Date of Index Stay",
    "discharge_date": "Discharge Date of Index Stay",
    "exclusion_codes": "Cohort Inclusion/Exclusion Indicator",
    "index_stay": "Index Stay (Yes/No)",
    "principal_diagnosis": "Principal Discharge Diagnosis of Index Stay",
    "discharge_destination": "Discharge Destination",
    "unplanned_readmission": "Unplanned Readmission within 30 Days (Yes/No)",
    "planned_readmission": "Planned Readmission within 30 Days (Yes/No)",
    "readmission_date": "Readmission Date",
    "readmission_discharge_date": "Discharge Date of Readmission",
    "readmission_diagnosis": "Principal Discharge Diagnosis of Readmission",
    "same_hospital": "Readmission to Same Hospital (Yes/No)",
    "readmitting_ccn": "Provider ID of Readmitting Hospital",
}
EFFECT_HEADINGS: dict[str, str] = {"hospital_effect": "HOSP_EFFECT", "average_effect": "AVG_EFFECT"}
DUAL_STAY_HEADINGS: dict[str, str] = {
    "id_number": "ID Number",
    "hicno": "HICNO",
    "mbi": "MBI",
    "birth_date": "Beneficiary DOB",
    "admit_date": "Admission Date",
    "discharge_date": "Discharge Date",
    "claim_type": "Claim Type",
}
# Sheets and rows of CMS's FY2025 workbook, for reports that are made rather than read.
SHEET_NAMES: dict[str, str] = {
    "table_1": "Table 1 Payment Adjustment",
    "table_2": "Table 2 Hospital Results",
    "AMI": "Table 3 Discharges AMI Readm",
    "COPD": "Table 4 Discharges COPD Readm",
    "HF": "Table 5 Discharges HF Readm",
    "PN": "Table 6 Discharges PN Readm",
    "CABG": "Table 7 Discharges CABG Readm",
    "THA_TKA": "Table 8 Discharges HK Readm",
    "table_9": "Table 9 Dual Stays",
}
TABLE_1_ROW = 6
TABLE_2_FIRST_ROW = 6
COEFFICIENT_ROW = 8
FIRST_STAY_ROW = 9
FIRST_DUAL_STAY_ROW = 7


@dataclass(frozen=True, slots=True)
class PaymentAdjustment:
    """Table 1 as printed; `payment_reduction` is None in FY2020 and FY2021, whose workbooks have no such column."""

    sheet: str
    row: int
    dual_stays: int | None
    stays: int | None
    dual_proportion: float | None
    peer_group: int | None
    neutrality_modifier: float | None
    payment_reduction: float | None
    paf: float | None
    columns: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class MeasureResult:
    """One row of Table 2 as printed; `no_qualifying_cases` where it prints NQ."""

    measure: str
    sheet: str
    row: int
    eligible_discharges: int | None
    readmissions: int | None
    predicted: float | None
    expected: float | None
    err: float | None
    peer_group_median: float | None
    penalty_indicator: bool | None
    drg_payment_ratio: float | None
    national_rate: float | None
    no_qualifying_cases: bool = False
    columns: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Discharge:
    """One stay of Tables 3 to 8.

    `exclusion_codes` is (0,) for a stay that counts. `covid_readmission` where the report prints N/A-COVID patient instead of
    Yes or No. `readmission_listed` tells whether any column about the readmission is filled: the mock workbooks mask dates,
    and a masked date is None.
    """

    row: int
    id_number: int | None = field(repr=False)
    hicno: str | None = field(repr=False)
    mbi: str | None = field(repr=False)
    medical_record_number: str | None = field(repr=False)
    birth_date: date | None = field(repr=False)
    admit_date: date | None = field(repr=False)
    discharge_date: date | None = field(repr=False)
    exclusion_codes: tuple[int, ...]
    index_stay: bool
    principal_diagnosis: str | None = field(repr=False)
    discharge_destination: str | None
    unplanned_readmission: bool
    covid_readmission: bool
    planned_readmission: bool | None
    readmission_date: date | None = field(repr=False)
    readmission_discharge_date: date | None = field(repr=False)
    readmission_diagnosis: str | None = field(repr=False)
    same_hospital: bool | None
    readmitting_ccn: str | None
    readmission_listed: bool

    @property
    def included(self) -> bool:
        return self.exclusion_codes == INCLUDED


@dataclass(frozen=True, slots=True)
class RiskFactor:
    """One risk factor's column: its key in risk_variables.csv, its heading, and the coefficient as printed.

    A heading that no year's report is known to have gets a key that begins with `unlisted:`.
    """

    variable_key: str
    label: str
    coefficient: float

    @property
    def is_listed(self) -> bool:
        return not self.variable_key.startswith("unlisted:")


@dataclass(frozen=True, eq=False)
class DischargeTable:
    """One of Tables 3 to 8: every stay of a measure, the risk factors, and the model as printed.

    `risk_factors` has shape (stays, variables), one row for each of `discharges`, NaN where the report prints N/A (stays that
    are not index stays). `hospital_effect` is the hospital's intercept (HOSP_EFFECT), None where it prints --;
    `average_effect` the national one (AVG_EFFECT).
    """

    measure: str
    sheet: str
    coefficient_row: int
    variables: tuple[RiskFactor, ...]
    hospital_effect: float | None
    average_effect: float | None
    discharges: tuple[Discharge, ...]
    risk_factors: NDArray[np.float64]
    columns: Mapping[str, int] = field(default_factory=dict, repr=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DischargeTable):
            return NotImplemented
        same = ("measure", "sheet", "coefficient_row", "variables", "hospital_effect", "average_effect", "discharges")
        return all(getattr(self, name) == getattr(other, name) for name in same) and np.array_equal(
            self.risk_factors, other.risk_factors, equal_nan=True
        )

    @property
    def variable_keys(self) -> tuple[str, ...]:
        return tuple(variable.variable_key for variable in self.variables)

    @cached_property
    def coefficients(self) -> NDArray[np.float64]:
        """The printed coefficients, in the order of `variables`."""
        return np.array([variable.coefficient for variable in self.variables], dtype=np.float64)

    @cached_property
    def included(self) -> NDArray[np.bool_]:
        """Which of `discharges` count (inclusion indicator 0)."""
        return np.array([stay.included for stay in self.discharges], dtype=np.bool_)

    @cached_property
    def readmitted(self) -> NDArray[np.bool_]:
        """Which of `discharges` had an unplanned readmission that counts."""
        return np.array([stay.unplanned_readmission for stay in self.discharges], dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class DualStay:
    """One stay of Table 9, the numerator of the dual proportion."""

    row: int
    id_number: int | None = field(repr=False)
    hicno: str | None = field(repr=False)
    mbi: str | None = field(repr=False)
    birth_date: date | None = field(repr=False)
    admit_date: date | None = field(repr=False)
    discharge_date: date | None = field(repr=False)
    claim_type: str | None


@dataclass(frozen=True)
class HospitalReport:
    """One Hospital-Specific Report. `results` and `discharges` have all six measures, by measure.

    `excluded_quarters` is the cover sheet's own wording of the hospital's excluded quarters, empty where it says none.
    `notes` are sentences about what the reader met and mended; they carry no value of a patient.
    """

    program_year: int
    hospital_name: str
    periods: tuple[Period, ...]
    payment_adjustment: PaymentAdjustment
    results: Mapping[str, MeasureResult]
    discharges: Mapping[str, DischargeTable]
    dual_stays: tuple[DualStay, ...]
    dual_stays_sheet: str
    excluded_quarters: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    file_name: str = field(default="", compare=False)

    @property
    def ccn(self) -> str | None:
        """The hospital's own CCN, which the workbook tells only through readmissions to the same hospital."""
        own = {
            stay.readmitting_ccn
            for table in self.discharges.values()
            for stay in table.discharges
            if stay.same_hospital and stay.readmitting_ccn
        }
        return own.pop() if len(own) == 1 else None


def column_letter(number: int) -> str:
    """A worksheet's column by letters: 1 is A, 27 is AA."""
    letters = ""
    while number > 0:
        number, remainder = divmod(number - 1, 26)
        letters = chr(ord("A") + remainder) + letters
    return letters


def place(columns: Mapping[str, int], name: str, row: int | None) -> str | None:
    """The cell of a figure, as a spreadsheet names it (D7); None where its column or row is not known."""
    return f"{column_letter(columns[name])}{row}" if name in columns and row is not None else None


def published_risk_factors(reference: Reference, measure: str, year: int) -> tuple[tuple[RiskFactor, ...], float]:
    """CMS's risk factors of a program year in the report's order, with headings and coefficients; the national intercept.

    The last published ones where the year has none. For writing reports of synthetic hospitals.
    """
    published = reference.published_model(measure, year)
    rows = [
        row
        for row in reference.rows("risk_coefficients")
        if row["measure"] == measure
        and int(row["program_year"]) == published.year_used
        and row["variable_key"] in published.value.coefficients
    ]
    factors = tuple(
        RiskFactor(row["variable_key"], " ".join(row["report_label"].split()), float(row["coefficient"]))
        for row in sorted(rows, key=lambda row: int(row["report_order"]))
    )
    return factors, published.value.intercept
