"""Small cells: for a viewer without patient level no count of 1 to 10 patients is shown, nor anything that gives one away.

CMS's cell size policy hides counts of 1 to 10 and whatever lets them be computed. What lets them be computed here, and the answer:

    complement      n - count of 1 to 10 gives the count away as its total does: both are hidden together
    difference      periods and rolling windows overlap: FY2028 + FY2030 - FY2029 is a count of its own. Every shown count of a
                    stretch of days is an edge between two dates; a count of another stretch follows from the shown ones exactly
                    when its two dates are connected. `Intervals` admits an edge only where nothing small follows
    parts           the exclusions of a cohort flow add up: small ones are folded into "other reasons", which is itself no small cell
                    in any year or difference of years (`fold_flow`)
    the model       the hospital effect is u = tau2 (y - n predicted), so cases and an ERR of many digits give the readmissions.
                    Where the readmissions are hidden the cases are too (as in CMS's Provider Data Catalog), the ERR at the end of
                    the period has two digits and its range one, and `consistent_readmissions` counts what a reader could still
                    take the count for: fewer than four values, and the measure is withheld whole
    the total       the payment reduction less the shown contributions is the hidden one: with a hidden measure in it the total has
                    one digit of per cent, and where only one measure is withheld a second one is
    the scenario    a what-if shifts a rounded total by known steps until it flips. So scenarios of a viewer without patient level
                    are solved over the open measures alone, and no answer depends on a hidden count (`review.views`)
    what is to come the cases at the end are those known, those whose follow-up is not over (a month's discharges: a small cell as a
                    rule) and those of the same days a year earlier, scaled. Two answers with different volumes tell the parts
                    apart, and so does a figure of sixteen digits. So forecasts have the digits that the page prints, and
                    what-if and break-even start from the two parts together, as a whole number (`hrrp.review.levels`)

One version of the results is safe by itself. Whoever keeps copies of versions of different nights sees what came in between, as with
any figures that are brought up to date; what the page itself shows of earlier nights is rounded.

It is applied at the border: every table, chart, workbook and JSON of such a viewer is made from what comes out of here, totals and the
order of rows included. A hidden figure is `HIDDEN` (null in JSON); primary and complementary cells look alike.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from hrrp.penalty.factor import MINIMUM_CASES
from hrrp.program import MEASURES
from hrrp.program.plain import plain as as_json_carries

LOWEST, HIGHEST = 1, 10
FEWEST_CANDIDATES = 4
MOST_CASES = 100_000
# What a reader may come to know of a two-digit ERR by laying the rounded figures of a measure beside one another.
ERR_KNOWN_TO = 0.0015
CHANCE_STEP = 0.05
SHARE_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


class Hidden:
    """Stands where a figure was hidden. One object, `HIDDEN`; it prints as a word, is null in JSON, and has no value to compute with."""

    def __repr__(self) -> str:
        return "withheld"

    def __bool__(self) -> bool:
        return False


HIDDEN = Hidden()


class Shown(StrEnum):
    """How much of one hospital's measure in one program year a viewer sees: all, the ERR to two digits without counts, or nothing."""

    OPEN = "open"
    ROUNDED = "rounded"
    WITHHELD = "withheld"


def is_small(count: Any) -> bool:
    """Whether it is a count that may not be shown; a difference that says the same backwards is one too."""
    return isinstance(count, (int, float)) and not isinstance(count, bool) and LOWEST <= round(abs(count)) <= HIGHEST


def hide_count(count: Any, total: Any = None) -> Any:
    """The count, or HIDDEN where it or its complement to a shown `total` is small."""
    if count is None or isinstance(count, Hidden):
        return count
    return HIDDEN if is_small(count) or (total is not None and is_small(total - count)) else count


