"""The same patients through the SQL and through the oracle; where the two answers differ, the smallest patient that shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness import run_cohort
from histories import FILES, Tables, sentinel
from runs import Answers, Run, oracle_answers

from oracle import Answer

QUERIES = {
    "flow": "select program_year, measure, stay_id, ccn, included, first_reason, reasons from cohort.cohort_flow",
    "index": "select program_year, measure, stay_id, ccn, admit_date, discharge_date, person_id from cohort.index_admissions",
    "readmissions": "select program_year, measure, stay_id, readmission_stay_id, days, planned, unplanned_readmission"
    " from cohort.readmissions",
    "risk_factors": "select program_year, measure, stay_id, variable_key, value from risk.risk_factors",
}


def sql_answers(patients: Sequence[Tables], run: Run) -> list[Answers]:
    """The SQL's answers, patient by patient; every stay id begins with its patient's id and a hyphen."""
    everybody = [*patients, sentinel(run.extract_end, run.has_payer, run.has_poa)]
    tables: dict[str, Any] = {name: [row for patient in everybody for row in patient[name]] for name in FILES}
    if not run.has_enrollment:
        tables.pop("enrollment")
    tables["hospitals"] = run.hospitals()
    changed = {"hospital_successions": run.successions} if run.successions else {}
    warehouse = run_cohort(
        tables,
        list(run.program_years),
        as_of=run.as_of,
        parameters=dict(run.parameters),
        reference_rows=changed,
    )
    places = {
        patient["persons"][0]["person_id"]: number for number, patient in enumerate(patients) if patient["persons"]
    }
    answers: list[Answers] = [{year: Answer() for year in run.program_years} for _ in patients]

    def answer(year: int, stay_id: str) -> Answer | None:
        person_id = stay_id.rpartition("-")[0]
        return answers[places[person_id]][year] if person_id != "last" else None

    for year, measure, stay_id, ccn, included, first, reasons in warehouse.rows(QUERIES["flow"]):
        if (one := answer(year, stay_id)) is not None:
            assert (measure, stay_id) not in one.flow, f"two rows of cohort_flow for one stay: {measure} {stay_id}"
            one.flow[measure, stay_id] = (ccn, included, first, tuple(reasons or ()))
    for year, measure, stay_id, ccn, admit, discharge, person_id in warehouse.rows(QUERIES["index"]):
        if (one := answer(year, stay_id)) is not None:
            assert person_id == stay_id.rpartition("-")[0]
            one.index[measure, stay_id] = (ccn, admit, discharge)
    for year, measure, stay_id, *rest in warehouse.rows(QUERIES["readmissions"]):
        if (one := answer(year, stay_id)) is not None:
            one.readmissions[measure, stay_id] = tuple(rest)
    for year, measure, stay_id, variable, value in warehouse.rows(QUERIES["risk_factors"]):
        if (one := answer(year, stay_id)) is not None:
            one.risk_factors.setdefault((measure, stay_id), {})[variable] = value
    return answers


def differences(sql: Answer, oracle: Answer) -> list[tuple[str, tuple[str, str], Any, Any]]:
    """(part, (measure, stay id), the SQL's answer, the oracle's answer); None where one has no row."""
    found = []
    for part in ("flow", "index", "readmissions", "risk_factors"):
        one, other = getattr(sql, part), getattr(oracle, part)
        for place in sorted(set(one) | set(other)):
            # A stay without any risk factor has no rows in the long table.
            empty = {} if part == "risk_factors" else None
            if one.get(place, empty) != other.get(place, empty):
                found.append((part, place, one.get(place), other.get(place)))
    return found


def differing(
    patients: Sequence[Tables], sql: Sequence[Answers], oracle: Sequence[Answers]
) -> list[tuple[int, set[tuple[str, str]]]]:
    """(patient's number, kinds of difference) of every patient with different answers; a kind is a part and a detail."""
    found = []
    for number in range(len(patients)):
        kinds = {
            kind
            for year, answer in sql[number].items()
            for each in differences(answer, oracle[number][year])
            for kind in _kinds(*each)
        }
        if kinds:
            found.append((number, kinds))
    return found


def _kinds(part: str, place: tuple[str, str], one: Any, other: Any) -> set[tuple[str, str]]:
    """Enough of a difference to tell it from another one while the patient is made smaller."""
    if part == "flow" and one is not None and other is not None:
        return {(f"{place[0]} reason", reason) for reason in set(one[3]) ^ set(other[3])} or {
            (f"{place[0]} flow", "order")
        }
    if part == "risk_factors" and one is not None and other is not None:
        return {(f"{place[0]} risk factor", key) for key in set(one) | set(other) if one.get(key) != other.get(key)}
    return {(f"{place[0]} {part}", "missing in SQL" if one is None else "only in SQL" if other is None else "differs")}


def smallest(patient: Tables, kind: tuple[str, str], run: Run, rounds: int = 40) -> Tables:
    """The patient without every record that the difference does not need; all removals of a round run as one batch."""
    for _ in range(rounds):
        smaller = _renumbered(_removals(patient))
        if not smaller:
            return patient
        sql, oracle = sql_answers(smaller, run), oracle_answers(smaller, run)
        still = [number for number, kinds in differing(smaller, sql, oracle) if kind in kinds]
        if not still:
            return patient
        patient = min((smaller[number] for number in still), key=lambda each: sum(len(each[name]) for name in FILES))
    return patient


def _removals(patient: Tables) -> list[Tables]:
    """The patient without one stay and its codes, without one other record, without half the records of a file."""
    found = []
    for stay in patient["stays"]:
        kept = {name: [row for row in patient[name] if row.get("stay_id") != stay["stay_id"]] for name in FILES}
        found.append(kept)
    for name in FILES[2:]:
        rows = patient[name]
        for part in ([row] for row in rows) if len(rows) < 60 else ():
            found.append({**patient, name: [row for row in rows if row is not part[0]]})
        if len(rows) > 3:
            half = len(rows) // 2
            found += [{**patient, name: rows[:half]}, {**patient, name: rows[half:]}]
    return [each for each in found if each["stays"] and any(each[name] != patient[name] for name in FILES)]


def _renumbered(patients: Sequence[Tables]) -> list[Tables]:
    """Each as a person of its own."""
    found = []
    for number, patient in enumerate(patients):
        old, new = patient["persons"][0]["person_id"], f"q{number:05d}"
        found.append(
            {
                name: [
                    {
                        column: new + value[len(old) :]
                        if column in {"person_id", "stay_id"} and isinstance(value, str) and value.startswith(old)
                        else value
                        for column, value in row.items()
                    }
                    for row in patient[name]
                ]
                for name in FILES
            }
        )
    return found


def report(patient: Tables, run: Run) -> str:
    """An invented patient and both answers, to be read by people."""
    lines = [
        f"run: {run.name}; program years {run.program_years}, extract ends {run.extract_end}, {dict(run.parameters)}"
    ]
    for name in FILES:
        rows = patient[name]
        if name == "enrollment":
            lines.append(f"  enrollment: {_spans(rows)}")
            continue
        for row in rows:
            lines.append(f"  {name}: " + "  ".join(f"{key}={value}" for key, value in row.items() if value is not None))
    [sql], [oracle] = sql_answers([patient], run), oracle_answers([patient], run)
    for year in run.program_years:
        for part, (measure, stay_id), one, other in differences(sql[year], oracle[year]):
            lines.append(f"  FY{year} {measure} {stay_id} {part}:")
            if part == "risk_factors" and one and other:
                one, other = dict(one.items() - other.items()), dict(other.items() - one.items())
            lines += [f"      SQL:    {one}", f"      oracle: {other}"]
    return "\n".join(lines)


def _spans(rows: Sequence[Mapping[str, Any]]) -> str:
    """Months of the same kind together: 2021-01..2021-12 part_a part_b ffs."""
    spans: list[list[str]] = []
    for row in sorted(rows, key=lambda row: row["month"]):
        kind = " ".join(name for name in ("part_a", "part_b", "ffs", "ma") if row[name] == "true") or "nothing"
        year, month = map(int, row["month"].split("-"))
        follows = spans and spans[-1][2] == kind and spans[-1][3] == str(year * 12 + month - 1)
        if follows:
            spans[-1][1], spans[-1][3] = row["month"], str(year * 12 + month)
        else:
            spans.append([row["month"], row["month"], kind, str(year * 12 + month)])
    return "; ".join(f"{first}..{last} {kind}" for first, last, kind, _ in spans)


def compare(patients: Sequence[Tables], run: Run, oracle: Sequence[Answers] | None = None) -> str:
    """'' where the two agree on every patient; else how many differ in what, and the smallest patient of the commonest kind."""
    answers = oracle if oracle is not None else oracle_answers(patients, run)
    found = differing(patients, sql_answers(patients, run), answers)
    if not found:
        return ""
    counts: dict[tuple[str, str], int] = {}
    for _, kinds in found:
        for kind in kinds:
            counts[kind] = counts.get(kind, 0) + 1
    commonest = sorted(counts, key=lambda kind: (-counts[kind], kind))
    number = min(
        (number for number, kinds in found if commonest[0] in kinds),
        key=lambda number: sum(len(patients[number][name]) for name in FILES),
    )
    patient = smallest(patients[number], commonest[0], run)
    table = "\n".join(f"  {counts[kind]:6d}  {kind[0]}: {kind[1]}" for kind in commonest[:40])
    return (
        f"{len(found)} of {len(patients)} invented patients differ between the SQL and the oracle:\n{table}\n"
        f"the smallest patient with '{commonest[0][0]}: {commonest[0][1]}':\n{report(patient, run)}"
    )
