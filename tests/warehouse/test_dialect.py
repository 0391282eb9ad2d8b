"""The read-only dialect: reads the catalog and rows, writes nothing, reaches nothing, and lets the file go."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from hrrp.settings import Settings
from hrrp.warehouse import open_warehouse
from hrrp.warehouse.dialect import reader_url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a folder" / "w.duckdb"
    with open_warehouse(path, Settings()) as warehouse:
        warehouse.execute("create schema staging")
        warehouse.execute(
            "create table staging.stays as select i::integer as stay_key, 'S' || i as stay_id, date '2024-01-01' + i::integer as "
            "admit_date, i / 2.0 as amount, i % 2 = 0 as even, [i] as list from range(5) as t(i)"
        )
        warehouse.execute("create view staging.seen as select stay_key from staging.stays")
    return path


def test_rows_and_bound_values(file: Path) -> None:
    with reader_url(file, Settings()) as url, sa.create_engine(url).connect() as connection:
        query = sa.text("select stay_id, admit_date, even from staging.stays where stay_key >= :low order by stay_key")
        result = connection.execute(query, {"low": 2})
        assert result.fetchone() == ("S2", date(2024, 1, 3), True)
        assert result.fetchmany(1) == [("S3", date(2024, 1, 4), False)]
        assert result.fetchall() == [("S4", date(2024, 1, 5), True)]


def test_rows_outlive_the_connection(file: Path) -> None:
    # Great Expectations fetches after it has closed.
    with reader_url(file, Settings()) as url:
        with sa.create_engine(url).connect() as connection:
            cursor = connection.connection.cursor()
            cursor.execute("select count(*) from staging.stays")
        assert cursor.fetchall() == [(5,)]


def test_catalog(file: Path) -> None:
    with reader_url(file, Settings()) as url:
        inspector = sa.inspect(sa.create_engine(url))
        assert inspector.get_table_names("staging") == ["stays"]
        assert inspector.get_view_names("staging") == ["seen"]
        assert inspector.has_table("stays", schema="staging")
        assert not inspector.has_table("stays")
        assert "staging" in inspector.get_schema_names()
        kinds = {column["name"]: type(column["type"]) for column in inspector.get_columns("stays", schema="staging")}
    assert kinds["stay_key"] is sa.INTEGER
    assert kinds["stay_id"] is sa.VARCHAR
    assert kinds["admit_date"] is sa.DATE
    assert kinds["even"] is sa.BOOLEAN
    assert list(kinds) == ["stay_key", "stay_id", "admit_date", "amount", "even", "list"]


@pytest.mark.parametrize(
    "statement",
    [
        "create table staging.more as select 1",
        "delete from staging.stays",
        "copy staging.stays to 'elsewhere.csv'",
        "select * from read_csv('/etc/hostname')",
        "attach 'elsewhere.duckdb'",
        "install httpfs",
    ],
)
def test_nothing_is_written_or_reached(file: Path, statement: str) -> None:
    with (
        reader_url(file, Settings()) as url,
        sa.create_engine(url).connect() as connection,
        pytest.raises(sa.exc.DBAPIError),
    ):
        connection.execute(sa.text(statement))


def test_the_file_is_free_afterwards(file: Path) -> None:
    with reader_url(file, Settings()) as url:
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("select count(*) from staging.stays")) == 5
    with open_warehouse(file, Settings()) as warehouse:
        warehouse.execute("delete from staging.stays")
        assert warehouse.count("staging.stays") == 0
