"""hrrp: Medicare's Hospital Readmissions Reduction Program, recomputed to the digit and forecast before CMS publishes it."""

__version__ = "0.1.0"
