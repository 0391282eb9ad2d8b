"""The web page of the results: `hrrp serve`. Starlette routes over the documents of `views` and `stays`, drawn by templates.

GET and HEAD only, no cookies, no upload. Every answer carries a content security policy that allows this page's own style sheet and
script and nothing else. Errors say what to do and show neither a trace nor what was asked for. Pages of single stays need a viewer
with patient level and are never stored by a browser.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from anyio import CapacityLimiter, to_thread
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hrrp import __version__
from hrrp.errors import HrrpError, UsageError
from hrrp.outlook.what_if import Scenario
from hrrp.program import MEASURES
from hrrp.review import charts, figures, stays, views
from hrrp.review.glossary import TERMS
from hrrp.review.published import Published
from hrrp.review.suppression import Hidden, plain
from hrrp.review.version import Version
from hrrp.review.viewers import RefusedError, Viewer, viewer_of
from hrrp.settings import Settings

HERE = Path(__file__).parent
STATIC: Mapping[str, str] = {"page.css": "text/css", "page.js": "text/javascript", "favicon.svg": "image/svg+xml"}
LONGEST_ADDRESS, LONGEST_HEADERS = 4096, 16_384
MOST_AVOIDED, MOST_VOLUME, MOST_MEDIAN = 100_000.0, 100.0, 10.0
SCENARIO_NAMES = {"avoid": "avoid", "volume": "volume", "median": "medians"}
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
# Python works on one page at a time: taking turns at many would make all of them late. Two, as one may wait for the database.
AT_ONCE = 2
log = logging.getLogger("hrrp.page")


class Guard:
    """What every request passes first: method, host, length of the address; and what every answer carries."""

    def __init__(self, app: ASGIApp, allowed_hosts: tuple[str, ...]) -> None:
        self.app = app
        self.allowed_hosts = {host.lower() for host in allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                have = {name for name, _ in message["headers"]}
                added = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in have]
                if b"cache-control" not in have:
                    added.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        refusal = self._refuse(scope)
        if refusal is not None:
            await refusal(scope, receive, with_headers)
            return
        await self.app(scope, receive, with_headers)

    def _refuse(self, scope: Scope) -> Response | None:
        if scope["method"] not in {"GET", "HEAD"}:
            return PlainTextResponse("This page is for reading: GET and HEAD only.\n", 405, {"allow": "GET, HEAD"})
        hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or _without_port(hosts[0]) not in self.allowed_hosts:
            return PlainTextResponse(
                "This page is not served under that host name. Whoever runs it adds the name to allowed_hosts.\n", 400
            )
        if len(scope.get("raw_path", b"")) + len(scope.get("query_string", b"")) > LONGEST_ADDRESS:
            return PlainTextResponse("The address is too long.\n", 414)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > LONGEST_HEADERS:
            return PlainTextResponse("The headers are too long.\n", 431)
        return None


def _without_port(host: str) -> str:
    return re.sub(r":\d+$", "", host).strip("[]") if host.startswith("[") else host.partition(":")[0]


Handler = Callable[["Page", Request, Version, Viewer], Response]


class Page:
    """The application's parts: settings, the published results, templates."""

    def __init__(self, settings: Settings, published: Published) -> None:
        self.settings = settings
        self.published = published
        self.templates = _environment()

    def render(self, name: str, viewer: Viewer | None, status: int = 200, **values: Any) -> HTMLResponse:
        """One template as an answer."""
        if isinstance(values.get("place"), views.Place):
            values["basis"] = views.basis(values["place"])
        text = self.templates.get_template(name).render(viewer=viewer, version_of_hrrp=__version__, **values)
        return HTMLResponse(text, status)

    def error(self, status: int, title: str, text: str, viewer: Viewer | None = None) -> HTMLResponse:
        """A page that says what is wrong and what to do."""
        return self.render("error.html", viewer, status, title=title, text=text)


