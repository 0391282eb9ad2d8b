"""Run the page: one process or several, stopped by Ctrl-C or SIGTERM."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from hrrp.errors import UsageError
from hrrp.review.page import compile_templates, make_app
from hrrp.review.prepare import lay_out
from hrrp.review.published import Published, serving_folder
from hrrp.review.scenarios import review_database
from hrrp.review.views import warm
from hrrp.settings import Settings

STOP_SECONDS = 5
SWITCH_SECONDS = 0.001
# The page keeps what it answered, so most of what is new stays: seldom is there garbage among it.
COLLECT = (10_000, 20, 100)
WAITING_CONNECTIONS = 128


def run_page(
    settings: Settings,
    host: str,
    port: int,
    ready: Callable[[str, int], None],
    *,
    workers: int = 1,
    laying_out: Callable[[], None] = lambda: None,
) -> None:
    """Serve until told to stop; `ready` gets the address and this process's number as soon as the page answers.

    `laying_out` is called before the results are laid out, which takes seconds for a nation.

    With several `workers` as many processes answer at the same address; they share what is laid out, and end with this one.
    Raises UsageError where no run has published results, or the port is taken.
    """
    review_database(settings)
    listener = _listen(host, port)
    taken = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    folder = serving_folder(settings.out)
    laying_out()
    try:
        _lay_out_apart(settings, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    children: list[int] = []
    for _ in range(workers - 1):
        # Before anything of the results is open: an open database does not survive a fork.
        child = os.fork()
        if child == 0:
            _end_with_parent()
            try:
                _serve(settings, folder, listener, lambda: None)
            finally:
                os._exit(0)
        children.append(child)
    stopped = False
    try:
        _serve(settings, folder, listener, lambda: ready(f"http://{shown}:{taken}", os.getpid()))
    except SystemExit:
        stopped = True
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        for child in children:
            with suppress(ChildProcessError):
                os.waitpid(child, 0)
        shutil.rmtree(folder, ignore_errors=True)
    if stopped:
        # All is put away; the interpreter's own end would only complain of what threads still hold.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _lay_out_apart(settings: Settings, folder: Path) -> None:
    """Lay the results out in a process that ends then, so that none that answers keeps the memory it took."""
    child = os.fork()
    if child == 0:
        # Where it fails the page tries again itself, and says what is wrong.
        _end_with_parent()
        try:
            lay_out(settings, folder)
        finally:
            os._exit(0)
    try:
        os.waitpid(child, 0)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise


def _serve(settings: Settings, folder: Path, listener: socket.socket, ready: Callable[[], None]) -> None:
    # The server raises the signal that stopped it once more at its end; nothing may be left behind then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    app = make_app(settings, folder)
    # A new version is read beside the requests; none waits long for its turn.
    sys.setswitchinterval(SWITCH_SECONDS)
    threading.Thread(target=_warm, args=(app.state.published,), daemon=True).start()
    try:
        _Server(page_config(app), ready).run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
        app.state.published.close()


def _end_with_parent() -> None:
    """End this process in an orderly way when the one that started it is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def page_config(app: Starlette) -> uvicorn.Config:
    """How the application is served: reading only, and believing nothing that a request says of itself."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        # The page itself decides which header of which peer it believes.
        proxy_headers=False,
        ws="none",
        # The strict parser, which bounds headers too.
        http="h11",
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=16_384,
    )


def _warm(published: Published) -> None:
    # What it finds is thrown away, and so is what goes wrong: the request that meets it says so.
    with suppress(Exception):
        compile_templates()
        warm(published.current())
    # What is read once and stays is not looked through for garbage again: that would stop every request.
    gc.freeze()
    gc.set_threshold(*COLLECT)


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{host}, port {port}: {error.strerror}. Choose another port with --port (0 takes a free one)."
        ) from None
    listener.listen(WAITING_CONNECTIONS)
    return listener
