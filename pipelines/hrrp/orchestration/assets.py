"""One asset a table: made from the SQL files, the Python tables and the intake, so that adding a file adds an asset.

An asset opens the working file, writes its table and closes the file; pool `warehouse_writer` (limit 1) keeps to one writer. What
it reports is its number of rows, its columns with a description each, and the few numbers that its maker named for watching:
counts and averages, never a value of a row. An error leaves here as one sentence without its chain, because Dagster keeps
errors, and a database's message can show a value.
"""

import hashlib
import inspect
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Self, TypeVar

import dagster as dg
import pandas as pd

import hrrp
from hrrp.errors import HrrpError
from hrrp.orchestration.python_tables import PythonTable
from hrrp.orchestration.resources import Site
from hrrp.orchestration.scoring import PICTURES
from hrrp.program import Reference
from hrrp.quality import SUITES
from hrrp.warehouse import SqlStep, Warehouse
from hrrp.warehouse.database import StepError
from hrrp.warehouse.publish import CHECK_COLUMNS, drop_others, put_in_place, write_review

WRITER_POOL = "warehouse_writer"
# A run with this tag makes every table and owns the working file: it begins with an empty one.
FRESH_TAG = "hrrp/fresh"
FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=48), warn_window=timedelta(hours=26))

T = TypeVar("T")


def asset_key(table: str) -> dg.AssetKey:
    """`cohort.index_admissions` as the asset key cohort/index_admissions."""
    return dg.AssetKey(table.split("."))


@dataclass(frozen=True)
class Dictionary:
    """The data dictionary: a description and a type for each column of each table."""

    columns: Mapping[str, Mapping[str, tuple[str, str]]]

    @classmethod
    def of(cls, reference: Reference) -> Self:
        columns: dict[str, dict[str, tuple[str, str]]] = {}
        for row in reference.rows("data_dictionary"):
            columns.setdefault(row["table_name"], {})[row["column_name"]] = (row["type"], row["description"])
        return cls(columns)

    def schema(self, table: str, found: Iterable[tuple[str, str]] | None = None) -> dg.TableSchema:
        """The columns that were found in the table (or, before it is made, those that are described), each described."""
        described = self.columns.get(table, {})
        listed = found if found is not None else [(name, kind) for name, (kind, _) in described.items()]
        return dg.TableSchema(
            columns=[
                dg.TableColumn(name, kind.lower(), description=described.get(name, ("", ""))[1] or None)
                for name, kind in listed
            ]
        )


@dataclass(frozen=True)
class Extract:
    """The intake: its tables, each with a description; what loads them; what refuses an extract with too many rejects."""

    tables: Mapping[str, str]
    load: Callable[[Warehouse, Site], object]
    enforce_reject_share: Callable[[Warehouse, Site], object]


def _load(warehouse: Warehouse, site: Site) -> None:
    from hrrp.intake.canonical import load_extract

    load_extract(warehouse, site.settings, site.reference, as_of=site.as_of)


def _enforce_reject_share(warehouse: Warehouse, site: Site) -> None:
    from hrrp.intake.canonical import enforce_reject_share

    enforce_reject_share(warehouse, site.settings)


_RAW = "as it stands in the extract: every value as text, every record with its file and number."
EXTRACT = Extract(
    tables={
        "intake.stays": f"Inpatient stays, {_RAW}",
        "intake.diagnoses": f"Diagnoses of the stays, {_RAW}",
        "intake.procedures": f"Procedures of the stays, {_RAW} Empty where the extract has none.",
        "intake.persons": f"Persons with birth date, sex and death date, {_RAW}",
        "intake.enrollment": f"Medicare enrollment by person and month, {_RAW} Empty where the extract has none.",
        "intake.history_diagnoses": f"Diagnoses of the year before from other settings, {_RAW} Empty where the extract has none.",
        "intake.history_procedures": f"Procedures of the year before from other settings, {_RAW} Empty where the extract has none.",
        "intake.hospitals": f"Hospitals with their payments and what is known of them, {_RAW} Empty where the extract has none.",
        "intake.source_files": "The files that were read: format, size, fingerprint, number of records.",
        "intake.structural_rejects": "Records that could not be taken apart into fields; they count as read and as rejected.",
        "intake.set_aside": "Records of a claims layout that are no inpatient stays and were set aside, counted by reason.",
        "intake.notes": "What the intake did that a reader of the results must know: repaired numbers, recognised layouts.",
        "intake.inputs": "Which optional files and columns the extract has; what is missing switches its rules off.",
        "intake.run": "The as-of date of the run and the last discharge date of the extract.",
        "intake.run_program_years": "The program years of this run: those asked for, or those being earned on the as-of date.",
    },
    load=_load,
    enforce_reject_share=_enforce_reject_share,
)


