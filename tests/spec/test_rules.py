"""Every rule of the measures on its own tiny patient table."""

from __future__ import annotations

import pytest
import rules_index
import rules_measures
import rules_outcome
import rules_risk
import rules_stays
from patient_tables import Rule, judge

CHAPTERS = (rules_stays, rules_index, rules_measures, rules_outcome, rules_risk)
ALL_RULES = [rule for chapter in CHAPTERS for rule in chapter.RULES]


@pytest.mark.parametrize("rule", ALL_RULES, ids=[rule.title for rule in ALL_RULES])
def test_rule(rule: Rule) -> None:
    assert judge(rule, ALL_RULES) == []


def test_titles_name_one_rule_each() -> None:
    titles = [rule.title for rule in ALL_RULES]
    assert len(titles) == len(set(titles))
