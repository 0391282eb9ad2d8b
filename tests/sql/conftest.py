"""Lets the tests of this folder use the harness of tests/spec."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = str(Path(__file__).parents[1] / "spec")
if FOLDER not in sys.path:
    sys.path.insert(0, FOLDER)
