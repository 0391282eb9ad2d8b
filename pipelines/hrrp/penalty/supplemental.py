"""Recomputing a CMS supplemental file: every hospital's contributions, reduction, factor and flags, peer groups and medians.

Two answers for each published factor:

* `paf`, from the printed figures as they stand (a double, not rounded), and whether it rounds to the published one;
* `allowed`, the interval of factors that the printed figures allow. A figure printed with d decimals stands for every value
  within half a unit of the last of them; the excess readmission ratio, the median, the payment ratio and the neutrality
  modifier all vary so, in exact decimal arithmetic, and the printed penalty indicator decides whether a measure counts
  (CMS sets it on unrounded values, so at equal printed figures it may be either).

A published factor that no value of `allowed` rounds to is `outside`. So is a hospital whose printed figures contradict one
another (an indicator of Y with an ERR clearly below the median): no true values can stand behind them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hrrp.errors import InputContractError
from hrrp.penalty.factor import MINIMUM_CASES, contributions, payment_reduction, round_half_up
from hrrp.penalty.peer_groups import GROUPS, assign_peer_groups, peer_group_medians, possible_peer_groups
from hrrp.program.measures import MEASURES
from hrrp.program.reference import ProgramYear
from hrrp.program.supplemental_file import SupplementalFile, SupplementalHospital, SupplementalMeasure

Agreement = Literal["exact", "within_input_rounding", "outside"]
Interval = tuple[Decimal, Decimal]

# Maryland's hospitals (CCNs of state codes 21 and 80) are paid under the state's own arrangement and exempt from the program;
# the files of FY2013 to FY2015 still list them, with factor 1.
EXEMPT_STATE_CODES = ("21", "80")

# Digits that hold every product of three printed figures without rounding, also those of a workbook with 17 digits each.
_EXACT_DIGITS = 80


@dataclass(frozen=True, slots=True)
class MeasureResult:
    """One measure of one hospital, recomputed; None where the file lacks what it needs."""

    contribution: float | None
    penalty_indicator: bool | None
    peer_group_median: float | None


@dataclass(frozen=True, slots=True)
class HospitalResult:
    """One hospital, recomputed, beside its row as published.

    `paf` and `payment_reduction` are unrounded fractions; `allowed` is the interval of factors that the printed figures allow,
    None where they contradict one another or do not suffice; `peer_group` is None unless the file is complete.
    """

    published: SupplementalHospital
    paf: float | None
    payment_reduction: float | None
    allowed: tuple[float, float] | None
    agreement: Agreement | None
    peer_group: int | None
    measures: dict[str, MeasureResult]


@dataclass(frozen=True, slots=True)
class Recomputation:
    """A supplemental file recomputed.

    `complete` says whether peer groups and medians could be recomputed from the file's own hospitals; without it
    `peer_groups_agree`, `medians_agree` and `medians` are None. Agreement of a group allows any order of hospitals with equal
    printed dual proportions, agreement of a median the rounding of what is printed. `neutrality_modifier` is the one that was
    multiplied with, when all hospitals share one.
    """

    file: SupplementalFile
    rules: ProgramYear
    hospitals: tuple[HospitalResult, ...]
    complete: bool
    neutrality_modifier: float | None
    neutrality_modifier_published: float | None
    peer_groups_agree: int | None
    peer_groups_compared: int | None
    medians: dict[tuple[int, str], float] | None
    medians_agree: int | None
    medians_compared: int | None
    penalty_indicators_differ: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def with_agreement(self, agreement: Agreement) -> tuple[str, ...]:
        """CCNs of the hospitals whose published factor stands in this relation to the recomputed one."""
        return tuple(row.published.ccn for row in self.hospitals if row.agreement == agreement)

    @property
    def recomputed(self) -> int:
        """Hospitals whose published factor was compared with a recomputed one."""
        return sum(row.agreement is not None for row in self.hospitals)


def rounding_interval(value: float, decimals: int) -> Interval:
    """The values that print as `value` with `decimals` digits after the point (or with as many more as `value` has)."""
    printed = Decimal(repr(value))
    exponent = printed.as_tuple().exponent
    own = -exponent if isinstance(exponent, int) else 0
    half = Decimal(5).scaleb(-max(own, decimals) - 1)
    return printed - half, printed + half


def agreeing_figure(printed: float | None, decimals: int, reference: float | None) -> float | None:
    """The reference table's figure where it rounds to the printed one (it has as many digits or more), else the printed one."""
    if printed is None or reference is None:
        return printed
    low, high = rounding_interval(printed, decimals)
    return reference if low <= Decimal(repr(reference)) <= high else printed


