"""The canonical extract: from files to schema intake, what is refused and in which words, and the account of every row."""

from __future__ import annotations

import gzip
import os
import re
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hrrp.errors import InputContractError, RulesMissingError, UsageError
from hrrp.intake.accounting import AccountError
from hrrp.intake.canonical import LoadedExtract, enforce_reject_share, load_extract
from hrrp.intake.layout import CANONICAL
from hrrp.program import Reference
from hrrp.settings import Settings
from hrrp.warehouse import Warehouse, load_steps, open_warehouse

REFERENCE = Reference()

STAYS = pd.DataFrame(
    {
        "stay_id": [f"S{k}" for k in range(40)],
        "person_id": [f"P{k % 20}" for k in range(40)],
        "ccn": ["010001", "330101"] * 20,
        "admit_date": [f"2025-{1 + k // 20 * 6:02d}-{1 + k % 20:02d}" for k in range(40)],
        "discharge_date": [f"2025-{1 + k // 20 * 6:02d}-{4 + k % 20:02d}" for k in range(40)],
        "discharge_status": ["01", "06", "03", "01"] * 10,
    }
)
DIAGNOSES = pd.DataFrame(
    [(stay, place, code, "Y") for stay in STAYS.stay_id for place, code in ((1, "I5033"), (2, "E119"))],
    columns=["stay_id", "sequence", "code", "poa"],
).astype({"sequence": str})
PERSONS = pd.DataFrame(
    {"person_id": [f"P{k}" for k in range(20)], "birth_date": "1945-03-01", "sex": ["1", "2"] * 10, "death_date": None}
)
TABLES = {"stays": STAYS, "diagnoses": DIAGNOSES, "persons": PERSONS}


def write(folder: Path, suffix: str = "csv", **other: pd.DataFrame | None) -> Path:
    """The small extract as files; tables given by name replace or (None) remove."""
    folder.mkdir(exist_ok=True)
    for name, table in (TABLES | other).items():
        if table is None:
            continue
        if suffix == "parquet":
            table.to_parquet(folder / f"{name}.parquet")
        elif suffix == "xlsx":
            table.to_excel(folder / f"{name}.xlsx", index=False)
        else:
            table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def load(place: Path, **settings: Any) -> tuple[dict[str, list[tuple]], LoadedExtract]:
    """Every intake table, lineage included, and what the loader says."""
    chosen = Settings(data=place, **settings)
    with open_warehouse(None, chosen) as warehouse:
        loaded = load_extract(warehouse, chosen, REFERENCE)
        tables = {
            name: warehouse.rows(f"select * from {name} order by all")
            for name in warehouse.tables()
            if "intake." in name
        }
    return tables, loaded


def staged(warehouse: Warehouse, settings: Settings) -> None:
    load_extract(warehouse, settings, REFERENCE)
    warehouse.load_reference(REFERENCE)
    values = {name: parameter.value for name, parameter in REFERENCE.parameters().items()}
    for step in load_steps():
        if step.group == "staging":
            warehouse.run_step(step, values)


# --- what is there ---


def test_tables_hold_every_column_as_text_with_lineage(tmp_path: Path) -> None:
    tables, loaded = load(write(tmp_path / "x"))
    assert {name.removeprefix("intake.") for name in tables} == {
        *CANONICAL, "source_files", "structural_rejects", "inputs", "set_aside", "notes", "run", "run_program_years"
    }  # fmt: skip
    first = next(row for row in tables["intake.stays"] if row[0] == "S0")
    assert first == ("S0", "P0", "010001", "2025-01-01", "2025-01-04", "01", *[None] * 9, "stays.csv", 2)
    assert len(tables["intake.diagnoses"]) == 80
    assert tables["intake.enrollment"] == []
    assert [(row[0], row[1], row[5]) for row in tables["intake.source_files"]] == [
        ("diagnoses.csv", "diagnoses", 80),
        ("persons.csv", "persons", 20),
        ("stays.csv", "stays", 40),
    ]
    assert loaded.layout == "canonical"


