"""What each view of the page says, as plain documents: read from one version of the results, already as the viewer may see it.

Templates and charts draw these documents and JSON prints them, so that nothing reaches a viewer by another way. Whatever is computed
from hidden figures for a viewer without patient level is computed from what that viewer is shown (totals of a table, order of its
rows), or over the open measures alone (what-if, break-even, value: `open_only`).
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import hrrp
from hrrp.outlook.forecast import Change, OwnDraws, national_draws, own_draws
from hrrp.outlook.national import national_figures
from hrrp.outlook.value import YearInputs, value_of_avoiding
from hrrp.outlook.what_if import Scenario, what_if
from hrrp.program import MEASURES, Reference
from hrrp.review.figures import day
from hrrp.review.forecasts import forecast_from
from hrrp.review.levels import blurred, open_only
from hrrp.review.report import stand_in_years, stand_ins
from hrrp.review.scenarios import Starting, break_even_document, scenario_document, starting_from
from hrrp.review.suppression import (
    EVERYTHING,
    HIDDEN,
    HIGHEST,
    Disclosure,
    Hidden,
    Intervals,
    Shown,
    coarse_chance,
    fold_flow,
    hide_measure,
    hide_total,
    is_small,
    shown_share,
)
from hrrp.review.version import Facts, Hospital, Version
from hrrp.review.viewers import Viewer
from hrrp.settings import Settings

PAGE_ROWS = 50
STALE_AFTER = timedelta(hours=48)
MARGIN = "readmission_margin_usd"
DAYS_A_YEAR = 365.25
# Totals that the list of hospitals shows, and the payments that their dollars are a share of.
LISTED = (
    "exempt",
    "payment_reduction_median",
    "payment_reduction_low",
    "payment_reduction_high",
    "chance_of_penalty",
    "penalty_usd_median",
    "share_of_period",
    "annual_base_operating_payments",
)
YEARS_OVER_65 = "years_over_65"
SORTS = ("name", "state", "likely", "chance", "dollars")
# Below so many expected readmissions in twelve months a sparkline shows chance alone.
FEWEST_EXPECTED = 5.0
# Fewer windows are no line.
FEWEST_WINDOWS = 4
# Risk factors named as those that move expected most.
MOST_NAMED = 5
# Hospitals whose draws are kept, 3 to 8 MB each.
HOSPITALS_ASKED_ABOUT = 8
# With so many stays a step of 5 % stands for five of them.
FEWEST_COMPARED = 100


class NotThereError(LookupError):
    """There is no such hospital, program year or measure, or the viewer may not see it; the page says no more than that."""


def disclosure_for(hospital: Hospital, viewer: Viewer) -> Disclosure:
    """How much of the hospital the viewer sees."""
    return EVERYTHING if viewer.patient_level else hospital.disclosure


def warm(version: Version, rest: float = 0.0) -> None:
    """Ask the first questions before anyone does: the lists of hospitals, the rules, the draws that all scenarios share.

    `rest` seconds pass between two of them, for requests that are answered meanwhile.
    """
    hospital = next(iter(version.hospitals.values()))
    patient_level = any(rights.level == "patient" for rights in version.settings.users.values())
    for viewer in (Viewer(), Viewer(patient_level=True)) if patient_level else (Viewer(),):
        for year in version.years:
            time.sleep(rest)
            system_view(version, viewer, program_year=year)
        for year in hospital.totals:
            place = Place(version, viewer, hospital, year)
            time.sleep(rest)
            hospital_view(place)
            what_if_view(place, Scenario())
            time.sleep(rest)
            for measure in MEASURES:
                measure_view(place, measure)
    method_view(version, Viewer())


def find(version: Version, viewer: Viewer, ccn: str, program_year: int | None = None) -> Hospital:
    """The hospital, if it is there and the viewer may see it.

    Raises NotThereError otherwise, and for a program year without results.
    """
    hospital = version.hospitals.get(ccn)
    if (
        hospital is None
        or not viewer.may_see(ccn)
        or (program_year is not None and program_year not in hospital.totals)
    ):
        raise NotThereError
    return hospital


def freshness(version: Version, now: datetime | None = None) -> dict[str, Any]:
    """What the banner says: how old the data and the results are, whether checks failed, rows were rejected, rules skipped."""
    now = now or datetime.now(tz=UTC)
    facts = version.facts
    read = sum(file["rows_read"] or 0 for file in facts.files)
    rejected = sum(file["rows_rejected"] or 0 for file in facts.files)
    return {
        "as_of": version.as_of,
        "extract_end": version.extract_end,
        "discharges_to": min(version.as_of, version.extract_end),
        "published_at": version.published_at,
        "is_stale": now - version.published_at > STALE_AFTER,
        "age_hours": (now - version.published_at).total_seconds() / 3600,
        "rows_read": read,
        "rows_rejected": rejected,
        "share_rejected": rejected / read if read else 0.0,
        "checks": len(facts.checks),
        "checks_failed": sum(1 for check in facts.checks if not check["passed"]),
        "rules_skipped": len(facts.skipped),
    }


# ---- system ----


def total_of_year(hospital: Hospital, program_year: int, viewer: Viewer) -> dict[str, Any]:
    """A hospital's totals of a program year as the viewer may see them, with `coarse` saying whether they are rounded."""
    coarse = disclosure_for(hospital, viewer).is_coarse(program_year)
    total = hide_total(hospital.totals[program_year], coarse, exact=viewer.patient_level) | {"coarse": coarse}
    if not viewer.patient_level:
        # A quotient of counts: `_dual_windows` shows it as far as it may be shown.
        total["dual_proportion"] = HIDDEN
    return total


