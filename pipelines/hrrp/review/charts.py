"""Charts as SVG, drawn on the server: no script, no outside request, colours and type from the page's stylesheet by class.

Each function takes plain figures and returns one `<svg>` with a title and a description; the page puts the same figures into a table
beside it. A hidden or unknown figure is never drawn. Nothing is told by colour alone: what costs is filled and labelled, what does
not is hollow, medians are ticks, ranges are lines.

A chart is drawn at the size at which it is shown, so that its text keeps the size of the page's: `fitting` draws a wide one and a
narrow one for telephones, and the stylesheet shows one of the two.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup, escape

from hrrp.review import figures
from hrrp.review.suppression import Hidden

WIDE, NARROW, WHOLE = 530.0, 340.0, 860.0
# Width of a letter, near enough for deciding where a label is broken.
LETTER = 6.5
NAMES = {"AMI": "AMI", "COPD": "COPD", "HF": "HF", "PN": "Pneumonia", "CABG": "CABG", "THA_TKA": "THA/TKA"}


@dataclass(frozen=True)
class Scale:
    """A linear scale from values to places."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)


def known(value: Any) -> bool:
    """Whether there is a figure to draw."""
    return not isinstance(value, Hidden) and value is not None and math.isfinite(value)


def steps(low: float, high: float, about: int = 5) -> list[float]:
    """Round values between low and high, about so many, for an axis."""
    span = max(high - low, 1e-9)
    size = 10.0 ** math.floor(math.log10(span / about))
    size *= next(factor for factor in (1, 2, 2.5, 5, 10) if span / (size * factor) <= about)
    first = math.ceil(low / size - 1e-9)
    return [round(k * size, 10) for k in range(first, math.floor(high / size + 1e-9) + 1)]


def fitting(draw: Callable[[float], Markup], wide: float = WIDE) -> Markup:
    """The chart twice, for wide screens and paper, and for telephones; the stylesheet shows one, which alone is then read out."""
    return Markup('<div class="wide">{}</div><div class="slim">{}</div>').format(draw(wide), draw(NARROW))


def _svg(name: str, width: float, height: float, title: str, description: str, parts: Sequence[str]) -> Markup:
    label = f"chart-{name}-{width:g}"
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-labelledby="{label}-title {label}-desc" class="chart">'
        f'<title id="{label}-title">{escape(title)}</title><desc id="{label}-desc">{escape(description)}</desc>'
        + "".join(parts)
        + "</svg>"
    )


def _text(x: float, y: float, text: Any, css: str = "", anchor: str = "start") -> str:
    classes = f' class="{css}"' if css else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{classes}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{css}"/>'


def _rect(x: float, y: float, width: float, height: float, css: str, radius: float = 2) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{max(width, 0):g}" height="{max(height, 0):g}" rx="{radius:g}" class="{css}"/>'


def _lines(x: float, y: float, lines: Sequence[str], css: str, anchor: str = "start") -> list[str]:
    """Text in lines, the middle of them at y."""
    top = y - 7.5 * (len(lines) - 1)
    return [_text(x, top + 15 * k, line, css, anchor) for k, line in enumerate(lines)]


def _dot(x: float, y: float, css: str, radius: float = 4.5) -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" class="{css}"/>'


def _path(points: Sequence[tuple[float, float]], css: str) -> str:
    return f'<polyline points="{" ".join(f"{x:g},{y:g}" for x, y in points)}" class="{css}"/>'


