"""Small cells under attack: what a reader without patient level can work out from all that the page, the workbook and the brief show.

Two kinds of attack. The first computes: every shown count is an equation between dates, and what follows from all of them together must
be no small cell. The second changes a hidden figure in the published file and looks whether one byte of anything shown changes; where
none does, no sum, quotient, order of rows, coordinate of a chart or scenario can give the figure away.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from page_site import Site
from scipy.optimize import linprog
from starlette.testclient import TestClient

from hrrp.program import MEASURES, Reference
from hrrp.review.brief import brief_html
from hrrp.review.page import make_app
from hrrp.review.published import Published, Version
from hrrp.review.reports import read_report
from hrrp.review.scenarios import open_review
from hrrp.review.suppression import FEWEST_CANDIDATES, Shown
from hrrp.review.workbook import write_workbook
from hrrp.settings import Settings
from hrrp.warehouse import open_warehouse

Stretch = tuple[date, date]
HOSPITALS = ("010875", "010879")
SCENARIOS = (
    "",
    "avoid-{m}=1",
    "avoid-{m}=-3&volume-{m}=0.5",
    "volume-{m}=0",
    "volume-{m}=100",
    "median-{m}=0.9&dual=0.9",
    "avoid-{m}=0.25",
)


def small(count: float) -> bool:
    return 1 <= round(abs(count)) <= 10


def get(client: TestClient, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.text[:500])
    return answer.json() if path.partition("?")[0].endswith(".json") else answer.text


@pytest.fixture(scope="module")
def version(site: Site) -> Iterator[Version]:
    published = Published(site.local)
    yield published.current()
    published.close()


@pytest.fixture(scope="module")
def page(site: Site) -> Iterator[TestClient]:
    app = make_app(site.local)
    with TestClient(app, base_url="http://localhost") as client:
        yield client
    app.state.published.close()


# ---- what is shown, as equations ----


@pytest.fixture(scope="module")
def shown(page: TestClient, version: Version) -> dict[tuple[str, str], dict[Stretch, tuple[int, int]]]:
    """Every (cases, readmissions) that an aggregate viewer finds, by hospital and measure, with the days it is of."""
    found: dict[tuple[str, str], dict[Stretch, tuple[int, int]]] = defaultdict(dict)

    def note(ccn: str, measure: str, stretch: Stretch, cases: Any, readmissions: Any) -> None:
        if cases is not None and readmissions is not None:
            counts = round(cases), round(readmissions)
            assert found[ccn, measure].setdefault(stretch, counts) == counts

    for ccn in version.hospitals:
        for year in version.years:
            view = get(page, f"/hospitals/{ccn}/{year}/hospital.json")
            for measure, row in view["measures"].items():
                span = version.spans[year]
                note(ccn, measure, span, row["eligible_discharges"], row["readmissions"])
                one = get(page, f"/hospitals/{ccn}/{year}/measures/{measure}/measure.json")
                note(ccn, measure, span, one["figures"]["eligible_discharges"], one["figures"]["readmissions"])
                flow = one["flow"]
                assert (flow["included"] is None) == (row["eligible_discharges"] is None)
                if flow["included"] is not None:
                    assert flow["included"] == row["eligible_discharges"]
                for window in [*view["trends"].get(measure, ()), *one["trend"]]:
                    end = date.fromisoformat(window["month"])
                    end = (end.replace(day=28) + timedelta(days=4)).replace(day=1)
                    cases = window["readmissions"] / window["observed_rate"] if window["observed_rate"] else None
                    note(ccn, measure, (end.replace(year=end.year - 1), end), cases, window["readmissions"])
    return found


@pytest.fixture(scope="module")
def truth(site: Site) -> dict[tuple[str, str], list[tuple[date, bool]]]:
    """Every index admission of the run once: day of discharge, and whether it was followed by a readmission."""
    with open_warehouse(site.out / "hrrp.duckdb", site.local, read_only=True) as warehouse:
        rows = warehouse.rows(
            "select distinct ccn, measure, stay_key, discharge_date, outcome from risk.linear_predictors"
        )
    found: dict[tuple[str, str], list[tuple[date, bool]]] = defaultdict(list)
    for ccn, measure, _, day, outcome in rows:
        found[ccn, measure].append((day.date() if hasattr(day, "hour") else day, bool(outcome)))
    return found


def count(admissions: list[tuple[date, bool]], stretch: Stretch) -> tuple[int, int]:
    inside = [outcome for day, outcome in admissions if stretch[0] <= day < stretch[1]]
    return len(inside), sum(inside)


def test_something_is_shown_and_it_is_true(
    shown: Mapping[Any, dict[Stretch, tuple[int, int]]],
    truth: Mapping[Any, list[tuple[date, bool]]],
    version: Version,
    site: Site,
) -> None:
    assert sum(len(stretches) for stretches in shown.values()) > 40
    with open_warehouse(site.out / "hrrp.duckdb", site.local, read_only=True) as warehouse:
        of_years = {
            (ccn, measure, version.spans[year]): counts
            for ccn, measure, year, *counts in warehouse.rows(
                "select ccn, measure, program_year, count(*), count(*) filter (outcome) from risk.linear_predictors group by all"
            )
        }
    for place, stretches in shown.items():
        for stretch, counts in stretches.items():
            of_stretch = count(truth[place], stretch) if stretch not in version.spans.values() else (0, 0)
            assert counts == tuple(of_years.get((*place, stretch), of_stretch)), (place, stretch)


def test_no_shown_count_or_complement_is_small(shown: Mapping[Any, dict[Stretch, tuple[int, int]]]) -> None:
    for place, stretches in shown.items():
        for stretch, (cases, readmissions) in stretches.items():
            assert not any(small(each) for each in (cases, readmissions, cases - readmissions)), (place, stretch)


def test_sums_and_differences_give_no_small_cell(shown: Mapping[Any, dict[Stretch, tuple[int, int]]]) -> None:
    """All program years and months together: a count of the days between two dates follows when shown counts lead from one to the other."""
    followed = 0
    for place, stretches in shown.items():
        ways: dict[date, list[tuple[date, tuple[int, int]]]] = defaultdict(list)
        for (start, end), (cases, readmissions) in stretches.items():
            ways[start].append((end, (cases, readmissions)))
            ways[end].append((start, (-cases, -readmissions)))
        reached: dict[date, tuple[date, tuple[int, int]]] = {}
        for first in ways:
            if first in reached:
                continue
            reached[first] = (first, (0, 0))
            waiting = [first]
            while waiting:
                here = waiting.pop()
                _, (cases, readmissions) = reached[here]
                for there, (more, again) in ways[here]:
                    if there not in reached:
                        reached[there] = (first, (cases + more, readmissions + again))
                        waiting.append(there)
        for (one, (group, a)), (other, (same, b)) in itertools.combinations(reached.items(), 2):
            if group == same:
                followed += 1
                cases, readmissions = b[0] - a[0], b[1] - a[1]
                derived = (cases, readmissions, cases - readmissions)
                assert not any(small(each) for each in derived), (place, one, other, derived)
    assert followed > 60


def test_bounds_leave_a_hidden_cell_open(
    shown: Mapping[Any, dict[Stretch, tuple[int, int]]], truth: Mapping[Any, list[tuple[date, bool]]], version: Version
) -> None:
    """Counts are no less than zero, and a stretch within another holds no more than it: what remains possible of each hidden count of a
    program year must be several values, among them such as are no small cell's."""
    attacked = 0
    for place, stretches in shown.items():
        spans = [version.spans[year] for year in version.years if version.spans[year] not in stretches]
        edges = sorted({day for stretch in (*stretches, *spans) for day in stretch})
        parts = list(itertools.pairwise(edges))

        def row(stretch: Stretch, parts: list[Stretch] = parts) -> list[float]:
            return [1.0 if stretch[0] <= start and end <= stretch[1] else 0.0 for start, end in parts]

        for which in (0, 1, 2):
            known = [(row(s), (n, y, n - y)[which]) for s, (n, y) in stretches.items()]
            for span in spans:
                cases, readmissions = count(truth[place], span)
                if not small((cases, readmissions, cases - readmissions)[which]):
                    continue
                ends = []
                for sign in (1.0, -1.0):
                    solved = linprog(
                        [sign * each for each in row(span)],
                        A_eq=np.array([equation for equation, _ in known]) if known else None,
                        b_eq=np.array([value for _, value in known]) if known else None,
                        bounds=(0, None),
                    )
                    ends.append(sign * solved.fun if solved.status == 0 else math.inf)
                attacked += 1
                lowest, highest = ends
                assert highest - lowest >= FEWEST_CANDIDATES - 1, (place, span, which, ends)
    assert attacked > 25


