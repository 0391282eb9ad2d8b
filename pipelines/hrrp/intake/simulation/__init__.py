"""The simulator: the canonical extract of a synthetic system or nation, and the truth it was drawn from.

`simulate` draws everything in memory, `write_simulation` writes it. Nobody in it exists: patients, hospitals, names
and numbers are invented; only the published risk model, the code lists and the national variances are CMS's (from
data/reference).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrrp.errors import UsageError
from hrrp.intake.simulation.courses import RETURN_DAYS, Courses, Options, draw_courses, stream
from hrrp.intake.simulation.facilities import MOST_HOSPITALS, Facilities, draw_facilities
from hrrp.intake.simulation.files import Table, Written, write_tables
from hrrp.intake.simulation.people import People, Selected, draw_people, select
from hrrp.intake.simulation.rules import Model, models, recorded
from hrrp.intake.simulation.tables import canonical, covid_stays, truth_tables
from hrrp.intake.simulation.truth import REASONS, MeasureTruth, find_truth
from hrrp.program import Reference

__all__ = [
    "REASONS",
    "MeasureTruth",
    "Options",
    "Simulation",
    "Written",
    "check_folder",
    "check_format",
    "check_options",
    "simulate",
    "write_simulation",
]

MOST_STAYS = 50_000_000
FEWEST_DAYS = 90
TRUTH_FOLDER = "truth"
FORMATS = ("parquet", "csv")
# How to read the truth, by table; part of truth.json.
_READING = {
    "outcomes": (
        "Every stay that meets a measure's clinical definition. reason: why it is no index admission in any program "
        "year from FY2027, null for none; an earlier index admission within 30 days, COVID-19 and follow-up come on "
        "top. outcome: an unplanned return within 30 days, drawn with probability 1 / (1 + exp(-(linear_predictor + "
        "hospital_effect))); null where the patient died in hospital or was sent on. complete: its 30 days lie within"
        " the window. risk_variables: bit i is set for the variable of report order i + 1 (the first, age, stands in "
        "years_over_65)."
    ),
    "hospital_measures": (
        "Stays without a reason and with complete follow-up, their outcomes, the readmissions expected of an average "
        "hospital and of this one with its true effect, and the true excess readmission ratio."
    ),
    "coefficients": "The model that outcomes were drawn from, as published for model_program_year.",
}
# Stays an episode holds on average, less a margin; if it turns out too much, more episodes are drawn.
_STAYS_PER_EPISODE, _SPARE_EPISODES, _MORE = 1.19, 64, 1.2


@dataclass(frozen=True)
class Simulation:
    """A synthetic system: the files of its canonical extract, and its truth by measure and as tables."""

    options: Options
    facilities: Facilities
    models: tuple[Model, ...]
    courses: Courses
    selected: Selected
    people: People
    tables: dict[str, Table]
    truth: tuple[MeasureTruth, ...]


def check_options(options: Options) -> None:
    """Raise UsageError where the options make no system."""
    if not 1 <= options.hospitals <= MOST_HOSPITALS:
        raise UsageError(f"--hospitals is {options.hospitals}: give a number from 1 to {MOST_HOSPITALS:,}.")
    if not 1 <= options.stays <= MOST_STAYS:
        raise UsageError(
            f"--stays is {options.stays}: give a number from 1 to {MOST_STAYS:,}, a few thousand for a small system."
        )
    if options.seed < 0:
        raise UsageError(
            f"--seed is {options.seed}: give a whole number from 0 up; the same seed gives the same files."
        )
    days = (options.end - options.start).days + 1
    if days < FEWEST_DAYS:
        raise UsageError(
            f"--start {options.start} to --end {options.end} is {max(days, 0)} days: give at least {FEWEST_DAYS}, so "
            f"that returns within {RETURN_DAYS} days can be seen, and an end after the start."
        )


def simulate(
    options: Options, reference: Reference | None = None, tell: Callable[[str], None] = lambda _: None
) -> Simulation:
    """Draw a synthetic system; the same options and reference tables give the same one. `tell` hears of progress.

    Memory: about 0.8 GB a million stays. Raises UsageError for options that make no system.
    """
    check_options(options)
    reference = reference or Reference()
    published, rules = models(reference, options.model_year), recorded(reference)
    facilities = draw_facilities(stream(options.seed, "facilities"), options.hospitals, published)
    episodes = int(options.stays / _STAYS_PER_EPISODE) + _SPARE_EPISODES
    while True:
        tell(f"{options.hospitals:,} hospitals; drawing the courses of about {options.stays:,} stays")
        courses = draw_courses(options, episodes, facilities, rules, published)
        selected = select(courses, options.stays)
        if selected is not None:
            break
        episodes = int(episodes * _MORE)
    tell(f"{selected.persons:,} patients; drawing enrollment and deaths")
    people = draw_people(stream(options.seed, "people"), options, courses, selected, facilities)
    tables = canonical(stream(options.seed, "tables"), options, facilities, courses, selected, people)
    covid = covid_stays(courses, selected)
    truth = find_truth(options, facilities, published, courses, selected, people, covid)
    return Simulation(options, facilities, published, courses, selected, people, tables, truth)


def check_format(file_format: str) -> None:
    """Raise UsageError for a format that is not written."""
    if file_format not in FORMATS:
        raise UsageError(f"--format is {file_format}: give one of {', '.join(FORMATS)}.")


def check_folder(folder: Path, force: bool) -> None:
    """Raise UsageError where `folder` cannot take an extract; make it where it does not exist."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file: give a folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in folder.iterdir())
        probe = folder / ".simulate.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"--out {folder} cannot be written to ({error.strerror}): give a folder that you may write to."
        ) from None
    if others and not force:
        shown = ", ".join(others[:3]) + (" and more" if len(others) > 3 else "")
        raise UsageError(
            f"--out {folder} is not empty (it holds {shown}): give an empty or new folder, or pass --force to "
            "replace an extract in it."
        )


