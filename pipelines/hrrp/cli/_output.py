"""How commands print: JSON documents, tables for people, progress on stderr."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

from hrrp.program.plain import plain

__all__ = ["people_console", "plain", "print_json", "progress"]

progress = Console(stderr=True, highlight=False)

NARROWEST = 100


def people_console() -> Console:
    """The console for tables: as wide as the terminal, and never so narrow that a table's columns are cut."""
    console = Console(highlight=False)
    return console if console.width >= NARROWEST else Console(highlight=False, width=NARROWEST)


def print_json(document: Any) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(plain(document), indent=2, ensure_ascii=False) + "\n")