def build_assets(
    reference: Reference,
    extract: Extract,
    steps: Sequence[SqlStep],
    python_tables: Sequence[PythonTable],
) -> list[dg.AssetsDefinition]:
    """Every asset of the pipeline, in the order of the groups."""
    dictionary = Dictionary.of(reference)
    tables = [
        _reference_asset(reference, dictionary),
        _intake_asset(extract, dictionary),
        *(_sql_asset(step, dictionary) for step in steps),
        *(_python_asset(table, dictionary) for table in python_tables),
    ]
    return [*tables, _published_asset(tables)]


def _spec(
    table: str,
    description: str,
    dictionary: Dictionary,
    kinds: set[str],
    upstreams: Iterable[str] = (),
    version: str | None = None,
) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=asset_key(table),
        deps=[asset_key(upstream) for upstream in upstreams],
        description=description,
        group_name=table.split(".")[0],
        kinds=kinds,
        code_version=version,
        freshness_policy=FRESHNESS if table.startswith("result.") else None,
        metadata={"dagster/column_schema": dictionary.schema(table), "dagster/table_name": table},
    )


def _reference_asset(reference: Reference, dictionary: Dictionary) -> dg.AssetsDefinition:
    names = reference.table_names()
    tables = [f"reference.{name}" for name in names]

    @dg.multi_asset(
        name="reference",
        specs=[_spec(f"reference.{name}", _sources(reference, name), dictionary, {"csv", "duckdb"}) for name in names],
        pool=WRITER_POOL,
        required_resource_keys={"site"},
    )
    def reference_tables(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        site: Site = context.resources.site
        if owner := _owner(context):
            guarded(site, "reference", lambda: site.begin(owner))

        def load(warehouse: Warehouse) -> list[Made]:
            warehouse.load_reference(site.reference)
            return [_report(warehouse, table, dictionary) for table in tables]

        yield from _write(context, "reference", load)

    return reference_tables


def _sources(reference: Reference, name: str) -> str:
    """A reference table's description: what it is made of, from its own column `source`."""
    rows = reference.rows(name)
    sources = list(dict.fromkeys(row["source"] for row in rows if row.get("source")))
    named = "; ".join(sources[:4]) + ("; and others" if len(sources) > 4 else "")
    return f"{name.replace('_', ' ').capitalize()}: facts of the program, {len(rows):,} rows." + (
        f"\n\nSources: {named}." if named else ""
    )


def _intake_asset(extract: Extract, dictionary: Dictionary) -> dg.AssetsDefinition:
    # Program years and their periods decide which years an extract is computed for.
    upstreams = ["reference.program_years", "reference.applicable_periods"]

    @dg.multi_asset(
        name="intake",
        specs=[
            _spec(table, description, dictionary, {"csv", "duckdb"}, upstreams)
            for table, description in extract.tables.items()
        ],
        pool=WRITER_POOL,
        required_resource_keys={"site"},
    )
    def intake_tables(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        site: Site = context.resources.site

        def load(warehouse: Warehouse) -> list[Made]:
            extract.load(warehouse, site)
            return [_report(warehouse, table, dictionary) for table in extract.tables]

        yield from _write(context, "intake", load)

    return intake_tables


def _sql_asset(step: SqlStep, dictionary: Dictionary) -> dg.AssetsDefinition:
    version = _digest(step.sql)
    spec = _spec(step.name, step.description, dictionary, {"sql", "duckdb"}, step.upstreams, version)

    @dg.multi_asset(name=step.name.replace(".", "__"), specs=[spec], pool=WRITER_POOL, required_resource_keys={"site"})
    def table(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        site: Site = context.resources.site

        def make(warehouse: Warehouse) -> list[Made]:
            parameters = site.reference.parameters(site.settings.parameters)
            warehouse.run_step(step, {name: parameter.value for name, parameter in parameters.items()})
            return [_report(warehouse, step.name, dictionary, dict(step.watch))]

        yield from _write(context, step.name, make)

    return table


def _python_asset(made: PythonTable, dictionary: Dictionary) -> dg.AssetsDefinition:
    version = _digest(inspect.getsource(inspect.getmodule(made.compute) or made.compute) + hrrp.__version__)
    spec = _spec(made.name, made.description, dictionary, {"python", "duckdb"}, made.upstreams, version)

    @dg.multi_asset(name=made.name.replace(".", "__"), specs=[spec], pool=WRITER_POOL, required_resource_keys={"site"})
    def table(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        site: Site = context.resources.site

        def make(warehouse: Warehouse) -> list[Made]:
            frame = made.compute(warehouse, site.settings, site.reference)
            warehouse.write(made.name, frame, made.columns)
            drawn = dict(made.pictures(warehouse)) if made.pictures is not None else {}
            drawn |= frame.attrs.get(PICTURES, {})
            return [_report(warehouse, made.name, dictionary, made.watch, drawn, made.see)]

        yield from _write(context, made.name, make)

    return table


def _published_asset(tables: Sequence[dg.AssetsDefinition]) -> dg.AssetsDefinition:
    """The last asset: whatever no other asset reads is its upstream, so nothing is published before all of it is made."""
    made = {key for definition in tables for key in definition.keys}
    read = {dep.asset_key for definition in tables for spec in definition.specs for dep in spec.deps}
    last = sorted(made - read)
    names = [".".join(key.path) for key in made]

    @dg.multi_asset(
        name="published",
        specs=[
            dg.AssetSpec(
                dg.AssetKey(["published", "hrrp"]),
                deps=last,
                group_name="published",
                kinds={"duckdb"},
                freshness_policy=FRESHNESS,
                description="Every table of the run, put in the place of the last good run's in one step: OUT/hrrp.duckdb.",
            ),
            dg.AssetSpec(
                dg.AssetKey(["published", "review"]),
                deps=last,
                group_name="published",
                kinds={"duckdb"},
                freshness_policy=FRESHNESS,
                description=(
                    "The review database, OUT/review.duckdb: the tables that have no column pointing to a stay, a person or a "
                    "record. The page, the workbook and the brief read it and nothing else."
                ),
            ),
        ],
        pool=WRITER_POOL,
        required_resource_keys={"site"},
    )
    def published(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        site: Site = context.resources.site

        def put() -> int:
            with site.locked():
                with site.writing(_owner(context)) as warehouse:
                    drop_others(warehouse, names)
                site.close()
                review = write_review(site.working, site.review, site.settings, _checks_so_far(context))
                put_in_place(site.working, site.published)
                site.discard_working()
            return len(review)

        started = time.monotonic()
        in_review = guarded(site, "published", put)
        _progress(site, f"published: {len(names)} tables", started)
        yield dg.MaterializeResult(dg.AssetKey(["published", "hrrp"]), metadata={"tables": len(names)})
        yield dg.MaterializeResult(dg.AssetKey(["published", "review"]), metadata={"tables": in_review})

    return published


def _checks_so_far(context: dg.AssetExecutionContext) -> pd.DataFrame:
    """The run's checks up to here, for readers of the review database: a sentence each, whether it held, whether it blocks."""
    sentences = {(table, rule.check): rule.description for table, rules in SUITES.items() for rule in rules}
    records = context.instance.get_records_for_run(
        context.run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    rows = []
    for record in records:
        found = record.event_log_entry.asset_check_evaluation
        if found is not None:
            table = ".".join(found.asset_key.path)
            said = found.description or sentences.get((table, found.check_name)) or found.check_name.replace("_", " ")
            rows.append((table, found.check_name, said, found.passed, found.blocking))
    return pd.DataFrame(rows, columns=list(CHECK_COLUMNS))


@dataclass(frozen=True)
class Made:
    """A table that was made: its number of rows, and what Dagster is told."""

    rows: int
    result: dg.MaterializeResult


def _report(
    warehouse: Warehouse,
    table: str,
    dictionary: Dictionary,
    watch: Mapping[str, str] | None = None,
    pictures: Mapping[str, str] | None = None,
    see: Mapping[str, str] | None = None,
) -> Made:
    """What an asset tells about its table: rows, columns, watched numbers (not one that is null), pictures as Markdown, and
    links to the pages of other tables' assets."""
    columns = [(str(row[0]), str(row[1])) for row in warehouse.rows(f"describe {_quoted(table)}")]
    rows = warehouse.count(_quoted(table))
    metadata: dict[str, dg.TableSchema | dg.MarkdownMetadataValue | dg.DagsterAssetMetadataValue | float] = {
        "dagster/row_count": rows
    }
    schema = dictionary.schema(table, columns)
    # The asset itself carries the columns that the data dictionary gives it; said again with every run they are most of the history.
    if schema != dictionary.schema(table):
        metadata["dagster/column_schema"] = schema
    for label, expression in (watch or {}).items():
        ((value,),) = warehouse.rows(f"select cast({expression} as double) from {_quoted(table)}")  # noqa: S608
        if value is not None:
            metadata[label] = float(value)
    metadata |= {title: dg.MetadataValue.md(picture) for title, picture in (pictures or {}).items()}
    metadata |= {title: dg.MetadataValue.asset(asset_key(other)) for title, other in (see or {}).items()}
    return Made(rows, dg.MaterializeResult(asset_key=asset_key(table), metadata=metadata))


def _quoted(table: str) -> str:
    """Names are ours, or those of a site's own reference files, which may be no plain words."""
    schema, name = table.split(".", 1)
    return f'{schema}."{name}"'


def guarded(site: Site, what: str, work: Callable[[], T]) -> T:
    """Do `work`; an error becomes a Failure of one sentence, cut loose from its chain, and `site.fault` keeps the error itself.

    With HRRP_DEBUG set the error passes as it is: its trace may then show values.
    """
    try:
        return work()
    except Exception as error:
        site.fault = error
        if os.environ.get("HRRP_DEBUG"):
            raise
        message = (
            str(error)
            if isinstance(error, (HrrpError, StepError))
            else f"{what}: unexpected failure ({type(error).__name__}). Set HRRP_DEBUG=1 to see where."
        )
    raise dg.Failure(description=message, allow_retries=False)


def _write(
    context: dg.AssetExecutionContext, what: str, make: Callable[[Warehouse], list[Made]]
) -> list[dg.MaterializeResult]:
    site: Site = context.resources.site

    def work() -> list[Made]:
        with site.writing(_owner(context)) as warehouse:
            return make(warehouse)

    started = time.monotonic()
    results = guarded(site, what, work)
    _progress(site, f"{what}: {sum(made.rows for made in results):,} rows", started)
    return [made.result for made in results]


def _progress(site: Site, line: str, started: float) -> None:
    if site.progress is not None:
        site.progress(f"{line} ({time.monotonic() - started:.1f} s)")


def _owner(context: dg.AssetExecutionContext) -> str | None:
    """The run that owns the working file, if this is one that makes every table (a retry belongs to the run it repeats)."""
    if context.run.tags.get(FRESH_TAG) != "true":
        return None
    return context.run.root_run_id or context.run.run_id


@cache
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