def fan(rows: Sequence[Mapping[str, Any]], cap: float, selected: int, width: float = WIDE) -> Markup:
    """The payment reduction of each program year: 90 % range as a bar, the middle as a tick with its figure."""
    known_rows = [row for row in rows if known(row["high"])]
    top = max([row["high"] for row in known_rows] + [0.002])
    top = cap if top > 0.6 * cap else min(cap, _round_up(top * 1.05))
    left, right, row_height, head = 66, 34, 50, 14
    height = head + row_height * len(rows) + 26
    x = Scale(0, top, left, width - right)
    parts = _percent_axis(x, top, head, height - 24, width)
    if top >= cap:
        parts += [_line(x(cap), head, x(cap), height - 24, "cap"), _text(x(cap), head - 4, "cap", "tick", "middle")]
    said = []
    for k, row in enumerate(rows):
        y = head + row_height * k + row_height / 2 + 5
        css = "own" if row["program_year"] == selected else "other"
        parts.append(
            _text(left - 12, y + 4, f"FY{row['program_year']}", "label strong" if css == "own" else "label", "end")
        )
        if not known(row["high"]):
            parts.append(_text(left + 6, y + 4, "exempt" if row.get("exempt") else "not known", "tick"))
            continue
        low, middle, high = x(row["low"]), x(row["likely"]), x(row["high"])
        parts += [
            _rect(low, y - 8, max(high - low, 3), 16, f"range {css}", 8),
            _line(middle, y - 12, middle, y + 12, f"middle {css}"),
        ]
        text = figures.reduction(row["likely"], row["coarse"])
        near_end = middle > width - right - 60
        parts.append(_text(middle + (-6 if near_end else 6), y - 13, text, "value", "end" if near_end else "start"))
        said.append(f"FY{row['program_year']}: {text}, range {figures.spread(row['low'], row['high'], row['coarse'])}")
    return _svg("fan", width, height, "Payment reduction by program year", "; ".join(said) + ".", parts)


def _round_up(value: float) -> float:
    """The end of an axis: the first of its round steps at or above the value."""
    size = steps(0, value, 4)
    step = size[1] if len(size) > 1 else value
    return math.ceil(value / step - 1e-9) * step


def _percent_axis(x: Scale, top: float, head: float, foot: float, width: float) -> list[str]:
    """Grid lines from head to foot with their per cents below, as many as there is room for."""
    values = steps(0, top, 6 if width > NARROW else 3)
    digits = max((len(f"{value * 100:g}".partition(".")[2]) for value in values), default=0)
    return [
        part
        for value in values
        for part in (
            _line(x(value), head, x(value), foot, "grid"),
            _text(x(value), foot + 16, f"{value * 100:.{digits}f} %" if value else "0", "tick", "middle"),
        )
    ]


# Steps of a waterfall that are nothing a measure does.
NOT_MEASURES = ("Chance", "Cap", "Rest", "Rounding")


def waterfall(
    bars: Sequence[tuple[str, float]], total: float | None, total_label: str, coarse: bool, width: float = WIDE
) -> Markup:
    """Parts that add up to the payment reduction, each beginning where the last ended; the total stands on the axis."""
    ends = list(itertools.accumulate(value for _, value in bars))
    top = _round_up(max([*ends, total or 0.0, 0.0005]) * 1.02)
    left, right, row_height, head = 96, 62, 28, 6
    rows = len(bars) + 1
    height = head + row_height * rows + 30
    x = Scale(0, top, left, width - right)
    digits = 2 if coarse else 3
    parts = _percent_axis(x, top, head, height - 24, width)
    start = 0.0
    for k, ((label, value), end) in enumerate(zip(bars, ends, strict=True)):
        y = head + row_height * k
        a, b = sorted((x(start), x(end)))
        css = (
            "bar none" if not value else "bar off" if label in NOT_MEASURES else "bar gain" if value < 0 else "bar cost"
        )
        parts.append(_text(left - 12, y + 18, label, "label", "end"))
        if value:
            parts.append(_rect(a, y + 6, max(b - a, 1.5), row_height - 12, css))
        else:
            parts.append(_line(x(start), y + 6, x(start), y + row_height - 6, "bar none"))
        parts.append(
            _text(b + 7, y + 18, figures.percent(value, digits) if value else "0", "value" if value else "tick")
        )
        parts.append(_line(x(end), y + row_height - 6, x(end), y + row_height + 6, "thread"))
        start = end
    y = head + row_height * len(bars)
    parts.append(_line(0, y + 1, width - right, y + 1, "rule"))
    parts.append(_text(left - 12, y + 19, total_label, "label strong", "end"))
    if known(total):
        assert total is not None
        parts.append(_rect(left, y + 7, max(x(total) - left, 1.5), row_height - 12, "bar total"))
        parts.append(_text(x(total) + 7, y + 19, figures.reduction(total, coarse), "value strong"))
    said = "; ".join(f"{label} {figures.percent(value, digits)}" for label, value in bars)
    return _svg(
        "waterfall",
        width,
        height,
        "What the payment reduction is made of",
        f"{said}; together {figures.reduction(total, coarse)}.",
        parts,
    )


