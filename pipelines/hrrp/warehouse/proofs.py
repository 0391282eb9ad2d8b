"""The last results of `hrrp replicate` and `hrrp reconcile`, kept beside a run, so that the page can show them.

One line for each kind, hospital and program year in OUT/proofs.json; a run lays them into the review database (result.proofs), and
a proof made between two runs is laid in at once. Counts and figures of the report as a whole only: no row of a report, no stay.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from hrrp.settings import Settings
from hrrp.warehouse.database import open_warehouse
from hrrp.warehouse.publish import PROOF_COLUMNS, PROOF_TABLE, PROOFS, kept_proofs, proof_table, put_in_place


def keep_proof(
    settings: Settings, kind: str, program_year: int, ccn: str | None, report: str, document: Mapping[str, Any]
) -> bool:
    """Keep the result of a proof beside the run in the output folder, the last of its kind; whether there is a run to keep it by.

    `report` is the name of the file. Where a run is writing just now, that run or the next one publishes it.
    """
    out = settings.out
    if not (out / "review.duckdb").is_file():
        return False
    row = {
        "kind": kind,
        "program_year": program_year,
        "ccn": ccn,
        "report": Path(report).name,
        "made_at": datetime.now(tz=UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
        "document": json.dumps(document, ensure_ascii=False),
    }
    same = ("kind", "program_year", "ccn")
    rows = [each for each in kept_proofs(out) if any(each[name] != row[name] for name in same)] + [row]
    _write(out / PROOFS, rows)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        _lay_in(out / "review.duckdb", settings, proof_table(rows))
    return True


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    partial = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as lines:
        json.dump(rows, lines, indent=1, ensure_ascii=False)
    partial.replace(path)


def _lay_in(review: Path, settings: Settings, proofs: pd.DataFrame) -> None:
    """A copy of the published file with the proofs in it takes its place; readers of the old one are undisturbed.

    It keeps the time of the old one: the results in it are no fresher than they were.
    """
    published = review.stat()
    partial = review.with_name(f"{review.name}.proofs.part")
    shutil.copyfile(review, partial)
    try:
        with open_warehouse(partial, settings) as warehouse:
            warehouse.execute(f"drop table if exists {PROOF_TABLE}")
            warehouse.write(PROOF_TABLE, proofs, PROOF_COLUMNS)
        os.utime(partial, ns=(published.st_atime_ns, published.st_mtime_ns))
        put_in_place(partial, review)
    finally:
        partial.unlink(missing_ok=True)
