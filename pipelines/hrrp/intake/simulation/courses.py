"""The course of every synthetic patient: episodes of care, each a first admission and what follows from it.

An episode is a first stay, perhaps a stay at another hospital that sent the patient on to it, and a chain of returns.
A stay of a measure draws its outcome from the published model with the hospital's true effect; an outcome of 1 is
followed by an unplanned return within 30 days, an outcome of 0 by none (perhaps by a planned one, or by one after day
30). All days are counted from 1970-01-01. The chain ends before anything could blur the truth: see the limits below.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from hrrp.intake.simulation.catalogue import ACUTE, AMI, CABG, CASES, ELECTIVE, POST_ACUTE, THA_TKA, TRAITS
from hrrp.intake.simulation.facilities import Facilities
from hrrp.intake.simulation.records import CASE_GROUP, PRINCIPAL_CODE, Claims, Records, Secondary
from hrrp.intake.simulation.rules import Model, Recorded
from hrrp.program import MEASURES

Days = NDArray[np.int32]

# A chain's last admission of a measure lies at most so many days after the episode's first, its claims at most so many
# before: then every such stay's history of 365 days covers the whole episode up to it.
LAST_MEASURE_DAY, CLAIM_DAYS = 90, 150
LONGEST_STAY, LAST_GENERATION = 30, 3
# Episodes of one person lie further apart than a stay's history reaches, from the last discharge to the next admission.
DAYS_BETWEEN_EPISODES = 367
# Windows shorter than this have no room for a second episode of the same person.
_DAYS_FOR_TWO_EPISODES, _SHARE_WITH_TWO = 1_050, 0.30
RETURN_DAYS = 30

_SHARE_ELSEWHERE, _ELSEWHERE_CRITICAL_ACCESS, _SENT_BY_CRITICAL_ACCESS = 0.25, 0.08, 0.25
_PLANNED_BYPASS, _PLANNED_HIP_OR_KNEE = 0.30, 0.10
_SAME_DAY_AMI, _ON_TO_REHABILITATION = 0.025, (0.0, 0.005, 0.01, 0.01, 0.05, 0.03, 0.015, 0.005, 0.0)
_YOUNGER = 0.03

# Discharge status codes, and how often stays end so: medical stays, surgical stays.
_STATUSES = np.array([1, 6, 3, 62, 63, 50, 51, 2], dtype=np.int8)
_MEDICAL = np.cumsum([0.47, 0.21, 0.21, 0.03, 0.015, 0.03, 0.03, 0.005])
_SURGICAL = np.cumsum([0.50, 0.36, 0.11, 0.025, 0.002, 0.001, 0.001, 0.001])
DIED, AGAINST_ADVICE, TRANSFERRED, REHABILITATION, STILL_A_PATIENT = 20, 7, 2, 62, 30

_GROUP = np.arange(len(TRAITS))
_DIES = np.array([traits.dies_in_hospital for traits in TRAITS])
_ADVICE = np.array([traits.leaves_against_advice for traits in TRAITS])
_SENT_IN = np.array([traits.transferred_in for traits in TRAITS])
_UNPLANNED = np.array([traits.unplanned_return for traits in TRAITS])
_PLANNED = np.array([traits.planned_return for traits in TRAITS])
_LATE = np.array([traits.late_return for traits in TRAITS])
_REHABILITATION_SHARE = np.array(_ON_TO_REHABILITATION)
_RETURN_GROUP = np.cumsum([traits.returns for traits in TRAITS], axis=1)
_MEAN_DAYS = np.array([case.mean_days for case in CASES])
_CHEST_PAIN = next(k for k, case in enumerate(CASES) if case.group == ACUTE and case.principal == "I200")
_NO_STENT = next(k for k, case in enumerate(CASES) if case.group == AMI and not case.procedures)
_REHABILITATION_CASE = next(k for k, case in enumerate(CASES) if case.group == POST_ACUTE)
# Days to an unplanned return: most in the first fortnight; within a day only at the same hospital.
_RETURN_DAY = np.cumsum(np.concatenate([[0.25, 0.7], np.exp(-np.arange(2, RETURN_DAYS + 1) / 14) + 0.30]))
_RETURN_DAY = _RETURN_DAY / _RETURN_DAY[-1]


@dataclass(frozen=True)
class Options:
    """What to simulate: `stays` stays at `hospitals` hospitals, discharged from `start` to `end` (both included)."""

    hospitals: int
    stays: int
    seed: int
    start: date = date(2023, 7, 1)
    end: date = date(2026, 10, 31)
    model_year: int | None = None


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - date(1970, 1, 1)).days


def stream(seed: int, purpose: str) -> np.random.Generator:
    """The random numbers of one purpose, independent of those of every other."""
    return np.random.Generator(np.random.SFC64([seed, *purpose.encode()]))


@dataclass
class Front:
    """Stays admitted in one step, at most one an episode; parallel arrays."""

    episode: NDArray[np.int32]
    generation: int
    case: NDArray[np.int16]
    facility: NDArray[np.int32]
    admit: Days
    discharge: Days
    status: NDArray[np.int8]
    from_hospital: NDArray[np.bool_]
    planned: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.episode)

    @property
    def group(self) -> NDArray[np.int8]:
        return CASE_GROUP[self.case]

    def keep(self, kept: NDArray[np.bool_]) -> Front:
        arrays = {
            name: getattr(self, name)[kept]
            for name in ("episode", "case", "facility", "admit", "discharge", "status", "from_hospital", "planned")
        }
        return Front(generation=self.generation, **arrays)


@dataclass(frozen=True)
class Outcomes:
    """Stays of a measure with their truth: `stay` (position), `linear_predictor` without the hospital effect, its
    `variables` (those set by codes, sex included; age apart), `outcome` true or false, `known` false where there is
    none: the patient died in hospital, or was sent on to another one.
    """

    stay: NDArray[np.int64]
    linear_predictor: NDArray[np.float64]
    variables: NDArray[np.bool_]
    outcome: NDArray[np.bool_]
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class Courses:
    """All stays in the order in which they were drawn, with their episodes and patients.

    Per episode: `person` (episodes of one person follow each other), `last_of_person`, `goes_on` (with a stay that ends
    after the window and is left out), `male`, `birth`, `home` (hospital). Per stay: the arrays of Front, `generation`,
    and `secondary` diagnoses in stay order. Per measure: `outcomes`. `claims` are those before the episodes.
    """

    person: NDArray[np.int32]
    last_of_person: NDArray[np.bool_]
    goes_on: NDArray[np.bool_]
    male: NDArray[np.bool_]
    birth: Days
    home: NDArray[np.int32]
    claims: Claims
    stays: Front
    generation: NDArray[np.int8]
    secondary: Secondary
    outcomes: tuple[Outcomes, ...]


class _Patients:
    """Who comes, when first and for what; per episode."""

    def __init__(self, rng: np.random.Generator, options: Options, episodes: int, facilities: Facilities) -> None:
        start, end = day_number(options.start), day_number(options.end)
        days = end - start + 1
        two = rng.random(episodes) < (_SHARE_WITH_TWO if days >= _DAYS_FOR_TWO_EPISODES else 0.0)
        self.person = np.repeat(np.arange(episodes, dtype=np.int32), 1 + two)[:episodes]
        self.first_of_person = np.diff(self.person, prepend=-1) > 0
        self.last_of_person = np.append(self.first_of_person[1:], True)

        shares = np.cumsum([traits.share for traits in TRAITS])
        self.group = np.searchsorted(shares, rng.random(episodes) * shares[-1], side="right").astype(np.int8)
        # A person has one bypass operation at most, so that no second one falls into the same applicable period.
        self.bypass = self.group == CABG
        again = np.append(False, self.bypass[:-1]) & ~self.first_of_person
        self.group[again & self.bypass] = ELECTIVE
        self.may_have_bypass = self.first_of_person & self.last_of_person & ~self.bypass

        # The two episodes of a person lie about half the window apart, on either side of each other.
        moment = rng.random(episodes)
        second = np.flatnonzero(~self.first_of_person)
        moment[second] = (moment[second - 1] + 0.5 + rng.uniform(-0.04, 0.04, len(second))) % 1.0
        early = moment[second] < moment[second - 1]
        swap = second[early]
        moment[swap], moment[swap - 1] = moment[swap - 1].copy(), moment[swap].copy()
        self.discharge = start + _season(moment, self.group, start, days)

        self.male = rng.random(episodes) < 0.47
        self.male[second] = self.male[second - 1]
        mean = np.array([traits.mean_age for traits in TRAITS])[self.group]
        age = 65 + np.minimum(rng.gamma(2.2, 1.0, episodes) * (mean - 65) / 2.2, 38)
        younger = rng.random(episodes) < _YOUNGER
        age[younger] = 45 + 19.9 * rng.random(int(younger.sum()))
        self.birth = (self.discharge - (age * 365.25)).astype(np.int32) - 20
        self.birth[second] = self.birth[second - 1]
        home = np.searchsorted(np.cumsum(facilities.volume), rng.random(episodes), side="right")
        self.home = np.minimum(home, facilities.hospitals - 1).astype(np.int32)
        stays_near = rng.random(len(second)) < 0.8
        self.home[second[stays_near]] = self.home[second[stays_near] - 1]
        frailty = rng.lognormal(0.0, 0.35, episodes) / np.exp(0.35**2 / 2)
        self.frailty = frailty.astype(np.float32)
        self.first_admit = np.zeros(episodes, dtype=np.int32)
        self.goes_on = np.zeros(episodes, dtype=np.bool_)


def _season(moment: NDArray[np.float64], group: NDArray[np.int8], start: int, days: int) -> Days:
    """Day within the window for every moment in [0, 1): winter brings more, by the group's strength."""
    day = np.zeros(len(moment), dtype=np.int32)
    phase = 2 * np.pi * (np.arange(days) + (start - day_number(date(2000, 1, 20)))) / 365.25
    for kind in _GROUP:
        at = np.flatnonzero(group == kind)
        weight = np.cumsum(1 + TRAITS[kind].winter * np.cos(phase))
        day[at] = np.searchsorted(weight, moment[at] * weight[-1], side="right")
    return np.minimum(day, days - 1)


