"""What the workbook and the brief of one hospital and program year say, as a plain record, and how a file of it is put in place."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import hrrp
from hrrp.program import Period, ProgramYear
from hrrp.program.hospital_report import MONTHS
from hrrp.review.figures import percent
from hrrp.review.suppression import HIGHEST, Flow, Hidden

PATIENT_WARNING = (
    "holds rows of single patients (protected health information): it is readable by its owner alone; keep it that way."
)
_STAND_IN = re.compile(r"FY(\d+) (.+) not published: FY(\d+)'s used")


@dataclass(frozen=True)
class Report:
    """Everything that the two documents of one hospital and program year say; already as the reader may see it.

    Ratios are fractions, ranges [5 %, 95 %]; unknown is None, hidden an instance of `Hidden`. `measures` holds the figures to date
    with those at the end of the period; `years` the forecast of each program year of the run; `published` the last published
    figures by measure (None: of the hospital) and figure; `closed` the measures that are not shown in full.
    """

    ccn: str
    name: str | None
    rules: ProgramYear
    as_of: date
    extract_end: date
    files: tuple[str, ...]
    patient_level: bool
    closed: tuple[str, ...]
    share_of_period: float
    exempt: bool
    table_1: dict[str, Any]
    cap: float
    annual_payments: float | None
    forecast: dict[str, Any]
    years: dict[int, dict[str, Any]]
    measures: dict[str, dict[str, Any]]
    national_rates: dict[str, float]
    national_rates_year: int
    flows: dict[str, Flow]
    meanings: dict[str, str]
    break_even: dict[str, Any]
    published_year: int | None
    published: dict[str | None, dict[str, Any]]
    published_source: str | None
    notes: tuple[str, ...]

    @property
    def program_year(self) -> int:
        return self.rules.program_year

    @property
    def hospital(self) -> str:
        return f"{self.name} ({self.ccn})" if self.name else f"Hospital {self.ccn}"

    @property
    def period(self) -> str:
        """The applicable period in words, and how much of it has passed."""
        return f"{in_words(self.rules.periods)}; {percent(self.share_of_period, 0)} of it is over"

    @property
    def payment_year(self) -> str:
        return f"FY{self.program_year} (payments of October {self.program_year - 1} to September {self.program_year})"

    @property
    def source(self) -> str:
        return (
            f"hrrp {hrrp.__version__} on {len(self.files)} file(s) of the extract, discharges through {min(self.as_of, self.extract_end)}, "
            f"as of {self.as_of}"
        )

    @property
    def rule_year(self) -> str:
        return f"FY{self.program_year} ({self.rules.confidence} confidence; {self.rules.source})"

    @property
    def stand_ins(self) -> str:
        """The published figures of other years that stand in for this one's, shortened to one line."""
        return stand_ins(self.notes)

    @property
    def basis(self) -> str:
        """What stands under a figure of this program year: source, period, rule year, stand-ins, date."""
        last = min(self.as_of, self.extract_end, self.rules.end)
        return (
            f"hrrp {hrrp.__version__}, as of {self.as_of} · discharges {self.rules.start} to {last} · rule year FY{self.program_year} · "
            f"{stand_in_years(self.notes)}"
        )

    @property
    def basis_of_years(self) -> str:
        """The same of a figure of all program years of the run."""
        return (
            f"hrrp {hrrp.__version__}, as of {self.as_of} · each program year by its own rules, on its discharges so far · "
            f"{stand_in_years(self.notes)}"
        )

    @property
    def level(self) -> str:
        if self.patient_level:
            return "Patient level: nothing is hidden. Protected health information; do not pass on."
        return (
            f"Aggregate level: counts of 1 to {HIGHEST} patients, and what would give them away, are withheld; where a count is "
            "withheld, ratios and totals are rounded."
        )


def bounds(interval: Any) -> list[Any]:
    """Both ends of a range, both hidden where the range is."""
    return [interval, interval] if interval is None or isinstance(interval, Hidden) else list(interval)


def in_words(periods: Iterable[Period]) -> str:
    """The applicable period as the Hospital-Specific Report writes it."""

    def day(when: date) -> str:
        return f"{MONTHS[when.month - 1]} {when.day}, {when.year}"

    return " and ".join(f"{day(period.start)} through {day(period.end)}" for period in periods)


def stand_ins(notes: Iterable[str]) -> str:
    """'FY2027: neutrality modifier, peer group medians; FY2025: risk models' of the notes that name a stand-in, or 'none'."""
    by_year: dict[str, list[str]] = {}
    for note in notes:
        if found := _STAND_IN.match(note):
            named = re.sub(r"^risk model of .*", "risk models", found[2])
            listed = by_year.setdefault(found[3], [])
            if named not in listed:
                listed.append(named)
    return "; ".join(f"FY{year}: {', '.join(names)}" for year, names in by_year.items()) or "none"


def stand_in_years(notes: Iterable[str]) -> str:
    """'stand-ins of FY2027, FY2025', or that there are none."""
    found = sorted({int(year) for year in re.findall(r"FY(\d+)", stand_ins(notes))}, reverse=True)
    return f"stand-ins of {', '.join(f'FY{year}' for year in found)}" if found else "no stand-ins"


def write_in_place(path: Path, write: Callable[[Path], None], *, private: bool = False) -> None:
    """Let `write` fill a file beside `path`, which it then takes the place of in one step; private: for its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        part.chmod(0o600 if private else 0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
