"""Single stays, for viewers with patient level only: lists, and one stay with why it is in or out, its outcome and its risk factors.

Reads what review_patients.duckdb holds, which exists only where a site publishes it (`publish_patients`). Nothing here may be called
for another viewer; `hrrp.review.page` checks that, and writes one line for each view into the audit log: who, which view, which
hospital, program year and measure, how many rows; never a stay, a person or a date of one.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

from hrrp.program import MEASURES
from hrrp.review.version import records
from hrrp.review.views import NotThereError, Place
from hrrp.warehouse import Warehouse

PAGE_ROWS = 50
AUDIT = "audit.log"
MOST_EXPORTED = 200_000
# What the list can be sorted by, each with its column.
SORTS: Mapping[str, str] = {
    "discharge": "discharge_date",
    "admission": "admit_date",
    "stay": "stay_id",
    "age": "age",
    "days": "days",
    "risk": "expected_risk",
    "reason": "first_reason",
}
SHOWS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "all": lambda row: True,
    "included": lambda row: row["included"],
    "excluded": lambda row: not row["included"],
    "readmitted": lambda row: row["unplanned_readmission"],
    "planned": lambda row: row["planned"],
}
COLUMNS = (
    "stay_id",
    "measure",
    "admit_date",
    "discharge_date",
    "age",
    "sex",
    "principal_code",
    "included",
    "first_reason",
    "readmitted",
    "planned",
    "days",
    "expected_risk",
)

# Every judged stay of the run with what the list shows of it; `hrrp.review.prepare` lays it out by hospital and program year.
LIST_COLUMNS = (
    "stay_key",
    "stay_id",
    "measure",
    "admit_date",
    "discharge_date",
    "age",
    "sex",
    "principal_code",
    "included",
    "first_reason",
    "reasons",
    "unplanned_readmission",
    "planned",
    "days",
    "expected_risk",
)
LIST = """
    select flow.ccn, flow.program_year, flow.stay_key, flow.stay_id, flow.measure, stays.admit_date, stays.discharge_date, stays.age,
        stays.sex, stays.principal_code, flow.included, flow.first_reason, flow.reasons, returns.unplanned_readmission,
        returns.planned, returns.days, 1 / (1 + exp(-scored.linear_predictor)) as expected_risk
    from cohort.cohort_flow as flow
    inner join cohort.stays as stays using (stay_key)
    left join cohort.readmissions as returns using (program_year, measure, stay_key)
    left join risk.linear_predictors as scored using (program_year, measure, stay_key)
    where flow.ccn between $first and $last
    order by flow.measure, flow.stay_key
"""


def stay_list(
    place: Place,
    *,
    measure: str = "",
    show: str = "all",
    reason: str = "",
    needle: str = "",
    sort: str = "discharge",
    descending: bool = True,
    page: int = 1,
) -> dict[str, Any]:
    """One page of the judged stays of a hospital and program year."""
    measure = measure if measure in MEASURES else ""
    show, sort = (show if show in SHOWS else "all"), (sort if sort in SORTS else "discharge")
    chosen = _chosen(place, measure, show, reason, needle)
    pages = max(1, -(-len(chosen) // PAGE_ROWS))
    page = min(max(page, 1), pages)
    column = SORTS[sort]
    known = [row for row in chosen if row[column] is not None]
    unknown = [row for row in chosen if row[column] is None]
    known.sort(key=itemgetter(column), reverse=descending)
    return {
        "measure": measure,
        "show": show,
        "reason": reason,
        "needle": needle,
        "sort": sort,
        "descending": descending,
        "page": page,
        "pages": pages,
        "total": len(chosen),
        "rows": [*known, *unknown][(page - 1) * PAGE_ROWS : page * PAGE_ROWS],
    }


def _stays(place: Place) -> Iterator[dict[str, Any]]:
    """The judged stays of the place, by measure and in the order of the extract."""
    for row in place.version.store.get(("stays", place.hospital.ccn, place.program_year)) or ():
        stay = dict(zip(LIST_COLUMNS, row, strict=True))
        yield stay | {"readmitted": bool(stay["unplanned_readmission"]) if stay["included"] else None}


def _chosen(place: Place, measure: str, show: str, reason: str, needle: str) -> list[dict[str, Any]]:
    """The stays that the filters leave."""
    needle, shows = needle.strip().lower(), SHOWS.get(show, SHOWS["all"])
    return [
        row
        for row in _stays(place)
        if (not measure or row["measure"] == measure)
        and (not reason or reason in (row["reasons"] or ()))
        and (not needle or needle in row["stay_id"].lower() or (row["principal_code"] or "").lower().startswith(needle))
        and shows(row)
    ]


def export(
    place: Place, *, measure: str = "", show: str = "all", reason: str = "", needle: str = ""
) -> tuple[int, str]:
    """The judged stays of a hospital and program year that the filters leave, as CSV text, with their number."""
    rows = _chosen(place, measure if measure in MEASURES else "", show, reason, needle)[:MOST_EXPORTED]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    heading = [*COLUMNS, "reasons"]
    writer.writerow(heading)
    for row in rows:
        writer.writerow([_cell(each) for each in (*(row[name] for name in COLUMNS), " ".join(row["reasons"] or ()))])
    return len(rows), out.getvalue()


def _cell(value: Any) -> Any:
    """As a spreadsheet takes it: no text that it would run as a formula."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return "" if value is None else value


