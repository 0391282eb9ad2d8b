"""From a folder to the tables of schema `intake`: find the files, recognise their layout, read them, account for every record.

Whatever the source, it ends as the canonical tables (layout.py), each value as text, each record with its file and number.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from hrrp.errors import InputContractError, RulesMissingError, UsageError
from hrrp.intake import cclf, desynpuf, medpar, rif, tuva
from hrrp.intake.layout import (
    CANONICAL,
    Column,
    FileLayout,
    Match,
    check_mapping,
    faults,
    is_numbered,
    match,
    refuse,
    shown,
)
from hrrp.intake.sources import PART, SetAside, Source, account
from hrrp.program import Reference
from hrrp.settings import Settings, sample_dir
from hrrp.warehouse import (
    FileRead,
    Heading,
    Member,
    Warehouse,
    can_stay,
    list_members,
    make_table,
    read_file,
    read_heading,
    read_in_place,
)
from hrrp.warehouse.read import SUFFIXES

CANONICAL_NAME = "canonical"
AUTO = "auto"
SOURCES: dict[str, Source] = {
    source.name: source for source in (desynpuf.SOURCE, rif.RIF, rif.LDS, medpar.SOURCE, cclf.SOURCE, tuva.SOURCE)
}


@dataclass
class LoadedExtract:
    """What an extract came to: its layout, files by canonical table, which optional inputs it has, and notes for people."""

    layout: str
    title: str
    files: list[tuple[str, FileRead]] = field(default_factory=list)
    inputs: dict[str, bool] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left_aside: list[str] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    as_of: date | None = None
    extract_end: date | None = None
    program_years: tuple[int, ...] = ()


def place_of(settings: Settings) -> Path:
    """The extract's folder (or its one file): the site's, else the shipped synthetic system."""
    return settings.data if settings.data is not None else sample_dir()


def load_extract(
    warehouse: Warehouse, settings: Settings, reference: Reference, *, as_of: date | None = None
) -> LoadedExtract:
    """Fill schema `intake` from the extract at `settings.data`, in the layout `settings.layout`.

    Makes intake.<file> for every canonical file, source_files, structural_rejects, inputs, set_aside, notes, run and
    run_program_years. Raises InputContractError for whatever keeps the extract from being read, RulesMissingError for a program
    year without rules.
    """
    loaded = load_files(warehouse, place_of(settings), settings)
    write_run(warehouse, loaded, settings, reference, as_of)
    return loaded


def load_files(warehouse: Warehouse, place: Path, settings: Settings) -> LoadedExtract:
    """As `load_extract`, without the run's dates and program years."""
    check_mapping({file: _columns_of(columns) for file, columns in settings.mapping.items()})
    members = list_members(place, settings.out)
    readable = [member for member in members if member.suffix in SUFFIXES]
    source = choose_source(readable, place, settings)
    if source is None:
        unreadable = [member.name for member in members if member.suffix not in SUFFIXES]
        return _load_canonical(warehouse, place, readable, unreadable, settings)
    return _load_source(warehouse, place, readable, source)


# ---------------------------------------------------------------------------------------------------------------------
# Which layout
# ---------------------------------------------------------------------------------------------------------------------


def choose_source(readable: Sequence[Member], place: Path, settings: Settings) -> Source | None:
    """The source whose layout the files have; None for the canonical extract.

    Raises UsageError for an unknown layout, InputContractError where nothing is recognised.
    """
    if settings.layout not in (AUTO, CANONICAL_NAME) and settings.layout not in SOURCES:
        raise UsageError(
            f"--layout {settings.layout}: there is no such layout. Known: {AUTO}, {CANONICAL_NAME}, {', '.join(SOURCES)}."
        )
    if settings.layout in SOURCES:
        return SOURCES[settings.layout]
    if settings.layout == CANONICAL_NAME or any(canonical_files(member, settings.mapping) for member in readable):
        return None
    headings = readable_headings(readable)
    for source in SOURCES.values():
        if source.recognises([heading.names for heading in headings]):
            return source
    # Some of a source's files without the others: reading them as that source tells which are missing.
    partly = [source for source in SOURCES.values() if any(source.role_of(heading.names) for heading in headings)]
    if partly:
        return max(partly, key=lambda source: sum(source.role_of(heading.names) is not None for heading in headings))
    if not readable:
        raise InputContractError(
            f"{place} holds no readable file (csv, txt, tsv, parquet, xlsx; gz and zip of them). "
            f"Expected {_expected()}, or files in a layout of CMS."
        )
    first = headings[0]
    patterns = dict.fromkeys(f'"{columns["file"]}"' for columns in settings.mapping.values() if "file" in columns)
    unmatched = f" or as hrrp.toml says ({', '.join(patterns)})" if patterns else ""
    raise InputContractError(
        f"{place}: no file is named as in the canonical extract ({_expected()}){unmatched}, "
        "and the headings are of no layout that is known. "
        f"{first.member.name} has: {shown(first.names, 12)}. "
        f"A mapping in hrrp.toml says which file and heading is what (hrrp check {place} proposes one)."
    )


