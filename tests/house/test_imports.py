"""Who may import whom, and what must not be imported before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
HEAVY = (
    "dagster",
    "duckdb",
    "great_expectations",
    "matplotlib",
    "numba",
    "pandas",
    "scipy",
    "statsmodels",
    "sqlalchemy",
)


def test_each_room_imports_only_rooms_below_it() -> None:
    script = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([script, "--no-cache"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def loaded(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after `statement`."""
    program = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_command_line_starts_without_heavy_libraries() -> None:
    assert sorted(loaded("import hrrp.cli") & set(HEAVY)) == []


def test_the_code_location_loads_without_great_expectations_and_plots() -> None:
    found = loaded("from hrrp.orchestration import definitions")
    assert {"great_expectations", "matplotlib"} & found == set()
