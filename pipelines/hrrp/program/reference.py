"""Reading the reference tables: what CMS published, for which program year, from which source.

A table is a CSV file of `data/reference`; a site may lay rows of its own beside it (`data/site/<table>.csv`), which win over
shipped rows with the same key. A figure that CMS has not published for a year is missing; `Published` then carries the last
published one and says so in `note`, so that a result can name its stand-ins.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from hrrp.errors import RulesMissingError, UsageError
from hrrp.program.measures import MEASURES
from hrrp.settings import reference_dir

T = TypeVar("T")

# The columns that identify a row, for tables that a site may add to or override row by row. Tables that are not listed
# here are replaced whole by a site's file of the same name (a site's own cohort sheet, CCS map or condition-category map).
ROW_KEYS: dict[str, tuple[str, ...]] = {
    "program_years": ("program_year",),
    "applicable_periods": ("program_year", "segment"),
    "program_year_measures": ("program_year", "measure"),
    "peer_group_medians": ("program_year", "peer_group", "measure"),
    "peer_group_cuts": ("program_year", "peer_group"),
    "national_rates": ("program_year", "measure"),
    "risk_coefficients": ("program_year", "measure", "variable_key"),
    "between_hospital_variance": ("measure",),
    "parameters": ("parameter",),
}


@dataclass(frozen=True)
class Period:
    """One unbroken run of index discharge dates, both ends included."""

    start: date
    end: date


@dataclass(frozen=True)
class ProgramYear:
    """One program year (fiscal year of payment) as the reference tables state it.

    `max_reduction` is a fraction (0.03); `method` is 'nonstratified' (before FY2019) or 'stratified'; `neutrality_modifier` is
    None where CMS has not published one; `covid_rule` is 'none' or 'excluded'; `poa_rule` is 'complication_list' or
    'present_on_admission'.
    """

    program_year: int
    periods: tuple[Period, ...]
    measures_in_payment: tuple[str, ...]
    max_reduction: float
    method: str
    neutrality_modifier: float | None
    medicare_advantage: bool
    covid_rule: str
    poa_rule: str
    confidence: str
    note: str
    source: str

    @property
    def start(self) -> date:
        return self.periods[0].start

    @property
    def end(self) -> date:
        return self.periods[-1].end

    @property
    def payment_start(self) -> date:
        """First day of the payment year: 1 October of the calendar year before."""
        return date(self.program_year - 1, 10, 1)

    @property
    def payment_end(self) -> date:
        return date(self.program_year, 9, 30)

    def is_being_earned(self, on: date) -> bool:
        """Applicable period begun, payment year not begun."""
        return self.start <= on < self.payment_start


@dataclass(frozen=True)
class Published(Generic[T]):
    """A published figure, the year it was asked for and the year that it is of."""

    value: T
    what: str
    program_year: int
    year_used: int

    @property
    def is_stand_in(self) -> bool:
        return self.year_used != self.program_year

    @property
    def note(self) -> str | None:
        """One sentence for the result's notes, or None when the figure is the year's own."""
        if not self.is_stand_in:
            return None
        return f"FY{self.program_year} {self.what} not published: FY{self.year_used}'s used (last published)"


@dataclass(frozen=True)
class PublishedModel:
    """CMS's national risk model of one measure: logit P = intercept + sum(coefficient * variable), hospital effect zero."""

    measure: str
    intercept: float
    coefficients: Mapping[str, float]


@dataclass(frozen=True)
class Parameter:
    """A named choice where CMS's rule is unknown or of less than high confidence, or a threshold of a rule."""

    name: str
    value: Any
    default: Any
    choices: tuple[str, ...]
    confidence: str
    meaning: str
    source: str

    @property
    def is_overridden(self) -> bool:
        return bool(self.value != self.default)


def _number(text: str) -> float | None:
    return float(text) if text.strip() else None


def _parse(text: str, kind: str) -> Any:
    if kind == "boolean":
        if text.lower() not in {"true", "false"}:
            raise ValueError(text)
        return text.lower() == "true"
    return {"integer": int, "double": float, "varchar": str}[kind](text)