ERR_WIDTH, ERR_HEIGHT = 200.0, 26.0


def err_scale(rows: Sequence[Mapping[str, Any]]) -> Scale:
    """One scale for the ERR rows of a table: every range and median, and 1."""
    values = [value for row in rows for value in (row["low"], row["high"], row["median"]) if known(value)]
    return Scale(min([*values, 0.9]) - 0.02, max([*values, 1.1]) + 0.02, 6.0, ERR_WIDTH - 6.0)


def err_axis(x: Scale) -> Markup:
    """The heading of a column of ERR rows: its scale."""
    parts = [_text(x(value), 12, f"{value:g}", "tick", "middle") for value in steps(x.low, x.high, 4)]
    return Markup(
        f'<svg viewBox="0 0 {ERR_WIDTH:g} 16" width="{ERR_WIDTH:g}" height="16" class="chart" aria-hidden="true" focusable="false">'
        + "".join(parts)
        + "</svg>"
    )


def err_row(row: Mapping[str, Any], x: Scale) -> Markup:
    """One measure: the range of its ERR as a line, the middle as a point (filled where it costs), the peer median as a tick."""
    middle = ERR_HEIGHT / 2
    parts = [_line(x(value), 0, x(value), ERR_HEIGHT, "grid") for value in steps(x.low, x.high, 4)]
    if x.low < 1.0 < x.high:
        parts.append(_line(x(1.0), 0, x(1.0), ERR_HEIGHT, "axis"))
    if known(row["low"]) and known(row["high"]):
        parts.append(_line(x(row["low"]), middle, x(row["high"]), middle, "whisker"))
    if known(row["median"]):
        parts.append(_line(x(row["median"]), 3, x(row["median"]), ERR_HEIGHT - 3, "median"))
    if known(row["err"]):
        parts.append(_dot(x(row["err"]), middle, "dot cost" if row["costs"] else "dot none"))
    return Markup(
        f'<svg viewBox="0 0 {ERR_WIDTH:g} {ERR_HEIGHT:g}" width="{ERR_WIDTH:g}" height="{ERR_HEIGHT:g}" class="chart" '
        'aria-hidden="true" focusable="false">' + "".join(parts) + "</svg>"
    )


def trend(
    name: str, windows: Sequence[Mapping[str, Any]], national_rate: float | None, label: str, width: float = 320.0
) -> Markup:
    """Rolling twelve months of a measure: observed rate (line, its last dot) and risk-adjusted rate (dashed), per cent."""
    height, left, right, head, foot = 138.0, 50.0, 44.0, 10.0, 24.0
    observed = [window["observed_rate"] for window in windows]
    adjusted = [window["observed_to_expected"] * national_rate for window in windows] if national_rate else []
    every = [*observed, *adjusted, *([national_rate] if national_rate else [])]
    low, high = max(min(every) * 0.92, 0.0), max(every) * 1.06
    y = Scale(low, high, height - foot, head)
    x = Scale(0, max(len(windows) - 1, 1), left, width - right)
    parts = [
        part
        for value in steps(low, high, 3)
        for part in (
            _line(left, y(value), width - right, y(value), "grid"),
            _text(left - 6, y(value) + 4, f"{value * 100:g} %", "tick", "end"),
        )
    ]
    if national_rate:
        parts.append(_line(left, y(national_rate), width - right, y(national_rate), "axis"))
    if adjusted:
        parts.append(_path([(x(k), y(value)) for k, value in enumerate(adjusted)], "line adjusted"))
    parts.append(_path([(x(k), y(value)) for k, value in enumerate(observed)], "line observed"))
    parts.append(_dot(x(len(windows) - 1), y(observed[-1]), "dot own", 3.5))
    parts.append(
        _text(width - right + 7, y(observed[-1]) + 4, figures.percent(observed[-1], 1).removesuffix(" %"), "value")
    )
    months = [window["month"] for window in windows]
    parts.append(_text(left, height - 6, figures.month(months[0]), "tick"))
    if len(months) > 1:
        parts.append(_text(width - right, height - 6, figures.month(months[-1]), "tick", "end"))
    said = (
        f"Observed {figures.percent(observed[0], 1)} in the twelve months to {figures.month(months[0])}, "
        f"{figures.percent(observed[-1], 1)} to {figures.month(months[-1])}."
    )
    return _svg(f"trend-{name}", width, height, f"{label}: readmissions in rolling twelve months", said, parts)


