"""The command line: one module a command, found here; nothing is computed in this room.

Every command prints tables for people, or with `--json` one document on stdout and nothing else there; progress and logs
go to stderr. Heavy libraries (dagster, great_expectations, statsmodels) are imported inside the command that needs them.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import typer

import hrrp
from hrrp.errors import HrrpError

app = typer.Typer(
    name="hrrp",
    help="Medicare's Hospital Readmissions Reduction Program: recompute the penalty to the digit, forecast the next one.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"hrrp {hrrp.__version__}")
        raise typer.Exit


@app.callback()
def _root(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show it.")) -> None:
    """Medicare's Hospital Readmissions Reduction Program: recompute the penalty to the digit, forecast the next one."""


# Each module of this package whose name does not begin with an underscore adds its commands to `app` in `register(app)`.
for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    if not _module.startswith("_"):
        importlib.import_module(f"hrrp.cli.{_module}").register(app)


def main() -> None:
    """Entry point: typed errors become their message on stderr and their exit code."""
    try:
        app()
    except HrrpError as error:
        print(f"hrrp: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:
        raise SystemExit(0) from None
    except Exception as error:
        # An unexpected error's own text may carry a value of a row, so only its kind is printed unless asked for.
        import os

        if os.environ.get("HRRP_DEBUG"):
            raise
        print(
            f"hrrp: unexpected failure ({type(error).__name__}). This is a fault of the program, not of your data. "
            "Set HRRP_DEBUG=1 to see where (the trace may show values of your data: do not share it unread).",
            file=sys.stderr,
        )
        raise SystemExit(1) from None
