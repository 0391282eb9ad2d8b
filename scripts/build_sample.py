"""Make data/sample: a small synthetic system, and CMS's two files as CMS would have made them for it.

    python scripts/build_sample.py [OUT]

The extract and its truth come from the simulator. The Hospital-Specific Report of one hospital and the supplemental
file are of FY2025, the last year for which all national figures are published: the same hospitals are simulated for
that year's applicable period too, the pipeline judges those stays, and the report's figures follow from its rows. The
supplemental file holds the system's hospitals and enough invented others that five equal peer groups come out with
the published cuts and medians. Everything follows from SEED; building twice gives the same bytes.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from hrrp.intake.hsr_writer import write_hsr
from hrrp.intake.simulation import Options, simulate, write_simulation
from hrrp.intake.simulation.facilities import draw_facilities
from hrrp.intake.simulation.rules import models
from hrrp.intake.supplemental import write_supplemental
from hrrp.orchestration.runner import run_pipeline
from hrrp.penalty.assemble_report import assemble_report
from hrrp.penalty.factor import contributions, payment_adjustment_factor, penalty_indicator
from hrrp.penalty.peer_groups import peer_groups_from_cuts
from hrrp.program import MEASURES, Reference
from hrrp.program.hospital_report import (
    Discharge,
    DualStay,
    HospitalReport,
    published_risk_factors,
)
from hrrp.program.supplemental_file import SupplementalFile, SupplementalHospital, SupplementalMeasure
from hrrp.settings import load_settings
from hrrp.warehouse import Warehouse, open_warehouse

SEED, HOSPITALS = 2026, 7
EXTRACT = Options(HOSPITALS, stays=16_000, seed=SEED, start=date(2023, 7, 1), end=date(2026, 10, 31))
# The report's own past: its applicable period and the month in which returns are still seen.
REPORT_YEAR = 2025
PAST = Options(HOSPITALS, stays=14_500, seed=SEED, start=date(2020, 7, 1), end=date(2023, 7, 31))
# The report is that of the hospital that comes at this place by size.
REPORTED_BY_SIZE = 1
HOSPITALS_IN_FILE = 205
NOTE = (
    "Note: synthetic, made by hrrp in the layout of CMS's FY 2025 report. No patient and no hospital in it exists; "
    "only the national figures are CMS's."
)
TITLE = "FY 2025 Hospital Readmissions Reduction Program Supplemental Data, synthetic hospitals in CMS's layout"

# The indicator (incomplete enrollment) under which stays are listed whose reason CMS's reports show no number for.
_UNNUMBERED = 1
_FFS, _MANAGED = "Fee for Service", "Managed Care"


def main(out: Path) -> None:
    """Build everything into `out`."""
    reference = Reference()
    print(f"simulating {EXTRACT.stays:,} stays", file=sys.stderr)
    files = write_simulation(simulate(EXTRACT, reference), out, formats={"hospitals": "csv"})
    reports = past_reports(reference)
    cms = out / "cms"
    cms.mkdir(parents=True, exist_ok=True)
    by_size = sorted(reports, key=lambda ccn: -(reports[ccn].payment_adjustment.stays or 0))
    reported = by_size[REPORTED_BY_SIZE]
    write_hsr(reports[reported], cms / f"fy{REPORT_YEAR}_hsr_{reported}.xlsx", note=NOTE)
    write_supplemental(cms / f"fy{REPORT_YEAR}_supplemental.csv", supplemental(reports, reference), reference)
    for file in files:
        print(f"{file.name:32} {file.rows:>9,} rows {file.bytes:>9,} bytes", file=sys.stderr)
    for path in sorted(cms.iterdir()):
        print(f"cms/{path.name:28} {path.stat().st_size:>24,} bytes", file=sys.stderr)


# ---- the system's own FY2025 -----------------------------------------------------------------------------------------


def past_reports(reference: Reference) -> dict[str, HospitalReport]:
    """The FY2025 report of every hospital, by CCN: simulated, judged by the pipeline, assembled from the rows."""
    with tempfile.TemporaryDirectory() as folder:
        extract, results = Path(folder) / "extract", Path(folder) / "out"
        print(f"simulating {PAST.stays:,} stays of FY{REPORT_YEAR}'s period and judging them", file=sys.stderr)
        write_simulation(simulate(PAST, reference), extract)
        # One thread: sums of payments in one order, so that their last digit is the same every time.
        settings = load_settings(data=extract, out=results, program_years=(REPORT_YEAR,), threads=1)
        run_pipeline(settings)
        with open_warehouse(results / "hrrp.duckdb", settings, read_only=True) as warehouse:
            names = dict(warehouse.rows("select ccn, name from staging.hospitals order by ccn"))
            return {ccn: _report(warehouse, ccn, name, reference) for ccn, name in names.items()}


def _report(warehouse: Warehouse, ccn: str, name: str, reference: Reference) -> HospitalReport:
    discharges, factors = {}, {}
    for measure in MEASURES:
        discharges[measure], factors[measure] = _discharges(warehouse, ccn, measure, reference)
    ((stays, proportion),) = warehouse.rows(
        "select stays, dual_proportion from payment.dual_proportions where program_year = ? and ccn = ?",
        [REPORT_YEAR, ccn],
    )
    cuts = reference.peer_group_cuts(REPORT_YEAR).value
    group = int(peer_groups_from_cuts([proportion], [cuts[number] for number in sorted(cuts)])[0])
    ratios = warehouse.rows(
        "select measure, drg_payment_ratio from payment.drg_payment_ratios where program_year = ? and ccn = ?",
        [REPORT_YEAR, ccn],
    )
    return assemble_report(
        REPORT_YEAR,
        name,
        discharges,
        factors,
        dual_stays=_dual_stays(warehouse, ccn),
        stays=stays,
        peer_group=group,
        drg_payment_ratios=dict(ratios),
        reference=reference,
    )


def _discharges(
    warehouse: Warehouse, ccn: str, measure: str, reference: Reference
) -> tuple[list[Discharge], list[list[float]]]:
    """The hospital's fee-for-service stays of the measure, as CMS lists them, with their risk factors."""
    rows = warehouse.rows(
        """
        select
            flow.stay_id, persons.person_id, stays.medical_record_number, persons.birth_date, judged.admit_date,
            judged.discharge_date, report_indicators.indicator, flow.included, judged.principal_code,
            judged.discharge_status, coalesce(readmissions.unplanned_readmission, false),
            coalesce(readmissions.planned, false), coalesce(readmissions.covid_19, false), back.admit_date,
            back.discharge_date, back.principal_code, back.ccn
        from cohort.cohort_flow as flow
        inner join cohort.report_indicators using (program_year, measure, stay_id)
        inner join staging.stays on stays.stay_id = flow.stay_id
        inner join cohort.stays as judged on judged.stay_key = flow.stay_key
        inner join staging.persons on persons.person_key = stays.person_key
        left join cohort.readmissions using (program_year, measure, stay_id)
        left join cohort.stays as back on back.stay_key = readmissions.readmission_stay_key
        where flow.program_year = ? and flow.ccn = ? and flow.measure = ? and stays.payer = 'FFS'
        order by judged.admit_date, flow.stay_id
        """,
        [REPORT_YEAR, ccn, measure],
    )
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for stay, key, value in warehouse.rows(
        "select stay_id, variable_key, value from risk.risk_factors where program_year = ? and measure = ?",
        [REPORT_YEAR, measure],
    ):
        values[stay][key] = value
    keys = [factor.variable_key for factor in published_risk_factors(reference, measure, REPORT_YEAR)[0]]
    discharges, factors = [], []
    for number, row in enumerate(rows, start=1):
        (stay, person, record, birth, admit, discharge, indicator, included, principal, status) = row[:10]
        (unplanned, planned, covid, back_admit, back_discharge, back_principal, back_ccn) = row[10:]
        listed = included and back_ccn is not None
        codes = tuple(int(code) for code in indicator.split(",")) if indicator else (_UNNUMBERED,)
        discharges.append(
            Discharge(
                row=0,
                id_number=number,
                hicno=None,
                mbi=_mbi(person),
                medical_record_number=record,
                birth_date=birth,
                admit_date=admit,
                discharge_date=discharge,
                exclusion_codes=codes,
                index_stay=included,
                principal_diagnosis=principal,
                discharge_destination=status,
                unplanned_readmission=included and unplanned,
                covid_readmission=included and covid,
                planned_readmission=included and planned,
                readmission_date=back_admit if listed else None,
                readmission_discharge_date=back_discharge if listed else None,
                readmission_diagnosis=back_principal if listed else None,
                same_hospital=(back_ccn == ccn) if listed else None,
                readmitting_ccn=back_ccn if listed else None,
                readmission_listed=listed,
            )
        )
        factors.append([values[stay].get(key, 0.0) if included else math.nan for key in keys])
    return discharges, factors