def sparkline(ccn: str, windows: Sequence[Mapping[str, Any]]) -> Markup:
    """Observed over expected readmissions in rolling twelve months, around 1 (the line)."""
    width, height = 96.0, 24.0
    values = [window["observed_to_expected"] for window in windows]
    # One scale for all hospitals, so that a quiet line is a quiet hospital.
    y = Scale(0.7, 1.35, height - 3, 3)
    x = Scale(0, max(len(values) - 1, 1), 3, width - 6)
    parts = [
        _line(3, y(1.0), width - 6, y(1.0), "axis"),
        _path([(x(k), y(value)) for k, value in enumerate(values)], "line observed"),
        _dot(x(len(values) - 1), y(values[-1]), "dot own", 2.5),
    ]
    said = (
        f"Observed over expected {values[0]:.2f} in the twelve months to {figures.month(windows[0]['month'])}, "
        f"{values[-1]:.2f} to {figures.month(windows[-1]['month'])}"
    )
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{escape(said)}" class="chart spark">' + "".join(parts) + "</svg>"
    )


def flow(judged: int, steps_out: Sequence[tuple[str, int]], included: int, width: float = WHOLE) -> Markup:
    """The cohort flow: the judged stays as a bar, what each rule takes off its end, and what is left as index admissions.

    Labels stand beside the bars, or above them where it is narrow; they are broken into lines, never cut.
    """
    narrow = width <= NARROW
    left, right = (0.0, 62.0) if narrow else (372.0, 66.0)
    room = int((width if narrow else left - 14) / LETTER)
    x = Scale(0, max(judged, 1), left, width - right)
    parts: list[str] = []
    y = 4.0

    def step(label: str, start: float, end: float, text: str, css: str, strong: bool = False) -> None:
        nonlocal y
        lines = textwrap.wrap(label, room)
        above = 15.0 * len(lines) + 2 if narrow else 0.0
        row = max(18.0, above + 18.0 if narrow else 15.0 * len(lines))
        middle = y + above + 9.0 if narrow else y + row / 2
        weight = "label strong" if strong else "label"
        if narrow:
            parts.extend(_text(0, y + 12 + 15 * k, line, weight) for k, line in enumerate(lines))
        else:
            parts.extend(_lines(left - 14, middle + 4, lines, weight, "end"))
        parts.append(_rect(start, middle - 8, max(end - start, 1.5), 16, css))
        parts.append(_text(end + 7, middle + 4, text, "value strong" if strong else "value"))
        y += row + 9

    step("Stays judged", left, x(judged), figures.number(judged), "bar total", strong=True)
    remaining = judged
    for label, stays in steps_out:
        parts.append(_line(x(remaining), y - 8, x(remaining), y + 2, "thread"))
        step(label, x(remaining - stays), x(remaining), figures.MINUS + figures.number(stays), "bar off")
        remaining -= stays
    parts.append(_line(0, y - 3, width - right, y - 3, "rule"))
    y += 4
    step("Index admissions", left, x(included), figures.number(included), "bar kept", strong=True)
    said = f"{judged:,} stays judged; " + "; ".join(f"{stays:,} {label}" for label, stays in steps_out)
    return _svg("flow", width, y, "Cohort flow", f"{said}; {included:,} index admissions.", parts)


