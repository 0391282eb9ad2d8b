"""A run of the shipped synthetic system with canaries for identifiers, single stays published: what the page's tests read."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from hrrp.settings import Settings, UserRights, sample_dir
from hrrp.warehouse import open_warehouse

# No word of the product; whatever shows it shows an identifier.
CANARY = "ZQX"
PROXY, HEADER = "10.9.8.7", "X-Forwarded-User"
PATIENT_USER, AGGREGATE_USER, ONE_HOSPITAL_USER = "nora.patient", "abel.aggregate", "una.one"
MY_HOSPITAL = "010875"
# Every file of the extract with columns that name a stay, a person or a record.
IDENTIFIERS = {
    "stays": ("stay_id", "person_id", "medical_record_number"),
    "diagnoses": ("stay_id",),
    "procedures": ("stay_id",),
    "persons": ("person_id",),
    "enrollment": ("person_id",),
    "history_diagnoses": ("person_id",),
    "history_procedures": ("person_id",),
}


@dataclass(frozen=True)
class Site:
    """The output folder of the run, and the settings of a page before it: on this machine, or behind a proxy."""

    out: Path

    @property
    def local(self) -> Settings:
        return Settings(out=self.out, publish_patients=True)

    @property
    def behind_proxy(self) -> Settings:
        return self.local.model_copy(
            update={
                "trusted_proxies": (PROXY, "192.0.2.0/28"),
                "users": {
                    PATIENT_USER: UserRights(level="patient"),
                    AGGREGATE_USER: UserRights(),
                    ONE_HOSPITAL_USER: UserRights(hospitals=(MY_HOSPITAL,), level="patient"),
                },
            }
        )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """One run for all test processes: the first makes it, the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "published_sample"
    shared.mkdir(exist_ok=True)
    done = shared / "done"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _make(shared)
            done.touch()
    return Site(shared / "out")


def _make(folder: Path) -> None:
    extract = folder / "extract"
    extract.mkdir()
    with open_warehouse(None, Settings(out=folder)) as warehouse:
        for name, columns in IDENTIFIERS.items():
            marked = ", ".join(f"'{CANARY}{column[0].upper()}' || {column} as {column}" for column in columns)
            warehouse.execute(
                f"copy (select * replace ({marked}) from '{sample_dir() / name}.parquet') to '{extract / name}.parquet' (format parquet)"
            )
    shutil.copy(sample_dir() / "hospitals.csv", extract)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HRRP_", "DAGSTER_"))}
    ran = subprocess.run(
        [sys.executable, "-m", "hrrp", "run", "--data", str(extract), "--out", str(folder / "out"), "--json"],
        capture_output=True,
        text=True,
        env={
            **environment,
            "HRRP_SETTINGS": str(folder / "hrrp.toml"),
            "HRRP_PUBLISH_PATIENTS": "true",
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "OPENBLAS_NUM_THREADS": "1",
        },
        cwd=folder,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