def test_ratios_leave_hidden_readmissions_open(page: TestClient, version: Version) -> None:
    """An ERR of two digits with the model's own equation: at least four counts of readmissions remain possible where they are small."""
    attacked = 0
    for ccn, hospital in version.hospitals.items():
        for year in version.years:
            view = get(page, f"/hospitals/{ccn}/{year}/hospital.json")
            for measure, row in view["measures"].items():
                truth = hospital.measures[year, measure]
                if row["state"] != "rounded":
                    continue
                hidden = (
                    "eligible_discharges",
                    "readmissions",
                    "predicted",
                    "err",
                    "observed_rate",
                    "reliability",
                    "hospital_effect",
                )
                assert all(row[name] is None for name in hidden)
                for name, step in (
                    ("err_median", 0.01),
                    ("expected", 0.001),
                    ("contribution", 0.001),
                    ("drg_payment_ratio", 0.001),
                ):
                    if row[name] is not None:
                        assert row[name] / step == pytest.approx(round(row[name] / step), abs=1e-6), (name, row[name])
                if not small(truth["readmissions"]):
                    continue
                attacked += 1
                expected, tau2 = row["expected"], row["tau2"]
                possible = set()
                fewest = 25 if row["penalty_indicator"] else 11
                for err in np.linspace(row["err_median"] - 0.005, row["err_median"] + 0.005, 101):
                    predicted = err * expected
                    effect = math.log(predicted / (1 - predicted) * (1 - expected) / expected)
                    for cases in range(fewest, 2000):
                        found = effect / tau2 + cases * predicted
                        if found > 10.5:
                            break
                        if found >= 0.5 and abs(found - round(found)) < 0.05:
                            possible.add(round(found))
                assert len(possible) >= FEWEST_CANDIDATES, (ccn, year, measure, sorted(possible))
    assert attacked >= 5