def recompute(
    file: SupplementalFile,
    rules: ProgramYear,
    neutrality_modifier: float | None = None,
    hospitals_in_file: int | None = None,
) -> Recomputation:
    """Recompute `file` under the rules of its program year.

    `neutrality_modifier` is the reference table's figure for that very year, `hospitals_in_file` the number of hospitals in CMS's
    complete file, both None where unknown. Never raises for figures that disagree: they are in the result.
    """
    table = _Figures(file, rules, neutrality_modifier)
    with localcontext() as context:
        context.prec = _EXACT_DIGITS
        results = _factors(file, rules, table)
    groups = _compare_peer_groups(file)
    medians = _compare_medians(file)
    complete, completeness_note = _completeness(file, rules, groups, medians, hospitals_in_file)

    hospitals = []
    for number, row in enumerate(file.hospitals):
        paf, reduction, allowed, agreement = results[number]
        measures = {}
        for column, measure in enumerate(MEASURES):
            figures = row.measures.get(measure)
            known = paf is not None and measure in rules.measures_in_payment and figures is not None
            measures[measure] = MeasureResult(
                float(table.contribution[number, column]) if known else None,
                _penalty_indicator(figures, rules) if figures is not None else None,
                medians.recomputed.get((row.peer_group or 0, measure)) if complete else None,
            )
        group = int(groups.assigned[number]) if complete and groups.assigned[number] else None
        hospitals.append(HospitalResult(row, paf, reduction, allowed, agreement, group, measures))

    used = {modifier for modifier in table.modifier if modifier == modifier}
    printed = {row.neutrality_modifier for row in file.hospitals if row.neutrality_modifier is not None}
    return Recomputation(
        file=file,
        rules=rules,
        hospitals=tuple(hospitals),
        complete=complete,
        neutrality_modifier=used.pop() if len(used) == 1 and rules.method == "stratified" else None,
        neutrality_modifier_published=printed.pop() if len(printed) == 1 else None,
        peer_groups_agree=groups.agree if complete else None,
        peer_groups_compared=groups.compared if complete else None,
        medians=medians.recomputed if complete else None,
        medians_agree=medians.agree if complete else None,
        medians_compared=medians.compared if complete else None,
        penalty_indicators_differ=_indicators_that_differ(file),
        notes=(*file.notes, completeness_note, *_notes(file, rules, neutrality_modifier)),
    )


