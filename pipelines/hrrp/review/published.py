"""Which version of the results the page answers from: the newest that is laid out, and never a mixture.

A run replaces the review database in one step. Whoever sees that first has it laid out (`hrrp.review.prepare`) by a process of its own
that gives way to the page; meanwhile the last version answers. All processes of one server share a folder and the work.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hrrp.review import views
from hrrp.review.prepare import laid_out, lay_out, name_of
from hrrp.review.scenarios import review_database
from hrrp.review.version import Version
from hrrp.settings import Settings

# Seconds between two pieces of work in a process that answers.
REST = 0.05

__all__ = ["Published", "Version", "serving_folder"]


class Published:
    """The newest version of the results of an output folder; `current` looks whether a run has replaced it."""

    def __init__(self, settings: Settings, folder: Path | None = None) -> None:
        """`folder` is shared with other processes, whose starter removes it; without one it is this object's own."""
        # One thread a question: many readers share two cores.
        self.settings = settings.model_copy(update={"threads": 1})
        self.source = review_database(settings)
        self._folder = folder or serving_folder(settings.out)
        self._is_own = folder is None
        self._loading = threading.Lock()
        self._failed: str | None = None
        self._old: list[Version] = []
        with _turn(self._folder):
            name = name_of(self.source)
            if name is None or not laid_out(self._folder, name)[0].exists():
                name = lay_out(self.settings, self._folder)
        self._version = self._open(name)

    def current(self) -> Version:
        """The version to answer from. A new one is read in the background; until it is ready the last one answers."""
        name = name_of(self.source)
        if name not in (None, self._version.name, self._failed) and self._loading.acquire(blocking=False):
            threading.Thread(target=self._replace, args=(name,), daemon=True).start()
        return self._version

    def _replace(self, name: str) -> None:
        try:
            fresh = self._open(self._laid_out(name))
            views.warm(fresh, REST)
            self._old.append(self._version)
            self._version = fresh
            # The version before the last has no request left that began under it.
            while len(self._old) > 1:
                self._old.pop(0).close()
        except Exception:
            # The last good version keeps answering, until a run replaces the file again.
            self._failed = name
        finally:
            self._loading.release()

    def _laid_out(self, name: str) -> str:
        """Have the version laid out where no other process has done it; the name of what is there now."""
        with _turn(self._folder):
            if laid_out(self._folder, name)[0].exists():
                return name
            asked = {"settings": self.settings.model_dump(mode="json"), "folder": str(self._folder)}
            done = subprocess.run(
                [sys.executable, "-m", "hrrp.review.prepare"],
                input=json.dumps(asked),
                capture_output=True,
                text=True,
                check=True,
            )
        return done.stdout.strip()

    def _open(self, name: str) -> Version:
        pages, patients = laid_out(self._folder, name)
        return Version(name, pages, patients if patients.exists() else None, self.settings)

    def close(self) -> None:
        """Let go of every version and of what lies in the folder."""
        for version in (*self._old, self._version):
            version.close()
        if self._is_own:
            shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One at a time of all processes that share the folder."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def serving_folder(out: Path) -> Path:
    """A folder of this process for what it lays out, beside the results so that links are possible; what killed processes left goes."""
    for left in out.glob(".serve-*"):
        number = left.name.split("-")[1]
        if number.isdigit() and not _alive(int(number)):
            shutil.rmtree(left, ignore_errors=True)
    try:
        return Path(tempfile.mkdtemp(prefix=f".serve-{os.getpid()}-", dir=out))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="hrrp-serve-"))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
