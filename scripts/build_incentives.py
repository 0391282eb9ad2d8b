"""Compute the worked hospital of docs/incentives.md and write it between the page's markers.

    python scripts/build_incentives.py            writes the page
    python scripts/build_incentives.py --check    exits 1 where the page does not say what is computed

The hospital is invented and simple enough to follow: all patients of a measure have the same risk.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.special import logit

from hrrp.outlook.forecast import Change, HospitalToDate, MeasureToDate, National, national_draws
from hrrp.outlook.value import ReadmissionValue, YearInputs, value_of_avoiding
from hrrp.outlook.what_if import what_if
from hrrp.program import MEASURES, Reference

PAGE = Path(__file__).parents[1] / "docs" / "incentives.md"
BEGIN, END = "<!-- computed by scripts/build_incentives.py -->", "<!-- end of what is computed -->"

PAYMENTS = 60e6
PAYMENT_EACH = 12_000.0
MEDIAN = 0.99
# Cases in two years, expected rate, readmissions, DRG payment ratio.
KNOWN: dict[str, tuple[int, float, int, float]] = {
    "HF": (500, 0.20, 115, 0.035),
    "PN": (450, 0.165, 71, 0.030),
    "COPD": (120, 0.19, 28, 0.008),
    "AMI": (20, 0.14, 6, 0.006),
}


def hospital(reference: Reference, known: dict[str, tuple[int, float, int, float]] = KNOWN) -> HospitalToDate:
    """The worked hospital when its two years are over."""
    measures = []
    for measure in MEASURES:
        cases, rate, readmissions, ratio = known.get(measure, (0, 0.1, 0, 0.0))
        measures.append(
            MeasureToDate(
                linear_predictor=np.full(cases, logit(rate)),
                readmissions=readmissions,
                pending=0,
                future_mean=0.0,
                future_cv=0.0,
                tau2=reference.between_hospital_variance(measure)[0],
                national_rate=rate,
                drg_payment_ratio=ratio,
                drg_payment_ratio_cv=0.0,
            )
        )
    return HospitalToDate("990001", tuple(measures), float("nan"), 0.0, 3, PAYMENTS)


def national(reference: Reference) -> National:
    """One median for all, the last published modifier, nothing uncertain."""
    return National(
        medians=np.full((5, 6), MEDIAN),
        median_sd=np.zeros((5, 6)),
        model_sd=np.zeros(6),
        neutrality_modifier=reference.neutrality_modifier(2027).value,
        neutrality_modifier_sd=0.0,
        cuts=np.full(4, np.nan),
        cuts_sd=0.0,
        cap=reference.program_year(2028).max_reduction,
        in_payment=np.ones(6, dtype=bool),
    )


def values(reference: Reference, margin: float, one: HospitalToDate) -> dict[str, ReadmissionValue]:
    """One avoided readmission that counts in two program years of the same figures."""
    years = [YearInputs(year, one, national(reference), 2.0) for year in (2028, 2029)]
    found = value_of_avoiding(years, national_draws(100, 1), margin, dict.fromkeys(MEASURES, PAYMENT_EACH))
    return {value.measure: value for value in found}


def page_part() -> str:
    """The computed part of the page, Markdown."""
    reference = Reference()
    margin = float(reference.parameters()["readmission_margin_usd"].value)
    one, nation = hospital(reference), national(reference)
    end = what_if(one, nation, Change())
    worth = values(reference, margin, one)
    lines = [
        f"Base operating payments ${PAYMENTS / 1e6:.0f} million a year; neutrality modifier {nation.neutrality_modifier}; peer group "
        f"median {MEDIAN} in every measure; ${PAYMENT_EACH:,.0f} paid for a readmission, of which ${margin:,.0f} is margin.",
        "",
        "| | " + " | ".join(KNOWN) + " |",
        "|---|" + "---|" * len(KNOWN),
    ]

    def row(label: str, cells: list[str]) -> None:
        lines.append(f"| {label} | " + " | ".join(cells) + " |")

    measures = {measure: end.measures[measure] for measure in KNOWN}
    excess = {m: KNOWN[m][2] - KNOWN[m][0] * KNOWN[m][1] for m in KNOWN}
    row("discharges in two years", [f"{KNOWN[m][0]}" for m in KNOWN])
    row("expected / observed readmissions", [f"{KNOWN[m][0] * KNOWN[m][1]:.1f} / {KNOWN[m][2]}" for m in KNOWN])
    row("reliability", [f"{figures.reliability:.2f}" for figures in measures.values()])
    row("ERR", [f"{figures.err:.4f}" for figures in measures.values()])
    row("share of base payments (DRG payment ratio)", [f"{KNOWN[m][3]:.1%}" for m in KNOWN])
    row("contribution to the reduction", [f"{figures.contribution:.4%}" for figures in measures.values()])
    row("**penalty a year**", [f"**${PAYMENTS * figures.contribution:,.0f}**" for figures in measures.values()])
    row("fee for service: margin of the excess readmissions, a year", [_usd(excess[m] / 2 * margin) for m in KNOWN])
    row("penalty for each dollar of excess readmissions", [_times(worth[m].multiplier) for m in KNOWN])
    row(
        "one readmission fewer: penalty avoided, both years",
        [_usd(sum(worth[m].penalty_avoided.values())) for m in KNOWN],
    )
    row("less the margin of its payment", [_usd(-margin) for _ in KNOWN])
    row("**one readmission fewer is worth**", [f"**{_usd(worth[m].net)}**" for m in KNOWN])
    row("why not, where it is not", [worth[m].reason or "" for m in KNOWN])
    heart = measures["HF"]
    plain = heart.cases * (heart.predicted - MEDIAN * heart.expected)
    lines += [
        "",
        f"Together: a reduction of {end.reduction:.4%}, ${PAYMENTS * end.reduction:,.0f} a year. To bring heart failure to its "
        f"median would have taken {_fewest(one, nation)} readmissions fewer, not the {plain:.1f} that predicted less median times "
        "expected suggests: only the reliability of each reaches the ERR.",
    ]
    at_cap = hospital(reference, KNOWN | {"HF": (500, 0.20, 155, 0.11)})
    reduction = what_if(at_cap, nation, Change())
    lines += [
        "",
        f"A hospital whose contributions add up to {reduction.uncapped:.2%} pays {reduction.reduction:.2%}: there "
        f"{values(reference, margin, at_cap)['HF'].reason}.",
    ]
    return "\n".join(lines)


def _fewest(one: HospitalToDate, nation: National) -> int:
    """Fewest heart failure readmissions less that bring the ERR to the median, each number solved exactly."""
    k = MEASURES.index("HF")
    for fewer in range(one.measures[k].readmissions + 1):
        change = Change(avoided=tuple(float(fewer) if number == k else 0.0 for number in range(len(MEASURES))))
        if what_if(one, nation, change).measures["HF"].err <= MEDIAN:
            return fewer
    raise ValueError("heart failure is above its median without a readmission")


def _usd(value: float) -> str:
    return f"{'-' if value < -0.5 else ''}${abs(value):,.0f}"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def main() -> None:
    """Write the page's part, or check it."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true")
    given = arguments.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    new = f"{before}{BEGIN}\n{page_part()}\n{END}{after}"
    if given.check:
        sys.exit(0 if new == text else f"{PAGE.name} does not say what is computed: run scripts/build_incentives.py")
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