class _Figures:
    """The figures of a file as arrays, hospitals down and the six measures across, and the contributions made of them."""

    def __init__(self, file: SupplementalFile, rules: ProgramYear, reference_modifier: float | None) -> None:
        def column(figure: str) -> NDArray[np.float64]:
            rows = [
                [_number(getattr(row.measures.get(measure), figure, None)) for measure in MEASURES]
                for row in file.hospitals
            ]
            return np.array(rows, dtype=np.float64).reshape(len(file.hospitals), len(MEASURES))

        self.cases = column("eligible_discharges")
        self.err = column("err")
        self.ratio = column("drg_payment_ratio")
        if rules.method == "stratified":
            self.median = column("peer_group_median")
            digits = file.decimals_of("neutrality_modifier")
            self.modifier = np.array(
                [
                    _number(agreeing_figure(row.neutrality_modifier, digits, reference_modifier))
                    for row in file.hospitals
                ]
            )
        else:
            self.median = np.ones_like(self.err)
            self.modifier = np.ones(len(file.hospitals))
        in_payment = np.array([measure in rules.measures_in_payment for measure in MEASURES])
        self.counts = (self.cases >= MINIMUM_CASES) & np.isfinite(self.err) & in_payment
        # A measure that counts needs every figure of the formula; without one of them the factor is unknown, not zero.
        lacking = ~np.isfinite(self.median * self.ratio * self.modifier[:, None])
        self.sufficient = ~(self.counts & lacking & ~(self.err <= self.median)).any(axis=1)
        self.contribution = contributions(
            np.where(in_payment, self.err, np.nan), self.median, self.ratio, self.cases, self.modifier[:, None]
        )


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _factors(
    file: SupplementalFile, rules: ProgramYear, table: _Figures
) -> list[tuple[float | None, float | None, tuple[float, float] | None, Agreement | None]]:
    """Of each hospital: factor, reduction, allowed interval, agreement with the published factor."""
    reductions = payment_reduction(table.contribution, rules.max_reduction)
    cap = Decimal(repr(rules.max_reduction))
    results: list[tuple[float | None, float | None, tuple[float, float] | None, Agreement | None]] = []
    for number, row in enumerate(file.hospitals):
        if not file.has_payment_ratios or not table.sufficient[number] or row.ccn[:2] in EXEMPT_STATE_CODES:
            results.append((None, None, None, None))
            continue
        reduction = float(reductions[number])
        paf = 1.0 - reduction
        total = _allowed_sum(file, rules, row)
        allowed = None if total is None else (1 - min(total[1], cap), 1 - min(total[0], cap))
        agreement: Agreement | None = None
        if row.paf is not None:
            low, high = rounding_interval(row.paf, file.decimals_of("paf"))
            if allowed is None or not (allowed[0] < high and low <= allowed[1]):
                agreement = "outside"
            else:
                exact = round_half_up(paf, file.decimals_of("paf")) == row.paf
                agreement = "exact" if exact else "within_input_rounding"
        bounds = None if allowed is None else (float(allowed[0]), float(allowed[1]))
        results.append((paf, reduction, bounds, agreement))
    return results


def _allowed_sum(file: SupplementalFile, rules: ProgramYear, row: SupplementalHospital) -> Interval | None:
    """The sums of contributions that the printed figures allow; None where figures and indicator contradict each other."""
    zero = Decimal(0)
    if rules.method == "stratified" and row.neutrality_modifier is not None:
        modifier = rounding_interval(row.neutrality_modifier, file.decimals_of("neutrality_modifier"))
    else:
        modifier = (Decimal(1), Decimal(1))
    low = high = zero
    for measure in rules.measures_in_payment:
        figures = row.measures.get(measure)
        if figures is None:
            continue
        excess = _allowed_excess(file, rules, figures)
        if excess is None:
            return None
        if excess[1] == 0:
            continue
        if figures.drg_payment_ratio is None:
            # Excess zero is possible here, or the hospital would have been set aside as insufficient.
            continue
        ratio = rounding_interval(figures.drg_payment_ratio, file.decimals_of("drg_payment_ratio"))
        low += modifier[0] * max(ratio[0], zero) * excess[0]
        high += modifier[1] * ratio[1] * excess[1]
    return low, high


def _allowed_excess(file: SupplementalFile, rules: ProgramYear, figures: SupplementalMeasure) -> Interval | None:
    """The values of max(ERR - median, 0), zero where the measure does not count, that the printed figures allow."""
    nothing = (Decimal(0), Decimal(0))
    flagged = figures.penalty_indicator
    counts = figures.eligible_discharges is not None and figures.eligible_discharges >= MINIMUM_CASES
    if not counts or figures.err is None:
        return None if flagged else nothing
    err = rounding_interval(figures.err, file.decimals_of("err"))
    if rules.method != "stratified":
        median = (Decimal(1), Decimal(1))
    elif figures.peer_group_median is None:
        return None if flagged else nothing
    else:
        median = rounding_interval(figures.peer_group_median, file.decimals_of("peer_group_median"))
    lowest, highest = err[0] - median[1], err[1] - median[0]
    if flagged is None:
        return max(lowest, Decimal(0)), max(highest, Decimal(0))
    if flagged:
        return (max(lowest, Decimal(0)), highest) if highest > 0 else None
    return nothing if lowest < 0 else None


