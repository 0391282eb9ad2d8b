"""Does a test fail for every fault of the rules' SQL? Turns each rule off, moves each bound by one, and prints the mutants that survive.

    python tests/mutation/mutate.py                       every table of staging, cohort, risk and payment, and the parameters' defaults
    python tests/mutation/mutate.py cohort.stays risk.    some tables, or all of a group
    python tests/mutation/mutate.py --part 2/6            one of six parts
    python tests/mutation/mutate.py --again survivors.csv only the mutants named there (a file that --record wrote)

A mutant is first tried on the patient tables (tests/spec) and the hand-made rows (tests/sql), then on the first patients of the
comparison with the oracle (tests/oracle). equivalent.csv names the mutants that no extract can tell from the rule, each with the
reason; they are not tried. The exit code is 1 when a mutant survives.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDERS = (HERE, *(HERE.parent / name for name in ("spec", "sql", "oracle")))
sys.path[:0] = [str(folder) for folder in FOLDERS if str(folder) not in sys.path]

from mutants import Mutant  # noqa: E402
from scenes import NotSql, Theatre, Trial, all_mutants, oracle_tests, rule_tests  # noqa: E402

EQUIVALENT = Path(__file__).with_name("equivalent.csv")


def equivalents() -> dict[tuple[str, str], str]:
    """The reason of every mutant that changes nothing, by table and change."""
    with EQUIVALENT.open(encoding="utf-8", newline="") as file:
        return {(row["table"], row["change"]): row["reason"] for row in csv.DictReader(file)}


def named_in(file: Path) -> set[tuple[str, str]]:
    with file.open(encoding="utf-8", newline="") as content:
        return {(row["table"], row["change"]) for row in csv.DictReader(content)}


def chosen(options: argparse.Namespace) -> list[Mutant]:
    """The mutants that are tried."""
    known = equivalents()
    mutants = [mutant for mutant in all_mutants(options.tables) if (mutant.table, mutant.change) not in known]
    if options.again:
        named = named_in(options.again)
        mutants = [mutant for mutant in mutants if (mutant.table, mutant.change) in named]
    if options.part:
        number, parts = map(int, options.part.split("/"))
        mutants = mutants[len(mutants) * (number - 1) // parts : len(mutants) * number // parts]
    return mutants


def place(mutant: Mutant) -> str:
    if mutant.parameter:
        return "data/reference/parameters.csv"
    return f"sql/{mutant.table.replace('.', '/')}.sql:{mutant.line}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", help="tables as cohort.stays, groups as cohort. (default: all)")
    parser.add_argument("--part", help="as 2/6: the second of six parts")
    parser.add_argument("--again", type=Path, help="only the mutants of this file")
    parser.add_argument("--record", type=Path, help="write the survivors to this file")
    parser.add_argument(
        "--oracle", type=int, default=250, metavar="N", help="patients of each oracle run (default 250; 0: none)"
    )
    options = parser.parse_args()
    mutants = chosen(options)
    started = time.monotonic()
    theatre = Theatre()
    rules = theatre.rehearse(rule_tests(theatre))
    print(
        f"{len(mutants)} mutants, {len(rules)} tests ({time.monotonic() - started:.0f} s to rehearse them)", flush=True
    )
    killers: Counter[str] = Counter()
    survivors = try_all(theatre, mutants, rules, killers)
    if survivors and options.oracle:
        oracle = theatre.rehearse(oracle_tests(theatre, options.oracle))
        survivors = try_all(theatre, survivors, oracle, killers)
    for mutant in survivors:
        print(f"survived: {place(mutant)}: {mutant.change}")
    if options.record:
        with options.record.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["table", "change", "line"])
            writer.writerows((mutant.table, mutant.change, mutant.line) for mutant in survivors)
    print(
        f"{len(mutants)} mutants: {killers['rule']} fail a patient table, {killers['rows']} a test over hand-made rows, "
        f"{killers['oracle']} only the comparison with the oracle; {killers['no SQL']} are no SQL; {len(survivors)} survive "
        f"({time.monotonic() - started:.0f} s)"
    )
    return 1 if survivors else 0


def try_all(theatre: Theatre, mutants: list[Mutant], tests: list[Trial], killers: Counter[str]) -> list[Mutant]:
    """The mutants under which every test passes; counts which kind of test failed under the others."""
    kinds = {test.name: test.kind for test in tests}
    survivors = []
    for mutant in mutants:
        try:
            killer = theatre.killer(mutant, tests)
        except NotSql:
            killers["no SQL"] += 1
            continue
        if killer is None:
            survivors.append(mutant)
            print(f"passes the {tests[0].kind} tests: {place(mutant)}: {mutant.change}", file=sys.stderr, flush=True)
        else:
            killers[kinds[killer]] += 1
    return survivors


if __name__ == "__main__":
    sys.exit(main())