@pytest.mark.parametrize("suffix", ["parquet", "xlsx"])
def test_parquet_and_excel_end_as_the_same_tables(tmp_path: Path, suffix: str) -> None:
    typed = STAYS.assign(
        ccn=STAYS.ccn.astype(int),
        admit_date=pd.to_datetime(STAYS.admit_date),
        discharge_date=pd.to_datetime(STAYS.discharge_date),
        discharge_status=STAYS.discharge_status.astype(int),
    )
    plain, _ = load(write(tmp_path / "plain"))
    other, loaded = load(write(tmp_path / "typed", suffix, stays=typed))
    for name in CANONICAL:
        assert [row[:-2] for row in other[f"intake.{name}"]] == [row[:-2] for row in plain[f"intake.{name}"]]
        assert sorted(row[-1] for row in other[f"intake.{name}"]) == sorted(row[-1] for row in plain[f"intake.{name}"])
    assert any("ccn" in note for note in loaded.notes)


def test_inputs_name_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    enrollment = pd.DataFrame(
        {
            "person_id": ["P0"],
            "month": ["2025-01"],
            "part_a": ["true"],
            "part_b": ["true"],
            "ffs": ["true"],
            "ma": ["false"],
        }
    )
    hospitals = pd.DataFrame({"ccn": ["010001"], "name": ["A"], "exempt": [None]})
    folder = write(tmp_path / "x", enrollment=enrollment, hospitals=hospitals)
    empty = DIAGNOSES.assign(poa=None)
    tables, _ = load(folder)
    inputs = dict(tables["intake.inputs"])
    assert (
        inputs["enrollment"] and inputs["diagnoses.poa"] and inputs["persons.death_date"] and inputs["hospitals.exempt"]
    )
    assert not inputs["enrollment.dual_code"] and not inputs["procedures"] and not inputs["stays.payer"]
    assert inputs["cross_hospital"]
    optional = {f"{name}.{c.name}" for name, layout in CANONICAL.items() for c in layout.columns if not c.required}
    assert set(inputs) == optional | {n for n, layout in CANONICAL.items() if not layout.required} | {"cross_hospital"}
    tables, loaded = load(write(tmp_path / "empty", diagnoses=empty, stays=STAYS.assign(ccn="010001")))
    assert not dict(tables["intake.inputs"])["diagnoses.poa"]
    assert not dict(tables["intake.inputs"])["cross_hospital"]
    assert "diagnoses, column poa: empty throughout, taken as missing" in loaded.notes