def _penalty_indicator(figures: SupplementalMeasure, rules: ProgramYear) -> bool | None:
    """The indicator by the printed figures; the printed indicator decides where ERR and median are printed equal."""
    if figures.eligible_discharges is None or figures.err is None:
        return False
    median = figures.peer_group_median if rules.method == "stratified" else 1.0
    if median is None:
        return None
    if figures.err == median and figures.eligible_discharges >= MINIMUM_CASES:
        return figures.penalty_indicator
    return figures.eligible_discharges >= MINIMUM_CASES and figures.err > median


def _indicators_that_differ(file: SupplementalFile) -> tuple[tuple[str, str], ...]:
    """(CCN, measure) where the printed indicator cannot follow from the printed figures."""
    differ = []
    for row in file.hospitals:
        for measure, figures in row.measures.items():
            if figures.penalty_indicator is None:
                continue
            counts = (
                figures.eligible_discharges is not None
                and figures.eligible_discharges >= MINIMUM_CASES
                and figures.err is not None
                and figures.peer_group_median is not None
            )
            tie = counts and figures.err == figures.peer_group_median
            above = counts and figures.err > figures.peer_group_median  # type: ignore[operator]
            if not tie and above != figures.penalty_indicator:
                differ.append((row.ccn, measure))
    return tuple(differ)


@dataclass(frozen=True, slots=True)
class _PeerGroups:
    assigned: NDArray[np.int64]
    agree: int
    compared: int
    published: frozenset[int]


def _compare_peer_groups(file: SupplementalFile) -> _PeerGroups:
    """Peer groups from the dual proportions of the file's own hospitals, beside the published ones."""
    proportions = np.array(
        [np.nan if row.ccn[:2] in EXEMPT_STATE_CODES else _number(row.dual_proportion) for row in file.hospitals]
    )
    assigned = assign_peer_groups(proportions, [row.ccn for row in file.hospitals])
    lowest, highest = possible_peer_groups(proportions)
    published = np.array([row.peer_group or 0 for row in file.hospitals])
    compared = (published > 0) & (assigned > 0)
    agree = compared & (lowest <= published) & (published <= highest)
    # Equal printed proportions across a cut: CMS's own order decides, and the published group is it.
    assigned = np.where(agree, published, assigned)
    return _PeerGroups(assigned, int(agree.sum()), int(compared.sum()), frozenset(published[compared].tolist()))


@dataclass(frozen=True, slots=True)
class _Medians:
    recomputed: dict[tuple[int, str], float]
    agree: int
    compared: int


def published_medians(file: SupplementalFile) -> dict[tuple[int, str], set[float]]:
    """The medians that the file prints, by (peer group, measure): one value each in a sound file."""
    printed: dict[tuple[int, str], set[float]] = {}
    for row in file.hospitals:
        if row.peer_group is None:
            continue
        for measure, figures in row.measures.items():
            if figures.peer_group_median is not None:
                printed.setdefault((row.peer_group, measure), set()).add(figures.peer_group_median)
    return printed


def _compare_medians(file: SupplementalFile) -> _Medians:
    """Medians of the ERRs of the file's own hospitals by published peer group, beside the published ones.

    The median of rounded ratios is within half a unit of the true one, and the published one too: they agree when they are less
    than one printed unit apart (for an odd number of hospitals that means equal).
    """
    errs = [
        [_number(getattr(row.measures.get(measure), "err", None)) for measure in file.measures]
        for row in file.hospitals
    ]
    groups = [row.peer_group or 0 for row in file.hospitals]
    table = peer_group_medians(np.array(errs).reshape(len(groups), len(file.measures)), groups)
    recomputed = {
        (group, measure): float(round_half_up(table[group - 1, column], 15))
        for group in range(1, GROUPS + 1)
        for column, measure in enumerate(file.measures)
        if np.isfinite(table[group - 1, column])
    }
    unit = Decimal(1).scaleb(-file.decimals_of("peer_group_median"))
    printed = published_medians(file)
    agree = sum(
        len(values) == 1
        and place in recomputed
        and abs(Decimal(repr(recomputed[place])) - Decimal(repr(next(iter(values))))) < unit
        for place, values in printed.items()
    )
    return _Medians(recomputed, agree, len(printed))