def make_app(settings: Settings, folder: Path | None = None) -> Starlette:
    """The application for an output folder; `folder` is what several processes of one server share.

    Raises UsageError where no run has published results there.
    """
    published = Published(settings, folder)
    page = Page(settings, published)

    turns = CapacityLimiter(AT_ONCE)

    def on(path: str, handler: Handler) -> Route:
        async def answer(request: Request) -> Response:
            return await to_thread.run_sync(_answer, page, request, handler, limiter=turns)

        return Route(path, answer, methods=["GET"], name=handler.__name__)

    hospital = "/hospitals/{ccn:str}/{year:int}"
    routes = [
        on("/", system),
        on("/system.json", system_json),
        on("/method", method),
        on("/proof", proof),
        on("/help", help_page),
        on("/hospitals/{ccn:str}", newest),
        on(hospital, hospital_page),
        on(f"{hospital}/hospital.json", hospital_json),
        on(f"{hospital}/what-if", what_if),
        on(f"{hospital}/what-if.json", what_if_json),
        on(f"{hospital}/worth", worth),
        on(f"{hospital}/measures/{{measure:str}}", measure_page),
        on(f"{hospital}/measures/{{measure:str}}/measure.json", measure_json),
        on(f"{hospital}/stays", stay_list),
        on(f"{hospital}/stays.csv", stay_export),
        on(f"{hospital}/stays/{{measure:str}}/{{stay:int}}", stay_page),
        Route("/static/{name:str}", static, methods=["GET"]),
    ]

    async def not_found(request: Request, error: Exception) -> Response:
        return page.error(
            404, "There is nothing here", "The address leads nowhere. The list of hospitals is the way in."
        )

    app = Starlette(routes=routes, exception_handlers={404: not_found, 405: not_found})
    # An address with a slash too many is no address of the page; nothing is sent elsewhere.
    app.router.redirect_slashes = False
    app.state.published = published
    app.add_middleware(Guard, allowed_hosts=settings.allowed_hosts)
    return app