class _Cases:
    """Kinds of stay to draw from: for a first stay, an unplanned return, or a planned one."""

    def __init__(self) -> None:
        def pool(group: int, wanted: list[bool]) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
            of = [k for k, case in enumerate(CASES) if case.group == group and wanted[k]]
            return np.array(of, dtype=np.int16), np.cumsum([CASES[k].share for k in of])

        wanted = {
            "first": [True] * len(CASES),
            "return": [not case.first_stay_only for case in CASES],
            "planned": [case.planned and case.exclusion is None for case in CASES],
        }
        self.pools = {(name, group): pool(group, which) for name, which in wanted.items() for group in map(int, _GROUP)}

    def draw(self, rng: np.random.Generator, occasion: str, group: NDArray[np.int8]) -> NDArray[np.int16]:
        case = np.zeros(len(group), dtype=np.int16)
        for kind in map(int, np.unique(group)):
            at = np.flatnonzero(group == kind)
            cases, shares = self.pools[occasion, kind]
            case[at] = cases[np.searchsorted(shares, rng.random(len(at)) * shares[-1], side="right")]
        return case


class _Chain:
    """Draws fronts of stays one after the other and keeps what is needed of them."""

    def __init__(self, options: Options, episodes: int, facilities: Facilities, models: tuple[Model, ...]) -> None:
        self.end = day_number(options.end)
        self.facilities, self.models = facilities, models
        self.rng = stream(options.seed, "courses")
        self.records_rng = stream(options.seed, "records")
        self.patients = _Patients(stream(options.seed, "patients"), options, episodes, facilities)
        self.cases = _Cases()
        self.fronts: list[Front] = []
        self.secondary: list[Secondary] = []
        self.outcomes: list[list[Outcomes]] = [[] for _ in MEASURES]
        self.size = 0

    def run(self, recorded: Recorded) -> Courses:
        patients = self.patients
        self.records = Records(recorded, patients.frailty)
        first = self._first_stays()
        claims = self.records.draw_claims(self.records_rng, patients.group)
        self._sent_from(first)
        front: Front | None = first
        while front is not None and len(front):
            outcome = self._admit(front)
            front = self._followers(front, outcome)
        return self._courses(claims)

    def _facility(self, count: int, only: NDArray[np.bool_] | None = None) -> NDArray[np.int32]:
        """A hospital for each of `count` patients, by volume, perhaps `only` among some."""
        weights = self.facilities.volume if only is None else self.facilities.volume * only
        bounds = np.cumsum(weights / weights.sum())
        drawn = np.searchsorted(bounds, self.rng.random(count), side="right")
        last = int(np.flatnonzero(weights)[-1])
        return np.minimum(drawn, last).astype(np.int32)

    def _other_facility(self, facility: NDArray[np.int32], critical_access: float) -> NDArray[np.int32]:
        """Another facility than `facility`: a hospital by volume, or in a share a critical access hospital."""
        hospitals = self.facilities.hospitals
        other = self._facility(len(facility))
        other = np.where(other == facility, (other + 1) % hospitals, other).astype(np.int32)
        small = self.facilities.critical_access
        place = small[self.rng.integers(len(small), size=len(facility))]
        go_small = (self.rng.random(len(facility)) < critical_access) | (other == facility)
        return np.where(go_small & (place != facility), place, other).astype(np.int32)

    def _days(self, case: NDArray[np.int16]) -> Days:
        """Length of stay: at least one night, at most LONGEST_STAY."""
        days = 1 + np.round((_MEAN_DAYS[case] - 1) * self.rng.standard_gamma(2.0, len(case)) / 2)
        return np.minimum(days, LONGEST_STAY).astype(np.int32)

    def _status(self, episode: NDArray[np.int32], case: NDArray[np.int16]) -> NDArray[np.int8]:
        """How stays end; nobody dies before their last episode."""
        group = CASE_GROUP[case]
        u = self.rng.random(len(case))
        surgical = np.isin(group, (CABG, THA_TKA, ELECTIVE))
        status = np.where(
            surgical, np.searchsorted(_SURGICAL, u * _SURGICAL[-1]), np.searchsorted(_MEDICAL, u * _MEDICAL[-1])
        )
        status = _STATUSES[status]
        u = self.rng.random(len(case))
        dies = (u < _DIES[group]) & self.patients.last_of_person[episode]
        status[dies] = DIED
        status[~dies & (u > 1 - _ADVICE[group])] = AGAINST_ADVICE
        return status

    def _first_stays(self) -> Front:
        patients, count = self.patients, len(self.patients.group)
        case = self.cases.draw(self.rng, "first", patients.group)
        facility = patients.home.copy()
        # Hearts are operated on where that is done.
        move = np.flatnonzero((patients.group == CABG) & ~self.facilities.heart_surgery[facility])
        facility[move] = self._facility(len(move), self.facilities.heart_surgery)
        days = self._days(case)
        sent = self.rng.random(count) < _SENT_IN[patients.group]
        days[(patients.group == AMI) & ~sent & (self.rng.random(count) < _SAME_DAY_AMI)] = 0
        patients.first_admit = (patients.discharge - days).astype(np.int32)
        episode = np.arange(count, dtype=np.int32)
        return Front(
            episode=episode,
            generation=0,
            case=case,
            facility=facility,
            admit=patients.first_admit.copy(),
            discharge=patients.discharge,
            status=self._status(episode, case),
            from_hospital=sent,
            planned=np.zeros(count, dtype=np.bool_),
        )

    def _sent_from(self, first: Front) -> None:
        """The stays elsewhere from which patients were sent on, on the day of the first stay's admission or the day
        before.
        """
        at = np.flatnonzero(first.from_hospital)
        case = first.case[at].copy()
        group = CASE_GROUP[case]
        case[group == AMI] = _NO_STENT
        case[group == CABG] = _CHEST_PAIN
        discharge = (first.admit[at] - self.rng.integers(0, 2, len(at))).astype(np.int32)
        admit = (discharge - self.rng.integers(0, 3, len(at))).astype(np.int32)
        # Hospitals do not always say that they sent a patient on: the dates tell.
        status = np.where(self.rng.random(len(at)) < 0.92, TRANSFERRED, 1).astype(np.int8)
        front = Front(
            episode=first.episode[at],
            generation=-1,
            case=case,
            facility=self._other_facility(first.facility[at], _SENT_BY_CRITICAL_ACCESS),
            admit=admit,
            discharge=discharge,
            status=status,
            from_hospital=np.zeros(len(at), dtype=np.bool_),
            planned=np.zeros(len(at), dtype=np.bool_),
        )
        self.patients.first_admit[front.episode] = admit
        self._admit(front, returns=False)

    def _keep(self, front: Front, secondary: Secondary) -> None:
        secondary.stay = secondary.stay + self.size
        self.fronts.append(front)
        self.secondary.append(secondary)
        self.size += len(front)

    def _admit(self, front: Front, returns: bool = True) -> NDArray[np.bool_]:
        """Record a front and, if it `returns`, draw its outcomes: true where an unplanned return follows (measures
        only).
        """
        secondary, flags = self.records.admit(self.records_rng, front.episode, front.case, front.generation == 0)
        outcome = np.zeros(len(front), dtype=np.bool_)
        for measure, (at, variables) in enumerate(flags):
            model = self.models[measure]
            age = whole_years(self.patients.birth[front.episode[at]], front.admit[at])
            if "male" in model.variables:
                variables[:, model.variables.index("male")] = self.patients.male[front.episode[at]]
            predictor = linear_predictor(model, age, variables)
            effect = self.facilities.effects[front.facility[at], measure]
            chance = 1 / (1 + np.exp(-(predictor + effect)))
            known = (front.status[at] != DIED) & returns
            outcome[at] = (self.rng.random(len(at)) < chance) & known
            self.outcomes[measure].append(Outcomes(at + self.size, predictor, variables, outcome[at], known))
        self._keep(front, secondary)
        return outcome

    def _followers(self, front: Front, outcome: NDArray[np.bool_]) -> Front | None:
        """The next stay of each patient of `front` who has one; the others may go on to rehabilitation."""
        patients, group = self.patients, front.group
        measured = group < len(MEASURES)
        elapsed = front.discharge - patients.first_admit[front.episode]
        alive = front.status != DIED
        u = self.rng.random((3, len(front)))
        goes_on = alive & (front.generation < LAST_GENERATION) & (elapsed <= LAST_MEASURE_DAY)
        unplanned = np.where(measured, outcome, goes_on & (u[0] < _UNPLANNED[group]))
        planned = ~unplanned & goes_on & (u[1] < _PLANNED[group])
        late = ~unplanned & ~planned & goes_on & (u[2] < _LATE[group])
        self._rehabilitation(front, alive & ~unplanned & ~planned & ~late)
        at = np.flatnonzero(unplanned | planned | late)
        if not len(at) or front.generation >= LAST_GENERATION + 1:
            return None
        before = front.keep(unplanned | planned | late)
        planned, late = planned[at], late[at]

        day = np.searchsorted(_RETURN_DAY, self.rng.random(len(at)), side="right")
        day = np.where(planned, self.rng.integers(3, RETURN_DAYS + 1, len(at)), day)
        day = np.where(late, self.rng.integers(RETURN_DAYS + 1, RETURN_DAYS + 45, len(at)), day)
        admit = (before.discharge + day).astype(np.int32)
        kind = self._return_group(before, planned, day, admit)
        case = np.zeros(len(at), dtype=np.int16)
        case[planned] = self.cases.draw(self.rng, "planned", kind[planned])
        case[~planned] = self.cases.draw(self.rng, "return", kind[~planned])
        # The same hospital, the same diagnosis, the same day would be one stay.
        one = (day == 0) & (PRINCIPAL_CODE[case] == PRINCIPAL_CODE[before.case])
        admit[one] += 2
        day = np.where(one, 2, day)

        elsewhere = (self.rng.random(len(at)) < _SHARE_ELSEWHERE) & (day > 1)
        facility = np.where(
            elsewhere, self._other_facility(before.facility, _ELSEWHERE_CRITICAL_ACCESS), before.facility
        )
        bypass = np.flatnonzero(kind == CABG)
        facility[bypass] = self._facility(len(bypass), self.facilities.heart_surgery)
        discharge = (admit + self._days(case)).astype(np.int32)
        status = self._status(before.episode, case)
        # A return is in the extract when it has ended; one that decides a known outcome and has not, is still a
        # patient.
        decides = before.discharge + RETURN_DAYS <= self.end
        cut = (discharge > self.end) & (admit <= self.end) & decides
        discharge = np.where(cut, self.end, discharge).astype(np.int32)
        status[cut] = STILL_A_PATIENT
        follower = Front(
            episode=before.episode,
            generation=front.generation + 1,
            case=case,
            facility=facility.astype(np.int32),
            admit=admit,
            discharge=discharge,
            status=status,
            from_hospital=np.zeros(len(at), dtype=np.bool_),
            planned=planned,
        )
        seen = discharge <= self.end
        patients.goes_on[follower.episode[~seen]] = True
        return follower.keep(seen)

    def _return_group(
        self, before: Front, planned: NDArray[np.bool_], day: NDArray[np.int64], admit: Days
    ) -> NDArray[np.int8]:
        """What brings the patients back: a measure's condition only while the chain is short enough, and not within a
        day.
        """
        count = len(before)
        drawn = (self.rng.random(count)[:, None] > _RETURN_GROUP[before.group]).sum(axis=1)
        kind = np.where(drawn < _RETURN_GROUP.shape[1], drawn, ACUTE).astype(np.int8)
        measured = admit - self.patients.first_admit[before.episode] <= LAST_MEASURE_DAY
        measured &= before.generation < LAST_GENERATION
        kind[(day <= 1) | ~measured] = ACUTE
        kind[planned] = ELECTIVE
        u = self.rng.random(count)
        kind[planned & measured & (u > 1 - _PLANNED_HIP_OR_KNEE)] = THA_TKA
        bypass = planned & measured & (before.group == AMI) & self.patients.may_have_bypass[before.episode]
        kind[bypass & (before.generation == 0) & (u < _PLANNED_BYPASS)] = CABG
        return kind

    def _rehabilitation(self, front: Front, ends: NDArray[np.bool_]) -> None:
        """Stays in rehabilitation hospitals, which are neither transfers nor readmissions."""
        goes = ends & (self.rng.random(len(front)) < _REHABILITATION_SHARE[front.group])
        goes &= ~np.isin(front.status, (AGAINST_ADVICE, STILL_A_PATIENT))
        before = front.keep(goes)
        case = np.full(len(before), _REHABILITATION_CASE, dtype=np.int16)
        discharge = before.discharge + self._days(case)
        ended = discharge <= self.end
        front.status[np.flatnonzero(goes)[ended]] = REHABILITATION
        places = self.facilities.rehabilitation
        follower = Front(
            episode=before.episode,
            generation=front.generation + 1,
            case=case,
            facility=places[self.rng.integers(len(places), size=len(before))].astype(np.int32),
            admit=before.discharge,
            discharge=discharge.astype(np.int32),
            status=np.ones(len(before), dtype=np.int8),
            from_hospital=np.ones(len(before), dtype=np.bool_),
            planned=np.zeros(len(before), dtype=np.bool_),
        ).keep(ended)
        none = np.zeros(0, dtype=np.int32)
        self._keep(follower, Secondary(none, none.astype(np.int16), none.astype(np.int8)))

    def _courses(self, claims: Claims) -> Courses:
        def joined(name: str) -> NDArray[np.generic]:
            return np.concatenate([getattr(front, name) for front in self.fronts])

        names = ("episode", "case", "facility", "admit", "discharge", "status", "from_hospital", "planned")
        stays = Front(generation=0, **{name: joined(name) for name in names})  # type: ignore[arg-type]
        generation = np.repeat(
            np.array([front.generation for front in self.fronts], dtype=np.int8), [len(front) for front in self.fronts]
        )
        secondary = Secondary(
            *(np.concatenate([getattr(part, name) for part in self.secondary]) for name in ("stay", "code", "poa"))
        )
        outcomes = tuple(
            Outcomes(
                *(
                    np.concatenate([getattr(part, name) for part in parts])
                    for name in ("stay", "linear_predictor", "variables", "outcome", "known")
                )
            )
            for parts in self.outcomes
        )
        patients = self.patients
        return Courses(
            person=patients.person,
            last_of_person=patients.last_of_person,
            goes_on=patients.goes_on,
            male=patients.male,
            birth=patients.birth,
            home=patients.home,
            claims=claims,
            stays=stays,
            generation=generation,
            secondary=secondary,
            outcomes=outcomes,
        )