class Intervals:
    """Which counts of stretches of days may be shown together.

    A shown count of the stretch [start, end) ties the two dates: the running counts at both differ by it. Dates that are tied, over
    however many shown counts, give the count between any two of them; no other stretch follows from the shown counts alone.
    Counts are tuples (cases, readmissions, not readmitted, say), each component on its own.
    """

    def __init__(self) -> None:
        # date -> (name of its tied group, running counts within it)
        self._place: dict[date, tuple[date, tuple[float, ...]]] = {}
        self._group: dict[date, list[date]] = {}

    def admit(self, start: date, end: date, counts: Sequence[float]) -> bool:
        """Tie `start` and `end` by the counts, if neither these nor any that would then follow are small; whether it was done."""
        if any(is_small(count) for count in counts):
            return False
        for day in (start, end):
            if day not in self._place:
                self._place[day] = (day, (0.0,) * len(counts))
                self._group[day] = [day]
        first, at_start = self._place[start]
        second, at_end = self._place[end]
        # What to add to the running counts of the second group so that the new count holds.
        shift = tuple(a + count - b for a, count, b in zip(at_start, counts, at_end, strict=True))
        if first == second:
            # The stretch is known already; two rules' counts of it that differ by a few give these few away.
            return not any(is_small(each) for each in shift)
        for other in self._group[second]:
            moved = tuple(a + b for a, b in zip(self._place[other][1], shift, strict=True))
            for known in self._group[first]:
                if any(is_small(a - b) for a, b in zip(moved, self._place[known][1], strict=True)):
                    return False
        for other in self._group.pop(second):
            moved = tuple(a + b for a, b in zip(self._place[other][1], shift, strict=True))
            self._place[other] = (first, moved)
            self._group[first].append(other)
        return True


def consistent_readmissions(
    predicted: float, expected: float, tau2: float, cases: tuple[int, int], known_to: float = ERR_KNOWN_TO
) -> list[int]:
    """Every count of 1 to 10 readmissions that a reader could not rule out who knows the method, tau2 and the rates.

    From u = tau2 (y - n predicted), with u the distance of the two rates on the logit scale (exact for patients alike): y is possible
    where a whole n within `cases` lies on the line, the ERR being known to +- `known_to`.
    """
    if not (0.0 < predicted < 1.0 and 0.0 < expected < 1.0 and tau2 > 0.0):
        return []
    effect = math.log(predicted / (1.0 - predicted)) - math.log(expected / (1.0 - expected))
    slack = known_to * expected / (predicted * (1.0 - predicted))
    lowest, highest = cases
    found = []
    for readmissions in range(LOWEST, HIGHEST + 1):
        fewest = math.ceil((readmissions - (effect + slack) / tau2) / predicted - 1e-9)
        most = math.floor((readmissions - (effect - slack) / tau2) / predicted + 1e-9)
        if max(fewest, lowest, readmissions) <= min(most, highest):
            found.append(readmissions)
    return found


@dataclass(frozen=True)
class Disclosure:
    """What a viewer sees of one hospital: the state of every program year and measure, and the counts that its dates are tied by.

    `everything` is for viewers with patient level.
    """

    states: Mapping[tuple[int, str], Shown] = field(default_factory=dict)
    intervals: Mapping[str, Intervals] = field(default_factory=dict)
    idle: Collection[tuple[int, str]] = frozenset()
    everything: bool = False

    def state(self, program_year: int, measure: str) -> Shown:
        """A measure that is not listed has no figures, so there is nothing to hide."""
        return Shown.OPEN if self.everything else self.states.get((program_year, measure), Shown.OPEN)

    def open_measures(self, program_year: int) -> tuple[str, ...]:
        """The measures that are shown in full."""
        return tuple(measure for measure in MEASURES if self.state(program_year, measure) is Shown.OPEN)

    def is_coarse(self, program_year: int) -> bool:
        """Whether a hidden measure may be part of the year's totals, which then have fewer digits."""
        return (
            any(
                state is not Shown.OPEN and (year, measure) not in self.idle
                for (year, measure), state in self.states.items()
                if year == program_year
            )
            and not self.everything
        )

    def admit_window(self, measure: str, start: date, end: date, cases: int, readmissions: int) -> bool:
        """Whether a further stretch of days may be shown beside everything shown so far."""
        if self.everything:
            return True
        if measure not in self.intervals:
            return False
        return self.intervals[measure].admit(start, end, (cases, readmissions, cases - readmissions))


