"""What the page reads: the published review database, one version of it at a time.

A run replaces the file in one step. DuckDB shares what it has open within a process by path, so a reader that opens the same path anew
may still see the old file; therefore each version is opened under a name of its own (a hard link, or a copy where links are not to be
had) that is removed when nobody needs it. A version is read whole before it takes the place of the last one, so a page never mixes two.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from hrrp.program import MEASURES, ProgramYear, Reference
from hrrp.review.leisure import at_leisure, breathe
from hrrp.review.scenarios import review_database
from hrrp.review.suppression import Disclosure, disclose
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse

PATIENTS = "review_patients.duckdb"
KEPT_ANSWERS = 8192
KEPT_PAGES_BYTES = 64_000_000
OUTCOME_DAYS, FOLLOW_UP_THROUGH = "outcome_days", "follow_up_through"

T = TypeVar("T")


@dataclass(frozen=True)
class Hospital:
    """A hospital of the run, with its totals by program year and its measures by (program year, measure), nothing hidden yet."""

    ccn: str
    name: str | None
    state: str | None
    totals: Mapping[int, Mapping[str, Any]]
    measures: Mapping[tuple[int, str], Mapping[str, Any]]
    disclosure: Disclosure

    @property
    def label(self) -> str:
        return self.name or f"Hospital {self.ccn}"


@dataclass
class Version:
    """One version of the published results, read once: what every page needs. Details are asked of `open()`."""

    path: Path
    patients: Path | None
    settings: Settings
    published_at: datetime
    as_of: date
    extract_end: date
    years: tuple[int, ...]
    hospitals: Mapping[str, Hospital]
    notes: Mapping[int, tuple[str, ...]]
    files: tuple[Mapping[str, Any], ...]
    rejects: tuple[Mapping[str, Any], ...]
    inputs: Mapping[str, bool]
    skipped: tuple[Mapping[str, Any], ...]
    checks: tuple[Mapping[str, Any], ...]
    proofs: tuple[Mapping[str, Any], ...]
    reference: Reference
    _anchor: ExitStack = field(repr=False)
    _answers: dict[Any, Any] = field(default_factory=dict, repr=False)
    _pages: OrderedDict[Any, tuple[bytes, str]] = field(default_factory=OrderedDict, repr=False)
    _pages_bytes: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @contextmanager
    def open(self) -> Iterator[Warehouse]:
        """A short-lived read-only connection to this version."""
        with open_warehouse(self.path, self.settings, read_only=True) as warehouse:
            yield warehouse

    @contextmanager
    def open_patients(self) -> Iterator[Warehouse]:
        """A short-lived read-only connection to the single stays of this version, where they are published."""
        if self.patients is None:
            raise LookupError("no single stays are published")
        with open_warehouse(self.patients, self.settings, read_only=True) as warehouse:
            yield warehouse

    def rules(self, program_year: int) -> ProgramYear:
        return self.reference.program_year(program_year)

    def recall(self, key: Any) -> Any:
        """What was kept under the key, or None."""
        with self.lock:
            return self._answers.get(key)

    def keep(self, key: Any, answer: T) -> T:
        """Keep an answer for as long as this version lives (the oldest are forgotten first)."""
        with self.lock:
            while len(self._answers) >= KEPT_ANSWERS:
                self._answers.pop(next(iter(self._answers)))
            self._answers[key] = answer
        return answer

    def page(self, key: Any) -> tuple[bytes, str] | None:
        """A page as it was sent before: its bytes and media type."""
        with self.lock:
            found = self._pages.get(key)
            if found is not None:
                self._pages.move_to_end(key)
            return found

    def keep_page(self, key: Any, body: bytes, media_type: str) -> None:
        """Keep a page for as long as this version lives, those asked for longest ago making room."""
        with self.lock:
            if key not in self._pages:
                self._pages[key] = (body, media_type)
                self._pages_bytes += len(body)
            while self._pages_bytes > KEPT_PAGES_BYTES:
                self._pages_bytes -= len(self._pages.popitem(last=False)[1][0])

    def kept(self, key: Any, make: Callable[[], T]) -> T:
        """What `make` gives, made once for this version."""
        found: T | None = self.recall(key)
        return self.keep(key, make()) if found is None else found

    @cached_property
    def spans(self) -> dict[int, tuple[date, date]]:
        """By program year the first day, and the day after the last, of discharges whose outcome is known."""
        return known_spans(self.reference, self.settings, self.years, self.as_of, self.extract_end)

    @cached_property
    def dual_spans(self) -> dict[int, tuple[date, date]]:
        """By program year the first day, and the day after the last, of the stays that its dual proportion counts."""
        return known_spans(self.reference, self.settings, self.years, self.as_of, self.extract_end, followed_up=False)

    @cached_property
    def lists(self) -> list[dict[str, str | int]]:
        """Which version of every reference table is in use."""
        return self.reference.lists_in_use()

    @cached_property
    def tables(self) -> frozenset[str]:
        """The tables that there are: results of an earlier release may lack some."""
        with self.open() as warehouse:
            return frozenset(
                name for (name,) in warehouse.rows("select schema_name || '.' || table_name from duckdb_tables()")
            )

    def close(self) -> None:
        """Let go of the version's files, and of what was kept."""
        self._anchor.close()
        for kept in (self._answers, self._pages):
            while True:
                with self.lock:
                    if not kept:
                        break
                    kept.popitem()
                breathe()
        self._pages_bytes = 0