def test_many_files_gzip_zip_and_folders_in_a_stable_order(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    STAYS[:10].to_csv(folder / "stays_2024.csv", index=False)
    (folder / "stays-part-002.csv.gz").write_bytes(gzip.compress(STAYS[10:20].to_csv(index=False, sep="|").encode()))
    (folder / "stays").mkdir()
    STAYS[20:30].to_parquet(folder / "stays" / "0.parquet")
    with zipfile.ZipFile(folder / "rest.zip", "w") as archive:
        archive.writestr("stays_3.csv", STAYS[30:].to_csv(index=False, sep=";"))
        archive.writestr("diagnoses.csv", DIAGNOSES.to_csv(index=False))
    PERSONS.to_csv(folder / "persons.csv", index=False)
    (folder / "stays_old.csv").write_text("not,mine\n1,2\n")
    tables, loaded = load(folder)
    assert sorted(row[:6] for row in tables["intake.stays"]) == sorted(STAYS.itertuples(index=False, name=None))
    assert [file.source_file for name, file in loaded.files if name == "stays"] == [
        "rest.zip/stays_3.csv",
        "stays-part-002.csv.gz",
        "stays/0.parquet",
        "stays_2024.csv",
    ]
    assert loaded.left_aside == ["stays_old.csv"]


def test_a_zip_of_the_whole_extract(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "extract.zip", "w") as archive:
        for name, table in TABLES.items():
            archive.writestr(f"march/{name}.csv", table.to_csv(index=False))
    tables, _ = load(tmp_path / "extract.zip")
    assert len(tables["intake.stays"]) == 40


def test_unknown_columns_are_ignored_and_named(tmp_path: Path) -> None:
    _, loaded = load(write(tmp_path / "x", stays=STAYS.assign(ward="7", Attending="Dr")))
    assert "stays.csv: columns not used: ward, Attending" in loaded.notes


def test_headings_differ_in_case_spaces_and_order(tmp_path: Path) -> None:
    renamed = STAYS[STAYS.columns[::-1]].rename(columns={"stay_id": " STAY ID ", "ccn": '"CCN"'})
    tables, _ = load(write(tmp_path / "x", stays=renamed))
    assert len(tables["intake.stays"]) == 40


def test_the_run_has_its_dates_and_program_years(tmp_path: Path) -> None:
    tables, _ = load(write(tmp_path / "x"))
    assert tables["intake.run"] == [(date(2025, 7, 23), date(2025, 7, 23))]
    assert [year for (year,) in tables["intake.run_program_years"]] == list(
        REFERENCE.years_being_earned(date(2025, 7, 23))
    )
    mistyped = STAYS.copy()
    mistyped.loc[3, "discharge_date"] = "2205-01-09"
    assert load(write(tmp_path / "y", stays=mistyped))[1].extract_end == date(2025, 7, 23)
    assert load(tmp_path / "x", program_years=(2027,))[1].program_years == (2027,)
    with pytest.raises(RulesMissingError, match="FY2050"):
        load(tmp_path / "x", program_years=(2050,))


def test_the_whole_is_reproducible_but_for_time(tmp_path: Path) -> None:
    folder = write(tmp_path / "x")
    assert load(folder)[0] == load(folder, threads=4)[0]


# --- what bad input gets ---


def refused(place: Path, **settings: Any) -> str:
    with pytest.raises(InputContractError) as caught:
        load(place, **settings)
    message = str(caught.value)
    assert not re.search(r"\b[SP]\d+\b|2025-\d\d-\d\d", message.replace("2025-06-30", "")), message
    return message


def test_a_missing_folder_or_file_is_named(tmp_path: Path) -> None:
    assert "there is no such folder" in refused(tmp_path / "nowhere")
    message = refused(write(tmp_path / "x", persons=None))
    assert "persons.csv (or .parquet) not found. Files seen: diagnoses.csv, stays.csv" in message
    (tmp_path / "empty").mkdir()
    assert "holds no readable file" in refused(tmp_path / "empty")


def test_a_missing_column_is_named_with_what_was_likely_meant(tmp_path: Path) -> None:
    message = refused(write(tmp_path / "x", stays=STAYS.rename(columns={"discharge_date": "dischg_dt"})))
    assert "stays.csv: required column discharge_date not found. Did you mean discharge_date for dischg_dt?" in message
    assert "Headings seen: stay_id, person_id, ccn, admit_date, dischg_dt, discharge_status" in message
    assert "[mapping.<file>]" in message


def test_all_faults_of_headings_are_told_at_once(tmp_path: Path) -> None:
    message = refused(
        write(tmp_path / "x", stays=STAYS.drop(columns="ccn"), persons=PERSONS.rename(columns={"birth_date": "DOB"}))
    )
    assert "stays.csv: required column ccn" in message
    assert "Did you mean birth_date for DOB?" in message


def test_a_file_without_headings_shows_none_of_its_values(tmp_path: Path) -> None:
    folder = write(tmp_path / "x")
    STAYS.to_csv(folder / "stays.csv", index=False, header=False)
    assert "fields that look like values; a heading line was expected" in refused(folder)


def test_duplicate_headings_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "x")
    text = (folder / "stays.csv").read_text().replace("discharge_status", "CCN", 1)
    (folder / "stays.csv").write_text(text.replace("CCN\n", "CCN,discharge_status\n", 1).replace("\n", ",01\n")[:-4])
    assert "the heading ccn stands more than once" in refused(folder)


