"""The runs that are compared: program years of different rules, every parameter that switches one, whole and poor extracts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

from histories import ACUTE, ACUTE_2, QUARTERS_EXCLUDED, CodePools, Tables, World, seeded_patients

from hrrp.program.reference import Reference
from oracle import Answer, Facts, Rules, judge

Answers = dict[int, Answer]  # by program year


@cache
def reference() -> Reference:
    return Reference()


@cache
def facts() -> Facts:
    return Facts(reference())


@cache
def code_pools() -> CodePools:
    return CodePools.of(reference())


@dataclass(frozen=True)
class Run:
    """What a run has beside its patients."""

    name: str
    program_years: tuple[int, ...]
    extract_end: date
    parameters: Mapping[str, Any] = field(default_factory=dict)
    as_of: date | None = None
    excluded_quarters: str = ""
    successions: tuple[Mapping[str, Any], ...] = ()
    has_enrollment: bool = True
    has_payer: bool = True
    has_poa: bool = True

    def hospitals(self) -> list[dict[str, Any]]:
        """Rows of the hospitals file."""
        if not self.excluded_quarters:
            return []
        return [{"ccn": QUARTERS_EXCLUDED, "name": "Three", "excluded_quarters": self.excluded_quarters}]

    def world(self) -> World:
        """What the invented patients of the run have in common."""
        return World.of(
            reference(),
            code_pools(),
            self.program_years,
            self.extract_end,
            has_enrollment=self.has_enrollment,
            has_payer=self.has_payer,
            has_poa=self.has_poa,
        )

    def rules(self, year: int) -> Rules:
        as_of = self.as_of or self.extract_end
        return Rules(
            facts(),
            year,
            extract_end=self.extract_end,
            as_of=as_of,
            changed_parameters=self.parameters,
            excluded_quarters={row["ccn"]: frozenset(row["excluded_quarters"].split(";")) for row in self.hospitals()},
            has_enrollment=self.has_enrollment,
            successors={
                row["predecessor_ccn"]: row["successor_ccn"]
                for row in self.successions
                if date.fromisoformat(row["effective_date"]) <= as_of
            },
        )


def succession(predecessor: str, successor: str, effective: str) -> dict[str, str]:
    return {
        "predecessor_ccn": predecessor,
        "successor_ccn": successor,
        "effective_date": effective,
        "source": "invented for this test",
    }


RUNS = (
    Run("FY2020, complications dropped", (2020,), date(2018, 7, 20)),
    Run(
        "FY2023 and FY2024, two segments, COVID-19 rule",
        (2023, 2024),
        date(2022, 7, 20),
        excluded_quarters="2021Q3;2022Q2",
    ),
    Run("FY2025", (2025,), date(2023, 7, 15), excluded_quarters="2020Q4;2022Q1"),
    Run("FY2026", (2026,), date(2024, 6, 30)),
    Run("FY2027 and FY2028, Medicare Advantage", (2027, 2028), date(2026, 6, 20), excluded_quarters="2025Q1"),
    Run(
        "merging by measure, COVID-19 returns drop the index",
        (2025,),
        date(2023, 8, 1),
        {"merge_adjacent_stays": "same_measure", "covid_return": "drop_index"},
    ),
    Run(
        "lists of 2019, newer procedure codes mapped, optional codes on",
        (2026,),
        date(2024, 7, 10),
        {
            "planned_algorithm": "strict_2019",
            "pcs_gap": "unanimous",
            "optional_pneumonia_secondary": True,
            "uncertain_hip_knee_procedures": True,
            "optional_assist_device_status": True,
            "later_return_after_covid": True,
        },
    ),
    Run(
        "every bound moved",
        (2028,),
        date(2026, 6, 1),
        {
            "minimum_age": 66,
            "maximum_age": 114,
            "longest_stay_days": 60,
            "enrollment_months_before": 11,
            "prior_index_days": 28,
            "outcome_days": 29,
            "enrollment_days_after": 15,
            "transfer_days": 0,
            "psychiatric_return_days": 0,
            "lookback_days": 364,
            "most_hip_knee_procedures": 1,
            "age_origin": 66,
        },
    ),
    Run(
        "no enrollment, payer or present-on-admission column",
        (2024,),
        date(2022, 7, 1),
        {"merge_adjacent_stays": "same_measure", "same_measure_merge": "AMI HF"},
        has_enrollment=False,
        has_payer=False,
        has_poa=False,
    ),
    Run(
        "earlier as-of date, merged hospitals",
        (2026, 2027),
        date(2024, 7, 1),
        {"follow_up_through": "as_of", "poa_missing_is_present": False, "poa_rule": "complication_list"},
        as_of=date(2024, 6, 15),
        successions=(succession(ACUTE_2, ACUTE, "2022-01-01"), succession(QUARTERS_EXCLUDED, ACUTE_2, "2024-06-16")),
    ),
    Run(
        "as-of date after the extract, death alone completes nothing",
        (2030,),
        date(2026, 10, 31),
        {"follow_up_through": "as_of", "death_completes_follow_up": False},
        as_of=date(2026, 11, 15),
    ),
)


def oracle_answers(patients: Iterable[Tables], run: Run) -> list[Answers]:
    rules = {year: run.rules(year) for year in run.program_years}
    return [{year: judge(patient, rules[year]) for year in run.program_years} for patient in patients]


def seeded_answers(run: Run, seed: int, count: int) -> list[Answers]:
    """The oracle's answers for the run's seeded patients; to be called in a process of its own."""
    return oracle_answers(seeded_patients(run.world(), seed, count), run)