def _completeness(
    file: SupplementalFile, rules: ProgramYear, groups: _PeerGroups, medians: _Medians, hospitals_in_file: int | None
) -> tuple[bool, str]:
    """Whether the file has every hospital of its year, and the sentence that says by what evidence."""
    listed = f"{len(file.hospitals):,} hospital{'s' if len(file.hospitals) != 1 else ''}"
    year = f"FY{file.program_year}"
    expected = f"CMS's {year} file has {hospitals_in_file:,}" if hospitals_in_file else f"{year}'s number is not known"
    if rules.method != "stratified":
        return False, f"{listed} ({expected}). {year} compares with 1: it has no peer groups and no medians."
    whole = set(range(1, GROUPS + 1))
    reproduced = (
        groups.compared == len(file.hospitals) == groups.agree
        and groups.published == whole
        and medians.compared == medians.agree > 0
    )
    if reproduced:
        word = "Complete" if hospitals_in_file in {None, len(file.hospitals)} else "Whole in itself"
        return True, (
            f"{word}: {listed} ({expected}), whose dual proportions and ratios give every published peer group and median."
        )
    if hospitals_in_file == len(file.hospitals) and groups.published == whole:
        return True, (
            f"Complete by its number of hospitals ({expected}), but {groups.compared - groups.agree:,} peer groups and "
            f"{medians.compared - medians.agree} medians do not follow from its own figures."
        )
    return False, (
        f"Not complete: {listed} ({expected}), whose own figures do not give the published peer groups and medians. "
        "Factors use the groups and medians that the file prints; groups and medians are not recomputed."
    )


def _notes(file: SupplementalFile, rules: ProgramYear, reference_modifier: float | None) -> list[str]:
    notes = []
    year = f"FY{file.program_year}"
    if not file.has_payment_ratios:
        notes.append(
            f"{year}'s file carries no DRG payment ratios: its figures are listed and no factor can be recomputed from it."
        )
    elif rules.method == "stratified":
        digits = file.decimals_of("neutrality_modifier")
        printed = Counter(row.neutrality_modifier for row in file.hospitals if row.neutrality_modifier is not None)
        if len(printed) > 1:
            notes.append(f"The file prints {len(printed)} different neutrality modifiers; each hospital's own is used.")
        for value, _ in printed.most_common(1):
            used = agreeing_figure(value, digits, reference_modifier)
            if used != value:
                notes.append(
                    f"Neutrality modifier: the file prints {value:.{digits}f}; {used} of the reference table, which rounds to "
                    "it, is multiplied with."
                )
            elif reference_modifier is not None and used != reference_modifier:
                notes.append(
                    f"Neutrality modifier: the file prints {value:.{digits}f}, the reference table has {reference_modifier}; "
                    "they disagree, and the file's is used."
                )
    left_out = [measure for measure in MEASURES if measure not in rules.measures_in_payment]
    if left_out:
        notes.append(f"Not in {year}'s payment formula: {', '.join(left_out)}.")
    exempt = sum(row.ccn[:2] in EXEMPT_STATE_CODES for row in file.hospitals)
    if exempt:
        notes.append(
            f"Maryland's hospitals ({exempt} here) are exempt from the program: their factor is not recomputed."
        )
    return notes


def peer_group_bands(file: SupplementalFile) -> dict[int, tuple[float, float, int]]:
    """Of each published peer group: lowest and highest dual proportion of its hospitals, and their number."""
    found: dict[int, list[float]] = {}
    for row in file.hospitals:
        if row.peer_group is not None and row.dual_proportion is not None:
            found.setdefault(row.peer_group, []).append(row.dual_proportion)
    return {group: (min(values), max(values), len(values)) for group, values in sorted(found.items())}


