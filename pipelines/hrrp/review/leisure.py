"""Work beside the requests: it stops for a moment again and again, so that those who wait for a page do not wait for it.

Python runs one thread at a time. What reads a new version in the background calls `breathe` in its loops; everywhere else that does
nothing.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Seconds of work in one piece, and how long it rests after it, as a multiple of the piece.
PIECE, REST = 0.004, 2.0
_own = threading.local()


@contextmanager
def at_leisure() -> Iterator[None]:
    """Let this thread rest at every `breathe` that comes after a piece of work.

    Nothing is looked through for garbage meanwhile, and what is there at the end never again: a nation's results are hundreds of
    thousands of objects that live as long as their version, and looking through them stops every request.
    """
    collects = gc.isenabled()
    gc.disable()
    _own.since = time.thread_time()
    try:
        yield
    finally:
        _own.since = None
        gc.freeze()
        if collects:
            gc.enable()


def breathe() -> None:
    """Rest, where a piece of work at leisure is done."""
    since = getattr(_own, "since", None)
    if since is not None and (worked := time.thread_time() - since) >= PIECE:
        time.sleep(worked * REST)
        _own.since = time.thread_time()
