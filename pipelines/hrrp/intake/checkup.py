"""`hrrp check`: read an extract, stage it in memory, and gather what a person needs to know before a run.

The document holds counts, spans, file names, headings and reasons; never a value of a record.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from hrrp.errors import InputContractError
from hrrp.intake.accounting import enforce_reject_share, phrase
from hrrp.intake.extract import load_files, place_of, write_run
from hrrp.intake.layout import CANONICAL
from hrrp.intake.proposal import propose_mapping
from hrrp.intake.sources import PART
from hrrp.intake.survey import program_years_served, qualification, span
from hrrp.program import Reference
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, list_members, load_steps, open_warehouse
from hrrp.warehouse.read import SUFFIXES

# The document before anything is known: every key is always there.
EMPTY: dict[str, Any] = {
    "place": None,
    "ok": False,
    "message": None,
    "layout": None,
    "title": None,
    "as_of": None,
    "files": [],
    "rows": None,
    "extract": None,
    "inputs": {},
    "skipped_rules": [],
    "rejects": [],
    "set_aside": [],
    "program_years": [],
    "being_earned": [],
    "qualification": None,
    "notes": [],
    "left_aside": [],
    "mapping": None,
}


def check_extract(
    settings: Settings, reference: Reference, as_of: date | None = None
) -> tuple[dict[str, Any], InputContractError | None]:
    """The document of `hrrp check`, and the error that a run on the extract would end with, if any.

    Raises RulesMissingError for a program year without rules, UsageError for a layout or mapping that makes no sense.
    """
    place = place_of(settings)
    document = EMPTY | {"place": str(place)}
    with open_warehouse(None, settings) as warehouse:
        try:
            loaded = load_files(warehouse, place, settings)
            write_run(warehouse, loaded, settings, reference, as_of)
        except InputContractError as error:
            return document | {"message": str(error), "mapping": _mapping(place, settings)}, error
        warehouse.load_reference(reference)
        values = {name: parameter.value for name, parameter in reference.parameters(settings.parameters).items()}
        for step in load_steps():
            if step.group == "staging":
                warehouse.run_step(step, values)
        spans = span(warehouse)
        able = qualification(warehouse, reference, settings)
        document |= {
            "layout": loaded.layout,
            "title": loaded.title,
            "as_of": loaded.as_of,
            "files": _files(warehouse),
            "rows": _rows(warehouse),
            "extract": spans,
            "inputs": dict(sorted(loaded.inputs.items())),
            "skipped_rules": _records(
                warehouse, "select rule, missing_input, consequence from staging.skipped_rules order by all"
            ),
            "rejects": _rejects(warehouse),
            "set_aside": _records(
                warehouse,
                "select source_file, reason, sum(rows)::bigint as rows from intake.set_aside group by all order by all",
            ),
            "program_years": program_years_served(reference, spans["first_discharge"], spans["last_discharge"]),
            "being_earned": list(reference.years_being_earned(loaded.as_of)) if loaded.as_of else [],
            "qualification": {
                "stays": able.stays,
                "qualifying": able.qualifying,
                "obstacles": [vars(obstacle) for obstacle in able.obstacles],
                "measures": able.measures,
            },
            "notes": loaded.notes,
            "left_aside": loaded.left_aside,
        }
        try:
            enforce_reject_share(warehouse, settings)
        except InputContractError as error:
            if able.stays and not able.qualifying:
                first = max(able.obstacles, key=lambda obstacle: obstacle.stays)
                error = InputContractError(
                    f"None of the {able.stays:,} stays can be an index admission ({first.stays:,}: {first.reason}). {error}"
                )
            return document | {"message": str(error)}, error
    return document | {"ok": True}, None


def _records(warehouse: Warehouse, sql: str) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in warehouse.read(sql).to_dict("records")]


def _files(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Rows by file and canonical table; the parts of a wide file's records together."""
    return _records(
        warehouse,
        f"""
        select
            split_part(source_file, '{PART}', 1) as source_file,
            canonical_file,
            any_value(format) as format,
            sum(account.rows_read)::bigint as rows_read,
            sum(rows_kept)::bigint as rows_kept,
            sum(rows_rejected)::bigint as rows_rejected,
            sum(duplicates)::bigint as duplicates
        from staging.row_accounting as account
        inner join intake.source_files using (source_file, canonical_file)
        group by 1, 2
        order by 1, 2
        """,  # noqa: S608
    )


def _rows(warehouse: Warehouse) -> dict[str, int]:
    ((read, kept, rejected),) = warehouse.rows(
        "select sum(rows_read)::bigint, sum(rows_kept)::bigint, sum(rows_rejected)::bigint from staging.row_accounting"
    )
    return {"read": read, "kept": kept, "rejected": rejected}


def _rejects(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Rejected rows by table, column and reason, the most frequent first, with where the first of them stands."""
    found = _records(
        warehouse,
        """
        select
            canonical_file,
            column_name as "column",
            reason,
            value_class,
            count(*) as rows,
            min_by(source_file, (source_file, row_number)) as first_file,
            min_by(row_number, (source_file, row_number)) as first_row
        from staging.rejects
        group by canonical_file, column_name, reason, value_class
        order by rows desc, canonical_file, "column", reason, value_class
        """,
    )
    return [{**row, "column": row["column"] or None, "in_words": phrase(row["reason"])} for row in found]


def _mapping(place: Path, settings: Settings) -> dict[str, Any] | None:
    """A proposal of [mapping.<file>] blocks, where the files can be listed and something looks like an extract."""
    try:
        readable = [member for member in list_members(place, settings.out) if member.suffix in SUFFIXES]
    except InputContractError:
        return None
    proposed = propose_mapping(readable, settings)
    if not proposed or all(file.is_as_it_is for file in proposed):
        return None
    files = {file.name for file in proposed}
    return {
        "toml": "\n\n".join(file.toml() for file in proposed if not file.is_as_it_is),
        "files": {
            file.name: {"file": file.file, "columns": file.columns, "without": list(file.without)}
            for file in proposed
            if not file.is_as_it_is
        },
        "missing_files": [name for name, layout in CANONICAL.items() if layout.required and name not in files],
    }
