"""The door of the intake for the rest of the product: load an extract, hold it to the share of rejects that a site allows."""

from hrrp.intake.accounting import enforce_reject_share
from hrrp.intake.extract import LoadedExtract, load_extract, load_files

__all__ = ["LoadedExtract", "enforce_reject_share", "load_extract", "load_files"]
