"""Invented patient histories, dense in the places where a rule turns.

One description of a history (`draw_patient`) serves two engines: Hypothesis, which searches, and a seeded generator, which makes
many patients quickly. Both answer the same three questions of a `Chooser`: a number between two bounds, one of several, one in n.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st

from hrrp.program import MEASURES
from hrrp.program.reference import Reference

T = TypeVar("T")
Tables = dict[str, list[dict[str, Any]]]
FILES = ("persons", "stays", "diagnoses", "procedures", "enrollment", "history_diagnoses", "history_procedures")

ACUTE, ACUTE_2, ACUTE_3, CRITICAL_ACCESS = "010001", "010002", "340091", "011301"
PREDECESSOR = "010099"
QUARTERS_EXCLUDED = ACUTE_3
OTHER_KINDS = ("012001", "014001", "013025", "013301", "01S001", "01T002", "010890")
INVALID_CCNS = ("01000", "01000X1", "0100-1", "01000Z")

# Days from a discharge to the next admission: where transfers, the 30 days, and the year of history turn.
GAPS = (0, 0, 0, 0, 1, 1, 1, 2, 2, 5, 15, 28, 29, 30, 30, 31, 31, 32, 45, 61, 364, 365, 366, 367)
LENGTHS = (0, 0, 1, 1, 2, 3, 4, 5, 8, 12, 29, 31)
LONG_LENGTHS = (60, 364, 365, 366, 367)
CLOSE_GAPS = (0, 0, 0, 0, 1, 1, 1, 2, 28, 29, 30, 30, 31, 31)
PLAIN_STATUSES = ("01", "01", "01", "03", "06", "62", "02", "65", "65", "50", "93", "82")
STATUSES = (*PLAIN_STATUSES, "05", "07", "07", "20", "20", "30", "41", "66")
POA = ("Y", "Y", "Y", "N", "N", "U", "W", "1", None)


class Chooser(Protocol):
    def integer(self, low: int, high: int) -> int: ...

    def pick(self, options: Sequence[T]) -> T: ...

    def one_in(self, n: int) -> bool: ...


class SeededChooser:
    """Choices from a seed."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        return low + int(self._random.random() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self._random.random() * len(options))]

    def one_in(self, n: int) -> bool:
        return self._random.random() * n < 1