def _dual_stays(warehouse: Warehouse, ccn: str) -> list[DualStay]:
    """The stays that the numerator of the dual proportion counts, as Table 9 lists them."""
    rows = warehouse.rows(
        """
        select persons.person_id, persons.birth_date, stays.admit_date, stays.discharge_date, stays.payer
        from payment.period_discharges as period
        inner join staging.stays using (stay_key)
        inner join staging.persons on persons.person_key = stays.person_key
        where
            period.program_year = ? and period.ccn = ?
            and exists (
                select 1
                from staging.enrollment
                inner join reference.dual_status_codes on dual_status_codes.code = enrollment.dual_code
                where
                    enrollment.person_key = stays.person_key and dual_status_codes.is_full_benefit
                    and year(stays.discharge_date) * 12 + month(stays.discharge_date)
                        - case
                            when
                                period.ended = 'died'
                                or date_trunc('month', period.death_date) = date_trunc('month', stays.discharge_date)
                                then 1
                            else 0
                        end
                        between enrollment.first_month and enrollment.last_month
            )
        order by stays.admit_date, stays.stay_id
        """,
        [REPORT_YEAR, ccn],
    )
    ((expected,),) = warehouse.rows(
        "select dual_stays from payment.dual_proportions where program_year = ? and ccn = ?", [REPORT_YEAR, ccn]
    )
    if expected != len(rows):
        raise SystemExit(
            f"{ccn}: the pipeline counts {expected} dually eligible stays, Table 9 would list {len(rows)}."
        )
    return [
        DualStay(
            row=0,
            id_number=number,
            hicno=None,
            mbi=_mbi(person),
            birth_date=birth,
            admit_date=admit,
            discharge_date=discharge,
            claim_type=_FFS if payer == "FFS" else _MANAGED,
        )
        for number, (person, birth, admit, discharge, payer) in enumerate(rows, start=1)
    ]