def compile_templates() -> None:
    """Compile every template now, so that nobody waits for it."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)


def _answer(page: Page, request: Request, handler: Handler) -> Response:
    """Who asks, then the view; whatever goes wrong becomes a page without a trace or a value."""
    viewer: Viewer | None = None
    try:
        peer = request.client.host if request.client else None
        viewer = viewer_of(peer, request.headers.getlist(page.settings.user_header), page.settings)
        version = page.published.current()
        if handler in ASKED_ANEW:
            return handler(page, request, version, viewer)
        return _remembered(page, request, version, viewer, handler)
    except RefusedError as refused:
        return page.error(403, "Not for you", refused.reason)
    except views.NotThereError:
        return page.error(
            404,
            "There is nothing here",
            "No such hospital, program year or measure, or it is not among those you may see.",
            viewer,
        )
    except ScenarioError as error:
        return page.error(400, "The scenario is not understood", str(error), viewer)
    except Exception as error:
        # The kind of error and where it was raised help; its words could show a value.
        log.error("%s in %s", type(error).__name__, handler.__name__)
        return page.error(
            500,
            "Something failed here",
            "This is a fault of the program. The log of hrrp serve says where it was.",
            viewer,
        )


def _remembered(page: Page, request: Request, version: Version, viewer: Viewer, handler: Handler) -> Response:
    """The answer, from memory where the same was asked of this version by a viewer who sees the same (never one of single stays)."""
    age = views.freshness(version)
    key = (
        request.scope["path"],
        request.scope["query_string"],
        viewer,
        int(age["age_hours"]) if age["is_stale"] else None,
    )
    found = version.page(key)
    if found is not None:
        return Response(found[0], media_type=found[1])
    answer = handler(page, request, version, viewer)
    if answer.status_code == 200:
        version.keep_page(key, bytes(answer.body), answer.headers["content-type"])
    return answer


# ---- views ----


def system(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """The list of hospitals."""
    return page.render("system.html", viewer, view=_system(request, version, viewer), fresh=views.freshness(version))


def _system(request: Request, version: Version, viewer: Viewer) -> dict[str, Any]:
    query = request.query_params
    sort = query.get("sort", "-likely")
    return views.system_view(
        version,
        viewer,
        program_year=_whole(query.get("year")),
        state=query.get("state", "")[:2],
        name=query.get("name", "")[:80],
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        page=_whole(query.get("page")) or 1,
    )


def system_json(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """The list of hospitals as JSON."""
    return _json(_system(request, version, viewer) | {"as_of": version.as_of, "extract_end": version.extract_end})


def newest(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """A hospital without a program year: the page of the middle one of those being earned."""
    hospital = views.find(version, viewer, request.path_params["ccn"])
    years = sorted(hospital.totals)
    return _hospital_page(page, views.place_of(version, viewer, hospital.ccn, years[min(1, len(years) - 1)]))


def _place(request: Request, version: Version, viewer: Viewer) -> views.Place:
    return views.place_of(version, viewer, request.path_params["ccn"], request.path_params["year"])


def hospital_page(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """One hospital and program year."""
    return _hospital_page(page, _place(request, version, viewer))


def _hospital_page(page: Page, place: views.Place) -> Response:
    view = views.hospital_view(place)
    bars, chart = place.version.kept(("hospital charts", *place.key), lambda: _hospital_charts(place, view))
    return page.render(
        "hospital.html",
        place.viewer,
        place=place,
        view=view,
        fresh=views.freshness(place.version),
        national_rates=place.version.reference.national_rates(place.program_year),
        bars=bars,
        chart=chart,
    )


def _hospital_charts(place: views.Place, view: Mapping[str, Any]) -> tuple[list[tuple[str, float]], dict[str, Any]]:
    errs = {
        measure: {
            "err": row["err_median"],
            "low": _end(row["err_interval"], 0),
            "high": _end(row["err_interval"], 1),
            "median": row["peer_group_median"],
            "costs": charts.known(row["contribution_median"]) and row["contribution_median"] > 0,
        }
        for measure, row in view["measures"].items()
    }
    scale = charts.err_scale(list(errs.values()))
    fall, coarse = view["waterfall"], view["coarse"]
    bars = [(charts.NAMES[measure], part) for measure, part in fall["parts"].items()]
    if fall["closed"] is not None:
        bars.append(("Rest", fall["closed"]))
    if fall["cap"]:
        bars.append(("Rounding" if coarse else "Cap", fall["cap"]))
    if round(fall["chance"], 5):
        bars.append(("Chance", fall["chance"]))
    national = place.version.reference.national_rates(place.program_year)
    cap = place.version.rules(place.program_year).max_reduction
    dual = view["dual"]
    own = dual["dual_proportion"] if charts.known(dual["dual_proportion"]) else None
    windows = [(row["month"], row["dual_proportion"]) for row in dual["windows"]]
    return bars, {
        "fan": charts.fitting(lambda width: charts.fan(view["fan"], cap, place.program_year, width)),
        "waterfall": charts.fitting(lambda width: charts.waterfall(bars, fall["total"], "Reduction", coarse, width)),
        "err_axis": charts.err_axis(scale),
        "errs": {measure: charts.err_row(row, scale) for measure, row in errs.items()},
        "trends": {
            measure: charts.trend(measure, rows, national.value[measure], charts.NAMES[measure])
            for measure, rows in _in_order(view["trends"])
            if len(rows) > 1
        },
        "dual": charts.fitting(lambda width: charts.dual(windows, dual["cuts"], own, width)),
        "ledger": _ledger_chart(view["changes"]),
    }


def _end(interval: Any, place: int) -> Any:
    return interval if interval is None or isinstance(interval, Hidden) else interval[place]


def _in_order(by_measure: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(measure, by_measure[measure]) for measure in MEASURES if measure in by_measure]


def _ledger_chart(changes: Mapping[str, Any] | None) -> Markup | None:
    series = [(row["as_of"], row["likely"]) for row in (changes or {}).get("series", ()) if charts.known(row["likely"])]
    return charts.ledger(series, bool(changes and changes["coarse"])) if len(series) > 2 else None


def hospital_json(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """One hospital and program year as JSON."""
    view = views.hospital_view(_place(request, version, viewer))
    return _json(view | {"rules": asdict(view["rules"])})


def worth(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """What one avoided readmission is worth, with its range."""
    place = _place(request, version, viewer)
    return page.render(
        "worth.html", viewer, place=place, view=views.worth_view(place, ranges=True), fresh=views.freshness(version)
    )


def measure_page(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """One measure of a hospital and program year."""
    place = _place(request, version, viewer)
    view = views.measure_view(place, request.path_params["measure"])
    flow = view["flow"]
    out = [(row["meaning"], row["stays"]) for row in flow["reasons"]]
    if charts.known(flow["other"]) and flow["other"]:
        out.append(("Other reasons together", flow["other"]))
    points = view["calibration"]["parts"]
    return page.render(
        "measure.html",
        viewer,
        place=place,
        view=view,
        fresh=views.freshness(version),
        chart={
            "flow": charts.fitting(
                lambda width: charts.flow(flow["judged"], out, flow["included"], width), charts.WHOLE
            )
            if charts.known(flow["judged"]) and flow["judged"]
            else None,
            "calibration": charts.calibration(points) if points else None,
            "trend": charts.fitting(
                lambda width: charts.trend(
                    view["measure"], view["trend"], view["national_rate"], charts.NAMES[view["measure"]], width
                )
            )
            if len(view["trend"]) > 1
            else None,
        },
    )


def measure_json(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """One measure as JSON."""
    return _json(views.measure_view(_place(request, version, viewer), request.path_params["measure"]))


def method(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """Rules, lists, files, checks, glossary."""
    return page.render(
        "method.html", viewer, view=views.method_view(version, viewer), fresh=views.freshness(version), terms=TERMS
    )


def proof(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """How to hold the figures against CMS's own report, and what the last comparisons found."""
    return page.render("proof.html", viewer, view=views.proof_view(version, viewer), fresh=views.freshness(version))