def write_simulation(
    simulation: Simulation,
    folder: Path,
    file_format: str = "parquet",
    threads: int | None = None,
    formats: dict[str, str] | None = None,
) -> list[Written]:
    """Write the extract into `folder` and its truth into `folder`/truth; `formats` overrides the format of single
    files.

    Files of the same names in the other format are removed, so that a folder never holds two extracts. Returns what was
    written; the names of truth files begin with their folder.
    """
    check_format(file_format)
    folder.mkdir(parents=True, exist_ok=True)
    endings = {name: (formats or {}).get(name, file_format) for name in simulation.tables}
    truth = folder / TRUTH_FOLDER
    truth.mkdir(exist_ok=True)
    of_truth = truth_tables(simulation.facilities, simulation.truth)
    truth_endings = {name: "parquet" if name == "outcomes" else "csv" for name in of_truth}
    written = write_tables(
        folder, {f"{name}.{endings[name]}": table for name, table in simulation.tables.items()}, threads
    )
    of_truth_written = write_tables(
        truth, {f"{name}.{truth_endings[name]}": table for name, table in of_truth.items()}, threads
    )
    for place, chosen in ((folder, endings), (truth, truth_endings)):
        for name, ending in chosen.items():
            for other in FORMATS:
                if other != ending:
                    (place / f"{name}.{other}").unlink(missing_ok=True)
    document = json.dumps(_description(simulation), indent=2, ensure_ascii=False) + "\n"
    path = truth / "truth.json"
    passing = path.with_name(".truth.json.part")
    passing.write_text(document, encoding="utf-8")
    passing.replace(path)
    written += [Written(f"{TRUTH_FOLDER}/{file.name}", file.rows, file.bytes) for file in of_truth_written]
    written.append(Written(f"{TRUTH_FOLDER}/truth.json", 1, path.stat().st_size))
    return written


def _description(simulation: Simulation) -> dict[str, Any]:
    """truth.json: what was simulated and how to read the tables beside it."""
    options = simulation.options
    return {
        "note": "Synthetic: no patient and no hospital in this extract exists.",
        "options": {
            "hospitals": options.hospitals,
            "stays": options.stays,
            "seed": options.seed,
            "start": options.start.isoformat(),
            "end": options.end.isoformat(),
        },
        "measures": {
            of.model.measure: {
                "model_program_year": of.model.program_year,
                "national_intercept": of.model.intercept,
                "tau2": of.model.tau2,
                "stays": len(of.stay),
                "can_be_index": of.can_be_index,
                "outcomes": of.outcomes,
            }
            for of in simulation.truth
        },
        "reading": _READING,
    }
