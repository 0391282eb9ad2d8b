"""`hrrp doctor`: whether this installation can work here, which settings are in force, where data goes, what is closed."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

import hrrp
from hrrp.cli._output import print_json
from hrrp.errors import HrrpError
from hrrp.settings import (
    Settings,
    dagster_yaml,
    load_settings,
    reference_dir,
    sample_dir,
    settings_file,
    sql_dir,
)

EXAMPLE = """Examples:

  hrrp doctor                 before the first run, or when something is odd

  hrrp doctor --json          for other programs; exit code 1 when something is wrong"""

LIBRARIES = (
    "dagster",
    "dagster-webserver",
    "duckdb",
    "great-expectations",
    "numba",
    "numpy",
    "openpyxl",
    "pandas",
    "pyarrow",
    "pydantic",
    "scipy",
    "sqlalchemy",
    "sqlglot",
    "starlette",
    "statsmodels",
    "xlsxwriter",
)
GIBIBYTE = 1 << 30
FREE_DISK, FREE_MEMORY = 2 * GIBIBYTE, 2 * GIBIBYTE
UI_PORT = 3000
WIDTH = 110


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("doctor", epilog=EXAMPLE)(doctor)


def doctor(
    out: Path | None = typer.Option(None, help="Folder of the warehouse to look at; default data/out."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, nothing else there."),
) -> None:
    """Look at the installation, the settings, the reference tables, disk and memory, and at what is open to the network."""
    settings = load_settings(out=out)
    checks = [_outcome(name, look, settings) for name, look in CHECKS.items()]
    document = {
        "ok": all(check["ok"] for check in checks),
        "version": hrrp.__version__,
        "checks": checks,
        "settings_file": str(settings_file()) if settings_file().is_file() else None,
        "settings": _settings_in_force(settings),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "places": _places(settings),
    }
    if as_json:
        print_json(document)
    else:
        _print(document)
    if not document["ok"]:
        raise typer.Exit(1)


def _outcome(name: str, look: Callable[[Settings], tuple[bool, str]], settings: Settings) -> dict[str, Any]:
    try:
        ok, detail = look(settings)
    except (HrrpError, OSError, ValueError, importlib.metadata.PackageNotFoundError) as error:
        ok, detail = False, f"{type(error).__name__}: {error}"
    return {"check": name, "ok": ok, "detail": detail}


def _python(settings: Settings) -> tuple[bool, str]:
    return sys.version_info >= (
        3,
        11,
    ), f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"


def _libraries(settings: Settings) -> tuple[bool, str]:
    """Whether each required library has a version that the package asks for."""
    from packaging.requirements import Requirement

    wrong = []
    required = [Requirement(line) for line in importlib.metadata.requires("hrrp") or ()]
    asked = [each for each in required if each.marker is None or each.marker.evaluate({"extra": ""})]
    for requirement in asked:
        found = importlib.metadata.version(requirement.name)
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found} (needs {requirement.specifier})")
    if wrong:
        return False, f"{'; '.join(wrong)}. Install again: pip install -c constraints.txt hrrp"
    return True, f"{len(asked)} libraries, each of a version that is asked for"


def _shipped(settings: Settings) -> tuple[bool, str]:
    steps = len(list(sql_dir().glob("*/*.sql")))
    sample = len([path for path in sample_dir().iterdir() if path.is_file()]) if sample_dir().is_dir() else 0
    return (
        steps > 0 and sample > 0 and dagster_yaml().is_file(),
        f"{steps} SQL steps, {sample} files of the sample system",
    )


def _reference(settings: Settings) -> tuple[bool, str]:
    """Whether the program years are whole, and which tables are the site's own."""
    from hrrp.program import Reference

    reference = Reference(settings.site_reference)
    years = reference.program_years
    overrides = reference.parameters(settings.parameters)
    changed = [name for name, parameter in overrides.items() if parameter.is_overridden]
    own = reference.site_tables()
    detail = f"{len(reference.table_names())} tables, program years FY{min(years)} to FY{max(years)}"
    detail += f"; of the site: {', '.join(own)}" if own else "; none of the site's own"
    return True, detail + (f"; parameters changed: {', '.join(changed)}" if changed else "")


def _inputs(settings: Settings) -> tuple[bool, str]:
    for name, place in (("data", settings.data), ("hsr", settings.hsr)):
        if place is not None and not place.exists():
            return False, f"{name} = {place}: there is no such file or folder. Correct {settings_file()}."
    return (
        True,
        f"extract: {settings.data or 'none set, so the shipped synthetic system'}; report: {settings.hsr or 'none set'}",
    )