def calibration(points: Sequence[Mapping[str, Any]]) -> Markup:
    """Observed against expected rate of parts of the admissions by risk; on the line the model is right."""
    size, left, foot, head, right = 320.0, 40.0, 42.0, 22.0, 14.0
    top = max(max(point["observed_rate"], point["expected_rate"]) for point in points) * 1.1
    x, y = Scale(0, top, left, size - right), Scale(0, top, size - foot, head)
    parts = []
    for value in steps(0, top, 4):
        parts += [
            _line(x(value), head, x(value), size - foot, "grid"),
            _line(left, y(value), size - right, y(value), "grid"),
            _text(x(value), size - foot + 15, f"{value * 100:g}", "tick", "middle"),
            _text(left - 6, y(value) + 4, f"{value * 100:g}", "tick", "end"),
        ]
    parts += [
        _line(x(0), y(0), x(top), y(top), "axis"),
        _text((left + size - right) / 2, size - 6, "expected readmission rate, %", "tick", "middle"),
        _text(0, head - 10, "observed readmission rate, %", "tick"),
    ]
    parts += [_dot(x(point["expected_rate"]), y(point["observed_rate"]), "dot own") for point in points]
    said = "; ".join(
        f"expected {figures.percent(p['expected_rate'], 1)}, observed {figures.percent(p['observed_rate'], 1)}"
        for p in points
    )
    return _svg("calibration", size, size, "Observed against expected readmission rate by risk", said + ".", parts)


FACTOR_WIDTH, FACTOR_HEIGHT = 140.0, 18.0


def shares(own: Any, run: Any) -> Markup:
    """A risk factor's share of admissions here (filled) and in all hospitals (tick), on 0 to 100 %."""
    x, middle = Scale(0, 1, 4.0, FACTOR_WIDTH - 4.0), FACTOR_HEIGHT / 2
    parts = [_line(4, middle, FACTOR_WIDTH - 4, middle, "grid")]
    if known(own) and known(run):
        parts.append(_line(x(own), middle, x(run), middle, "whisker"))
    if known(run):
        parts.append(_line(x(run), 2, x(run), FACTOR_HEIGHT - 2, "median"))
    if known(own):
        parts.append(_dot(x(own), middle, "dot own", 3.5))
    return Markup(
        f'<svg viewBox="0 0 {FACTOR_WIDTH:g} {FACTOR_HEIGHT:g}" width="{FACTOR_WIDTH:g}" height="{FACTOR_HEIGHT:g}" '
        'class="chart" aria-hidden="true" focusable="false">' + "".join(parts) + "</svg>"
    )


def dual(
    windows: Sequence[tuple[date, float]], cuts: Sequence[float], own: float | None, width: float = WIDE
) -> Markup:
    """The dual proportion in rolling twelve months between the cuts of the peer groups."""
    values = [value for _, value in windows] + ([own] if own is not None else [])
    if not values:
        return Markup("")
    low, high = max(min(values) - 0.05, 0.0), min(max(values) + 0.05, 1.0)
    height, left, right, head, foot = 150.0, 52.0, 66.0, 8.0, 24.0
    y, x = Scale(low, high, height - foot, head), Scale(0, max(len(windows) - 1, 1), left, width - right)
    parts = []
    edges = [0.0, *cuts, 1.0]
    for group, (start, end) in enumerate(itertools.pairwise(edges), 1):
        a, b = max(start, low), min(end, high)
        if a < b:
            parts.append(_text(width - right + 8, (y(a) + y(b)) / 2 + 4, f"group {group}", "tick"))
            if start > low:
                parts.append(_line(left, y(start), width - right, y(start), "axis"))
                parts.append(_text(left - 6, y(start) + 4, figures.percent(start, 1), "tick", "end"))
    if len(windows) > 1:
        parts.append(_path([(x(k), y(value)) for k, (_, value) in enumerate(windows)], "line observed"))
        parts.append(_text(left, height - 6, figures.month(windows[0][0]), "tick"))
        parts.append(_text(width - right, height - 6, figures.month(windows[-1][0]), "tick", "end"))
    if windows:
        last = len(windows) - 1
        # Above whatever the line does below the words.
        above = min(y(value) for _, value in windows[-4:]) - 8
        parts.append(_dot(x(last), y(windows[-1][1]), "dot own", 3.5))
        parts.append(_text(x(last) + 4, above, figures.percent(windows[-1][1], 1), "value", "end"))
    said = f"Dual proportion {figures.percent(values[-1], 1)}; cuts between peer groups at " + ", ".join(
        figures.percent(cut, 1) for cut in cuts
    )
    return _svg("dual", width, height, "Dual proportion and the cuts of the peer groups", said + ".", parts)