class Reference:
    """All reference tables, the shipped ones with a site's rows laid over them."""

    def __init__(self, site: Path | None = None, shipped: Path | None = None) -> None:
        self.shipped = shipped or reference_dir()
        self.site = site
        self._tables: dict[str, list[dict[str, str]]] = {}

    def table_names(self) -> list[str]:
        """Every table, shipped or site's."""
        folders = [folder for folder in (self.shipped, self.site) if folder is not None and folder.is_dir()]
        return sorted({path.stem for folder in folders for path in folder.glob("*.csv")})

    def site_tables(self) -> list[str]:
        """The tables that the site's own folder overrides, for the result's notes."""
        if self.site is None or not self.site.is_dir():
            return []
        return sorted(path.stem for path in self.site.glob("*.csv"))

    def rows(self, table: str) -> list[dict[str, str]]:
        """The rows of `table`, every value as text; the site's rows win.

        Raises UsageError where there is no such table.
        """
        if table not in self._tables:
            shipped, own = self._read(self.shipped, table), self._read(self.site, table)
            if shipped is None and own is None:
                raise UsageError(f"There is no reference table '{table}' in {self.shipped}.")
            key = ROW_KEYS.get(table)
            if own is None or shipped is None:
                merged = own if shipped is None else shipped
            elif key is None:
                merged = own
            else:
                by_key = {tuple(row[name] for name in key): row for row in shipped}
                for row in own:
                    place = tuple(row[name] for name in key)
                    by_key[place] = {**by_key.get(place, dict.fromkeys(shipped[0], "")), **row}
                merged = list(by_key.values())
            self._tables[table] = merged or []
        return self._tables[table]

    @staticmethod
    def _read(folder: Path | None, table: str) -> list[dict[str, str]] | None:
        path = folder / f"{table}.csv" if folder is not None else None
        if path is None or not path.is_file():
            return None
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return list(csv.DictReader(lines))

    @cached_property
    def program_years(self) -> dict[int, ProgramYear]:
        """Every listed program year, oldest first."""
        periods: dict[int, list[Period]] = {}
        for row in sorted(self.rows("applicable_periods"), key=lambda row: (row["program_year"], int(row["segment"]))):
            period = Period(date.fromisoformat(row["start_date"]), date.fromisoformat(row["end_date"]))
            periods.setdefault(int(row["program_year"]), []).append(period)
        in_payment: dict[int, set[str]] = {}
        for row in self.rows("program_year_measures"):
            if row["in_payment"] == "true":
                in_payment.setdefault(int(row["program_year"]), set()).add(row["measure"])
        years = {}
        for row in self.rows("program_years"):
            year = int(row["program_year"])
            years[year] = ProgramYear(
                program_year=year,
                periods=tuple(periods[year]),
                measures_in_payment=tuple(measure for measure in MEASURES if measure in in_payment[year]),
                max_reduction=float(row["max_reduction"]),
                method=row["method"],
                neutrality_modifier=_number(row["neutrality_modifier"]),
                medicare_advantage=row["medicare_advantage"] == "true",
                covid_rule=row["covid_rule"],
                poa_rule=row["poa_rule"],
                confidence=row["confidence"],
                note=row["note"],
                source=row["source"],
            )
        return dict(sorted(years.items()))

    def program_year(self, year: int) -> ProgramYear:
        """The rules of one program year.

        Raises RulesMissingError for a year that the tables do not list.
        """
        years = self.program_years
        if year not in years:
            raise RulesMissingError(
                f"No rules for program year FY{year}: the reference tables list FY{min(years)} to FY{max(years)}. "
                "Choose one of these, or add the year to the site's reference folder (program_years.csv, applicable_periods.csv)."
            )
        return years[year]

    def years_being_earned(self, on: date) -> tuple[int, ...]:
        """Program years whose applicable period has begun and whose payment year has not, on the date `on`."""
        return tuple(year for year, rules in self.program_years.items() if rules.is_being_earned(on))

    def _last_published(self, available: Mapping[int, T], year: int, what: str) -> Published[T]:
        """The figure of `year`, else of the newest year before it, else of the oldest."""
        if not available:
            raise RulesMissingError(f"No {what} has been published for any year, so FY{year} has no stand-in for it.")
        earlier = [known for known in available if known <= year]
        used = max(earlier) if earlier else min(available)
        return Published(available[used], what, year, used)

    def _by_year(
        self, table: str, complete: Callable[[Mapping[Any, float]], bool], key: Callable[[dict[str, str]], Any], value: str
    ) -> dict[int, dict[Any, float]]:
        grouped: dict[int, dict[Any, float]] = {}
        for row in self.rows(table):
            if row[value] != "":
                grouped.setdefault(int(row["program_year"]), {})[key(row)] = float(row[value])
        return {year: figures for year, figures in grouped.items() if complete(figures)}

    def neutrality_modifier(self, year: int) -> Published[float]:
        """The neutrality modifier, or the last published one."""
        known = {y: r.neutrality_modifier for y, r in self.program_years.items() if r.neutrality_modifier is not None}
        return self._last_published(known, year, "neutrality modifier")

    def peer_group_medians(self, year: int) -> Published[dict[tuple[int, str], float]]:
        """Median ERR by (peer group, measure): a year counts as published when all five groups are known."""
        known = self._by_year(
            "peer_group_medians",
            lambda figures: {group for group, _ in figures} == {1, 2, 3, 4, 5},
            lambda row: (int(row["peer_group"]), row["measure"]),
            "median_err",
        )
        return self._last_published(known, year, "peer group medians")

    def peer_group_cuts(self, year: int) -> Published[dict[int, float]]:
        """The highest dual proportion of each peer group, as observed in the published file."""
        known = self._by_year(
            "peer_group_cuts",
            lambda figures: len(figures) == 5,
            lambda row: int(row["peer_group"]),
            "highest_dual_proportion",
        )
        return self._last_published(known, year, "peer group cuts")

    def national_rates(self, year: int) -> Published[dict[str, float]]:
        """National observed unplanned readmission rate by measure, a fraction."""
        known = self._by_year(
            "national_rates", bool, lambda row: row["measure"], "national_observed_unplanned_30d_rate"
        )
        return self._last_published(known, year, "national readmission rates")

    def published_model(self, measure: str, year: int) -> Published[PublishedModel]:
        """CMS's national model of a measure (risk_coefficients.csv; the intercept is its row `national_intercept`)."""
        known: dict[int, dict[str, float]] = {}
        for row in self.rows("risk_coefficients"):
            if row["measure"] == measure and row["coefficient"] != "":
                known.setdefault(int(row["program_year"]), {})[row["variable_key"]] = float(row["coefficient"])
        models = {}
        for known_year, figures in known.items():
            intercept = figures.pop("national_intercept")
            models[known_year] = PublishedModel(measure, intercept, figures)
        return self._last_published(models, year, f"risk model of {measure}")

    def between_hospital_variance(self, measure: str) -> tuple[float, str]:
        """tau squared to use where no report of the site gives it, and its confidence."""
        for row in self.rows("between_hospital_variance"):
            if row["measure"] == measure:
                return float(row["tau2"]), row["confidence"]
        raise RulesMissingError(f"between_hospital_variance.csv has no row for {measure}.")

    def parameters(self, overrides: Mapping[str, Any] | None = None) -> dict[str, Parameter]:
        """Every named parameter of the rules with its value, after a site's overrides (`[parameters]` in hrrp.toml).

        Raises UsageError for an unknown name or a value that is not among the choices.
        """
        given = dict(overrides or {})
        found = {}
        for row in self.rows("parameters"):
            name, kind = row["parameter"], row["type"]
            choices = tuple(row["choices"].split())
            default = _parse(row["default_value"], kind)
            value = default
            if name in given:
                text = str(given.pop(name))
                try:
                    value = _parse(text, kind)
                except ValueError:
                    raise UsageError(f"Parameter {name}: '{text}' is not of type {kind}; see parameters.csv.") from None
                if choices and text not in choices:
                    raise UsageError(f"Parameter {name}: '{text}' is not one of {', '.join(choices)}.")
            found[name] = Parameter(name, value, default, choices, row["confidence"], row["meaning"], row["source"])
        if given:
            raise UsageError(f"Unknown parameters: {', '.join(sorted(given))}. parameters.csv lists those that exist.")
        return found