EVERYTHING = Disclosure(everything=True)


def disclose(
    rows: Iterable[Mapping[str, Any]],
    spans: Mapping[int, tuple[date, date]],
    idle: Collection[tuple[int, str]] = frozenset(),
) -> Disclosure:
    """Decide for one hospital what is shown of each measure in each program year.

    `rows` are its rows of result.hospital_measures (all years), `spans` the first day and the day after the last whose outcomes
    are known by program year, `idle` the (year, measure) that have no chance of contributing to the payment reduction.
    """
    by_place = {(int(row["program_year"]), str(row["measure"])): row for row in rows}
    intervals: dict[str, Intervals] = {}
    states: dict[tuple[int, str], Shown] = {}
    for year, measure in sorted(by_place, key=lambda place: (place[1], place[0])):
        row = by_place[year, measure]
        cases, readmissions = int(row["eligible_discharges"]), int(row["readmissions"])
        ties = intervals.setdefault(measure, Intervals())
        # None at all is a count like others: it ties two dates.
        if is_small(cases):
            states[year, measure] = Shown.WITHHELD
        elif year in spans and ties.admit(*spans[year], (cases, readmissions, cases - readmissions)):
            states[year, measure] = Shown.OPEN
        else:
            states[year, measure] = _without_counts(row, cases, readmissions)
    for year in {year for year, _ in by_place}:
        _withhold_a_second(states, by_place, year, idle)
    return Disclosure(states, intervals, idle)


def _without_counts(row: Mapping[str, Any], cases: int, readmissions: int) -> Shown:
    if cases == 0 or is_small(cases - readmissions):
        return Shown.WITHHELD
    if not is_small(readmissions):
        # What is protected is a difference between years; the rates alone do not give it.
        return Shown.ROUNDED
    within = (MINIMUM_CASES, MOST_CASES) if cases >= MINIMUM_CASES else (HIGHEST + 1, MINIMUM_CASES - 1)
    possible = consistent_readmissions(float(row["predicted"]), float(row["expected"]), float(row["tau2"]), within)
    return Shown.ROUNDED if len(possible) >= FEWEST_CANDIDATES else Shown.WITHHELD


def _withhold_a_second(
    states: dict[tuple[int, str], Shown],
    by_place: Mapping[tuple[int, str], Mapping[str, Any]],
    year: int,
    idle: Collection[tuple[int, str]],
) -> None:
    """Where one withheld measure alone could be the rest of the total, withhold the next smallest too."""
    in_total = [measure for measure in MEASURES if (year, measure) in by_place and (year, measure) not in idle]
    withheld = [measure for measure in in_total if states[year, measure] is Shown.WITHHELD]
    others = [
        (states[year, measure] is Shown.OPEN, int(by_place[year, measure]["readmissions"]), measure)
        for measure in in_total
        if measure not in withheld and int(by_place[year, measure]["eligible_discharges"]) > 0
    ]
    if len(withheld) == 1 and others:
        states[year, min(others)[2]] = Shown.WITHHELD


# Figures of a measure that have no patient's outcome in them, or are national.
_ALWAYS = frozenset(
    {
        "program_year",
        "measure",
        "ccn",
        "name",
        "peer_group",
        "peer_group_median",
        "neutrality_modifier",
        "tau2",
        "expected",
        "penalty_indicator",
    }
)
_SHARES = frozenset({"drg_payment_ratio", "contribution", "contribution_median", "contribution_interval"})
_CHANCES = frozenset({"chance_of_contribution", "chance_of_25_cases"})
# Counts that no aggregate table shows: the cohort flow shows admissions without follow-up where it may.
_NEVER = frozenset({"follow_up_incomplete", "pending"})
_AT_THE_END = frozenset({"cases", "cases_median", "cases_interval"})
# Digits after the point of what an open measure's forecast shows: more would tell apart what it is made of.
_DIGITS_AT_THE_END = {
    "err_median": 4,
    "err_interval": 2,
    "cases": 0,
    "cases_median": 0,
    "cases_interval": 0,
    "chance_of_25_cases": 2,
    "contribution_median": 6,
    "contribution_interval": 4,
    "chance_of_contribution": 2,
}
_DIGITS_OF_TOTALS = 6


