"""The modules of the tests that mutants are tried on, by their own names."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDERS = (HERE, *(HERE.parent / name for name in ("spec", "sql", "oracle")))
sys.path[:0] = [str(folder) for folder in FOLDERS if str(folder) not in sys.path]
