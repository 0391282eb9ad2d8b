"""The oracle's modules, and the harness that runs the SQL, by their own names."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(folder) for folder in (HERE, HERE.parent / "spec") if str(folder) not in sys.path]
