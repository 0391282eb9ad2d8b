"""The outlook of the next program years from CMS's public files, as a document: one supplemental file, and beside it, where it is at
hand, the Provider Data Catalog file of the same year with each hospital's expected rates.

Asked by `hrrp public --outlook`. The mathematics is in `hrrp.outlook.public_outlook`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hrrp.errors import InputContractError, RulesMissingError
from hrrp.outlook.forecast import National, national_draws
from hrrp.outlook.national import national_figures
from hrrp.outlook.public_outlook import (
    PrintedFigures,
    PublicOutlook,
    compare_periods,
    forecast_public,
    variances_from_print,
)
from hrrp.penalty.peer_groups import GROUPS
from hrrp.penalty.supplemental import Recomputation, peer_group_bands
from hrrp.program import MEASURES, Reference

# Program years ahead, and draws a hospital and year: a chance of one half is then right to 1.6 percentage points (95 %).
YEARS_AHEAD = 3
DRAWS = 4000


@dataclass(frozen=True)
class PrintedRate:
    """What the Provider Data Catalog adds for one hospital and measure: expected rate (fraction), readmissions."""

    expected: float | None
    readmissions: int | None


def outlook_documents(
    result: Recomputation,
    rates: Mapping[str, Mapping[str, PrintedRate]] | None,
    reference: Reference,
    ccns: Sequence[str] | None = None,
    *,
    seed: int,
    threads: int = 1,
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """By CCN, by program year (as text) the outlook; and the notes that go with it.

    `rates` by CCN and measure, None without a Provider Data Catalog file; `ccns` limits the hospitals. Raises InputContractError for a
    file without payment ratios and peer groups, RulesMissingError where the tables list no later year.
    """
    file = result.file
    if result.rules.method != "stratified" or not file.has_payment_ratios:
        raise InputContractError(
            f"{file.name}: no outlook from FY{file.program_year}, whose file has no peer groups or payment ratios. Expected the "
            "supplemental file of FY2019 or later; take the newest one."
        )
    years = [year for year in reference.program_years if file.program_year < year <= file.program_year + YEARS_AHEAD]
    if not years:
        raise RulesMissingError(
            f"No rules for a program year after FY{file.program_year}: add FY{file.program_year + 1} to the site's reference folder "
            "(program_years.csv, applicable_periods.csv, program_year_measures.csv)."
        )
    figures, notes = _printed(result, rates, reference)
    tau2 = np.array([reference.between_hospital_variance(measure)[0] for measure in MEASURES])
    read = variances_from_print(figures)
    tau2 = np.where(np.isfinite(read) & (read > 0), read, tau2)
    if np.isfinite(read).any():
        notes.append("outlook: between-hospital variances read back from the printed rates and counts of all hospitals")
    else:
        notes.append(
            "outlook: between-hospital variances of the reference table, and national rates for expected ones: the Provider Data "
            "Catalog file of the same year (--pdc) gives each hospital's own"
        )
    chosen = range(len(figures.ccn)) if ccns is None else [list(figures.ccn).index(ccn) for ccn in ccns]
    shared = national_draws(DRAWS, seed)
    found: dict[str, dict[str, Any]] = {figures.ccn[h]: {} for h in chosen}
    for year in years:
        national, more = _national(result, reference, year)
        notes += [f"outlook: {note}" for note in more]
        periods = compare_periods(result.rules.periods, reference.program_year(year).periods)
        already = float((periods.shared / (periods.shared + periods.added)).mean())
        if reference.program_year(year).medicare_advantage and not result.rules.medicare_advantage:
            notes.append(
                f"outlook: FY{year} counts Medicare Advantage stays, which FY{file.program_year}'s figures do not know: true effects are "
                "taken to be the same, and volumes as they were"
            )
        outlook = forecast_public(figures, periods, national, tau2, shared, list(chosen), threads)
        for place, h in enumerate(chosen):
            found[figures.ccn[h]][str(year)] = _document(outlook, place, already)
    return found, list(dict.fromkeys(notes))


def _printed(
    result: Recomputation, rates: Mapping[str, Mapping[str, PrintedRate]] | None, reference: Reference
) -> tuple[PrintedFigures, list[str]]:
    file = result.file
    notes = []
    national = reference.national_rates(file.program_year)
    if national.note:
        notes.append(f"outlook: {national.note}")
    shape = (len(file.hospitals), len(MEASURES))
    err, cases, ratio, readmissions = (np.full(shape, np.nan) for _ in range(4))
    expected = np.tile([national.value[measure] for measure in MEASURES], (shape[0], 1))
    for h, row in enumerate(file.hospitals):
        own = (rates or {}).get(row.ccn, {})
        for k, measure in enumerate(MEASURES):
            printed = row.measures.get(measure)
            # The files of FY2013 to FY2017 print 0 for no result.
            if printed is not None and printed.err:
                err[h, k] = printed.err
                cases[h, k] = _number(printed.eligible_discharges)
                ratio[h, k] = _number(printed.drg_payment_ratio)
            if measure in own:
                readmissions[h, k] = _number(own[measure].readmissions)
                if own[measure].expected:
                    expected[h, k] = own[measure].expected
    # A hospital of fewer than 25 cases has a ratio and often no printed number of cases: too few to move anything.
    cases = np.where(np.isfinite(err) & ~np.isfinite(cases), 1.0, cases)
    figures = PrintedFigures(
        ccn=[row.ccn for row in file.hospitals],
        err=err,
        expected=expected,
        cases=cases,
        readmissions=readmissions,
        drg_payment_ratio=ratio,
        dual_proportion=np.array([_number(row.dual_proportion) for row in file.hospitals]),
        peer_group=np.array([row.peer_group or 0 for row in file.hospitals]),
    )
    return figures, notes


def _national(result: Recomputation, reference: Reference, year: int) -> tuple[National, list[str]]:
    """The last published figures; this file's own where it is newer than the reference tables and complete."""
    national, notes = national_figures(reference, year)
    published = result.file.program_year
    used = reference.peer_group_medians(year).year_used
    if not result.complete or result.medians is None or used >= published:
        return national, notes
    # Spreads were taken over the years since the table's last figures; now they run from this file's.
    shorter = math.sqrt((year - published) / (year - used))
    bands = peer_group_bands(result.file)
    medians = np.array([[result.medians[group, m] for m in MEASURES] for group in range(1, GROUPS + 1)])
    newer = replace(
        national,
        medians=medians,
        median_sd=national.median_sd * shorter,
        neutrality_modifier=result.neutrality_modifier_published or national.neutrality_modifier,
        neutrality_modifier_sd=national.neutrality_modifier_sd * shorter,
        cuts=np.array([bands[group][1] for group in range(1, GROUPS)]),
        cuts_sd=national.cuts_sd * shorter,
    )
    return newer, [
        f"FY{year} medians, cuts and modifier not published: those of {result.file.name} (FY{published}) used"
    ]


