"""What the asset page of the risk models shows: the coefficients beside CMS's published ones, and pictures of how a model fits.

Calibration: observed against expected rates in tenths of ascending risk. Caterpillar: every hospital's excess readmission ratio with its
interval, in ascending order. Figures of hospitals and of many stays only; a tenth whose count of readmissions, or of stays without
one, is small is left out.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from hrrp.program import MEASURES, REPORT_NAMES
from hrrp.review.suppression import is_small
from hrrp.warehouse import Warehouse

Floats = NDArray[np.float64]

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 380.0, 270.0, 52.0, 40.0, 42.0
MOST_HOSPITALS = 300  # more would only make the picture heavy
INTERVAL, POINT, RULE, TEXT = "#9db4cb", "#1f3a5f", "#a05a2c", "#222222"

POSTERIOR = "5 % to 95 % of the posterior"

TENTHS = """
with tenths as (
    select
        program_year,
        measure,
        outcome,
        1 / (1 + exp(-linear_predictor)) as risk,
        ntile(10) over (partition by program_year, measure order by linear_predictor, stay_key) as tenth
    from risk.linear_predictors
)

select
    program_year,
    measure,
    count(*) as stays,
    count(*) filter (outcome) as readmissions,
    avg(risk) as predicted
from tenths
group by program_year, measure, tenth
order by program_year, measure, tenth
"""

COEFFICIENTS = """
with published as (
    select
        in_force.program_year,
        in_force.measure,
        in_force.term,
        arg_max(published.coefficient, published.program_year) as coefficient,
        max(published.program_year) as published_year
    from risk.model_in_force as in_force
    inner join reference.risk_coefficients as published
        on in_force.measure = published.measure
        and in_force.term = published.variable_key
        and in_force.program_year >= published.program_year
    group by in_force.program_year, in_force.measure, in_force.term
)

select
    in_force.program_year,
    in_force.measure,
    coalesce(risk_variables.report_label, in_force.term) as label,
    in_force.kind,
    in_force.value,
    in_force.standard_error,
    in_force.basis,
    in_force.model_program_year,
    published.coefficient,
    published.published_year
from risk.model_in_force as in_force
left join published using (program_year, measure, term)
left join reference.risk_variables
    on in_force.measure = risk_variables.measure and in_force.term = risk_variables.variable_key
order by
    in_force.program_year, in_force.measure, in_force.kind = 'variance', in_force.kind = 'coefficient', risk_variables.report_order
"""


def coefficient_tables(warehouse: Warehouse) -> dict[str, str]:
    """A Markdown table a model: odds ratios with 95 % limits (of a fitted one) beside CMS's last published ones.

    The same published model serves several program years; it is shown once.
    """
    models: dict[tuple[str, int, str], list[tuple]] = {}
    for row in warehouse.rows(COEFFICIENTS):
        year, measure, basis, model_year = row[0], row[1], row[6], row[7]
        own = models.setdefault((measure, model_year, basis), [])
        if not own or own[0][0] == year:
            own.append(row)
    ordered = sorted(models.items(), key=lambda item: (MEASURES.index(item[0][0]), item[0][1], item[0][2]))
    return {
        f"coefficients {REPORT_NAMES[measure]} FY{year}"
        + ("" if basis == "fit" else ", CMS's published model"): _table(rows)
        for (measure, year, basis), rows in ordered
    }


def pictures_of_measures(warehouse: Warehouse) -> dict[str, str]:
    """Calibration and caterpillar of the model in force, a picture a program year and measure, from the scored admissions."""
    tenths: dict[tuple[int, str], list[dict[str, float]]] = {}
    for year, measure, stays, events, predicted in warehouse.rows(TENTHS):
        least, most = _wilson(events, stays)
        part = {"stays": stays, "predicted": predicted, "observed": events / stays, "low": least, "high": most}
        tenths.setdefault((year, measure), []).append(part)
    pictures = {}
    for (year, measure), parts in sorted(tenths.items(), key=lambda item: (MEASURES.index(item[0][1]), item[0][0])):
        found = warehouse.arrays(
            "select err, err_low, err_high from result.hospital_measures "
            "where program_year = $year and measure = $measure and eligible_discharges > 0",
            {"year": year, "measure": measure},
        )
        err, low, high = (np.asarray(found[name], dtype=np.float64) for name in ("err", "err_low", "err_high"))
        title = f"{REPORT_NAMES[measure]}, program year {year}"
        pictures[f"fit {REPORT_NAMES[measure]} FY{year}"] = model_picture(title, parts, err, low, high, POSTERIOR)
    return pictures


def _wilson(events: int, stays: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % limits of a rate."""
    rate, part = events / stays, z * z / stays
    middle, reach = rate + part / 2, z * math.sqrt(rate * (1 - rate) / stays + part / (4 * stays))
    return (middle - reach) / (1 + part), (middle + reach) / (1 + part)


