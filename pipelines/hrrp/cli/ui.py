"""`hrrp ui`: Dagster's web page over the same assets, checks and history that `hrrp run` uses, on this machine only."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import typer

from hrrp.cli._output import print_json, progress
from hrrp.errors import UsageError
from hrrp.settings import Settings, load_settings, settings_file

LOOPBACK = "127.0.0.1"
READY_SECONDS = 120
STOP_SECONDS = 20
PIPELINE_LOADED = json.dumps(
    {"query": "{workspaceOrError{... on Workspace{locationEntries{loadStatus locationOrLoadError{__typename}}}}}"}
).encode()

EXAMPLE = """Examples:

  hrrp ui                          the page at http://127.0.0.1:3000, until Ctrl-C

  hrrp ui --out results --port 0   another folder's history, on any free port

  hrrp ui --read-only              for those who may look but not run"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("ui", epilog=EXAMPLE)(ui)


def ui(
    port: int = typer.Option(3000, min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one."),
    data: Path | None = typer.Option(None, help="Folder of the extract; default: the shipped synthetic system."),
    out: Path | None = typer.Option(None, help="Folder of the warehouse and of the history; default data/out."),
    read_only: bool = typer.Option(False, "--read-only", help="Nothing can be started from the page."),
    as_json: bool = typer.Option(False, "--json", help="When ready, one JSON document on stdout: url, process."),
) -> None:
    """Show assets, lineage, checks and runs in the browser; runs the nightly schedule while it is open and switched on."""
    settings = load_settings(data=data, out=out)
    port = _free_port(port)
    url = f"http://{LOOPBACK}:{port}"
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    children = _start(settings, port, read_only)
    try:
        if _wait_until_ready(url, children, stop):
            if as_json:
                print_json({"url": url, "process": os.getpid(), "read_only": read_only})
                sys.stdout.flush()
            progress.print(f"hrrp ui: {url} (this machine only). Ctrl-C stops it.")
        while not stop.wait(0.5):
            _all_alive(children)
    finally:
        _stop(children)


def _free_port(port: int) -> int:
    """The port itself if it is free, or any free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            raise UsageError(
                f"Port {port} is in use on this machine. Choose another with --port (0 takes a free one)."
            ) from None
        return int(probe.getsockname()[1])


def _start(settings: Settings, port: int, read_only: bool) -> dict[str, subprocess.Popen[bytes]]:
    """The web server and the daemon (schedules, sensors, queued runs), each in a process group of its own."""
    from hrrp.orchestration.resources import prepare_state
    from hrrp.orchestration.runner import instance

    home = prepare_state(settings)
    # Both processes make the history's tables where there are none, and at the same moment one of them fails; here they are made once.
    with instance(settings):
        pass
    workspace = home / "workspace.yaml"
    workspace.write_text(
        "load_from:\n  - python_module:\n      module_name: hrrp.orchestration.definitions\n      location_name: hrrp\n",
        encoding="utf-8",
    )
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "HRRP_OUT": str(settings.out.resolve()),
        "HRRP_SETTINGS": str(settings_file().resolve()),
    }
    if settings.data is not None:
        environment["HRRP_DATA"] = str(settings.data.resolve())
    page = [sys.executable, "-m", "dagster_webserver", "-h", LOOPBACK, "-p", str(port), "-w", str(workspace)]
    if read_only:
        page.append("--read-only")
    daemon = [str(Path(sysconfig.get_path("scripts")) / "dagster-daemon"), "run", "-w", str(workspace)]
    children = {}
    # Its log is written for developers, and a traceback in it could show a value: it stays in the owner's folder.
    for name, command in (("web server", page), ("daemon", daemon)):
        log = home / f"{name.replace(' ', '_')}.log"
        with os.fdopen(os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as output:
            children[name] = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
    return children


def _all_alive(children: dict[str, subprocess.Popen[bytes]]) -> None:
    for name, child in children.items():
        if child.poll() is not None:
            raise RuntimeError(f"the {name} stopped by itself (exit code {child.returncode})")


def _wait_until_ready(url: str, children: dict[str, subprocess.Popen[bytes]], stop: threading.Event) -> bool:
    """Whether the page answers and shows the pipeline; False when told to stop before."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if stop.wait(0.25):
            return False
        _all_alive(children)
        try:
            request = urllib.request.Request(f"{url}/graphql", PIPELINE_LOADED, {"content-type": "application/json"})
            with opener.open(request, timeout=30) as answer:
                entries = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
        except (urllib.error.URLError, OSError):
            continue
        if any(entry["loadStatus"] == "LOADING" for entry in entries):
            continue
        for entry in entries:
            # The message may quote a line of a file: it stays in the page and in the owner's log.
            if entry["locationOrLoadError"]["__typename"] != "RepositoryLocation":
                raise RuntimeError("the web server started, but could not load the pipeline")
        return True
    raise RuntimeError("the web server did not answer")


def _stop(children: dict[str, subprocess.Popen[bytes]]) -> None:
    """Ask each to end, wait, and end what is left of its process group."""
    for child in children.values():
        if child.poll() is None:
            child.terminate()
    until = time.monotonic() + STOP_SECONDS
    for child in children.values():
        try:
            child.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for child in children.values():
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