def hide_measure(row: Mapping[str, Any], state: Shown, *, exact: bool = False) -> dict[str, Any]:
    """One hospital's measure, figure by name, as a viewer may see it in the given state; an unknown figure of a closed one is hidden.

    `exact` is for viewers with patient level: nothing is hidden or rounded.
    """
    if exact:
        return dict(row)
    cases = row.get("eligible_discharges")
    return {name: _figure(name, value, state, cases) for name, value in row.items()}


def _figure(name: str, value: Any, state: Shown, cases: Any) -> Any:
    if state is Shown.WITHHELD:
        # An unknown figure too: that there is none would say that there is no patient.
        return value if name in _ALWAYS - {"expected", "penalty_indicator"} else HIDDEN
    if value is None or isinstance(value, Hidden):
        return value
    if name in _NEVER and value:
        return HIDDEN
    if state is Shown.OPEN:
        if name in _AT_THE_END and cases is not None and any(is_small(each - cases) for each in _each(value)):
            return HIDDEN
        return _rounded(value, _DIGITS_AT_THE_END[name]) if name in _DIGITS_AT_THE_END else value
    if name == "err_median":
        return _rounded(value, 2)
    if name == "err_interval":
        return _rounded(value, 1)
    if name in _SHARES:
        return _rounded(value, 3)
    if name in _CHANCES:
        return coarse_chance(value)
    if name == "expected":
        return _rounded(value, 3)
    return value if name in _ALWAYS else HIDDEN


def _each(value: Any) -> list[float]:
    return [each for each in (value if isinstance(value, list) else [value]) if each is not None]


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, list):
        return [_rounded(each, digits) for each in value]
    return round(float(value), digits) if isinstance(value, (int, float)) and math.isfinite(value) else value


def coarse_chance(value: Any) -> Any:
    """A chance to the nearest 5 %, and never nearer to certainty than that."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return value
    return min(max(round(round(value / CHANCE_STEP) * CHANCE_STEP, 2), CHANCE_STEP), 1.0 - CHANCE_STEP)


def hide_total(row: Mapping[str, Any], coarse: bool, *, exact: bool = False) -> dict[str, Any]:
    """A hospital's totals of a program year; coarse: reductions to 0.1 %, dollars of the rounded reduction, chances to 5 %.

    `exact` is for viewers with patient level: nothing is rounded. Else even totals that are not coarse have the digits that are printed.
    """
    if exact:
        return dict(row)
    if not coarse:
        return {name: _digits_of_total(name, value) for name, value in row.items()}
    shown = dict(row)
    for name, value in row.items():
        if value is None:
            continue
        if name.startswith(("payment_reduction", "paf")):
            shown[name] = _rounded(value, 3)
        elif name.startswith("chance"):
            shown[name] = (
                {group: coarse_chance(each) for group, each in value.items()}
                if isinstance(value, dict)
                else coarse_chance(value)
            )
        elif name == "spread":
            shown[name] = {source: _rounded(each, 1) for source, each in value.items()}
    # Dollars follow the rounded reduction: they would otherwise carry its digits.
    payments = row.get("annual_base_operating_payments")
    for name, value in row.items():
        if name.startswith("penalty_usd") and value is not None:
            reduction = shown.get(name.replace("penalty_usd", "payment_reduction"))
            shown[name] = _dollars(reduction, payments)
    return shown


def _digits_of_total(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _digits_of_total(name, each) for key, each in value.items()}
    if name.startswith(("payment_reduction", "paf")):
        return _rounded(value, _DIGITS_OF_TOTALS)
    if name.startswith(("chance", "spread")):
        return _rounded(value, 2)
    return _rounded(value, 0) if name.startswith("penalty_usd") else value


def _dollars(reduction: Any, payments: Any) -> Any:
    if isinstance(reduction, list):
        return [_dollars(each, payments) for each in reduction]
    return HIDDEN if reduction is None or payments is None else reduction * payments


@dataclass(frozen=True)
class Flow:
    """One program year's cohort flow: stays judged = included + the stays of `reasons` + `other`. HIDDEN where not shown."""

    judged: Any
    included: Any
    reasons: Mapping[str, Any]
    other: Any


