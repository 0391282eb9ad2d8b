"""One module per source: each describes files (layout, headings, mapping) and the warehouse reads them; canonical extract, CMS public files, HSR, simulator."""
