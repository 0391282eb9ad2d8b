"""Fixtures of the page's tests; they are in page_site.py, which the tests also import names from."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from page_site import site

__all__ = ["site"]
