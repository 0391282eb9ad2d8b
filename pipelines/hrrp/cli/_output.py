"""How commands print: JSON documents, tables for people, progress on stderr."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from rich.console import Console

progress = Console(stderr=True, highlight=False)

NARROWEST = 100


def people_console() -> Console:
    """The console for tables: as wide as the terminal, and never so narrow that a table's columns are cut."""
    console = Console(highlight=False)
    return console if console.width >= NARROWEST else Console(highlight=False, width=NARROWEST)


def plain(value: Any) -> Any:
    """`value` as JSON can carry it: NaN and infinities become null, numpy scalars become Python's, paths and dates text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)) and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return str(value)


def print_json(document: Any) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(plain(document), indent=2, ensure_ascii=False) + "\n")
