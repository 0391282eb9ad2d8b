"""Lets the tests of this folder import their neighbours (harness, patient_tables, the rules)."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = str(Path(__file__).parent)
if FOLDER not in sys.path:
    sys.path.insert(0, FOLDER)
