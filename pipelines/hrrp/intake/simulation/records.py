"""What is written down about a stay: its diagnoses with their present-on-admission indicators, and what they set in
the risk model.

The record of an episode is a row of columns (rules.Recorded): true once the condition is known from a claim or an
earlier stay of the episode. Everything an episode's claims and stays say lies within 365 days before each of its
later stays, and the episodes of one person lie more than 365 days apart, so a row of the record is exactly the
history that the measures look back on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hrrp.intake.simulation.catalogue import CASES, CONDITIONS, PAST_PROCEDURES
from hrrp.intake.simulation.rules import Recorded
from hrrp.program import MEASURES

# Chance that a condition of the patient reaches the record, by where: claims before the first stay, the stay itself.
_CHRONIC_IN_CLAIMS, _ACUTE_IN_CLAIMS = 0.60, 0.12
_KNOWN_AGAIN, _CHRONIC_ON_STAY, _CHRONIC_ON_LATER_STAY, _ACUTE_ON_STAY = 0.75, 0.55, 0.06, 0.95
_MOST_LIKELY = 0.97
# Rows worked on at once, so that the random numbers of a step stay in the processor's cache.
_ROWS_AT_ONCE = 8_192

# Present-on-admission indicators, by their position here.
POA = ("Y", "N", "U", "W", "1")
_YES, _NO, _UNKNOWN, _UNDETERMINED, _EXEMPT = range(len(POA))

CONDITION_KEYS = [condition.key for condition in CONDITIONS]
# Every code that a record can carry: the conditions' codes, then principal diagnoses that are none of them.
CODES: tuple[str, ...] = tuple(
    dict.fromkeys(
        [code for condition in CONDITIONS for code in condition.codes] + [case.principal for case in CASES],
    )
)
PRINCIPAL_CODE = np.array([CODES.index(case.principal) for case in CASES], dtype=np.int16)
CASE_GROUP = np.array([case.group for case in CASES], dtype=np.int8)
_CODE_OF = np.zeros((len(CONDITIONS), max(len(condition.codes) for condition in CONDITIONS)), dtype=np.int16)
for _row, _condition in enumerate(CONDITIONS):
    _CODE_OF[_row, : len(_condition.codes)] = [CODES.index(code) for code in _condition.codes]
_CODES_OF_CONDITION = np.array([len(condition.codes) for condition in CONDITIONS], dtype=np.float32)
_PREVALENCE = np.array([condition.prevalence for condition in CONDITIONS], dtype=np.float32).T.copy()
_PAST_PREVALENCE = np.array([past.prevalence for past in PAST_PROCEDURES], dtype=np.float32).T.copy()
_CHRONIC = np.array([condition.chronic for condition in CONDITIONS])
_CLAIMS_ONLY = np.array([condition.claims_only for condition in CONDITIONS])
_FIRST_STAY_ONLY = np.array([condition.first_stay_only for condition in CONDITIONS])
_ACQUIRED = np.array([condition.acquired for condition in CONDITIONS], dtype=np.float32)
_EXEMPT_CODE = np.array([condition.exempt for condition in CONDITIONS])
_OF_CASE_PRESENT = np.array([[key in case.present for key in CONDITION_KEYS] for case in CASES])
_OF_CASE_ACQUIRED = np.array([[key in case.acquired for key in CONDITION_KEYS] for case in CASES])


def prevalence_class(group: NDArray[np.int8]) -> NDArray[np.int8]:
    """The column of the catalogue's prevalences for each group: the measures' own, then one for the rest."""
    return np.minimum(group, len(MEASURES)).astype(np.int8)


@dataclass
class Claims:
    """Outpatient and professional claims before each episode: one entry for each condition and each procedure known
    from them.
    """

    episode: NDArray[np.int32]
    code: NDArray[np.int16]
    procedure_episode: NDArray[np.int32]
    procedure: NDArray[np.int16]


@dataclass
class Secondary:
    """Secondary diagnoses of a front of stays, in order of `stay` (position within the front)."""

    stay: NDArray[np.int32]
    code: NDArray[np.int16]
    poa: NDArray[np.int8]


@dataclass
class Records:
    """The record of every episode: `known` has shape (episodes, columns). `frailty` scales how much an episode's
    patient has.
    """

    rules: Recorded
    frailty: NDArray[np.float32]
    known: NDArray[np.bool_] = field(init=False)
    # For each measure and variable, what sets it: columns of the record, then of what is present, then of what is
    # acquired.
    _sources: list[list[NDArray[np.int64]]] = field(init=False)

    def __post_init__(self) -> None:
        self.known = np.zeros((len(self.frailty), self.rules.columns), dtype=np.bool_)
        effects = zip(self.rules.history, self.rules.present, self.rules.acquired, strict=True)
        self._sources = [[np.flatnonzero(column) for column in np.concatenate(of).T] for of in effects]

    def draw_claims(self, rng: np.random.Generator, group: NDArray[np.int8]) -> Claims:
        """What claims of the months before tell of every episode; from here on it is known."""
        conditions, past = len(CONDITIONS), len(PAST_PROCEDURES)
        share = np.where(_CHRONIC, _CHRONIC_IN_CLAIMS, _ACUTE_IN_CLAIMS)
        share = np.where(_CLAIMS_ONLY, 1.0, np.where(_FIRST_STAY_ONLY, 0.0, share)).astype(np.float32)
        chance = np.hstack([_PREVALENCE * share, _PAST_PREVALENCE])
        kind = prevalence_class(group)
        episodes: list[NDArray[np.int32]] = []
        codes: list[NDArray[np.int16]] = []
        procedure_episodes: list[NDArray[np.int32]] = []
        procedures: list[NDArray[np.int16]] = []
        for start in range(0, len(group), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            likely = self._likely(chance, kind[rows], self.frailty[rows])
            drawn = rng.random(likely.shape, dtype=np.float32) < likely
            self.known[rows, : conditions + past] = drawn
            row, column = _cells(drawn)
            procedure = column >= conditions
            row += start
            procedure_episodes.append(row[procedure].astype(np.int32))
            procedures.append((column[procedure] - conditions).astype(np.int16))
            row, column = row[~procedure], column[~procedure]
            episodes.append(row.astype(np.int32))
            codes.append(_one_code(rng, column))
        return Claims(
            np.concatenate(episodes),
            np.concatenate(codes),
            np.concatenate(procedure_episodes),
            np.concatenate(procedures),
        )

    def admit(
        self,
        rng: np.random.Generator,
        episode: NDArray[np.int32],
        case: NDArray[np.int16],
        first: bool,
    ) -> tuple[Secondary, list[tuple[NDArray[np.int64], NDArray[np.bool_]]]]:
        """Record a front of stays, at most one an episode; from here on their diagnoses and procedures are known.

        Returns the secondary diagnoses and, for each measure, the positions of its stays in the front with the risk
        variables that their codes set, shape (stays of the measure, variables); age and sex are not codes and stay
        false.
        """
        rate = np.where(_CHRONIC, _CHRONIC_ON_STAY if first else _CHRONIC_ON_LATER_STAY, _ACUTE_ON_STAY)
        rate = np.where(_CLAIMS_ONLY, 0.0, rate)
        if not first:
            rate = np.where(_FIRST_STAY_ONLY, 0.0, rate)
        chance = _PREVALENCE * rate.astype(np.float32)
        parts: list[Secondary] = []
        flags: list[list[tuple[NDArray[np.int64], NDArray[np.bool_]]]] = [[] for _ in MEASURES]
        for start in range(0, max(1, len(episode)), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            part, present, acquired = self._draw(rng, episode[rows], case[rows], chance)
            for measure, (positions, sets) in enumerate(self._flags(episode[rows], case[rows], present, acquired)):
                flags[measure].append((positions + start, sets))
            self._learn(episode[rows], case[rows], present | acquired)
            part.stay += start
            parts.append(part)
        secondary = Secondary(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("stay", "code", "poa"))
        )
        joined = [
            (np.concatenate([p for p, _ in of_measure]), np.concatenate([s for _, s in of_measure]))
            for of_measure in flags
        ]
        return secondary, joined

    def _draw(
        self,
        rng: np.random.Generator,
        episode: NDArray[np.int32],
        case: NDArray[np.int16],
        chance: NDArray[np.float32],
    ) -> tuple[Secondary, NDArray[np.bool_], NDArray[np.bool_]]:
        """Secondary diagnoses of some stays, and which conditions they make present on admission or acquired in
        hospital.
        """
        conditions = len(CONDITIONS)
        likely = self._likely(chance, prevalence_class(CASE_GROUP[case]), self.frailty[episode])
        np.copyto(likely, np.float32(_KNOWN_AGAIN), where=self.known[episode, :conditions] & _CHRONIC)
        listed = rng.random(likely.shape, dtype=np.float32) < likely
        must, came = _OF_CASE_PRESENT[case], _OF_CASE_ACQUIRED[case]
        listed |= must
        listed |= came
        row, column = _cells(listed)
        code = _one_code(rng, column)
        # A diagnosis stands once on a stay: what is the principal diagnosis is no secondary one.
        other = code != PRINCIPAL_CODE[case[row]]
        row, column, code = row[other], column[other], code[other]
        absent = (rng.random(len(row), dtype=np.float32) < _ACQUIRED[column]) & ~must[row, column] | came[row, column]
        shade = rng.random(len(row), dtype=np.float32)
        poa = np.where(
            absent,
            np.where(shade < 0.9, _NO, _UNKNOWN),
            np.where(_EXEMPT_CODE[column], _EXEMPT, np.where(shade < 0.98, _YES, _UNDETERMINED)),
        ).astype(np.int8)
        present = np.zeros(listed.shape, dtype=np.bool_)
        acquired = np.zeros(listed.shape, dtype=np.bool_)
        present[row[~absent], column[~absent]] = True
        acquired[row[absent], column[absent]] = True
        return Secondary(row.astype(np.int32), code, poa), present, acquired

    def _flags(
        self,
        episode: NDArray[np.int32],
        case: NDArray[np.int16],
        present: NDArray[np.bool_],
        acquired: NDArray[np.bool_],
    ) -> list[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Risk variables of the stays of each measure: history, secondary diagnoses, then the stay's own principal
        codes.
        """
        found = []
        group = CASE_GROUP[case]
        for measure, of_variables in enumerate(self._sources):
            at = np.flatnonzero(group == measure)
            seen = np.concatenate([self.known[episode[at]], present[at], acquired[at]], axis=1).T.copy()
            sets = self.rules.principal[measure][case[at]]
            for variable, columns in enumerate(of_variables):
                if len(columns):
                    sets[:, variable] |= np.logical_or.reduce(seen[columns])
            found.append((at, sets))
        return found

    @staticmethod
    def _likely(
        chance: NDArray[np.float32], kind: NDArray[np.int8], frailty: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Chances by kind of stay (rows of `chance`), scaled by each patient's frailty."""
        likely = chance.take(kind, axis=0)
        likely *= frailty[:, None]
        return np.minimum(likely, np.float32(_MOST_LIKELY), out=likely)

    def _learn(self, episode: NDArray[np.int32], case: NDArray[np.int16], listed: NDArray[np.bool_]) -> None:
        known = self.known[episode] | self.rules.case_history[case]
        known[:, : listed.shape[1]] |= listed
        self.known[episode] = known


def _cells(found: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the true cells, row by row; much faster than numpy's own search in two dimensions."""
    cell = np.flatnonzero(found)
    row = cell // found.shape[1]
    return row, cell - row * found.shape[1]


def _one_code(rng: np.random.Generator, condition: NDArray[np.int64]) -> NDArray[np.int16]:
    """One of each condition's interchangeable codes."""
    choice = (rng.random(len(condition), dtype=np.float32) * _CODES_OF_CONDITION[condition]).astype(np.int64)
    return _CODE_OF[condition, choice]
