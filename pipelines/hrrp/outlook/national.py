"""National figures that a forecast stands on: the last published ones, and how far such figures move from year to year.

A published series x_t (peer group median, neutrality modifier, cut, national rate on the logit scale) is treated as a random walk:
h years ahead its value is the last published one with standard deviation s * sqrt(h), s being the root mean square of the
series' yearly differences, pooled over the groups of a measure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np

from hrrp.outlook.forecast import National
from hrrp.program import MEASURES, Reference

GROUPS = (1, 2, 3, 4, 5)


def yearly_spread(series: Iterable[Mapping[int, float]]) -> float:
    """Root mean square of the yearly differences, pooled over several series; 0 where none has two years.

    A difference over a gap of k years counts as k yearly ones: its square is divided by k.
    """
    squares = []
    for values in series:
        years = sorted(values)
        for earlier, later in pairwise(years):
            squares.append((values[later] - values[earlier]) ** 2 / (later - earlier))
    return math.sqrt(sum(squares) / len(squares)) if squares else 0.0


def national_figures(reference: Reference, program_year: int) -> tuple[National, list[str]]:
    """The figures for one program year with their spread, and a note for each stand-in.

    Raises RulesMissingError for a year that the tables do not list.
    """
    rules = reference.program_year(program_year)
    medians = reference.peer_group_medians(program_year)
    cuts = reference.peer_group_cuts(program_year)
    modifier = reference.neutrality_modifier(program_year)
    rates = reference.national_rates(program_year)
    by_measure = {
        measure: [
            {
                int(row["program_year"]): float(row["median_err"])
                for row in reference.rows("peer_group_medians")
                if row["measure"] == measure and int(row["peer_group"]) == group and row["median_err"]
            }
            for group in GROUPS
        ]
        for measure in MEASURES
    }
    ahead = math.sqrt(max(program_year - medians.year_used, 0))
    median_sd = np.array([yearly_spread(by_measure[measure]) * ahead for measure in MEASURES])
    logit_rates = {
        measure: {
            int(row["program_year"]): math.log(rate / (1 - rate))
            for row in reference.rows("national_rates")
            if row["measure"] == measure and (rate := float(row["national_observed_unplanned_30d_rate"]))
        }
        for measure in MEASURES
    }
    model_year = max(reference.published_model(measure, program_year).year_used for measure in MEASURES)
    model_ahead = math.sqrt(max(program_year - model_year, 0))
    modifiers = {
        year: rules.neutrality_modifier
        for year, rules in reference.program_years.items()
        if rules.neutrality_modifier is not None
    }
    cut_series = [
        {
            int(row["program_year"]): float(row["highest_dual_proportion"])
            for row in reference.rows("peer_group_cuts")
            if int(row["peer_group"]) == group
        }
        for group in GROUPS[:4]
    ]
    figures = National(
        medians=np.array([[medians.value[group, measure] for measure in MEASURES] for group in GROUPS]),
        median_sd=np.tile(median_sd, (len(GROUPS), 1)),
        model_sd=np.array([yearly_spread([logit_rates[measure]]) * model_ahead for measure in MEASURES]),
        neutrality_modifier=modifier.value,
        neutrality_modifier_sd=yearly_spread([modifiers]) * math.sqrt(max(program_year - modifier.year_used, 0)),
        cuts=np.array([cuts.value[group] for group in GROUPS[:4]]),
        cuts_sd=yearly_spread(cut_series) * math.sqrt(max(program_year - cuts.year_used, 0)),
        cap=rules.max_reduction,
        in_payment=np.array([measure in rules.measures_in_payment for measure in MEASURES]),
    )
    notes = [figure.note for figure in (medians, cuts, modifier, rates) if figure.note]
    return figures, notes


def hospital_share(cases: int, of: int, national: float, spread: float) -> tuple[float, float]:
    """A hospital's share of something and its standard error, from `cases` seen among `of` and the national share.

    The shares of hospitals have a Beta distribution with mean `national` and standard deviation `spread`, so its weight in cases is
    w = national (1 - national) / spread^2 - 1, and

        share = (cases + w national) / (of + w),      error^2 = share (1 - share) / (of + w + 1).
    """
    weight = national * (1.0 - national) / spread**2 - 1.0
    share = (cases + weight * national) / (of + weight)
    return share, math.sqrt(share * (1.0 - share) / (of + weight + 1.0))
