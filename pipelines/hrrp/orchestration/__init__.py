"""Dagster wiring only: assets, checks, schedules, definitions. No arithmetic here."""
