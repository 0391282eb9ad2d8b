"""Two pictures of a run's forecasts, as SVG: the fan of the penalty by program year, the waterfall of the measures.

Drawn by hand, since a plotting library takes longer to import than the forecast to compute. Figures of hospitals only.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from hrrp.program import MEASURES
from hrrp.warehouse import Warehouse

PANELS = 6
# Names under a bar, a line a word.
SHORT_NAMES = {"THA_TKA": "THA/ TKA"}
WIDTH, HEIGHT, MARGIN = 230.0, 150.0, 34.0
BAND, LINE, RISE, TOTAL = "#c9d6e3", "#1f3a5f", "#a05a2c", "#1f3a5f"


def pictures_of_forecasts(warehouse: Warehouse) -> dict[str, str]:
    """Both pictures from result.forecasts, as Markdown that carries its image; none where there is nothing to draw.

    The hospitals with the largest likely reduction, at most six of them.
    """
    rows = warehouse.rows(
        "select ccn, program_year, measure, figure, low, median, high from result.forecasts "
        "where figure in ('reduction', 'contribution') and median is not null order by ccn, program_year"
    )
    fans: dict[str, dict[int, tuple[float, float, float]]] = {}
    parts: dict[tuple[str, int], dict[str, float]] = {}
    for ccn, year, measure, figure, low, median, high in rows:
        if figure == "reduction":
            fans.setdefault(ccn, {})[year] = (low, median, high)
        else:
            parts.setdefault((ccn, year), {})[measure] = median
    if not fans:
        return {}
    largest = sorted(fans, key=lambda ccn: (-max(median for _, median, _ in fans[ccn].values()), ccn))[:PANELS]
    first = min(year for years in fans.values() for year in years)
    return {
        "penalty by program year": _markdown(fan({ccn: fans[ccn] for ccn in sorted(largest)})),
        f"contributions by measure FY{first}": _markdown(
            waterfall({ccn: parts[ccn, first] for ccn in sorted(largest) if (ccn, first) in parts})
        ),
    }


def fan(hospitals: Mapping[str, Mapping[int, tuple[float, float, float]]]) -> str:
    """By hospital and program year (low, median, high) of the payment reduction: a band and a line a hospital."""
    top = max((high for years in hospitals.values() for _, _, high in years.values()), default=0.0) or 0.001
    panels = []
    for ccn, years in hospitals.items():
        ordered = sorted(years)
        across = [_place(k, len(ordered)) for k in range(len(ordered))]
        low, median, high = ([_up(years[year][part] / top) for year in ordered] for part in range(3))
        band = [*zip(across, high, strict=True), *reversed(list(zip(across, low, strict=True)))]
        drawn = f'<polygon points="{_points(band)}" fill="{BAND}"/>'
        drawn += f'<polyline points="{_points(list(zip(across, median, strict=True)))}" fill="none" stroke="{LINE}" stroke-width="2"/>'
        for year, x, y in zip(ordered, across, median, strict=True):
            drawn += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{LINE}"/>'
            drawn += _text(x, HEIGHT - MARGIN + 14, f"FY{year}", "middle")
            drawn += _text(x, y - 7, f"{years[year][1]:.2%}", "middle")
        panels.append(_text(MARGIN, 14, ccn) + _axis() + drawn)
    return _sheet(panels, "Likely payment reduction and 90 % range by program year")


def waterfall(hospitals: Mapping[str, Mapping[str, float]]) -> str:
    """By hospital the contribution of each measure, one on top of the other, to their sum."""
    top = max((sum(parts.values()) for parts in hospitals.values()), default=0.0) or 0.001
    panels = []
    for ccn, parts in hospitals.items():
        drawn, height = "", 0.0
        width = (WIDTH - 1.5 * MARGIN) / (len(MEASURES) + 1) * 0.7
        for k, measure in enumerate(MEASURES):
            part, x = parts.get(measure, 0.0), _place(k, len(MEASURES) + 1)
            drawn += _bar(x, width, height / top, (height + part) / top, RISE)
            for line, words in enumerate(SHORT_NAMES.get(measure, measure).split()):
                drawn += _text(x, HEIGHT - MARGIN + 12 + 9 * line, words, "middle", 8)
            height += part
        x = _place(len(MEASURES), len(MEASURES) + 1)
        drawn += _bar(x, width, 0.0, height / top, TOTAL) + _text(x, HEIGHT - MARGIN + 12, "sum", "middle", 8)
        drawn += _text(x, _up(height / top) - 4, f"{height:.2%}", "middle", 9)
        panels.append(_text(MARGIN, 14, ccn) + _axis() + drawn)
    return _sheet(panels, "Likely contribution of each measure to the payment reduction")


def _sheet(panels: Sequence[str], title: str) -> str:
    columns = min(len(panels), 3) or 1
    lines = (len(panels) + columns - 1) // columns
    placed = "".join(
        f'<g transform="translate({WIDTH * (k % columns):.0f} {20 + HEIGHT * (k // columns):.0f})">{panel}</g>'
        for k, panel in enumerate(panels)
    )
    width, height = WIDTH * columns, 20 + HEIGHT * lines
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" font-family="sans-serif" font-size="10"><title>{escape(title)}</title>'
        f'<rect width="100%" height="100%" fill="white"/>{_text(8, 14, title)}{placed}</svg>'
    )


def _axis() -> str:
    bottom = HEIGHT - MARGIN
    return f'<line x1="{MARGIN}" y1="{bottom}" x2="{WIDTH - MARGIN / 2}" y2="{bottom}" stroke="#888888"/>'


def _bar(x: float, width: float, low: float, high: float, colour: str) -> str:
    top, bottom = _up(high), _up(low)
    return (
        f'<rect x="{x - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}" fill="{colour}"/>'
    )


def _text(x: float, y: float, words: str, anchor: str = "start", size: int = 10) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#222222">{escape(words)}</text>'
    )


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _place(k: int, count: int) -> float:
    """Middle of the k-th of `count` equal places across a panel."""
    return MARGIN + (WIDTH - 1.5 * MARGIN) * (k + 0.5) / count


def _up(share: float) -> float:
    """Height on the page of a share of the tallest figure."""
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share


def _markdown(svg: str) -> str:
    return f"![picture](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