def help_page(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """How to read the page, what is withheld and why, who sees what."""
    return page.render("help.html", viewer, fresh=views.freshness(version), terms=TERMS)


# ---- what-if ----


class ScenarioError(ValueError):
    """A field of the scenario cannot be read; the message says which and what was expected."""


def read_scenario(query: Mapping[str, str], prefix: str = "") -> Scenario:
    """The scenario in a query string: `avoid-HF=6`, `volume-PN=0.9`, `median-HF=0.99`, `dual=0.21`; empty fields change nothing.

    Raises ScenarioError naming the field.
    """
    document: dict[str, Any] = {"avoid": {}, "volume": {}, "medians": {}}
    limits = {"avoid": (-MOST_AVOIDED, MOST_AVOIDED), "volume": (0.0, MOST_VOLUME), "median": (0.0, MOST_MEDIAN)}
    for kind, (lowest, highest) in limits.items():
        for measure in MEASURES:
            name = f"{prefix}{kind}-{measure}"
            value = _number(query.get(name, ""), name, lowest, highest)
            if value is not None:
                document[SCENARIO_NAMES[kind]][measure] = value
    dual = _number(query.get(f"{prefix}dual", ""), f"{prefix}dual", 0.0, 1.0)
    if dual is not None:
        document["dual_proportion"] = dual
    try:
        return Scenario.from_document(document)
    except UsageError as error:
        raise ScenarioError(str(error)) from None


def _number(text: str, name: str, lowest: float, highest: float) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and lowest <= value <= highest):
        raise ScenarioError(f"Field {name}: a number from {lowest:g} to {highest:g} is expected.")
    return value


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*-?\d+(\.\d+)?(e-?\d+)?\s*", text, re.ASCII) is not None


def _scenario_answer(place: views.Place, scenario: Scenario) -> dict[str, Any]:
    try:
        return views.what_if_view(place, scenario)
    except LookupError:
        closed = ", ".join(charts.NAMES[measure] for measure in place.closed_measures)
        raise ScenarioError(
            f"At your level {closed} {'is' if len(place.closed_measures) == 1 else 'are'} withheld in this program year (too few "
            "patients), so a scenario cannot change it. Leave these fields empty."
        ) from None


