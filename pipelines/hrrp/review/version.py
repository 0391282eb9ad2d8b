"""One version of the published results as pages read it: laid out by hospital in one file, so that a page is a look-up.

`hrrp.review.prepare` writes the file once for each version of the review database, from it alone; `Store` reads it. Questions that
many pages ask are kept, in memory or already in the file. The database of single stays, where there is one, is asked directly.
"""

from __future__ import annotations

import pickle
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import quote

import pandas as pd

from hrrp.program import ProgramYear, Reference
from hrrp.review.suppression import Disclosure
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, open_warehouse

KEPT_ANSWERS = 300
KEPT_PAGES_BYTES = 64_000_000
OUTCOME_DAYS, FOLLOW_UP_THROUGH = "outcome_days", "follow_up_through"

T = TypeVar("T")


class Store:
    """Values by key, in a file that is written once and then only read; both by this program, in a folder of its owner's."""

    def __init__(self, path: Path) -> None:
        address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
        self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        self._lock = threading.Lock()

    def get(self, key: Any) -> Any:
        """The value of the key, made anew at each call; None where there is none."""
        with self._lock:
            found = self._connection.execute("select value from kept where key = ?", (repr(key),)).fetchone()
        return None if found is None else pickle.loads(found[0])

    def close(self) -> None:
        with self._lock:
            self._connection.close()


class StoreWriter:
    """Fills the file of a `Store`."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path)
        self._connection.executescript(
            "pragma page_size = 16384; pragma journal_mode = off; pragma synchronous = off; "
            "create table kept (key text primary key, value blob not null);"
        )

    def put(self, key: Any, value: Any) -> None:
        text = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        self._connection.execute("insert into kept values (?, ?)", (repr(key), text))

    def close(self) -> None:
        self._connection.commit()
        self._connection.close()


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


class Hospitals(Mapping[str, Hospital]):
    """The hospitals of a version by CCN, each read when it is asked for."""

    def __init__(self, ccns: Collection[str], store: Store) -> None:
        self._ccns = dict.fromkeys(ccns)
        self._store = store

    def __getitem__(self, ccn: str) -> Hospital:
        if ccn not in self._ccns:
            raise KeyError(ccn)
        return cast("Hospital", self._store.get(("hospital", ccn)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._ccns)

    def __len__(self) -> int:
        return len(self._ccns)


@dataclass(frozen=True)
class Facts:
    """What is read once a version and concerns the run as a whole."""

    published_at: datetime
    as_of: date
    extract_end: date
    years: tuple[int, ...]
    ccns: tuple[str, ...]
    notes: Mapping[int, tuple[str, ...]]
    files: tuple[Mapping[str, Any], ...]
    rejects: tuple[Mapping[str, Any], ...]
    inputs: Mapping[str, bool]
    skipped: tuple[Mapping[str, Any], ...]
    checks: tuple[Mapping[str, Any], ...]
    proofs: tuple[Mapping[str, Any], ...]
    # Reasons for an exclusion in the order in which they are asked, with their meaning.
    reasons: Mapping[str, str]


class Version:
    """One version of the published results: what every page needs, and what was asked of it before."""

    def __init__(self, name: str, path: Path, patients: Path | None, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.reference = Reference(settings.site_reference)
        self.lock = threading.RLock()
        self._answers: OrderedDict[Any, Any] = OrderedDict()
        self._pages: OrderedDict[Any, tuple[bytes, str]] = OrderedDict()
        self._pages_bytes = 0
        self._files = (path, patients)
        self._anchor = ExitStack()
        self.store = Store(path)
        self._anchor.callback(self.store.close)
        try:
            self.facts: Facts = self.store.get("facts")
            self._patients = (
                None
                if patients is None
                else self._anchor.enter_context(open_warehouse(patients, settings, read_only=True))
            )
        except Exception:
            self._anchor.close()
            raise
        self.hospitals: Mapping[str, Hospital] = Hospitals(self.facts.ccns, self.store)

    @property
    def years(self) -> tuple[int, ...]:
        return self.facts.years

    @property
    def as_of(self) -> date:
        return self.facts.as_of

    @property
    def extract_end(self) -> date:
        return self.facts.extract_end

    @property
    def published_at(self) -> datetime:
        return self.facts.published_at

    @property
    def notes(self) -> Mapping[int, tuple[str, ...]]:
        return self.facts.notes

    @property
    def has_patients(self) -> bool:
        """Whether single stays are published."""
        return self._patients is not None

    @contextmanager
    def open_patients(self) -> Iterator[Warehouse]:
        """A short-lived read-only connection to the single stays of this version, where they are published."""
        if self._patients is None:
            raise LookupError("no single stays are published")
        with self._patients.beside() as warehouse:
            yield warehouse

    def rules(self, program_year: int) -> ProgramYear:
        return self.reference.program_year(program_year)

    def recall(self, key: Any) -> Any:
        """What was kept under the key, or None."""
        with self.lock:
            found = self._answers.get(key)
            if found is not None:
                self._answers.move_to_end(key)
            return found

    def keep(self, key: Any, answer: T) -> T:
        """Keep an answer for as long as this version lives, those asked for longest ago making room."""
        with self.lock:
            self._answers[key] = answer
            while len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)
        return answer

    def kept(self, key: Any, make: Callable[[], T]) -> T:
        """The answer under the key: from memory, from the version's file, or what `make` gives."""
        found: T | None = self.recall(key)
        if found is None:
            found = self.store.get(key)
            found = self.keep(key, make() if found is None else found)
        return found

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

    @cached_property
    def spans(self) -> dict[int, tuple[date, date]]:
        """By program year the first day, and the day after the last, of discharges whose outcome is known."""
        return known_spans(self.reference, self.settings, self.years, self.as_of, self.extract_end)

    @cached_property
    def dual_spans(self) -> dict[int, tuple[date, date]]:
        """By program year the first day, and the day after the last, of the stays that its dual proportion counts."""
        return known_spans(self.reference, self.settings, self.years, self.as_of, self.extract_end, followed_up=False)

    def close(self) -> None:
        """Let go of the version's files, and of what was kept: piece by piece, as requests go on meanwhile."""
        self._anchor.close()
        for each in self._files:
            if each is not None:
                each.unlink(missing_ok=True)
        for kept in (self._answers, self._pages):
            while True:
                with self.lock:
                    if not kept:
                        break
                    kept.popitem()
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


def records(table: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """The rows of a data frame as dictionaries of plain Python values, missing ones None."""
    plain = table.astype(object).where(table.notna(), None)
    return tuple({str(name): value for name, value in row.items()} for row in plain.to_dict(orient="records"))
