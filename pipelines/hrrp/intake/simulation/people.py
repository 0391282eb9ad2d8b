"""The patients behind the courses: who they are, what they are insured with month by month, when they die.

Months are counted from 1970-01 (0), days from 1970-01-01.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from hrrp.intake.simulation.catalogue import TRAITS
from hrrp.intake.simulation.courses import (
    DAYS_BETWEEN_EPISODES,
    DIED,
    RETURN_DAYS,
    STILL_A_PATIENT,
    Courses,
    Days,
    Options,
    day_number,
)
from hrrp.intake.simulation.facilities import Facilities

# Payers of a stay, by position.
PAYERS = ("FFS", "MA", "other")
_FFS, _MA, _OTHER = range(len(PAYERS))
# Monthly dual status codes, by position: not in Medicaid, full benefits, others.
DUAL_CODES = ("NA", "02", "04", "08", "01", "03", "06")
_FULL = (1, 4)

_MEDICARE_ADVANTAGE, _TO_ADVANTAGE, _TO_FFS = 0.47, 0.03, 0.01
_COMMERCIAL, _COMMERCIAL_YOUNGER = 0.01, 0.5
_PART_B_GAP, _LEAVES = 0.04, 0.015
_PARTIAL_DUAL = 0.07
_DIES_LATER = 0.07
_NEVER = np.int64(10**6)
MONTHS_BEFORE = 13


@dataclass(frozen=True)
class Selected:
    """The stays that are kept, in the order of the files: by person, then by admission.

    `stay` are positions in `Courses.stays`; `position` is the inverse (-1 for stays left out); `person` numbers the
    persons from 0 without gaps, per kept stay; `episode_person` per episode (-1 for episodes left out).
    """

    stay: NDArray[np.int64]
    position: NDArray[np.int64]
    person: NDArray[np.int64]
    episode_person: NDArray[np.int64]
    persons: int


@dataclass(frozen=True)
class People:
    """Per person: sex, birth and death (-1 unknown or alive), months of enrollment `begin` to `finish` (empty where
    `finish` lies before `begin`), the months without Part B, the months in Medicare Advantage, the dual status code's
    position.

    Per kept stay: `payer`, `covered_before` (Parts A and B in all twelve months before the admission month, either
    kind of Medicare), `covered_after` (enrolled in the month after discharge, or dead within 30 days).
    """

    male: NDArray[np.bool_]
    birth: Days
    death: Days
    begin: NDArray[np.int64]
    finish: NDArray[np.int64]
    gap_begin: NDArray[np.int64]
    gap_finish: NDArray[np.int64]
    advantage_begin: NDArray[np.int64]
    advantage_finish: NDArray[np.int64]
    dual: NDArray[np.int8]
    first_admit: Days
    last_discharge: Days
    payer: NDArray[np.int8]
    covered_before: NDArray[np.bool_]
    covered_after: NDArray[np.bool_]

    @property
    def full_dual(self) -> NDArray[np.bool_]:
        """Persons with full Medicaid benefits."""
        return (self.dual >= _FULL[0]) & (self.dual < _FULL[1])


def month_of(day: NDArray[np.int32]) -> NDArray[np.int64]:
    """Month of a day, both counted from 1970-01."""
    return day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def select(courses: Courses, stays: int) -> Selected | None:
    """Choose whole episodes that hold exactly `stays` stays; None where the courses hold too few."""
    drawn = courses.stays
    episodes = len(courses.person)
    size = np.bincount(drawn.episode, minlength=episodes)
    total = np.cumsum(size)
    whole = int(np.searchsorted(total, stays, side="right"))
    missing = stays - (int(total[whole - 1]) if whole else 0)
    singles = whole + np.flatnonzero(size[whole:] == 1)[:missing]
    if len(singles) < missing:
        return None
    kept = np.zeros(episodes, dtype=np.bool_)
    kept[:whole] = True
    kept[singles] = True

    key = drawn.episode.astype(np.int64) * 16 + courses.generation + 1
    order = np.argsort(key, kind="stable")
    order = order[kept[drawn.episode[order]]]
    episode = drawn.episode[order]
    new_episode = np.diff(episode, prepend=-1) != 0
    # Two episodes too close to each other become those of two persons.
    starts = np.flatnonzero(new_episode)
    ends = np.append(starts[1:], len(order)) - 1
    last_discharge = np.maximum.reduceat(drawn.discharge[order], starts) if len(starts) else drawn.discharge[:0]
    gap = drawn.admit[order[starts[1:]]] - last_discharge[:-1]
    same = (np.diff(courses.person[episode[starts]]) == 0) & (gap >= DAYS_BETWEEN_EPISODES)
    of_episode = np.cumsum(np.append(True, ~same)) - 1 if len(starts) else np.zeros(0, dtype=np.int64)
    episode_person = np.full(episodes, -1, dtype=np.int64)
    episode_person[episode[starts]] = of_episode
    position = np.full(len(drawn), -1, dtype=np.int64)
    position[order] = np.arange(len(order))
    return Selected(
        stay=order,
        position=position,
        person=np.repeat(of_episode, ends - starts + 1),
        episode_person=episode_person,
        persons=int(of_episode[-1]) + 1 if len(starts) else 0,
    )


def draw_people(
    rng: np.random.Generator, options: Options, courses: Courses, selected: Selected, facilities: Facilities
) -> People:
    """Draw what is not in the courses: deaths after discharge, enrollment, dual status."""
    stays, order, person, count = courses.stays, selected.stay, selected.person, selected.persons
    first = np.flatnonzero(np.diff(person, prepend=-1))
    last = np.append(first[1:], len(person)) - 1
    admit, discharge = stays.admit[order], stays.discharge[order]
    first_admit = admit[first]
    last_discharge = np.maximum.reduceat(discharge, first)
    episode = stays.episode[order]
    male, birth, home = courses.male[episode[first]], courses.birth[episode[first]], courses.home[episode[first]]
    end = day_number(options.end)

    # Death: in hospital at the last stay, or after it; beyond the extract's end it is not known yet.
    final, status = order[last], stays.status[order[last]]
    # Whoever has a stay after the extract's end lives until then.
    mortal = courses.last_of_person[episode[last]] & ~courses.goes_on[episode[last]] & (status != STILL_A_PATIENT)
    dies_after = np.array([traits.dies_after for traits in TRAITS])[stays.group[final]]
    u, when = rng.random(count), rng.random(count)
    death = np.full(count, -1, dtype=np.int64)
    soon = mortal & (u < dies_after)
    later = mortal & ~soon & (u > 1 - _DIES_LATER)
    death[soon] = (last_discharge + 1 + np.floor(RETURN_DAYS * when))[soon]
    death[later] = (last_discharge + RETURN_DAYS + 1 + np.floor(270 * when))[later]
    in_hospital = status == DIED
    death[in_hospital] = stays.discharge[final][in_hospital]
    death[death > end] = -1

    month, last_month = month_of(first_admit), month_of(last_discharge)
    birthday = month_of(birth) + 65 * 12
    younger = birthday > month
    u = rng.random(count)
    commercial = u < np.where(younger, _COMMERCIAL_YOUNGER, _COMMERCIAL)
    begin = month - MONTHS_BEFORE - rng.integers(0, 4, count)
    begin = np.where(younger, begin, np.maximum(begin, birthday))
    finish = np.minimum(last_month + 2, month_of(np.array([end]))[0] + 1)
    leaves = rng.random(count) < _LEAVES
    finish = np.where(leaves, last_month, finish)
    finish = np.where(death >= 0, np.minimum(finish, month_of(np.maximum(death, 0))), finish)
    finish = np.where(commercial, begin - 1, finish)

    gap = rng.random(count) < _PART_B_GAP
    gap_begin = begin + np.floor(rng.random(count) * (month - begin + 1)).astype(np.int64)
    gap_begin = np.where(gap, gap_begin, _NEVER)
    gap_finish = gap_begin + rng.integers(0, 6, count)

    u = rng.random(count)
    advantage = rng.random(count) < _MEDICARE_ADVANTAGE
    january = (begin // 12 + 1 + np.floor(rng.random(count) * np.maximum(1, (finish - begin) // 12))).astype(
        np.int64
    ) * 12
    advantage_begin = np.where(advantage, -_NEVER, _NEVER)
    advantage_finish = np.full(count, _NEVER)
    advantage_begin = np.where(~advantage & (u < _TO_ADVANTAGE), january, advantage_begin)
    advantage_finish = np.where(advantage & (u < _TO_FFS), january, advantage_finish)

    full = rng.random(count) < facilities.dual[home]
    partial = ~full & (rng.random(count) < _PARTIAL_DUAL)
    which = rng.random(count)
    dual = np.where(full, 1 + np.searchsorted([0.75, 0.83, 1.0], which), 0)
    dual = np.where(partial, _FULL[1] + np.searchsorted([0.4, 0.8, 1.0], which), dual).astype(np.int8)

    at, after = month_of(admit), month_of(discharge) + 1
    managed = (at >= advantage_begin[person]) & (at < advantage_finish[person])
    payer = np.where(commercial[person], _OTHER, np.where(managed, _MA, _FFS)).astype(np.int8)
    covered_before = (begin[person] <= at - 12) & (finish[person] >= at)
    covered_before &= ~((gap_begin[person] <= at - 1) & (gap_finish[person] >= at - 12))
    dead = death[person]
    covered_after = (finish[person] >= after) | ((dead >= 0) & (dead - discharge <= RETURN_DAYS))
    return People(
        male=male,
        birth=birth,
        death=death.astype(np.int32),
        begin=begin,
        finish=finish,
        gap_begin=gap_begin,
        gap_finish=gap_finish,
        advantage_begin=advantage_begin,
        advantage_finish=advantage_finish,
        dual=dual,
        first_admit=first_admit,
        last_discharge=last_discharge,
        payer=payer,
        covered_before=covered_before,
        covered_after=covered_after,
    )


def month_text(month: int) -> str:
    """YYYY-MM of a month counted from 1970-01."""
    return f"{date(1970 + month // 12, month % 12 + 1, 1):%Y-%m}"
