"""The only door to DuckDB: open a warehouse, read a described source, run one SQL step, publish.

SQL steps are files `sql/<group>/<table>.sql`; `steps.py` reads them (description, upstreams, parameters), `database.py` runs them.
Described sources (delimited text, Parquet, Excel; plain, gzip or zip) come in through `read.py`: `list_members`, `read_heading`,
then `read_file` into a table made by `make_table`, or `read_in_place` where all of a table's files are plain Parquet.
"""

from hrrp.warehouse.database import Warehouse, open_warehouse
from hrrp.warehouse.read import (
    Field,
    FileRead,
    Heading,
    Member,
    StructuralReject,
    can_stay,
    list_members,
    make_table,
    read_file,
    read_heading,
    read_in_place,
)
from hrrp.warehouse.steps import SqlStep, load_steps

__all__ = [
    "Field",
    "FileRead",
    "Heading",
    "Member",
    "SqlStep",
    "StructuralReject",
    "Warehouse",
    "can_stay",
    "list_members",
    "load_steps",
    "make_table",
    "open_warehouse",
    "read_file",
    "read_heading",
    "read_in_place",
]
