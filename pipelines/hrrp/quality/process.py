"""Great Expectations in a process of its own, for a run that makes tables meanwhile.

Its import takes seconds of a processor, as long as half of a small run's tables; in a thread it would take them from the tables.
The process ends with its owner, even one that is killed: it then finds the pipe closed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from hrrp.quality.suites import Rule
from hrrp.quality.validation import RuleResult, import_ahead, validate
from hrrp.settings import Settings


class SuiteProcess:
    """Evaluates suites as `validate` does, one at a time; made by `suite_process`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def validate(
        self, path: Path, table: str, settings: Settings, rules: tuple[Rule, ...] | None = None
    ) -> list[RuleResult]:
        """`hrrp.quality.validate`, done there; here where the process is gone (out of memory, say)."""
        try:
            self._connection.send((path, table, settings, rules))
            answer = self._connection.recv()
        except (EOFError, OSError):
            return validate(path, table, settings, rules)
        if isinstance(answer, str):
            raise RuntimeError(answer)
        results: list[RuleResult] = answer
        return results


@contextmanager
def evaluator() -> Iterator[Callable[..., list[RuleResult]]]:
    """What evaluates the suites of a run: `validate` where Great Expectations is imported already, else a process of its own."""
    if "great_expectations" in sys.modules:
        yield validate
    else:
        with suite_process() as suites:
            yield suites.validate


@contextmanager
def suite_process() -> Iterator[SuiteProcess]:
    """A process that imports Great Expectations at once and evaluates suites for the length of the block."""
    ours, theirs = Pipe()
    # Not multiprocessing's own start: it would run the caller's main module again.
    process = subprocess.Popen(
        [sys.executable, "-c", f"from hrrp.quality.process import serve; serve({theirs.fileno()})"],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    theirs.close()
    try:
        yield SuiteProcess(ours)
    finally:
        ours.close()
        # It only reads; nobody need wait for it to put its imports away.
        process.kill()
        process.wait()


def serve(descriptor: int) -> None:
    """Evaluate what is asked for through the pipe until its other end is closed."""
    # Ctrl-C reaches every process of a terminal; the owner decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    import_ahead()
    while True:
        try:
            request = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: list[RuleResult] | str = validate(*request)
        except Exception as error:
            # Its message could show a value; its kind cannot.
            answer = f"{request[1]}: the suite could not be run ({type(error).__name__})"
        try:
            connection.send(answer)
        except OSError:
            return
