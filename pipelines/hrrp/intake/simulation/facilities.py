"""Invented hospitals: certification numbers, names, sizes, and how much better or worse than average each is at every
measure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrrp.intake.simulation.rules import Model

# State codes of CMS certification numbers with their postal codes. California and Texas are left out, because real
# hospitals there have numbers above 0700, and Maryland, because its hospitals are exempt from the program.
_STATES: tuple[tuple[str, str], ...] = (
    *(("01", "AL"), ("03", "AZ"), ("04", "AR"), ("06", "CO"), ("07", "CT"), ("08", "DE"), ("10", "FL"), ("11", "GA")),
    *(("13", "ID"), ("14", "IL"), ("15", "IN"), ("16", "IA"), ("17", "KS"), ("18", "KY"), ("19", "LA"), ("20", "ME")),
    *(("22", "MA"), ("23", "MI"), ("24", "MN"), ("25", "MS"), ("26", "MO"), ("27", "MT"), ("28", "NE"), ("29", "NV")),
    *(("30", "NH"), ("31", "NJ"), ("32", "NM"), ("33", "NY"), ("34", "NC"), ("35", "ND"), ("36", "OH"), ("37", "OK")),
    *(("38", "OR"), ("39", "PA"), ("41", "RI"), ("42", "SC"), ("43", "SD"), ("44", "TN"), ("46", "UT"), ("47", "VT")),
    *(("49", "VA"), ("50", "WA"), ("51", "WV"), ("52", "WI"), ("53", "WY")),
)
# Positions 3 to 6 of the numbers given: within the range of each type, above those of the hospitals listed in 2026.
_FIRST_ACUTE, _LAST_ACUTE = 700, 879
_FIRST_CRITICAL_ACCESS, _FIRST_REHABILITATION, _NUMBERS_OF_OTHERS = 1390, 3090, 10
MOST_HOSPITALS = len(_STATES) * (_LAST_ACUTE - _FIRST_ACUTE + 1)

# Place names are made of two halves; the list of whole names was compared with the hospitals listed in 2026: none is
# real.
_STARTS = """
    River Oaken Maple Stone Clear Silver Cedar Elm Fox Glen Haven Iron Juniper Lark Meadow Nettle Orchard Pine Quarry
    Rose Sage Thorn Upper Vale Willow Amber Birch Crane Dove Ember Fern Gray Heron Ivy Larch Moss Night Osprey Plum
    Raven
"""
_ENDS = """
    bend brook crest croft field ford gate grove harbor hill hollow holt lea meadow mere mont port reach ridge shore
    spire spring vane ward water wick wynd worth
"""
_LANDSCAPE, _ENDINGS = _STARTS.split(), _ENDS.split()
_KINDS = (
    "Medical Center",
    "Community Hospital",
    "Regional Hospital",
    "Memorial Hospital",
    "General Hospital",
    "Health",
    "Valley Hospital",
    "Hospital",
)

# Spread of hospital volume on the log scale, and of the DRG base rate around its typical dollars.
_SPREAD_OF_SIZE = 0.8
_BASE_RATE, _SPREAD_OF_BASE_RATE = 6_700.0, 0.10
_SHARE_WITH_HEART_SURGERY = 0.45


@dataclass(frozen=True)
class Facilities:
    """The hospitals (first `hospitals` positions), then critical access hospitals, then rehabilitation hospitals.

    `volume` sums to 1 over the hospitals; `effects` has shape (all facilities, measures), zero beyond the hospitals;
    `dual` is the chance that a patient whose home hospital it is has full Medicaid benefits; `base_rate` is dollars
    per DRG weight.
    """

    hospitals: int
    ccn: tuple[str, ...]
    names: tuple[str, ...]
    states: tuple[str, ...]
    volume: NDArray[np.float64]
    heart_surgery: NDArray[np.bool_]
    dual: NDArray[np.float64]
    base_rate: NDArray[np.float64]
    effects: NDArray[np.float64]
    critical_access: NDArray[np.int64]
    rehabilitation: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ccn)


def _name(number: int) -> str:
    """The invented name of that number, none twice: place names run first, so that neighbours differ in every word."""
    places = len(_LANDSCAPE) * len(_ENDINGS)
    kind, place = divmod(number, places)
    start = _LANDSCAPE[place % len(_LANDSCAPE)]
    end = _ENDINGS[(place // len(_LANDSCAPE) + place) % len(_ENDINGS)]
    return f"{start}{end} {_KINDS[(place + kind) % len(_KINDS)]}"


def draw_facilities(rng: np.random.Generator, hospitals: int, models: tuple[Model, ...]) -> Facilities:
    """Invent `hospitals` hospitals and the few other facilities around them; true effects are Normal(0, tau2) by
    measure.
    """
    others = max(1, min(hospitals // 10, len(_STATES)))
    # One system lies in few states, a nation in all of them.
    states = rng.permutation(len(_STATES))[: min(len(_STATES), 1 + hospitals // 12)]
    state_of = states[np.arange(hospitals) % len(states)]
    numbers = _LAST_ACUTE - np.arange(hospitals) // len(states)
    ccn = [f"{_STATES[state][0]}{number:04d}" for state, number in zip(state_of, numbers, strict=True)]
    postal = [_STATES[state][1] for state in state_of]
    name_numbers = rng.permutation(len(_LANDSCAPE) * len(_ENDINGS) * len(_KINDS))[:hospitals]
    for first in (_FIRST_CRITICAL_ACCESS, _FIRST_REHABILITATION):
        around = states[np.arange(others) % len(states)]
        ccn += [f"{_STATES[s][0]}{first + k // len(states) % _NUMBERS_OF_OTHERS:04d}" for k, s in enumerate(around)]
        postal += [_STATES[state][1] for state in around]

    # Evenly spaced quantiles of a lognormal: every hospital's size differs, and the spread does not hang on the seed.
    from scipy.special import ndtri

    size = np.exp(_SPREAD_OF_SIZE * ndtri((np.arange(hospitals) + 0.5) / hospitals))
    size = rng.permutation(size / size.sum())
    surgical = np.zeros(hospitals, dtype=np.bool_)
    surgical[np.argsort(-size)[: max(1, round(_SHARE_WITH_HEART_SURGERY * hospitals))]] = True

    total = len(ccn)
    effects = np.zeros((total, len(models)))
    effects[:hospitals] = rng.normal(size=(hospitals, len(models))) * np.sqrt([model.tau2 for model in models])
    base_rate = np.zeros(total)
    base_rate[:hospitals] = _BASE_RATE * np.exp(_SPREAD_OF_BASE_RATE * rng.normal(size=hospitals))
    return Facilities(
        hospitals=hospitals,
        ccn=tuple(ccn),
        names=tuple(_name(int(number)) for number in name_numbers),
        states=tuple(postal),
        volume=size,
        heart_surgery=surgical,
        dual=np.clip(rng.beta(4.0, 14.0, size=hospitals), 0.04, 0.6),
        base_rate=base_rate,
        effects=effects,
        critical_access=np.arange(hospitals, hospitals + others),
        rehabilitation=np.arange(hospitals + others, hospitals + 2 * others),
    )
