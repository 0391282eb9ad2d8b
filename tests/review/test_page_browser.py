"""The page in a real browser: each view's task as its reader would do it, with and without scripts, by keyboard, on paper.

What is looked for are labels, headings and figures, not places. Needs Chromium; without it these tests are left out, save under CI.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from page_site import AGGREGATE_USER, HEADER, PATIENT_USER, Site
from typer.testing import CliRunner

from hrrp.cli import app as commands
from hrrp.review import figures
from hrrp.review.brief import pages
from hrrp.review.page import make_app
from hrrp.review.reports import write_reports
from hrrp.review.server import page_config

pytestmark = pytest.mark.browser

CCN, YEAR = "010879", 2029
PLACE = f"/hospitals/{CCN}/{YEAR}"
VIEWS = {
    "system": "/",
    "hospital": PLACE,
    "hospital, all withheld": "/hospitals/010876/2030",
    "what-if": f"{PLACE}/what-if?avoid-HF=3",
    "what-if, compared": f"{PLACE}/what-if?compare=1&avoid-HF=3&b-avoid-PN=4&b-volume-HF=0.9",
    "what-if, not understood": f"{PLACE}/what-if?avoid-HF=many",
    "worth": f"{PLACE}/worth",
    "measure": f"{PLACE}/measures/HF",
    "method": "/method",
    "proof": "/proof",
    "help": "/help",
    "nowhere": "/nowhere",
}
OF_STAYS = {"stays": f"{PLACE}/stays?measure=HF&show=readmitted"}
# Chromium itself reports an answer that is an error page; the page's own script and style have no part in it.
EXPECTED_COMPLAINT = re.compile(r"Failed to load resource: the server responded with a status of 40[034]")


@dataclass
class Tab:
    """A browser's page with what it complained of and what it asked for."""

    page: Any
    base: str
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def go(self, path: str) -> Any:
        self.page.goto(self.base + path)
        return self.page

    def check(self) -> None:
        """No error in the console, nothing asked of anyone else."""
        assert [text for text in self.complaints if not EXPECTED_COMPLAINT.search(text)] == []
        assert [url for url in self.asked if not url.startswith(self.base)] == []


@pytest.fixture(scope="module")
def base(site: Site) -> Iterator[str]:
    """The page behind a pretended proxy on this machine, served as `hrrp serve` does."""
    settings = site.behind_proxy.model_copy(update={"trusted_proxies": ("127.0.0.1",)})
    app = make_app(settings)
    server = uvicorn.Server(page_config(app))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    app.state.published.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        reason = "there is no chromium on this machine: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield opened
        opened.close()