def compare(sides: Sequence[tuple[str, float, float, float]], width: float = WHOLE) -> Markup:
    """Forecast and scenarios beside one another: the exact reduction as a tick, the 90 % range as a bar."""
    top = _round_up(max([high for _, _, _, high in sides] + [0.001]) * 1.02)
    left, right, row_height, head = 92, 66, 34, 4
    height = head + row_height * len(sides) + 28
    x = Scale(0, top, left, width - right)
    parts = _percent_axis(x, top, head, height - 24, width)
    for k, (label, low, middle, high) in enumerate(sides):
        y = head + row_height * k + row_height / 2
        css = "other" if k == 0 else "own"
        parts += [
            _text(left - 12, y + 4, label, "label strong" if k else "label", "end"),
            _rect(x(low), y - 7, max(x(high) - x(low), 3), 14, f"range {css}", 7),
            _line(x(middle), y - 11, x(middle), y + 11, f"middle {css}"),
            _text(max(x(high), x(middle)) + 8, y + 4, figures.percent(middle, 3), "value"),
        ]
    said = "; ".join(
        f"{label}: {figures.percent(middle, 3)}, range {figures.spread(low, high, False)}"
        for label, low, middle, high in sides
    )
    return _svg("compare", width, height, "Payment reduction: forecast and scenarios", said + ".", parts)


def ledger(series: Sequence[tuple[date, float]], coarse: bool, width: float = NARROW) -> Markup:
    """How the likely payment reduction moved from run to run."""
    height, left, right, head, foot = 128.0, 56.0, 56.0, 12.0, 24.0
    values = [value for _, value in series]
    low, high = max(min(values) * 0.9 - 0.0002, 0.0), max(values) * 1.1 + 0.0002
    y = Scale(low, high, height - foot, head)
    # By date, so that a night without a run is seen as a gap.
    first, last = series[0][0], series[-1][0]
    x = Scale(0, max((last - first).days, 1), left, width - right)
    points = [(x((day - first).days), y(value)) for day, value in series]
    parts = [
        part
        for value in steps(low, high, 3)
        for part in (
            _line(left, y(value), width - right, y(value), "grid"),
            _text(left - 6, y(value) + 4, f"{value * 100:g} %", "tick", "end"),
        )
    ]
    parts.append(_path(points, "line observed"))
    parts += [_dot(*point, "dot own", 3) for point in points]
    parts += [
        _text(points[-1][0] + 7, points[-1][1] + 4, figures.reduction(values[-1], coarse), "value"),
        _text(left, height - 6, f"{first:%b} {first.day}", "tick"),
        _text(width - right, height - 6, f"{last:%b} {last.day}", "tick", "end"),
    ]
    said = (
        f"{figures.reduction(values[0], coarse)} on {figures.day(first)}, "
        f"{figures.reduction(values[-1], coarse)} on {figures.day(last)}."
    )
    return _svg("ledger", width, height, "The likely reduction from run to run", said, parts)