def figures_to_adopt(
    result: Recomputation,
    reference_modifier: float | None,
    reference_medians: Mapping[tuple[int, str], float],
    usual_hospitals: int | None = None,
) -> dict[str, list[dict[str, object]]]:
    """The national figures of a complete file as rows of the reference tables, by table name.

    `reference_modifier` and `reference_medians` are what the reference tables have for that very year: where a figure of
    theirs rounds to the printed one it has more digits and is kept. `usual_hospitals` is the number of hospitals in CMS's newest
    known file; a file with less than half of them is not the nation's, however well its figures agree with one another. Raises
    InputContractError, with the reason, for a file that is not complete or whose figures do not follow from one another: a part
    of a file would give medians that are no one's.
    """
    file, year = result.file, result.file.program_year
    obstacle = _obstacle(result, usual_hospitals)
    if obstacle:
        raise InputContractError(
            f"{file.name}: nothing is adopted, because {obstacle}. Expected CMS's complete file of one stratified program year "
            "(FY2019 or later), from which every published factor, peer group and median can be recomputed."
        )
    source = f"CMS FY{year} supplemental file ({file.name})"
    digits = file.decimals_of("peer_group_median")
    medians: list[dict[str, object]] = []
    for (group, measure), values in sorted(published_medians(file).items()):
        median = agreeing_figure(next(iter(values)), digits, reference_medians.get((group, measure)))
        medians.append(
            {"program_year": year, "peer_group": group, "measure": measure, "median_err": median, "source": source}
        )
    cuts: list[dict[str, object]] = [
        {
            "program_year": year,
            "peer_group": group,
            "lowest_dual_proportion": lowest,
            "highest_dual_proportion": highest,
            "hospitals": hospitals,
            "source": f"{source}, observed range",
        }
        for group, (lowest, highest, hospitals) in peer_group_bands(file).items()
    ]
    modifier = agreeing_figure(
        result.neutrality_modifier_published, file.decimals_of("neutrality_modifier"), reference_modifier
    )
    national: list[dict[str, object]] = [
        {
            "program_year": year,
            "neutrality_modifier": modifier,
            "hospitals_in_file": len(file.hospitals),
            "source": f"{source} for the neutrality modifier and the number of hospitals; the rest as shipped",
        }
    ]
    return {"peer_group_medians": medians, "peer_group_cuts": cuts, "program_years": national}


def published_results(file: SupplementalFile) -> list[dict[str, object]]:
    """What the file prints of each hospital, as rows of the reference table published_results, for the forecast ledger.

    Figures of the hospital (measure empty): reduction (fraction), chance_of_penalty (1 or 0). By measure: err, eligible_discharges,
    drg_payment_ratio. What is not printed has no row.
    """
    source = f"CMS FY{file.program_year} supplemental file ({file.name})"
    rows: list[dict[str, object]] = []

    def add(ccn: str, measure: str, figure: str, value: float | None) -> None:
        if value is not None:
            place = {"program_year": file.program_year, "ccn": ccn, "measure": measure, "figure": figure}
            rows.append(place | {"value": value, "source": source})

    for row in file.hospitals:
        if row.paf is not None:
            add(row.ccn, "", "reduction", round_half_up(1.0 - row.paf, file.decimals_of("paf")))
            add(row.ccn, "", "chance_of_penalty", int(row.paf < 1))
        for measure, figures in row.measures.items():
            add(row.ccn, measure, "err", figures.err)
            add(row.ccn, measure, "eligible_discharges", figures.eligible_discharges)
            add(row.ccn, measure, "drg_payment_ratio", figures.drg_payment_ratio)
    return rows


def _obstacle(result: Recomputation, usual_hospitals: int | None) -> str | None:
    """Why the national figures of a file cannot be taken over, or None."""
    file = result.file
    outside = result.with_agreement("outside")
    if result.rules.method != "stratified":
        return f"FY{file.program_year} has no peer groups"
    if not result.complete:
        return (
            f"it lists {len(file.hospitals):,} hospitals whose own figures do not give the published peer groups and medians: it is "
            "not the complete file"
        )
    if usual_hospitals is not None and len(file.hospitals) < usual_hospitals / 2:
        return f"it lists {len(file.hospitals):,} hospitals where CMS's files list about {usual_hospitals:,}"
    if result.peer_groups_agree != result.peer_groups_compared or result.medians_agree != result.medians_compared:
        return "published peer groups or medians do not follow from its figures"
    if outside:
        return f"{len(outside):,} published factors do not follow from its figures (first: hospital {outside[0]})"
    if result.neutrality_modifier_published is None:
        return "it prints no single neutrality modifier"
    return None
