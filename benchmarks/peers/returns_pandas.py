"""Index stays and first returns within 30 days, all causes, at the level of stays, in pandas: the same question as ../returns.sql.

python benchmarks/peers/returns_pandas.py EXTRACT ANSWER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

DIED, ADVICE, STILL_THERE = ["20", "40", "41", "42"], "07", "30"


def main(extract: Path, answer: Path) -> None:
    acute = ds.field("is_short_term_acute") | ds.field("is_cah")
    columns = ["stay_id", "person_id", "ccn", "admit_date", "discharge_date", "discharge_status", "payer"]
    stays = read(extract / "stays.parquet", [*columns, "is_short_term_acute", "is_cah"], acute)
    persons = read(extract / "persons.parquet", ["person_id", "birth_date"])
    # Arrow looks a text up several times as fast as an index of pandas does.
    person = pc.index_in(pa.array(stays["person_id"]), value_set=pa.array(persons["person_id"])).to_numpy()
    birth = pd.Series(persons["birth_date"].to_numpy()[person])
    is_index = (
        (stays["is_short_term_acute"] & ~stays["is_cah"])
        & (stays["payer"] == "FFS")
        & stays["discharge_date"].between("2021-07-01", "2024-05-31")
        & ~stays["discharge_status"].isin([*DIED, ADVICE, STILL_THERE])
        & (_number(stays["admit_date"]) - _number(birth) >= 65_00_00)
    )
    # Persons, hospitals and stays as integers: what pandas joins and compares fastest.
    names = stays["stay_id"]
    stays = pd.DataFrame(
        {
            "stay": np.arange(len(stays)),
            "person": person,
            "ccn": pd.factorize(stays["ccn"])[0],
            "admit": stays["admit_date"],
            "discharge": stays["discharge_date"],
        }
    )
    index = stays[is_index]
    found = index.merge(stays, on="person", suffixes=("", "_back"))
    found["days"] = (found["admit_back"] - found["discharge"]).dt.days
    found = found[found["days"].between(0, 30) & (found["stay"] != found["stay_back"])]
    found = found.assign(
        stay_id=names.iloc[found["stay"]].array,
        return_id=names.iloc[found["stay_back"]].array,
        is_transfer=(found["ccn"] != found["ccn_back"]) & (found["days"] <= 1),
    )
    by_name = (found["discharge_back"] == found["discharge"]) & (found["return_id"] > found["stay_id"])
    by_discharge = (found["admit_back"] == found["admit"]) & ((found["discharge_back"] > found["discharge"]) | by_name)
    comes_later = (found["admit_back"] > found["admit"]) | by_discharge
    moved_on = found.loc[found["is_transfer"] & comes_later, "stay"]
    first = found[~found["is_transfer"]].sort_values(["days", "discharge_back", "return_id"]).drop_duplicates("stay")
    kept = index.loc[~index["stay"].isin(moved_on), "stay"]
    returns = pd.DataFrame({"stay_id": names.iloc[kept]}).join(first.set_index("stay")[["return_id", "days"]])
    returns.astype({"days": "Int64"}).to_parquet(answer / "returns.parquet", index=False)


def read(file: Path, columns: list[str], rows: ds.Expression | None = None) -> pd.DataFrame:
    """Columns of a Parquet file: a dictionary's texts as texts (laying the dictionaries together takes longer), dates as numpy's."""
    fields = ds.dataset(file).schema
    plain = pa.schema(
        [field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in fields]
    )
    return ds.dataset(file, schema=plain).to_table(columns=columns, filter=rows).to_pandas(date_as_object=False)


def _number(day: pd.Series) -> pd.Series:
    """20240531 of 31 May 2024: the difference of two such numbers is whole years times 10,000, and a rest."""
    return day.dt.year * 10_000 + day.dt.month * 100 + day.dt.day


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
