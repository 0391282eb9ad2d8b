"""Great Expectations suites as code, run on the warehouse's tables in place; the only importer of great_expectations."""

from hrrp.quality.process import evaluator, suite_process
from hrrp.quality.suites import SUITES, Rule
from hrrp.quality.validation import RuleResult, validate

__all__ = ["SUITES", "Rule", "RuleResult", "evaluator", "suite_process", "validate"]
