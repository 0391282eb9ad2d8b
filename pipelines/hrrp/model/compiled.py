"""Compiling with numba: where compiled code is kept, and the line that says why the first fit waits."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba

# Sums may be reordered and fused, so that loops over stays use the processor's vector units; NaN and infinity keep
# their meaning.
FAST = {"reassoc", "contract", "arcp", "nsz"}
PATIENCE = 2.0  # seconds before the line is printed


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`numba.njit`, without the interpreter's lock, kept on disk where a place can be found."""
    # The numpy error model: with Python's, every division tests for zero, and no loop with one becomes vector code.
    return numba.njit(nogil=True, fastmath=FAST, error_model="numpy", cache=_cache_is_possible(), **options)


def _cache_is_possible() -> bool:
    """numba keeps code beside the source, else in the user's cache folder. Where neither can be written, a private
    folder of the temporary directory serves; without any, code is compiled in every process."""
    if numba.config.CACHE_DIR:
        return True
    home = Path.home()
    if os.access(Path(__file__).parent, os.W_OK) or (home.is_dir() and os.access(home, os.W_OK)):
        return True
    folder = Path(tempfile.gettempdir()) / f"hrrp-compiled-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    # Compiled code is executed: a folder that another user made or can write to is not used.
    is_own = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    if not (stat.S_ISDIR(found.st_mode) and is_own and not found.st_mode & 0o022):
        return False
    numba.config.CACHE_DIR = str(folder)
    return True


@contextmanager
def progress_line(what: str) -> Any:
    """Print one line to stderr if what is inside takes longer than a second, which it does only when it compiles."""

    def say() -> None:
        print(f"hrrp: compiling {what}, once for this installation (some seconds) ...", file=sys.stderr, flush=True)

    timer = threading.Timer(PATIENCE, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