def _output(settings: Settings) -> tuple[bool, str]:
    existing = next(path for path in (settings.out.resolve(), *settings.out.resolve().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return False, f"{existing} cannot be written to ({error.strerror}). Choose another folder with --out."
    published = settings.out / "hrrp.duckdb"
    if not published.is_file():
        return True, f"{settings.out} can be written to; no run yet"
    return True, f"{settings.out} can be written to; last good run: {published.stat().st_size / 1e6:,.1f} MB"


def _disk(settings: Settings) -> tuple[bool, str]:
    existing = next(path for path in (settings.out.resolve(), *settings.out.resolve().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    return (
        free >= FREE_DISK,
        f"{free / GIBIBYTE:,.1f} GiB free where {settings.out} lies (2 are enough for a health system)",
    )


def _memory(settings: Settings) -> tuple[bool, str]:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return total >= FREE_MEMORY, (
        f"{total / GIBIBYTE:,.1f} GiB, {os.cpu_count()} processors; DuckDB may use {settings.memory_limit} and "
        f"{settings.threads} threads"
    )


def _telemetry(settings: Settings) -> tuple[bool, str]:
    """Dagster's telemetry is off in the configuration that every run and page uses; the other libraries have none."""
    off = re.search(r"^telemetry:\s*\n\s+enabled: false$", dagster_yaml().read_text(encoding="utf-8"), re.MULTILINE)
    return off is not None, "off: nothing is sent anywhere" if off else f"{dagster_yaml()} does not switch it off"


def _extensions(settings: Settings) -> tuple[bool, str]:
    """DuckDB downloads no extension: asked of an open warehouse, not read from the code."""
    from hrrp.warehouse import open_warehouse

    with open_warehouse(None, settings) as warehouse:
        ((install,), (load,)) = warehouse.rows(
            "select value from duckdb_settings() where name in "
            "('autoinstall_known_extensions', 'autoload_known_extensions') order by name"
        )
    return {install, load} == {"false"}, f"DuckDB: download {install}, loading by itself {load}"


def _ports(settings: Settings) -> tuple[bool, str]:
    """No port is open by itself; a page listens on loopback only, while its command runs."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        busy = probe.connect_ex(("127.0.0.1", UI_PORT)) == 0
    detail = "none is opened but by a page that you start, on 127.0.0.1"
    return True, detail + (f"; port {UI_PORT} is in use now (hrrp ui --port takes another)" if busy else "")


CHECKS: dict[str, Callable[[Settings], tuple[bool, str]]] = {
    "python": _python,
    "libraries": _libraries,
    "shipped files": _shipped,
    "reference tables": _reference,
    "inputs": _inputs,
    "output folder": _output,
    "disk": _disk,
    "memory": _memory,
    "telemetry": _telemetry,
    "extensions": _extensions,
    "ports": _ports,
}


def _settings_in_force(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every setting with its value and where it is from; the file's and the environment's are seen by leaving them out."""
    defaults = {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
    found = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if any(key.upper().split("__")[0] == f"HRRP_{name.upper()}" for key in os.environ):
            source = "environment"
        elif value != defaults[name]:
            source = "option" if name == "out" and name not in _file_names() else str(settings_file())
        else:
            source = "default"
        found[name] = {"value": value, "from": source, "meaning": Settings.model_fields[name].description}
    return found


def _file_names() -> set[str]:
    import tomllib

    path = settings_file()
    return set(tomllib.loads(path.read_text(encoding="utf-8"))) if path.is_file() else set()


def _places(settings: Settings) -> dict[str, str]:
    """Where data goes, and nowhere else."""
    return {
        "the run in progress, or the failed one (patients' rows)": str(settings.out / "working.duckdb"),
        "every table of the last good run (patients' rows)": str(settings.out / "hrrp.duckdb"),
        "the review database (no patient's row)": str(settings.out / "review.duckdb"),
        "what DuckDB spills to disk during a run": str(settings.out / "spill"),
        "history of runs: counts, hashes, messages": str(settings.out / "state"),
        "the site's own reference rows": str(settings.site_reference),
        "shipped reference tables": str(reference_dir()),
    }


def _print(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    console.print(f"hrrp {document['version']}")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for check in document["checks"]:
        table.add_row("[green]ok[/]" if check["ok"] else "[red bold]wrong[/]", check["check"], _plain(check["detail"]))
    console.print(table)
    console.print(
        "\nSettings that are not the default" + (f" ({document['settings_file']})" if document["settings_file"] else "")
    )
    changed = {name: entry for name, entry in document["settings"].items() if entry["from"] != "default"}
    for name, entry in changed.items():
        console.print(f"  {name} = {_plain(str(entry['value']))}  [dim]{_plain(entry['from'])}[/]")
    if not changed:
        console.print("  none (hrrp doctor --json lists all of them)")
    console.print("\nWhere data goes")
    for what, where in document["places"].items():
        console.print(f"  {where:<28} {what}")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
