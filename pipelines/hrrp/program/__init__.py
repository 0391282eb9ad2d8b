"""The rules of the program as data: program years, measures, published national figures, named parameters.

Also the plain records that rooms exchange. Nothing here knows of databases, Dagster or the command line.
"""

from hrrp.program.measures import MEASURES, REPORT_NAMES
from hrrp.program.reference import (
    Parameter,
    Period,
    ProgramYear,
    Published,
    PublishedModel,
    Reference,
)
from hrrp.program.site import write_site_rows

__all__ = [
    "MEASURES",
    "REPORT_NAMES",
    "Parameter",
    "Period",
    "ProgramYear",
    "Published",
    "PublishedModel",
    "Reference",
    "write_site_rows",
]
