"""Print docs/measures.md from the patient tables of tests/spec: every rule in words, with the stays that prove it.

.venv/bin/python scripts/print_measures.py            # writes docs/measures.md
"""

from __future__ import annotations

import sys
import tempfile
import textwrap
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "tests" / "spec"))

import rules_index  # noqa: E402
import rules_measures  # noqa: E402
import rules_outcome  # noqa: E402
import rules_risk  # noqa: E402
import rules_stays  # noqa: E402
from patient_tables import AS_OF, Rule  # noqa: E402

PAGE = CHECKOUT / "docs" / "measures.md"
HEAD = """\
# The measures, rule by rule

Printed from the patient tables in `tests/spec` by `scripts/print_measures.py`; the test suite runs every one of them through the SQL,
and fails when this page is not current. The confidence of a rule is given where it is not high.

How to read a table: `in` and `out` are admission and discharge, `dx` the principal diagnosis and then secondary ones (`/N`: not
present on admission), `px` procedures. What a table does not name is ordinary: one woman called ann, born 2 January 1950, at hospital
360001, discharged home (01), enrolled in Parts A and B in fee for service from 2022 to 2026, judged for FY2028 (discharges of July
2024 to June 2026) on {as_of}. `verdict` is `index` for an index admission, else the reasons that exclude the stay, the first one
first; `no_row` stands for a stay that is not judged for the measure at all. `return` is the stay of the first return; a risk factor
with `!` must not be there.
"""


def page() -> str:
    """The whole page as markdown."""
    parts = [HEAD.format(as_of=AS_OF.isoformat())]
    for chapter in (rules_stays, rules_index, rules_measures, rules_outcome, rules_risk):
        parts.append(f"## {chapter.CHAPTER}\n")
        parts.extend(section(rule) for rule in chapter.RULES)
    return "\n".join(parts)


def section(rule: Rule) -> str:
    """One rule: its words, what is not ordinary, its tables."""
    told = [f"### {rule.title}\n", f"{rule.words}\n"]
    aside = []
    if rule.confidence != "high":
        aside.append(f"Confidence {rule.confidence}.")
    if rule.years != (2028,):
        aside.append(f"Judged for {', '.join(f'FY{year}' for year in rule.years)}.")
    if (rule.as_of, rule.extract_end) != (AS_OF, AS_OF):
        aside.append(f"As of {rule.as_of}; the extract ends on {rule.extract_end}.")
    if rule.parameters:
        aside.append("Parameter " + ", ".join(f"`{name} = {value}`" for name, value in rule.parameters.items()) + ".")
    if aside:
        told.append(" ".join(aside) + "\n")
    for title, table in (
        ("Persons", rule.persons),
        ("Hospitals", rule.hospitals),
        ("Enrollment", rule.enrollment),
        ("Other claims", rule.history),
        ("Stays", rule.stays),
        ("What comes of them", rule.expect),
    ):
        if table:
            told.append(f"{title}:\n\n```text\n{textwrap.dedent(table).strip()}\n```\n")
    return "\n".join(told)


def main() -> None:
    """Replace docs/measures.md in one step."""
    with tempfile.NamedTemporaryFile("w", dir=PAGE.parent, suffix=".md", delete=False, encoding="utf-8") as written:
        written.write(page())
    Path(written.name).replace(PAGE)


if __name__ == "__main__":
    main()
