"""Small cells: no count of 1 to 10 patients leaves the house, nor anything that gives one away.

CMS's cell size policy hides counts of 1 to 10 and whatever lets them be computed. Three things do: the complement (a total beside
all but one of its parts), a rate beside its denominator, and the same figure in a second table, month or scenario. So:

    a count of 1 to 10 is hidden, and so is its complement (n - count of 1 to 10);
    of parts that stand beside their total, a second one is hidden where only one is, the smallest other;
    a rate whose numerator is hidden is hidden, and so are figures from which the numerator can be solved (the ERR to many
    digits is one; it is rounded to two decimals for viewers without patient level, where a count behind it is hidden).

It is applied once, at the border: every table, chart, workbook and JSON that a viewer without patient level gets goes through here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LOWEST, HIGHEST = 1, 10
HIDDEN = "1–10"


@dataclass(frozen=True)
class Hidden:
    """Stands where a count or a figure was hidden. It prints as what is known of it, and is null in JSON."""

    text: str = HIDDEN

    def __str__(self) -> str:
        return self.text


SMALL = Hidden()
WITHHELD = Hidden("withheld")


def is_small(count: Any) -> bool:
    """A count that may not be shown."""
    return isinstance(count, (int, float)) and not isinstance(count, bool) and LOWEST <= round(count) <= HIGHEST


def hide_count(count: Any, total: Any = None) -> Any:
    """The count, or its stand-in where it or its complement to `total` is small."""
    if count is None or isinstance(count, Hidden):
        return count
    if is_small(count):
        return SMALL
    if total is not None and not isinstance(total, Hidden) and is_small(total - count):
        return WITHHELD
    return count


def hide_parts(parts: Mapping[str, int], total_is_shown: bool = True) -> dict[str, int | Hidden]:
    """Parts of a total: small ones hidden, and a second one where only one would be (it is the total minus the rest).

    The second is the smallest other part above zero; where there is none, a zero is hidden. Zeros are otherwise shown.
    """
    shown: dict[str, int | Hidden] = {name: hide_count(count) for name, count in parts.items()}
    hidden = [name for name, value in shown.items() if isinstance(value, Hidden)]
    if not hidden or not total_is_shown:
        return shown
    # The hidden parts together are known: the total minus what is shown. That sum must not itself name a small cell.
    together = sum(parts[name] for name in hidden)
    others = sorted((count, name) for name, count in parts.items() if name not in hidden and count > 0)
    while (len(hidden) == 1 or together <= HIGHEST) and others:
        count, name = others.pop(0)
        shown[name] = WITHHELD
        hidden.append(name)
        together += count
    if len(hidden) == 1:
        for name, value in shown.items():
            if value == 0:
                shown[name] = WITHHELD
                break
    return shown


def hide_series(counts: Sequence[int | None], window_total: int | None = None) -> list[int | None | Hidden]:
    """A series of counts (months, say) beside its total: as `hide_parts`, in order."""
    known = {str(place): count for place, count in enumerate(counts) if count is not None}
    shown = hide_parts(known, total_is_shown=window_total is not None)
    return [None if count is None else shown[str(place)] for place, count in enumerate(counts)]


def hide_measure(row: Mapping[str, Any]) -> dict[str, Any]:
    """One hospital's measure as a viewer without patient level may see it.

    Cases and readmissions are hidden where they or their complement are small; with them the observed rate, and the digits of
    predicted, expected and ERR beyond the second, from which the readmissions could be solved.
    """
    shown = dict(row)
    cases, readmissions = row.get("eligible_discharges"), row.get("readmissions")
    shown["eligible_discharges"] = hide_count(cases)
    shown["readmissions"] = hide_count(readmissions, cases)
    if isinstance(shown["eligible_discharges"], Hidden) and not isinstance(shown["readmissions"], Hidden):
        # No readmission among few cases, or all of them: with the rate the cases would be known.
        shown["readmissions"] = WITHHELD
    if isinstance(shown["readmissions"], Hidden) and not isinstance(shown["eligible_discharges"], Hidden):
        # The rate times the cases would give the count.
        shown["observed_rate"] = WITHHELD
    if isinstance(shown["eligible_discharges"], Hidden):
        shown["observed_rate"] = WITHHELD
    if isinstance(shown["readmissions"], Hidden):
        for name in ("predicted", "expected", "err", "err_low", "err_high", "err_median", "reliability"):
            if isinstance(shown.get(name), float):
                shown[name] = round(shown[name], 2)
        for name in ("hospital_effect", "hospital_effect_se", "contribution"):
            if isinstance(shown.get(name), float):
                shown[name] = round(shown[name], 4)
    for name in ("follow_up_incomplete", "pending"):
        if name in shown:
            shown[name] = hide_count(shown[name])
    return shown
