"""The brief: one printed page for a committee, as a self-contained HTML file and, where there is a Chromium, its PDF.

No script, no outside request: style and charts stand in the file itself. It is always at aggregate level. The same report gives the
same bytes; the PDF's own date is the as-of date of the run.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from hrrp.program import MEASURES, REPORT_NAMES
from hrrp.review import figures
from hrrp.review.figures import dollars, number, percent
from hrrp.review.report import Report, bounds, write_in_place
from hrrp.review.suppression import Hidden

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
TIMEOUT_SECONDS = 120
TEMPLATES = Path(__file__).parent / "templates"
# Measures of the charts, in the units of their view boxes.
YEARS_WIDTH, ERR_WIDTH, PART_WIDTH = 330, 170, 60
TICKS = 5
SOURCES = {
    "own results": "the hospital's own results so far",
    "chance": "chance",
    "volume": "how many patients come",
    "elsewhere": "returns to other hospitals",
    "national model": "the national model of that year",
    "peer medians": "peer medians of that year",
    "neutrality modifier": "the neutrality modifier",
    "payments": "the payment mix",
    "peer group": "the peer group",
}


def write_brief(report: Report, path: Path) -> None:
    """Write the brief of one hospital and program year, replacing `path` in one step."""
    text = brief_html(report)

    def write(part: Path) -> None:
        part.write_text(text, encoding="utf-8")

    write_in_place(path, write)


def brief_html(report: Report) -> str:
    """The brief as one HTML document.

    Raises ValueError for a report at patient level: a brief is passed around.
    """
    if report.patient_level:
        raise ValueError("a brief is made from a report at aggregate level")
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("brief.html").render(
        report=report,
        headline=headline(report),
        chance=chance(report),
        years=_years(report),
        measures=_measures(report),
        break_even=break_even(report),
        spread=_spread(report),
        basis_of_year=report.basis,
        basis_of_years=report.basis_of_years,
        published_reduction=percent(report.published.get(None, {}).get("reduction")),
    )


def headline(report: Report) -> str:
    """The forecast in one sentence."""
    year, end = report.program_year, report.forecast
    if report.exempt:
        return f"FY{year}: exempt from the program, no penalty."
    low, high = bounds(end["payment_reduction_interval"])
    if low is None:
        return f"FY{year}: the reduction is unknown, because the extract has no payments."
    digits = _digits(end)
    money = end["penalty_usd_median"]
    about = "" if money is None or isinstance(money, Hidden) else f", about {dollars(money)} a year"
    middle = percent(end["payment_reduction_median"], digits)
    return f"FY{year}: likely {middle} ({span(low, high, digits)}){about}."


def span(low: Any, high: Any, digits: int) -> str:
    """A range of fractions: '0.10 to 0.95 %'."""
    if not (_shown([low]) and _shown([high])):
        return percent(low, digits)
    return f"{percent(low, digits).removesuffix(' %')} to {percent(high, digits)}"


def chance(report: Report) -> str:
    """How likely a penalty is, and how much of the period is left."""
    over = f"{percent(report.share_of_period, 0)} of the discharge period is over."
    likely = report.forecast["chance_of_penalty"]
    if report.exempt or likely is None:
        return over
    return f"{figures.chance(likely, report.forecast['coarse'])} chance of a penalty; {over}".capitalize()


def break_even(report: Report) -> str:
    """What would take the penalty away, in one sentence."""
    ends = f"{report.rules.end:%B} {report.rules.end.day}, {report.rules.end.year}"
    total, together = report.break_even["total"], report.break_even["together"]
    if report.exempt:
        return "The hospital is exempt: there is nothing to avoid."
    if isinstance(total, Hidden):
        parts = [
            f"{fewer} fewer for {REPORT_NAMES[measure]}"
            for measure, fewer in report.break_even["measures"].items()
            if fewer and not isinstance(fewer, Hidden)
        ]
        listed = f" Shown in full: {', '.join(parts)}, to contribute nothing." if parts else ""
        return f"How many fewer would mean no penalty is withheld: it rests on small counts.{listed}"
    if total is None:
        return "No penalty is out of reach in this period: the readmissions still to come are too few."
    if total == 0:
        return "As it stands, on its expected course, there is no penalty to avoid."
    parts = [f"{count} {REPORT_NAMES[measure]}" for measure, count in together.items() if count]
    word = "readmission" if total == 1 else "readmissions"
    return f"{total} {word} fewer by {ends} ({', '.join(parts)}) would, on the expected course, mean no penalty."


def _digits(totals: dict[str, Any]) -> int:
    return 1 if totals["coarse"] else 2


def nice_top(value: float) -> float:
    """The next round number (1, 2, 5 times a power of ten) at or above a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= value * (1 - 1e-9))


def _shown(values: Iterable[Any]) -> list[float]:
    return [float(value) for value in values if value is not None and not isinstance(value, Hidden)]


