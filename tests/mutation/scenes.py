"""The tests of the rules, played again and again over changed SQL, fast.

Every extract that a test gives to `run_cohort` is run once with the shipped SQL and kept, each in a database in memory (a scene).
A mutant then makes only its own table anew, and of the tables after it those whose inputs have changed; a scene in which nothing changes
cannot fail a test. What a mutant did is rolled back. Only the tests of a changed scene are run, as pytest would run them.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import comparison
import duckdb
import harness
import histories
import patient_tables
import runs
from mutants import Mutant, mutants_of, mutants_of_parameters

from hrrp.program import Reference
from hrrp.settings import Settings
from hrrp.warehouse import SqlStep, Warehouse, open_warehouse

ANSWERS = ("cohort.cohort_flow", "cohort.index_admissions", "cohort.readmissions", "risk.risk_factors")
GROUPS = ("staging", "cohort", "risk", "payment")
LONGEST_SECONDS = 20.0
WITH_THE_ORACLE = {"test_every_risk_factor_of_invented_patients_has_its_records"}  # many patients: tried last
OF_THE_HARNESS = {"test_a_replaced_reference_table_comes_back"}  # here a scene keeps its tables
NOT_A_MUTANT = (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException, duckdb.NotImplementedException)


class NotSql(Exception):
    """The changed text is no SQL: no mutant."""


@dataclass
class Scene:
    """One extract with what the shipped SQL makes of it."""

    database: str
    steps: list[SqlStep]
    parameters: Mapping[str, Any]
    given: frozenset[str]  # the parameters that the test sets itself
    prints: dict[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """One test, and whether it is one of the patient tables and hand-made rows, or the comparison with the oracle."""

    name: str
    run: Callable[[], None]
    kind: str


class Theatre:
    """All scenes on one connection, and the mutant that is on."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._shared = self._open.enter_context(open_warehouse(None, Settings(threads=1, memory_limit="4GB")))
        self._reference = Reference()
        self._shared.load_reference(self._reference)
        self._home = self._shared.rows("select current_database()")[0][0]
        self._scenes: dict[str, Scene] = {}
        self._scenes_of: dict[str, list[str]] = {}
        self._entered: str | None = None
        self._watching: list[str] | None = None
        self._answers_only = False  # the tests being rehearsed read no other tables
        self._mutant: Mutant | None = None
        self._mutant_sql = ""

    def close(self) -> None:
        self._open.close()

    # -- the tests' door -------------------------------------------------------------------------------------------------

    def run_cohort(
        self,
        tables: Mapping[str, harness.Rows],
        program_years: Sequence[int],
        as_of: Any = None,
        parameters: Mapping[str, Any] | None = None,
        *,
        extract_end: Any = None,
        steps: Sequence[SqlStep] | None = None,
        reference_rows: Mapping[str, harness.Rows] | None = None,
        until: str | None = None,
    ) -> Warehouse:
        """What harness.run_cohort does, from the scene kept."""
        assert steps is None
        given = (tables, program_years, as_of, sorted((parameters or {}).items()), extract_end, reference_rows, until)
        key = hashlib.sha256(repr((given, self._answers_only)).encode()).hexdigest()
        if key not in self._scenes:
            self._leave()
            self._scenes[key] = self._build(
                tables, program_years, as_of, parameters or {}, extract_end, reference_rows or {}, until
            )
        if self._watching is not None and key not in self._watching:
            self._watching.append(key)
        self._enter(key)
        return self._shared

    def _build(
        self,
        tables: Mapping[str, harness.Rows],
        program_years: Sequence[int],
        as_of: Any,
        parameters: Mapping[str, Any],
        extract_end: Any,
        reference_rows: Mapping[str, harness.Rows],
        until: str | None,
    ) -> Scene:
        database = f"scene_{len(self._scenes)}"
        self._shared.execute(f"attach ':memory:' as {database}")
        self._shared.execute(f"use {database}")
        for schema in ("reference", "intake", "staging", "cohort", "risk", "payment", "result"):
            self._shared.execute(f"create schema {schema}")
        for table in self._reference.table_names():
            if table in reference_rows:
                self._shared.execute(
                    f'create table reference."{table}" as select * from {self._home}.reference."{table}" limit 0'
                )
                for row in reference_rows[table]:
                    names, places = ", ".join(f'"{name}"' for name in row), ", ".join(f"${name}" for name in row)
                    self._shared.execute(f'insert into reference."{table}" ({names}) values ({places})', dict(row))
            else:
                self._shared.execute(
                    f'create view reference."{table}" as select * from {self._home}.reference."{table}"'
                )
        harness._load_intake(self._shared, tables, program_years, as_of, extract_end)
        values = {name: each.value for name, each in self._reference.parameters(dict(parameters)).items()}
        wanted = harness._needed(harness.runnable_steps(), until)
        if self._answers_only:
            needed = {step.name for table in ANSWERS for step in harness._needed(harness.runnable_steps(), table)}
            wanted = [step for step in wanted if step.name in needed]
        scene = Scene(database, wanted, values, frozenset(parameters))
        for step in wanted:
            self._make(scene, step, step.sql)
            scene.prints[step.name] = self._print(step.name)
        return scene

    def _make(self, scene: Scene, step: SqlStep, sql: str, values: Mapping[str, Any] | None = None) -> None:
        given = {name: (values or scene.parameters)[name] for name in step.parameters if f"${name}" in sql}
        self._shared.execute(f"create or replace table {step.name} as\n{sql}", given or None)

    def _print(self, table: str) -> tuple[Any, ...]:
        # The hash of an empty list is that of no list; their texts differ.
        return self._shared.rows(f"select count(*), sum(hash(t)), bit_xor(hash(t::varchar)) from {table} as t")[0]

    # -- one mutant ------------------------------------------------------------------------------------------------------

    def _leave(self) -> None:
        with suppress(duckdb.TransactionException):
            self._shared.execute("rollback")
        self._entered = None

    def _enter(self, key: str) -> bool:
        """Make the scene current, with the mutant on; whether it changed any table."""
        if self._entered == key:
            return True
        self._leave()
        patient_tables._RUNS.clear()
        self._shared.execute(f"use {self._scenes[key].database}")
        if self._mutant is None:
            return False
        self._shared.execute("begin transaction")
        self._entered = key
        # A recursion whose end is taken away would never end.
        timer = threading.Timer(LONGEST_SECONDS, self._shared._connection.interrupt)
        timer.start()
        try:
            return self._act(self._scenes[key], self._mutant)
        finally:
            timer.cancel()

    def _act(self, scene: Scene, mutant: Mutant) -> bool:
        values: Mapping[str, Any] = scene.parameters
        if mutant.parameter:
            if mutant.parameter in scene.given:
                return False
            values = {**values, mutant.parameter: mutant.value}
        changed: set[str] = set()
        for step in scene.steps:
            is_mutant = step.name == mutant.table or mutant.parameter in step.parameters
            if not is_mutant and changed.isdisjoint(step.upstreams):
                continue
            try:
                self._make(scene, step, self._mutant_sql if step.name == mutant.table else step.sql, values)
            except NOT_A_MUTANT as error:
                if step.name == mutant.table:
                    raise NotSql(str(error)) from error
                raise
            if self._print(step.name) != scene.prints[step.name]:
                changed.add(step.name)
        return bool(changed)

    @contextmanager
    def _on(self, mutant: Mutant) -> Iterator[None]:
        self._leave()
        self._mutant, self._mutant_sql = mutant, mutant.sql()
        try:
            yield
        finally:
            self._leave()
            self._mutant = None

    def rehearse(self, tests: Sequence[Trial]) -> list[Trial]:
        """Run every test over the shipped SQL: each must pass, and its scenes are kept. The tests, those of one scene together."""
        for test in tests:
            self._watching = []
            patient_tables._RUNS.clear()  # rules that share a run would not ask for it again
            self._answers_only = test.kind != "rows"
            test.run()
            self._scenes_of[test.name] = self._watching
            self._watching = None
        order = list(self._scenes)
        of_scenes = [test for test in tests if self._scenes_of[test.name]]
        return sorted(of_scenes, key=lambda test: [order.index(key) for key in self._scenes_of[test.name]])

    def killer(self, mutant: Mutant, tests: Sequence[Trial]) -> str | None:
        """The first test that fails under the mutant; None: it survives. Raises NotSql where the change is no SQL."""
        with self._on(mutant):
            unchanged: set[str] = set()
            for test in tests:
                keys = self._scenes_of[test.name]
                for key in keys:
                    if key in unchanged:
                        continue
                    try:
                        if self._entered != key and not self._enter(key):
                            unchanged.add(key)
                    except duckdb.Error:
                        self._leave()
                        return test.name
                if all(key in unchanged for key in keys):
                    continue
                self._answers_only = test.kind != "rows"
                try:
                    test.run()
                except NotSql:
                    raise
                except Exception:
                    self._leave()
                    return test.name
        return None


