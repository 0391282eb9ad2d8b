"""Run the page: one process, stopped by Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette

from hrrp.errors import UsageError
from hrrp.review.page import make_app
from hrrp.review.published import Published
from hrrp.review.views import warm
from hrrp.settings import Settings

STOP_SECONDS = 5
SWITCH_SECONDS = 0.001
WAITING_CONNECTIONS = 128


def run_page(settings: Settings, host: str, port: int, ready: Callable[[str, int], None]) -> None:
    """Serve until told to stop; `ready` gets the address and this process's number as soon as the page answers.

    Raises UsageError where no run has published results, or the port is taken.
    """
    app = make_app(settings)
    # A new version is read beside the requests; none waits long for its turn.
    sys.setswitchinterval(SWITCH_SECONDS)
    listener = _listen(host, port)
    taken = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    threading.Thread(target=_warm, args=(app.state.published,), daemon=True).start()
    server = _Server(page_config(app), lambda: ready(f"http://{shown}:{taken}", os.getpid()))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
        app.state.published.close()


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
        warm(published.current())


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
