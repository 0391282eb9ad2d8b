"""Draw what `hrrp run` prints on the shipped sample as docs/img/run.svg (no font or script from elsewhere).

usage: python scripts/picture_of_run.py OUT      OUT is the folder of a finished run
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME

from hrrp.cli._output import plain
from hrrp.cli.run import print_result
from hrrp.review.document import result_document
from hrrp.settings import load_settings
from hrrp.warehouse import open_warehouse

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "img" / "run.svg"


def main() -> None:
    settings = load_settings(out=Path(sys.argv[1]))
    document = result_document(settings.out / "review.duckdb", settings)
    with open_warehouse(settings.out / "hrrp.duckdb", settings, read_only=True) as warehouse:
        ((read, kept, rejected),) = warehouse.rows(
            "select sum(rows_read)::bigint, sum(rows_kept)::bigint, sum(rows_rejected)::bigint from staging.row_accounting"
        )
    document["rows"] = {"read": read, "kept": kept, "rejected": rejected}
    console = Console(record=True, width=100, file=io.StringIO(), highlight=False)
    print_result(plain(document), load_settings(), console)
    drawn = console.export_svg(title="hrrp run", theme=DEFAULT_TERMINAL_THEME)
    # The fonts that rich names lie on another machine; the reader's own monospaced one serves.
    drawn = re.sub(r"@font-face\s*\{.*?\}", "", drawn, flags=re.DOTALL).replace(
        "Fira Code", "ui-monospace, Menlo, Consolas"
    )
    drawn = re.sub(r"<!--.*?-->", "", drawn, flags=re.DOTALL)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