class HypothesisChooser:
    """Choices that Hypothesis makes, and makes smaller: the first option and the first number are the plainest."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))

    def pick(self, options: Sequence[T]) -> T:
        return options[self._draw(st.integers(0, len(options) - 1))]

    def one_in(self, n: int) -> bool:
        return self._draw(st.integers(0, n - 1)) == n - 1


# --------------------------------------------------------------------------------------------------------------------------------
# Codes


@dataclass
class CodePools:
    """Real codes for every list that a rule reads, so that each rule is met and missed."""

    principal: dict[str, list[str]]
    operations: dict[str, list[str]]
    returns: list[str]
    return_operations: list[str]
    beside: dict[str, list[str]]
    categories: dict[str, list[list[str]]]
    history_operations: dict[str, list[str]]

    @classmethod
    def of(cls, reference: Reference, each: int = 2) -> CodePools:
        systems = {"ICD10CM": sorted(row["code"] for row in reference.rows("ccs_icd10cm"))}
        gap = sorted(row["code"] for row in reference.rows("ccs_gap_icd10pcs"))
        systems["ICD10PCS"] = sorted([*(row["code"] for row in reference.rows("ccs_icd10pcs")), *gap])
        chooser = SeededChooser("code pools")

        def codes(system: str, prefix: str, most: int = each) -> list[str]:
            """Some codes that begin with the prefix; the prefix itself where no listed code does."""
            known = systems[system]
            low, high = bisect_left(known, prefix), bisect_left(known, prefix + "\x7f")
            if low == high:
                return [prefix]
            return sorted({known[chooser.integer(low, high - 1)] for _ in range(most)})

        def by_role(measure: str, *roles: str, most_prefixes: int = 40) -> list[str]:
            rows = [row for row in reference.rows("cohort_codes") if row["measure"] == measure and row["role"] in roles]
            step = max(1, len(rows) // most_prefixes)
            return [code for row in rows[::step] for code in codes(row["code_system"], row["code_prefix"])]

        of_category: dict[tuple[str, str], list[str]] = {}
        for table in ("ccs_icd10cm", "ccs_icd10pcs", "ccs_gap_icd10pcs"):
            for row in reference.rows(table):
                of_category.setdefault((table, row["ccs"]), []).append(row["code"])

        def by_category(table: str, category: str, most: int) -> list[str]:
            found = of_category.get((table, category), [])
            return [found[chooser.integer(0, len(found) - 1)] for _ in range(most)] if found else []

        principal = {
            "AMI": by_role("AMI", "principal_dx") * 4 + by_role("AMI", "excluded_near_miss"),
            "COPD": by_role("COPD", "principal_dx") + by_role("COPD", "principal_dx_needs_secondary"),
            "HF": by_role("HF", "principal_dx"),
            "PN": by_role("PN", "principal_dx")
            + by_role("PN", "principal_dx_needs_secondary")
            + by_role("PN", "excluded_near_miss"),
            "CABG": ["I25110", "I2510", "I214", "I2111"],
            "THA_TKA": ["M1611", "M1711", "M165", "M1732", "Q6501"] * 4
            + by_role("THA_TKA", "exclude_dx_poa_fracture", most_prefixes=10)
            + by_role("THA_TKA", "exclude_principal_dx_mechanical_complication", most_prefixes=6)
            + by_role("THA_TKA", "exclude_principal_dx_neoplasm"),
        }
        hips = by_role("THA_TKA", "qualifying_procedure_tha")
        knees = by_role("THA_TKA", "qualifying_procedure_tka")
        operations = {
            "HF": by_role("HF", "exclude_if_procedure_index_or_12m"),
            "CABG": by_role("CABG", "qualifying_procedure"),
            "CABG beside": by_role("CABG", "exclude_concomitant_procedure", most_prefixes=60),
            "THA_TKA": hips + knees,
            "THA_TKA beside": by_role("THA_TKA", "uncertain_procedure") * 2
            + [
                code
                for role in ("partial_hip", "revision", "resurfacing", "removal")
                for code in by_role("THA_TKA", f"exclude_procedure_{role}", most_prefixes=8)
            ],
        }

        planned = reference.rows("planned_admission_codes")
        returns = [
            "Z5189",
            "Z5189",
            "F329",
            "F200",
            "F0390",
            "U071",
            "I5022",
            "I5023",
            "K8000",
            "M1611",
            "I2510",
            "C3490",
        ]
        return_operations = []
        for row in planned:
            if row["note"] == "all_payer_only":
                continue
            if row["code_system"] == "CCS_CM":
                returns += by_category("ccs_icd10cm", row["code_prefix"], 1)
            elif row["code_system"] == "CCS_PCS":
                return_operations += by_category("ccs_icd10pcs", row["code_prefix"], 2)
                return_operations += by_category("ccs_gap_icd10pcs", row["code_prefix"], 2)
        single = [row for row in planned if row["code_system"] in {"ICD10CM", "ICD10PCS"}]
        for row in single[:: len(single) // 120]:
            (returns if row["code_system"] == "ICD10CM" else return_operations).extend(
                codes(row["code_system"], row["code_prefix"], 1)
            )
        categories_of_dx = sorted({category for table, category in of_category if table == "ccs_icd10cm"}, key=int)
        returns += [code for category in categories_of_dx[::4] for code in by_category("ccs_icd10cm", category, 1)]
        return_operations += ["0DJ08ZZ", "3E0436Z", "B211YZZ", "5A1955Z", "02HV33Z"]

        special: dict[str, list[str]] = {measure: [] for measure in MEASURES}
        history_operations: dict[str, list[str]] = {measure: [] for measure in MEASURES}
        for row in reference.rows("risk_variable_codes"):
            found = codes(row["code_system"], row["code_prefix"], 1)
            (special if row["code_system"] == "ICD10CM" else history_operations)[row["measure"]].extend(found)
        history_operations["HF"] += operations["HF"]
        beside = {measure: [*sorted(set(special[measure])), "U071", "R0902", "I132"] for measure in MEASURES}
        beside["COPD"] += ["J440", "J441"] * 4
        beside["PN"] += [*by_role("PN", "required_secondary_dx")[::4], "J1282", "R6520", "R6521"] * 2
        beside["HF"] += ["Z941", "Z95811"]
        beside["THA_TKA"] += by_role("THA_TKA", "exclude_dx_poa_fracture", most_prefixes=8)

        codes_of_cc: dict[str, list[str]] = {}
        for row in reference.rows("cc_icd10cm"):
            codes_of_cc.setdefault(row["cc"], []).append(row["code"])
        categories: dict[str, list[list[str]]] = {measure: [] for measure in MEASURES}
        for row in reference.rows("risk_variable_ccs"):
            if known := codes_of_cc.get(row["cc"]):
                categories[row["measure"]].append([known[chooser.integer(0, len(known) - 1)] for _ in range(3)])
        return cls(principal, operations, returns, return_operations, beside, categories, history_operations)


# --------------------------------------------------------------------------------------------------------------------------------
# Histories


@dataclass
class World:
    """What the patients of one run have in common: the codes, the days around which they are ill, the extract's last day."""

    pools: CodePools
    anchors: tuple[date, ...]
    extract_end: date
    has_enrollment: bool = True
    has_payer: bool = True
    has_poa: bool = True
    odd_records: bool = True
    medicare_advantage: bool = False

    @classmethod
    def of(cls, reference: Reference, pools: CodePools, years: Sequence[int], extract_end: date, **kind: bool) -> World:
        """The days around which the rules of `years` turn: beginnings, ends, a leap day, and the extract's last 32 days."""
        days = []
        for year in years:
            for period in reference.program_year(year).periods:
                days += [period.start - timedelta(1), period.start, period.end, period.end + timedelta(1)]
                span = (period.end - period.start).days
                days += [period.start + timedelta(span * part // 11) for part in range(1, 11)]
        days += [extract_end - timedelta(back) for back in (29, 30, 31, 32)]
        days += [date(day.year, 3, 1) for day in days[::6]] + [date(day.year, 2, 28) for day in days[::6]]
        anchors = tuple(sorted({day for day in days if day <= extract_end}))
        advantage = any(reference.program_year(year).medicare_advantage for year in years)
        return cls(pools, anchors, extract_end, medicare_advantage=advantage, **kind)


def draw_patient(choose: Chooser, person_id: str, world: World) -> Tables:
    """One patient's records, as rows of the canonical extract.

    Half of the patients are plain: alive, insured, of an ordinary age, at ordinary hospitals, so that what follows the first
    exclusions is met often enough too.
    """
    tables: Tables = {name: [] for name in FILES}
    theme = choose.pick(MEASURES)
    plain = choose.one_in(2)
    palette = _palette(choose, world.pools, theme)
    stays = _draw_stays(choose, person_id, world, theme, plain)
    if not stays:
        return tables
    tables["stays"] = [stay.row for stay in stays]
    for stay in stays:
        _draw_codes(choose, tables, stay, world, theme, palette)
    tables["persons"].append(_draw_person(choose, person_id, stays, plain))
    _draw_claims(choose, tables, person_id, stays, world.pools, theme, palette)
    if world.has_enrollment:
        tables["enrollment"] = _draw_enrollment(choose, person_id, stays, world, plain)
    if world.odd_records and choose.one_in(12):
        _draw_odd_records(choose, tables, person_id, stays, palette)
    return tables


@dataclass
class _Drawn:
    row: dict[str, Any]
    admit: date
    discharge: date


def _palette(choose: Chooser, pools: CodePools, theme: str) -> list[str]:
    """A few secondary codes that come again and again in one patient, on the index stay and in the history."""
    found = [code for _ in range(choose.integer(1, 3)) for code in choose.pick(pools.categories[theme])]
    return found + [choose.pick(pools.beside[theme]) for _ in range(choose.integer(1, 4))]


def _draw_stays(choose: Chooser, person_id: str, world: World, theme: str, plain: bool) -> list[_Drawn]:
    stays: list[_Drawn] = []
    reverse = choose.one_in(3)  # the order of ids against the order of dates
    close = choose.one_in(3)  # many stays in few days
    principal: str | None = None
    for number in range(choose.integer(3, 6) if close else choose.integer(1, 5)):
        last = stays[-1] if stays else None
        admit, discharge = _draw_dates(choose, world, last, close)
        if discharge > world.extract_end:
            break
        principal = _draw_principal(choose, world.pools, theme, principal, follows=last is not None)
        row = {
            "stay_id": f"{person_id}-{9 - number if reverse else number}",
            "person_id": person_id,
            "ccn": _draw_hospital(choose, last, plain),
            "admit_date": admit.isoformat(),
            "discharge_date": discharge.isoformat(),
            "discharge_status": choose.pick(PLAIN_STATUSES if plain else STATUSES),
            "payer": None,
            "is_short_term_acute": None,
            "is_cah": None,
            "principal": principal,
        }
        if world.has_payer and choose.one_in(4):
            row["payer"] = (
                choose.pick(("FFS", "MA" if world.medicare_advantage else "FFS"))
                if plain
                else choose.pick(("FFS", "MA", "other"))
            )
        if not plain and choose.one_in(40):
            row["is_short_term_acute"] = choose.pick(("true", "false"))
        if not plain and choose.one_in(40):
            row["is_cah"] = choose.pick(("true", "false"))
        stays.append(_Drawn(row, admit, discharge))
    return stays


def _draw_dates(choose: Chooser, world: World, last: _Drawn | None, close: bool) -> tuple[date, date]:
    length = choose.pick(LENGTHS[: 8 if close else None]) if not choose.one_in(60) else choose.pick(LONG_LENGTHS)
    if last is None:
        discharge = choose.pick(world.anchors) + timedelta(choose.pick((0, 0, 1, -1, 7, -20)))
        return discharge - timedelta(length), discharge
    if choose.one_in(14):  # inside the stay before
        admit = last.admit + timedelta(choose.integer(0, (last.discharge - last.admit).days))
    else:
        admit = last.discharge + timedelta(choose.pick(CLOSE_GAPS if close else GAPS))
    return admit, admit + timedelta(length)


def _draw_hospital(choose: Chooser, last: _Drawn | None, plain: bool) -> str:
    if last is not None and choose.one_in(2):
        return str(last.row["ccn"])
    if choose.one_in(30 if plain else 10):
        return choose.pick(OTHER_KINDS)
    if choose.one_in(16 if plain else 6):
        return CRITICAL_ACCESS
    return choose.pick((ACUTE, ACUTE, ACUTE_2, ACUTE_2, ACUTE_3))


def _draw_principal(choose: Chooser, pools: CodePools, theme: str, before: str | None, follows: bool) -> str | None:
    if follows and choose.one_in(3):
        return before
    if follows and choose.one_in(3):
        return choose.pick(pools.returns)
    if choose.one_in(10):
        return choose.pick(pools.principal[choose.pick(MEASURES)])
    if choose.one_in(80):
        return None
    return choose.pick(pools.principal[theme])


def _draw_codes(choose: Chooser, tables: Tables, stay: _Drawn, world: World, theme: str, palette: list[str]) -> None:
    stay_id, pools = stay.row["stay_id"], world.pools
    principal = stay.row.pop("principal")
    codes = [choose.pick(palette) for _ in range(choose.integer(0, 4))]
    if choose.one_in(4):
        codes.append(choose.pick(pools.beside[theme]))
    sequence = 1 if principal is not None else 2
    for number, code in enumerate([principal, *codes] if principal is not None else codes, start=sequence):
        if number > 1 and code == principal:
            continue
        poa = choose.pick(POA) if world.has_poa else None
        if world.odd_records and choose.one_in(50):
            code = choose.pick((f"{code[:3]}.{code[3:]}".rstrip("."), code.lower(), f" {code}"))
        tables["diagnoses"].append({"stay_id": stay_id, "sequence": str(number), "code": code, "poa": poa})

    operations: list[str] = []
    if theme in {"CABG", "THA_TKA"} and not choose.one_in(4):
        operations.append(choose.pick(pools.operations[theme]))
        if choose.one_in(5):
            operations += [choose.pick(pools.operations[theme]) for _ in range(choose.integer(1, 2))]
        if choose.one_in(6):
            operations.append(choose.pick(pools.operations[f"{theme} beside"]))
    elif theme == "THA_TKA" and choose.one_in(3):
        operations.append(choose.pick(pools.operations["THA_TKA beside"]))
    if choose.one_in(6):
        operations.append(choose.pick(pools.return_operations))
    if choose.one_in(20):
        operations.append(choose.pick(pools.history_operations[theme] or pools.return_operations))
    if operations and choose.one_in(15):
        operations.append(operations[0])
    for number, code in enumerate(operations, start=1):
        day = stay.admit + timedelta(choose.integer(0, (stay.discharge - stay.admit).days))
        tables["procedures"].append(
            {"stay_id": stay_id, "sequence": str(number), "code": code, "procedure_date": day.isoformat()}
        )


def _draw_person(choose: Chooser, person_id: str, stays: list[_Drawn], plain: bool) -> dict[str, Any]:
    reference = choose.pick(stays).admit
    age = choose.pick((70, 75, 80, 90) if plain or choose.one_in(2) else (66, 65, 65, 64, 115, 116))
    year = reference.year - age
    if choose.one_in(25):
        leap_year = year - year % 4
        birth = date(leap_year if leap_year != 1900 else 1904, 2, 29)
    else:
        birth = _same_day(reference, year) + timedelta(choose.pick((0, 1, -1, 100, -100)))
    died_at_discharge = [stay for stay in stays if stay.row["discharge_status"] in {"20", "41"}]
    death: date | None = None
    if died_at_discharge:
        death = None if choose.one_in(6) else died_at_discharge[0].discharge
    elif choose.one_in(12 if plain else 6):
        death = choose.pick(stays).discharge + timedelta(choose.pick((0, 1, 15, 29, 30, 31, 100)))
    elif not plain and choose.one_in(30):
        death = stays[-1].admit - timedelta(1)
    sex = choose.pick(("1", "2", "M", "F")) if plain or not choose.one_in(30) else choose.pick((None, "0", "U"))
    return {
        "person_id": person_id,
        "birth_date": birth.isoformat(),
        "sex": sex,
        "death_date": death.isoformat() if death else None,
    }


def _same_day(day: date, year: int) -> date:
    try:
        return day.replace(year=year)
    except ValueError:
        return day.replace(year=year, day=28)


def _draw_claims(
    choose: Chooser,
    tables: Tables,
    person_id: str,
    stays: list[_Drawn],
    pools: CodePools,
    theme: str,
    palette: list[str],
) -> None:
    for _ in range(choose.pick((0, 0, 1, 2, 3))):
        day = choose.pick(stays).admit - timedelta(choose.pick((0, 1, 1, 2, 30, 100, 364, 365, 366, 367)))
        code = choose.pick(palette) if not choose.one_in(4) else choose.pick(pools.beside[theme])
        source = choose.pick(("outpatient", "professional", "inpatient", None))
        row = {"person_id": person_id, "service_date": day.isoformat(), "code": code, "source": source}
        tables["history_diagnoses"].append(row)
    operations = pools.history_operations[theme]
    if operations and choose.one_in(6):
        day = choose.pick(stays).admit - timedelta(choose.pick((0, 1, 2, 200, 365, 366)))
        row = {"person_id": person_id, "service_date": day.isoformat(), "code": choose.pick(operations), "source": None}
        tables["history_procedures"].append(row)


@cache
def _month_name(number: int) -> str:
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def _month_number(day: date) -> int:
    return day.year * 12 + day.month - 1


KINDS_OF_MONTH = {
    "ffs": {"part_a": "true", "part_b": "true", "ffs": "true", "ma": "false"},
    "ma": {"part_a": "true", "part_b": "true", "ffs": "false", "ma": "true"},
    "no part a": {"part_a": "false", "part_b": "true", "ffs": "true", "ma": "false"},
    "no part b": {"part_a": "true", "part_b": "false", "ffs": "true", "ma": "false"},
    "both": {"part_a": "true", "part_b": "true", "ffs": "true", "ma": "true"},
    "neither": {"part_a": "true", "part_b": "true", "ffs": "false", "ma": "false"},
}


def _draw_enrollment(
    choose: Chooser, person_id: str, stays: list[_Drawn], world: World, plain: bool
) -> list[dict[str, Any]]:
    """Months from 13 before the first admission to 2 after the last discharge, with a break or two where rules look."""
    if not plain and choose.one_in(25):
        return []
    start, end = _month_number(stays[0].admit) - 13, _month_number(max(stay.discharge for stay in stays)) + 2
    kind = choose.pick(("ffs", "ffs", "ma" if world.medicare_advantage else "ffs"))
    months = dict.fromkeys(range(start, end + 1), kind)
    for _ in range(0 if plain else choose.pick((0, 1, 1, 2))):
        near = choose.pick(stays)
        if choose.one_in(2):
            place = _month_number(near.admit) + choose.pick((-13, -12, -12, -11, -5, -1, 0, 0))
        else:
            place = _month_number(near.discharge) + choose.pick((0, 1, 1, 1, 2))
        change = choose.pick(("gap", "no part a", "no part b", "switch", "other kind", "neither", "both"))
        other = "ffs" if kind == "ma" else "ma"
        if change == "gap":
            months.pop(place, None)
        elif change == "switch":
            months = {month: other if month >= place else before for month, before in months.items()}
        elif place in months:
            months[place] = other if change == "other kind" else change
    return [
        {"person_id": person_id, "month": _month_name(month), **KINDS_OF_MONTH[name]} for month, name in months.items()
    ]


def _draw_odd_records(choose: Chooser, tables: Tables, person_id: str, stays: list[_Drawn], palette: list[str]) -> None:
    """Records that cannot be used: duplicates, orphans, impossible dates, numbers that are no hospital's."""
    original = choose.pick(stays).row
    kind = choose.pick(("duplicate", "duplicate", "repeated", "orphans", "no person", "backwards", "ccn"))
    if kind == "duplicate":  # another stay id, so that only the first record's codes count
        copy = {**original, "stay_id": f"{person_id}-a"}
        if choose.one_in(3):
            copy["discharge_status"] = choose.pick(STATUSES)
        tables["stays"].append(copy)
        tables["diagnoses"].append({"stay_id": copy["stay_id"], "sequence": "1", "code": "I5023", "poa": "Y"})
        tables["diagnoses"].append(
            {"stay_id": copy["stay_id"], "sequence": "2", "code": choose.pick(palette), "poa": "Y"}
        )
    elif kind == "repeated":  # the same record twice, with its codes
        tables["stays"].append(dict(original))
        for name in ("diagnoses", "procedures"):
            tables[name] += [dict(row) for row in tables[name] if row["stay_id"] == original["stay_id"]]
    elif kind == "orphans":
        row = {"stay_id": f"{person_id}-x", "sequence": "1", "code": "I214", "poa": "Y"}
        tables["diagnoses"].append(row)
        claim = {"person_id": f"{person_id}x", "service_date": original["admit_date"], "code": "I214", "source": None}
        tables["history_diagnoses"].append(claim)
    elif kind == "no person":
        tables["stays"].append({**original, "stay_id": f"{person_id}-y", "person_id": f"{person_id}y"})
        tables["diagnoses"].append({"stay_id": f"{person_id}-y", "sequence": "1", "code": "I5023", "poa": "Y"})
    elif kind == "backwards":
        day = date.fromisoformat(original["admit_date"]) - timedelta(1)
        tables["stays"].append({**original, "stay_id": f"{person_id}-z", "discharge_date": day.isoformat()})
        tables["diagnoses"].append({"stay_id": f"{person_id}-z", "sequence": "1", "code": "I5023", "poa": "Y"})
    else:
        row = {**original, "stay_id": f"{person_id}-c", "ccn": choose.pick(INVALID_CCNS)}
        tables["stays"].append(row)
        tables["diagnoses"].append({"stay_id": f"{person_id}-c", "sequence": "1", "code": "I5023", "poa": "Y"})


def sentinel(extract_end: date, has_payer: bool = True, has_poa: bool = True) -> Tables:
    """A plain person whose stay ends on the extract's last day, and so says which day that is.

    Every optional file and column has a value here, so that none counts as missing because nobody else has one.
    """
    admit = extract_end - timedelta(1)
    stay = {
        "stay_id": "last-0",
        "person_id": "last",
        "ccn": ACUTE,
        "admit_date": admit.isoformat(),
        "discharge_date": extract_end.isoformat(),
        "discharge_status": "01",
        "payer": "FFS" if has_payer else None,
    }
    person = {"person_id": "last", "birth_date": "1940-01-01", "sex": "1", "death_date": extract_end.isoformat()}
    month = {"person_id": "last", "month": _month_name(_month_number(admit)), **KINDS_OF_MONTH["ffs"]}
    claim = {"person_id": "last", "service_date": admit.isoformat()}
    return {
        "persons": [person],
        "stays": [stay],
        "diagnoses": [{"stay_id": "last-0", "sequence": "1", "code": "K8000", "poa": "Y" if has_poa else None}],
        "procedures": [{"stay_id": "last-0", "sequence": "1", "code": "0DJ08ZZ", "procedure_date": admit.isoformat()}],
        "enrollment": [month],
        "history_diagnoses": [{**claim, "code": "K8000", "source": "outpatient"}],
        "history_procedures": [{**claim, "code": "0DJ08ZZ", "source": "outpatient"}],
    }


def seeded_patients(world: World, seed: int, count: int) -> list[Tables]:
    """`count` patients, the same for the same seed, numbered from 0."""
    choose = SeededChooser(seed)
    return _with_stays(draw_patient(choose, f"p{number:06d}", world) for number in range(count))


def _with_stays(drawn: Iterable[Tables]) -> list[Tables]:
    return [patient for patient in drawn if patient["stays"]]


@st.composite
def patients(draw: Any, world: World, most: int = 6) -> list[Tables]:
    """A few patients, for Hypothesis."""
    choose = HypothesisChooser(draw)
    return _with_stays(draw_patient(choose, f"p{number:06d}", world) for number in range(choose.integer(1, most)))
