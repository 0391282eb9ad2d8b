"""The Provider Data Catalog files: small invented ones for each quirk, and the real ones of two years."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from hrrp.errors import InputContractError, ReportFormatError
from hrrp.intake.provider_data import (
    HospitalName,
    ProviderDataMeasure,
    ratio_agrees,
    read_hospital_names,
    read_provider_data,
)
from hrrp.intake.supplemental import read_supplemental
from hrrp.program import MEASURES, Reference

REFERENCE = Reference()
HEADINGS = (
    '"Facility Name","Facility ID","State","Measure Name","Number of Discharges","Footnote","Excess Readmission Ratio",'
    '"Predicted Readmission Rate","Expected Readmission Rate","Number of Readmissions","Start Date","End Date"'
)
ROWS = [
    "INVENTED HOSPITAL,010801,AL,READM-30-HF-HRRP,616,,1.1003,23.1263,21.0184,149,07/01/2020,06/30/2023",
    "INVENTED HOSPITAL,010801,AL,READM-30-HIP-KNEE-HRRP,N/A,,0.8916,3.5325,3.9618,Too Few to Report,07/01/2020,06/30/2023",
    "INVENTED HOSPITAL,010801,AL,READM-30-CABG-HRRP,N/A,5,N/A,N/A,N/A,N/A,07/01/2020,06/30/2023",
    '"SECOND, INC",330802,NY,READM-30-AMI-HRRP,"1,270",,0.9483,13.0146,13.7235,165,07/01/2020,06/30/2023',
]


def write(path: Path, rows: list[str], headings: str = HEADINGS) -> Path:
    path.write_text("\n".join([headings, *rows]) + "\n", encoding="utf-8")
    return path


def test_figures_hidden_figures_and_footnotes(tmp_path: Path) -> None:
    file = read_provider_data(write(tmp_path / "pdc.csv", ROWS), REFERENCE)
    assert (file.program_year, file.start, file.end) == (2025, date(2020, 7, 1), date(2023, 6, 30))
    invented = file.hospitals["010801"]
    assert invented["HF"] == ProviderDataMeasure(616, 149, False, 0.231263, 0.210184, 1.1003, ())
    assert invented["THA_TKA"] == ProviderDataMeasure(None, None, True, 0.035325, 0.039618, 0.8916, ())
    assert invented["CABG"] == ProviderDataMeasure(None, None, False, None, None, None, ("5",))
    assert file.hospitals["330802"]["AMI"].discharges == 1270
    assert file.names == {
        "010801": HospitalName("INVENTED HOSPITAL", "AL"),
        "330802": HospitalName("SECOND, INC", "NY"),
    }
    assert [(ccn, measure) for ccn, measure, _ in file.rows()] == [
        ("010801", "HF"),
        ("010801", "THA_TKA"),
        ("010801", "CABG"),
        ("330802", "AMI"),
    ]


@pytest.mark.parametrize(
    ("start", "end", "year"),
    [
        ("07/01/2019", "06/30/2022", 2024),
        ("07/01/2018", "06/30/2021", 2023),
        ("07/01/2017", "12/01/2019", 2022),
        ("07/01/2023", "06/30/2025", 2027),
        ("2016-07-01", "2019-06-30", 2021),
        ("01/01/2020", "12/31/2020", None),
    ],
)
def test_the_program_year_follows_from_the_dates(tmp_path: Path, start: str, end: str, year: int | None) -> None:
    rows = [row.replace("07/01/2020", start).replace("06/30/2023", end) for row in ROWS]
    assert read_provider_data(write(tmp_path / "pdc.csv", rows), REFERENCE).program_year == year


def test_earlier_headings_are_known(tmp_path: Path) -> None:
    headings = HEADINGS.replace("Facility Name", "Hospital Name").replace("Facility ID", "Provider Number")
    assert set(read_provider_data(write(tmp_path / "pdc.csv", ROWS, headings), REFERENCE).hospitals) == {
        "010801",
        "330802",
    }


def test_a_measure_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    rows = [*ROWS, ROWS[0].replace("READM-30-HF-HRRP", "READM-30-SEPSIS-HRRP")]
    assert set(read_provider_data(write(tmp_path / "pdc.csv", rows), REFERENCE).hospitals["010801"]) == {
        "HF",
        "THA_TKA",
        "CABG",
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS, ROWS[0]], "row 6: HF of hospital 010801 stands here for the second time"),
        ([*ROWS, ROWS[0].replace("010801", "010802").replace("616", "many")], "row 6: a figure is neither"),
        ([*ROWS, ROWS[0].replace("010801", "010802").replace("23.1263", "high")], "row 6: a figure is neither"),
        ([*ROWS, ROWS[0].replace("010801", "010802").replace("07/01/2020", "July")], "row 6: a figure is neither"),
        ([*ROWS, ROWS[0].replace("010801", "010802").replace("2023", "2022")], "mixes 2 periods"),
        ([*ROWS, "INVENTED HOSPITAL,010801,AL,READM-30"], "row 6: 4 of 12 columns"),
        ([], "lists no HRRP measure"),
    ],
)
def test_what_cannot_be_meant_is_placed(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(InputContractError, match=message):
        read_provider_data(write(tmp_path / "pdc.csv", rows), REFERENCE)


def test_other_files_are_refused_with_their_headings(tmp_path: Path) -> None:
    path = write(tmp_path / "other.csv", ["x,1"], "Name of county,Population")
    with pytest.raises(ReportFormatError, match="Name of county; Population"):
        read_provider_data(path, REFERENCE)
    path = write(tmp_path / "general.csv", ["010801,INVENTED HOSPITAL,AL"], "Facility ID,Facility Name,State")
    with pytest.raises(ReportFormatError, match="measure name"):
        read_provider_data(path, REFERENCE)
    assert read_hospital_names(path) == {"010801": HospitalName("INVENTED HOSPITAL", "AL")}


@pytest.mark.parametrize(
    ("predicted", "expected", "err", "agrees"),
    [
        (0.231263, 0.210184, 1.1003, True),
        (0.231263, 0.210184, 1.1005, False),
        (0.231263, 0.210184, 1.1001, False),
        (None, 0.210184, 1.1003, None),
    ],
)
def test_the_ratio_of_the_printed_rates(
    predicted: float | None, expected: float | None, err: float | None, agrees: bool | None
) -> None:
    assert ratio_agrees(ProviderDataMeasure(100, 20, False, predicted, expected, err, ())) is agrees


@pytest.mark.parametrize(("year", "hospitals", "ratios"), [(2024, 3129, 12077), (2025, 3085, 11927)])
def test_the_real_files(cms_dir: Path, year: int, hospitals: int, ratios: int) -> None:
    file = read_provider_data(cms_dir / f"fy{year}_pdc_hrrp_hospital.csv", REFERENCE)
    assert file.program_year == year
    assert len(file.hospitals) == hospitals
    assert all(tuple(sorted(measures)) == tuple(sorted(MEASURES)) for measures in file.hospitals.values())
    agreement = Counter(ratio_agrees(figures) for _, _, figures in file.rows())
    assert agreement == {True: ratios, None: hospitals * 6 - ratios}


def test_the_real_fy2025_files_agree_with_each_other(cms_dir: Path) -> None:
    catalog = read_provider_data(cms_dir / "fy2025_pdc_hrrp_hospital.csv", REFERENCE)
    supplemental = read_supplemental(cms_dir / "fy2025_hrrp_supplemental.csv", reference=REFERENCE)
    both = [
        (figures, catalog.hospitals[row.ccn][measure])
        for row in supplemental.hospitals
        for measure, figures in row.measures.items()
        if row.ccn in catalog.hospitals and catalog.hospitals[row.ccn][measure].err is not None
    ]
    assert len(both) == 11730
    assert all(ours.err == theirs.err for ours, theirs in both)
    # What the supplemental file leaves blank the catalog prints as 0: a blank means no discharges.
    blank = Counter(
        theirs.discharges
        for row in supplemental.hospitals
        for measure, ours in row.measures.items()
        if ours.eligible_discharges is None and (theirs := catalog.hospitals.get(row.ccn, {}).get(measure))
    )
    assert set(blank) == {None, 0}


def test_names_of_the_real_general_information_file(cms_dir: Path) -> None:
    names = read_hospital_names(cms_dir / "hospital_general_information_2026.csv")
    assert len(names) == 5381
    assert names["010001"] == HospitalName("SOUTHEAST HEALTH MEDICAL CENTER", "AL")