@pytest.mark.parametrize("name", ["stays", "diagnoses", "persons"])
def test_a_required_file_with_a_heading_alone_is_refused(tmp_path: Path, name: str) -> None:
    message = refused(write(tmp_path / "x", **{name: TABLES[name][:0]}))
    assert f"{name}.csv: a heading and no row" in message


def test_an_optional_file_with_a_heading_alone_counts_as_missing(tmp_path: Path) -> None:
    procedures = pd.DataFrame(columns=["stay_id", "sequence", "code"])
    tables, _ = load(write(tmp_path / "x", procedures=procedures))
    assert not dict(tables["intake.inputs"])["procedures"]
    assert ("procedures.csv", "procedures", 0) in [(row[0], row[1], row[5]) for row in tables["intake.source_files"]]


def test_the_same_table_in_two_forms_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "x")
    STAYS.to_parquet(folder / "stays.parquet")
    assert "stays.csv and stays.parquet are both there" in refused(folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "stays.csv is empty"),
        ("stay_id,person_id".encode("utf-16"), "stays.csv is encoded as UTF-16"),
        (
            b"PK\x03\x04junk",
            "stays.csv: delimited text was expected from its name, but by its content it is a zip archive",
        ),
        (b"stay_id~person_id~ccn\n1~2~3\n", "the heading line has one column only"),
        (
            b'stay_id,person_id,ccn,admit_date,discharge_date,discharge_status\nS1,"P1,1,2,3,4\n',
            "never properly closed",
        ),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    folder = write(tmp_path / "x")
    (folder / "stays.csv").write_bytes(content)
    assert words in refused(folder)


def test_dates_that_nobody_can_read_are_told_with_the_form_expected(tmp_path: Path) -> None:
    message = refused(write(tmp_path / "x", stays=STAYS.assign(discharge_date="3/4/25")))
    assert "no discharge date that can be read" in message


def test_an_unknown_layout_or_mapping_is_wrong_use(tmp_path: Path) -> None:
    folder = write(tmp_path / "x")
    with pytest.raises(UsageError, match="--layout omop: there is no such layout"):
        load(folder, layout="omop")
    with pytest.raises(UsageError, match=r"\[mapping\.stay\] is no file"):
        load(folder, mapping={"stay": {"ccn": "x"}})
    with pytest.raises(UsageError, match="names cnn"):
        load(folder, mapping={"stays": {"cnn": "x"}})


