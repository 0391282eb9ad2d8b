"""A site's own reference rows: reading them beside the shipped ones, laying them over, writing them.

A site keeps CSV files in a folder of its own (`data/site`), named like the shipped tables. What a file replaces depends on its
table: single rows (`ROW_KEYS`: a year's medians, a parameter), whole lists (`LIST_KEYS`: the codes of one role of one measure),
or, for every other table, the table. Two code maps may also come under a plain name: `ccs_map.csv` (columns code_system, code,
ccs) and `cc_map.csv` (columns code, cc). Codes may be written with dots, in small letters, as `code` instead of `code_prefix`;
a missing `source` becomes "the site's own".
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from hrrp.errors import InputContractError, UsageError
from hrrp.program.measures import MEASURES, REPORT_NAMES
from hrrp.settings import reference_dir

Row = dict[str, str]

# The columns that identify a row, for tables that a site may add to or override row by row.
ROW_KEYS: dict[str, tuple[str, ...]] = {
    "program_years": ("program_year",),
    "applicable_periods": ("program_year", "segment"),
    "program_year_measures": ("program_year", "measure"),
    "peer_group_medians": ("program_year", "peer_group", "measure"),
    "peer_group_cuts": ("program_year", "peer_group"),
    "national_rates": ("program_year", "measure"),
    "risk_coefficients": ("program_year", "measure", "variable_key"),
    "between_hospital_variance": ("measure",),
    "readmissions_elsewhere": ("measure",),
    "parameters": ("parameter",),
    "expected_calibration": ("ccn", "measure"),
    "published_results": ("program_year", "ccn", "measure", "figure"),
}

# The columns that identify a list: a list that a site's file has replaces the shipped list of that name, the others stay.
LIST_KEYS: dict[str, tuple[str, ...]] = {
    "cohort_codes": ("measure", "role"),
    "planned_admission_codes": ("list",),
    "outcome_exception_codes": ("exception",),
    "risk_variable_codes": ("measure", "variable_key"),
    "risk_variable_ccs": ("measure", "variable_key"),
}

# The code maps that a site may bring under a plain name; ccs_map holds both code systems.
MAP_FILES: dict[str, str] = {"cc_icd10cm": "cc_map", "ccs_icd10cm": "ccs_map", "ccs_icd10pcs": "ccs_map"}
MAP_SYSTEMS: dict[str, str] = {"cc_icd10cm": "ICD10CM", "ccs_icd10cm": "ICD10CM", "ccs_icd10pcs": "ICD10PCS"}

CODE_SYSTEMS = {"ICD10CM": "ICD10CM", "ICD10PCS": "ICD10PCS", "CCSCM": "CCS_CM", "CCSPCS": "CCS_PCS"}
CODE_COLUMNS = {"code", "code_prefix"}
# Tables whose `code` is no diagnosis or procedure code and is left as it is.
PLAIN_CODES = {"discharge_status_codes", "dual_status_codes"}

# Columns that say something about a row and are no part of the fact.
_REMARKS = {"source", "note", "confidence", "label", "description"}

_MEASURE_NAMES = {name.upper(): measure for measure, name in REPORT_NAMES.items()} | {name: name for name in MEASURES}


def read_shipped(folder: Path, table: str) -> list[Row] | None:
    """The rows of a shipped table, or None where there is none."""
    path = folder / f"{table}.csv"
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines)
        columns = next(reader)
        # Two hundred thousand rows: twice as fast as DictReader.
        return [dict(zip(columns, row, strict=True)) for row in reader if row]


def shipped_columns(folder: Path, table: str) -> list[str]:
    """The heading of a shipped table, which may have no rows (published_results)."""
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return next(csv.reader(lines))


def site_file(folder: Path | None, table: str) -> Path | None:
    """The site's file for a table, under the table's name or a map's plain name; None where it has none.

    Raises InputContractError where both are there.
    """
    if folder is None:
        return None
    found = [
        path
        for name in (table, MAP_FILES.get(table))
        if name is not None and (path := folder / f"{name}.csv").is_file()
    ]
    if len(found) > 1:
        raise InputContractError(
            f"{folder} has both {found[0].name} and {found[1].name} for {table}: keep the one that is to be used."
        )
    return found[0] if found else None


def site_tables(folder: Path | None, shipped: Path) -> list[str]:
    """The tables that a site's folder has rows for.

    Raises InputContractError for a file that is named like no table, because it would be ignored in silence.
    """
    if folder is None or not folder.is_dir():
        return []
    known = {path.stem for path in shipped.glob("*.csv")}
    strange = sorted({path.stem for path in folder.glob("*.csv")} - known - set(MAP_FILES.values()))
    if strange:
        raise InputContractError(
            f"{folder / strange[0]}.csv: there is no reference table of that name. Name it like one of "
            f"{', '.join(sorted(known | set(MAP_FILES.values())))}, or move it elsewhere."
        )
    return sorted(table for table in known if site_file(folder, table) is not None)


def read_site(path: Path, table: str, columns: list[str], kinds: Mapping[str, str]) -> list[Row]:
    """The rows of one site file in the shipped table's column names; only columns that the file has, and `source`.

    `columns` are the shipped table's, `kinds` their DuckDB types. Raises InputContractError naming file, row (the heading is
    row 1) and column for an unknown heading, a missing key column, a value of the wrong type, an unknown measure or system.
    """
    heading, cells = _read_cells(path)
    names = _column_names(path, table, heading, columns)
    rows = []
    for number, values in enumerate(cells, start=2):
        if not any(value.strip() for value in values):
            continue
        if len(values) != len(names):
            raise InputContractError(f"{path}, row {number}: {len(values)} cells, the heading has {len(names)}.")
        row = {name: value.strip() for name, value in zip(names, values, strict=True)}
        for name in row:
            try:
                row[name] = _cell(table, name, row[name], kinds.get(name, "VARCHAR"))
            except ValueError as error:
                raise InputContractError(
                    f"{path}, row {number}, column {name}: '{row[name]}' is not {error}. Correct it and run again."
                ) from None
        if table in MAP_SYSTEMS and row.pop("code_system", MAP_SYSTEMS[table]) != MAP_SYSTEMS[table]:
            continue
        if "source" in columns and not row.get("source"):
            row["source"] = f"the site's own ({path.name})"
        rows.append(row)
    if not rows and table not in ROW_KEYS:
        system = f" for {MAP_SYSTEMS[table]}" if path.stem == "ccs_map" else ""
        raise InputContractError(
            f"{path} has no rows{system}, and would leave {table} empty. Add them, or name the file like the one table it is for."
        )
    return _distinct(path, table, rows)


def _distinct(path: Path, table: str, rows: list[Row]) -> list[Row]:
    """The rows without repetitions; raises InputContractError where two rows of one key contradict each other."""
    key = ROW_KEYS.get(table) or (("code",) if table.startswith("ccs_") else None)
    seen: dict[tuple[str, ...], Row] = {}
    for row in rows:
        place = _place(row, key) if key else tuple(value for name, value in row.items() if name not in _REMARKS)
        if key and row != seen.get(place, row):
            raise InputContractError(f"{path}: two different rows for {' '.join(place)}. Keep one and run again.")
        seen[place] = row
    return list(seen.values())


def _read_cells(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputContractError(f"{path} is not UTF-8 text. Save it as 'CSV UTF-8' and run again.") from None
    lines = list(csv.reader(io.StringIO(text, newline="")))
    if not lines:
        raise InputContractError(f"{path} is empty: a heading row was expected. Fill it or remove it.")
    return lines[0], lines[1:]


def _column_names(path: Path, table: str, heading: list[str], columns: list[str]) -> list[str]:
    names = [name.strip().lower() for name in heading]
    if "code_prefix" in columns:
        names = ["code_prefix" if name == "code" else name for name in names]
    allowed = {*columns, "code_system"} if table in MAP_SYSTEMS else set(columns)
    unknown = [name for name in names if name not in allowed]
    needed = ROW_KEYS.get(table) or (
        (*LIST_KEYS[table], *(name for name in ("code_system", "code_prefix", "cc") if name in columns))
        if table in LIST_KEYS
        else tuple(name for name in ("code", "ccs", "cc") if name in columns)
        if table in MAP_SYSTEMS
        else tuple(name for name in columns if name not in _REMARKS)
    )
    if path.stem == "ccs_map":
        needed = ("code_system", *needed)
    missing = [name for name in needed if name not in names]
    if unknown or missing or len(set(names)) < len(names):
        raise InputContractError(
            f"{path}, heading: expected the columns {', '.join(columns)}; missing: {', '.join(missing) or 'none'}; unknown: "
            f"{', '.join(unknown) or 'none'}; each once. Correct the heading and run again."
        )
    return names


def _cell(table: str, name: str, value: str, kind: str) -> str:
    """One cell as the tables write it; raises ValueError with what was expected."""
    if name == "measure" and not (value == "" and table == "published_results"):
        measure = "ALL" if value.upper() == "ALL" and table == "cohort_codes" else _MEASURE_NAMES.get(value.upper())
        if measure is None and table != "announced_measures":
            raise ValueError(f"one of {', '.join(MEASURES)}")
        return measure or value
    if name == "code_system":
        system = CODE_SYSTEMS.get(re.sub(r"[^A-Z0-9]", "", value.upper()))
        if system is None:
            raise ValueError(f"one of {', '.join(CODE_SYSTEMS.values())}")
        return system
    if name in CODE_COLUMNS and table not in PLAIN_CODES:
        code = value.replace(".", "").upper()
        if not code.isalnum():
            raise ValueError("a code of letters and digits")
        return code
    return _typed(value, kind) if value else value


def _typed(value: str, kind: str) -> str:
    checks: dict[str, tuple[Callable[[str], Any], str]] = {
        "INTEGER": (int, "a whole number"),
        "DOUBLE": (float, "a number"),
        "DATE": (date.fromisoformat, "a date as YYYY-MM-DD"),
    }
    if kind == "BOOLEAN":
        if value.lower() not in {"true", "false"}:
            raise ValueError("true or false")
        return value.lower()
    if kind in checks:
        check, expected = checks[kind]
        try:
            check(value)
        except ValueError:
            raise ValueError(expected) from None
    return value


def lay_over(table: str, shipped: list[Row], own: list[Row], columns: list[str]) -> list[Row]:
    """The shipped rows (of `columns`) with the site's laid over them; the site's win. An empty cell of the site leaves the shipped value.

    Raises InputContractError for a list that the shipped table does not know, because no rule would use it.
    """
    full = [dict.fromkeys(columns, "") | row for row in own]
    if table in ROW_KEYS:
        key = ROW_KEYS[table]
        by_key = {_place(row, key): row for row in shipped}
        for row in full:
            place = _place(row, key)
            given = {name: value for name, value in row.items() if value != ""}
            by_key[place] = by_key.get(place, dict.fromkeys(columns, "")) | given
        return list(by_key.values())
    if table in LIST_KEYS:
        key = LIST_KEYS[table]
        known = {_place(row, key) for row in shipped}
        named = {_place(row, key) for row in full}
        if named - known:
            strange = " ".join(sorted(named - known)[0])
            raise InputContractError(
                f"The site's {table}.csv has the list '{strange}', which no rule uses. Known: "
                f"{'; '.join(sorted(' '.join(place) for place in known))}."
            )
        return [row for row in shipped if _place(row, key) not in named] + full
    return full


def _place(row: Mapping[str, str], key: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(row[name] for name in key)


def write_site_rows(
    folder: Path, table: str, rows: Iterable[Mapping[str, object]], shipped: Path | None = None
) -> Path:
    """Add rows to a site's table, or replace those of the same key; other rows of the site stay. Returns the file.

    `rows` carry the key columns of `ROW_KEYS[table]` and whichever others are to be set; a value None is left as it is. The file
    is replaced as a whole, so a reader never sees half of it. Raises UsageError for a table without row keys or an unknown or
    missing column.
    """
    if table not in ROW_KEYS:
        raise UsageError(f"Rows cannot be written to reference table '{table}': only {', '.join(ROW_KEYS)} take rows.")
    if not ((shipped or reference_dir()) / f"{table}.csv").is_file():
        raise UsageError(f"There is no shipped reference table '{table}' to take the columns from.")
    columns, key = shipped_columns(shipped or reference_dir(), table), ROW_KEYS[table]
    path = folder / f"{table}.csv"
    kept: list[Row] = read_site(path, table, columns, {}) if path.is_file() else []
    by_key = {_place(row, key): row for row in kept}
    for row in rows:
        new = {name: _written(value) for name, value in row.items() if value is not None}
        if not set(key) <= set(new) <= set(columns):
            raise UsageError(f"A row for {table} has the columns {', '.join(new)}; expected {', '.join(columns)}.")
        by_key[_place(new, key)] = by_key.get(_place(new, key), {}) | new
    used = [name for name in columns if any(row.get(name) for row in by_key.values())]
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".csv.part")
    with part.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, used, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(by_key.values())
    part.replace(path)
    return path


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
