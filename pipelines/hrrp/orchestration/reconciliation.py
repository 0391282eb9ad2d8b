"""Reads own stays for `hrrp.penalty.reconcile`, and keeps its calibration as the site's own reference rows."""

from __future__ import annotations

import csv
import os
from datetime import date
from pathlib import Path
from typing import Any

from hrrp.errors import UsageError
from hrrp.intake.hsr import read_hsr
from hrrp.penalty.reconcile import OwnStay, Reconciliation, reconcile
from hrrp.program import Reference
from hrrp.program.site import write_site_rows
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse

OWN_STAYS = """
select
    flow.measure,
    flow.stay_key,
    persons.person_id,
    records.medical_record_number,
    persons.birth_date,
    stays.admit_date,
    stays.discharge_date,
    flow.reasons,
    coalesce(returns.unplanned_readmission, false) as readmitted,
    returns.planned
from cohort.cohort_flow as flow
inner join cohort.stays as stays using (stay_key)
inner join staging.persons as persons using (person_key)
left join staging.stays as records on flow.stay_id = records.stay_id
left join cohort.readmissions as returns using (program_year, measure, stay_key)
where flow.program_year = $year and flow.ccn = $ccn
order by flow.measure, flow.stay_key
"""

KNOWN_STAYS = """
select persons.person_id, records.medical_record_number, records.admit_date
from staging.stays as records
inner join staging.persons as persons using (person_key)
where records.ccn = $ccn
"""


def own_stays(warehouse: Warehouse, program_year: int, ccn: str) -> tuple[list[OwnStay], set[tuple[str, date]]]:
    """Every stay that the run judged for the hospital and year, and (identifier, admission date) of all its stays."""
    place = {"year": program_year, "ccn": ccn}
    factors: dict[tuple[str, int], dict[str, float]] = {}
    for measure, stay, variable, value in warehouse.rows(
        "select measure, stay_key, variable_key, value from risk.risk_factors inner join cohort.index_admissions "
        "using (program_year, measure, stay_key) where program_year = $year and ccn = $ccn",
        place,
    ):
        factors.setdefault((measure, stay), {})[variable] = value
    stays = [
        OwnStay(
            measure=measure,
            identifiers=frozenset(each for each in (person, record) if each),
            birth_date=birth,
            admit_date=admitted,
            discharge_date=discharged,
            reasons=tuple(reasons or ()),
            readmitted=bool(readmitted),
            planned=planned,
            risk_factors=factors.get((measure, stay), {}),
        )
        for measure, stay, person, record, birth, admitted, discharged, reasons, readmitted, planned in warehouse.rows(
            OWN_STAYS, place
        )
    ]
    known = {
        (identifier, admitted)
        for person, record, admitted in warehouse.rows(KNOWN_STAYS, {"ccn": ccn})
        for identifier in (person, record)
        if identifier
    }
    return stays, known


def reconcile_report(
    settings: Settings, reference: Reference, report_path: Path, ccn: str | None
) -> tuple[Reconciliation, str, str]:
    """Reconcile a report with the last run; also returns the report's name and the CCN that was compared.

    Raises UsageError where no run covers the report's year or the hospital is not known.
    """
    report = read_hsr(report_path, reference)
    path = settings.out / "hrrp.duckdb"
    if not path.is_file():
        raise UsageError(
            f"There is no run in {settings.out}. Run `hrrp run --program-year {report.program_year}` first."
        )
    with open_warehouse(path, settings, read_only=True) as warehouse:
        years = [year for (year,) in warehouse.rows("select program_year from intake.run_program_years order by 1")]
        if report.program_year not in years:
            raise UsageError(
                f"The report is of FY{report.program_year}; the run in {settings.out} has "
                f"{', '.join(f'FY{year}' for year in years)}. Run it for that year into a folder of its own: "
                f"hrrp run --data DIR --program-year {report.program_year} --out OUT, then hrrp reconcile --out OUT."
            )
        hospitals = [found for (found,) in warehouse.rows("select distinct ccn from cohort.cohort_flow order by 1")]
        chosen = ccn or report.ccn or (hospitals[0] if len(hospitals) == 1 else None)
        if chosen is None or chosen not in hospitals:
            raise UsageError(
                f"Which hospital is the report of? {'CCN ' + chosen + ' has no stays in the run. ' if chosen else ''}"
                f"The run has {len(hospitals)} hospital(s); name one with --ccn."
            )
        stays, known = own_stays(warehouse, report.program_year, chosen)
    words: dict[int, str] = {}
    for row in reference.rows("reason_codes"):
        if row["hsr_code"]:
            code = int(row["hsr_code"])
            words[code] = f"{words[code]} or {row['reason']}" if code in words else row["reason"]
    return reconcile(report, stays, known, words), report.hospital_name, chosen


def apply_calibration(settings: Settings, found: Reconciliation, ccn: str, source: str) -> int:
    """Write the calibration of expected to the site's own reference rows; returns how many measures have one."""
    rows = [
        {
            "ccn": ccn,
            "measure": measure,
            "logit_offset": repr(result.calibration.offset),
            "standard_error": repr(result.calibration.standard_error),
            "matched_stays": str(result.calibration.matched),
            "program_year": str(found.program_year),
            "source": source,
        }
        for measure, result in found.measures.items()
        if result.calibration is not None
    ]
    if rows:
        write_site_rows(settings.site_reference, "expected_calibration", rows)
    return len(rows)


def write_disagreements(path: Path, found: Reconciliation) -> int:
    """Write every disagreement with the report's row and the own stay's dates: patient data, so for the owner's eyes only."""
    partial = path.with_name(f"{path.name}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(["measure", "report_row", "kind", "decided_by", "own_admit_date", "own_discharge_date"])
        for each in found.disagreements:
            own: tuple[Any, Any] = (each.own.admit_date, each.own.discharge_date) if each.own else ("", "")
            table.writerow([each.measure, each.row or "", each.kind, each.decided_by, *own])
    partial.replace(path)
    return len(found.disagreements)
