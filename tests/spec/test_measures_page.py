"""docs/measures.md is printed from the patient tables, and current."""

from __future__ import annotations

import runpy
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_page_is_current() -> None:
    printer = runpy.run_path(str(CHECKOUT / "scripts" / "print_measures.py"))
    page = (CHECKOUT / "docs" / "measures.md").read_text(encoding="utf-8")
    assert page == printer["page"](), "run scripts/print_measures.py"
