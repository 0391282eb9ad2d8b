"""Asset checks: the Great Expectations suites, row accounting, the share of rejects, replication against golden files.

A check opens the newest file read-only after its asset has closed it. A blocking one that fails stops whatever reads the asset, so
nothing is published. Results carry counts and sentences of our own, never a value of a row.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import dagster as dg

from hrrp.errors import InputContractError
from hrrp.orchestration.assets import WRITER_POOL, Extract, asset_key, guarded
from hrrp.orchestration.resources import Site
from hrrp.quality import SUITES, Rule
from hrrp.settings import sample_dir
from hrrp.warehouse import Warehouse, open_warehouse


def build_checks(
    keys: Iterable[dg.AssetKey], extract: Extract, own_report: Path | None = None, golden_folder: Path | None = None
) -> list[dg.AssetChecksDefinition]:
    """Every check whose asset is among `keys`.

    `own_report` is the site's Hospital-Specific Report; `golden_folder` holds the synthetic report and supplemental file in CMS's
    layouts that are recomputed in every run (default: those that are shipped).
    """
    present = set(keys)
    checks = [_suite_check(table, rules) for table, rules in SUITES.items() if asset_key(table) in present]
    if asset_key("staging.row_accounting") in present:
        checks += [rows_accounted_for, _share_check(extract)]
    golden = golden_folder if golden_folder is not None else sample_dir() / "cms"
    if asset_key("result.hospital_measures") in present:
        reports = sorted(golden.glob("*hsr*.xlsx"))
        checks += [_report_check("replicates_golden_report", report, blocking=True) for report in reports[:1]]
        if own_report is not None:
            checks.append(_report_check("replicates_own_report", own_report, blocking=False))
    if asset_key("result.hospital_penalties") in present:
        files = sorted(golden.glob("*supplemental*"))
        checks += [_supplemental_check(file) for file in files[:1]]
    return checks


def _suite_check(table: str, rules: tuple[Rule, ...]) -> dg.AssetChecksDefinition:
    key = asset_key(table)

    @dg.multi_asset_check(
        name=f"{table.replace('.', '__')}__suite",
        specs=[
            dg.AssetCheckSpec(rule.check, asset=key, description=rule.description, blocking=rule.critical)
            for rule in rules
        ],
        pool=WRITER_POOL,
        required_resource_keys={"site"},
    )
    def suite(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        site: Site = context.resources.site
        results = guarded(site, f"checks of {table}", lambda: site.validate(site.newest(), table, site.settings, rules))
        for result in results:
            yield dg.AssetCheckResult(
                passed=result.passed,
                asset_key=key,
                check_name=result.rule.check,
                severity=dg.AssetCheckSeverity.ERROR if result.rule.critical else dg.AssetCheckSeverity.WARN,
                description=None if result.ran else "The rule could not be evaluated, which counts as not held.",
                metadata=dict(result.counts),
            )

    return suite


def _read(
    context: dg.AssetCheckExecutionContext, work: Callable[[Warehouse, Site], dg.AssetCheckResult]
) -> dg.AssetCheckResult:
    site: Site = context.resources.site

    def read() -> dg.AssetCheckResult:
        with open_warehouse(site.newest(), site.settings, read_only=True) as warehouse:
            return work(warehouse, site)

    return guarded(site, "check", read)


@dg.asset_check(
    asset=asset_key("staging.row_accounting"),
    name="every_row_accounted_for",
    description="Rows read are rows kept and rows rejected, for each file of the extract, and no file is missing from the account.",
    blocking=True,
    pool=WRITER_POOL,
    required_resource_keys={"site"},
)
def rows_accounted_for(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    return _read(context, _account)


def _account(warehouse: Warehouse, site: Site) -> dg.AssetCheckResult:
    rows = warehouse.rows(
        "select source_file, canonical_file, files.rows_read, account.rows_read, rows_kept, rows_rejected, duplicates "
        "from intake.source_files as files full join staging.row_accounting as account using (source_file, canonical_file) "
        "order by source_file, canonical_file"
    )
    wrong = [file for file, _, read, counted, kept, rejected, _ in rows if not read == counted == _sum(kept, rejected)]
    head = ["| file | feeds | rows read | kept | rejected | of these duplicates |", "|---|---|---|---|---|---|"]
    lines = [
        f"| {file} | {table} | {read} | {kept} | {rejected} | {duplicates} |"
        for file, table, read, _, kept, rejected, duplicates in rows
    ]
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"The rows of {', '.join(str(file) for file in wrong)} do not add up." if wrong else None,
        metadata={
            "files": dg.MetadataValue.md("\n".join([*head, *lines])),
            "rows_read": float(sum(row[2] or 0 for row in rows)),
            "rows_rejected": float(sum(row[5] or 0 for row in rows)),
        },
    )


def _sum(kept: int | None, rejected: int | None) -> int | None:
    return None if kept is None or rejected is None else kept + rejected


def _share_check(extract: Extract) -> dg.AssetChecksDefinition:
    def share(warehouse: Warehouse, site: Site) -> dg.AssetCheckResult:
        try:
            extract.enforce_reject_share(warehouse, site)
        except InputContractError as error:
            site.fault = error
            return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.ERROR, description=str(error))
        return dg.AssetCheckResult(passed=True, metadata={"allowed_share": site.settings.allow_rejects})

    @dg.asset_check(
        asset=asset_key("staging.row_accounting"),
        name="rejects_within_share",
        description=(
            "No file has more rejected rows than the share that the site allows (--allow-rejects); exact duplicates do not count."
        ),
        blocking=True,
        pool=WRITER_POOL,
        required_resource_keys={"site"},
    )
    def rejects_within_share(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return _read(context, share)

    return rejects_within_share


def _report_check(name: str, report: Path, *, blocking: bool) -> dg.AssetChecksDefinition:
    whose = "the shipped synthetic" if blocking else "the site's own"
    severity = dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN

    @dg.asset_check(
        asset=asset_key("result.hospital_measures"),
        name=name,
        description=(
            f"Predicted, expected, excess readmission ratio, counts and factor of {whose} Hospital-Specific Report, recomputed "
            "from its own rows and coefficients, are those that it prints."
        ),
        blocking=blocking,
        required_resource_keys={"site"},
    )
    def replicates_report(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        site: Site = context.resources.site

        def recompute() -> dg.AssetCheckResult:
            from hrrp.intake.hsr import read_hsr
            from hrrp.penalty.replicate import replicate

            result = replicate(read_hsr(report, site.reference), site.reference)
            return dg.AssetCheckResult(
                passed=result.agrees,
                severity=severity,
                description=None if result.agrees else "hrrp replicate lists the figures that differ.",
                metadata={
                    "program_year": result.report.program_year,
                    "figures_recomputed": result.figures_recomputed,
                    "figures_that_differ": len(result.differences),
                    "largest_gap": float(result.largest_gap),
                },
            )

        return guarded(site, name, recompute)

    return replicates_report


def _supplemental_check(file: Path) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset_key("result.hospital_penalties"),
        name="replicates_golden_supplemental_file",
        description=(
            "The payment adjustment factor of every hospital in the shipped synthetic supplemental file, recomputed from its "
            "printed inputs, is the printed one as far as these inputs determine it."
        ),
        blocking=True,
        required_resource_keys={"site"},
    )
    def replicates_supplemental_file(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        site: Site = context.resources.site

        def recompute() -> dg.AssetCheckResult:
            from hrrp.intake.supplemental import read_supplemental
            from hrrp.penalty.supplemental import recompute as recomputed

            published = read_supplemental(file, reference=site.reference)
            rules = site.reference.program_year(published.program_year)
            result = recomputed(published, rules, rules.neutrality_modifier)
            outside = len(result.with_agreement("outside"))
            return dg.AssetCheckResult(
                passed=outside == 0 and result.recomputed == len(result.hospitals),
                severity=dg.AssetCheckSeverity.ERROR,
                metadata={
                    "program_year": published.program_year,
                    "hospitals": len(result.hospitals),
                    "exact": len(result.with_agreement("exact")),
                    "within_input_rounding": len(result.with_agreement("within_input_rounding")),
                    "outside": outside,
                },
            )

        return guarded(site, "replicates_golden_supplemental_file", recompute)

    return replicates_supplemental_file