@pytest.fixture
def tab(browser: Any, base: str) -> Iterator[Callable[..., Tab]]:
    contexts = []

    def opened(user: str = PATIENT_USER, *, scripts: bool = True, dark: bool = False, **options: Any) -> Tab:
        context = browser.new_context(
            java_script_enabled=scripts,
            color_scheme="dark" if dark else "light",
            extra_http_headers={HEADER: user},
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        made = Tab(page, base)
        page.on(
            "console", lambda said: made.complaints.append(said.text) if said.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: made.complaints.append(str(error)))
        page.on("request", lambda request: made.asked.append(request.url))
        return made

    yield opened
    for context in contexts:
        context.close()


def command_line(site: Site, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(
        commands, ["what-if", "--ccn", CCN, "--program-year", str(YEAR), *words, "--out", str(site.out), "--json"]
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def text_of(page: Any, selector: str = "main") -> str:
    return " ".join(page.locator(selector).inner_text().replace("\u00a0", " ").split())


# ---- every view: quiet, self-contained, accessible ----


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_view_is_accessible_and_asks_nobody_else(tab: Callable[..., Tab], dark: bool) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = []
    for user, views in ((AGGREGATE_USER, VIEWS), (PATIENT_USER, OF_STAYS)):
        opened = tab(user, dark=dark)
        for name, path in views.items():
            page = opened.go(path)
            judged = [(name, page)]
            if name == "stays":
                page.locator("main tbody th a").first.click()
                page.wait_for_load_state()
                judged.append(("stay", page))
            for label, each in judged:
                # What is folded is judged too.
                each.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
                result = Axe().run(each)
                found += [
                    f"{label}: {each['id']} ({each['impact']}): {each['nodes'][0]['html'][:160]}"
                    for each in result.response["violations"]
                    if each["impact"] in {"serious", "critical"}
                ]
            assert page.locator("h1").count() == 1, name
        opened.check()
    assert not found, "\n".join(found)


def test_every_view_says_the_same_without_scripts(tab: Callable[..., Tab]) -> None:
    with_scripts, without = tab(AGGREGATE_USER), tab(AGGREGATE_USER, scripts=False)
    for name, path in VIEWS.items():
        assert text_of(with_scripts.go(path)) == text_of(without.go(path)), name
    without.check()


def test_no_view_is_wider_than_a_phone(tab: Callable[..., Tab]) -> None:
    """Wide tables scroll within themselves; the page never does."""
    opened = tab(AGGREGATE_USER, viewport={"width": 390, "height": 844})
    for name, path in VIEWS.items():
        page = opened.go(path)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, name


def test_every_chart_has_a_name_and_its_figures_in_a_table(tab: Callable[..., Tab]) -> None:
    opened = tab()
    for path in (PLACE, f"{PLACE}/measures/HF", f"{PLACE}/what-if?avoid-HF=3"):
        page = opened.go(path)
        charts = page.locator("svg[role=img]")
        assert charts.count() >= 1
        for chart in charts.all():
            label = chart.evaluate(
                "(chart) => chart.getAttribute('aria-label') || chart.getAttribute('aria-labelledby').split(' ')"
                ".map((id) => document.getElementById(id).textContent).join(' ')"
            )
            assert len(label) > 10
        for figure in page.locator("figure:has(svg[role=img])").all():
            inside = figure.locator("table").count()
            assert inside or page.locator("main table").count(), path


# ---- tasks ----


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_find_a_hospital(tab: Callable[..., Tab], scripts: bool) -> None:
    """Sort by chance, filter by name, open the hospital, read its sentence, look at another program year."""
    opened = tab(AGGREGATE_USER, scripts=scripts)
    page = opened.go("/")
    page.get_by_role("link", name="Chance of a penalty").first.click()
    assert page.locator("th[aria-sort]").count() == 1
    assert "Chance" in page.locator("th[aria-sort]").inner_text()
    page.get_by_label("Name or CCN").fill("willow")
    page.get_by_label("Name or CCN").press("Enter")
    page.wait_for_url("**name=willow**")
    names = page.locator("main tbody th a")
    assert names.count() == 1
    names.first.click()
    page.wait_for_url(f"**/hospitals/{CCN}/**")
    sentence = text_of(page, "p.headline")
    assert re.search(r"FY\d{4}.* chance of a penalty; \d+ % of the period is over", sentence), sentence
    page.get_by_role("link", name="FY2028").first.click()
    page.wait_for_url("**/2028")
    assert "FY2028" in text_of(page, "p.headline")
    opened.check()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_what_if_is_the_command_lines_answer(tab: Callable[..., Tab], site: Site, scripts: bool) -> None:
    """To the last digit in the linked JSON, and as printed in the table; the address is the scenario."""
    opened = tab(scripts=scripts)
    page = opened.go(f"{PLACE}/what-if")
    if scripts:
        page.evaluate("window.stayed = true")
    page.get_by_label("HF: readmissions avoided", exact=True).fill("3")
    page.get_by_label("Pneumonia: factor on admissions still to come", exact=True).fill("0.9")
    page.get_by_label(re.compile("^Dual proportion at the end")).fill("0.31")
    if not scripts:
        page.get_by_role("button", name="Work it out").click()
    page.wait_for_url("**avoid-HF=3**dual=0.31**")
    expected = command_line(site, "--avoid", "HF=3", "--volume", "PN=0.9", "--dual-proportion", "0.31")
    shown = page.locator("[data-answer=reduction]")
    reduction = figures.percent(expected["what_if"]["payment_reduction"], 3)
    shown.filter(has_text=reduction.removesuffix(" %")).wait_for()
    if scripts:
        assert page.evaluate("window.stayed === true"), "the page was loaded anew"
    link = page.get_by_role("link", name="JSON").last.get_attribute("href")
    answer = json.loads(page.request.get(opened.base + link).text())
    assert answer == expected
    assert repr(answer["what_if"]["payment_reduction"]) == repr(expected["what_if"]["payment_reduction"])
    for measure, row in expected["what_if"]["measures"].items():
        assert figures.ratio(row["err"]) in text_of(page, "#answer"), measure
    # The command that the page names gives the same answer.
    command = page.locator("#answer code").last.inner_text().split()
    assert command[:2] == ["hrrp", "what-if"]
    assert command_line(site, *command[6:]) == expected
    # Opened by its address alone it says the same.
    again = tab(scripts=not scripts)
    assert text_of(again.go(page.url.removeprefix(opened.base)), "#answer") == text_of(page, "#answer")
    opened.check()


def test_what_if_answers_within_half_a_second(tab: Callable[..., Tab]) -> None:
    opened = tab()
    page = opened.go(f"{PLACE}/what-if")
    taken = []
    for avoided in range(1, 8):
        taken.append(
            page.evaluate(
                "async (address) => { const begun = performance.now(); await (await fetch(address)).text(); "
                "return performance.now() - begun; }",
                f"{PLACE}/what-if?avoid-HF={avoided}&avoid-COPD=2",
            )
        )
    # The test's machine has other work too; the median says what a reader waits.
    assert sorted(taken)[len(taken) // 2] < 500, taken


def test_compare_two_scenarios(tab: Callable[..., Tab], site: Site) -> None:
    opened = tab()
    page = opened.go(f"{PLACE}/what-if?avoid-HF=3")
    page.get_by_role("link", name="Compare with a second scenario").click()
    page.wait_for_url("**compare=1**")
    page.get_by_label("HF: readmissions avoided in scenario B").fill("6")
    page.wait_for_url("**b-avoid-HF=6**")
    for avoided in ("3", "6"):
        expected = figures.percent(command_line(site, "--avoid", f"HF={avoided}")["what_if"]["payment_reduction"], 3)
        page.locator("[data-answer=reduction]").filter(has_text=expected.removesuffix(" %")).first.wait_for()
    opened.check()


def test_what_if_by_keyboard_alone(tab: Callable[..., Tab], site: Site) -> None:
    """From the top of the page: skip to the content, tab into the field, type, send, read the answer; the focus is always to be seen."""
    opened = tab()
    page = opened.go(f"{PLACE}/what-if")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    focused = "document.activeElement.getAttribute('aria-label') || ''"
    for _ in range(80):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            "getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).boxShadow"
        )
        assert outline != "nonenone", page.evaluate("document.activeElement.outerHTML")
        if page.evaluate(focused) == "HF: readmissions avoided":
            break
    else:
        pytest.fail("the field cannot be reached by keyboard")
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    page.wait_for_url("**avoid-HF=4**")
    expected = figures.percent(command_line(site, "--avoid", "HF=4")["what_if"]["payment_reduction"], 3)
    page.locator("[data-answer=reduction]").filter(has_text=expected.removesuffix(" %")).wait_for()
    # The field keeps the focus, so that another number can be tried at once; a screen reader is told of the answer.
    assert page.evaluate(focused) == "HF: readmissions avoided"
    assert page.locator("#answer").get_attribute("aria-live") == "polite"
    opened.check()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_measure_shows_a_flow_that_adds_up(tab: Callable[..., Tab], scripts: bool) -> None:
    opened = tab(scripts=scripts)
    page = opened.go(PLACE)
    page.get_by_role("link", name="HF", exact=True).first.click()
    page.wait_for_url("**/measures/HF")
    said = page.locator("svg[aria-labelledby*=flow] desc").first.text_content()
    numbers = [int(each.replace(",", "")) for each in re.findall(r"(?:^|; )(\d[\d,]*) ", said)]
    judged, *out, included = numbers
    assert judged == sum(out) + included, said
    assert page.get_by_text("Risk factors").count() and page.get_by_text("Coefficient").count()
    opened.check()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_find_a_stay_and_why_it_is_out(tab: Callable[..., Tab], scripts: bool) -> None:
    opened = tab(scripts=scripts)
    page = opened.go(PLACE)
    page.get_by_role("link", name="Stays", exact=True).click()
    page.get_by_label("Measure").select_option("HF")
    page.get_by_label("Show").select_option("excluded")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**show=excluded**")
    count = int(re.search(r"([\d,]+) stays?", text_of(page))[1].replace(",", ""))
    assert count >= page.locator("main tbody tr").count() >= 1
    page.get_by_role("link", name="Age").click()
    page.wait_for_url("**sort=**age**")
    page.locator("main tbody th a").first.click()
    page.wait_for_url("**/stays/HF/**")
    assert "Not counted" in text_of(page)
    assert page.get_by_role("heading", name=re.compile("rule", re.I)).count() >= 1
    page.go_back()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("stay_id,measure,")
    assert len(lines) - 1 >= count
    opened.check()


def test_without_patient_level_there_is_no_way_to_stays(tab: Callable[..., Tab]) -> None:
    opened = tab(AGGREGATE_USER)
    page = opened.go(PLACE)
    assert page.get_by_role("link", name="Stays", exact=True).count() == 0
    page = opened.go(f"{PLACE}/stays")
    assert "patient level only" in text_of(page)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_where_figures_come_from(tab: Callable[..., Tab], scripts: bool) -> None:
    """From any page to the method: rules with sources, files with hashes and rows; a term leads to its meaning."""
    opened = tab(AGGREGATE_USER, scripts=scripts)
    page = opened.go(PLACE)
    page.get_by_role("link", name="Method and data").click()
    page.wait_for_url("**/method")
    said = text_of(page)
    assert "stays.parquet" in page.content()
    assert re.search(r"[0-9a-f]{12}", page.content())
    for word in ("Rules in force", "Input files", "Quality checks"):
        assert word in said
    opened.go(PLACE)
    page.locator("a.term").first.click()
    page.wait_for_url("**/help#**")
    target = page.url.rpartition("#")[2]
    assert page.locator(f"[id='{target}']").count() == 1
    page.get_by_role("link", name="Prove it").click()
    assert "hrrp replicate" in page.content() and "hrrp reconcile" in page.content()
    assert page.locator("input[type=file]").count() == 0
    opened.check()


def test_no_link_of_any_view_leads_nowhere(tab: Callable[..., Tab], site: Site) -> None:
    opened = tab()
    links: set[str] = set()
    for name, path in {**VIEWS, **OF_STAYS}.items():
        page = opened.go(path)
        found = page.eval_on_selector_all("a[href]", "(all) => all.map((each) => each.getAttribute('href'))")
        assert found, name
        links |= set(found)
    assert not [link for link in links if not link.startswith(("/", "#"))]
    statuses = {link: page.request.get(opened.base + link.partition("#")[0], headers={HEADER: PATIENT_USER}).status
                for link in sorted(links) if not link.startswith("#") and "/stays/" not in link}  # fmt: skip
    assert {link: status for link, status in statuses.items() if status != 200 and "avoid-HF=many" not in link} == {}


# ---- paper ----


@pytest.mark.parametrize(
    "path", [PLACE, f"{PLACE}/what-if?avoid-HF=3", f"{PLACE}/what-if?compare=1&avoid-HF=3&b-avoid-PN=2"]
)
@pytest.mark.parametrize("paper", ["Letter", "A4"])
def test_one_printed_page(tab: Callable[..., Tab], tmp_path: Path, path: str, paper: str) -> None:
    page = tab().go(path)
    printed = tmp_path / "page.pdf"
    page.pdf(path=str(printed), format=paper, prefer_css_page_size=False)
    assert pages(printed) == 1


def test_brief_prints_on_one_page_without_its_server(browser: Any, site: Site, tmp_path: Path) -> None:
    written = write_reports(site.local, CCN, YEAR, tmp_path, pdf=False)
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(Path(written["brief"]).as_uri())
    assert page.locator("h1").count() == 1
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    for paper in ("Letter", "A4"):
        printed = tmp_path / f"{paper}.pdf"
        page.pdf(path=str(printed), format=paper)
        assert pages(printed) == 1, paper
    context.close()
