"""Great Expectations suites as code, run on the warehouse's tables in place; the only importer of great_expectations."""