def test_one_hidden_measure_is_not_the_rest_of_a_total(page: TestClient, version: Version) -> None:
    for ccn, hospital in version.hospitals.items():
        for year in version.years:
            view = get(page, f"/hospitals/{ccn}/{year}/hospital.json")
            states = {measure: row["state"] for measure, row in view["measures"].items()}
            parts = [
                m
                for m in MEASURES
                if (year, m) not in hospital.disclosure.idle and hospital.measures[year, m]["eligible_discharges"]
            ]
            withheld = [m for m in parts if states[m] == "withheld"]
            assert len(withheld) != 1 or len(parts) == 1, (ccn, year)
            if any(states[m] != "open" for m in parts):
                assert view["coarse"]
                for name in (
                    "payment_reduction_median",
                    "payment_reduction_low",
                    "payment_reduction_high",
                    "payment_reduction",
                ):
                    value = view["total"][name]
                    assert value is None or value * 1000 == pytest.approx(round(value * 1000), abs=1e-6), name
                assert view["total"]["chance_of_penalty"] * 20 == pytest.approx(
                    round(view["total"]["chance_of_penalty"] * 20), abs=1e-6
                )
                payments = view["total"]["annual_base_operating_payments"]
                assert view["total"]["penalty_usd_median"] == pytest.approx(
                    view["total"]["payment_reduction_median"] * payments, rel=1e-12
                )


def test_cohort_flow_adds_up_without_small_cells(page: TestClient, version: Version) -> None:
    """In every year, and in what follows from years together for each reason and for the rest."""
    for ccn in version.hospitals:
        for measure in MEASURES:
            flows = {}
            for year in version.years:
                flow = get(page, f"/hospitals/{ccn}/{year}/measures/{measure}/measure.json")["flow"]
                if flow["judged"] is None:
                    assert flow["reasons"] == [] and flow["other"] is None
                    continue
                parts = {row["reason"]: row["stays"] for row in flow["reasons"]} | {
                    "other": flow["other"],
                    "included": flow["included"],
                }
                assert flow["judged"] == sum(parts.values())
                assert not any(small(each) for each in (*parts.values(), flow["judged"]))
                flows[year] = parts
            if len(flows) == len(version.years) == 3:
                first, middle, last = (flows[year] for year in version.years)
                for reason in {*first, *middle, *last}:
                    assert not small(first.get(reason, 0) + last.get(reason, 0) - middle.get(reason, 0)), (
                        ccn,
                        measure,
                        reason,
                    )


