"""A rule of the measures as a tiny patient table: the rule in words, a few stays, and what must come of each.

A table is text, one stay a line under a heading. Headings of `stays`: stay, person, ccn, in, out, status, dx, px, payer, acute, amount.
`dx` lists the principal diagnosis first, then secondary ones, with `/N` for one that was not present on admission; `px` lists
procedures. What a table does not name is ordinary: one woman called ann, born 2 January 1950, at hospital 360001, discharged home, enrolled
in Parts A and B in fee for service from 2022 to 2026.

Headings of `expect`: stay, measure, verdict (`index`, or the reasons joined by commas, or `no row` for a stay that must not be
judged at all), return (the stay of the first return, or `-`), outcome (`unplanned`, `planned`, `not counted`, or `-`), factors
(risk factors that must be there; with `!` those that must not). Every judged stay must be listed: a stay too many fails too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from harness import run_cohort

AS_OF = date(2026, 11, 23)
FIRST_ENROLLED, LAST_ENROLLED = (2022, 1), (2026, 12)


@dataclass(frozen=True)
class Rule:
    """One rule with its patients. `years` are program years; FY2028 counts discharges of July 2024 to June 2026."""

    title: str
    words: str
    stays: str
    expect: str
    persons: str = ""
    enrollment: str = ""
    history: str = ""
    hospitals: str = ""
    years: tuple[int, ...] = (2028,)
    as_of: date = AS_OF
    extract_end: date = AS_OF
    parameters: Mapping[str, Any] = field(default_factory=dict)
    confidence: str = "high"


def rows(table: str) -> list[dict[str, str]]:
    """The lines of a text table as dicts; cells are separated by spaces, `_` in a cell stands for a space, `-` for nothing."""
    lines = [line.split() for line in table.strip().splitlines() if line.strip()]
    if not lines:
        return []
    heading, body = lines[0], lines[1:]
    for line in body:
        if len(line) != len(heading):
            raise ValueError(f"{len(line)} cells under {len(heading)} headings: {' '.join(line)}")
    return [dict(zip(heading, line, strict=True)) for line in body]


def canonical_tables(rule: Rule, prefix: str = "") -> dict[str, list[dict[str, Any]]]:
    """The files of the canonical extract that the rule's tables stand for; `prefix` keeps apart rules that share a run."""
    stays, diagnoses, procedures = [], [], []
    for row in rows(rule.stays):
        stays.append(_stay(row))
        for place, entry in enumerate(_list(row.get("dx", "-")), start=1):
            code, _, poa = entry.partition("/")
            diagnoses.append({"stay_id": row["stay"], "sequence": place, "code": code, "poa": poa or "Y"})
        for place, code in enumerate(_list(row.get("px", "-")), start=1):
            procedures.append({"stay_id": row["stay"], "sequence": place, "code": code})
    tables = {"stays": stays, "diagnoses": diagnoses, "procedures": procedures}
    tables["persons"] = _persons(rule, {stay["person_id"] for stay in stays})
    tables["enrollment"] = _enrollment(rule, {person["person_id"] for person in tables["persons"]})
    for row in rows(rule.history):
        kind = "history_procedures" if row["kind"] == "procedure" else "history_diagnoses"
        tables.setdefault(kind, []).append(
            {
                "person_id": row.get("person", "ann"),
                "service_date": row["date"],
                "code": row["code"],
                "source": row.get("source", "outpatient"),
            }
        )
    if rule.hospitals:
        tables["hospitals"] = [
            {key: None if value == "-" else value for key, value in row.items()} for row in rows(rule.hospitals)
        ]
    for table in tables.values():
        for line in table:
            line.update({key: prefix + line[key] for key in ("stay_id", "person_id") if key in line})
    return tables


def judge(rule: Rule, company: Sequence[Rule] = ()) -> list[str]:
    """Run the rule's patients through the SQL; what is not as expected, in words (nothing: all is well).

    Of `company` those rules that ask for the same run go through it together, and only once.
    """
    together = tuple(other for other in company if _same_run(other, rule)) or (rule,)
    return _differences(rule, _run(together)[together.index(rule)])


@dataclass(frozen=True)
class Findings:
    """What came of one rule's stays, by measure and stay: verdict, first return with its outcome, risk factors."""

    flow: dict[tuple[str, str], str] = field(default_factory=dict)
    returns: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    factors: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)


def _same_run(one: Rule, other: Rule) -> bool:
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("years", "as_of", "extract_end", "parameters", "hospitals")
    )


_TABLES: dict[tuple[int, ...], dict[str, list[dict[str, Any]]]] = {}
_RUNS: dict[tuple[int, ...], list[Findings]] = {}


def _tables(together: tuple[Rule, ...]) -> dict[str, list[dict[str, Any]]]:
    key = tuple(map(id, together))
    if key not in _TABLES:
        tables: dict[str, list[dict[str, Any]]] = {}
        for number, rule in enumerate(together):
            for name, lines in canonical_tables(rule, f"{number}.").items():
                if name != "hospitals" or number == 0:
                    tables.setdefault(name, []).extend(lines)
        _TABLES[key] = tables
    return _TABLES[key]