def system_rows(
    hospitals: Iterable[Hospital], totals: Mapping[str, Mapping[int, Mapping[str, Any]]], program_year: int
) -> list[dict[str, Any]]:
    """Every hospital of a program year as the list shows it, from its `list_totals`."""
    rows = []
    for hospital in hospitals:
        if program_year in hospital.totals:
            of_years = totals[hospital.ccn]
            total = of_years[program_year]
            rows.append(
                {
                    "ccn": hospital.ccn,
                    "name": hospital.label,
                    "state": hospital.state or "",
                    "exempt": bool(total["exempt"]),
                    "coarse": total["coarse"],
                    "likely": total["payment_reduction_median"],
                    "low": total["payment_reduction_low"],
                    "high": total["payment_reduction_high"],
                    "chance": total["chance_of_penalty"],
                    "dollars": total["penalty_usd_median"],
                    "share_of_period": total["share_of_period"],
                    "years": {
                        year: {"likely": each["payment_reduction_median"], "coarse": each["coarse"]}
                        for year, each in of_years.items()
                        if year != program_year
                    },
                }
            )
    return rows


def list_totals(hospitals: Iterable[Hospital], patient_level: bool) -> dict[str, dict[int, dict[str, Any]]]:
    """Of every hospital and program year the totals that the list of hospitals shows, and what rounding them needs."""
    return {
        hospital.ccn: {
            year: hide_total({name: total[name] for name in LISTED}, coarse, exact=patient_level) | {"coarse": coarse}
            for year, total in hospital.totals.items()
            for coarse in (not patient_level and hospital.disclosure.is_coarse(year),)
        }
        for hospital in hospitals
    }


