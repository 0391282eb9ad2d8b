"""`hrrp public`, as a person and as a program call it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hrrp.cli import main
from hrrp.program import MEASURES, Reference

FILES = Path(__file__).parents[1] / "intake" / "supplemental_files"
NEWEST = FILES / "fy2027_trailing_tab.txt"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Call the command line; returns exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["hrrp", "public", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def altered(path: Path, source: Path, row: int, old: str, new: str) -> Path:
    lines = source.read_text(encoding="utf-8").splitlines()
    assert old in lines[row - 1]
    lines[row - 1] = lines[row - 1].replace(old, new, 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_document_has_the_contracts_keys(run: Run) -> None:
    code, out, err = run(NEWEST, "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert {
        "program_year": 2027,
        "hospitals": 10,
        "exact": 10,
        "within_input_rounding": 10,
        "outside": [],
    }.items() <= document.items()
    assert len(document["rows"]) == 10
    for row in document["rows"]:
        assert {
            "ccn",
            "paf_published",
            "paf",
            "payment_reduction",
            "peer_group_published",
            "peer_group",
            "measures",
        } <= set(row)
        assert tuple(row["measures"]) == MEASURES
        assert row["paf"] == pytest.approx(1 - row["payment_reduction"], abs=1e-15)
        contributions = [figures["contribution"] for figures in row["measures"].values()]
        assert row["payment_reduction"] == pytest.approx(min(sum(contributions), 0.03), abs=1e-15)
        for figures in row["measures"].values():
            assert {
                "eligible_discharges",
                "err",
                "peer_group_median",
                "peer_group_median_recomputed",
                "drg_payment_ratio",
                "contribution",
                "penalty_indicator",
            } <= set(figures)


def test_a_measure_that_the_year_lacks_is_there_and_null(run: Run) -> None:
    document = json.loads(run(FILES / "fy2023_no_pneumonia.txt", "--json")[1])
    for row in document["rows"]:
        assert set(row["measures"]["PN"].values()) == {None}
        assert row["measures"]["HF"]["peer_group_median"] is not None
    assert any("FY2023's payment formula: PN" in note for note in document["notes"])


def test_a_part_of_a_file_has_no_groups_and_says_so(run: Run, tmp_path: Path) -> None:
    lines = NEWEST.read_text(encoding="utf-8").splitlines()
    part = tmp_path / "part.txt"
    part.write_text("\n".join(lines[:5]) + "\n", encoding="utf-8")
    code, out, _ = run(part, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["hospitals"] == document["within_input_rounding"] == 3
    assert not document["complete"]
    for row in document["rows"]:
        assert row["peer_group"] is None
        assert row["peer_group_published"] is not None
        assert {figures["peer_group_median_recomputed"] for figures in row["measures"].values()} == {None}
    assert any(note.startswith("Not complete: 3 hospitals") for note in document["notes"])


def test_a_file_before_fy2019_is_listed_with_unknown_factors(run: Run) -> None:
    code, out, _ = run(FILES / "fy2013_zero_err_maryland.txt", "--json")
    document = json.loads(out)
    assert code == 0
    assert (document["exact"], document["within_input_rounding"], document["outside"]) == (None, None, [])
    assert document["rows"][0]["paf_published"] == 0.9963
    assert document["rows"][0]["paf"] is None
    assert document["rows"][0]["measures"]["HF"]["err"] == 1.0231
    assert set(document["rows"][0]["measures"]["CABG"].values()) == {None}
    assert any("no DRG payment ratios" in note for note in document["notes"])
    code, out, _ = run(FILES / "fy2013_zero_err_maryland.txt", "--ccn", "010801")
    assert code == 0
    assert "not recomputed" in out
    assert "not in FY2013" in out


def test_a_factor_outside_ends_with_13_after_the_document(run: Run, tmp_path: Path) -> None:
    lines = NEWEST.read_text(encoding="utf-8").splitlines()
    ccn, factor = lines[3].split("\t")[:2]
    wrong = altered(tmp_path / "wrong.txt", NEWEST, 4, factor, "0.9712")
    code, out, err = run(wrong, "--json")
    assert code == 13
    assert json.loads(out)["outside"] == [ccn]
    assert f"1 of 10 published factors do not follow from the printed figures (first: {ccn})" in err
    code, out, err = run(wrong)
    assert code == 13
    assert "Published factors that do not follow" in out
    assert ccn in out
    assert "0.9712" in out


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", 10, "is empty"),
        (b"PK\x03\x04 broken", 10, "truncated"),
        (b"Facility,City\nA,B\n", 12, "Headings seen: Facility; City"),
    ],
)
def test_bad_files_end_with_their_code_and_print_nothing(
    run: Run, tmp_path: Path, content: bytes, code: int, words: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    ended, out, err = run(path, "--json")
    assert (ended, out) == (code, "")
    assert words in err


def test_a_year_without_rules_ends_with_11(run: Run, tmp_path: Path) -> None:
    assert run(altered(tmp_path / "fy2041.txt", NEWEST, 1, "FY 2027", "FY 2041"))[0] == 11


def test_a_person_gets_a_summary_a_list_and_the_next_step(run: Run) -> None:
    code, out, err = run(NEWEST)
    assert (code, err) == (0, "")
    for words in ("FY2027", "10  recomputed and compared", "Largest reductions", "Next", "--ccn 010801"):
        assert words in out
    assert max(map(len, out.splitlines())) <= 100


def test_one_hospitals_page(run: Run) -> None:
    code, out, _ = run(NEWEST, "--ccn", "10802", "--ccn", "670810")
    assert code == 0
    assert out.index("010802") < out.index("670810")
    for words in ("Eligible", "ERR", "DRG pay-", "Contribution", "THA/TKA", "Factor recomputed", "Factor published"):
        assert words in out
    assert "Largest reductions" not in out
    assert max(map(len, out.splitlines())) <= 100


def test_one_hospitals_row(run: Run) -> None:
    document = json.loads(run(NEWEST, "--ccn", "670810", "--json")[1])
    assert [row["ccn"] for row in document["rows"]] == ["670810"]
    assert document["hospitals"] == 10


def test_an_unknown_hospital_is_wrong_use(run: Run) -> None:
    code, out, err = run(NEWEST, "--ccn", "999999")
    assert (code, out) == (2, "")
    assert "does not list hospital 999999" in err


def test_names_and_rates_are_joined(run: Run, tmp_path: Path) -> None:
    general = tmp_path / "general.csv"
    general.write_text("Facility ID,Facility Name,State\n010801,INVENTED [GENERAL],AL\n", encoding="utf-8")
    catalog = tmp_path / "pdc.csv"
    catalog.write_text(
        "Facility Name,Facility ID,State,Measure Name,Number of Discharges,Footnote,Excess Readmission Ratio,"
        "Predicted Readmission Rate,Expected Readmission Rate,Number of Readmissions,Start Date,End Date\n"
        "SECOND,010802,NY,READM-30-HF-HRRP,616,,1.1003,23.1263,21.0184,149,07/01/2023,06/30/2025\n",
        encoding="utf-8",
    )
    code, out, _ = run(NEWEST, "--general-info", general, "--pdc", catalog, "--json")
    document = json.loads(out)
    assert code == 0
    first, second, third = document["rows"][:3]
    assert (first["name"], first["state"], third["name"]) == ("INVENTED [GENERAL]", "AL", None)
    assert second["name"] == "SECOND"
    assert second["measures"]["HF"]["predicted"] == 0.231263
    assert second["measures"]["HF"]["readmissions"] == 149
    assert first["measures"]["HF"]["predicted"] is None
    assert any(note.startswith("8 of 10 hospitals are not in the files of names") for note in document["notes"])
    out = run(NEWEST, "--general-info", general, "--ccn", "010801")[1]
    assert "INVENTED [GENERAL], AL" in out


def test_a_catalog_file_of_another_period_gives_names_only(run: Run, tmp_path: Path) -> None:
    catalog = tmp_path / "pdc.csv"
    catalog.write_text(
        "Facility Name,Facility ID,State,Measure Name,Number of Discharges,Footnote,Excess Readmission Ratio,"
        "Predicted Readmission Rate,Expected Readmission Rate,Number of Readmissions,Start Date,End Date\n"
        "SECOND,010802,NY,READM-30-HF-HRRP,616,,1.1003,23.1263,21.0184,149,07/01/2020,06/30/2023\n",
        encoding="utf-8",
    )
    document = json.loads(run(NEWEST, "--pdc", catalog, "--json")[1])
    assert document["rows"][1]["name"] == "SECOND"
    assert "predicted" not in document["rows"][1]["measures"]["HF"]
    assert any("only names are taken" in note for note in document["notes"])


def test_a_small_file_is_not_adopted(run: Run, tmp_path: Path) -> None:
    code, out, err = run(NEWEST, "--adopt", "--site", tmp_path / "site", "--json")
    assert code == 10
    assert json.loads(out)["adopted"] is None
    assert "nothing is adopted" in err
    assert not (tmp_path / "site").exists()


def test_the_complete_fy2025_file(run: Run, cms_dir: Path) -> None:
    code, out, _ = run(cms_dir / "fy2025_hrrp_supplemental.csv", "--json")
    document = json.loads(out)
    assert code == 0
    assert {
        "program_year": 2025,
        "hospitals": 2980,
        "exact": 2914,
        "within_input_rounding": 2980,
        "outside": [],
        "peer_groups_agree": 2980,
        "medians_agree": 30,
        "neutrality_modifier": 0.96524016588985,
    }.items() <= document.items()
    assert all(row["peer_group"] == row["peer_group_published"] for row in document["rows"])
    first = document["rows"][0]
    assert first["paf"] == pytest.approx(0.99747024065882589, abs=1e-15)
    assert first["measures"]["HF"]["peer_group_median_recomputed"] == 0.98755


def next_year(source: Path, path: Path, keep: int | None = None) -> Path:
    """CMS's FY2025 file under the title of FY2028."""
    lines = source.read_text(encoding="utf-8").splitlines()
    lines[0] = lines[0].replace("FY 2025", "FY 2028")
    path.write_text("\n".join(lines[:keep]) + "\n", encoding="utf-8")
    return path