def _mbi(person: str) -> str:
    """An identifier of eleven characters, plainly invented: no real one has zeros where letters stand."""
    return f"1S00{int(person[1:]):07d}"


# ---- the supplemental file -------------------------------------------------------------------------------------------


def supplemental(reports: dict[str, HospitalReport], reference: Reference) -> SupplementalFile:
    """The system's hospitals as their reports print them, among invented ones: equal groups, the published medians."""
    rng = np.random.default_rng(SEED)
    rows = [_row_of_report(ccn, report) for ccn, report in reports.items()]
    # Certification numbers of the same unused range that the system does not have.
    drawn = draw_facilities(np.random.default_rng(SEED + 1), 4 * HOSPITALS_IN_FILE, models(reference, None))
    free = [ccn for ccn in drawn.ccn[: drawn.hospitals] if ccn not in reports]
    medians = reference.peer_group_medians(REPORT_YEAR).value
    modifier = reference.neutrality_modifier(REPORT_YEAR).value
    cap = reference.program_year(REPORT_YEAR).max_reduction
    bands = {
        int(row["peer_group"]): (float(row["lowest_dual_proportion"]), float(row["highest_dual_proportion"]))
        for row in reference.rows("peer_group_cuts")
        if int(row["program_year"]) == REPORT_YEAR
    }
    for group, (lowest, highest) in bands.items():
        own = [row for row in rows if row.peer_group == group and row.ccn in reports]
        count = HOSPITALS_IN_FILE // len(bands) - len(own)
        proportions = rng.uniform(max(lowest, 0.03), min(highest, 0.62), count)
        quality = rng.normal(size=count)
        errs = {m: _errs(rng, [row.measures[m].err for row in own], medians[group, m], quality) for m in MEASURES}
        for number in range(count):
            figures = {m: (float(errs[m][number]), medians[group, m]) for m in MEASURES}
            invented = _invented(rng, free.pop(0), float(proportions[number]), group, figures, modifier, cap)
            rows.append(invented)
    rows.sort(key=lambda row: row.ccn)
    return SupplementalFile(program_year=REPORT_YEAR, title=TITLE, hospitals=tuple(rows), measures=MEASURES)