def _run(together: tuple[Rule, ...]) -> list[Findings]:
    key = tuple(map(id, together))
    if key in _RUNS:
        return _RUNS[key]
    rule = together[0]
    warehouse = run_cohort(_tables(together), rule.years, rule.as_of, rule.parameters, extract_end=rule.extract_end)
    found = [Findings() for _ in together]
    year = {"year": rule.years[0]}
    for measure, stay_id, included, reasons in warehouse.rows(
        "select measure, stay_id, included, reasons from cohort.cohort_flow where program_year = $year", year
    ):
        number, stay = _place(stay_id)
        twice = found[number].flow.get((measure, stay))
        verdict = "index" if included else ",".join(reasons)
        found[number].flow[measure, stay] = verdict if twice is None else f"{twice}, and again {verdict}"
    for measure, stay_id, readmission, planned, unplanned, covid in warehouse.rows(
        "select measure, stay_id, readmission_stay_id, planned, unplanned_readmission, covid_19 "
        "from cohort.readmissions where program_year = $year",
        year,
    ):
        number, stay = _place(stay_id)
        twice = "twice " if (measure, stay) in found[number].returns else ""
        found[number].returns[measure, stay] = (twice + _place(readmission)[1], _outcome(planned, unplanned, covid))
    for measure, stay_id, variable, value in warehouse.rows(
        "select measure, stay_id, variable_key, value from risk.risk_factors where program_year = $year", year
    ):
        number, stay = _place(stay_id)
        factors = found[number].factors.setdefault((measure, stay), {})
        factors[variable] = factors.get(variable, 0.0) + value  # a row too many makes a wrong value
    _RUNS[key] = found
    return found


def _place(stay_id: str) -> tuple[int, str]:
    number, _, stay = stay_id.partition(".")
    return int(number), stay


def _differences(rule: Rule, findings: Findings) -> list[str]:
    flow, returns, factors = findings.flow, findings.returns, findings.factors
    found = []
    expected = rows(rule.expect)
    listed = {(row["measure"], row["stay"]) for row in expected if row["verdict"] != "no_row"}
    for measure, stay in sorted(set(flow) - listed):
        found.append(f"{measure} {stay}: judged ({flow[measure, stay]}), and must not be")
    for row in expected:
        key = (row["measure"], row["stay"])
        verdict = flow.get(key, "no_row")
        if verdict != row["verdict"]:
            found.append(f"{key}: {verdict}, expected {row['verdict']}")
        stay, outcome = returns.get(key, ("-", "-"))
        if row.get("return", stay) != stay:
            found.append(f"{key}: first return {stay}, expected {row['return']}")
        if row.get("outcome", outcome) != outcome:
            found.append(f"{key}: outcome {outcome}, expected {row['outcome']}")
        for factor in _list(row.get("factors", "-")):
            name, _, value = factor.removeprefix("!").partition("=")
            there = factors.get(key, {}).get(name, 0.0)
            wanted = 0.0 if factor.startswith("!") else float(value or 1)
            if there != wanted:
                found.append(f"{key}: {name} is {there:g}, expected {wanted:g}")
    return found


def _outcome(planned: bool, unplanned: bool, covid: bool) -> str:
    if unplanned and (planned or covid):
        return "contradiction"
    if covid:
        return "not_counted"
    return "planned" if planned else "unplanned" if unplanned else "?"


def _list(cell: str) -> list[str]:
    return [] if cell == "-" else cell.split(",")


def _stay(row: Mapping[str, str]) -> dict[str, Any]:
    names = {"payer": "payer", "acute": "is_short_term_acute", "amount": "base_operating_drg_amount"}
    stay: dict[str, Any] = {
        "stay_id": row["stay"],
        "person_id": row.get("person", "ann"),
        "ccn": row.get("ccn", "360001"),
        "admit_date": row["in"],
        "discharge_date": row["out"],
        "discharge_status": row.get("status", "01"),
    }
    for short, name in names.items():
        if short in row and row[short] != "-":
            stay[name] = row[short]
    return stay


def _persons(rule: Rule, seen: set[str]) -> list[dict[str, Any]]:
    named = {row["person"]: row for row in rows(rule.persons)}
    persons = []
    for person in sorted(seen | set(named)):
        row = named.get(person, {})
        death = row.get("died", "-")
        persons.append(
            {
                "person_id": person,
                "birth_date": row.get("born", "1950-01-02"),
                "sex": "" if row.get("sex") == "-" else row.get("sex", "F"),
                "death_date": None if death == "-" else death,
            }
        )
    return persons


def _enrollment(rule: Rule, persons: set[str]) -> list[dict[str, Any]]:
    """Ordinary months, but for those that the rule's table names: person, from, to, cover, dual.

    A cover is none, A, B, AB (Parts in fee for service), MA, MA_A, MA_B (in Medicare Advantage), or unpaid (A and B in neither).
    """
    months: dict[tuple[str, tuple[int, int]], dict[str, Any]] = {}
    for person in sorted(persons):
        for month in _months(FIRST_ENROLLED, LAST_ENROLLED):
            months[person, month] = {"cover": "AB", "dual": None}
    for row in rows(rule.enrollment):
        first, last = _month(row["from"]), _month(row.get("to", row["from"]))
        for month in _months(first, last):
            months[row.get("person", "ann"), month] = {"cover": row["cover"], "dual": row.get("dual")}
    return [
        {
            "person_id": person,
            "month": f"{year:04d}-{month:02d}",
            "part_a": not cover["cover"].endswith("B") or cover["cover"] == "AB",
            "part_b": cover["cover"] not in ("A", "MA_A"),
            "ffs": cover["cover"] in ("A", "B", "AB"),
            "ma": cover["cover"].startswith("MA"),
            "dual_code": cover["dual"],
        }
        for (person, (year, month)), cover in months.items()
        if cover["cover"] != "none"
    ]


def _month(text: str) -> tuple[int, int]:
    year, month = text.split("-")
    return int(year), int(month)


def _months(first: tuple[int, int], last: tuple[int, int]) -> list[tuple[int, int]]:
    numbers = range(first[0] * 12 + first[1] - 1, last[0] * 12 + last[1])
    return [(number // 12, number % 12 + 1) for number in numbers]
