"""The six measures, in the order in which CMS's reports and files list them."""

from __future__ import annotations

MEASURES: tuple[str, ...] = ("AMI", "COPD", "HF", "PN", "CABG", "THA_TKA")

# As the Hospital-Specific Report writes them.
REPORT_NAMES: dict[str, str] = {
    "AMI": "AMI",
    "COPD": "COPD",
    "HF": "HF",
    "PN": "Pneumonia",
    "CABG": "CABG",
    "THA_TKA": "THA/TKA",
}
