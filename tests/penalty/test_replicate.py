"""Replication: the four mock reports to 1e-10, a change anywhere found and placed, the variance read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from hrrp.errors import InputContractError, RulesMissingError
from hrrp.intake.hsr import read_hsr
from hrrp.penalty.assemble_report import assemble_report
from hrrp.penalty.replicate import (
    LARGEST_UNCERTAINTY,
    Replication,
    read_back_variance,
    readmissions_elsewhere,
    replicate,
    site_variances,
)
from hrrp.penalty.report_places import Difference
from hrrp.program import MEASURES, Reference
from hrrp.program.hospital_report import (
    Discharge,
    DualStay,
    HospitalReport,
    RiskFactor,
    published_risk_factors,
)

YEARS = (2020, 2022, 2024, 2025)
# tau squared by hand from the printed effects and rates of the mock reports: (HOSP_EFFECT - AVG_EFFECT) / (observed - n * predicted).
TAU2_FY2025 = {"AMI": 0.02518, "HF": 0.01812, "PN": 0.01817, "THA_TKA": 0.08350}


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


@pytest.fixture(scope="module")
def mock(cms_dir: Path, reference: Reference) -> dict[int, HospitalReport]:
    return {year: read_hsr(cms_dir / f"fy{year}_hrrp_mock_hsr.xlsx", reference) for year in YEARS}


def stay(readmitted: bool, codes: tuple[int, ...] = (0,), number: int = 1) -> Discharge:
    return Discharge(
        row=0,
        id_number=number,
        hicno=None,
        mbi="9AA9AA9AA99",
        medical_record_number="99999A",
        birth_date=None,
        admit_date=None,
        discharge_date=None,
        exclusion_codes=codes,
        index_stay=codes == (0,),
        principal_diagnosis="I110",
        discharge_destination="01",
        unplanned_readmission=readmitted,
        covid_readmission=False,
        planned_readmission=False,
        readmission_date=None,
        readmission_discharge_date=None,
        readmission_diagnosis="I130" if readmitted else None,
        same_hospital=number % 3 > 0 if readmitted else None,
        readmitting_ccn="999999" if readmitted else None,
        readmission_listed=readmitted,
    )


def synthetic(reference: Reference, year: int = 2025, tau2: float = 0.04, seed: int = 7) -> HospitalReport:
    """A hospital with AMI, HF and THA/TKA stays, drawn from the published model with an effect of +0.6."""
    rng = np.random.default_rng(seed)
    discharges: dict[str, list[Discharge]] = {}
    values: dict[str, np.ndarray] = {}
    for measure, cases in (("AMI", 20), ("HF", 60), ("THA_TKA", 40)):
        factors, intercept = published_risk_factors(reference, measure, year)
        flags = (rng.random((cases + 2, len(factors))) < 0.2).astype(float)
        flags[:, 0] = rng.integers(0, 30, cases + 2)  # years over 65
        flags[-2:] = np.nan
        b = np.array([factor.coefficient for factor in factors])
        outcome = rng.random(cases) < expit(intercept + 0.6 + flags[:cases] @ b)
        stays = [stay(bool(y), number=i) for i, y in enumerate(outcome, start=1)]
        stays += [stay(False, codes, number=cases + i) for i, codes in enumerate([(1,), (1, 2)], start=1)]
        discharges[measure], values[measure] = stays, flags
    dual = DualStay(0, 1, None, "9AA9AA9AA99", None, None, None, "Fee for Service")
    return assemble_report(
        program_year=year,
        hospital_name="SYNTHETIC HOSPITAL",
        discharges=discharges,
        risk_factors=values,
        dual_stays=[replace(dual, id_number=number) for number in range(1, 31)],
        stays=170,
        peer_group=2,
        drg_payment_ratios={"AMI": 0.02, "HF": 0.08, "THA_TKA": 0.05},
        reference=reference,
        between_hospital_variance=dict.fromkeys(MEASURES, tau2),
    )


def with_table(report: HospitalReport, measure: str, **changes: Any) -> HospitalReport:
    return replace(
        report, discharges=dict(report.discharges) | {measure: replace(report.discharges[measure], **changes)}
    )


def with_stay(report: HospitalReport, measure: str, index: int, **changes: Any) -> HospitalReport:
    stays = list(report.discharges[measure].discharges)
    stays[index] = replace(stays[index], **changes)
    return with_table(report, measure, discharges=tuple(stays))


def with_result(report: HospitalReport, measure: str, **changes: Any) -> HospitalReport:
    return replace(report, results=dict(report.results) | {measure: replace(report.results[measure], **changes)})


def of_kind(result: Replication, kind: str) -> list[Difference]:
    return [difference for difference in result.differences if difference.kind == kind]


# ---- the mock reports ----


@pytest.mark.parametrize("year", YEARS)
def test_every_figure_of_the_mock_reports_comes_out_as_printed(
    mock: dict[int, HospitalReport], reference: Reference, year: int
) -> None:
    report = mock[year]
    result = replicate(report, reference)
    assert result.differences == ()
    for measure in MEASURES:
        row, printed = result.measures[measure], report.results[measure]
        assert row.eligible_discharges == (printed.eligible_discharges or 0)
        assert row.readmissions == (printed.readmissions or 0)
        for name in ("predicted", "expected", "err"):
            assert (getattr(row, name) is None) == (getattr(printed, name) is None)
            if getattr(printed, name) is not None:
                assert abs(getattr(row, name) - getattr(printed, name)) < 1e-10
        assert row.penalty_indicator is printed.penalty_indicator
    adjustment = report.payment_adjustment
    assert result.document()["paf"] == adjustment.paf
    assert result.dual_stays == adjustment.dual_stays
    assert result.dual_proportion == pytest.approx(adjustment.dual_proportion, abs=1e-10)
    assert result.largest_gap < 1e-12
    assert result.figures_recomputed > 25 and result.figures_national > 200


def test_the_factor_is_not_merely_one(mock: dict[int, HospitalReport], reference: Reference) -> None:
    reductions = {year: replicate(mock[year], reference).payment_reduction for year in YEARS}
    assert reductions[2020] == pytest.approx(0.0160102, abs=1e-7)
    assert reductions[2022] == 0.0
    assert reductions[2024] == pytest.approx(0.00022906, abs=1e-8)
    assert reductions[2025] == pytest.approx(0.00074608, abs=1e-8)


def test_the_variance_is_read_back_where_it_can_be(mock: dict[int, HospitalReport], reference: Reference) -> None:
    variances = site_variances(mock[2025], reference)
    assert set(variances) == set(MEASURES)
    for measure, tau2 in TAU2_FY2025.items():
        assert variances[measure][0] == pytest.approx(tau2, abs=1e-5)
        assert variances[measure][1].startswith("read back from the FY2025")
    # Observed (3) and predicted (2.98) readmissions after COPD lie too close; CABG has no stays.
    for measure, reason in {"COPD": "0.02 apart", "CABG": "no stays"}.items():
        tau2, how = variances[measure]
        assert tau2 == reference.between_hospital_variance(measure)[0]
        assert how.startswith("pooled over earlier reports") and reason in how


@pytest.mark.parametrize("year", YEARS)
def test_read_back_variances_lie_where_the_others_do(
    mock: dict[int, HospitalReport], reference: Reference, year: int
) -> None:
    ranges = {"AMI": (0.021, 0.026), "COPD": (0.014, 0.021), "HF": (0.018, 0.022), "PN": (0.017, 0.019)}
    for measure, (low, high) in (ranges | {"THA_TKA": (0.056, 0.084)}).items():
        assert low <= site_variances(mock[year], reference)[measure][0] <= high


def test_readmissions_elsewhere(mock: dict[int, HospitalReport]) -> None:
    found = readmissions_elsewhere(mock[2020])
    assert found == {"AMI": (0, 0), "COPD": (0, 1), "HF": (0, 3), "PN": (3, 6), "CABG": (0, 0), "THA_TKA": (3, 14)}


# ---- the read-back ----


def test_read_back_recovers_the_variance_that_made_the_effect(reference: Reference) -> None:
    for tau2 in (0.02, 0.08):
        report = synthetic(reference, tau2=tau2)
        for measure in ("AMI", "HF", "THA_TKA"):
            used, how = site_variances(report, reference)[measure]
            assert used == pytest.approx(tau2, rel=1e-8), how


def test_read_back_says_how_uncertain_it_is() -> None:
    predictor = np.zeros(100)
    # 50 of 100 with even odds: observed is predicted but for the effect's own pull.
    near = read_back_variance(0.0001, 0.0, 50, predictor)
    assert near.tau2 is None  # the effect points up, observed less predicted points down
    far = read_back_variance(0.5, 0.0, 80, predictor)
    risks = expit(0.5) * 100
    assert far.tau2 == pytest.approx(0.5 / (80 - risks))
    assert far.is_usable and far.uncertainty is not None
    close = read_back_variance(0.0002, 0.0, 51, predictor)
    assert close.uncertainty is not None and close.uncertainty > LARGEST_UNCERTAINTY and not close.is_usable
    assert read_back_variance(None, -2.0, 0, predictor).tau2 is None
    assert read_back_variance(-2.0, -2.0, 3, np.zeros(0)).tau2 is None


# ---- synthetic reports ----


def test_a_synthetic_report_replicates(reference: Reference) -> None:
    report = synthetic(reference)
    result = replicate(report, reference)
    assert result.differences == ()
    assert result.largest_gap < 1e-13
    assert result.measures["HF"].eligible_discharges == 60
    assert report.results["HF"].penalty_indicator is True
    paf = report.payment_adjustment.paf
    assert paf is not None and 0.97 <= paf < 1.0
    assert report.results["COPD"].no_qualifying_cases and report.results["COPD"].err is None
    assert result.measures["AMI"].contribution == 0.0  # 20 stays do not count


def test_a_report_without_penalty_figures_has_no_factor(reference: Reference) -> None:
    report = synthetic(reference)
    exempt = replace(
        report,
        payment_adjustment=replace(
            report.payment_adjustment, neutrality_modifier=None, peer_group=None, payment_reduction=None, paf=None
        ),
    )
    for measure in MEASURES:
        exempt = with_result(exempt, measure, peer_group_median=None, penalty_indicator=None, drg_payment_ratio=None)
    result = replicate(exempt, reference)
    assert result.agrees and result.paf is None and result.document()["paf"] is None
    assert any("neutrality modifier" in note and "Maryland" in note for note in result.notes)


def test_a_year_without_published_figures_is_not_compared_with_anothers(reference: Reference) -> None:
    report = synthetic(reference, year=2028)
    result = replicate(report, reference)
    assert result.agrees and result.figures_national == 0
    assert any(note.startswith("Not compared") and "coefficients" in note for note in result.notes)


def test_pneumonia_does_not_count_in_fy2023(reference: Reference) -> None:
    report = synthetic(reference, year=2023)
    result = replicate(report, reference)
    assert result.measures["PN"].contribution == 0.0
    assert any("PN is not in the payment formula of FY2023" in note for note in result.notes)


def test_an_unknown_year_has_no_rules(reference: Reference) -> None:
    with pytest.raises(RulesMissingError, match="FY2041"):
        replicate(replace(synthetic(reference), program_year=2041), reference)


def test_assembling_refuses_a_matrix_of_another_shape(reference: Reference) -> None:
    with pytest.raises(InputContractError, match=r"HF: the risk factors have shape \(1, 3\)"):
        assemble_report(2025, "X", {"HF": [stay(False)]}, {"HF": [[1, 0, 0]]}, [], 10, 1, {"HF": 0.1}, reference)


# ---- a change anywhere is found and placed ----


def test_a_changed_risk_flag_is_found_in_its_row(reference: Reference) -> None:
    report = synthetic(reference)
    for index, column in ((0, 5), (17, 1), (42, 30)):
        values = report.discharges["HF"].risk_factors.copy()
        values[index, column] = 1.0 - values[index, column]
        result = replicate(with_table(report, "HF", risk_factors=values), reference)
        table = report.discharges["HF"]
        assert {d.figure for d in of_kind(result, "recomputed")} >= {
            "Predicted Readmission Rate",
            "Expected Readmission Rate",
        }
        (found,) = of_kind(result, "place")
        assert (found.sheet, found.row) == (table.sheet, table.discharges[index].row)
        assert found.figure == table.variables[column].label
        assert found.printed == values[index, column] and found.found == 1.0 - values[index, column]


def test_a_changed_age_is_found_in_its_row(reference: Reference) -> None:
    report = synthetic(reference)
    values = report.discharges["THA_TKA"].risk_factors.copy()
    values[11, 0] += 7
    (found,) = of_kind(replicate(with_table(report, "THA_TKA", risk_factors=values), reference), "place")
    assert (found.row, found.gap) == (20, 7.0)


def test_a_changed_coefficient_is_found_by_the_reference_table(reference: Reference) -> None:
    report = synthetic(reference)
    variables = list(report.discharges["HF"].variables)
    variables[3] = replace(variables[3], coefficient=variables[3].coefficient + 0.001)
    result = replicate(with_table(report, "HF", variables=tuple(variables)), reference)
    (found,) = of_kind(result, "national")
    assert (found.sheet, found.row, found.figure) == ("Table 5 Discharges HF Readm", 8, variables[3].label)
    assert found.gap == pytest.approx(0.001)
    assert of_kind(result, "recomputed") and not of_kind(result, "place")


def test_a_changed_coefficient_is_found_without_a_reference_table(reference: Reference) -> None:
    report = synthetic(reference, year=2028)
    variables = list(report.discharges["HF"].variables)
    before = variables[3].coefficient
    variables[3] = replace(variables[3], coefficient=before + 0.01)
    places = of_kind(replicate(with_table(report, "HF", variables=tuple(variables)), reference), "place")
    assert [(place.row, place.figure) for place in places] == [(8, variables[3].label)]
    assert places[0].found == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize("name", ["hospital_effect", "average_effect"])
def test_a_changed_intercept_is_found(reference: Reference, name: str) -> None:
    report = synthetic(reference, year=2028)
    before = getattr(report.discharges["HF"], name)
    places = of_kind(replicate(with_table(report, "HF", **{name: before + 0.003}), reference), "place")
    assert [place.figure for place in places] == ["HOSP_EFFECT" if name == "hospital_effect" else "AVG_EFFECT"]
    assert places[0].row == 8 and places[0].found == pytest.approx(before, abs=1e-8)


@pytest.mark.parametrize("readmitted", [True, False])
def test_a_changed_outcome_is_found_in_its_row(reference: Reference, readmitted: bool) -> None:
    report = synthetic(reference)
    stays = report.discharges["HF"].discharges
    index = next(i for i, one in enumerate(stays) if one.included and one.unplanned_readmission is readmitted)
    result = replicate(with_stay(report, "HF", index, unplanned_readmission=not readmitted), reference)
    (count,) = of_kind(result, "recomputed")
    assert count.figure == "Number of Readmissions Among Eligible Discharges"
    assert (count.sheet, count.row) == ("Table 2 Hospital Results", 8)
    assert abs(count.gap or 0) == 1
    (found,) = of_kind(result, "place")
    assert (found.sheet, found.row) == ("Table 5 Discharges HF Readm", stays[index].row)


def test_a_changed_inclusion_and_a_missing_stay_are_found(reference: Reference) -> None:
    report = synthetic(reference)
    changed = replicate(with_stay(report, "HF", 4, exclusion_codes=(1,)), reference)
    assert of_kind(changed, "recomputed")[0].figure == "Number of Eligible Discharges"
    assert of_kind(changed, "place")[0].row == 13
    table = report.discharges["HF"]
    fewer = with_table(
        report,
        "HF",
        discharges=table.discharges[:9] + table.discharges[10:],
        risk_factors=np.delete(table.risk_factors, 9, axis=0),
    )
    place = of_kind(replicate(fewer, reference), "place")[0]
    assert place.row == table.discharges[10].row and "may be missing" in place.remark


@pytest.mark.parametrize(
    ("name", "value", "figure"),
    [
        ("predicted", 0.2, "Predicted Readmission Rate"),
        ("expected", 0.2, "Expected Readmission Rate"),
        ("err", 1.2, "Excess Readmission Ratio (ERR)"),
        ("eligible_discharges", 59, "Number of Eligible Discharges"),
        ("readmissions", 2, "Number of Readmissions Among Eligible Discharges"),
        ("penalty_indicator", False, "Penalty Indicator (Yes/No)"),
        ("peer_group_median", 0.95, "Peer Group Median ERR"),
        ("national_rate", 0.21, "National Observed Readmission Rate"),
    ],
)
def test_a_changed_figure_of_table_2_is_found(reference: Reference, name: str, value: Any, figure: str) -> None:
    result = replicate(with_result(synthetic(reference), "HF", **{name: value}), reference)
    assert not result.agrees
    named = [d for d in result.differences if d.figure == figure]
    assert [(d.sheet, d.row, d.measure, d.printed) for d in named] == [("Table 2 Hospital Results", 8, "HF", value)]
    if name in {"predicted", "expected", "err"}:
        assert len(result.differences) == 1  # nothing else is blamed


def test_a_rate_off_by_a_billionth_is_found(reference: Reference) -> None:
    report = synthetic(reference)
    predicted = report.results["HF"].predicted
    assert predicted is not None
    assert replicate(with_result(report, "HF", predicted=predicted + 9e-11), reference).agrees
    assert not replicate(with_result(report, "HF", predicted=predicted + 1e-9), reference).agrees


@pytest.mark.parametrize(
    ("name", "value", "figure"),
    [
        ("dual_stays", 31, "Number of Dually Eligible Stays (Numerator)"),
        ("stays", 171, "Dual Proportion"),
        ("dual_proportion", 0.2, "Dual Proportion"),
        ("peer_group", 4, "Peer Group Assignment"),
        ("neutrality_modifier", 0.9, "Neutrality Modifier"),
        ("payment_reduction", 0.0001, "Payment Reduction Percentage"),
        ("paf", 0.9876, "Payment Adjustment Factor"),
    ],
)
def test_a_changed_figure_of_table_1_is_found(reference: Reference, name: str, value: Any, figure: str) -> None:
    report = synthetic(reference)
    changed = replace(report, payment_adjustment=replace(report.payment_adjustment, **{name: value}))
    result = replicate(changed, reference)
    named = [d for d in result.differences if d.figure == figure]
    assert [(d.sheet, d.row) for d in named] == [("Table 1 Payment Adjustment", 6)]
    if name == "stays":
        (total,) = of_kind(result, "place")
        assert (total.figure, total.printed, total.found) == ("Total Number of Stays (Denominator)", 171, 170)


def test_a_missing_dual_stay_is_found(reference: Reference) -> None:
    report = synthetic(reference)
    figures = {d.figure for d in replicate(replace(report, dual_stays=report.dual_stays[1:]), reference).differences}
    assert figures == {"Number of Dually Eligible Stays (Numerator)", "Dual Proportion"}


def test_stays_under_nq_are_found(reference: Reference) -> None:
    report = synthetic(reference)
    empty = report.results["COPD"]
    changed = with_result(report, "AMI", **{
        name: getattr(empty, name)
        for name in ("eligible_discharges", "readmissions", "predicted", "expected", "err", "no_qualifying_cases")
    })  # fmt: skip
    (found,) = of_kind(replicate(changed, reference), "recomputed")
    assert (found.printed, found.found) == ("NQ", 20)


def test_an_unlisted_risk_factor_is_used_and_noted(reference: Reference) -> None:
    report = synthetic(reference)
    table = report.discharges["HF"]
    extra = RiskFactor("unlisted:new_factor", "New Factor", 0.0)
    changed = with_table(
        report,
        "HF",
        variables=(*table.variables, extra),
        risk_factors=np.column_stack([table.risk_factors, np.zeros(len(table.discharges))]),
    )
    result = replicate(changed, reference)
    assert result.agrees
    assert any("no coefficient of 'New Factor'" in note for note in result.notes)


def test_the_document_has_all_measures_and_no_identifiers(reference: Reference) -> None:
    report = with_stay(synthetic(reference), "HF", 0, mbi="1EG4TE5MK73", medical_record_number="MRN-77")
    changed = with_stay(
        report, "HF", 0, unplanned_readmission=not report.discharges["HF"].discharges[0].unplanned_readmission
    )
    document = replicate(changed, reference).document()
    assert list(document["measures"]) == list(MEASURES)
    keys = {frozenset(figures) for figures in document["measures"].values()}
    assert len(keys) == 1
    text = repr(document) + repr(changed)
    assert "1EG4TE5MK73" not in text and "MRN-77" not in text


def test_another_discharge_period_is_noted(reference: Reference) -> None:
    report = synthetic(reference)
    result = replicate(replace(report, periods=reference.program_year(2024).periods), reference)
    assert result.agrees
    assert any("discharge period printed is not FY2025's" in note for note in result.notes)
