"""Reading the reference tables: what CMS published, for which program year, from which source.

A table is a CSV file of `data/reference`; a site may lay rows of its own over it (module `site`). A figure that CMS has not
published for a year is missing; `Published` then carries the last published one and says so in `note`, so that a result can
name its stand-ins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from hrrp.errors import InputContractError, RulesMissingError, UsageError
from hrrp.program.measures import MEASURES
from hrrp.program.site import (
    LIST_KEYS,
    ROW_KEYS,
    lay_over,
    read_shipped,
    read_site,
    shipped_columns,
    site_file,
    site_tables,
)
from hrrp.settings import reference_dir

__all__ = ["ROW_KEYS", "Parameter", "Period", "ProgramYear", "Published", "PublishedModel", "Reference"]

T = TypeVar("T")

# What a year must state before anything can be computed for it; the figures that CMS publishes late have stand-ins.
YEAR_RULES = ("max_reduction", "method", "medicare_advantage", "covid_rule", "poa_rule")


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
        which = "last" if self.year_used < self.program_year else "first"
        return f"FY{self.program_year} {self.what} not published: FY{self.year_used}'s used ({which} published)"


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
        """Every table, in alphabetical order."""
        return sorted(path.stem for path in self.shipped.glob("*.csv"))

    def site_tables(self) -> list[str]:
        """The tables that the site's own folder has rows for, for the result's notes."""
        return site_tables(self.site, self.shipped)

    def rows(self, table: str) -> list[dict[str, str]]:
        """The rows of `table`, every value as text; the site's rows win.

        Raises UsageError where there is no such table, InputContractError where the site's file for it is not as expected.
        """
        if table not in self._tables:
            rows = read_shipped(self.shipped, table)
            if rows is None:
                raise UsageError(f"There is no reference table '{table}' in {self.shipped}.")
            path = site_file(self.site, table)
            if path is not None:
                columns = shipped_columns(self.shipped, table)
                rows = lay_over(table, rows, read_site(path, table, columns, self._kinds(table)), columns)
            self._tables[table] = rows
        return self._tables[table]

    def _kinds(self, table: str) -> dict[str, str]:
        """DuckDB type of each column of a table, as the data dictionary says."""
        if table == "data_dictionary" or "data_dictionary" not in self.table_names():
            return {}
        return {
            row["column_name"]: row["type"]
            for row in self.rows("data_dictionary")
            if row["table_name"] == f"reference.{table}"
        }

    def lists_in_use(self) -> list[dict[str, str | int]]:
        """Which version of every table ran: table, rows, sha256 (first 12 digits, of the file or both files), origin.

        `origin` is 'shipped', 'site' (the site's file replaces the table) or 'shipped and site' (its rows lie over it).
        """
        found: list[dict[str, str | int]] = []
        own = self.site_tables()
        for table in self.table_names():
            if table == "data_dictionary":
                continue
            shipped, path = self.shipped / f"{table}.csv", site_file(self.site, table) if table in own else None
            whole = path is not None and table not in ROW_KEYS and table not in LIST_KEYS
            files = [each for each in (None if whole else shipped, path) if each is not None]
            digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
            origin = "shipped" if path is None else "site" if whole else "shipped and site"
            found.append({"table": table, "rows": len(self.rows(table)), "sha256": digest, "origin": origin})
        return found

    @cached_property
    def program_years(self) -> dict[int, ProgramYear]:
        """Every listed program year, oldest first; a year that a site has begun to add and not finished is left out."""
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
            if year not in periods or year not in in_payment or not all(row[name] for name in YEAR_RULES):
                continue
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
                "Choose one of these, or add the year to the site's reference folder: program_years.csv with "
                f"{', '.join(YEAR_RULES)}, applicable_periods.csv and program_year_measures.csv."
            )
        return years[year]

    def year_notes(self, year: int) -> list[str]:
        """What a result for the year has to say of its rules: medium confidence, measures left out, measures announced."""
        rules = self.program_year(year)
        notes = []
        unsure = [row for row in self._of_year("applicable_periods", year) if row["confidence"] != "high"]
        if rules.confidence != "high":
            notes.append(f"FY{year} rules are of {rules.confidence} confidence: {rules.note or rules.source}")
        elif unsure:
            notes.append(
                f"FY{year} applicable period is of {unsure[0]['confidence']} confidence: {unsure[0]['source']}"
            )
        for row in self._of_year("program_year_measures", year):
            if row["in_payment"] == "false":
                notes.append(f"FY{year}: {row['measure']} is computed but not in the payment formula ({row['source']})")
        for row in self.rows("announced_measures"):
            if year >= int(row["confidential_from"]):
                notes.append(f"{row['measure']} is not computed: it {row['note']}")
        return notes

    def list_notes(self) -> list[str]:
        """Where the code lists are this project's own approximation of lists that CMS does not publish in full."""
        notes = []
        used = {row["cc"] for row in self.rows("risk_variable_ccs")}
        own = {row["cc"] for row in self.rows("condition_categories") if row["mapping_source"] == "gap prefix"} & used
        if "cc_icd10cm" not in self.site_tables():
            notes.append(
                f"condition categories: the codes of {len(own)} of the {len(used)} that the measures use are this project's, "
                "for want of a published map; risk factors are close to CMS's, not equal (cc_icd10cm; a site can bring its own)"
            )
        # Roles that a parameter switches on are off by default, and the parameter's own note speaks for them.
        low = sorted(
            {
                f"{row['measure']} {row['role']}"
                for row in self.rows("cohort_codes")
                if row["confidence"] == "low"
                and not row["role"].startswith("uncertain")
                and "_optional" not in row["role"]
            }
        )
        if low:
            notes.append(
                f"cohort codes in part of low confidence: {', '.join(low)} (cohort_codes; a site can bring its own)"
            )
        return notes

    def _of_year(self, table: str, year: int) -> list[dict[str, str]]:
        return [row for row in self.rows(table) if row["program_year"] == str(year)]

    def check_measure(self, measure: str) -> str:
        """The measure, if it is one of the six.

        Raises RulesMissingError for a measure that is announced and not yet defined, UsageError for any other name.
        """
        if measure in MEASURES:
            return measure
        for row in self.rows("announced_measures"):
            if measure.upper() == row["measure"]:
                raise RulesMissingError(
                    f"No rules for {row['measure']}: it {row['note']} ({row['source']}). "
                    f"Choose one of {', '.join(MEASURES)}."
                )
        raise UsageError(f"There is no measure '{measure}'. Choose one of {', '.join(MEASURES)}.")

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
        self,
        table: str,
        complete: Callable[[Mapping[Any, float]], bool],
        key: Callable[[dict[str, str]], Any],
        value: str,
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
        self.check_measure(measure)
        known: dict[int, dict[str, float]] = {}
        for row in self.rows("risk_coefficients"):
            if row["measure"] == measure and row["coefficient"] != "":
                known.setdefault(int(row["program_year"]), {})[row["variable_key"]] = float(row["coefficient"])
        models = {}
        for known_year, figures in known.items():
            if "national_intercept" not in figures:
                raise InputContractError(
                    f"risk_coefficients has rows for FY{known_year} {measure} and no national_intercept among them. "
                    "Add it to the site's risk_coefficients.csv, or remove the other rows of that model."
                )
            intercept = figures.pop("national_intercept")
            models[known_year] = PublishedModel(measure, intercept, figures)
        return self._last_published(models, year, f"risk model of {measure}")

    def between_hospital_variance(self, measure: str) -> tuple[float, str]:
        """tau squared to use where no report of the site gives it, and its confidence."""
        self.check_measure(measure)
        for row in self.rows("between_hospital_variance"):
            if row["measure"] == measure:
                return float(row["tau2"]), row["confidence"]
        raise RulesMissingError(f"between_hospital_variance.csv has no row for {measure}.")

    def readmissions_elsewhere(self, measure: str) -> tuple[float, float, str]:
        """Share of readmissions that go to another hospital, how much hospitals differ in it, and its confidence."""
        self.check_measure(measure)
        for row in self.rows("readmissions_elsewhere"):
            if row["measure"] == measure:
                return float(row["share"]), float(row["standard_error"]), row["confidence"]
        raise RulesMissingError(f"readmissions_elsewhere.csv has no row for {measure}.")

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
                if kind in {"integer", "double"} and value < 0:
                    raise UsageError(f"Parameter {name}: {text} is below zero, which no rule has.")
                if choices and text not in choices:
                    raise UsageError(f"Parameter {name}: '{text}' is not one of {', '.join(choices)}.")
            found[name] = Parameter(name, value, default, choices, row["confidence"], row["meaning"], row["source"])
        if given:
            raise UsageError(f"Unknown parameters: {', '.join(sorted(given))}. parameters.csv lists those that exist.")
        return found
