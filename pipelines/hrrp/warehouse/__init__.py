"""The only door to DuckDB: open a warehouse, read a described source, run one SQL step, publish.

SQL steps are files `sql/<group>/<table>.sql`; `steps.py` reads them (description, upstreams, parameters), `database.py` runs them.
"""

from hrrp.warehouse.database import Warehouse, open_warehouse
from hrrp.warehouse.steps import SqlStep, load_steps

__all__ = ["SqlStep", "Warehouse", "load_steps", "open_warehouse"]