def what_if(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """Scenarios beside the forecast. The address is the scenario: it can be linked, printed, compared."""
    place = _place(request, version, viewer)
    query = request.query_params
    comparing = query.get("compare") == "1"
    message, scenarios, answers = "", [], []
    prefixes = ("", "b-") if comparing else ("",)
    try:
        scenarios = [read_scenario(query, prefix) for prefix in prefixes]
        answers = [_scenario_answer(place, scenario) for scenario in scenarios]
    except ScenarioError as error:
        message = str(error)
        answers = [views.what_if_view(place, Scenario())]
    base = answers[0]["forecast"]
    sides = [("Forecast", base)]
    if not message:
        labels = ("Scenario A", "Scenario B") if comparing else ("Scenario",)
        sides += [(label, answer["what_if"]) for label, answer in zip(labels, answers, strict=True)]
    bars = [
        (label, side["payment_reduction_interval"][0], side["payment_reduction"], side["payment_reduction_interval"][1])
        for label, side in sides
        if all(charts.known(each) for each in (side["payment_reduction"], *side["payment_reduction_interval"]))
    ]
    # A field that is no number cannot be shown in a field of numbers; the message names it.
    fields = {name: value[:20] for name, value in query.items() if _is_number(value)}
    return page.render(
        "what_if.html",
        viewer,
        400 if message else 200,
        place=place,
        fields=fields,
        comparing=comparing,
        prefixes=prefixes,
        message=message,
        answers=[] if message else answers,
        sides=sides,
        base=base,
        chart=charts.fitting(lambda width: charts.compare(bars, width), charts.WHOLE) if bars else None,
        payments=place.start().hospital.annual_payments,
        fresh=views.freshness(version),
        address=_scenario_address(fields),
        command=_command(place, scenarios[0]) if answers and not message and not place.blurred_measures else "",
        break_even=views.break_even_view(place),
    )


def _scenario_address(fields: Mapping[str, str]) -> str:
    known = {
        f"{prefix}{kind}-{measure}" for prefix in ("", "b-") for kind in SCENARIO_NAMES for measure in MEASURES
    } | {"dual", "b-dual", "compare"}
    return urlencode([(name, value) for name, value in fields.items() if name in known])


def _command(place: views.Place, scenario: Scenario) -> str:
    """The same question on the command line."""
    words = [f"hrrp what-if --ccn {place.hospital.ccn} --program-year {place.program_year}"]
    for option, given in (("avoid", scenario.avoid), ("volume", scenario.volume), ("median", scenario.medians)):
        words += [f"--{option} {measure}={value!r}" for measure, value in given.items()]
    if scenario.dual_proportion is not None:
        words.append(f"--dual-proportion {scenario.dual_proportion!r}")
    return " ".join(words)


def what_if_json(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """The scenario's answer as JSON: the document of `hrrp what-if --json`."""
    place = _place(request, version, viewer)
    return _json(_scenario_answer(place, read_scenario(request.query_params)))


# ---- single stays ----


def _patients_place(page: Page, request: Request, version: Version, viewer: Viewer) -> views.Place:
    place = _place(request, version, viewer)
    if not viewer.patient_level:
        raise RefusedError(
            "Single stays are shown to users with patient level only. The page knows a user from the header that a trusted proxy "
            'sets; whoever runs it gives the user level = "patient" under [users] in hrrp.toml, and names the proxy\'s address in '
            "trusted_proxies. The other pages hold no single stay and are open to you."
        )
    if not version.has_patients:
        raise RefusedError(
            "This site does not publish single stays. Whoever runs it sets publish_patients = true in hrrp.toml, for hrrp run and "
            "for hrrp serve, and runs once more."
        )
    return place


def stay_list(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """The judged stays: filtered, sorted, a page at a time."""
    place = _patients_place(page, request, version, viewer)
    query = request.query_params
    sort = query.get("sort", "-discharge")
    view = stays.stay_list(
        place,
        measure=query.get("measure", ""),
        show=query.get("show", "all"),
        reason=query.get("reason", "")[:60],
        needle=query.get("find", "")[:60],
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        page=_whole(query.get("page")) or 1,
    )
    stays.write_audit(page.settings.out, viewer.name, "stays", place, view["measure"], len(view["rows"]))
    return page.render(
        "stays.html",
        viewer,
        place=place,
        view=view,
        choices=stays.reason_choices(place),
        meanings=_meanings(version),
        fresh=views.freshness(version),
    )


def _meanings(version: Version) -> dict[str, str]:
    return {row["reason"]: row["meaning"] for row in version.reference.rows("reason_codes")}


def stay_page(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """One stay: why in or out, outcome, risk factors with their rows."""
    place = _patients_place(page, request, version, viewer)
    measure = request.path_params["measure"]
    if measure not in MEASURES or request.path_params["stay"] > 2**31 - 1:
        raise views.NotThereError
    with version.open_patients() as warehouse:
        view = stays.one_stay(warehouse, place, measure, request.path_params["stay"])
    stays.write_audit(page.settings.out, viewer.name, "stay", place, measure, 1)
    return page.render(
        "stay.html", viewer, place=place, view=view, meanings=_meanings(version), fresh=views.freshness(version)
    )


def stay_export(page: Page, request: Request, version: Version, viewer: Viewer) -> Response:
    """The judged stays that the filters leave, as CSV."""
    place = _patients_place(page, request, version, viewer)
    query = request.query_params
    measure = query.get("measure", "")
    rows, text = stays.export(
        place,
        measure=measure,
        show=query.get("show", "all"),
        reason=query.get("reason", "")[:60],
        needle=query.get("find", "")[:60],
    )
    stays.write_audit(page.settings.out, viewer.name, "export", place, measure, rows)
    name = f"stays_{place.hospital.ccn}_fy{place.program_year}.csv"
    return Response(
        text, media_type="text/csv; charset=utf-8", headers={"content-disposition": f'attachment; filename="{name}"'}
    )


# Answers that are never kept: of single stays, and what other commands leave beside the run.
ASKED_ANEW = (stay_list, stay_page, stay_export, proof)


# ---- parts ----


def _whole(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,6}", text) else None


def _json(document: Mapping[str, Any]) -> Response:
    return Response(json.dumps(plain(document), indent=2, ensure_ascii=False) + "\n", media_type="application/json")


def static(request: Request) -> Awaitable[Response] | Response:
    """Style sheet, script, icon."""
    name = request.path_params["name"]
    if name not in STATIC:
        return PlainTextResponse("There is nothing here.\n", 404)
    return Response(
        _static(name), media_type=STATIC[name], headers={"cache-control": "public, max-age=31536000, immutable"}
    )


@cache
def _static(name: str) -> bytes:
    return (HERE / "static" / name).read_bytes()


def _static_address(name: str) -> str:
    return f"/static/{name}?v={hashlib.sha256(_static(name)).hexdigest()[:10]}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _shown(figures.number),
        "percent": _shown(figures.percent),
        "reduction": _shown(figures.reduction),
        "chance": _shown(figures.chance),
        "dollars": _shown(figures.dollars),
        "ratio": _shown(figures.ratio),
        "day": figures.day,
        "month": figures.month,
        "measure": lambda name: charts.NAMES.get(name, name),
        "bytes": lambda size: (
            "–" if size is None else f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"
        ),
        "known": charts.known,
    }
    environment.globals |= {
        "MEASURES": MEASURES,
        "spread": figures.spread,
        "sparkline": charts.sparkline,
        "shares": charts.shares,
        "static": _static_address,
        "term": _term,
        "query": lambda **values: urlencode([(n, v) for n, v in values.items() if v not in ("", None)]),
    }
    return environment


def _shown(write: Callable[..., str]) -> Callable[..., str | Markup]:
    """A figure as text; a withheld one is marked, so that it reads as a word and not as a value."""

    def filtered(value: Any, *args: Any, **options: Any) -> str | Markup:
        if isinstance(value, Hidden):
            return Markup('<span class="withheld" title="Too few patients to show at your level">withheld</span>')
        # A figure and its unit stay on one line.
        return write(value, *args, **options).replace(" %", "\u00a0%")

    return filtered


def _term(name: str, text: str = "") -> Markup:
    """A term of the glossary where it stands: a link to its entry whose title is the meaning."""
    return Markup('<a class="term" href="/help#{}" title="{}">{}</a>').format(
        name.replace(" ", "-"), TERMS[name], escape(text or name)
    )


__all__ = ["HrrpError", "make_app", "read_scenario"]