def readable_headings(readable: Sequence[Member]) -> list[Heading]:
    """The headings of every file; a file whose headings cannot be read raises."""
    return [read_heading(member) for member in readable]


def _expected() -> str:
    return ", ".join(f"{name}.csv" for name, layout in CANONICAL.items() if layout.required) + " (or .parquet)"


def _columns_of(columns: Mapping[str, str]) -> dict[str, str]:
    return {name: heading for name, heading in columns.items() if name != "file"}


def canonical_files(member: Member, mapping: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The canonical files that a file belongs to: by the pattern `file` in the site's mapping (several may name it), else by its name.

    `stays.csv`, `stays_2024.csv`, `stays-part-003.parquet` and anything in a folder `stays` are stays. A pattern may name the folder too
    (`2024/visits_*.csv`), and need not say `.gz`.
    """
    called = {name.lower().removesuffix(ending) for name in (member.file_name, member.name) for ending in ("", ".gz")}
    mapped = [
        name
        for name, columns in mapping.items()
        if "file" in columns and any(fnmatch.fnmatch(each, columns["file"].lower()) for each in called)
    ]
    if mapped:
        return mapped
    folders = member.name.lower().replace("\\", "/").split("/")[:-1]
    return [
        name
        for name in CANONICAL
        if "file" not in mapping.get(name, {})
        and (
            re.fullmatch(rf"{name}([-_. ]?(part|chunk|file|p)?[-_. ]?\d[\w.\-]*)?", member.stem)
            or any(folder in (name, f"{name}.parquet", f"{name}.csv") for folder in folders)
        )
    ]


# ---------------------------------------------------------------------------------------------------------------------
# The canonical extract
# ---------------------------------------------------------------------------------------------------------------------


def _load_canonical(
    warehouse: Warehouse, place: Path, readable: Sequence[Member], unreadable: Sequence[str], settings: Settings
) -> LoadedExtract:
    by_file: dict[str, list[Member]] = {name: [] for name in CANONICAL}
    loaded = LoadedExtract(CANONICAL_NAME, "canonical extract")
    for member in readable:
        names = canonical_files(member, settings.mapping)
        if not names:
            loaded.left_aside.append(member.name)
        for position, name in enumerate(names):
            # A flat file that serves several tables is accounted for once in each.
            by_file[name].append(replace(member, name=f"{member.name}{PART}{name}") if position else member)
    _refuse_missing_files(place, by_file, loaded.left_aside, unreadable, settings.mapping)
    for name, members in by_file.items():
        _refuse_same_file_twice(name, members)
    plans: dict[str, list[tuple[Heading, Match]]] = {}
    sentences: list[str] = []
    for name, members in by_file.items():
        mapping = _columns_of(settings.mapping.get(name, {}))
        plans[name], found = _plan(CANONICAL[name], members, mapping)
        sentences += found
    refuse(sentences)
    loaded.notes += _unmatched_patterns(by_file, settings.mapping) + _unused_columns(plans)
    for name, plan in plans.items():
        layout = CANONICAL[name]
        if plan and all(can_stay(heading) and not is_numbered(found_columns) for heading, found_columns in plan):
            fields = [(heading, found_columns.fields) for heading, found_columns in plan]
            loaded.files += [(name, file) for file in read_in_place(warehouse, f"intake.{name}", fields)]
        else:
            make_table(warehouse, f"intake.{name}", layout.column_names)
            for heading, found_columns in plan:
                reader = _read_numbered if is_numbered(found_columns) else _read_plain
                loaded.files += reader(warehouse, name, heading, found_columns)
        if layout.required and not warehouse.count(f"intake.{name}"):
            rejected = sum(len(file.rejects) for canonical, file in loaded.files if canonical == name)
            raise InputContractError(
                f"{', '.join(member.name for member in by_file[name])}: a heading and no row"
                + (f" that can be read ({rejected:,} rejected)" if rejected else "")
                + f". {layout.title.capitalize()} were expected."
            )
        headings_have = {
            column
            for column in layout.column_names
            if plan and all(column not in found_columns.absent for _, found_columns in plan)
        }
        _note_inputs(warehouse, loaded, layout, headings_have)
    loaded.notes += [note for _, file in loaded.files for note in file.notes]
    _write_account(warehouse, loaded)
    return loaded


def _read_plain(warehouse: Warehouse, name: str, heading: Heading, found: Match) -> list[tuple[str, FileRead]]:
    return [(name, read_file(warehouse, f"intake.{name}", heading, found.fields))]


def _read_numbered(warehouse: Warehouse, name: str, heading: Heading, found: Match) -> list[tuple[str, FileRead]]:
    """A flat file with numbered columns side by side (mapping code = "DX{n}"): each of a record's values becomes a row."""
    layout = CANONICAL[name]
    make_table(warehouse, "intake.raw_flat", [item.column for item in found.fields])
    whole = read_file(warehouse, "intake.raw_flat", heading, found.fields)
    numbers = found.numbers

    def side_by_side(column: str) -> str:
        return f"unnest([{', '.join(f'{column}_{number}' for number in numbers)}]) as {column}"

    place = f"unnest([{', '.join(str(number) for number in numbers)}])"
    picked = [
        side_by_side(column)
        if column in found.numbered
        else f"cast({place} as varchar) as sequence"
        if column == "sequence" and column in found.absent
        else column
        for column in layout.column_names
    ]
    warehouse.execute(
        f"insert into intake.{name} by name "  # noqa: S608
        f"select * exclude (place) replace (source_file || '{PART}column ' || place as source_file) "
        f"from (select {', '.join(picked)}, {place} as place, source_file, row_number from intake.raw_flat) where code is not null"
    )
    warehouse.execute("drop table intake.raw_flat")
    counted = warehouse.rows(
        f"select source_file, count(*) from intake.{name} where starts_with(source_file, $file) group by all order by all",  # noqa: S608
        {"file": whole.source_file + PART},
    )
    parts = [(name, replace(whole, source_file=part, rows_read=rows, rejects=(), notes=())) for part, rows in counted]
    return [(name, replace(whole, rows_read=len(whole.rejects))), *parts]


def _plan(
    layout: FileLayout, members: Sequence[Member], mapping: Mapping[str, str]
) -> tuple[list[tuple[Heading, Match]], list[str]]:
    """How each file of a table is read, and what is wrong with its headings."""
    plan, sentences = [], []
    for member in members:
        heading = read_heading(member)
        found = match(layout, heading.names, mapping)
        sentences += faults(layout, heading, found)
        plan.append((heading, found))
    return plan, sentences


def _unused_columns(plans: Mapping[str, list[tuple[Heading, Match]]]) -> list[str]:
    """Notes of the columns that no table takes from a file; files with the same ones are named together."""
    unused: dict[str, list[str]] = {}
    for heading, found in (each for plan in plans.values() for each in plan):
        file = heading.member.name.split(PART)[0]
        unused[file] = [column for column in unused.get(file, found.ignored) if column in found.ignored]
    files: dict[tuple[str, ...], list[str]] = {}
    for file, columns in unused.items():
        files.setdefault(tuple(columns), []).append(file)
    return [
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}: columns not used: {shown(columns)}"
        for columns, names in files.items()
        if columns
    ]


