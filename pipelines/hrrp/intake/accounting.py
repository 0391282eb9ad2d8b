"""Every record accounted for: rows read are rows kept and rows rejected, and too many rejects refuse the extract."""

from __future__ import annotations

from hrrp.errors import InputContractError
from hrrp.intake.layout import CANONICAL
from hrrp.intake.sources import PART
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse

# How a message says a reason of staging.rejects; the others read well behind "are".
PHRASES = {
    "missing": "have no value",
    "not a date": "are no date (expected: 2025-06-30)",
    "wrong number of fields": "have more or fewer fields than the heading",
    "broken record": "cannot be taken apart into fields",
    "not UTF-8 text": "hold bytes that are not UTF-8 text",
    "person not in persons": "name a person who is not in persons",
    "stay not in stays": "name a stay that is not in stays",
    "stay rejected": "belong to a stay that was rejected",
    "stay_id of another stay": "carry the stay_id of another stay",
    "no such status": "are no discharge status",
    "no such indicator": "are no present-on-admission indicator",
    "overlaps an earlier stay at another hospital": "overlap an earlier stay at another hospital",
    "place taken already": "repeat a place in the stay's list",
    "person listed twice": "list a person a second time",
    "month listed twice": "list a month a second time",
    "hospital listed twice": "list a hospital a second time",
}


class AccountError(RuntimeError):
    """Rows read are not rows kept and rows rejected: a fault of the program."""


def phrase(reason: str) -> str:
    """A reason of staging.rejects as the end of the sentence "14 of 52,310 rows ..."."""
    return PHRASES.get(reason, f"are {reason}")


def share_text(share: float) -> str:
    """A share as per cent, with as many digits as it needs: 5%, 0.1%."""
    return f"{share * 100:.4g}%"


def enforce_reject_share(warehouse: Warehouse, settings: Settings) -> None:
    """Refuse an extract of which a file has more rejected rows than `settings.allow_rejects`; exact duplicates do not count.

    Reads staging.row_accounting and staging.rejects. Raises InputContractError naming, for each file over the share, its most
    frequent fault; AccountError where rows read are not rows kept and rows rejected.
    """
    wrong = warehouse.rows(
        "select source_file, rows_read, rows_kept, rows_rejected from staging.row_accounting "
        "where rows_read <> rows_kept + rows_rejected order by 1"
    )
    if wrong:
        lines = "; ".join(
            f"{file}: {read:,} read, {kept:,} kept, {rejected:,} rejected" for file, read, kept, rejected in wrong
        )
        raise AccountError(f"The rows do not add up. {lines}.")
    # A wide record's parts ("claims.csv > diagnosis 3") count together, so that a rare part is not held to a share of few rows.
    over = warehouse.rows(
        f"""
        select
            split_part(source_file, '{PART}', 1) as file,
            canonical_file,
            sum(rows_read)::bigint as read,
            sum(rows_rejected - duplicates)::bigint as rejected
        from staging.row_accounting
        group by all
        having sum(rows_rejected - duplicates) > $allowed * sum(rows_read)
        order by rejected / read desc, file
        """,  # noqa: S608
        {"allowed": settings.allow_rejects},
    )
    if over:
        raise InputContractError(
            " ".join(_sentence(warehouse, *line) for line in over[:5])
            + (f" {len(over) - 5} more files have too many rejects." if len(over) > 5 else "")
            + f" They are in staging.rejects; correct the extract or pass --allow-rejects {_enough(over)} "
            f"(allowed now: {share_text(settings.allow_rejects)} of a file's rows)."
        )


def _sentence(warehouse: Warehouse, file: str, canonical_file: str, read: int, rejected: int) -> str:
    """The most frequent fault of one file, in the words of a message."""
    faults = warehouse.rows(
        f"""
        select column_name, reason, count(*) as n, min_by(source_file, row_number), min(row_number)
        from staging.rejects
        where split_part(source_file, '{PART}', 1) = $file and canonical_file = $canonical_file and reason <> 'duplicate'
        group by all
        order by n desc, column_name, reason
        """,  # noqa: S608
        {"file": file, "canonical_file": canonical_file},
    )
    column, reason, count, part, first = faults[0]
    where = f"{file}, column {column}" if column else file
    where += f" ({canonical_file})" if PART in part and canonical_file in CANONICAL else ""
    more = f", and {rejected - count:,} have other faults" if rejected > count else ""
    return f"{where}: {count:,} of {read:,} rows {phrase(reason)} (first at row {first:,}){more}."


def _enough(over: list[tuple[str, str, int, int]]) -> str:
    """The smallest round share that lets every file pass."""
    worst = max(rejected / read for _, _, read, rejected in over)
    for share in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0):
        if worst <= share:
            return share_text(share)
    return "100%"