def fold_flow(
    years: Mapping[int, Mapping[str, int]], spans: Mapping[int, tuple[date, date]], open_years: Collection[int]
) -> dict[int, Flow]:
    """The cohort flow of one hospital's measure by program year, its numbers adding up and none of them small.

    `years` has stays by first reason ("included" among them). A reason that is small in a year, or in a difference of years, is
    folded into "other" in all of them; the smallest further reason joins as long as "other" itself is one. Years that are not open
    show nothing.
    """
    shown = {year: counts for year, counts in years.items() if year in open_years and year in spans}
    total: dict[str, int] = {}
    for counts in shown.values():
        for reason, stays in counts.items():
            if reason != "included":
                total[reason] = total.get(reason, 0) + stays
    apart = [reason for reason in total if _admissible([reason], shown, spans)]
    folded = [reason for reason in total if reason not in apart]
    while folded and not _admissible(folded, shown, spans) and apart:
        next_smallest = min(apart, key=lambda reason: (total[reason], reason))
        apart.remove(next_smallest)
        folded.append(next_smallest)
    closed = Flow(HIDDEN, HIDDEN, {}, HIDDEN)
    hopeless = bool(folded) and not _admissible(folded, shown, spans)
    flows = dict.fromkeys(years, closed)
    for year, counts in shown.items():
        included = counts.get("included", 0)
        if hopeless:
            flows[year] = Flow(HIDDEN, included, {}, HIDDEN)
        else:
            flows[year] = Flow(
                judged=sum(counts.values()),
                included=included,
                reasons={reason: counts[reason] for reason in counts if reason in apart},
                other=sum(counts.get(reason, 0) for reason in folded),
            )
    return flows


def _admissible(
    reasons: Sequence[str], years: Mapping[int, Mapping[str, int]], spans: Mapping[int, tuple[date, date]]
) -> bool:
    """Whether the stays of these reasons together are no small cell in any year, nor in what follows from several years."""
    ties = Intervals()
    return all(
        ties.admit(*spans[year], (float(sum(counts.get(reason, 0) for reason in reasons)),))
        for year, counts in sorted(years.items())
    )


def shown_share(count: int, total: int, state: Shown, *, uncertain_by: float = 0.0) -> Any:
    """The share that a count is of a shown total, to whole per cent; HIDDEN where count or complement is small.

    `uncertain_by` is the number of patients that the count must stay uncertain by on either side, where shares of overlapping periods
    stand beside one another: the share is then rounded to as many per cent.
    """
    if state is not Shown.OPEN or is_small(total) or is_small(count) or is_small(total - count):
        return HIDDEN
    if not total:
        return None
    step = next(each for each in SHARE_STEPS if each * total >= 2 * uncertain_by or each == SHARE_STEPS[-1])
    return round(round(count / total / step) * step, 2)


def pooled(parts: Sequence[int], is_shown: Sequence[bool]) -> int | None:
    """The sum of parts, unless it would give a hidden part away: the parts not shown must be none, or at least two and no small cell."""
    hidden = [part for part, shown in zip(parts, is_shown, strict=True) if not shown]
    if hidden and (len(hidden) < 2 or sum(hidden) <= 2 * HIGHEST):
        return None
    return sum(parts)


def plain(value: Any) -> Any:
    """`value` as JSON carries it, what is hidden null."""
    return as_json_carries(value, (Hidden,))