def _unmatched_patterns(by_file: Mapping[str, Sequence[Member]], mapping: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Notes of the mapping's patterns that no file's name fits: the table then counts as missing."""
    return [
        f'hrrp.toml, [mapping.{name}]: no file is named "{columns["file"]}", so {name} is missing'
        for name, columns in mapping.items()
        if "file" in columns and not by_file[name]
    ]


def _refuse_missing_files(
    place: Path,
    by_file: Mapping[str, Sequence[Member]],
    left_aside: Sequence[str],
    unreadable: Sequence[str],
    mapping: Mapping[str, Mapping[str, str]],
) -> None:
    missing = [name for name, members in by_file.items() if CANONICAL[name].required and not members]
    if missing:
        seen = sorted({member.name for members in by_file.values() for member in members} | set(left_aside))
        raise InputContractError(
            f"{place}: {', '.join(_name_expected(name, mapping) for name in missing)} not found. "
            f"Files seen: {_listed(seen)}. "
            + (
                f"Of a format that is not read: {', '.join(unreadable[:5])}; save as CSV, Parquet or Excel (.xlsx). "
                if unreadable
                else ""
            )
            + 'Add the file, or name yours in hrrp.toml ([mapping.<file>] file = "pattern").'
        )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:20]) or 'none'}{' and more' if len(names) > 20 else ''}"


def _name_expected(name: str, mapping: Mapping[str, Mapping[str, str]]) -> str:
    pattern = mapping.get(name, {}).get("file")
    return f'{name} ("{pattern}" in hrrp.toml)' if pattern else f"{name}.csv (or .parquet)"


def _refuse_same_file_twice(name: str, members: Sequence[Member]) -> None:
    """stays.csv beside stays.parquet: the same rows in two forms, most likely."""
    by_stem: dict[str, list[str]] = {}
    for member in members:
        folder = member.name.rsplit("/", 1)[0].lower() if "/" in member.name else ""
        by_stem.setdefault(f"{folder}/{member.stem}", []).append(member.name)
    for names in by_stem.values():
        if len(names) > 1:
            raise InputContractError(
                f"{' and '.join(names)} are both there, and only one of them can be the {CANONICAL[name].title}. Remove the other."
            )


def _note_inputs(
    warehouse: Warehouse, loaded: LoadedExtract, layout: FileLayout, have: set[str], *, says: bool = True
) -> None:
    """intake.inputs for one file: an optional file counts as present with rows, an optional column with values."""
    rows = warehouse.count(f"intake.{layout.name}")
    if not layout.required:
        loaded.inputs[layout.name] = rows > 0
    columns = [column for column in layout.columns if not column.required]
    if not columns:
        return
    # Does a value stand there at all? Each look ends at the first.
    looks = (f"exists (select 1 from intake.{layout.name} where {column.name} is not null)" for column in columns)  # noqa: S608
    [filled_columns] = warehouse.rows(f"select {', '.join(looks)}")
    for column, filled in zip(columns, filled_columns, strict=True):
        present = column.name in have and rows > 0 and (filled or column.null_is_value)
        loaded.inputs[f"{layout.name}.{column.name}"] = present
        if says and column.name in have and rows and not present:
            loaded.notes.append(f"{layout.name}, column {column.name}: empty throughout, taken as missing")


# ---------------------------------------------------------------------------------------------------------------------
# Other sources
# ---------------------------------------------------------------------------------------------------------------------


def _load_source(warehouse: Warehouse, place: Path, readable: Sequence[Member], source: Source) -> LoadedExtract:
    loaded = LoadedExtract(source.name, source.title)
    plans: dict[str, list[tuple[Heading, Match]]] = {layout.name: [] for layout in source.files}
    for member in readable:
        heading = read_heading(member)
        role = source.role_of(heading.names)
        if role is None:
            loaded.left_aside.append(member.name)
        else:
            plans[role.name].append((heading, match(role, heading.names)))
    missing = [layout for layout in source.files if layout.required and not plans[layout.name]]
    if missing:
        wanted = "; ".join(
            f"{layout.title} with the columns {', '.join(_heading_of(column) for column in layout.columns if column.required)}"
            for layout in missing
        )
        raise InputContractError(
            f"{place}: not the layout '{source.name}' ({source.title}): no file has the headings of {wanted}. "
            f"Files seen: {_listed([member.name for member in readable])}."
        )
    refuse(
        [
            sentence
            for role in source.files
            for heading, found in plans[role.name]
            for sentence in faults(role, heading, found)
        ]
    )
    raw: dict[str, list[FileRead]] = {}
    for role in source.files:
        make_table(warehouse, f"intake.raw_{role.name}", role.column_names)
        raw[role.name] = [
            read_file(warehouse, f"intake.raw_{role.name}", heading, found.fields)
            for heading, found in plans[role.name]
        ]
        loaded.notes += [note for file in raw[role.name] for note in file.notes]
    for layout in CANONICAL.values():
        make_table(warehouse, f"intake.{layout.name}", layout.column_names)
    adapted = source.adapt(warehouse, {name for name, files in raw.items() if files})
    loaded.notes += adapted.notes
    loaded.set_aside += adapted.set_aside
    loaded.files += account(warehouse, raw)
    if not warehouse.count("intake.stays"):
        aside = sum(each.rows for each in loaded.set_aside)
        raise InputContractError(
            f"{place} ({source.title}): no inpatient stay among the records"
            + (
                f"; {aside:,} were set aside ({', '.join(sorted({each.reason for each in loaded.set_aside}))})"
                if aside
                else ""
            )
            + ". A file of inpatient claims with rows was expected."
        )
    for layout in CANONICAL.values():
        absent = adapted.absent.get(layout.name, set())
        _note_inputs(
            warehouse, loaded, layout, {name for name in layout.column_names if name not in absent}, says=False
        )
    for role in source.files:
        warehouse.execute(f"drop table intake.raw_{role.name}")
    _write_account(warehouse, loaded)
    return loaded


def _heading_of(column: Column) -> str:
    """How the source's own files head a column."""
    return column.also[0] if column.also else column.name


# ---------------------------------------------------------------------------------------------------------------------
# The account, and the run
# ---------------------------------------------------------------------------------------------------------------------


def _write_account(warehouse: Warehouse, loaded: LoadedExtract) -> None:
    """intake.source_files, structural_rejects, inputs, set_aside and notes."""
    ((hospitals,),) = warehouse.rows("select count(distinct upper(trim(ccn))) from intake.stays")
    loaded.inputs["cross_hospital"] = hospitals > 1
    warehouse.write(
        "intake.source_files",
        pd.DataFrame(
            [
                (file.source_file, name, file.format, file.bytes, file.sha256, file.rows_read)
                for name, file in loaded.files
            ],
            columns=["source_file", "canonical_file", "format", "bytes", "sha256", "rows_read"],
        ),
        {
            "source_file": "varchar",
            "canonical_file": "varchar",
            "format": "varchar",
            "bytes": "bigint",
            "sha256": "varchar",
            "rows_read": "bigint",
        },
    )
    warehouse.write(
        "intake.structural_rejects",
        pd.DataFrame(
            [
                (file.source_file, reject.row_number, reject.column_name, reject.value_class, reject.reason)
                for _, file in loaded.files
                for reject in file.rejects
            ],
            columns=["source_file", "row_number", "column_name", "value_class", "reason"],
        ),
        {
            "source_file": "varchar",
            "row_number": "bigint",
            "column_name": "varchar",
            "value_class": "varchar",
            "reason": "varchar",
        },
    )
    warehouse.write(
        "intake.inputs",
        pd.DataFrame(sorted(loaded.inputs.items()), columns=["input", "present"]),
        {"input": "varchar", "present": "boolean"},
    )
    warehouse.write(
        "intake.set_aside",
        pd.DataFrame(
            [(each.source_file, each.reason, each.rows) for each in loaded.set_aside],
            columns=["source_file", "reason", "rows"],
        ),
        {"source_file": "varchar", "reason": "varchar", "rows": "bigint"},
    )
    loaded.notes = list(dict.fromkeys(loaded.notes))
    warehouse.write("intake.notes", pd.DataFrame({"note": loaded.notes}, dtype=object), {"note": "varchar"})


def write_run(
    warehouse: Warehouse, loaded: LoadedExtract, settings: Settings, reference: Reference, as_of: date | None = None
) -> None:
    """intake.run and intake.run_program_years: the as-of date (default: the last discharge), the years asked for or being earned.

    The extract ends, for all that follows, before the days whose claims have not all arrived (parameter claims_run_out_days).
    """
    ((last, last_known),) = warehouse.rows(
        "select max(day), max(day) filter (day <= current_date) "
        "from (select try_cast(discharge_date as date) as day from intake.stays where discharge_date like '____-__-__%')"
    )
    # A mistyped year must not carry the whole run into the future.
    extract_end = last_known or last
    if extract_end is None:
        raise InputContractError(
            "The stays have no discharge date that can be read. Dates are expected as 2025-06-30 (year, month, day)."
        )
    as_of = as_of or extract_end
    extract_end -= timedelta(days=int(reference.parameters(settings.parameters)["claims_run_out_days"].value))
    years = settings.program_years or reference.years_being_earned(as_of)
    for year in years:
        reference.program_year(year)
    if not years:
        raise RulesMissingError(
            f"No program year is being earned on {as_of}: the reference tables list applicable periods up to "
            f"{max(rules.end for rules in reference.program_years.values())}. Name the years with --program-year."
        )
    loaded.as_of, loaded.extract_end, loaded.program_years = as_of, extract_end, tuple(years)
    warehouse.write(
        "intake.run",
        pd.DataFrame({"as_of": [as_of], "extract_end": [extract_end]}, dtype=object),
        {"as_of": "date", "extract_end": "date"},
    )
    warehouse.write(
        "intake.run_program_years", pd.DataFrame({"program_year": list(years)}), {"program_year": "integer"}
    )
