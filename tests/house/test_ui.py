"""`hrrp ui` listens on loopback only, shows the pipeline, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

HRRP = [sys.executable, "-c", "from hrrp.cli import main; main()"]


def children(process: int) -> list[int]:
    """Every process below `process`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == process:
            found += [int(path.parent.name), *children(int(path.parent.name))]
    return found


def ask(url: str, query: str) -> dict[str, object]:
    request = urllib.request.Request(
        f"{url}/graphql", json.dumps({"query": query}).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return dict(json.load(answer)["data"])


@pytest.mark.slow
def test_the_page_shows_the_assets_and_stops_leaving_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "HRRP_SETTINGS": str(tmp_path / "hrrp.toml")}
    process = subprocess.Popen(
        [*HRRP, "ui", "--port", "0", "--out", str(tmp_path / "out"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    try:
        assert process.stdout is not None
        document = json.loads("".join(process.stdout.readline() for _ in range(5)))
        url = document["url"]
        assert url.startswith("http://127.0.0.1:")
        data = ask(url, "{assetNodes{assetKey{path} groupName description} instance{runQueuingSupported}}")
        nodes = {"/".join(node["assetKey"]["path"]): node for node in data["assetNodes"]}  # type: ignore[attr-defined]
        assert nodes["cohort/index_admissions"]["groupName"] == "cohort"
        assert all(node["description"] for node in nodes.values())
        schedules = ask(
            url,
            '{schedulesOrError(repositorySelector:{repositoryLocationName:"hrrp",repositoryName:"__repository__"}){'
            "... on Schedules{results{name cronSchedule executionTimezone}}}}",
        )
        assert schedules["schedulesOrError"] == {
            "results": [{"name": "nightly", "cronSchedule": "0 2 * * *", "executionTimezone": "America/New_York"}]
        }
        running = children(process.pid)
        assert len(running) >= 2
        with socket.socket() as elsewhere, pytest.raises(OSError):
            # Not reachable by any address of this machine but loopback.
            elsewhere.settimeout(2)
            elsewhere.connect((_own_address(), int(url.rsplit(":", 1)[1])))
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    assert code == 0
    assert [pid for pid in running if _runs(pid)] == []


def _runs(process: int) -> bool:
    """Whether it runs still; one that has ended and waits for the system to count it off does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _own_address() -> str:
    """An address of this machine that is not loopback; a route is looked up, nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


def test_a_port_in_use_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [*HRRP, "ui", "--port", str(taken.getsockname()[1])],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
    assert done.returncode == 2
    assert "Choose another with --port" in done.stderr