def one_stay(warehouse: Warehouse, place: Place, measure: str, stay_key: int) -> dict[str, Any]:
    """One judged stay: all reasons why it is out, its first return, its risk factors with the rows that set them.

    Raises NotThereError where the hospital has no such stay in that measure and program year.
    """
    key = {"year": place.program_year, "measure": measure, "stay": stay_key, "ccn": place.hospital.ccn}
    found = records(
        warehouse.read(
            """
            select flow.stay_id, flow.included, flow.first_reason, flow.reasons, stays.admit_date, stays.discharge_date, stays.ended,
                stays.principal_code, stays.payer, stays.age, stays.sex, stays.person_key, stays.parts, persons.person_id,
                own.medical_record_number, own.drg, own.admit_source, own.discharge_status, own.source_file, own.row_number
            from cohort.cohort_flow as flow
            inner join cohort.stays as stays using (stay_key)
            left join staging.persons as persons using (person_key)
            left join staging.stays as own using (stay_key)
            where flow.program_year = $year and flow.measure = $measure and flow.stay_key = $stay and flow.ccn = $ccn
            """,
            key,
        )
    )
    if not found:
        raise NotThereError
    stay = found[0]
    scored = warehouse.rows(
        "select linear_predictor, 1 / (1 + exp(-linear_predictor)) from risk.linear_predictors "
        "where program_year = $year and measure = $measure and stay_key = $stay",
        {name: key[name] for name in ("year", "measure", "stay")},
    )
    return {
        "stay_key": stay_key,
        "measure": measure,
        "stay": stay,
        "reasons": list(stay["reasons"]) if stay["reasons"] is not None else [],
        "returns": _returns(warehouse, key),
        "linear_predictor": scored[0][0] if scored else None,
        "risk": scored[0][1] if scored else None,
        "factors": _factors(warehouse, place, key),
        "sources": records(
            warehouse.read(
                "select role, source_stay_id, source_file, row_number from cohort.stay_sources "
                "where program_year = $year and measure = $measure and stay_key = $stay "
                "order by role = 'stay' desc, role desc, source_file, row_number",
                {name: key[name] for name in ("year", "measure", "stay")},
            )
        ),
        "diagnoses": records(
            warehouse.read(
                "select code, sequence, poa, sequence = 1 as is_principal "
                "from staging.diagnoses inner join staging.diagnosis_codes using (code_key) "
                "inner join cohort.stay_parts on diagnoses.stay_key = stay_parts.part_key "
                "where stay_parts.stay_key = $stay order by sequence",
                {"stay": stay_key},
            )
        ),
        "procedures": records(
            warehouse.read(
                "select code, sequence, procedure_date from staging.procedures inner join cohort.stay_parts "
                "on procedures.stay_key = stay_parts.part_key where stay_parts.stay_key = $stay order by sequence",
                {"stay": stay_key},
            )
        ),
    }