def test_a_new_year_is_adopted_and_then_published(run: Run, cms_dir: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert Reference(site).peer_group_medians(2028).is_stand_in
    new = next_year(cms_dir / "fy2025_hrrp_supplemental.csv", tmp_path / "fy2028.csv")
    code, out, _ = run(new, "--adopt", "--site", site, "--json")
    assert code == 0
    rows = json.loads(out)["adopted"]["rows"]
    # Reduction and chance of 2,980 hospitals; ratios, cases and payment ratios of those that have them.
    assert rows.pop("published_results") == 2 * 2980 + 14843 + 14843 + 14838
    assert rows == {"peer_group_medians": 30, "peer_group_cuts": 5, "program_years": 1}
    reference = Reference(site)
    for published in (
        reference.neutrality_modifier(2028),
        reference.peer_group_medians(2028),
        reference.peer_group_cuts(2028),
    ):
        assert not published.is_stand_in
    assert reference.neutrality_modifier(2028).value == 0.9652
    assert reference.peer_group_medians(2028).value[2, "HF"] == 0.9875
    assert len(reference.peer_group_medians(2028).value) == 30
    assert reference.peer_group_cuts(2028).value == {1: 0.148, 2: 0.1928, 3: 0.2414, 4: 0.3175, 5: 1.0}
    assert reference.program_year(2028).max_reduction == 0.03
    with (site / "program_years.csv").open(encoding="utf-8") as lines:
        (row,) = csv.DictReader(lines)
    assert (row["program_year"], row["hospitals_in_file"]) == ("2028", "2980")
    assert "fy2028.csv" in row["source"]
    # Adopting a second time changes nothing.
    before = {path.name: path.read_bytes() for path in site.iterdir()}
    assert run(new, "--adopt", "--site", site)[0] == 0
    assert {path.name: path.read_bytes() for path in site.iterdir() if path.suffix == ".csv"} == before


def test_a_part_of_a_new_year_is_not_adopted(run: Run, cms_dir: Path, tmp_path: Path) -> None:
    part = next_year(cms_dir / "fy2025_hrrp_supplemental.csv", tmp_path / "fy2028.csv", keep=2500)
    code, _, err = run(part, "--adopt", "--site", tmp_path / "site")
    assert code == 10
    assert "it is not the complete file" in err
    assert not (tmp_path / "site").exists()


def test_adopting_a_known_year_keeps_the_modifiers_further_digits(run: Run, cms_dir: Path, tmp_path: Path) -> None:
    code, _, _ = run(cms_dir / "fy2025_hrrp_supplemental.csv", "--adopt", "--site", tmp_path / "site")
    assert code == 0
    assert Reference(tmp_path / "site").neutrality_modifier(2025).value == 0.96524016588985


def test_the_outlook_gives_the_next_years_as_distributions(run: Run) -> None:
    code, out, _ = run(NEWEST, "--outlook", "--json")
    document = json.loads(out)
    assert code == 0
    for row in document["rows"]:
        assert list(row["outlook"]) == ["2028", "2029", "2030"]
        for figures in row["outlook"].values():
            low, high = figures["payment_reduction_interval"]
            assert 0 <= low <= figures["payment_reduction_median"] <= high <= 0.03
            assert figures["paf_interval"] == [pytest.approx(1 - high), pytest.approx(1 - low)]
            assert 0 <= figures["chance_of_penalty"] <= 1
            assert sum(figures["chance_of_peer_group"].values()) == pytest.approx(1, abs=1e-5)
            assert tuple(figures["measures"]) == MEASURES
    # FY2028 shares a year with FY2027's two; FY2029 shares nothing, and its ranges are no narrower.
    first = document["rows"][0]["outlook"]
    assert first["2028"]["share_of_period_already_printed"] == pytest.approx(0.5, abs=0.01)
    assert first["2029"]["share_of_period_already_printed"] == 0.0
    widths = [
        {
            year: high - low
            for year, (low, high) in ((y, r["outlook"][y]["measures"]["HF"]["err_interval"]) for y in r["outlook"])
        }
        for r in document["rows"]
        if r["measures"]["HF"]["err"]
    ]
    assert all(width["2028"] < width["2029"] for width in widths)
    assert any("--pdc" in note for note in document["notes"])


def test_the_outlook_is_shown_hospital_by_hospital(run: Run) -> None:
    ccn = json.loads(run(NEWEST, "--json")[1])["rows"][0]["ccn"]
    code, out, _ = run(NEWEST, "--outlook", "--ccn", ccn)
    assert code == 0
    assert "Outlook from public files alone" in out
    assert "FY2030" in out
    code, _, err = run(NEWEST, "--outlook")
    assert code == 2
    assert "--ccn" in err


def test_no_outlook_without_peer_groups(run: Run) -> None:
    code, _, err = run(FILES / "fy2013_zero_err_maryland.txt", "--outlook", "--json")
    assert code == 10
    assert "FY2019 or later" in err