def all_mutants(tables: Sequence[str] = ()) -> list[Mutant]:
    """The mutants of every rule's SQL and of the parameters' defaults, or only those of some tables (or groups, as `cohort.`)."""
    steps = [step for step in harness.runnable_steps() if step.group in GROUPS]
    found = [mutant for step in steps for mutant in mutants_of(step)]
    used = {name for step in steps for name in step.parameters}
    found += mutants_of_parameters(Reference().rows("parameters"), used)
    return [mutant for mutant in found if not tables or mutant.table.startswith(tuple(tables))]


def rule_tests(theatre: Theatre) -> list[Trial]:
    """The patient tables of tests/spec and the tests of tests/sql over hand-made rows."""
    import test_lineage
    import test_rules
    import test_staging
    import test_tables

    patient_tables.run_cohort = theatre.run_cohort  # type: ignore[assignment]
    found = [Trial(f"rule: {rule.title}", partial(test_rules.test_rule, rule), "rule") for rule in test_rules.ALL_RULES]
    for module in (test_staging, test_tables, test_lineage):
        module.run_cohort = theatre.run_cohort  # type: ignore[attr-defined]
        for name, function in vars(module).items():
            if name.startswith("test_") and callable(function) and name not in OF_THE_HARNESS | WITH_THE_ORACLE:
                for arguments in _arguments(function):
                    label = ", ".join(str(value) for value in arguments.values())
                    found.append(Trial(f"{name} {label}".strip(), partial(function, **arguments), "rows"))
    return found


