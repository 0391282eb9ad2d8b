"""A run puts new results in place while the page is open: the page goes over to them whole, its processes together, never to ruins."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from page_site import MY_HOSPITAL, Site

from hrrp.review import published as module
from hrrp.review import views
from hrrp.review.published import Published, serving_folder
from hrrp.review.viewers import Viewer
from hrrp.settings import Settings
from hrrp.warehouse import open_warehouse
from hrrp.warehouse.publish import POLITENESS, giving_way

LATER = date(2026, 11, 7)


@pytest.fixture
def out(site: Site, tmp_path: Path) -> Path:
    for name in ("review.duckdb", "review_patients.duckdb"):
        shutil.copyfile(site.out / name, tmp_path / name)
    return tmp_path


def put(source: Path, target: Path, as_of: date | None = None) -> None:
    """Let a copy take the place of the target in one step, of another date if one is given."""
    part = target.with_suffix(".part")
    shutil.copyfile(source, part)
    if as_of is not None:
        with open_warehouse(part, Settings()) as warehouse:
            warehouse.execute("update intake.run set as_of = $as_of", {"as_of": as_of})
    part.replace(target)


def wait(until: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_new_version_is_laid_out_once_and_taken_up_by_every_process(
    site: Site, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, folder = Settings(out=out, publish_patients=True), serving_folder(out)
    first, second = Published(settings, folder), Published(settings, folder)
    before = first.current()
    asked: list[str] = []
    run = module.subprocess.run
    monkeypatch.setattr(module.subprocess, "run", lambda *a, **k: (asked.append(k["input"]), run(*a, **k))[1])

    put(site.out / "review.duckdb", out / "review.duckdb", LATER)
    assert first.current() is before
    # It answers as before until the new one is there, also what nobody asked of it yet.
    assert views.hospital_view(views.place_of(before, Viewer(), MY_HOSPITAL, 2029))["ccn"] == MY_HOSPITAL
    wait(lambda: first.current().as_of == LATER and second.current().as_of == LATER)
    assert len(asked) == 1
    assert first.current().has_patients
    with first.current().open_patients() as warehouse:
        assert warehouse.count("cohort.cohort_flow") > 0

    put(site.out / "review.duckdb", out / "review.duckdb")
    wait(lambda: first.current().as_of == second.current().as_of == before.as_of)
    # Of what lay there first nothing is left; the last version is kept for requests that began under it.
    assert not (folder / f"{before.name}.pages").exists()
    assert len(list(folder.glob("*.pages"))) == 2
    first.close()
    second.close()


def test_a_file_that_cannot_be_read_changes_nothing(site: Site, out: Path) -> None:
    published = Published(Settings(out=out))
    good = published.current()
    put(Path(__file__), out / "review.duckdb")
    published.current()
    wait(lambda: not published._loading.locked())
    assert published.current() is good
    put(site.out / "review.duckdb", out / "review.duckdb", LATER)
    wait(lambda: published.current().as_of == LATER)
    published.close()
    assert not list(out.glob(".serve-*"))


def test_what_gives_way_returns_and_raises_as_ever() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    own = priority()
    assert giving_way(priority) == max(own, POLITENESS)
    assert priority() == own
    with pytest.raises(ZeroDivisionError):
        giving_way(lambda: 1 / 0)