def _table(rows: Sequence[tuple]) -> str:
    fitted = rows[0][6] == "fit"
    year = max((row[9] for row in rows if row[9] is not None), default=None)
    heads = ["Variable", "Coefficient", "Odds ratio"]
    if fitted:
        heads += ["95 % limits", f"Odds ratio, CMS FY{year}" if year else "Odds ratio, CMS"]
    lines = [" | ".join(heads), " | ".join(["---"] + ["---:"] * (len(heads) - 1))]
    for _, _, label, kind, value, error, _, _, published, _ in rows:
        ratio = math.exp(value) if kind == "coefficient" else None
        name = {"intercept": "National intercept", "variance": "Between-hospital variance"}.get(kind, label)
        cells = [name, f"{value:.4f}", f"{ratio:.3f}" if ratio is not None else ""]
        if fitted:
            known = ratio is not None and error is not None and math.isfinite(error)
            cells.append(
                f"{math.exp(value - 1.96 * error):.3f} to {math.exp(value + 1.96 * error):.3f}" if known else ""
            )
            cells.append(f"{math.exp(published):.3f}" if ratio is not None and published is not None else "")
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def model_picture(
    title: str, tenths: Sequence[Mapping[str, float]], err: Floats, low: Floats, high: Floats, reach: str
) -> str:
    """Both pictures of one model, as Markdown that carries its image.

    `tenths` have stays, predicted and observed (rates) and low, high (limits of the observed rate); `reach` says in words what the
    hospitals' intervals are.
    """
    panels = calibration(tenths) + f'<g transform="translate({WIDTH:.0f} 0)">{caterpillar(err, low, high, reach)}</g>'
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH:.0f} {HEIGHT:.0f}" width="{2 * WIDTH:.0f}" '
        f'height="{HEIGHT:.0f}" role="img" font-family="sans-serif" font-size="11"><title>{escape(title)}</title>'
        f'<rect width="100%" height="100%" fill="white"/>{_text(8, 14, title, weight="bold")}{panels}</svg>'
    )
    return f"![{escape(title)}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def calibration(tenths: Sequence[Mapping[str, float]]) -> str:
    """Observed against expected rate, with limits, and the line where they are equal."""
    shown = [part for part in tenths if not _is_hidden(part)]
    left_out = len(tenths) - len(shown)
    words = "Observed rate, by tenths of expected risk"
    if not shown:
        return _text(LEFT, TOP - 8, words) + _text(LEFT, HEIGHT / 2, "Every tenth holds a small count; none is shown.")
    top = max(max(part["predicted"], part["high"]) for part in shown)
    scale = _Axis(0.0, top * 1.05)
    drawn = _frame(scale, scale, "expected rate", percent=True)
    drawn += _line(scale.x(0.0), scale.y(0.0), scale.x(top), scale.y(top), RULE)
    for part in shown:
        x = scale.x(part["predicted"])
        drawn += _line(x, scale.y(part["low"]), x, scale.y(part["high"]), INTERVAL, 2)
        drawn += f'<circle cx="{x:.1f}" cy="{scale.y(part["observed"]):.1f}" r="3" fill="{POINT}"/>'
    if left_out:
        words += f" ({left_out} with a small count left out)"
    return _text(LEFT, TOP - 8, words) + drawn


