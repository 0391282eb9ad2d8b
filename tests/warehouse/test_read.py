"""Reading described files: every record with its number, checked against a slow reading with Python's csv module."""

from __future__ import annotations

import csv
import gzip
import io
import random
import zipfile
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from hrrp.errors import InputContractError
from hrrp.settings import Settings
from hrrp.warehouse import Field, FileRead, list_members, make_table, open_warehouse, read_file, read_heading

COLUMNS = ("stay_id", "code", "note")


def fields(*, free: bool = True) -> list[Field]:
    return [Field("stay_id", 0), Field("code", 1), Field("note", 2, free_text=free)]


def read(path: Path, wanted: list[Field] | None = None, *, threads: int = 2) -> tuple[list[tuple], FileRead]:
    """The table's rows in order of their number, and what the reader says."""
    wanted = wanted or fields()
    with open_warehouse(None, Settings(threads=threads)) as warehouse:
        make_table(warehouse, "intake.x", [item.column for item in wanted])
        (member,) = list_members(path)
        result = read_file(warehouse, "intake.x", read_heading(member), wanted)
        return warehouse.rows("select * exclude (source_file) from intake.x order by row_number"), result


def slow_reading(data: bytes, width: int) -> tuple[list[tuple], list[int]]:
    """The same by Python's csv module: kept rows with their record number, and the numbers of the records that do not fit."""
    lines = csv.reader(io.StringIO(data.decode("latin-1"), newline=""), strict=True)
    kept, rejected, number = [], [], 0
    while True:
        try:
            record = next(lines)
        except StopIteration:
            return kept, rejected
        except csv.Error:
            number += 1
            rejected.append(number)
            continue
        if not record:
            continue
        number += 1
        if number == 1:
            continue
        try:
            texts = [value.encode("latin-1").decode("utf-8") for value in record]
        except UnicodeDecodeError:
            texts = []
        if len(texts) != width:
            rejected.append(number)
        else:
            kept.append((*(text.strip() or None for text in texts), number))


def damaged_file(rows: int, seed: int, *, kinds: tuple[str, ...], every: int, padding: int = 0) -> bytes:
    """A file of `rows` rows, about one in `every` damaged in one of the given ways."""
    draw = random.Random(seed)
    lines = ["stay_id,code,note"]
    for row in range(rows):
        good = f"S{row},I50{row % 10},{'n' * padding}{row % 97}"
        kind = draw.choice(kinds) if draw.random() * every < 1 else "good"
        lines.append(
            {
                "good": good,
                "short": f"S{row},I500",
                "long": good + ",surplus",
                "quote": f'S{row},"I5"00,n',
                "line break": f'S{row},I500,"first\nsecond, with ""marks"""',
                "bytes": f"S{row}\udcff,I500,n",
                "blank": "",
                "accent": f"S{row},I500,né",
                "quoted": f'"S{row}","I500","n, {row}"',
                "empty": f"S{row},,",
            }[kind]
        )
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


ALL_KINDS = ("short", "long", "quote", "line break", "bytes", "blank", "accent", "quoted", "empty")


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize(("rows", "every"), [(1, 1), (60, 2), (5_000, 7), (120_000, 400)])
def test_every_record_keeps_its_number_whatever_is_damaged(tmp_path: Path, rows: int, every: int, threads: int) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(damaged_file(rows, seed=rows + threads, kinds=ALL_KINDS, every=every) + b"S0,I500,last\n")
    kept, rejected = slow_reading(path.read_bytes(), 3)
    found, result = read(path, fields(free=True), threads=threads)
    assert found == kept
    assert [reject.row_number for reject in result.rejects] == rejected
    assert result.rows_read == len(kept) + len(rejected)


