"""SQL steps: one file, one table, one `with ... select`.

`sql/cohort/index_admissions.sql` makes the table `cohort.index_admissions`. The comment at the head of the file is its
description; the tables that it reads are its upstreams (parsed with sqlglot, never listed twice); the `$names` in it are the
parameters that it needs. A line `-- watch: name = expression` of the head names a number of the table worth watching over time.
"""

from __future__ import annotations

import graphlib
import hashlib
import json
import os
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from hrrp.settings import sql_dir


@dataclass(frozen=True)
class SqlStep:
    """One SQL file, understood."""

    group: str
    table: str
    sql: str
    description: str
    upstreams: tuple[str, ...]
    parameters: tuple[str, ...]
    path: Path
    watch: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The table's name with its schema, for example `cohort.index_admissions`."""
        return f"{self.group}.{self.table}"


class ParsedBefore:
    """What parsing found in SQL that has not changed since: a file of the site that may be lost at any time.

    Its keys cover the text, this module and sqlglot's version, so that nothing old is ever taken for new.
    """

    def __init__(self, place: Path | None) -> None:
        self._place = place
        self._basis = f"{version('sqlglot')}\n{Path(__file__).read_text(encoding='utf-8')}\n"
        self._used: dict[str, list[list[str]]] = {}
        self._kept: dict[str, list[list[str]]] = {}
        try:
            if place is not None:
                held = json.loads(place.read_text(encoding="utf-8"))
                self._kept = {key: [list(upstreams), list(parameters)] for key, (upstreams, parameters) in held.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self._kept = {}

    def names(self, path: Path, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The tables that a statement reads and the parameters that it needs, each in order."""
        key = hashlib.sha256((self._basis + text).encode()).hexdigest()
        found = self._kept.get(key) or [sorted(names) for names in _names(path, text)]
        self._used[key] = found
        upstreams, parameters = found
        return tuple(upstreams), tuple(parameters)

    def keep(self) -> None:
        """Write what was used, if it is not what the file holds; a folder that is not there is not made."""
        if self._place is None or not self._place.parent.is_dir() or self._used == self._kept:
            return
        partial = self._place.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(self._used), encoding="utf-8")
        partial.replace(self._place)


def parse_step(path: Path, before: ParsedBefore | None = None) -> SqlStep:
    """Read one SQL file.

    Raises ValueError where the file is not one select, or has no comment at its head (a fault of the program, not of a user).
    """
    text = path.read_text(encoding="utf-8")
    head, watch = [], []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        comment = line.removeprefix("--").strip()
        if comment.startswith("watch:"):
            label, _, expression = comment.removeprefix("watch:").partition("=")
            watch.append((label.strip(), expression.strip()))
        else:
            head.append(comment)
    if not head:
        raise ValueError(f"{path}: the file must begin with a comment that says what the table is.")
    upstreams, parameters = (before or ParsedBefore(None)).names(path, text)
    return SqlStep(
        group=path.parent.name,
        table=path.stem,
        sql=text,
        description="\n".join(head).strip(),
        upstreams=upstreams,
        parameters=parameters,
        path=path,
        watch=tuple(watch),
    )


def _names(path: Path, text: str) -> tuple[set[str], set[str]]:
    # Imported here: where every file was parsed before, nobody waits for it.
    import sqlglot
    from sqlglot import exp

    statements = [statement for statement in sqlglot.parse(text, read="duckdb") if statement is not None]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ValueError(f"{path}: expected one select statement.")
    tree = statements[0]
    upstreams = {f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db}
    parameters = {str(parameter.this.name) for parameter in tree.find_all(exp.Parameter)} | {
        str(placeholder.this) for placeholder in tree.find_all(exp.Placeholder) if placeholder.this
    }
    return upstreams, parameters


@cache
def load_steps(folder: Path | None = None, parsed_before: Path | None = None) -> tuple[SqlStep, ...]:
    """Every SQL step, upstreams before those that read them; `parsed_before` is the file that spares parsing what has not changed."""
    before = ParsedBefore(parsed_before)
    files = sorted((folder or sql_dir()).glob("*/*.sql"))
    steps = {step.name: step for step in (parse_step(path, before) for path in files)}
    before.keep()
    order = graphlib.TopologicalSorter(
        {name: [up for up in step.upstreams if up in steps] for name, step in steps.items()}
    )
    return tuple(steps[name] for name in order.static_order())
