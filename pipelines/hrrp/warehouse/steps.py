"""SQL steps: one file, one table, one `with ... select`.

`sql/cohort/index_admissions.sql` makes the table `cohort.index_admissions`. The comment at the head of the file is its
description; the tables that it reads are its upstreams (parsed with sqlglot, never listed twice); the `$names` in it are the
parameters that it needs. A line `-- watch: name = expression` of the head names a number of the table worth watching over time.
"""

from __future__ import annotations

import graphlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import sqlglot
from sqlglot import exp

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


def parse_step(path: Path) -> SqlStep:
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
    statements = [statement for statement in sqlglot.parse(text, read="duckdb") if statement is not None]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ValueError(f"{path}: expected one select statement.")
    tree = statements[0]
    upstreams = {f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db}
    parameters = {str(parameter.this.name) for parameter in tree.find_all(exp.Parameter)} | {
        str(placeholder.this) for placeholder in tree.find_all(exp.Placeholder) if placeholder.this
    }
    return SqlStep(
        group=path.parent.name,
        table=path.stem,
        sql=text,
        description="\n".join(head).strip(),
        upstreams=tuple(sorted(upstreams)),
        parameters=tuple(sorted(parameters)),
        path=path,
        watch=tuple(watch),
    )


@cache
def load_steps(folder: Path | None = None) -> tuple[SqlStep, ...]:
    """Every SQL step, upstreams before those that read them."""
    steps = {step.name: step for step in map(parse_step, sorted((folder or sql_dir()).glob("*/*.sql")))}
    order = graphlib.TopologicalSorter(
        {name: [up for up in step.upstreams if up in steps] for name, step in steps.items()}
    )
    return tuple(steps[name] for name in order.static_order())