def _document(outlook: PublicOutlook, h: int, already: float) -> dict[str, Any]:
    low, median, high = (_known(value) for value in outlook.reduction[h])
    return {
        "share_of_period_already_printed": already,
        "payment_reduction_median": median,
        "payment_reduction_interval": [low, high],
        "payment_reduction_mean": _known(outlook.mean_reduction[h]),
        "paf_median": None if median is None else 1 - median,
        "paf_interval": [None if high is None else 1 - high, None if low is None else 1 - low],
        "chance_of_penalty": _known(outlook.chance_of_penalty[h]),
        "chance_of_cap": _known(outlook.chance_of_cap[h]),
        "chance_of_peer_group": {
            str(group): _known(chance) for group, chance in enumerate(outlook.chance_of_group[h], 1)
        },
        "measures": {
            measure: {
                "err_median": _known(outlook.err[h, k, 1]),
                "err_interval": [_known(outlook.err[h, k, 0]), _known(outlook.err[h, k, 2])],
                "chance_of_25_cases": _known(outlook.chance_of_cases[h, k]),
                "chance_of_contribution": _known(outlook.chance_of_contribution[h, k]),
                "contribution_mean": _known(outlook.contribution[h, k]),
            }
            for k, measure in enumerate(MEASURES)
        },
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _known(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
