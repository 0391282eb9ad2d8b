"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def cms_dir() -> Path:
    """Folder of the real CMS files, which stay outside the project; without it these tests skip."""
    folder = Path(os.environ.get("HRRP_CMS_DIR", CHECKOUT.parent / "shared" / "cms"))
    if not folder.is_dir():
        pytest.skip(f"the CMS files are not here ({folder.name} folder absent): golden tests need them")
    return folder


@pytest.fixture(autouse=True)
def _no_site_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No hrrp.toml or HRRP_ variable of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith("HRRP_") and name not in {"HRRP_CMS_DIR", "HRRP_DEBUG"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HRRP_SETTINGS", str(tmp_path / "hrrp.toml"))
