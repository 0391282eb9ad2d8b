"""`hrrp serve`: the review page of the published results, on this machine unless told otherwise."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import typer

from hrrp.cli._output import print_json, progress
from hrrp.errors import UsageError
from hrrp.settings import Settings, load_settings

EXAMPLE = """Examples:

  hrrp serve                       the page at http://127.0.0.1:8501, until Ctrl-C

  hrrp serve --out results --port 0            another folder's results, on any free port

  hrrp serve --host 10.1.2.3 --behind-proxy    for a reverse proxy, named in trusted_proxies of hrrp.toml"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("serve", epilog=EXAMPLE)(serve)


def serve(
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8501, min=0, max=65535, help="Port; 0 takes a free one."),
    out: Path | None = typer.Option(None, help="Folder of the run; default data/out."),
    behind_proxy: bool = typer.Option(
        False, "--behind-proxy", help="Allow an address that other machines reach; needs trusted_proxies in hrrp.toml."
    ),
    workers: int = typer.Option(
        1, min=1, max=16, help="Processes that answer; one does for a system, two for many readers of a nation."
    ),
    as_json: bool = typer.Option(False, "--json", help="When ready, one JSON document on stdout: url, process."),
) -> None:
    """Open the results to quality teams in the browser: aggregate level, this machine only, nothing leaves it."""
    settings = load_settings(out=out)
    check_host(host, settings, behind_proxy)
    from hrrp.review.server import run_page

    def ready(url: str, process: int) -> None:
        if as_json:
            print_json({"url": url, "process": process, "behind_proxy": behind_proxy})
        who = "behind a proxy" if behind_proxy else "this machine only, aggregate level"
        progress.print(f"hrrp serve: {url} ({who}). Ctrl-C stops it.")

    def laying_out() -> None:
        progress.print("hrrp serve: laying out the published results (a moment; for a nation ten seconds) ...")

    run_page(settings, host, port, ready, workers=workers, laying_out=laying_out)


def check_host(host: str, settings: Settings, behind_proxy: bool) -> None:
    """Refuse an address that other machines reach, unless a proxy that says who asks stands in front.

    Raises UsageError with what to do.
    """
    try:
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        raise UsageError(f"--host {host}: an IP address or localhost is expected.") from None
    if behind_proxy and not settings.trusted_proxies:
        raise UsageError(
            "--behind-proxy: no proxy is named. Put its address into trusted_proxies of hrrp.toml (and the page's public name into "
            "allowed_hosts, its users under [users])."
        )
    if not loopback and not behind_proxy:
        raise UsageError(
            f"--host {host}: other machines reach this address, and the page itself asks nobody for a password. Keep 127.0.0.1, or "
            "put a reverse proxy with a login in front and say --behind-proxy."
        )