def _row_of_report(ccn: str, report: HospitalReport) -> SupplementalHospital:
    printed = report.payment_adjustment
    return SupplementalHospital(
        ccn=ccn,
        paf=printed.paf,
        payment_reduction=printed.payment_reduction,
        dual_proportion=printed.dual_proportion,
        peer_group=printed.peer_group,
        neutrality_modifier=printed.neutrality_modifier,
        measures={
            measure: SupplementalMeasure(
                eligible_discharges=result.eligible_discharges,
                err=result.err,
                peer_group_median=result.peer_group_median,
                penalty_indicator=result.penalty_indicator,
                drg_payment_ratio=result.drg_payment_ratio,
            )
            for measure, result in report.results.items()
        },
    )


def _errs(
    rng: np.random.Generator, own: Iterable[float | None], median: float, quality: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Ratios of invented hospitals, NaN for some, such that with the `own` ones the middle one is the published median.

    A hospital that is worse at one measure tends to be worse at the others: `quality` orders them, with some noise.
    """
    count = len(quality)
    known = [err for err in own if err is not None]
    above, below = sum(err > median for err in known), sum(err < median for err in known)
    # As many above the middle as below; one invented hospital is the middle.
    half = (count + len(known) - 1) // 2 - int(rng.integers(0, 4))
    spread = np.abs(rng.normal(0.0, 0.05, 2 * half)) + 0.0002
    upper, lower = median + spread[: half - above], median - spread[half : 2 * half - below]
    ordered = np.sort(np.concatenate([[median], upper, lower]))
    chosen = rng.permutation(count)[: len(ordered)]
    errs = np.full(count, np.nan)
    errs[chosen[np.argsort(0.8 * quality[chosen] + 0.6 * rng.normal(size=len(chosen)))]] = ordered
    return errs


def _invented(
    rng: np.random.Generator,
    ccn: str,
    dual_proportion: float,
    group: int,
    figures: dict[str, tuple[float, float]],
    modifier: float,
    cap: float,
) -> SupplementalHospital:
    typical = {"AMI": (120, 0.03), "COPD": (140, 0.02), "HF": (320, 0.05), "PN": (300, 0.045), "CABG": (60, 0.02)}
    size = float(rng.lognormal(0.0, 0.8))
    measures = {}
    for measure, (err, median) in figures.items():
        cases, ratio = typical.get(measure, (110, 0.03))
        if math.isnan(err):
            measures[measure] = SupplementalMeasure(peer_group_median=median)
            continue
        discharges = max(3, round(size * cases * float(rng.lognormal(0.0, 0.3))))
        measures[measure] = SupplementalMeasure(
            eligible_discharges=discharges,
            err=err,
            peer_group_median=median,
            penalty_indicator=bool(penalty_indicator(err, median, discharges)),
            drg_payment_ratio=round(ratio * float(rng.lognormal(0.0, 0.35)), 4),
        )
    scored = [figure for figure in measures.values() if figure.err is not None]
    reduction = contributions(
        [figure.err for figure in scored],
        [figure.peer_group_median for figure in scored],
        [figure.drg_payment_ratio for figure in scored],
        [figure.eligible_discharges for figure in scored],
        modifier,
    )
    return SupplementalHospital(
        ccn=ccn,
        paf=float(payment_adjustment_factor(reduction, cap)),
        payment_reduction=None,
        dual_proportion=dual_proportion,
        peer_group=group,
        neutrality_modifier=modifier,
        measures=measures,
    )


if __name__ == "__main__":
    checkout = Path(__file__).resolve().parents[1]
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else checkout / "data" / "sample")