def _is_hidden(part: Mapping[str, float]) -> bool:
    events = round(part["stays"] * part["observed"])
    return not part["stays"] or is_small(events) or is_small(part["stays"] - events)


def caterpillar(err: Floats, low: Floats, high: Floats, reach: str) -> str:
    """ERRs in ascending order with their intervals, and the line at 1; of many hospitals an even choice, both ends included."""
    known = np.flatnonzero(np.isfinite(err) & np.isfinite(low) & np.isfinite(high))
    order = known[np.argsort(err[known], kind="stable")]
    words = f"ERR of {order.size:,} hospitals, {reach}"
    if not order.size:
        return _text(LEFT, TOP - 8, words)
    places = np.arange(order.size)
    if order.size > MOST_HOSPITALS:
        places = np.unique(np.round(np.linspace(0, order.size - 1, MOST_HOSPITALS)).astype(int))
        words += f" ({places.size} drawn)"
    chosen = order[places]
    above, below = float(max(high[chosen].max(), 1.0)), float(min(low[chosen].min(), 1.0))
    room = 0.03 * (above - below) or 0.01
    along, up = _Axis(-0.5, order.size - 0.5), _Axis(below - room, above + room)
    bars = "".join(
        f"M{along.x(k):.1f} {up.y(low[j]):.1f}V{up.y(high[j]):.1f}"
        for k, j in zip(places.tolist(), chosen, strict=True)
    )
    radius = 2.5 if places.size <= 60 else 1.2
    dots = "".join(
        f'<circle cx="{along.x(k):.1f}" cy="{up.y(err[j]):.1f}" r="{radius}"/>'
        for k, j in zip(places.tolist(), chosen, strict=True)
    )
    drawn = _frame(None, up, "hospitals in ascending order", percent=False)
    drawn += f'<path d="{bars}" stroke="{INTERVAL}" stroke-width="{1.5 if places.size <= 150 else 0.8}" fill="none"/>'
    drawn += _line(LEFT, up.y(1.0), WIDTH - 12, up.y(1.0), RULE) + f'<g fill="{POINT}">{dots}</g>'
    return _text(LEFT, TOP - 8, words) + drawn


class _Axis:
    """A linear scale that serves across and up the panel."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.span = low, (high - low) or 1.0

    def x(self, value: float) -> float:
        return LEFT + (WIDTH - 12 - LEFT) * (value - self.low) / self.span

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value - self.low) / self.span

    def ticks(self) -> list[float]:
        step = 10.0 ** math.floor(math.log10(self.span / 3))
        step *= next(factor for factor in (1, 2, 5, 10) if self.span / (step * factor) <= 6)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor((self.low + self.span) / step + 1e-9) + 1)]


def _frame(across: _Axis | None, up: _Axis, below: str, *, percent: bool) -> str:
    def words(value: float) -> str:
        return f"{value:.0%}" if percent else f"{value:.1f}"

    base = HEIGHT - BOTTOM
    drawn = _line(LEFT, base, WIDTH - 12, base, "#888888") + _line(LEFT, TOP, LEFT, base, "#888888")
    for value in up.ticks():
        drawn += _line(LEFT - 4, up.y(value), LEFT, up.y(value), "#888888")
        drawn += _text(LEFT - 7, up.y(value) + 4, words(value), "end")
    for value in across.ticks() if across is not None else []:
        drawn += _text(across.x(value), base + 15, words(value), "middle") if across is not None else ""
    return drawn + _text((LEFT + WIDTH) / 2, base + 31, below, "middle")


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, words: str, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="{TEXT}">{escape(words)}</text>'
