"""The files of the canonical extract (and of its truth) as tables, from courses, people and facilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hrrp.intake.simulation.catalogue import CABG, CASES, CONDITIONS, ELECTIVE, GROUPS, PAST_PROCEDURES, THA_TKA
from hrrp.intake.simulation.courses import CLAIM_DAYS, TRANSFERRED, Courses, Options, day_number
from hrrp.intake.simulation.facilities import Facilities
from hrrp.intake.simulation.files import Days, Derived, Ids, Labels, Table, Values
from hrrp.intake.simulation.people import DUAL_CODES, PAYERS, People, Selected, month_text
from hrrp.intake.simulation.records import CODES, CONDITION_KEYS, POA, PRINCIPAL_CODE
from hrrp.intake.simulation.truth import REASONS, MeasureTruth, hospital_measures

_FFS, _COMMERCIAL = PAYERS.index("FFS"), PAYERS.index("other")
_DRGS = sorted({case.drg for case in CASES})
_DRG = np.array([_DRGS.index(case.drg) for case in CASES])
_WEIGHT = np.array([case.drg_weight for case in CASES])
_PROCEDURES = sorted({code for case in CASES for code in case.procedures} | {past.code for past in PAST_PROCEDURES})
_MOST_PROCEDURES = max(len(case.procedures) for case in CASES)
_CASE_PROCEDURES = np.full((len(CASES), _MOST_PROCEDURES), -1)
for _row, _case in enumerate(CASES):
    _CASE_PROCEDURES[_row, : len(_case.procedures)] = [_PROCEDURES.index(code) for code in _case.procedures]
_PAST_CODE = np.array([_PROCEDURES.index(past.code) for past in PAST_PROCEDURES])
_ELECTIVE_CASE = np.array([case.group in (CABG, THA_TKA, ELECTIVE) and case.planned for case in CASES])
_STATUS_TEXT = [f"{code:02d}" for code in range(100)]
_SOURCES = ("outpatient", "professional", "inpatient")
_ADMIT_TYPES, _ADMIT_SOURCES = ("1", "2", "3"), ("1", "4", "5")

# The transfer policy pays a stay that is sent on less; Medicare pays more than the base operating amount alone.
_SENT_ON_SHARE, _BEYOND_BASE = 0.65, 0.14
# Visits that an episode's claims come from; and claims that must not count: days before the first admission, days after
# the last discharge, share of persons who have one of either.
_VISITS = 4
_OLD_CLAIM_DAYS, _LATE_CLAIM_DAYS, _SHARE_OF_DECOYS = (400, 520), 60, 0.08
_DECOYS = ("metastatic_cancer", "dialysis", "malnutrition", "paralysis")
_DECOY_CODE = np.array([CODES.index(CONDITIONS[CONDITION_KEYS.index(key)].codes[0]) for key in _DECOYS], dtype=np.int16)
# A prime just below a hundred million and a step: numbers that do not follow the person's.
_RECORD_PRIME, _RECORD_STEP, _RECORD_SHIFT = 99_999_989, 48_271, 1_046_527


def canonical(
    rng: np.random.Generator,
    options: Options,
    facilities: Facilities,
    courses: Courses,
    selected: Selected,
    people: People,
) -> dict[str, Table]:
    """Every file of the canonical extract, by name."""
    stays, amounts = _stays(rng, facilities, courses, selected, people)
    history, procedures = _history(rng, options, courses, selected, people)
    return {
        "stays": stays,
        "diagnoses": _diagnoses(courses, selected),
        "procedures": _procedures(courses, selected),
        "persons": {
            "person_id": Ids("P", 9, np.arange(selected.persons)),
            "birth_date": Days(people.birth),
            "sex": Labels(("F", "M"), people.male.astype(np.int8)),
            "death_date": Days(people.death, nullable=True),
        },
        "enrollment": _enrollment(people),
        "history_diagnoses": history,
        "history_procedures": procedures,
        "hospitals": _hospitals(options, facilities, courses, selected, people, amounts),
    }


def _stays(
    rng: np.random.Generator, facilities: Facilities, courses: Courses, selected: Selected, people: People
) -> tuple[Table, NDArray[np.float64]]:
    """The stays, and the base operating amount of each (NaN where Medicare's fee for service did not pay one)."""
    drawn, order = courses.stays, selected.stay
    case, facility, status = drawn.case[order], drawn.facility[order], drawn.status[order]
    count, acute = len(order), facility < facilities.hospitals
    amount = _WEIGHT[case] * facilities.base_rate[facility]
    amount = np.round(amount * np.where(status == TRANSFERRED, _SENT_ON_SHARE, 1.0), 2)
    amount[(people.payer != _FFS) | ~acute] = np.nan
    u = rng.random((2, count))
    planned = _ELECTIVE_CASE[case] | drawn.planned[order]
    kind = np.where(planned, 2, np.where(u[0] < 0.2, 1, 0))
    source = np.where(drawn.from_hospital[order], 1, np.where(~planned & (u[1] < 0.06), 2, 0))
    record = (selected.person * _RECORD_STEP + facility * _RECORD_SHIFT) % _RECORD_PRIME
    small = np.isin(facility, facilities.critical_access)
    table: Table = {
        "stay_id": Ids("S", 9, np.arange(count)),
        "person_id": Ids("P", 9, selected.person, repeated=True),
        "ccn": Labels(facilities.ccn, facility),
        "admit_date": Days(drawn.admit[order]),
        "discharge_date": Days(drawn.discharge[order]),
        "discharge_status": Labels(_STATUS_TEXT, status),
        "admit_type": Labels(_ADMIT_TYPES, kind),
        "admit_source": Labels(_ADMIT_SOURCES, source),
        "drg": Labels(_DRGS, _DRG[case]),
        "payer": Labels(PAYERS, people.payer),
        "is_short_term_acute": Values(acute),
        "is_cah": Values(small),
        "base_operating_drg_amount": Values(amount),
        "total_paid": Values(np.round(amount * (1 + _BEYOND_BASE * u[1]), 2)),
        "medical_record_number": Ids("", 8, record),
    }
    return table, amount


def _diagnoses(courses: Courses, selected: Selected) -> Table:
    """The principal diagnosis of every stay, then its secondary ones."""
    drawn, order, secondary = courses.stays, selected.stay, courses.secondary
    count = len(order)
    of = selected.position[secondary.stay]
    number = np.bincount(of[of >= 0], minlength=count)
    start = np.cumsum(number + 1) - (number + 1)
    # Rows of one stay stand together among the secondary diagnoses: their rank is how far they are from the first.
    new = np.diff(secondary.stay, prepend=-1) != 0
    first = np.flatnonzero(new)
    rank = np.arange(len(secondary.stay)) - np.repeat(first, np.diff(np.append(first, len(secondary.stay))))
    kept = of >= 0
    at = start[of[kept]] + 1 + rank[kept]
    rows = int((number + 1).sum())
    code = np.empty(rows, dtype=np.int16)
    poa = np.zeros(rows, dtype=np.int8)
    sequence = np.ones(rows, dtype=np.int8)
    code[start] = PRINCIPAL_CODE[drawn.case[order]]
    code[at], poa[at], sequence[at] = secondary.code[kept], secondary.poa[kept], rank[kept] + 2
    return {
        "stay_id": Ids("S", 9, np.repeat(np.arange(count), number + 1), repeated=True),
        "sequence": Values(sequence),
        "code": Labels(CODES, code),
        "poa": Labels(POA, poa),
    }


def covid_stays(courses: Courses, selected: Selected) -> NDArray[np.bool_]:
    """Kept stays with COVID-19 as principal diagnosis, or as a secondary one present on admission."""
    drawn, order, secondary = courses.stays, selected.stay, courses.secondary
    code = CODES.index("U071")
    found = PRINCIPAL_CODE[drawn.case[order]] == code
    absent = np.isin(secondary.poa, (POA.index("N"), POA.index("U")))
    of = selected.position[secondary.stay[(secondary.code == code) & ~absent]]
    found[of[of >= 0]] = True
    return found


def _procedures(courses: Courses, selected: Selected) -> Table:
    """Every procedure of every stay, done on the day of admission or the next."""
    drawn, order = courses.stays, selected.stay
    code = _CASE_PROCEDURES[drawn.case[order]]
    stay, sequence = np.nonzero(code >= 0)
    admit, discharge = drawn.admit[order][stay], drawn.discharge[order][stay]
    return {
        "stay_id": Ids("S", 9, stay, repeated=True),
        "sequence": Values((sequence + 1).astype(np.int8)),
        "code": Labels(_PROCEDURES, code[stay, sequence]),
        "procedure_date": Days(np.minimum(admit + 1, discharge).astype(np.int32)),
    }


def _enrollment(people: People) -> Table:
    """One row for every person and month of coverage."""
    months = np.maximum(people.finish - people.begin + 1, 0)
    rows = int(months.sum())
    person = np.repeat(np.arange(len(months), dtype=np.int32), months)
    # The month of a row is its number less this, by person.
    less = np.cumsum(months) - months - people.begin
    first = int(people.begin.min()) if rows else 0
    names = [month_text(month) for month in range(first, int(people.finish.max()) + 1)]

    def month(start: int, stop: int) -> NDArray[np.int64]:
        return np.arange(start, stop) - less[person[start:stop]]

    def has_part_b(start: int, stop: int) -> NDArray[np.bool_]:
        who, when = person[start:stop], month(start, stop)
        return (when < people.gap_begin[who]) | (when > people.gap_finish[who])

    def managed(start: int, stop: int) -> NDArray[np.bool_]:
        who, when = person[start:stop], month(start, stop)
        return (when >= people.advantage_begin[who]) & (when < people.advantage_finish[who])

    return {
        "person_id": Ids("P", 9, person, repeated=True),
        "month": Derived(rows, lambda start, stop: Labels(names, month(start, stop) - first)),
        "part_a": Derived(rows, lambda start, stop: Values(np.ones(stop - start, dtype=np.bool_))),
        "part_b": Derived(rows, lambda start, stop: Values(has_part_b(start, stop))),
        "ffs": Derived(rows, lambda start, stop: Values(~managed(start, stop))),
        "ma": Derived(rows, lambda start, stop: Values(managed(start, stop))),
        "dual_code": Derived(rows, lambda start, stop: Labels(DUAL_CODES, people.dual[person[start:stop]])),
    }


def _history(
    rng: np.random.Generator, options: Options, courses: Courses, selected: Selected, people: People
) -> tuple[Table, Table]:
    """Claims before the episodes, and some that must not count: too long before the first admission, or after the last
    discharge.
    """
    claims, drawn = courses.claims, courses.stays
    episodes = len(courses.person)
    first_admit = np.full(episodes, np.iinfo(np.int32).max, dtype=np.int32)
    np.minimum.at(first_admit, drawn.episode, drawn.admit)
    # Visits, each with its own day and kind of claim.
    visits = rng.integers(1, CLAIM_DAYS + 1, (episodes, _VISITS))
    seen_by = (rng.random((episodes, _VISITS)) < 0.65).astype(np.int8)

    kept = selected.episode_person[claims.episode] >= 0
    episode, code = claims.episode[kept], claims.code[kept]
    visit = rng.integers(0, _VISITS, len(episode))
    person = selected.episode_person[episode]
    day = first_admit[episode] - visits[episode, visit]
    source = seen_by[episode, visit]

    # Of the old ones a person's first episode knows nothing, of the late ones the last: they stand outside everybody's
    # year.
    old = np.flatnonzero(rng.random(selected.persons) < _SHARE_OF_DECOYS)
    late = np.flatnonzero(rng.random(selected.persons) < _SHARE_OF_DECOYS)
    old_day = people.first_admit[old] - rng.integers(*_OLD_CLAIM_DAYS, len(old))
    late_day = people.last_discharge[late] + rng.integers(1, _LATE_CLAIM_DAYS, len(late))
    happens = (late_day <= day_number(options.end)) & ((people.death[late] < 0) | (late_day <= people.death[late]))
    decoys = len(old) + int(happens.sum())
    person = np.concatenate([person, old, late[happens]])
    day = np.concatenate([day, old_day, late_day[happens]])
    code = np.concatenate([code, _DECOY_CODE[rng.integers(len(_DECOY_CODE), size=decoys)]])
    source = np.concatenate([source, np.ones(decoys, dtype=np.int8)])
    order = np.argsort((person * 100_000 + day) * 1_000 + code, kind="stable")
    diagnoses: Table = {
        "person_id": Ids("P", 9, person[order], repeated=True),
        "service_date": Days(day[order].astype(np.int32)),
        "code": Labels(CODES, code[order]),
        "source": Labels(_SOURCES, source[order]),
    }
    kept = selected.episode_person[claims.procedure_episode] >= 0
    episode, procedure = claims.procedure_episode[kept], claims.procedure[kept]
    procedures: Table = {
        "person_id": Ids("P", 9, selected.episode_person[episode], repeated=True),
        "service_date": Days((first_admit[episode] - visits[episode, 0]).astype(np.int32)),
        "code": Labels(_PROCEDURES, _PAST_CODE[procedure]),
        "source": Labels(_SOURCES, np.full(len(episode), _SOURCES.index("inpatient"))),
    }
    return diagnoses, procedures


def _hospitals(
    options: Options,
    facilities: Facilities,
    courses: Courses,
    selected: Selected,
    people: People,
    amounts: NDArray[np.float64],
) -> Table:
    """The hospitals by CCN, with their yearly base operating payments and the share of stays with full Medicaid
    benefits.
    """
    count = facilities.hospitals
    facility = courses.stays.facility[selected.stay]
    years = (day_number(options.end) - day_number(options.start) + 1) / 365.25
    paid = np.bincount(facility, weights=np.nan_to_num(amounts), minlength=len(facilities))[:count] / years
    medicare = people.payer != _COMMERCIAL
    full = people.full_dual[selected.person] & medicare
    stays = np.bincount(facility[medicare], minlength=len(facilities))[:count]
    dual = np.bincount(facility[full], minlength=len(facilities))[:count]
    order = np.argsort(np.array(facilities.ccn[:count]))
    states = sorted(set(facilities.states))
    return {
        "ccn": Labels(facilities.ccn[:count], order),
        "name": Labels(facilities.names, order),
        "state": Labels(states, np.array([states.index(facilities.states[h]) for h in order])),
        "annual_base_operating_payments": Values(np.round(paid[order], 0)),
        "dual_proportion": Values(np.round((dual / np.maximum(stays, 1))[order], 4)),
        "exempt": Values(np.zeros(count, dtype=np.bool_)),
    }


def truth_tables(facilities: Facilities, truth: tuple[MeasureTruth, ...]) -> dict[str, Table]:
    """The truth as tables: every outcome, every hospital and measure, every coefficient."""
    measure = np.repeat(np.arange(len(truth)), [len(of.stay) for of in truth])
    facility = np.concatenate([of.facility for of in truth])
    effect = facilities.effects[facility, measure]
    known = np.concatenate([of.known for of in truth])
    outcome = np.concatenate([of.outcome for of in truth]).astype(np.int8)
    flags = np.concatenate([_packed(of.values) for of in truth])
    models = [of.model for of in truth]
    by_hospital = hospital_measures(facilities, truth)
    place = {ccn: position for position, ccn in enumerate(facilities.ccn)}
    keys = sorted({key for model in models for key in model.variables} | {"national_intercept"})
    coefficients = [
        (m, keys.index(key), value)
        for m, model in enumerate(models)
        for key, value in [
            ("national_intercept", model.intercept),
            *zip(model.variables, model.coefficients.tolist(), strict=True),
        ]
    ]
    names = [GROUPS[m] for m in range(len(truth))]
    return {
        "outcomes": {
            "stay_id": Ids("S", 9, np.concatenate([of.stay for of in truth])),
            "measure": Labels(names, measure),
            "ccn": Labels(facilities.ccn, facility),
            "reason": Labels(REASONS, np.concatenate([of.reason for of in truth])),
            "outcome": Labels(("false", "true"), np.where(known, outcome, -1)),
            "complete": Values(np.concatenate([of.complete for of in truth])),
            "covid_19": Values(np.concatenate([of.covid_19 for of in truth])),
            "years_over_65": Values(np.concatenate([of.values[:, 0] for of in truth]).astype(np.int16)),
            "risk_variables": Values(flags),
            "linear_predictor": Values(np.concatenate([of.linear_predictor for of in truth])),
            "hospital_effect": Values(effect),
        },
        "hospital_measures": {
            "measure": Labels(names, np.array([names.index(name) for name in by_hospital["measure"]])),
            "ccn": Labels(facilities.ccn, np.array([place[ccn] for ccn in by_hospital["ccn"]])),
            **{
                name: Values(np.asarray(by_hospital[name]))
                for name in ("stays", "outcomes", "expected", "predicted", "err", "hospital_effect")
            },
        },
        "coefficients": {
            "measure": Labels(names, np.array([m for m, _, _ in coefficients])),
            "variable_key": Labels(keys, np.array([key for _, key, _ in coefficients])),
            "coefficient": Values(np.array([value for _, _, value in coefficients])),
        },
    }


def _packed(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Risk variables as one number: bit i is set where the variable of report order i + 1 is (age, the first, left
    out).
    """
    packed = np.zeros(len(values), dtype=np.int64)
    for position in range(1, values.shape[1]):
        packed |= (values[:, position] != 0).astype(np.int64) << position
    return packed
