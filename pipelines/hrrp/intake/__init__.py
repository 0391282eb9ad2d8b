"""One module per source: each describes files (layout, headings, mapping) and the warehouse reads them.

`canonical.load_extract` is the door for extracts of discharges, in any layout; CMS's public files, the Hospital-Specific Report and
the simulator have modules of their own.
"""
