"""What every asset needs: the site's settings and reference tables, and the files of the output folder with who may write them.

    OUT/working.duckdb   the run in progress; after a failed run it stays, so that its staging.rejects can be looked at
    OUT/hrrp.duckdb      every table of the last good run
    OUT/review.duckdb    the tables of the last good run that name no patient
    OUT/state/           Dagster's history of runs, counts only

An asset writes into the working file alone; the last one puts it in the place of the published file in one step, so whatever
fails or is killed before leaves the last good run as it was. A step that finds no working file (one asset run again from the
web page) begins with a copy of the published one.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import cached_property
from pathlib import Path

import dagster as dg

from hrrp.errors import UsageError
from hrrp.program import Reference
from hrrp.quality import RuleResult, validate
from hrrp.settings import Settings, dagster_yaml
from hrrp.warehouse import Warehouse, open_warehouse


class Site:
    """The resource `site` of all assets and checks.

    `as_of` overrides the as-of date of the run; `progress` receives one line for each asset done. `fault` keeps the last error
    of this process, for a caller that runs the assets itself.
    """

    def __init__(
        self, settings: Settings, *, as_of: date | None = None, progress: Callable[[str], None] | None = None
    ) -> None:
        self.settings = settings
        self.as_of = as_of
        self.progress = progress
        self.fault: Exception | None = None
        # A run in one process lets another one evaluate the suites.
        self.validate: Callable[..., list[RuleResult]] = validate
        self._locked = False
        self._kept: Warehouse | None = None
        self._keeping: ExitStack | None = None

    @cached_property
    def reference(self) -> Reference:
        """The reference tables, the site's own rows laid over the shipped ones."""
        return Reference(site=self.settings.site_reference)

    @property
    def out(self) -> Path:
        return self.settings.out

    @property
    def working(self) -> Path:
        return self.out / "working.duckdb"

    @property
    def published(self) -> Path:
        return self.out / "hrrp.duckdb"

    @property
    def review(self) -> Path:
        return self.out / "review.duckdb"

    @property
    def _owner(self) -> Path:
        """Names the run that filled the working file."""
        return self.out / "working.run"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one to write in the output folder, for as long as the block lasts.

        Raises UsageError at once where another process is writing. The operating system frees the lock of a killed process.
        """
        if self._locked:
            yield
            return
        self.out.mkdir(parents=True, exist_ok=True)
        with (self.out / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(
                    f"Another run is writing in {self.out}. Wait for it to end (hrrp ui shows it), or give this one a folder of "
                    "its own with --out."
                ) from None
            self._locked = True
            try:
                yield
            finally:
                self._locked = False

    def begin(self, run_id: str) -> None:
        """Begin an empty working file that belongs to the run; what an earlier run left in it goes."""
        with self.locked():
            self.discard_working()
            self._owner.write_text(run_id, encoding="utf-8")

    def discard_working(self) -> None:
        """Remove the working file and what belongs to it."""
        for path in (self.working, self.working.with_name("working.duckdb.wal"), self._owner):
            path.unlink(missing_ok=True)

    @contextmanager
    def writing(self, run_id: str | None = None) -> Iterator[Warehouse]:
        """Open the working file to write; with `run_id`, only if that run began it.

        Raises UsageError where another run has taken the working file over.
        """
        with self.locked():
            if run_id is not None and not (self._owner.is_file() and self._owner.read_text(encoding="utf-8") == run_id):
                raise UsageError(
                    f"Another run has begun in {self.out} since this one did, and took the working file over. Nothing was "
                    "published by this run; start it again."
                )
            if run_id is None and not self.working.exists() and self.published.exists():
                partial = self.working.with_name("working.duckdb.part")
                shutil.copyfile(self.published, partial)
                partial.replace(self.working)
            if self._keeping is None:
                with open_warehouse(self.working, self.settings) as warehouse:
                    yield warehouse
            else:
                if self._kept is None:
                    self._kept = self._keeping.enter_context(open_warehouse(self.working, self.settings))
                yield self._kept

    @contextmanager
    def keeping_open(self) -> Iterator[None]:
        """Within the block, where one process makes all tables, the working file stays open from one table to the next.

        Opening it reads the catalog of every table, which costs more than most steps.
        """
        with ExitStack() as self._keeping:
            try:
                yield
            finally:
                self.close()
                self._keeping = None

    def close(self) -> None:
        """Close the working file if it was kept open, so that others can open it."""
        self._kept = None
        if self._keeping is not None:
            self._keeping.close()

    def newest(self) -> Path:
        """The working file where there is one, else the published one; free to be opened by whoever asks."""
        self.close()
        return self.working if self.working.exists() else self.published


def site_resource(site: Site) -> dg.ResourceDefinition:
    """The site as a Dagster resource: for the length of a run the working file stays open between tables."""

    @dg.resource(description="Settings, reference tables and output folder of the site.")
    def opened(_: dg.InitResourceContext) -> Iterator[Site]:
        with site.keeping_open():
            yield site

    return opened


def prepare_state(settings: Settings) -> Path:
    """Make OUT/state a DAGSTER_HOME (the shipped dagster.yaml with that folder as the base of all that it stores); its path."""
    home = (settings.out / "state").resolve()
    home.mkdir(parents=True, exist_ok=True)
    # A JSON string is a YAML string, whatever signs a folder's name has.
    text = (
        dagster_yaml()
        .read_text(encoding="utf-8")
        .replace("base_dir: data/out/state", f"base_dir: {json.dumps(str(home))}")
    )
    place = home / "dagster.yaml"
    if not place.is_file() or place.read_text(encoding="utf-8") != text:
        partial = place.with_name("dagster.yaml.part")
        partial.write_text(text, encoding="utf-8")
        partial.replace(place)
    return home