def _years(report: Report) -> dict[str, Any]:
    """The range of each program year of the run on one scale."""
    ends = {year: bounds(row["payment_reduction_interval"]) for year, row in report.years.items()}
    highest = max(_shown(end for pair in ends.values() for end in pair), default=0.0)
    top = min(nice_top(max(highest, 0.001)), max(report.cap, highest))

    def place(value: Any) -> float | None:
        return round(YEARS_WIDTH * float(value) / top, 2) if _shown([value]) else None

    rows = []
    for year, row in report.years.items():
        (low, high), digits = ends[year], _digits(row)
        middle, now = row["payment_reduction_median"], row["payment_reduction"]
        text = "exempt" if row["exempt"] else f"{percent(middle, digits)} ({span(low, high, digits)})"
        rows.append(
            {
                "year": year,
                "is_this": year == report.program_year,
                "over": percent(row["share_of_period"], 0),
                "low": place(low),
                "high": place(high),
                "middle": place(middle),
                "now": place(now),
                "text": text,
                "usd": dollars(row["penalty_usd_median"]),
                "chance": figures.chance(row["chance_of_penalty"], row["coarse"]),
            }
        )
    ticks = []
    for k in range(TICKS + 1):
        text = f"{100 * top * k / TICKS:.2f}".rstrip("0").rstrip(".")
        ticks.append({"x": round(YEARS_WIDTH * k / TICKS, 2), "text": f"{text} %" if k == TICKS else text})
    return {"rows": rows, "ticks": ticks, "width": YEARS_WIDTH}


def _measures(report: Report) -> dict[str, Any]:
    """Each measure's ERR at the end of the period beside the peer median on one scale, and what it contributes."""
    spans = [bounds(row["err_interval"]) for row in report.measures.values()]
    values = _shown(end for pair in spans for end in pair)
    values += _shown(row["peer_group_median"] for row in report.measures.values())
    low, high = (min(values), max(values)) if values else (0.9, 1.1)
    low, high = math.floor(low * 20) / 20, math.ceil(high * 20) / 20
    parts = _shown(row["contribution_median"] for row in report.measures.values())
    largest = max(parts, default=0.0)

    def place(value: Any) -> float | None:
        return round(ERR_WIDTH * (float(value) - low) / (high - low), 2) if _shown([value]) else None

    rows = []
    for measure in MEASURES:
        row = report.measures[measure]
        ends = bounds(row["err_interval"])
        # A measure without its digits shows no more of them than it has.
        few = measure in report.closed
        part = row["contribution_median"]
        bar = _shown([part])
        rows.append(
            {
                "name": REPORT_NAMES[measure],
                "counts": measure in report.rules.measures_in_payment,
                "counts_so_far": _counts(row["readmissions"], row["eligible_discharges"]),
                "err": number(row["err"], 2 if few else 4),
                "range": f"{number(ends[0], 2)} to {number(ends[1], 2)}" if _shown(ends) else str(number(ends[0], 2)),
                "median": number(row["peer_group_median"], 4),
                "low": place(ends[0]),
                "high": place(ends[1]),
                "middle": place(row["err_median"]),
                "peer": place(row["peer_group_median"]),
                "part": percent(part, 1 if few else 3),
                "bar": round(PART_WIDTH * bar[0] / largest, 2) if bar and largest else 0,
                "fewer": number(report.break_even["measures"][measure]),
            }
        )
    return {
        "rows": rows,
        "width": ERR_WIDTH,
        "part_width": PART_WIDTH,
        "low": f"{low:.2f}",
        "high": f"{high:.2f}",
        "one": place(1.0) if low + 0.2 * (high - low) < 1.0 < high - 0.2 * (high - low) else None,
    }


def _counts(readmissions: Any, cases: Any) -> str:
    """'12 of 60', or one word where either is withheld."""
    return f"{number(readmissions)} of {number(cases)}" if _shown([readmissions, cases])[1:] else str(number(cases))


def _spread(report: Report) -> str:
    """What the width of the range comes from, the largest first."""
    found = sorted(
        ((share, name) for name, share in report.forecast["spread"].items() if _shown([share])), reverse=True
    )
    named = [f"{SOURCES.get(name, name)} {percent(share, 0)}" for share, name in found if share >= 0.05]
    return ", ".join(named) or "unknown"


# ---- PDF ----


def browser() -> str | None:
    """The Chromium of this machine, if it has one."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def write_pdf(brief: Path, path: Path, as_of: date) -> str | None:
    """Print the brief to PDF with headless Chromium, replacing `path` in one step; returns why not, where it could not.

    A PDF left by an earlier run goes where none can be made, so that none lies beside a brief that it does not print.
    """
    found = browser()
    if found is None:
        path.unlink(missing_ok=True)
        return "no Chromium found on this machine: open the HTML brief in a browser and print it"
    try:
        write_in_place(path, lambda part: _print(found, brief, part, as_of))
    except (subprocess.SubprocessError, OSError) as error:
        path.unlink(missing_ok=True)
        return f"Chromium could not print the brief ({type(error).__name__}): open the HTML brief in a browser and print it"
    return None


def _print(found: str, brief: Path, part: Path, as_of: date) -> None:
    with tempfile.TemporaryDirectory(prefix="hrrp-print-") as profile:
        subprocess.run(
            [
                found,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-dev-shm-usage",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--no-pdf-header-footer",
                "--no-first-run",
                f"--user-data-dir={profile}",
                f"--print-to-pdf={part.resolve()}",
                brief.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
        )
    content = part.read_bytes()
    if not content.startswith(b"%PDF"):
        raise OSError("no PDF was written")
    # Same length, so that the file's table of offsets stays true.
    stamp = f"(D:{as_of:%Y%m%d}000000+00'00')".encode()
    part.write_bytes(re.sub(rb"\(D:\d{14}\+00'00'\)", stamp, content))


def pages(pdf: Path) -> int:
    """Number of pages of a PDF as Chromium writes it (its page objects are not compressed)."""
    return len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))