def test_dual_stays_do_not_follow(site: Site, version: Version, tmp_path: Path) -> None:
    """Few stays with full Medicaid: neither proportion nor way to the next peer group is shown, and their number leaves no trace."""
    ccn, found = HOSPITALS[0], []
    for dual in (4, 7):

        def change(warehouse: Any, dual: int = dual) -> None:
            warehouse.execute(
                f"update payment.dual_proportions set dual_stays = {dual}, dual_proportion = {dual} / stays where ccn = '{ccn}'"
            )
            warehouse.execute(
                f"update result.dual_by_month set dual_stays = {dual}, dual_proportion = {dual} / stays where ccn = '{ccn}'"
            )
            warehouse.execute(
                f"update result.forecast_inputs set dual_proportion = {dual} / dual_stays where ccn = '{ccn}'"
            )
            warehouse.execute(
                f"update result.hospital_penalties set dual_proportion = {dual} / 1000 where ccn = '{ccn}'"
            )

        settings = copy_of(site, tmp_path / f"out{dual}", change)
        app = make_app(settings)
        with TestClient(app, base_url="http://localhost") as client:
            texts = {}
            for year in version.years:
                view = get(client, f"/hospitals/{ccn}/{year}/hospital.json")
                assert view["dual"]["dual_proportion"] is None
                assert view["dual"]["windows"] == []
                assert view["break_even"]["peer_group_edges"] == []
                texts[year] = json.dumps(view), get(client, f"/hospitals/{ccn}/{year}")
        app.state.published.close()
        found.append(texts)
    assert found[0] == found[1]


def test_rows_are_in_the_order_of_what_is_shown(page: TestClient, version: Version) -> None:
    """Rounded reductions that are equal stand by name: the order says nothing that the figures do not."""
    for year, sort in itertools.product(version.years, ("likely", "chance", "dollars", "name", "state")):
        for sign in ("", "-"):
            rows = get(page, f"/system.json?year={year}&sort={sign}{sort}")["rows"]
            known = [row for row in rows if row[sort] is not None]
            assert rows[: len(known)] == known
            by_name = sorted(known, key=lambda row: (row["name"].casefold(), row["ccn"]))
            again = sorted(
                by_name,
                key=lambda row: row[sort].casefold() if isinstance(row[sort], str) else row[sort],
                reverse=sign == "-",
            )
            assert [row["ccn"] for row in again] == [row["ccn"] for row in known]


def test_scenarios_on_hidden_measures_are_refused(page: TestClient, version: Version) -> None:
    refused = 0
    for ccn, year in itertools.product(HOSPITALS, version.years):
        seen = version.hospitals[ccn].disclosure
        for measure in MEASURES:
            if seen.state(year, measure) is Shown.OPEN:
                continue
            for field in ("avoid", "volume", "median"):
                for path in ("what-if", "what-if.json"):
                    for value in ("1", "0", "1e-9"):
                        assert page.get(f"/hospitals/{ccn}/{year}/{path}?{field}-{measure}={value}").status_code == 400
                        refused += 1
            answer = get(page, f"/hospitals/{ccn}/{year}/what-if.json")
            for side in ("forecast", "what_if"):
                assert set(answer[side]["measures"][measure].values()) == {None}
    assert refused > 100