def _arguments(function: Any) -> list[dict[str, Any]]:
    """What pytest.mark.parametrize gives to a test."""
    choices: list[list[dict[str, Any]]] = []
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "parametrize":
            names, values = mark.args[:2]
            if isinstance(names, str):
                choices.append([{names: value} for value in values])
            else:
                choices.append([dict(zip(names, each, strict=True)) for each in values])
    return [{name: value for each in picked for name, value in each.items()} for picked in product(*choices)]


def oracle_tests(theatre: Theatre, patients: int) -> list[Trial]:
    """The first patients of each run of tests/oracle/test_against_sql.py: where an answer of the SQL changes, the oracle's differs.

    That the oracle agrees with the shipped SQL on all of them is what that test shows.
    """
    import test_lineage

    comparison.run_cohort = theatre.run_cohort  # type: ignore[assignment]
    found = []
    for run in runs.RUNS:
        people = histories.seeded_patients(run.world(), 1, patients)
        found.append(Trial(f"oracle: {run.name}", _Compared(people, run), "oracle"))
    for name in WITH_THE_ORACLE:
        function = getattr(test_lineage, name)
        found += [Trial(f"{name} {each}", partial(function, **each), "rows") for each in _arguments(function)]
    return found


class _Compared:
    """The SQL's answers for some patients, which must stay what they were."""

    def __init__(self, people: list[histories.Tables], run: runs.Run) -> None:
        self._people, self._run = people, run
        self._answers: list[runs.Answers] | None = None

    def __call__(self) -> None:
        answers = comparison.sql_answers(self._people, self._run)
        if self._answers is None:
            self._answers = answers
        assert answers == self._answers
