"""`hrrp benchmark model`: how fast the hierarchical model is fitted here."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import typer

from hrrp.cli._output import people_console, print_json

EXAMPLE = """Examples:

  hrrp benchmark model

  hrrp benchmark model --stays 100000 --hospitals 1000 --replicates 100 --no-scaling --no-compilation --json

The nation is synthetic and drawn anew from the seed. Run it on a quiet machine."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    group = typer.Typer(help="Time the product on this machine.", no_args_is_help=True)
    group.command("model", epilog=EXAMPLE)(model)
    app.add_typer(group, name="benchmark")


def model(
    stays: int = typer.Option(1_000_000, min=1000, help="Index admissions of the synthetic nation."),
    hospitals: int = typer.Option(3500, min=10, help="Its hospitals."),
    variables: int = typer.Option(40, min=3, max=1000, help="Its risk variables: two numbers, the rest flags."),
    replicates: int = typer.Option(500, min=0, help="Bootstrap replicates; 0 leaves the bootstrap out."),
    repetitions: int = typer.Option(5, min=1, help="Repetitions of each fit; the best counts."),
    threads: int | None = typer.Option(None, min=1, help="Threads; default the processors of this process."),
    scaling: bool = typer.Option(True, help="Also fit an eighth to four times as many stays."),
    compilation: bool = typer.Option(True, help="Also time the compilation, in processes of their own."),
    seed: int = typer.Option(1, help="Seed of the nation."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """Fit the hierarchical model on a synthetic nation and print times, memory and answers."""
    from hrrp.model.benchmark import measure_apart

    document = {"machine": _machine(), "versions": _versions()} | measure_apart(
        stays=stays,
        hospitals=hospitals,
        variables=variables,
        replicates=replicates,
        threads=threads,
        seed=seed,
        repetitions=repetitions,
        scaling=scaling,
        compile_anew=compilation,
    )
    if as_json:
        print_json(document)
        return
    _print(document)


def _machine() -> dict[str, Any]:
    import os

    processor = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"processor": processor, "processors": usable, "system": platform.system(), "load_before": load}


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("hrrp", "numpy", "scipy", "numba", "pandas")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    data, machine = document["data"], document["machine"]
    console = people_console()
    console.print(
        f"{data['stays']:,} stays, {data['hospitals']:,} hospitals, {data['variables']} variables; "
        f"{document['threads']} threads on {machine['processor']}, {document['kernel']}"
    )
    if document["compilation_seconds"]:
        times = document["compilation_seconds"]
        console.print(f"compilation {times['cold']} s once, {times['cached']} s from the cache")
    table = Table("step", "stays", "best, s", "processor, s", "all, s", "peak, MB")
    for row in document["timings"]:
        every = " ".join(f"{seconds:.3f}" for seconds in row["all_seconds"])
        table.add_row(
            row["what"],
            f"{row['stays']:,}",
            f"{row['seconds']:.3f}",
            f"{row['processor_seconds']:.3f}",
            every,
            f"{row['peak_mb']}",
        )
    console.print(table)
    if "scaling_exponent" in document:
        console.print(f"time grows with the number of stays to the power {document['scaling_exponent']:.2f}")
