"""What the views say adds up, in words and in pictures: parts make the headline's figure, labels are whole, filters go into the export."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator
from datetime import date

import pytest
from page_site import HEADER, MY_HOSPITAL, PATIENT_USER, PROXY, Site
from starlette.testclient import TestClient

from hrrp.review import charts, stays, views
from hrrp.review.page import make_app
from hrrp.review.published import Published, Version
from hrrp.review.suppression import HIDDEN
from hrrp.review.viewers import Viewer

ALL = Viewer(patient_level=True)
MONTHS = [date(2026, month, 28) for month in range(1, 9)]


@pytest.fixture(scope="module")
def version(site: Site) -> Iterator[Version]:
    published = Published(site.local)
    yield published.current()
    published.close()


def words_of(svg: str) -> str:
    """The text of a chart as it is read, broken labels joined."""
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))


def test_parts_make_the_figure_of_the_headline(version: Version) -> None:
    """Contributions, cap and chance end at the likely reduction, exactly where nothing is withheld."""
    checked = 0
    for ccn, hospital in version.hospitals.items():
        for year in hospital.totals:
            view = views.hospital_view(views.place_of(version, ALL, ccn, year))
            fall, likely = view["waterfall"], view["headline"]["likely"]
            if view["headline"]["exempt"] or likely is None:
                continue
            assert sum(fall["parts"].values()) + fall["cap"] + fall["chance"] == pytest.approx(likely, abs=1e-12)
            assert fall["total"] == likely
            checked += 1
    assert checked > 10


def test_rounded_parts_make_the_rounded_figure(version: Version) -> None:
    coarse = 0
    for ccn, hospital in version.hospitals.items():
        for year in hospital.totals:
            view = views.hospital_view(views.place_of(version, Viewer(), ccn, year))
            fall = view["waterfall"]
            if view["coarse"] and fall["closed"] is not None:
                parts = sum(fall["parts"].values()) + fall["closed"] + fall["cap"]
                assert parts == pytest.approx(fall["total"], abs=1e-9)
                coarse += 1
    assert coarse > 3


def test_every_figure_names_source_period_rule_year_and_stand_ins(version: Version) -> None:
    place = views.place_of(version, ALL, MY_HOSPITAL, 2029)
    said = views.basis(place)["year"]
    assert re.fullmatch(
        r"hrrp \S+, as of October 31, 2026 · discharges July 1, 2025 to October 31, 2026 · rule year FY2029 · "
        r"stand-ins of FY\d{4}(, FY\d{4})*",
        said,
    )


def test_an_export_holds_what_the_filters_leave(version: Version) -> None:
    place = views.place_of(version, ALL, MY_HOSPITAL, 2029)
    for chosen in (
        {"measure": "HF"},
        {"show": "readmitted"},
        {"measure": "PN", "show": "excluded"},
        {"needle": "i"},
    ):
        listed = stays.stay_list(place, **chosen)  # type: ignore[arg-type]
        number, text = stays.export(place, **chosen)
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == number == listed["total"] > 0, chosen
        if chosen.get("show") == "readmitted":
            assert {row["readmitted"] for row in rows} == {"True"}


def test_the_list_is_in_the_order_of_the_database(version: Version) -> None:
    """Unknown values last whichever way, equal ones by measure and in the order of the extract, and the filters as SQL has them."""
    place = views.place_of(version, ALL, MY_HOSPITAL, 2029)
    columns = {
        "discharge": "stays.discharge_date",
        "stay": "flow.stay_id",
        "age": "age",
        "days": "days",
        "risk": "risk",
        "reason": "first_reason",
    }
    checked = 0
    with version.open_patients() as warehouse:
        for (sort, column), (descending, word) in itertools.product(columns.items(), ((True, "desc"), (False, "asc"))):
            for needle, reason in (("", ""), ("i", ""), ("", "payer")):
                expected = warehouse.rows(
                    f"""
                    select flow.measure, flow.stay_key, linear_predictor as risk
                    from cohort.cohort_flow as flow
                    inner join cohort.stays as stays using (stay_key)
                    left join cohort.readmissions using (program_year, measure, stay_key)
                    left join risk.linear_predictors using (program_year, measure, stay_key)
                    where flow.program_year = 2029 and flow.ccn = $ccn and ($reason = '' or list_contains(reasons, $reason))
                        and (contains(lower(flow.stay_id), $needle) or starts_with(lower(principal_code), $needle))
                    order by {column} {word} nulls last, flow.measure, flow.stay_key
                    """,
                    {"ccn": MY_HOSPITAL, "needle": needle, "reason": reason},
                )
                view = stays.stay_list(place, sort=sort, descending=descending, needle=needle, reason=reason)
                listed = [(row["measure"], row["stay_key"]) for row in view["rows"]]
                assert view["total"] == len(expected)
                assert listed == [row[:2] for row in expected[: stays.PAGE_ROWS]], (sort, word, needle, reason)
                checked += len(listed)
    assert checked > 500


def test_the_page_of_a_stay_that_came_back_names_the_rows_that_set_its_risk(site: Site) -> None:
    place = f"/hospitals/{MY_HOSPITAL}/2029/stays"
    app = make_app(site.behind_proxy)
    with TestClient(app, base_url="http://localhost", client=(PROXY, 1), headers={HEADER: PATIENT_USER}) as opened:
        listed = opened.get(f"{place}?measure=HF&show=readmitted")
        links = re.findall(rf'href="({place}/HF/\d+)"', listed.text)
        assert links
        for link in links[:5]:
            answer = opened.get(link)
            assert answer.status_code == 200, link
            assert "an unplanned readmission" in answer.text
            assert re.search(r"diagnoses\.parquet, record [\d,]+", answer.text)
    app.state.published.close()


def test_a_list_line_is_of_the_same_measures_throughout() -> None:
    def windows(months: list[date], readmissions: int, expected: float) -> list[dict[str, object]]:
        return [{"month": month, "readmissions": readmissions, "expected_readmissions": expected} for month in months]

    trends = {"HF": windows(MONTHS, 12, 10.0), "PN": windows(MONTHS[1:], 9, 10.0), "CABG": windows(MONTHS[:4], 0, 1.0)}
    line = views.sparkline_of(trends)
    assert line["trend_of"] == ["HF", "PN"]
    assert [each["month"] for each in line["trend"]] == MONTHS[1:]
    assert {each["observed_to_expected"] for each in line["trend"]} == {21 / 20}
    # Zero of one expected readmission is no news.
    assert views.sparkline_of({"CABG": windows(MONTHS, 0, 1.0)}) == {"trend": [], "trend_of": []}
    assert views.sparkline_of({}) == {"trend": [], "trend_of": []}


def test_what_a_factor_does_to_expected_comes_from_shown_figures_alone() -> None:
    rows = [
        {"coefficient": 0.5, "own": 0.30, "run": 0.20},
        {"coefficient": 0.5, "own": HIDDEN, "run": 0.20},
        {"coefficient": None, "own": 0.30, "run": 0.20},
    ]
    effects = [row["effect"] for row in views._with_effects([dict(row) for row in rows], 0.2)]
    assert effects == [pytest.approx(0.2 * 0.8 * 0.5 * 0.1), None, None]
    assert views._with_effects([dict(rows[0])], HIDDEN)[0]["effect"] is None


@pytest.mark.parametrize("width", [charts.WHOLE, charts.NARROW])
def test_labels_of_the_flow_are_never_cut(width: float) -> None:
    label = "Not enrolled in Part A and B for the 12 full months before the month of admission, or not in Part A in it"
    svg = charts.flow(100, [(label, 20), ("Died in hospital", 5)], 75, width)
    assert label in words_of(svg)
    for place in re.findall(r'<rect x="([\d.]+)"[^>]*width="([\d.]+)"', svg):
        assert float(place[0]) + float(place[1]) <= width


def test_a_chart_is_drawn_for_wide_and_for_narrow_screens_under_names_of_their_own() -> None:
    bars = [("HF", 0.004), ("Chance", 0.001)]
    both = charts.fitting(lambda width: charts.waterfall(bars, 0.005, "Reduction", False, width))
    names = re.findall(r' id="([^"]+)"', both)
    assert len(names) == len(set(names)) == 4
    assert both.count('class="wide"') == both.count('class="slim"') == 1
    assert words_of(both).count("0.50 %") >= 2