@pytest.mark.parametrize("kinds", [("quoted", "empty"), ("line break", "short", "long")])
def test_a_file_larger_than_the_readers_buffers_is_numbered_alike(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(damaged_file(700_000, seed=3, kinds=kinds, every=5_000, padding=50))
    assert path.stat().st_size > 36 << 20
    kept, rejected = slow_reading(path.read_bytes(), 3)
    found, result = read(path, threads=4)
    assert found == kept
    assert [reject.row_number for reject in result.rejects] == rejected


def test_the_kind_of_damage_is_named_and_nothing_of_the_row(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(
        b'stay_id,code,note\nS1,I1,a\nS2,I2\nS3,I3,a,SECRET\nS4,"I4"SECRET,a\nS5\xff,SECRET,a\nS6,"I\n6",a\n'
    )
    found, result = read(path)
    assert found == [("S1", "I1", "a", 2)]
    assert [(r.row_number, r.column_name, r.value_class, r.reason) for r in result.rejects] == [
        (3, None, "too few fields", "wrong number of fields"),
        (4, None, "too many fields", "wrong number of fields"),
        (5, None, "broken quotation mark", "broken record"),
        (6, "stay_id", "bytes that are not UTF-8", "not UTF-8 text"),
        (7, "code", "line break", "broken record"),
    ]
    assert "SECRET" not in repr(result)


@pytest.mark.parametrize("delimiter", [",", "|", "\t", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_delimiters_line_ends_and_byte_order_marks(tmp_path: Path, delimiter: str, end: str, mark: bytes) -> None:
    path = tmp_path / "x.csv"
    rows = [["stay_id", "code", "note"], ["S1", "I1", ""], [" S2 ", '"I2"', "  "]]
    path.write_bytes(mark + end.join(delimiter.join(row) for row in rows).encode())
    assert read(path)[0] == [("S1", "I1", None, 2), ("S2", "I2", None, 3)]


def test_surplus_empty_fields_are_no_fault_on_either_way_through(tmp_path: Path) -> None:
    plain, odd = tmp_path / "plain.csv", tmp_path / "odd.csv"
    plain.write_bytes(b"stay_id,code,note,\nS1,I1,a,\nS2,I2,b,,,\n")
    odd.write_bytes(plain.read_bytes().replace(b"S2", b"\nS2") + b"S3,I3,c\n")
    assert read(plain)[0] == [("S1", "I1", "a", 2), ("S2", "I2", "b", 3)]
    assert read(odd)[0] == [("S1", "I1", "a", 2), ("S2", "I2", "b", 3), ("S3", "I3", "c", 4)]


def test_spaces_around_quotation_marks_are_no_fault_on_either_way_through(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    rows = b'stay_id,code,note\nS1, "I1" ,"a"\nS2,I2,in"side\n'
    for extra in (b"", b"\n\n"):
        path.write_bytes(rows.replace(b"S2", extra + b"S2"))
        assert read(path)[0] == [("S1", "I1", "a", 2), ("S2", "I2", 'in"side', 3)]


def test_no_text_has_spaces_around_it(tmp_path: Path) -> None:
    """Not even the space that does not break, where a file has no other; and what is only spaces is nothing."""
    path = tmp_path / "x.csv"
    for space in (" ", "\u00a0", "\u3000"):
        path.write_text(f"stay_id,code,note\n{space}S1{space},I1{space},{space}\nS2,I2,b\n", encoding="utf-8")
        assert read(path)[0] == [("S1", "I1", None, 2), ("S2", "I2", "b", 3)]


def test_windows_1252_is_taken_in_free_text_and_said_in_a_note(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("stay_id,code,note\nS1,I1,Cañón\nS2,I2,b\n".encode("cp1252"))
    found, result = read(path)
    assert found == [("S1", "I1", "Cañón", 2), ("S2", "I2", "b", 3)]
    assert result.notes == ("x.csv is not all UTF-8: 1 rows were read as Windows-1252 (only their free text differs)",)


def test_a_column_that_is_not_wanted_cannot_spoil_a_record(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"stay_id,code,note\nS1,I1,\xff\nS2,I2,b\n")
    assert read(path, [Field("stay_id", 0), Field("code", 1)])[0] == [("S1", "I1", 2), ("S2", "I2", 3)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"  \n\n", "is empty"),
        (b"only\n1\n", "one column only"),
        ("stay_id,code\nS,I\n".encode("utf-16"), "UTF-16"),
        ("stay_id,code\nS,I\n".encode("utf-16-le"), "UTF-16"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"PK\x03\x04..[Content_Types].xml", "an Excel workbook"),
        (b"\x1f\x8brest", "a gzip archive"),
        (b"PAR1rest", "a Parquet file"),
        (b"\xd0\xcf\x11\xe0rest", "old Excel"),
        (b"%PDF-1.7", "a PDF"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"stay_id,code\nS\0,I\n", "zero bytes"),
        (b"stay_id,code\rS,I\r", "carriage returns"),
        (b'stay_id,code,note\nS1,"I1,a\nS2,I2,b\n', "row 2 is never properly closed"),
        (b'stay_id,code,note\nS1,"I1,a\nS2,"I2",b\n', "row 2 is never properly closed"),
        (b'stay_id,code,note\nS1,"I1,a' + b"\nS2,I2,b" * 101 + b'",c\n', "row 2 is never properly closed"),
        (b"stay_id,code,note\nS1,I1,a\nS2,I", "row 3): the file is cut off"),
        (b"stay_id,code,note\nS1,I1," + b"x" * 1_000_001 + b"\n", "more than a million bytes, row 2"),
        (b"stay_id,code,note\nS1|I1|a\nS2|I2|b\n", "none of its 2 rows fits the heading"),
    ],
)
def test_files_that_are_refused_whole(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(InputContractError) as caught:
        read(path)
    assert words in str(caught.value)
    assert "x.csv" in str(caught.value)
    assert "I1" not in str(caught.value)


def test_a_whole_last_record_without_a_line_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"stay_id,code,note\nS1,I1\nS2,I2,b")
    found, result = read(path)
    assert found == [("S2", "I2", "b", 3)]
    assert len(result.rejects) == 1


def test_a_missing_place_and_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputContractError, match="no such folder or file"):
        list_members(tmp_path / "nowhere")
    (tmp_path / "stays.csv").mkdir()
    with pytest.raises(InputContractError, match=r"stays\.csv is an empty folder"):
        list_members(tmp_path)


CONTENT = b"stay_id,code,note\nS1,I1,a\nS2,I2,b\n"
EXPECTED = [("S1", "I1", "a", 2), ("S2", "I2", "b", 3)]


def test_gzip_and_zip_members(tmp_path: Path) -> None:
    packed = tmp_path / "x.csv.gz"
    packed.write_bytes(gzip.compress(CONTENT))
    assert read(packed)[0] == EXPECTED
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("folder/x.csv", CONTENT)
        members.writestr("__MACOSX/folder/._x.csv", b"junk")
    found, result = read(archive)
    assert found == EXPECTED
    assert result.source_file == "all.zip/folder/x.csv"


@pytest.mark.parametrize("name", ["x.csv.gz", "x.zip", "x.parquet", "x.xlsx"])
def test_files_cut_off_or_damaged_are_refused(tmp_path: Path, name: str) -> None:
    whole = tmp_path / name
    rows = pd.DataFrame(
        {"stay_id": [f"S{i}" for i in range(5_000)], "code": "I", "note": [str(i * 7919) for i in range(5_000)]}
    )
    if name == "x.csv.gz":
        whole.write_bytes(gzip.compress(rows.to_csv(index=False).encode()))
    elif name == "x.zip":
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as members:
            members.writestr("x.csv", rows.to_csv(index=False))
    elif name == "x.parquet":
        rows.to_parquet(whole)
    else:
        rows.head(50).to_excel(whole, index=False)
    assert read(whole)[1].rows_read in (50, 5_000)
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputContractError, match="cut off"):
        read(whole)
    if name == "x.parquet":
        return  # values inside a Parquet file carry no checksum, so only its structure can be seen to be damaged
    whole.write_bytes(content[: len(content) // 3] + bytes(200) + content[len(content) // 3 + 200 :])
    with pytest.raises(InputContractError, match=r"x\."):
        read(whole)


def test_parquet_types_become_the_text_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pd.DataFrame(
        {
            "ccn": [10001, 330101],
            "day": [date(2024, 1, 2), None],
            "moment": [datetime(2024, 1, 2, 10, 30), None],
            "month": [date(2024, 1, 1), None],
            "yes": [True, None],
            "amount": [12.5, float("nan")],
            "whole": [291.0, 3.0],
            "text": [" a ", ""],
            ' odd "heading" ': ["x", None],
            "utc": pd.to_datetime(["2024-01-02 05:00", None], utc=True),
            "nothing": [None, None],
        }
    ).to_parquet(path)
    wanted = [
        Field("ccn", 0, width=6),
        Field("day", 1, kind="date"),
        Field("moment", 2, kind="date"),
        Field("month", 3, kind="month"),
        Field("yes", 4),
        Field("amount", 5),
        Field("whole", 6, width=3),
        Field("text", 7),
        Field("odd", 8),
        Field("utc", 9, kind="date"),
        Field("nothing", 10),
        Field("absent", None),
    ]
    found, result = read(path, wanted)
    assert found == [
        ("010001", "2024-01-02", "2024-01-02", "2024-01", "true", "12.5", "291", "a", "x", "2024-01-02", None, None, 2),
        ("330101", None, None, None, None, None, "003", None, None, None, None, None, 3),
    ]
    assert any("column ccn" in note for note in result.notes)


def test_a_parquet_column_of_an_unusable_type_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pd.DataFrame({"stay_id": ["S1"], "code": [["I1", "I2"]], "note": ["a"]}).to_parquet(path)
    with pytest.raises(InputContractError, match=r"x\.parquet, column code: it is of type varchar\[\]"):
        read(path)


def test_excel_cells_become_the_text_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ["ccn", "day", "yes", "amount", "text"],
        [10001, datetime(2024, 1, 2), True, 12.5, " a "],
        [None] * 5,
        ["330101", "2024-01-02", False, 3.0, None],
        ["330101", None, None, None, None, "beyond the heading"],
    ):
        sheet.append(row)
    book.create_sheet("other")
    book.save(path)
    wanted = [
        Field("ccn", 0, width=6),
        Field("day", 1, kind="date"),
        *(Field(n, i) for i, n in enumerate(("yes", "amount", "text"), 2)),
    ]
    found, result = read(path, wanted)
    assert found == [
        ("010001", "2024-01-02", "true", "12.5", "a", 2),
        ("330101", "2024-01-02", "false", "3", None, 4),
    ]
    assert [reject.row_number for reject in result.rejects] == [5]
    assert result.rows_read == 3
    assert any("only the first sheet" in note for note in result.notes)


def test_no_private_copy_is_left_behind(tmp_path: Path) -> None:
    packed = tmp_path / "in" / "x.csv.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(CONTENT + b"S3\n"))
    with open_warehouse(tmp_path / "out" / "w.duckdb", Settings()) as warehouse:
        make_table(warehouse, "intake.x", COLUMNS)
        read_file(warehouse, "intake.x", read_heading(list_members(packed)[0]), fields())
        assert list(warehouse.spill_folder().iterdir()) == []
        assert warehouse.spill_folder().stat().st_mode & 0o077 == 0


def test_what_a_run_wrote_below_its_extract_is_no_part_of_the_extract(tmp_path: Path) -> None:
    for name in ("stays.csv", "results/reports/list.csv", "results/proofs.json", "more/stays.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a\n1\n", encoding="utf-8")
    assert [member.name for member in list_members(tmp_path, tmp_path / "results")] == ["more/stays.csv", "stays.csv"]
    # In the extract's own folder, or around it, results hide no file of the extract.
    assert len(list_members(tmp_path, tmp_path)) == len(list_members(tmp_path / "results", tmp_path)) + 2 == 4
