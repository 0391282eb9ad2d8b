"""A pipeline of a few tables, so that the wiring is tested apart from the rules: an extract, two SQL files, one Python table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import dagster as dg

# Imported once for all runs of these tests; else each of them starts a process that does.
import great_expectations  # noqa: F401
import pandas as pd
import pytest

from hrrp.orchestration.assets import Extract
from hrrp.orchestration.definitions import build_definitions
from hrrp.orchestration.python_tables import PythonTable
from hrrp.orchestration.resources import Site
from hrrp.program import Reference
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, load_steps

# Looks like an identifier; nothing of a run may ever show it.
SECRET = "ZZQX7741"

ROW_ACCOUNTING = """-- Rows read, kept and rejected of each file.
-- watch: rejected = sum(rows_rejected)
select
    source_file,
    canonical_file,
    rows_read,
    rows_read - 1 as rows_kept,
    1::bigint as rows_rejected,
    0::bigint as duplicates
from intake.source_files
"""
LONG_STAYS = """-- Long stays of each hospital.
-- watch: mean_days = avg(days)
with

-- A stay is long from the number of days that the rules name.
long as (
    select
        ccn,
        days
    from intake.stays
    where days >= $outcome_days
)

select
    ccn,
    count(*) as stays,
    avg(days) as days
from long
group by ccn
"""
STAYS = """-- Every stay.
select
    stay_id,
    ccn,
    days
from intake.stays
"""


def _load(warehouse: Warehouse, site: Site) -> None:
    frame = pd.DataFrame({"stay_id": [SECRET, "S2", "S3"], "ccn": ["990001", "990001", "990002"], "days": [40, 31, 5]})
    warehouse.write("intake.stays", frame, {"stay_id": "varchar", "ccn": "varchar", "days": "integer"})
    files = pd.DataFrame({"source_file": ["stays.csv"], "canonical_file": ["stays"], "rows_read": [4]})
    kinds = {"source_file": "varchar", "canonical_file": "varchar", "rows_read": "bigint"}
    warehouse.write("intake.source_files", files, kinds)


def _totals(warehouse: Warehouse, settings: Settings, reference: Reference) -> pd.DataFrame:
    return warehouse.read("select count(*) as hospitals from cohort.long_stays")


@dataclass(frozen=True)
class Small:
    """The small pipeline; tests change a part with `dataclasses.replace`."""

    sql: Path
    extract: Extract = field(
        default_factory=lambda: Extract(
            tables={"intake.stays": "The stays.", "intake.source_files": "The files."},
            load=_load,
            enforce_reject_share=lambda warehouse, site: None,
        )
    )
    totals: Callable[[Warehouse, Settings, Reference], pd.DataFrame] = _totals
    secret: str = SECRET

    def build(self, site: Site) -> dg.Definitions:
        """Definitions of the small pipeline, from its SQL files as they are now."""
        load_steps.cache_clear()
        site.reference = Reference(shipped=self.sql.parent / "reference")
        table = PythonTable(
            name="result.totals",
            description="How many hospitals have long stays.",
            upstreams=("cohort.long_stays",),
            columns={"hospitals": "integer"},
            compute=self.totals,
            watch={"hospitals": "sum(hospitals)"},
        )
        return build_definitions(site, self.extract, load_steps(self.sql), (table,))

    def loading(self, load: Callable[[Warehouse, Site], object]) -> Small:
        return replace(self, extract=replace(self.extract, load=load))


REFERENCE = {
    "program_years": "program_year,source\n2027,a rule\n2028,a rule\n",
    "applicable_periods": "program_year,segment,source\n2027,1,key dates\n",
    "parameters": (
        "parameter,default_value,type,choices,confidence,meaning,source\noutcome_days,30,integer,,high,Days of the outcome,a rule\n"
    ),
    "data_dictionary": (
        "table_name,column_name,type,description\n"
        "cohort.long_stays,ccn,VARCHAR,The hospital\n"
        "cohort.long_stays,stays,BIGINT,How many stays\n"
        "cohort.long_stays,days,DOUBLE,Their mean length in days\n"
    ),
}


@pytest.fixture
def small(tmp_path: Path) -> Small:
    for name, text in (
        ("staging/row_accounting.sql", ROW_ACCOUNTING),
        ("cohort/long_stays.sql", LONG_STAYS),
        ("cohort/stays.sql", STAYS),
    ):
        path = tmp_path / "sql" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "reference").mkdir()
    for table, rows in REFERENCE.items():
        (tmp_path / "reference" / f"{table}.csv").write_text(rows, encoding="utf-8")
    return Small(tmp_path / "sql")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(out=tmp_path / "out", site_reference=tmp_path / "site")