def test_files_of_no_known_layout_lead_to_the_mapping(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    STAYS.rename(columns={"stay_id": "Visit"}).to_csv(folder / "visits.csv", index=False)
    assert f"hrrp check {folder} proposes one" in refused(folder)


# --- flat extracts through a mapping ---


def test_a_flat_extract_is_read_through_the_mapping(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    flat = STAYS.assign(
        DX1="I50.33", POA1="Y", DX2="E119", POA2="N", DX3=None, POA3=None, dob="1945-03-01", sex="F"
    ).rename(columns={"stay_id": "VisitID", "person_id": "PatientID", "discharge_date": "dischg_dt"})
    flat.to_csv(folder / "visits_2025.csv", index=False)
    mapping = {
        "stays": {"file": "visits*.csv", "stay_id": "VisitID", "person_id": "PatientID", "discharge_date": "dischg_dt"},
        "diagnoses": {"file": "visits*.csv", "stay_id": "VisitID", "code": "DX{n}", "poa": "POA{n}"},
        "persons": {"file": "visits*.csv", "person_id": "PatientID", "birth_date": "dob"},
    }
    settings = Settings(data=folder, mapping=mapping)
    with open_warehouse(None, settings) as warehouse:
        staged(warehouse, settings)
        enforce_reject_share(warehouse, settings)
        assert warehouse.count("staging.stays") == 40
        assert warehouse.rows(
            "select code, sequence, poa, count(*) from staging.diagnoses "
            "inner join staging.diagnosis_codes using (code_key) group by all order by 2"
        ) == [
            ("I5033", 1, "Y", 40),
            ("E119", 2, "N", 40),
        ]
        assert warehouse.rows("select source_file, rows_read, rows_kept from staging.row_accounting order by 1") == [
            ("visits_2025.csv", 40, 40),
            ("visits_2025.csv > diagnoses", 0, 0),
            ("visits_2025.csv > diagnoses > column 1", 40, 40),
            ("visits_2025.csv > diagnoses > column 2", 40, 40),
            ("visits_2025.csv > persons", 40, 20),
        ]


def test_what_no_table_takes_from_a_flat_file_is_told_once(tmp_path: Path) -> None:
    """A column that diagnoses take is used, though stays have none of it; files of the same columns are named together."""
    folder = tmp_path / "x"
    folder.mkdir()
    flat = STAYS.assign(DX1="I50.33", birth_date="1945-03-01", sex="F", ward="7")
    for year in range(2021, 2026):
        flat[:8].assign(stay_id=[f"{year}-{n}" for n in range(8)]).to_csv(folder / f"visits_{year}.csv", index=False)
    mapping = {
        "stays": {"file": "visits*.csv"},
        "diagnoses": {"file": "visits*.csv", "code": "DX{n}"},
        "persons": {"file": "visits*.csv"},
        "enrollment": {"file": "elig_*.txt"},
    }
    with open_warehouse(None, Settings()) as warehouse:
        loaded = load_extract(warehouse, Settings(data=folder, mapping=mapping), REFERENCE)
    assert [note for note in loaded.notes if "not used" in note] == [
        "visits_2021.csv, visits_2022.csv, visits_2023.csv and 2 more: columns not used: ward"
    ]
    assert 'hrrp.toml, [mapping.enrollment]: no file is named "elig_*.txt", so enrollment is missing' in loaded.notes


def test_a_workbook_with_something_above_its_table_is_told_what_to_do(tmp_path: Path) -> None:
    folder = write(tmp_path / "x")
    (folder / "stays.csv").unlink()
    with pd.ExcelWriter(folder / "stays.xlsx") as book:
        pd.DataFrame({"made by": ["IT"]}).to_excel(book, sheet_name="About", index=False)
        STAYS.to_excel(book, sheet_name="Data", index=False)
    message = refused(folder)
    assert "stays.xlsx: the first filled row of the first sheet is no row of column names" in message
    assert "put the table on the first sheet (only that is read)" in message


def test_a_file_of_a_format_that_is_not_read_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "x")
    (folder / "stays.csv").rename(folder / "stays.xls")
    assert "Of a format that is not read: stays.xls; save as CSV, Parquet or Excel (.xlsx)." in refused(folder)


def _stays_from(loaded: LoadedExtract) -> list[str]:
    return [file.source_file for name, file in loaded.files if name == "stays"]


def test_patterns_of_the_mapping_take_in_folders_gzip_and_zip_members(tmp_path: Path) -> None:
    folder = write(tmp_path / "x")
    text = (folder / "stays.csv").read_bytes()
    (folder / "stays.csv").unlink()
    mapping = {"stays": {"file": "Visits_*.csv"}}
    (folder / "visits_2025.csv.gz").write_bytes(gzip.compress(text))
    assert _stays_from(load(folder, mapping=mapping)[1]) == ["visits_2025.csv.gz"]
    (folder / "visits_2025.csv.gz").unlink()
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.writestr("2025/visits_2025.csv", text)
        archive.writestr("old/visits_2025.csv", text)
    only = {"stays": {"file": "*2025/visits_*.csv"}}
    assert _stays_from(load(folder, mapping=only)[1]) == ["all.zip/2025/visits_2025.csv"]
    for name in ("diagnoses", "procedures", "persons"):
        (folder / f"{name}.csv").unlink(missing_ok=True)
    message = refused(folder, mapping={"stays": {"file": "nothing_*.csv"}})
    assert 'or as hrrp.toml says ("nothing_*.csv")' in message


def test_a_pattern_of_the_mapping_that_no_file_fits_is_told(tmp_path: Path) -> None:
    message = refused(write(tmp_path / "x"), mapping={"stays": {"file": "visits_*.csv"}})
    assert 'stays ("visits_*.csv" in hrrp.toml) not found. Files seen: diagnoses.csv' in message


def test_a_mapping_to_a_heading_that_is_not_there_is_told(tmp_path: Path) -> None:
    message = refused(write(tmp_path / "x"), mapping={"stays": {"ccn": "Provider"}})
    assert 'hrrp.toml maps ccn to "Provider", which is not among the headings' in message


# --- every row accounted for ---


def damaged(tmp_path: Path, rows: int = 3) -> Path:
    """Stays of which some end before they begin, one line is short, and one stands twice."""
    stays = STAYS.copy()
    stays.loc[range(5, 5 + rows), "discharge_date"] = "2024-12-01"
    folder = write(tmp_path / "x", stays=pd.concat([stays, STAYS[:1].assign(stay_id="again")]))
    lines = (folder / "stays.csv").read_text().splitlines()
    lines.insert(3, "S-short,P1,010001")
    (folder / "stays.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_too_many_rejects_are_refused_in_words_that_help(tmp_path: Path) -> None:
    settings = Settings(data=damaged(tmp_path))
    with open_warehouse(None, settings) as warehouse:
        staged(warehouse, settings)
        with pytest.raises(InputContractError) as caught:
            enforce_reject_share(warehouse, settings)
        assert str(caught.value).startswith(
            "stays.csv, column discharge_date: 3 of 42 rows are before the admission date (first at row 8), and 1 have other faults. "
        )
        assert "They are in staging.rejects; correct the extract or pass --allow-rejects 10%" in str(caught.value)
        enforce_reject_share(warehouse, Settings(allow_rejects=0.1))
        ((read, kept, rejected, duplicates),) = warehouse.rows(
            "select rows_read, rows_kept, rows_rejected, duplicates from staging.row_accounting where source_file = 'stays.csv'"
        )
        assert (read, kept, rejected, duplicates) == (42, 37, 5, 1)


def test_duplicates_do_not_count_towards_the_share(tmp_path: Path) -> None:
    folder = write(tmp_path / "x", stays=pd.concat([STAYS, STAYS]))
    settings = Settings(data=folder, allow_rejects=0.0)
    with open_warehouse(None, settings) as warehouse:
        staged(warehouse, settings)
        enforce_reject_share(warehouse, settings)
        assert warehouse.rows("select duplicates from staging.row_accounting where canonical_file = 'stays'") == [(40,)]


def test_rows_that_do_not_add_up_fail_loudly(tmp_path: Path) -> None:
    settings = Settings(data=write(tmp_path / "x"))
    with open_warehouse(None, settings) as warehouse:
        staged(warehouse, settings)
        warehouse.execute("update staging.row_accounting set rows_kept = rows_kept - 1 where canonical_file = 'stays'")
        with pytest.raises(AccountError, match=r"stays\.csv: 40 read, 39 kept, 0 rejected"):
            enforce_reject_share(warehouse, settings)


def test_a_time_of_day_in_a_date_column_is_left_out(tmp_path: Path) -> None:
    moments = STAYS.assign(admit_date=[datetime.fromisoformat(day + "T13:45:00") for day in STAYS.admit_date])
    tables, _ = load(write(tmp_path / "x", "parquet", stays=moments))
    assert {row[3] for row in tables["intake.stays"]} == set(STAYS.admit_date)


# --- Parquet that stays where it lies ---


def bare(warehouse: Warehouse, table: str) -> str:
    """The table's columns without those that say where a record stands."""
    columns = [str(name) for name, *_ in warehouse.rows(f"describe {table}")]
    return ", ".join(name for name in columns if not re.search("source_file|row_number|record_key", name)) or "1"


def test_staging_is_the_same_from_parquet_in_place_and_from_copied_text(tmp_path: Path) -> None:
    # Faults of every file among them; the parts of one file, one of them with typed columns.
    stays = STAYS.assign(discharge_date=["2025-13-01", *STAYS.discharge_date[1:]], ccn=[*STAYS.ccn[:-1], "bad"])
    diagnoses = pd.concat([DIAGNOSES.astype(str), DIAGNOSES.head(3).astype(str)], ignore_index=True)
    diagnoses.loc[5, "sequence"] = "one"
    persons = PERSONS.assign(birth_date=["", *PERSONS.birth_date[1:]])
    text, parquet = tmp_path / "text", tmp_path / "parquet"
    write(text, stays=stays, diagnoses=diagnoses, persons=persons)
    write(parquet, "parquet", stays=stays, diagnoses=None, persons=persons)
    diagnoses[:50].to_parquet(parquet / "diagnoses_1.parquet")
    diagnoses[50:].astype({"sequence": int}).to_parquet(parquet / "diagnoses_2.parquet")
    found = {}
    for place in (text, parquet):
        settings = Settings(data=place)
        with open_warehouse(tmp_path / f"{place.name}.duckdb", settings) as warehouse:
            staged(warehouse, settings)
            views = warehouse.rows("select view_name from duckdb_views() where not internal order by 1")
            assert views == ([] if place == text else [("diagnoses",), ("persons",), ("stays",)])
            # Everything but where a record stands: the parts of a file count their records each for themselves.
            found[place.name] = {
                table: warehouse.rows(f"select {bare(warehouse, table)} from {table} order by all")
                for table in warehouse.tables()
                if table.startswith("staging.") and table not in ("staging.row_accounting", "staging.file_numbers")
            }
            counted = warehouse.rows(
                "select canonical_file, sum(rows_read)::int, sum(rows_kept)::int, sum(rows_rejected)::int "
                "from staging.row_accounting group by all order by all"
            )
            found[place.name]["accounts"] = counted
            assert all(read == kept + rejected for _, read, kept, rejected in counted)
            assert warehouse.tables()["intake.diagnoses"] == 83
    assert found["text"]["staging.rejects"]
    assert found["text"] == found["parquet"]


@pytest.mark.parametrize("change", ["changed", "gone", "damaged"])
def test_a_parquet_file_that_is_another_than_was_read_stops_the_run(tmp_path: Path, change: str) -> None:
    settings = Settings(data=write(tmp_path / "x", "parquet"))
    file = tmp_path / "x" / "diagnoses.parquet"
    steps = {step.name: step for step in load_steps()}
    with open_warehouse(None, settings) as warehouse:
        staged(warehouse, settings)
        status = file.stat()
        if change == "changed":
            DIAGNOSES.head(50).to_parquet(file)
        elif change == "gone":
            file.unlink()
        else:
            content = file.read_bytes()
            file.write_bytes(content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        with pytest.raises(
            InputContractError, match=r"diagnoses(\.parquet has changed|: a Parquet file is missing, damaged)"
        ):
            warehouse.run_step(steps["staging.diagnosis_faults"], {})


def test_an_extract_is_read_again_in_another_form(tmp_path: Path) -> None:
    copied, in_place = Settings(data=write(tmp_path / "a")), Settings(data=write(tmp_path / "b", "parquet"))
    odd = Settings(data=write(tmp_path / "c[1]", "parquet"))
    with open_warehouse(None, copied) as warehouse:
        for settings, views in ((copied, 0), (in_place, 3), (odd, 0), (in_place, 3), (copied, 0)):
            staged(warehouse, settings)
            assert warehouse.rows("select count(*) from duckdb_views() where not internal") == [(views,)]
            assert warehouse.count("staging.diagnoses") == 80


def test_every_column_of_the_intake_is_described(tmp_path: Path) -> None:
    settings = Settings(data=write(tmp_path / "x"))
    with open_warehouse(None, settings) as warehouse:
        load_extract(warehouse, settings, REFERENCE)
        found = set(
            warehouse.rows(
                "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns() where schema_name = 'intake'"
            )
        )
    described = {
        (row["table_name"], row["column_name"], row["type"])
        for row in REFERENCE.rows("data_dictionary")
        if row["table_name"].startswith("intake.")
    }
    assert described == found
