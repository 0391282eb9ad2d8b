"""Index stays and first returns within 30 days, all causes, at the level of stays, in polars: the same question as ../returns.sql.

python benchmarks/peers/returns_polars.py EXTRACT ANSWER [streaming | in-memory]
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import polars as pl
from polars import col

DIED, ADVICE, STILL_THERE = ["20", "40", "41", "42"], "07", "30"


def main(extract: Path, answer: Path, engine: str = "streaming") -> None:
    may_be_index = (
        (col("is_short_term_acute") & ~col("is_cah"))
        & (col("payer").cast(pl.String) == "FFS")
        & col("discharge_date").is_between(date(2021, 7, 1), date(2024, 5, 31))
        & ~col("discharge_status").cast(pl.String).is_in([*DIED, ADVICE, STILL_THERE])
    )
    # The person of a stay stays a categorical: the frame is joined to itself, and integers are what joins fastest.
    acute = (
        pl.scan_parquet(extract / "stays.parquet")
        .filter(col("is_short_term_acute") | col("is_cah"))
        .select("stay_id", "person_id", "ccn", "admit_date", "discharge_date", may_be_index.alias("may_be_index"))
        .collect(engine=engine)
        .lazy()
    )
    persons = pl.scan_parquet(extract / "persons.parquet").select(col("person_id").alias("person"), "birth_date")
    of_age = (
        acute.filter("may_be_index")
        .with_columns(col("person_id").cast(pl.String).alias("person"))
        .join(persons, on="person")
        .filter(_number(col("admit_date")) - _number(col("birth_date")) >= 65_00_00)
        .select("stay_id", "person_id", "ccn", "admit_date", "discharge_date")
        .collect(engine=engine)
        .lazy()
    )
    others = acute.select(
        "person_id",
        col("stay_id").alias("return_id"),
        col("ccn").alias("at"),
        col("admit_date").alias("came"),
        col("discharge_date").alias("went"),
    )
    here, there = (("admit_date", "discharge_date", "stay_id"), ("came", "went", "return_id"))
    candidates = (
        of_age.join(others, on="person_id")
        .with_columns((col("came") - col("discharge_date")).dt.total_days().alias("days"))
        .filter(col("days").is_between(0, 30) & (col("stay_id") != col("return_id")))
        .select(
            "stay_id",
            "return_id",
            "days",
            "went",
            ((col("at") != col("ccn")) & (col("days") <= 1)).alias("is_transfer"),
            _after(there, here).alias("comes_later"),
        )
        .collect(engine=engine)
        .lazy()
    )
    moved_on = candidates.filter(col("is_transfer") & col("comes_later")).select("stay_id").unique()
    first = (
        candidates.filter(~col("is_transfer"))
        .sort("stay_id", "days", "went", "return_id")
        .unique("stay_id", keep="first", maintain_order=True)
        .select("stay_id", "return_id", "days")
    )
    found = of_age.select("stay_id").join(moved_on, on="stay_id", how="anti").join(first, on="stay_id", how="left")
    found.collect(engine=engine).write_parquet(answer / "returns.parquet")


def _number(day: pl.Expr) -> pl.Expr:
    """20240531 of 31 May 2024: the difference of two such numbers is whole years times 10,000, and a rest."""
    return day.dt.year().cast(pl.Int32) * 10_000 + day.dt.month().cast(pl.Int32) * 100 + day.dt.day()


def _after(one: tuple[str, str, str], other: tuple[str, str, str]) -> pl.Expr:
    (came, went, name), (came_before, went_before, name_before) = one, other
    by_name = (col(went) == col(went_before)) & (col(name) > col(name_before))
    by_discharge = (col(came) == col(came_before)) & ((col(went) > col(went_before)) | by_name)
    return (col(came) > col(came_before)) | by_discharge


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4])