def system_view(
    version: Version,
    viewer: Viewer,
    *,
    program_year: int | None = None,
    state: str = "",
    name: str = "",
    sort: str = "likely",
    descending: bool = True,
    page: int = 1,
) -> dict[str, Any]:
    """Every hospital of the viewer with its penalty in one program year: filtered, sorted by what is shown, one page of rows."""
    year = program_year if program_year in version.years else version.years[min(1, len(version.years) - 1)]
    rows: list[dict[str, Any]] = version.kept(("system", year, viewer.patient_level), list)
    sort = sort if sort in SORTS else "likely"

    def choose() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        return _chosen(rows, viewer, state, name.strip().casefold(), sort, descending)

    # The whole list in one order is asked for page by page; what filters leave is short.
    key = ("list", year, viewer, sort, descending)
    ordered, summary = choose() if state or name.strip() else version.kept(key, choose)
    pages = max(1, math.ceil(len(ordered) / PAGE_ROWS))
    page = min(max(page, 1), pages)
    shown = ordered[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
    return {
        "program_year": year,
        "program_years": list(version.years),
        "share_of_period": next((row["share_of_period"] for row in rows), None),
        "state": state,
        "name": name,
        "sort": sort,
        "descending": descending,
        "page": page,
        "pages": pages,
        **summary,
        "rows": [row | version.store.get(("sparkline", viewer.patient_level, row["ccn"])) for row in shown],
    }


def _chosen(
    rows: Sequence[dict[str, Any]], viewer: Viewer, state: str, needle: str, sort: str, descending: bool
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows that the viewer sees and the filters leave, in order, and what stands above them."""
    seen = [row for row in rows if viewer.may_see(row["ccn"])]
    chosen = [
        row
        for row in seen
        if (not state or row["state"] == state)
        and (not needle or needle in row["name"].casefold() or row["ccn"].startswith(needle.upper()))
    ]
    chosen.sort(key=lambda row: (row["name"].casefold(), row["ccn"]))
    known = [row for row in chosen if _sortable(row[sort])]
    unknown = [row for row in chosen if not _sortable(row[sort])]
    known.sort(key=lambda row: row[sort].casefold() if isinstance(row[sort], str) else row[sort], reverse=descending)
    ordered = known + unknown
    likely = [row["likely"] for row in ordered if _sortable(row["likely"])]
    dollars = [row["dollars"] for row in ordered if _sortable(row["dollars"])]
    return ordered, {
        "hospitals": len(ordered),
        "hospitals_in_all": len(seen),
        "states": sorted({row["state"] for row in seen if row["state"]}),
        "with_penalty": sum(1 for value in likely if value > 0),
        "dollars": sum(dollars) if dollars else None,
        "highest": max(likely, default=None),
        "highest_coarse": any(row["coarse"] for row in chosen),
        "scale": max([row["high"] for row in chosen if _sortable(row["high"])], default=None),
    }


def _sortable(value: Any) -> bool:
    return value is not None and not isinstance(value, Hidden) and not (isinstance(value, float) and math.isnan(value))


# ---- trends ----


def trends_of(rows: Sequence[tuple[str, date, int, int, float]], seen: Disclosure) -> dict[str, list[dict[str, Any]]]:
    """Per measure the rolling twelve months that may be shown, oldest first, from a hospital's rows of result.rolling_measures:
    measure, month, index admissions, readmissions, expected readmissions. What is shown ties the counts of `seen`."""
    by_measure: dict[str, list[tuple[str, date, int, int, float]]] = {}
    for row in rows:
        by_measure.setdefault(row[0], []).append(row)
    shown = {}
    for measure, windows in by_measure.items():
        kept = []
        for _, last, admissions, returned, expected in reversed(windows):
            start, end = _next_month(last.replace(year=last.year - 1)), _next_month(last)
            cases, readmissions = int(admissions), int(returned)
            if cases and seen.admit_window(measure, start, end, cases, readmissions):
                kept.append(
                    {
                        "month": last,
                        "observed_rate": readmissions / cases,
                        "observed_to_expected": readmissions / expected,
                        "readmissions": readmissions,
                        "expected_readmissions": expected,
                    }
                )
        shown[measure] = kept[::-1]
    return shown


def _trends(place: Place) -> dict[str, list[dict[str, Any]]]:
    """The hospital's rolling twelve months as the viewer may see them."""
    key = ("trends", place.viewer.patient_level, place.hospital.ccn)
    return place.version.kept(key, dict)


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def sparkline_of(trends: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Observed over expected readmissions of several measures together, and which measures these are.

    The same measures in every window, or the line would jump with them: as many as have many windows in common.
    """
    by_month = {measure: {window["month"]: window for window in windows} for measure, windows in trends.items()}
    ordered = sorted(by_month, key=lambda measure: (-len(by_month[measure]), measure))
    best: tuple[list[str], list[date]] = ([], [])
    for count in range(1, len(ordered) + 1):
        months = sorted(set.intersection(*(set(by_month[measure]) for measure in ordered[:count])))
        if len(months) >= FEWEST_WINDOWS and count * len(months) > len(best[0]) * len(best[1]):
            best = (ordered[:count], months)
    together = [(month, [by_month[measure][month] for measure in best[0]]) for month in best[1]]
    expected = [sum(each["expected_readmissions"] for each in windows) for _, windows in together]
    if not expected or min(expected) < FEWEST_EXPECTED:
        return {"trend": [], "trend_of": []}
    return {
        "trend": [
            {"month": month, "observed_to_expected": sum(each["readmissions"] for each in windows) / total}
            for (month, windows), total in zip(together, expected, strict=True)
        ],
        "trend_of": [measure for measure in MEASURES if measure in best[0]],
    }


# ---- one hospital ----


@dataclass(frozen=True)
class Place:
    """One hospital in one program year, as one viewer sees it."""

    version: Version
    viewer: Viewer
    hospital: Hospital
    program_year: int

    @property
    def seen(self) -> Disclosure:
        return disclosure_for(self.hospital, self.viewer)

    @property
    def open_measures(self) -> tuple[str, ...]:
        return self.seen.open_measures(self.program_year)

    @property
    def closed_measures(self) -> tuple[str, ...]:
        return tuple(measure for measure in MEASURES if measure not in self.open_measures)

    @property
    def key(self) -> tuple[Any, ...]:
        return self.viewer.patient_level, self.hospital.ccn, self.program_year

    @property
    def rows(self) -> Mapping[str, Any]:
        """The hospital's rows of the published tables, nothing hidden yet."""
        return self.version.kept(("rows", self.hospital.ccn), dict)

    def forecast(self) -> dict[str, Any]:
        """The hospital's forecast as the run made it, nothing hidden yet."""
        of_year = {place: row for place, row in self.hospital.measures.items() if place[0] == self.program_year}
        return forecast_from(
            self.program_year,
            self.hospital.ccn,
            self.rows["forecasts"].get(self.program_year, ()),
            self.hospital.totals[self.program_year],
            {measure: row for (_, measure), row in of_year.items()},
            list(self.version.notes.get(self.program_year, ())),
        )

    def own_draws(self) -> OwnDraws:
        """The hospital's draws, the same in all its years: whoever asks one question about it asks the next."""
        settings = self.version.settings
        return _own_draws(self.hospital.ccn, settings.draws, settings.seed)

    def start(self, program_year: int | None = None) -> Starting:
        """What a question about the hospital starts from, over the measures that the viewer sees in full."""
        year = program_year or self.program_year
        return open_only(self._started(year)[0], self.seen.open_measures(year))

    @property
    def blurred_measures(self) -> tuple[str, ...]:
        """The open measures whose admissions still to come are one whole number at the viewer's level."""
        return tuple(measure for measure in self._started(self.program_year)[1] if measure in self.open_measures)

    def _started(self, year: int) -> tuple[Starting, tuple[str, ...]]:
        exact = self.viewer.patient_level

        def read() -> tuple[Starting, tuple[str, ...]]:
            figures = self.version.kept(("national", year), lambda: national_figures(self.version.reference, year))
            start = starting_from(year, self.hospital.name, self.rows["inputs"][year], figures)
            return (start, ()) if exact else blurred(start, self.version.rules(year))

        return self.version.kept(("starting", exact, self.hospital.ccn, year), read)


@lru_cache(maxsize=HOSPITALS_ASKED_ABOUT)
def _own_draws(ccn: str, draws: int, seed: int) -> OwnDraws:
    return own_draws(ccn, national_draws(draws, seed))


def place_of(version: Version, viewer: Viewer, ccn: str, program_year: int) -> Place:
    """The hospital and program year that a view is about.

    Raises NotThereError.
    """
    return Place(version, viewer, find(version, viewer, ccn, program_year), program_year)


def basis(place: Place) -> dict[str, str]:
    """What stands under every figure of a hospital: source, period, rule year, stand-ins, date; `years` for all program years."""

    def make() -> dict[str, str]:
        version, year = place.version, place.program_year
        rules = version.rules(year)
        last = min(version.as_of, version.extract_end, rules.end)
        source = f"hrrp {hrrp.__version__}, as of {day(version.as_of)}"
        return {
            "year": f"{source} · discharges {day(rules.start)} to {day(last)} · rule year FY{year} · "
            f"{stand_in_years(version.notes.get(year, ()))}",
            "years": f"{source} · each program year by its own rules, on its discharges so far · "
            f"{stand_in_years(note for each in place.hospital.totals for note in version.notes.get(each, ()))}",
        }

    return place.version.kept(("basis", place.program_year, tuple(place.hospital.totals)), make)


def hospital_view(place: Place) -> dict[str, Any]:
    """Everything that the hospital's page shows of one program year."""
    return place.version.kept(("hospital", *place.key), lambda: _hospital(place))


def _hospital(place: Place) -> dict[str, Any]:
    version, hospital, year = place.version, place.hospital, place.program_year
    forecast = place.forecast()
    stays = _dual_windows(place)
    total = total_of_year(hospital, year, place.viewer)
    coarse = total["coarse"]
    measures = {
        measure: hide_measure(
            dict(hospital.measures.get((year, measure), {})) | forecast["measures"][measure],
            place.seen.state(year, measure),
            exact=place.viewer.patient_level,
        )
        | {"state": place.seen.state(year, measure).value}
        for measure in MEASURES
    }
    top = hide_total(
        {name: value for name, value in forecast.items() if name != "measures"},
        coarse,
        exact=place.viewer.patient_level,
    )
    start = place.start()
    end = what_if(start.hospital, start.national, Change())
    return {
        "ccn": hospital.ccn,
        "name": hospital.label,
        "state": hospital.state,
        "program_year": year,
        "coarse": coarse,
        "total": total,
        "headline": headline(total, year),
        "fan": [
            {"program_year": each} | _fan(total_of_year(hospital, each, place.viewer))
            for each in sorted(hospital.totals)
        ],
        "measures": measures,
        "open_measures": list(place.open_measures),
        "closed_measures": list(place.closed_measures),
        "waterfall": _waterfall(place, end, measures, total),
        "chance_of_peer_group": top["chance_of_peer_group"],
        "spread": top["spread"],
        "trends": _trends(place),
        "dual": stays,
        "break_even": break_even_view(place),
        "worth": worth_view(place, ranges=False),
        "changes": _changes(place.rows["ledger"].get(year, ()), place),
        "stand_ins": stand_ins(forecast["notes"]),
        "notes": [note for note in forecast["notes"] if "not published" not in note],
        "rules": version.rules(year),
    }


def headline(total: Mapping[str, Any], program_year: int) -> dict[str, Any]:
    """The figures of the one sentence that a hospital's page begins with."""
    return {
        "program_year": program_year,
        "exempt": bool(total["exempt"]),
        "coarse": total["coarse"],
        "likely": total["payment_reduction_median"],
        "low": total["payment_reduction_low"],
        "high": total["payment_reduction_high"],
        "dollars": total["penalty_usd_median"],
        "chance": total["chance_of_penalty"],
        "share_of_period": total["share_of_period"],
    }


def _fan(total: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "likely": total["payment_reduction_median"],
        "low": total["payment_reduction_low"],
        "high": total["payment_reduction_high"],
        "chance": total["chance_of_penalty"],
        "share_of_period": total["share_of_period"],
        "dollars": total["penalty_usd_median"],
        "coarse": total["coarse"],
    }


def _waterfall(
    place: Place, end: Any, measures: Mapping[str, Mapping[str, Any]], total: Mapping[str, Any]
) -> dict[str, Any]:
    """Contributions that add up to the likely reduction of the headline.

    All open: the exact contributions on the expected course, the cap, and `chance`: what lies between that course and the middle of
    the distribution (a measure below its peer median earns nothing back, so chance to come adds more than it takes). Else: the open
    measures, and what the withheld ones and chance leave of the rounded total. A measure whose payments are unknown has no bar.
    """
    parts = {measure: end.measures[measure].contribution for measure in place.open_measures}
    parts = {measure: part for measure, part in parts.items() if math.isfinite(part)}
    whole = total["payment_reduction_median"]
    if not total["coarse"]:
        is_known = math.isfinite(end.reduction)
        return {
            "parts": parts,
            "closed": None,
            "cap": end.reduction - end.uncapped if is_known else 0.0,
            "chance": 0.0 if whole is None or not is_known else whole - end.reduction,
            "total": (end.reduction if is_known else None) if whole is None else whole,
            "basis": "the expected course of the rest of the period",
        }
    parts = {measure: round(part, 4) for measure, part in parts.items()}
    rest = None if whole is None else round(whole - sum(parts.values()), 4)
    return {
        "parts": parts,
        "closed": None if rest is None else max(rest, 0.0),
        "cap": 0.0 if rest is None else min(rest, 0.0),
        "chance": 0.0,
        "total": whole,
        "basis": "the expected course of the rest of the period; what is left of the rounded total is of withheld measures and chance",
    }


def _dual_windows(place: Place) -> dict[str, Any]:
    return place.version.kept(("dual windows", *place.key), lambda: _read_dual_windows(place))


def _read_dual_windows(place: Place) -> dict[str, Any]:
    """The dual proportion: of the period, over the rolling twelve months, and where the cuts of the peer groups lie.

    Without patient level a proportion is shown where its counts may stand beside all others shown, those of the workbook among them.
    """
    year = place.program_year
    of_years, windows = place.rows["dual"], place.rows["dual months"]
    hides, ties = not place.viewer.patient_level, Intervals()

    def may_see(start: date, end: date, dual: Any, stays: Any) -> bool:
        return not hides or (
            dual is not None and stays is not None and ties.admit(start, end, (dual, stays, stays - dual))
        )

    shown = {
        each: dual is None or may_see(*place.version.dual_spans[each], dual, stays)
        for each, (dual, stays, _, _) in sorted(of_years.items())
        if each in place.version.dual_spans
    }
    *_, proportion, basis = of_years.get(year, (None, "unknown"))
    kept = [
        {"month": month, "dual_proportion": _digits(value, 3 if hides else None)}
        for month, dual, stays, value in windows
        if may_see(_next_month(month.replace(year=month.year - 1)), _next_month(month), dual, stays)
    ]
    return {
        "dual_proportion": _digits(proportion, 3 if hides else None) if shown.get(year, not hides) else HIDDEN,
        "basis": basis,
        "windows": kept[::-1],
        "cuts": [float(cut) for cut in place.start().national.cuts],
    }


def _digits(value: Any, digits: int | None) -> Any:
    return value if value is None or digits is None else round(value, digits)


def _changes(ledger: Sequence[tuple[Any, ...]], place: Place) -> dict[str, Any] | None:
    """This night's forecast beside the last one before it. Without patient level rounded always: what was withheld then is not known."""
    by_place = {(as_of, measure, figure): median for as_of, measure, figure, _, median, _ in ledger}
    nights = sorted({as_of for as_of, _, _ in by_place})
    if len(nights) < 2:
        return None
    before, now = nights[-2:]
    coarse = not place.viewer.patient_level

    def reduction(night: Any) -> Any:
        return _digits(by_place.get((night, None, "reduction")), 3 if coarse else None)

    def chance(night: Any) -> Any:
        value = by_place.get((night, None, "chance_of_penalty"))
        return coarse_chance(value) if coarse else value

    return {
        "before": before,
        "now": now,
        "nights": len(nights),
        "coarse": coarse,
        "reduction": [reduction(before), reduction(now)],
        "chance": [chance(before), chance(now)],
        "errs": {}
        if coarse
        else {measure: [by_place.get((night, measure, "err")) for night in (before, now)] for measure in MEASURES},
        "series": [{"as_of": night, "likely": reduction(night), "chance": chance(night)} for night in nights],
    }


def break_even_view(place: Place) -> dict[str, Any]:
    """Fewest readmissions to avoid; over the open measures, a withheld one having no figures."""

    def make() -> dict[str, Any]:
        document = break_even_document(place.start())
        if document["peer_group_edges"] and isinstance(_dual_windows(place)["dual_proportion"], Hidden):
            # How far the next cut is would give the stays with full Medicaid away.
            document["peer_group_edges"] = []
        for measure in place.closed_measures:
            document["measures"][measure] = dict.fromkeys(document["measures"][measure], HIDDEN)
        document["of_measures"] = list(place.open_measures)
        return document

    return place.version.kept(("break even", *place.key), make)


def worth_view(place: Place, *, ranges: bool) -> dict[str, Any]:
    """What one avoided readmission is worth over the program years still open, over measures open in all of them."""

    def make() -> dict[str, Any]:
        version = place.version
        margin = version.reference.parameters(version.settings.parameters)[MARGIN]
        years = [year for year in sorted(place.hospital.totals) if version.rules(year).end > version.as_of]
        measures = [measure for measure in MEASURES if all(measure in place.seen.open_measures(year) for year in years)]
        inputs = []
        for year in years:
            start = open_only(place.start(year), measures)
            periods = version.rules(year).periods
            days = sum((period.end - period.start).days + 1 for period in periods)
            inputs.append(YearInputs(year, start.hospital, start.national, days / DAYS_A_YEAR))
        # Without ranges nothing is drawn: the value itself is exact.
        shared = national_draws(version.settings.draws, version.settings.seed) if ranges else None
        own = place.own_draws() if ranges else None
        values = value_of_avoiding(inputs, shared, float(margin.value), None, measures, own) if inputs else []
        return {
            "years": years,
            "margin_usd": float(margin.value),
            "margin_confidence": margin.confidence,
            "margin_source": margin.source,
            "of_measures": measures,
            "measures": [
                {
                    "measure": value.measure,
                    "penalty_avoided_usd": value.penalty_avoided,
                    "penalty_usd": sum(value.penalty_avoided.values()),
                    "net_usd": value.net,
                    "net_interval_usd": list(value.interval) if ranges else None,
                    "reason": value.reason,
                }
                for value in values
            ],
        }

    return place.version.kept(("worth", ranges, *place.key), make)


# ---- what-if ----


def what_if_view(place: Place, scenario: Scenario) -> dict[str, Any]:
    """A scenario beside the forecast that it changes: the document of `hrrp what-if --json`.

    Where measures are withheld from the viewer it is of the open ones alone (`of_measures`). Raises LookupError where the scenario
    changes a withheld measure.
    """
    closed = place.closed_measures
    for changed in (scenario.avoid, scenario.volume, scenario.medians):
        if any(measure in closed for measure in changed):
            raise LookupError
    key = ("what if", *place.key, repr(scenario))
    return place.version.kept(key, lambda: _what_if(place, scenario))


def _what_if(place: Place, scenario: Scenario) -> dict[str, Any]:
    document = scenario_document(place.start(), scenario, place.version.settings, place.own_draws())
    closed = place.closed_measures
    if place.blurred_measures:
        document["rounded_measures"] = list(place.blurred_measures)
    if closed:
        document["of_measures"] = list(place.open_measures)
    cases = {m: place.hospital.measures.get((place.program_year, m), {}).get("eligible_discharges") for m in MEASURES}
    for side in (document["forecast"], document["what_if"]):
        for measure, figures in side["measures"].items():
            if measure in closed:
                side["measures"][measure] = dict.fromkeys(figures, HIDDEN)
            elif not place.viewer.patient_level and cases[measure] and is_small(figures["cases"] - cases[measure]):
                side["measures"][measure] = figures | dict.fromkeys(("cases", "readmissions"), HIDDEN)
    return document


# ---- one measure ----


def measure_view(place: Place, measure: str) -> dict[str, Any]:
    """The cohort flow, the risk factors, the fit of the model and the reliability of one measure."""
    if measure not in MEASURES:
        raise NotThereError
    return place.version.kept(("measure", measure, *place.key), lambda: _measure(place, measure))


def _measure(place: Place, measure: str) -> dict[str, Any]:
    version, hospital, year = place.version, place.hospital, place.program_year
    state = place.seen.state(year, measure)
    rows: Mapping[str, Any] = version.kept(("measures", hospital.ccn), dict)
    model: Mapping[str, Any] = version.kept(("model", year, measure), dict)
    forecast = place.forecast()
    figures = hide_measure(
        dict(hospital.measures.get((year, measure), {})) | forecast["measures"][measure],
        state,
        exact=place.viewer.patient_level,
    )
    factors = _with_effects(
        _factors(place, measure, model["terms"], rows["prevalence"].get(measure, ())), figures.get("expected")
    )
    constants = {row["kind"]: row for row in model["terms"] if row["kind"] in {"intercept", "variance"}}
    return {
        "ccn": hospital.ccn,
        "name": hospital.label,
        "program_year": year,
        "measure": measure,
        "state": state.value,
        "figures": figures,
        "rules": next(row for row in version.reference.rows("measures") if row["measure"] == measure),
        "flow": _flow(place, measure, rows["counts"].get(measure, ()), version.facts.reasons),
        "factors": factors,
        "weightiest": sorted(
            (row for row in factors if row["effect"]), key=lambda row: abs(row["effect"]), reverse=True
        )[:MOST_NAMED],
        "gaps": _gaps(place, rows["gaps"].get((year, measure), ()), state),
        "intercept": constants.get("intercept"),
        "variance": constants.get("variance"),
        "calibration": _calibration(place, measure, model["tenths"]),
        "c_statistic": _c_statistic(place, model["c_statistic"]),
        "trend": _trends(place).get(measure, []),
        "national_rate": version.reference.national_rates(year).value[measure],
        "national_rate_year": version.reference.national_rates(year).year_used,
    }


def _flow(
    place: Place, measure: str, counts: Sequence[tuple[int, str, int]], meanings: Mapping[str, str]
) -> dict[str, Any]:
    years: dict[int, dict[str, int]] = {}
    for year, reason, stays in counts:
        years.setdefault(year, {})[reason] = int(stays)
    here = years.get(place.program_year, {})
    if place.viewer.patient_level:
        reasons = {reason: stays for reason, stays in here.items() if reason != "included"}
        judged, included, other = sum(here.values()), here.get("included", 0), 0
    else:
        open_years = [year for year in years if measure in place.seen.open_measures(year)]
        flows = fold_flow(years, place.version.spans, open_years)
        if place.program_year not in open_years and measure not in place.open_measures:
            return {"judged": HIDDEN, "included": HIDDEN, "reasons": [], "other": HIDDEN}
        if place.program_year not in flows:
            return {"judged": 0, "included": 0, "reasons": [], "other": 0}
        flow = flows[place.program_year]
        judged, included, reasons, other = flow.judged, flow.included, dict(flow.reasons), flow.other
    in_order = [reason for reason in meanings if reasons.get(reason)]
    return {
        "judged": judged,
        "included": included,
        "reasons": [{"reason": reason, "meaning": meanings[reason], "stays": reasons[reason]} for reason in in_order],
        "other": other,
    }


def _factors(
    place: Place,
    measure: str,
    model: Sequence[Mapping[str, Any]],
    prevalence: Sequence[tuple[str, int, int, float]],
) -> list[dict[str, Any]]:
    """Coefficients with the hospital's own share of admissions and that of all hospitals of the run."""
    coefficients = {row["term"]: row for row in model if row["kind"] == "coefficient"}
    of_hospital = {key: row for key, *row in prevalence}
    exact, state = place.viewer.patient_level, whole_state(place.seen, place.version.years, measure)
    of_run: Mapping[str, Any] = place.version.kept(("prevalence", exact, measure), dict)
    variables: Sequence[Mapping[str, Any]] = place.version.kept(("variables", measure), list)
    factors = []
    for variable in variables:
        key = variable["variable_key"]
        row = of_hospital.get(key)
        is_years = key == YEARS_OVER_65
        own: Any = None
        if row is not None and is_years:
            # Mean age over 65: no count of patients, shown where the measure is.
            own = round(row[2], 1) if exact or state is Shown.OPEN else HIDDEN
        elif row is not None:
            admissions, with_factor = int(row[0]), int(row[1])
            own = with_factor / admissions if exact else shown_share(with_factor, admissions, state)
        run = of_run.get(key)
        found = coefficients.get(key)
        factors.append(
            {
                "key": key,
                "label": variable["report_label"],
                "is_years": is_years,
                "confidence": variable["confidence"],
                "coefficient": None if found is None else found["value"],
                "standard_error": None if found is None else found["standard_error"],
                "own": own,
                "run": run,
            }
        )
    return factors


def _with_effects(factors: list[dict[str, Any]], expected: Any) -> list[dict[str, Any]]:
    """Each factor with what its share here, against that of all hospitals, does to the expected rate: coefficient x difference
    x p (1 - p). From the figures as they are shown, so that nothing hidden goes into it."""
    slope = expected * (1.0 - expected) if _sortable(expected) else None
    for row in factors:
        known = all(_sortable(row[name]) for name in ("coefficient", "own", "run"))
        row["effect"] = slope * row["coefficient"] * (row["own"] - row["run"]) if known and slope is not None else None
    return factors


def whole_state(seen: Disclosure, years: Sequence[int], measure: str) -> Shown:
    """The prevalence is over all program years of the run, so the measure must be open in one of them, and in none be withheld."""
    return Shown.OPEN if any(seen.state(year, measure) is Shown.OPEN for year in years) else Shown.WITHHELD


def _gaps(place: Place, rows: Sequence[tuple[Any, ...]], state: Shown) -> list[dict[str, Any]]:
    """Factors that earlier claims show and the coding of the index admission lacks, the weightiest first."""
    if place.viewer.patient_level:
        names = ("variable_key", "report_label", "by_history_alone", "index_admissions", "expected_difference")
        return [dict(zip(names, row, strict=True)) for row in rows]
    if state is not Shown.OPEN:
        return []
    return [
        {"report_label": label, "share": share}
        for _, label, by_history_alone, admissions, _ in rows
        if not isinstance(
            share := shown_share(by_history_alone, admissions, state, uncertain_by=HIGHEST / 2),
            Hidden,
        )
    ]


def _calibration(place: Place, measure: str, tenths: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Observed and expected rates of tenths (or of as many parts as have no small cell) of the run's admissions."""
    exact = place.viewer.patient_level
    hospitals = place.version.hospitals
    # One hospital whose counts are hidden must not follow from the sums of all.
    if (
        not exact
        and len(hospitals) < 3
        and any(each.disclosure.state(place.program_year, measure) is not Shown.OPEN for each in hospitals.values())
    ):
        return {"parts": [], "withheld": True}
    for size in (1, 2, 5):
        parts = [tenths[at : at + size] for at in range(0, len(tenths), size)]
        sums = [
            {
                "index_admissions": sum(int(row["index_admissions"]) for row in part),
                "readmissions": sum(int(row["readmissions"]) for row in part),
                "expected_readmissions": sum(row["expected_readmissions"] for row in part),
            }
            for part in parts
        ]
        hidden = any(
            is_small(each["readmissions"]) or is_small(each["index_admissions"] - each["readmissions"]) for each in sums
        )
        if exact or not hidden:
            return {
                "withheld": False,
                "parts": [
                    {
                        "observed_rate": _digits(each["readmissions"] / each["index_admissions"], None if exact else 3),
                        "expected_rate": _digits(
                            each["expected_readmissions"] / each["index_admissions"], None if exact else 3
                        ),
                        "index_admissions": each["index_admissions"] if exact else HIDDEN,
                        "readmissions": each["readmissions"] if exact else HIDDEN,
                    }
                    for each in sums
                    if each["index_admissions"]
                ],
            }
    return {"parts": [], "withheld": True}


def _c_statistic(place: Place, value: float | None) -> float | None:
    return value if value is None or place.viewer.patient_level else round(value, 2)


# ---- proofs ----


def proof_view(version: Version, viewer: Viewer) -> dict[str, Any]:
    """The last results of `hrrp replicate` and `hrrp reconcile`, newest first, as far as the viewer may see them.

    A report that names no hospital is shown to those who may see all.
    """
    seen = [
        row
        for row in version.facts.proofs
        if (viewer.hospitals is None if row["ccn"] is None else viewer.may_see(row["ccn"]))
    ]
    made = [
        {name: row[name] for name in ("kind", "program_year", "ccn", "report", "made_at")} | json.loads(row["document"])
        for row in seen
    ]
    return {
        "replications": [row for row in made if row["kind"] == "replicate"],
        "reconciliations": [
            row
            | {
                "measures": {
                    measure: _reconciled(found, viewer.patient_level) for measure, found in row["measures"].items()
                }
            }
            for row in made
            if row["kind"] == "reconcile"
        ],
    }


def _reconciled(found: Mapping[str, Any], patient_level: bool) -> dict[str, Any]:
    """How far own stays and a report agree. What they differ by is mostly a handful of patients: without patient level only the
    agreement, to 5 %, and only of so many stays that a step of it stands for several."""
    index = (found["index_both"], found["index_report_only"], found["index_own_only"])
    returns = (found["readmissions_both"], found["only_cms_saw"], found["only_own"])
    calibration = found["calibration"] or {}
    shown: dict[str, Any] = {
        "index_agreement": _agreement(index, patient_level),
        "readmission_agreement": _agreement(returns, patient_level),
        "own_expected": _digits(calibration.get("own_expected"), None if patient_level else 3),
        "cms_expected": _digits(calibration.get("cms_expected"), None if patient_level else 3),
        "offset": _digits(calibration.get("offset"), None if patient_level else 2),
    }
    for names, counts in (
        (("index_both", "index_report_only", "index_own_only"), index),
        (("readmissions_both", "only_cms_saw", "only_own"), returns),
    ):
        shown |= dict(zip(names, counts, strict=True)) if patient_level else dict.fromkeys(names, HIDDEN)
    shown["decided_by"] = dict(list(found["decided_by"].items())[:MOST_NAMED]) if patient_level else {}
    return shown


def _agreement(counts: tuple[int, int, int], patient_level: bool) -> Any:
    together = sum(counts)
    if not together:
        return None
    if patient_level:
        return counts[0] / together
    return coarse_chance(counts[0] / together) if together >= FEWEST_COMPARED else HIDDEN


# ---- method and data ----


def _sources(rows: Sequence[Mapping[str, Any]]) -> str:
    """Where the rows of a list come from: the source that most of them name, and how many others there are."""
    named = Counter(str(row["source"]) for row in rows if row.get("source"))
    if not named:
        return "–"
    most = named.most_common(1)[0][0]
    return most if len(named) == 1 else f"{most}; and {len(named) - 1} more"


def method_view(version: Version, viewer: Viewer) -> dict[str, Any]:
    """Rules in force with their sources, versions of lists, input files, quality checks, notes."""
    return version.kept(("method",), dict) | {"freshness": freshness(version)}


def method_document(facts: Facts, reference: Reference, settings: Settings) -> dict[str, Any]:
    """`method_view` as far as it is the same at all times."""
    parameters = reference.parameters(settings.parameters)
    shared = [
        note
        for note in facts.notes.get(facts.years[0], ())
        if all(note in facts.notes.get(year, ()) for year in facts.years)
    ]
    return {
        "notes": shared,
        "years": [
            {
                "program_year": year,
                "rules": reference.program_year(year),
                "notes": [note for note in facts.notes.get(year, ()) if note not in shared],
                "neutrality_modifier": reference.neutrality_modifier(year),
                "peer_group_medians": reference.peer_group_medians(year),
                "peer_group_cuts": reference.peer_group_cuts(year),
                "national_rates": reference.national_rates(year),
            }
            for year in facts.years
        ],
        "measures": reference.rows("measures"),
        "parameters": list(parameters.values()),
        "lists": [each | {"source": _sources(reference.rows(str(each["table"])))} for each in reference.lists_in_use()],
        "files": facts.files,
        "rejects": facts.rejects,
        "inputs": facts.inputs,
        "skipped": facts.skipped,
        "checks": facts.checks,
        "reasons": sorted(reference.rows("reason_codes"), key=lambda row: int(row["position"])),
    }