def known_spans(
    reference: Reference,
    settings: Settings,
    years: Collection[int],
    as_of: date,
    extract_end: date,
    *,
    followed_up: bool = True,
) -> dict[int, tuple[date, date]]:
    """By program year the first day, and the day after the last, of discharges whose outcome is known (or that are known at all)."""
    parameters = reference.parameters(settings.parameters)
    last = min(as_of, extract_end)
    if followed_up:
        last = as_of if parameters[FOLLOW_UP_THROUGH].value == "as_of" else last
        last -= timedelta(days=int(parameters[OUTCOME_DAYS].value))
    spans = {}
    for year in years:
        rules = reference.program_year(year)
        spans[year] = (rules.start, max(min(rules.end, last), rules.start) + timedelta(days=1))
    return spans


class Published:
    """The newest version of the results of an output folder; `current` looks whether a run has replaced it."""

    def __init__(self, settings: Settings, prepare: Callable[[Version], None] = lambda version: None) -> None:
        # One thread a question: many readers share two cores.
        self.settings = settings.model_copy(update={"threads": 1})
        self.source = review_database(settings)
        self._folder = _own_folder(settings.out)
        self._prepare = prepare
        self._number = 0
        self._loading = threading.Lock()
        self._identity = _identity(self.source)
        self._old: list[Version] = []
        self._version = self._load()

    def current(self) -> Version:
        """The version to answer from. A new one is read in the background; until it is ready the last one answers."""
        identity = _identity(self.source)
        if identity not in (None, self._identity) and self._loading.acquire(blocking=False):
            self._identity = identity
            threading.Thread(target=self._replace, daemon=True).start()
        return self._version

    def _replace(self) -> None:
        try:
            with at_leisure():
                fresh = self._load()
                self._old.append(self._version)
                self._version = fresh
                # The version before the last has no request left that began under it.
                while len(self._old) > 1:
                    self._old.pop(0).close()
        except Exception:
            # The last good version keeps answering, until a run replaces the file again.
            return
        finally:
            self._loading.release()

    def _load(self) -> Version:
        self._number += 1
        path = self._folder / f"review-{self._number}.duckdb"
        published_at = datetime.fromtimestamp(self.source.stat().st_mtime, tz=UTC)
        _link(self.source, path)
        patients = None
        if self.settings.publish_patients and (self.source.with_name(PATIENTS)).is_file():
            patients = self._folder / f"patients-{self._number}.duckdb"
            _link(self.source.with_name(PATIENTS), patients)
        anchor = ExitStack()
        for each in (path, patients):
            if each is not None:
                anchor.callback(each.unlink, missing_ok=True)
                anchor.enter_context(open_warehouse(each, self.settings, read_only=True))
        try:
            with open_warehouse(path, self.settings, read_only=True) as warehouse:
                version = _read(warehouse, path, patients, self.settings, published_at, anchor)
            self._prepare(version)
            return version
        except Exception:
            anchor.close()
            raise

    def close(self) -> None:
        """Let go of every version and remove the links."""
        for version in (*self._old, self._version):
            version.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _own_folder(out: Path) -> Path:
    """A folder of this process for its links, beside the results so that links are possible; what killed processes left goes."""
    for left in out.glob(".serve-*"):
        number = left.name.split("-")[1]
        if number.isdigit() and not _alive(int(number)):
            shutil.rmtree(left, ignore_errors=True)
    try:
        return Path(tempfile.mkdtemp(prefix=f".serve-{os.getpid()}-", dir=out))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="hrrp-serve-"))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
        target.chmod(0o600)


