"""Small faults of the SQL, made one at a time: a rule turned off, a bound moved by one, a direction reversed.

A mutant is named by its table and by what was changed, in the SQL's own words, so that the name stays the same when lines move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlglot
from sqlglot import exp

from hrrp.warehouse import SqlStep

LONGEST = 110  # characters of SQL in a mutant's name


@dataclass(frozen=True)
class Mutant:
    """One fault. `sql()` is the whole changed text of `table`; a mutant of a parameter has the other value instead."""

    table: str
    change: str
    line: int
    sql: Callable[[], str] = str
    parameter: str = ""
    value: Any = None

    @property
    def name(self) -> str:
        return f"{self.table}: {self.change}"


def mutants_of(step: SqlStep) -> list[Mutant]:
    """Every mutant of one SQL file, in the order of its text."""
    tree = sqlglot.parse_one(step.sql, read="duckdb")
    tree.set("order", None)  # the order in which rows lie in the table is no rule
    found: list[Mutant] = []
    names: Counter[str] = Counter()
    for place, node in enumerate(tree.walk()):
        for change, replace in _changes(node):
            names[change] += 1
            told_apart = change if names[change] == 1 else f"{change} ({names[change]})"
            found.append(Mutant(step.name, told_apart, _line(node, step.sql), partial(_changed, tree, place, replace)))
    return sorted(found, key=lambda mutant: mutant.line)


def _changed(tree: exp.Expression, place: int, replace: Callable[[exp.Expression], Any]) -> str:
    other = tree.copy()
    replace(next(each for number, each in enumerate(other.walk()) if number == place))
    return other.sql("duckdb", comments=False)


def mutants_of_parameters(rows: Sequence[Mapping[str, str]], used: set[str]) -> list[Mutant]:
    """Other defaults of the parameters that the SQL uses: numbers one more and one less, switches the other way."""
    found = []
    for row in rows:
        name, default, kind = row["parameter"], row["default_value"], row["type"]
        if name not in used:
            continue
        others: list[Any] = []
        if kind == "integer":
            others = [int(default) + 1, int(default) - 1]
        elif kind == "boolean":
            others = [default != "true"]
        elif row["choices"]:
            others = [choice for choice in row["choices"].split() if choice != default]
        for other in others:
            change = f"${name} is {str(other).lower()} by default"
            found.append(Mutant("reference.parameters", change, 0, parameter=name, value=other))
    return found


Change = tuple[str, Callable[[exp.Expression], Any]]


def _changes(node: exp.Expression) -> Iterator[Change]:
    for kind, changes in _CHANGES:
        if isinstance(node, kind):
            yield from changes(node)


def _connectives(node: exp.Expression) -> Iterator[Change]:
    """A condition of several is left out."""
    yield f"without [{_text(node.expression)}]", lambda twin: twin.replace(twin.this)
    if not isinstance(node.this, type(node)):
        yield f"without [{_text(node.this)}]", lambda twin: twin.replace(twin.expression)


def _clauses(node: exp.Expression) -> Iterator[Change]:
    """The only condition of a clause is left out."""
    if not isinstance(node.this, (exp.And, exp.Or)):
        yield f"without [{_text(node)}]", lambda twin: twin.pop()


def _negations(node: exp.Expression) -> Iterator[Change]:
    yield f"[{_text(node)}] reversed", lambda twin: twin.replace(exp.paren(twin.this.copy()))


_OTHER = {
    exp.LT: exp.LTE,
    exp.LTE: exp.LT,
    exp.GT: exp.GTE,
    exp.GTE: exp.GT,
    exp.NEQ: exp.EQ,
    exp.Min: exp.Max,
    exp.Max: exp.Min,
    exp.ArgMin: exp.ArgMax,
    exp.ArgMax: exp.ArgMin,
    exp.LogicalOr: exp.LogicalAnd,
    exp.LogicalAnd: exp.LogicalOr,
}


def _others(node: exp.Expression) -> Iterator[Change]:
    """A comparison takes in its bound, or leaves it out; the smallest is the largest; one of all is all of them."""
    other = _OTHER[type(node)]

    def replace(twin: exp.Expression) -> None:
        twin.replace(other(**{name: value for name, value in twin.args.items() if value is not None}))

    yield f"[{_text(node)}] by {other.__name__.lower()}", replace


def _ranges(node: exp.Expression) -> Iterator[Change]:
    for bound in ("low", "high"):
        for sign, move in (("+", exp.Add), ("-", exp.Sub)):

            def replace(twin: exp.Expression, bound: str = bound, move: type[exp.Binary] = move) -> None:
                value = exp.paren(twin.args[bound].copy())
                twin.set(bound, move(this=value, expression=exp.Literal.number(1)))

            yield f"[{_text(node)}] with {bound} {sign} 1", replace


def _numbers(node: exp.Expression) -> Iterator[Change]:
    if node.is_string or isinstance(node.parent, exp.Between) or node.find_ancestor(exp.DataType):
        return
    if not str(node.this).isdigit():
        return
    around = _text(node.parent) if node.parent else ""
    for other in (int(node.this) + 1, int(node.this) - 1):
        yield f"{node.this} is {other} in [{around}]", lambda twin, other=other: twin.replace(_number(other))


def _number(value: int) -> exp.Expression:
    return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))


def _joins(node: exp.Expression) -> Iterator[Change]:
    yield f"without [{_text(node)}]", lambda twin: twin.pop()
    if node.side == "LEFT":
        yield f"inner instead of [{_text(node)}]", lambda twin: twin.set("side", None)


def _unions(node: exp.Expression) -> Iterator[Change]:
    def keep(name: str) -> Callable[[exp.Expression], Any]:
        def replace(twin: exp.Expression) -> None:
            kept = twin.args[name].copy()
            if twin.args.get("with_"):
                kept.set("with_", twin.args["with_"].copy())
            twin.replace(kept)
            if twin.parent is None:
                # The root of the tree cannot be replaced: it takes the kept branch in.
                twin.set("expression", kept.copy())
                twin.set("this", exp.select("*").from_(kept.subquery("kept")).limit(0))

        return replace

    yield f"without the branch [{_text(node.expression)}]", keep("this")
    if not isinstance(node.this, exp.Union):
        yield f"without the branch [{_text(node.this)}]", keep("expression")
    if node.args.get("distinct"):
        yield f"union all before [{_text(node.expression)}]", lambda twin: twin.set("distinct", False)


def _selects(node: exp.Expression) -> Iterator[Change]:
    if node.args.get("distinct"):
        listed = ", ".join(_text(each) for each in node.expressions)
        yield f"not distinct [{_cut(listed)}]", lambda twin: twin.set("distinct", None)


def _cases(node: exp.Expression) -> Iterator[Change]:
    for number, branch in enumerate(node.args["ifs"]):
        if len(node.args["ifs"]) > 1:
            yield (
                f"without [{_text(branch)}]",
                lambda twin, number=number: twin.args["ifs"][number].pop(),
            )
    if node.args.get("default") is not None:
        yield f"without else [{_text(node.args['default'])}]", lambda twin: twin.set("default", None)


def _coalesces(node: exp.Expression) -> Iterator[Change]:
    for number in range(len(node.expressions)):
        yield (
            f"without [{_text(node.expressions[number])}] in [{_text(node)}]",
            lambda twin, number=number: twin.expressions[number].pop(),
        )


def _lists(node: exp.Expression) -> Iterator[Change]:
    if len(node.expressions) > 1:
        for number, each in enumerate(node.expressions):
            yield (
                f"without {_text(each)} in [{_text(node)}]",
                lambda twin, number=number: twin.expressions[number].pop(),
            )


def _windows(node: exp.Expression) -> Iterator[Change]:
    parts = node.args.get("partition_by") or []
    for number, each in enumerate(parts):

        def replace(twin: exp.Expression, number: int = number) -> None:
            kept = twin.args["partition_by"]
            twin.set("partition_by", kept[:number] + kept[number + 1 :])

        yield f"not by {_text(each)} in [{_text(node)}]", replace


def _orders(node: exp.Expression) -> Iterator[Change]:
    around = node.find_ancestor(exp.Window, exp.AggFunc) or node.parent
    yield (
        f"order by {_text(node.this)} reversed in [{_text(around)}]",
        lambda twin: twin.set("desc", not twin.args.get("desc")),
    )


def _booleans(node: exp.Expression) -> Iterator[Change]:
    around = _text(node.parent) if node.parent else ""
    yield f"[{around}] with the other truth", lambda twin: twin.set("this", not twin.this)


_CHANGES: tuple[tuple[Any, Callable[[exp.Expression], Iterator[Change]]], ...] = (
    ((exp.And, exp.Or), _connectives),
    ((exp.Where, exp.Having, exp.Qualify), _clauses),
    (exp.Not, _negations),
    (tuple(_OTHER), _others),
    (exp.Between, _ranges),
    (exp.Literal, _numbers),
    (exp.Join, _joins),
    (exp.Union, _unions),
    (exp.Select, _selects),
    (exp.Case, _cases),
    (exp.Coalesce, _coalesces),
    (exp.In, _lists),
    (exp.Window, _windows),
    (exp.Ordered, _orders),
    (exp.Boolean, _booleans),
)


def _text(node: exp.Expression) -> str:
    return _cut(node.sql("duckdb", comments=False))


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 20]} .. {plain[-16:]}"


def _line(node: exp.Expression, text: str) -> int:
    starts = [each.meta["start"] for each in node.walk() if "start" in each.meta]
    return text.count("\n", 0, min(starts)) + 1 if starts else 0