def test_scenarios_do_not_tell_pending_from_expected(page: TestClient, version: Version) -> None:
    """Cases at the end are linear in the volume: the two parts of what is to come must not be small, nor of many digits."""
    attacked = 0
    for ccn, year in itertools.product(HOSPITALS, version.years):
        hospital = version.hospitals[ccn]
        for measure in hospital.disclosure.open_measures(year):
            known = hospital.measures[year, measure]["eligible_discharges"]
            pending = hospital.measures[year, measure]["follow_up_incomplete"]
            if not known:
                continue
            path = f"/hospitals/{ccn}/{year}/what-if.json"
            ends = [
                get(page, f"{path}?volume-{measure}={factor}")["what_if"]["measures"][measure]["cases"]
                for factor in (2, 4)
            ]
            if None in ends:
                continue
            slope = (ends[1] - ends[0]) / 2
            constant = ends[0] - 2 * slope - known
            assert not small(constant), (ccn, year, measure, constant)
            if small(pending):
                attacked += 1
                assert constant == pytest.approx(0.0, abs=1e-9)
                assert slope == pytest.approx(round(slope), abs=1e-9)
    assert attacked >= 3


def test_forecasts_have_the_digits_that_are_printed(page: TestClient, version: Version) -> None:
    for ccn, year in itertools.product(HOSPITALS, version.years):
        view = get(page, f"/hospitals/{ccn}/{year}/hospital.json")
        for row in view["measures"].values():
            if row["state"] == "open":
                for name, digits in (
                    ("err_median", 4),
                    ("cases_median", 0),
                    ("contribution_median", 6),
                    ("chance_of_25_cases", 2),
                ):
                    assert row[name] is None or row[name] == round(row[name], digits), name
                for name, digits in (("err_interval", 2), ("cases_interval", 0), ("contribution_interval", 4)):
                    assert row[name] is None or all(
                        each is None or each == round(each, digits) for each in row[name]
                    ), name
            assert not row["follow_up_incomplete"]


# ---- change what is hidden, and look whether anything shown changes ----


def copy_of(site: Site, folder: Path, change: Callable[[Any], None] | None = None) -> Settings:
    """The published file again in another folder, something changed in it; the file's time is that of the first."""
    folder.mkdir(parents=True)
    shutil.copy2(site.out / "review.duckdb", folder)
    path = folder / "review.duckdb"
    settings = site.local.model_copy(update={"out": folder, "publish_patients": False, "draws": 300})
    if change is not None:
        with open_warehouse(path, settings) as warehouse:
            change(warehouse)
        stamp = (site.out / "review.duckdb").stat()
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    return settings