def _read(
    warehouse: Warehouse,
    path: Path,
    patients: Path | None,
    settings: Settings,
    published_at: datetime,
    anchor: ExitStack,
) -> Version:
    reference = Reference(settings.site_reference)
    ((as_of, extract_end),) = warehouse.rows("select as_of, extract_end from intake.run")
    years = tuple(year for (year,) in warehouse.rows("select program_year from intake.run_program_years order by 1"))
    spans = known_spans(reference, settings, years, as_of, extract_end)
    notes: dict[int, list[str]] = {}
    for year, note in warehouse.rows("select program_year, note from result.notes order by program_year, position"):
        notes.setdefault(year, []).append(note)
    files = _records(
        warehouse,
        "select source_file, canonical_file, format, bytes, sha256, rows_read, rows_kept, rows_rejected, duplicates "
        "from intake.source_files left join staging.row_accounting using (source_file, canonical_file, rows_read) "
        "order by source_file, canonical_file",
    )
    return Version(
        path=path,
        patients=patients,
        settings=settings,
        published_at=published_at,
        as_of=as_of,
        extract_end=extract_end,
        years=years,
        hospitals=_hospitals(warehouse, spans),
        notes={year: tuple(lines) for year, lines in notes.items()},
        files=files,
        rejects=_optional(warehouse, "result.reject_counts", "order by source_file, rows_rejected desc, reason"),
        inputs=dict(warehouse.rows("select input, present from intake.inputs order by input")),
        skipped=_records(warehouse, "select * from staging.skipped_rules order by all"),
        checks=_optional(warehouse, "result.quality_checks", "order by passed, table_name, check_name"),
        proofs=_optional(warehouse, "result.proofs", "order by made_at desc, kind, ccn, program_year"),
        reference=reference,
        _anchor=anchor,
    )


def _hospitals(warehouse: Warehouse, spans: Mapping[int, tuple[date, date]]) -> dict[str, Hospital]:
    measures: dict[str, dict[tuple[int, str], dict[str, Any]]] = {}
    for row in _each(warehouse, "select * from result.hospital_measures order by ccn, program_year, measure"):
        measures.setdefault(row["ccn"], {})[row["program_year"], row["measure"]] = row
    totals: dict[str, dict[int, dict[str, Any]]] = {}
    for row in _each(warehouse, "select * from result.hospital_penalties order by ccn, program_year"):
        totals.setdefault(row["ccn"], {})[row["program_year"]] = row
    idle: dict[str, set[tuple[int, str]]] = {}
    for ccn, year, measure in warehouse.rows(
        "select ccn, program_year, measure from result.hospital_measures inner join result.forecasts "
        "using (program_year, ccn, measure) where figure = 'chance_of_contribution' and median = 0 "
        "and coalesce(contribution, 0) = 0"
    ):
        idle.setdefault(ccn, set()).add((year, measure))
    hospitals = {}
    for ccn, of_years in totals.items():
        breathe()
        hospitals[ccn] = Hospital(
            ccn=ccn,
            name=of_years[min(of_years)]["name"],
            state=of_years[min(of_years)]["state"],
            totals=of_years,
            measures=measures.get(ccn, {}),
            disclosure=disclose(measures.get(ccn, {}).values(), spans, frozenset(idle.get(ccn, ()))),
        )
    return hospitals


def _optional(warehouse: Warehouse, table: str, order: str) -> tuple[dict[str, Any], ...]:
    """A table that results of an earlier release may lack."""
    schema, name = table.split(".")
    found = warehouse.rows(
        "select 1 from duckdb_tables() where schema_name = $schema and table_name = $name",
        {"schema": schema, "name": name},
    )
    return _records(warehouse, f"select * from {table} {order}") if found else ()  # noqa: S608


def _each(warehouse: Warehouse, sql: str) -> Iterator[dict[str, Any]]:
    """The rows of a large table, fetched in pieces."""
    for rows in warehouse.batches(sql):
        breathe()
        yield from rows


def _records(warehouse: Warehouse, sql: str, values: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], ...]:
    """Rows as dictionaries of plain Python values, missing ones None."""
    return tuple(warehouse.records(sql, values))


def records(table: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """The rows of a data frame as dictionaries of plain Python values, missing ones None."""
    plain = table.astype(object).where(table.notna(), None)
    return tuple({str(name): value for name, value in row.items()} for row in plain.to_dict(orient="records"))


def in_order(by_measure: Mapping[str, T]) -> list[tuple[str, T]]:
    """Measures in the order of CMS's reports."""
    return [(measure, by_measure[measure]) for measure in MEASURES if measure in by_measure]
