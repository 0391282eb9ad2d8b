"""Lay a new version of the published results out for the page: one file, in which every page finds what it shows by one look-up.

A database that answers questions about a nation takes milliseconds to plan each, a page asks a dozen. Here each table is read once, its
rows go to their hospitals, and what needs all hospitals (the list, shares of risk factors in the run, the method page) is worked out once.

A page that is already open has this done by a process of its own (`python -m hrrp.review.prepare`) that gives way to everyone else.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from hrrp.program import MEASURES, Reference
from hrrp.review import stays, views
from hrrp.review.scenarios import review_database
from hrrp.review.suppression import EVERYTHING, HIDDEN, HIGHEST, LOWEST, Shown, disclose, is_small
from hrrp.review.version import Facts, Hospital, StoreWriter, known_spans
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse
from hrrp.warehouse.publish import PATIENTS

# Hospitals whose rows are in memory at once.
AT_ONCE = 500
POLITENESS = 15
MOST_GAPS = 8


def name_of(path: Path) -> str | None:
    """What tells this version of a file from others, as a file name; None where there is none just now."""
    try:
        found = path.stat()
    except OSError:
        return None
    return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"


def laid_out(folder: Path, name: str) -> tuple[Path, Path]:
    """Where a version's layout lies in the page's folder, and its database of single stays, if it has one."""
    return folder / f"{name}.pages", folder / f"{name}.duckdb"


def lay_out(settings: Settings, folder: Path) -> str:
    """Lay the published version out in `folder`, where the file appears in one step when it is whole; the version's name.

    Raises UsageError where no run has published results.
    """
    settings = settings.model_copy(update={"threads": 1})
    source = review_database(settings)
    # A name of its own for what is read, so that a run may replace the file meanwhile.
    held = folder / f"reading-{os.getpid()}.duckdb"
    # Nearly all that is read is kept until the end: looking for garbage among it costs time and finds none.
    collects = gc.isenabled()
    gc.disable()
    try:
        name = _hold(source, held)
        pages, patients = laid_out(folder, name)
        patients.unlink(missing_ok=True)
        if settings.publish_patients and source.with_name(PATIENTS).is_file():
            _hold(source.with_name(PATIENTS), patients)
        part = pages.with_suffix(f".{os.getpid()}")
        part.unlink(missing_ok=True)
        try:
            published_at = datetime.fromtimestamp(held.stat().st_mtime, tz=UTC)
            store = StoreWriter(part)
            with open_warehouse(held, settings, read_only=True) as warehouse:
                facts = _write(warehouse, store, settings, published_at)
            if patients.exists():
                with open_warehouse(patients, settings, read_only=True) as warehouse:
                    _write_stays(warehouse, store, facts.ccns)
            store.close()
            part.replace(pages)
        finally:
            part.unlink(missing_ok=True)
        return name
    finally:
        held.unlink(missing_ok=True)
        if collects:
            gc.enable()


def _hold(source: Path, target: Path) -> str:
    """Another name for the file, or a copy where that cannot be; what the version is called."""
    target.unlink(missing_ok=True)
    while True:
        name = name_of(source)
        try:
            target.hardlink_to(source)
            return name_of(target) or ""
        except FileExistsError:
            target.unlink(missing_ok=True)
        except OSError:
            shutil.copy2(source, target)
            target.chmod(0o600)
            if name is not None and name == name_of(source):
                return name


def _write(warehouse: Warehouse, store: StoreWriter, settings: Settings, published_at: datetime) -> Facts:
    reference = Reference(settings.site_reference)
    facts = _facts(warehouse, published_at)
    store.put("facts", facts)
    store.put(("method",), views.method_document(facts, reference, settings))
    for year in facts.years:
        for measure in MEASURES:
            store.put(("model", year, measure), _model(warehouse, year, measure))
    for measure in MEASURES:
        store.put(("variables", measure), _variables(warehouse, measure))
    spans = known_spans(reference, settings, facts.years, facts.as_of, facts.extract_end)
    hospitals: list[Hospital] = []
    for at in range(0, len(facts.ccns), AT_ONCE):
        for hospital, rows in _hospitals(warehouse, facts.ccns[at : at + AT_ONCE], spans):
            # Before its windows are shown, which ties them to its other counts.
            store.put(("hospital", hospital.ccn), hospital)
            _put_rows(store, hospital, rows)
            hospitals.append(hospital)
    for patient_level in (False, True):
        for measure in MEASURES:
            shares = _run_prevalence(warehouse, hospitals, facts.years, measure, patient_level)
            store.put(("prevalence", patient_level, measure), shares)
        totals = views.list_totals(hospitals, patient_level)
        for year in facts.years:
            store.put(("system", year, patient_level), views.system_rows(hospitals, totals, year))
    return facts


def _write_stays(warehouse: Warehouse, store: StoreWriter, ccns: Sequence[str]) -> None:
    """The judged stays by hospital and program year, for viewers who may see single ones."""
    for at in range(0, len(ccns), AT_ONCE):
        chosen = ccns[at : at + AT_ONCE]
        found: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
        for row in warehouse.rows(stays.LIST, {"first": chosen[0], "last": chosen[-1]}):
            found[row[:2]].append(row[2:])
        for (ccn, year), rows in found.items():
            store.put(("stays", ccn, year), rows)


def _facts(warehouse: Warehouse, published_at: datetime) -> Facts:
    ((as_of, extract_end),) = warehouse.rows("select as_of, extract_end from intake.run")
    notes: dict[int, list[str]] = {}
    for year, note in warehouse.rows("select program_year, note from result.notes order by program_year, position"):
        notes.setdefault(year, []).append(note)
    return Facts(
        published_at=published_at,
        as_of=as_of,
        extract_end=extract_end,
        years=tuple(year for (year,) in warehouse.rows("select program_year from intake.run_program_years order by 1")),
        ccns=tuple(ccn for (ccn,) in warehouse.rows("select distinct ccn from result.hospital_penalties order by 1")),
        notes={year: tuple(lines) for year, lines in notes.items()},
        files=tuple(
            warehouse.records(
                "select source_file, canonical_file, format, bytes, sha256, rows_read, rows_kept, rows_rejected, duplicates "
                "from intake.source_files left join staging.row_accounting using (source_file, canonical_file, rows_read) "
                "order by source_file, canonical_file",
            )
        ),
        rejects=_optional(warehouse, "result.reject_counts", "order by source_file, rows_rejected desc, reason"),
        inputs=dict(warehouse.rows("select input, present from intake.inputs order by input")),
        skipped=tuple(warehouse.records("select * from staging.skipped_rules order by all")),
        checks=_optional(warehouse, "result.quality_checks", "order by passed, table_name, check_name"),
        proofs=_optional(warehouse, "result.proofs", "order by made_at desc, kind, ccn, program_year"),
        reasons=dict(warehouse.rows("select reason, meaning from reference.reason_codes order by position")),
    )


def _has(warehouse: Warehouse, table: str) -> bool:
    schema, name = table.split(".")
    return bool(
        warehouse.rows(
            "select 1 from duckdb_tables() where schema_name = $schema and table_name = $name",
            {"schema": schema, "name": name},
        )
    )


def _optional(warehouse: Warehouse, table: str, order: str) -> tuple[dict[str, Any], ...]:
    """A table that results of an earlier release may lack."""
    return tuple(warehouse.records(f"select * from {table} {order}")) if _has(warehouse, table) else ()  # noqa: S608


def _model(warehouse: Warehouse, year: int, measure: str) -> dict[str, Any]:
    """The risk model of a measure in a program year, and how it fits all admissions of the run."""
    key = {"year": year, "measure": measure}
    fit = warehouse.rows(
        "select c_statistic from result.discrimination where program_year = $year and measure = $measure", key
    )
    return {
        "terms": warehouse.records(
            "select term, kind, value, standard_error, basis, model_program_year, source from risk.model_in_force "
            "where program_year = $year and measure = $measure",
            key,
        ),
        "tenths": warehouse.records(
            "select * from result.calibration where program_year = $year and measure = $measure order by tenth", key
        ),
        "c_statistic": fit[0][0] if fit else None,
    }


def _variables(warehouse: Warehouse, measure: str) -> list[dict[str, Any]]:
    return warehouse.records(
        "select variable_key, report_label, type, confidence from reference.risk_variables "
        "where measure = $measure order by report_order",
        {"measure": measure},
    )


# ---- hospital by hospital ----

# What the pages show of one hospital.
OF_HOSPITALS = {
    "forecasts": "select ccn, program_year, measure, figure, low, median, high from result.forecasts",
    "ledger": "select ccn, program_year, as_of, measure, figure, low, median, high from result.forecast_ledger",
    "windows": "select ccn, measure, month, index_admissions, readmissions, expected_readmissions from result.rolling_measures",
    "dual": "select ccn, program_year, dual_stays, stays, dual_proportion, basis from payment.dual_proportions",
    "dual months": "select ccn, month, dual_stays, stays, dual_proportion from result.dual_by_month",
    "counts": "select ccn, measure, program_year, first_reason, stays from cohort.measure_counts",
    "prevalence": "select ccn, measure, variable_key, index_admissions, with_factor, mean_value from result.risk_factor_prevalence",
    "gaps": "select ccn, program_year, measure, variable_key, report_label, by_history_alone, index_admissions, expected_difference "
    "from result.documentation_gaps inner join reference.risk_variables using (measure, variable_key)",
    "idle": "select ccn, program_year, measure from result.hospital_measures inner join result.forecasts "
    "using (program_year, ccn, measure)",
}
CHOSEN = {
    "gaps": "and by_history_alone > 0",
    "idle": "and figure = 'chance_of_contribution' and median = 0 and coalesce(contribution, 0) = 0",
}
ORDERS = {
    "ledger": "order by as_of",
    "windows": "order by measure, month",
    "dual months": "order by month desc",
    "counts": "order by program_year",
    "gaps": "order by abs(expected_difference) desc",
}
# Tables that results of an earlier release may lack.
NEW = {"dual months": "result.dual_by_month", "gaps": "result.documentation_gaps"}


def _hospitals(
    warehouse: Warehouse, ccns: Sequence[str], spans: Mapping[int, tuple[date, date]]
) -> Iterator[tuple[Hospital, dict[str, Any]]]:
    """Hospitals whose numbers follow one another, each with its rows."""
    between = {"first": ccns[0], "last": ccns[-1]}
    among = "where ccn between $first and $last"
    rows: dict[str, dict[str, list[Any]]] = {}
    for name, select in OF_HOSPITALS.items():
        by_ccn: dict[str, list[Any]] = defaultdict(list)
        if name not in NEW or _has(warehouse, NEW[name]):
            for row in warehouse.rows(f"{select} {among} {CHOSEN.get(name, '')} {ORDERS.get(name, '')}", between):
                by_ccn[row[0]].append(row)
        rows[name] = by_ccn
    for name, table, order in (
        ("inputs", "result.forecast_inputs", "program_year, measure"),
        ("measures", "result.hospital_measures", "program_year, measure"),
        ("totals", "result.hospital_penalties", "program_year"),
    ):
        rows[name] = defaultdict(list)
        for record in warehouse.records(f"select * from {table} {among} order by {order}", between):  # noqa: S608
            rows[name][record["ccn"]].append(record)
    for ccn in ccns:
        own = {name: by_ccn[ccn] for name, by_ccn in rows.items()}
        totals, measures = own.pop("totals"), own.pop("measures")
        yield (
            Hospital(
                ccn=ccn,
                name=totals[0]["name"],
                state=totals[0]["state"],
                totals={row["program_year"]: row for row in totals},
                measures={(row["program_year"], row["measure"]): row for row in measures},
                disclosure=disclose(measures, spans, frozenset(row[1:] for row in own.pop("idle"))),
            ),
            own,
        )


def _put_rows(store: StoreWriter, hospital: Hospital, rows: Mapping[str, Sequence[Any]]) -> None:
    """A hospital's rows as its pages ask for them."""
    ccn = hospital.ccn
    inputs: dict[int, list[Any]] = defaultdict(list)
    for row in rows["inputs"]:
        inputs[row["program_year"]].append(row)
    store.put(
        ("rows", ccn),
        {
            "forecasts": _grouped(rows["forecasts"]),
            "ledger": _grouped(rows["ledger"]),
            "inputs": dict(inputs),
            "dual": {row[1]: row[2:] for row in rows["dual"]},
            "dual months": [row[1:] for row in rows["dual months"]],
        },
    )
    store.put(
        ("measures", ccn),
        {
            "counts": _grouped(rows["counts"]),
            "prevalence": _grouped(rows["prevalence"]),
            "gaps": {place: found[:MOST_GAPS] for place, found in _grouped(rows["gaps"], 2).items()},
        },
    )
    for patient_level, seen in ((False, hospital.disclosure), (True, EVERYTHING)):
        trends = views.trends_of([row[1:] for row in rows["windows"]], seen)
        store.put(("trends", patient_level, ccn), trends)
        store.put(("sparkline", patient_level, ccn), views.sparkline_of(trends))