def everything(settings: Settings, hospitals: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """All that an aggregate viewer can fetch of these hospitals, and their workbooks and briefs."""
    found: dict[str, Any] = {}
    app = make_app(settings)
    version = app.state.published.current()
    with TestClient(app, base_url="http://localhost") as client:
        paths = ["/", "/system.json", "/method"]
        paths += [
            f"/system.json?year={year}&sort={sort}"
            for year in version.years
            for sort in ("-likely", "chance", "dollars")
        ]
        for ccn, year in itertools.product(hospitals, version.years):
            place = f"/hospitals/{ccn}/{year}"
            paths += [place, f"{place}/hospital.json", f"{place}/worth"]
            paths += [f"{place}/measures/{measure}/measure.json" for measure in MEASURES]
            paths += [f"{place}/measures/{measure}" for measure in ("AMI", "HF", "CABG")]
            for measure in version.hospitals[ccn].disclosure.open_measures(year):
                paths += [f"{place}/what-if.json?{scenario.format(m=measure)}" for scenario in SCENARIOS]
            paths += [f"{place}/what-if?{scenario.format(m='HF')}" for scenario in SCENARIOS[:3]]
        for path in paths:
            answer = client.get(path)
            assert answer.status_code in {200, 400}, path
            found[path] = answer.text
    app.state.published.close()
    reference = Reference(settings.site_reference)
    with open_review(settings) as warehouse:
        for ccn in hospitals:
            report = read_report(warehouse, reference, ccn, version.years[1])
            found[f"brief {ccn}"] = brief_html(report)
            book = folder / f"{ccn}.xlsx"
            write_workbook(report, book)
            found[f"workbook {ccn}"] = {
                (sheet.title, cell.coordinate): cell.value
                for sheet in openpyxl.load_workbook(book)
                for line in sheet
                for cell in line
            }
    return found


@pytest.fixture(scope="module")
def as_it_is(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("as_it_is")
    return everything(copy_of(site, folder / "out"), HOSPITALS, folder)


def assert_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        if one[name] != other[name]:
            a, b = one[name], other[name]
            if isinstance(a, str):
                lines = [pair for pair in zip(a.splitlines(), b.splitlines(), strict=False) if pair[0] != pair[1]]
            else:
                lines = [(cell, a[cell], b.get(cell)) for cell in a if a[cell] != b.get(cell)]
            raise AssertionError(f"{name} changed: {lines[:3]}")


def closed(version: Version) -> list[tuple[str, int, str, Shown]]:
    return [
        (ccn, year, measure, state)
        for ccn in HOSPITALS
        for year in version.years
        for measure in MEASURES
        if (state := version.hospitals[ccn].disclosure.state(year, measure)) is not Shown.OPEN
    ]


def states(settings: Settings) -> dict[tuple[str, int, str], Shown]:
    published = Published(settings)
    version = published.current()
    found = {
        (ccn, year, measure): version.hospitals[ccn].disclosure.state(year, measure)
        for ccn in HOSPITALS
        for year in version.years
        for measure in MEASURES
    }
    published.close()
    return found


def test_the_attack_sees_what_is_not_hidden(
    site: Site, version: Version, as_it_is: dict[str, Any], tmp_path: Path
) -> None:
    """The same comparison on an open measure finds the change: a test that cannot fail would prove nothing."""
    ccn, year = "010879", version.years[0]
    measure = version.hospitals[ccn].disclosure.open_measures(year)[0]

    def change(warehouse: Any) -> None:
        where = f"where ccn = '{ccn}' and program_year = {year} and measure = '{measure}'"
        warehouse.execute(f"update result.hospital_measures set readmissions = readmissions + 1 {where}")

    with pytest.raises(AssertionError, match="changed"):
        assert_same(as_it_is, everything(copy_of(site, tmp_path / "out", change), HOSPITALS, tmp_path))


def test_hidden_counts_leave_no_trace(site: Site, version: Version, as_it_is: dict[str, Any], tmp_path: Path) -> None:
    """Another count in every hidden cell that stays small, other hidden rates and other exclusions of closed measures: nothing changes."""
    targets = closed(version)
    assert len(targets) > 20
    moved = [
        (ccn, year, measure)
        for ccn, year, measure, _ in targets
        if 2 <= version.hospitals[ccn].measures[year, measure]["readmissions"] <= 8
    ]
    # The smallest measures alone decide which one hides another; leave the order of readmissions within a year as it is.
    kept = []
    for ccn, year, measure in moved:
        own = version.hospitals[ccn].measures
        others = {own[year, other]["readmissions"] for other in MEASURES if other != measure}
        if own[year, measure]["readmissions"] + 1 not in others and own[year, measure]["readmissions"] not in others:
            kept.append((ccn, year, measure))
    assert len(kept) >= 5

    def change(warehouse: Any) -> None:
        for ccn, year, measure in kept:
            where = f"where ccn = '{ccn}' and program_year = {year} and measure = '{measure}'"
            warehouse.execute(f"update result.hospital_measures set readmissions = readmissions + 1 {where}")
            warehouse.execute(
                f"update result.forecast_inputs set readmissions = readmissions + 1, pending = pending + 2 {where}"
            )
            warehouse.execute(
                f"update cohort.measure_counts set stays = stays + 1 {where} and first_reason <> 'included'"
            )
        for ccn, year, measure, state in targets:
            where = f"where ccn = '{ccn}' and program_year = {year} and measure = '{measure}'"
            if state is Shown.WITHHELD:
                warehouse.execute(
                    f"update result.hospital_measures set observed_rate = 0.123, hospital_effect = 0.3, reliability = 0.5, "
                    f"contribution = contribution * 1.1 {where}"
                )
                warehouse.execute(
                    f"update result.forecasts set low = low * 1.01, median = median * 1.01 {where} and figure = 'err'"
                )

    settings = copy_of(site, tmp_path / "out", change)
    before, after = states(site.local), states(settings)
    assert before == after
    assert_same(as_it_is, everything(settings, HOSPITALS, tmp_path))


def test_digits_behind_rounded_totals_leave_no_trace(
    site: Site, version: Version, as_it_is: dict[str, Any], tmp_path: Path
) -> None:
    """Totals with a hidden measure in them move within their rounding, earlier nights' too: no figure, order of rows or coordinate does."""

    def change(warehouse: Any) -> None:
        for ccn in HOSPITALS:
            for year in version.years:
                if not version.hospitals[ccn].disclosure.is_coarse(year):
                    continue
                total = version.hospitals[ccn].totals[year]
                moved = ", ".join(
                    f"{name} = {_within(total[name], step)!r}"
                    for name, step in (
                        ("payment_reduction_median", 0.001),
                        ("payment_reduction_low", 0.001),
                        ("payment_reduction_high", 0.001),
                        ("chance_of_penalty", 0.05),
                    )
                    if total[name] is not None
                )
                where = f"where ccn = '{ccn}' and program_year = {year}"
                warehouse.execute(
                    f"update result.hospital_penalties set {moved}, penalty_usd_median = penalty_usd_median * 1.2 {where}"
                )

    assert_same(as_it_is, everything(copy_of(site, tmp_path / "out", change), HOSPITALS, tmp_path))


def _within(value: float, step: float) -> float:
    """Another value that rounds to the same step."""
    middle = round(value / step) * step
    return middle + (value - middle) * 0.37


def test_what_is_pending_leaves_no_trace(
    site: Site, version: Version, as_it_is: dict[str, Any], tmp_path: Path
) -> None:
    """One admission more whose follow-up is not over and one fewer expected: no scenario, break-even or value changes."""
    places = [
        (ccn, year, measure)
        for ccn, year, measure in itertools.product(HOSPITALS, version.years, MEASURES)
        if 1 <= version.hospitals[ccn].measures[year, measure]["follow_up_incomplete"] <= 9
    ]
    assert len(places) >= 10

    def change(warehouse: Any) -> None:
        for ccn, year, measure in places:
            where = f"where ccn = '{ccn}' and program_year = {year} and measure = '{measure}'"
            warehouse.execute(
                f"update result.forecast_inputs set pending = pending + 1, future_mean = future_mean - 1 {where}"
            )
            warehouse.execute(
                f"update result.hospital_measures set follow_up_incomplete = follow_up_incomplete + 1 {where}"
            )

    assert_same(as_it_is, everything(copy_of(site, tmp_path / "out", change), HOSPITALS, tmp_path))


def test_earlier_nights_are_rounded(site: Site, version: Version, tmp_path: Path) -> None:
    """This run beside the last one: rounded reductions and chances, no ratio; their hidden digits leave no trace."""
    found = []
    for factor in (0.2, -0.3):

        def change(warehouse: Any, factor: float = factor) -> None:
            warehouse.execute(
                "insert into result.forecast_ledger select as_of - interval 1 day, program_year, ccn, measure, figure, low, "
                f"round(median, 3) + {factor} * 0.001, high from result.forecast_ledger"
            )

        settings = copy_of(site, tmp_path / f"out{factor}", change)
        app = make_app(settings)
        with TestClient(app, base_url="http://localhost") as client:
            texts = {}
            for ccn, year in itertools.product(HOSPITALS, version.years):
                view = get(client, f"/hospitals/{ccn}/{year}/hospital.json")
                changes = view["changes"]
                assert changes["coarse"] and changes["errs"] == {} and changes["nights"] == 2
                for value in (*changes["reduction"], *(row["likely"] for row in changes["series"])):
                    assert value is None or value * 1000 == pytest.approx(round(value * 1000), abs=1e-9)
                texts[ccn, year] = json.dumps(view), get(client, f"/hospitals/{ccn}/{year}")
            found.append(texts)
        app.state.published.close()
    assert found[0] == found[1]


def test_charts_draw_nothing_of_a_withheld_measure(page: TestClient, version: Version) -> None:
    """In the table of ERRs a withheld measure has its peer median and no more: no point, no range."""
    looked = 0
    for ccn, year, measure, state in closed(version):
        text = get(page, f"/hospitals/{ccn}/{year}")
        row = re.search(
            rf'<tr[^>]*>\s*<th scope="row"><a href="/hospitals/{ccn}/{year}/measures/{measure}".*?</tr>', text, re.S
        )
        assert row
        if state is Shown.WITHHELD:
            looked += 1
            assert 'class="dot' not in row[0] and "whisker" not in row[0]
            assert f'id="chart-trend-{measure}-title"' not in text or version is not None
    assert looked > 5