def _returns(warehouse: Warehouse, key: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The candidate returns in the order in which they were looked at; the first that counts decides."""
    return list(
        records(
            warehouse.read(
                """
                select own.stay_id, stays.ccn, stays.admit_date, stays.discharge_date, stays.principal_code, candidates.days,
                    candidates.has_covid, planned.planned, planned.planned_by,
                    candidates.stay_key = returns.readmission_stay_key as decides, returns.unplanned_readmission
                from cohort.period_stays as judged
                inner join cohort.return_candidates as candidates using (last_stay_key)
                inner join cohort.stays as stays on candidates.stay_key = stays.stay_key
                inner join staging.stays as own on candidates.stay_key = own.stay_key
                left join cohort.planned_stays as planned on candidates.stay_key = planned.stay_key
                left join cohort.readmissions as returns
                    on returns.program_year = judged.program_year and returns.measure = judged.measure
                    and returns.stay_key = judged.stay_key
                where judged.program_year = $year and judged.measure = $measure and judged.stay_key = $stay
                order by candidates.position
                """,
                {name: key[name] for name in ("year", "measure", "stay")},
            )
        )
    )


def _factors(warehouse: Warehouse, place: Place, key: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each risk factor of the stay with its weight, and the records that set it: where they stand, of which day, in which file."""
    model: Mapping[str, Any] = place.version.kept(("model", key["year"], key["measure"]), dict)
    coefficients = {row["term"]: row["value"] for row in model["terms"] if row["kind"] == "coefficient"}
    variables: list[Mapping[str, Any]] = place.version.kept(("variables", key["measure"]), list)
    labels = {row["variable_key"]: row["report_label"] for row in variables}
    values = warehouse.rows(
        "select variable_key, value from risk.risk_factors "
        "where program_year = $year and measure = $measure and stay_key = $stay",
        {name: key[name] for name in ("year", "measure", "stay")},
    )
    evidence = records(
        warehouse.read(
            """
            with evidence as materialized (
                select distinct variable_key, code, found_in, found_on, source_file, row_number, record_key
                from risk.risk_factor_sources
                where program_year = $year and measure = $measure and stay_key = $stay
            ),
            -- From the few records to their diagnoses: the other way round all diagnoses of the run are gone through.
            found as (
                select evidence.record_key, evidence.code, evidence.found_in, diagnoses.sequence, codes.poa, diagnoses.stay_key
                from evidence
                inner join staging.diagnoses as diagnoses on evidence.record_key = diagnoses.record_key
                inner join staging.diagnosis_codes as codes
                    on diagnoses.code_key = codes.code_key and evidence.code = codes.code
                where evidence.found_in in ('index stay', 'earlier stay')
            )
            select distinct evidence.variable_key, evidence.code, evidence.found_in as place, evidence.found_on as day,
                found.sequence, found.poa, evidence.source_file, evidence.row_number,
                case when evidence.found_in = 'earlier stay' then origin.stay_id end as stay_id
            from evidence
            left join found using (record_key, code, found_in)
            left join staging.stays as origin on found.stay_key = origin.stay_key
            order by evidence.variable_key, evidence.found_on desc, evidence.code, evidence.row_number
            """,
            {name: key[name] for name in ("year", "measure", "stay")},
        )
    )
    by_factor: dict[str, list[dict[str, Any]]] = {}
    for row in evidence:
        by_factor.setdefault(row["variable_key"], []).append(row)
    return [
        {
            "key": name,
            "label": labels.get(name, name),
            "value": value,
            "coefficient": coefficients.get(name),
            "rows": by_factor.get(name, []),
        }
        for name, value in sorted(values, key=lambda pair: -abs(coefficients.get(pair[0], 0.0) * pair[1]))
    ]


def write_audit(out: Path, user: str, view: str, place: Place, measure: str, rows: int) -> None:
    """One line for a view of single stays, in OUT/audit.log, for its owner only."""
    line = json.dumps(
        {
            "at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
            "user": user,
            "view": view,
            "ccn": place.hospital.ccn,
            "program_year": place.program_year,
            "measure": measure if measure in MEASURES else "",
            "rows": rows,
        }
    )
    descriptor = os.open(out / AUDIT, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as log:
        log.write(line + "\n")


def reason_choices(place: Place) -> list[str]:
    """The reasons that occur at the hospital in the program year."""
    return sorted({reason for row in _stays(place) for reason in row["reasons"] or ()})