def whole_years(birth: Days, day: Days) -> NDArray[np.int64]:
    """Completed years of age on `day`; both in days since 1970-01-01."""
    born, now = birth.astype("datetime64[D]"), day.astype("datetime64[D]")
    born_month, now_month = born.astype("datetime64[M]"), now.astype("datetime64[M]")
    months = now_month.astype(np.int64) - born_month.astype(np.int64)
    months -= (now - now_month).astype(np.int64) < (born - born_month).astype(np.int64)
    return months // 12


def linear_predictor(model: Model, age: NDArray[np.int64], variables: NDArray[np.bool_]) -> NDArray[np.float64]:
    """intercept + sum of coefficient times variable, the hospital effect being zero; `age` in whole years, counted from
    65.
    """
    total = np.full(len(age), model.intercept)
    # Variable by variable, so that the sum is the same whatever the number of threads.
    for position, key in enumerate(model.variables):
        value = age - 65 if key == "years_over_65" else variables[:, position]
        total += model.coefficients[position] * value
    return total


def draw_courses(
    options: Options, episodes: int, facilities: Facilities, recorded: Recorded, models: tuple[Model, ...]
) -> Courses:
    """Draw `episodes` episodes of care with everything that follows from them."""
    return _Chain(options, episodes, facilities, models).run(recorded)