def _grouped(rows: Sequence[tuple[Any, ...]], by: int = 1) -> dict[Any, list[tuple[Any, ...]]]:
    """Rows of a hospital by what stands after its number, one value or the first few."""
    found: dict[Any, list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[1] if by == 1 else row[1 : by + 1], []).append(row[by + 1 :])
    return found


def _run_prevalence(
    warehouse: Warehouse, hospitals: Sequence[Hospital], years: Sequence[int], measure: str, patient_level: bool
) -> dict[str, Any]:
    """By risk factor the share of all admissions of the run that have it (mean years over 65), HIDDEN where it would give a hidden
    part away: the parts not shown must be none, or at least two and no small cell together."""
    opened = [
        hospital.ccn
        for hospital in hospitals
        if views.whole_state(EVERYTHING if patient_level else hospital.disclosure, years, measure) is Shown.OPEN
    ]
    rows = warehouse.records(
        """
        with counted as (
            select variable_key, with_factor, index_admissions, mean_value,
                opened.ccn is null or with_factor between $low and $high or index_admissions between $low and $high
                    or index_admissions - with_factor between $low and $high as is_hidden
            from result.risk_factor_prevalence as prevalence
            left join (select unnest($opened::varchar[]) as ccn) as opened on prevalence.ccn = opened.ccn
            where measure = $measure
        )
        select variable_key, sum(with_factor)::bigint as with_factor, sum(index_admissions)::bigint as index_admissions,
            count(*) filter (is_hidden) as hidden, coalesce(sum(with_factor) filter (is_hidden), 0)::bigint as in_hidden,
            sum(mean_value * index_admissions order by mean_value, index_admissions) as years
        from counted group by variable_key
        """,
        {"measure": measure, "opened": opened, "low": LOWEST, "high": HIGHEST},
    )
    found: dict[str, Any] = {}
    for row in rows:
        key = row["variable_key"]
        if key == views.YEARS_OVER_65:
            found[key] = round(row["years"] / row["index_admissions"], 1) if row["index_admissions"] else None
        elif patient_level:
            found[key] = row["with_factor"] / row["index_admissions"]
        elif (row["hidden"] and (row["hidden"] < 2 or row["in_hidden"] <= 2 * HIGHEST)) or is_small(row["with_factor"]):
            found[key] = HIDDEN
        else:
            found[key] = round(row["with_factor"] / row["index_admissions"], 2)
    return found


def main() -> None:
    """Lay out what the settings on standard input publish, politely; the version's name on standard output."""
    os.nice(POLITENESS)
    asked = json.load(sys.stdin)
    print(lay_out(Settings.model_validate(asked["settings"]), Path(asked["folder"])))


if __name__ == "__main__":
    main()
