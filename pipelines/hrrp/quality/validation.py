"""Run a table's suite with Great Expectations on the DuckDB file in place, and give back counts.

Great Expectations takes seconds to import, so this module imports it when a suite is run and not before. Results are asked for
without any of the offending values, and only numbers are carried on from them.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrrp.quality.suites import SUITES, Rule
from hrrp.settings import Settings
from hrrp.warehouse import dialect

# Counts stay, the list of offending values is left empty.
_COUNTS_ONLY = {"result_format": "SUMMARY", "partial_unexpected_count": 0}
_NUMBERS = ("element_count", "unexpected_count", "unexpected_percent", "missing_count", "observed_value")


@dataclass(frozen=True)
class RuleResult:
    """Whether a rule holds, with counts. `ran` is False where it could not be evaluated, which counts as not held."""

    rule: Rule
    passed: bool
    ran: bool
    counts: Mapping[str, float]


def import_ahead() -> None:
    """Import Great Expectations now, for a caller that has other work to do meanwhile."""
    import great_expectations  # noqa: F401


def validate(path: Path, table: str, settings: Settings, rules: tuple[Rule, ...] | None = None) -> list[RuleResult]:
    """Evaluate the suite of `table` (`staging.stays`) in the DuckDB file at `path`, read-only; one result a rule, in order."""
    rules = SUITES[table] if rules is None else rules
    with warnings.catch_warnings(), dialect.reader_url(path, settings) as url:
        warnings.simplefilter("ignore")
        import great_expectations as gx

        # Its loggers repeat failing statements; a result says all that is needed.
        logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        schema, name = table.split(".")
        source = context.data_sources.add_sql("warehouse", connection_string=url, create_temp_table=False)
        asset = source.add_table_asset(name, schema_name=schema, table_name=name)
        batch = asset.add_batch_definition_whole_table("all rows").get_batch()
        expectations = [
            getattr(gx.expectations, rule.expectation)(
                **rule.arguments,
                description=rule.description,
                severity="critical" if rule.critical else "warning",
                meta={"check": rule.check},
            )
            for rule in rules
        ]
        suite = gx.ExpectationSuite(name=table, expectations=expectations)
        results = batch.validate(suite, result_format=_COUNTS_ONLY).results
    by_check = {result.expectation_config.meta["check"]: result for result in results}
    return [_rule_result(rule, by_check[rule.check]) for rule in rules]


def _rule_result(rule: Rule, result: Any) -> RuleResult:
    counts = {
        name: float(result.result[name])
        for name in _NUMBERS
        if isinstance(result.result.get(name), (int, float)) and not isinstance(result.result[name], bool)
    }
    return RuleResult(rule, bool(result.success), ran=not _raised(result.exception_info), counts=counts)


def _raised(exception_info: Any) -> bool:
    """Great Expectations gives one record, or one for each metric that failed."""
    if not exception_info:
        return False
    if "raised_exception" in exception_info:
        return bool(exception_info["raised_exception"])
    return any(record.get("raised_exception") for record in exception_info.values())
