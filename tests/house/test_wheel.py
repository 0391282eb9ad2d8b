"""A wheel carries all that a run needs, and finds it without a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contents of a wheel of this checkout, as pip would lay them into site-packages."""
    pytest.importorskip("hatchling", reason="the build backend is not in this environment; .ci/run builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("hrrp-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_has_every_shipped_file(unpacked: Path) -> None:
    for shipped, carried, pattern in (
        ("sql", "_sql", "*/*.sql"),
        ("data/reference", "_reference", "*.csv"),
        ("data/sample", "_sample", "**/*"),
    ):
        there = {path.relative_to(CHECKOUT / shipped) for path in (CHECKOUT / shipped).glob(pattern) if path.is_file()}
        here = {path.relative_to(unpacked / "hrrp" / carried) for path in (unpacked / "hrrp" / carried).glob(pattern)}
        assert there and there <= here, shipped
    assert (unpacked / "hrrp" / "_dagster.yaml").read_bytes() == (CHECKOUT / "dagster.yaml").read_bytes()
    assert {path.name for path in unpacked.iterdir()} == {"hrrp", *(path.name for path in unpacked.glob("*.dist-info"))}


def test_the_wheel_works_in_an_empty_folder(unpacked: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "HRRP_SETTINGS": str(tmp_path / "hrrp.toml")}
    program = (
        "import hrrp, hrrp.settings as s; assert 'site/hrrp' in hrrp.__file__, hrrp.__file__; "
        "assert all('site/hrrp/_' in str(place()) for place in (s.sql_dir, s.reference_dir, s.sample_dir, s.dagster_yaml)); "
        "from hrrp.orchestration.definitions import defs; assert len(defs().resolve_all_asset_specs()) > 100; "
        "import sys; sys.argv = ['hrrp', 'doctor', '--json']; from hrrp.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(done.stdout)["ok"]
    assert list(tmp_path.iterdir()) == []
