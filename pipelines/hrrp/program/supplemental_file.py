"""The plain records of CMS's HRRP supplemental file: what CMS publishes for every hospital of one program year.

`hrrp.intake.supplemental` reads and writes the file, `hrrp.penalty.supplemental` recomputes it; both speak these records.
Ratios and proportions are fractions (a reduction of 0.25 % is 0.0025); what the file does not print is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Digits that CMS prints after the decimal point, and the fewest that any year's file has.
PRINTED_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class SupplementalMeasure:
    """One measure of one hospital as printed; `penalty_indicator` is Y (True) or N (False)."""

    eligible_discharges: int | None = None
    err: float | None = None
    peer_group_median: float | None = None
    penalty_indicator: bool | None = None
    drg_payment_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class SupplementalHospital:
    """One hospital's row as printed. `ccn` has six characters; `measures` has the measures that the file carries."""

    ccn: str
    paf: float | None
    payment_reduction: float | None
    dual_proportion: float | None
    peer_group: int | None
    neutrality_modifier: float | None
    measures: Mapping[str, SupplementalMeasure]


@dataclass(frozen=True, slots=True)
class SupplementalFile:
    """One supplemental file.

    `measures` are those that it has columns for, in report order. `decimals` maps the name of a figure (`paf`,
    `dual_proportion`, `neutrality_modifier`, `err`, `peer_group_median`, `drg_payment_ratio`) to the number of digits after the
    decimal point that the file prints it with, at least four: a printed figure stands for every value that rounds to it.
    `has_payment_ratios` is False for the files of FY2013 to FY2018, from which no factor can be recomputed. `notes` are
    sentences about what the reader met and mended.
    """

    program_year: int
    title: str
    hospitals: tuple[SupplementalHospital, ...]
    measures: tuple[str, ...]
    decimals: Mapping[str, int] = field(default_factory=dict)
    has_payment_ratios: bool = True
    notes: tuple[str, ...] = ()
    name: str = ""

    def decimals_of(self, figure: str) -> int:
        """Digits after the decimal point that the file prints `figure` with."""
        return self.decimals.get(figure, PRINTED_DECIMALS)
