"""Who may see what: the page as whoever must not see it would ask for it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from page_site import AGGREGATE_USER, CANARY, HEADER, MY_HOSPITAL, ONE_HOSPITAL_USER, PATIENT_USER, PROXY, Site
from starlette.testclient import TestClient

from hrrp.cli.serve import check_host
from hrrp.errors import UsageError
from hrrp.program import MEASURES
from hrrp.review.page import HEADERS, LONGEST_ADDRESS, make_app
from hrrp.review.stays import AUDIT
from hrrp.review.viewers import RefusedError, viewer_of
from hrrp.settings import Settings

OTHER, YEAR = "010879", 2029
PLACE = f"/hospitals/{OTHER}/{YEAR}"
OPEN_VIEWS = (
    "/",
    "/system.json",
    "/method",
    "/proof",
    "/help",
    f"/hospitals/{OTHER}",
    PLACE,
    f"{PLACE}/hospital.json",
    f"{PLACE}/what-if",
    f"{PLACE}/what-if.json",
    f"{PLACE}/worth",
    f"{PLACE}/measures/HF",
    f"{PLACE}/measures/HF/measure.json",
)
PATIENT_VIEWS = (f"{PLACE}/stays", f"{PLACE}/stays.csv", f"{PLACE}/stays/HF/1")


def client(settings: Settings, peer: str = "127.0.0.1", **headers: str) -> TestClient:
    return TestClient(
        make_app(settings),
        base_url="http://localhost:8501",
        client=(peer, 51234),
        headers=headers,
        follow_redirects=False,
    )


@pytest.fixture(scope="module")
def local(site: Site) -> Iterator[TestClient]:
    with client(site.local) as opened:
        yield opened


@pytest.fixture(scope="module")
def proxied(site: Site) -> Iterator[TestClient]:
    with client(site.behind_proxy, PROXY) as opened:
        yield opened


def as_user(name: str) -> dict[str, str]:
    return {HEADER: name}


def a_stay(answer: httpx.Response) -> str:
    found = re.search(r'href="(/hospitals/\d+/\d+/stays/\w+/\d+)"', answer.text)
    assert found
    return found[1]


# ---- the default ----


def test_default_is_this_machine_and_aggregate(local: TestClient) -> None:
    for path in OPEN_VIEWS:
        answer = local.get(path)
        assert answer.status_code == 200, path
        assert CANARY not in answer.text, path
    for path in PATIENT_VIEWS:
        answer = local.get(path)
        assert answer.status_code == 403, path
        assert "patient level only" in answer.text
        assert CANARY not in answer.text, path


@pytest.mark.parametrize("name", [HEADER, "X-User", "Remote-User", "X-Forwarded-For", "Forwarded", "Authorization"])
def test_no_header_gives_a_right_without_proxies(local: TestClient, name: str) -> None:
    for value in (PATIENT_USER, PROXY, f"for={PROXY}", "Basic bm9yYTpub3Jh"):
        for path in PATIENT_VIEWS:
            assert local.get(path, headers={name: value}).status_code == 403


def test_listening_address_is_loopback_unless_a_proxy_is_named() -> None:
    check_host("127.0.0.1", Settings(), behind_proxy=False)
    check_host("::1", Settings(), behind_proxy=False)
    check_host("10.0.0.5", Settings(trusted_proxies=(PROXY,)), behind_proxy=True)
    for host, behind in (("0.0.0.0", False), ("10.0.0.5", False), ("::", False), ("0.0.0.0", True), ("example", False)):
        with pytest.raises(UsageError):
            check_host(host, Settings(), behind_proxy=behind)
    with pytest.raises(UsageError):
        check_host("10.0.0.5", Settings(trusted_proxies=(PROXY,)), behind_proxy=False)


# ---- behind a proxy ----


def test_users_see_their_hospitals_at_their_level(proxied: TestClient) -> None:
    answer = proxied.get(f"{PLACE}/stays", headers=as_user(PATIENT_USER))
    assert answer.status_code == 200
    assert CANARY in answer.text
    assert proxied.get(a_stay(answer), headers=as_user(PATIENT_USER)).status_code == 200
    export = proxied.get(f"{PLACE}/stays.csv", headers=as_user(PATIENT_USER))
    assert export.headers["content-type"].startswith("text/csv")
    assert "attachment" in export.headers["content-disposition"]
    for path in OPEN_VIEWS:
        assert proxied.get(path, headers=as_user(AGGREGATE_USER)).status_code == 200
    for path in (*PATIENT_VIEWS, a_stay(answer)):
        refused = proxied.get(path, headers=as_user(AGGREGATE_USER))
        assert refused.status_code == 403
        assert CANARY not in refused.text


def test_other_hospitals_are_not_there(proxied: TestClient) -> None:
    """Neither by address nor in a list, a filter, a count or a total; and as if they did not exist."""
    mine = as_user(ONE_HOSPITAL_USER)
    nothing = proxied.get("/hospitals/999999/2029", headers=mine)
    for path in (p.replace(OTHER, OTHER) for p in (*OPEN_VIEWS[5:], *PATIENT_VIEWS)):
        answer = proxied.get(path, headers=mine)
        assert answer.status_code == 404, path
        assert answer.text == nothing.text
    assert proxied.get(f"/hospitals/{MY_HOSPITAL}/{YEAR}/stays", headers=mine).status_code == 200
    listed = proxied.get("/system.json", headers=mine).json()
    assert [row["ccn"] for row in listed["rows"]] == [MY_HOSPITAL]
    assert (listed["hospitals"], listed["hospitals_in_all"]) == (1, 1)
    assert listed["dollars"] in (listed["rows"][0]["dollars"], None)
    for query in (f"name={OTHER}", "name=0108", "state=AL", "page=2", "year=2028&sort=name"):
        text = proxied.get(f"/?{query}", headers=mine).text + proxied.get(f"/system.json?{query}", headers=mine).text
        assert OTHER not in re.sub(r'(value="|name[=": ]+)' + OTHER, "", text), query
    for path in ("/method", "/proof", "/help"):
        assert OTHER not in proxied.get(path, headers=mine).text


def test_a_stay_of_another_hospital_is_not_reached_through_ones_own(proxied: TestClient) -> None:
    theirs = a_stay(proxied.get(f"{PLACE}/stays?measure=HF", headers=as_user(PATIENT_USER)))
    through_mine = theirs.replace(OTHER, MY_HOSPITAL)
    assert proxied.get(through_mine, headers=as_user(ONE_HOSPITAL_USER)).status_code == 404


@pytest.mark.parametrize("peer", ["10.9.8.6", "127.0.0.1", "192.0.2.16", "::1", "testclient", "", "::ffff:10.9.8.8"])
def test_a_header_from_elsewhere_is_not_believed(site: Site, peer: str) -> None:
    with client(site.behind_proxy, peer) as opened:
        for path in (*OPEN_VIEWS, *PATIENT_VIEWS):
            answer = opened.get(
                path,
                headers={
                    HEADER: PATIENT_USER,
                    "X-Forwarded-For": PROXY,
                    "Forwarded": f"for={PROXY}",
                    "X-Real-IP": PROXY,
                },
            )
            assert answer.status_code == 403, (peer, path)
            assert "Open it through that proxy" in answer.text
            assert CANARY not in answer.text


def test_a_network_of_proxies(site: Site) -> None:
    with client(site.behind_proxy, "192.0.2.15") as opened:
        assert opened.get(f"{PLACE}/stays", headers=as_user(PATIENT_USER)).status_code == 200


def test_one_known_name_exactly_once(proxied: TestClient) -> None:
    path = f"{PLACE}/stays"
    for headers in (
        [],
        [(HEADER, "")],
        [(HEADER, "  ")],
        [(HEADER, "nobody")],
        [(HEADER, PATIENT_USER.upper())],
        [(HEADER, f"{PATIENT_USER}, {AGGREGATE_USER}")],
        [(HEADER, PATIENT_USER), (HEADER, AGGREGATE_USER)],
        [(HEADER, AGGREGATE_USER), (HEADER.lower(), PATIENT_USER)],
        [(HEADER, PATIENT_USER), (HEADER, PATIENT_USER)],
        [("X_Forwarded_User", PATIENT_USER)],
        [("X-Forwarded-User-Name", PATIENT_USER)],
    ):
        answer = proxied.get(path, headers=headers)
        assert answer.status_code == 403, headers
        assert CANARY not in answer.text
    # The name of a header has no case, and blanks around a value are none of it.
    assert proxied.get(path, headers=[(HEADER.lower(), f" {PATIENT_USER} ")]).status_code == 200


def test_proxies_without_users_show_nothing(site: Site) -> None:
    settings = Settings(out=site.out, trusted_proxies=(PROXY,))
    for name in (PATIENT_USER, "", "all"):
        with pytest.raises(RefusedError):
            viewer_of(PROXY, [name], settings)


def test_stays_that_are_not_published_are_refused(site: Site) -> None:
    settings = site.behind_proxy.model_copy(update={"publish_patients": False})
    with client(settings, PROXY) as opened:
        answer = opened.get(f"{PLACE}/stays", headers=as_user(PATIENT_USER))
        assert answer.status_code == 403
        assert "does not publish single stays" in answer.text


# ---- the audit log ----


def test_each_view_of_stays_leaves_one_line_without_patients(site: Site, proxied: TestClient) -> None:
    log = site.out / AUDIT
    before = log.read_text().splitlines() if log.exists() else []
    user = as_user(PATIENT_USER)
    listed = proxied.get(f"{PLACE}/stays?measure=HF&find={CANARY}S", headers=user)
    stay = a_stay(listed)
    proxied.get(stay, headers=user)
    proxied.get(f"{PLACE}/stays.csv?measure=PN", headers=user)
    # What is refused or is not there shows no stay, and opens none.
    proxied.get(f"{PLACE}/stays", headers=as_user(AGGREGATE_USER))
    proxied.get(f"{PLACE}/stays/HF/2000000000", headers=user)
    proxied.get(PLACE, headers=user)
    lines = log.read_text().splitlines()[len(before) :]
    found = [json.loads(line) for line in lines]
    assert [(each["view"], each["measure"]) for each in found] == [("stays", "HF"), ("stay", "HF"), ("export", "PN")]
    for line, each in zip(lines, found, strict=True):
        assert set(each) == {"at", "user", "view", "ccn", "program_year", "measure", "rows"}
        assert (each["user"], each["ccn"], each["program_year"]) == (PATIENT_USER, OTHER, YEAR)
        assert CANARY not in line
        assert stay.rsplit("/", 1)[1] not in re.findall(r"\d+", line.split('"user"')[1].replace(str(each["rows"]), ""))
    assert log.stat().st_mode & 0o077 == 0


# ---- host, method, headers ----


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "localhost.evil.test",
        "localhost@evil.test",
        "127.0.0.1.nip.test",
        "localhost.",
        "",
        "[::2]",
        "0.0.0.0",
        "2130706433",
    ],
)
def test_other_host_names_are_refused(local: TestClient, host: str) -> None:
    """A page of another site that has its own name point here gets nothing."""
    for path in ("/", "/system.json", "/static/page.css", "/nowhere"):
        answer = local.get(path, headers={"Host": host})
        assert answer.status_code == 400
        assert "host name" in answer.text
        assert "hospital" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8501", "127.0.0.1:1", "[::1]:8501"])
def test_own_host_names_are_served(local: TestClient, host: str) -> None:
    assert local.get("/help", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "HACK"]
)
def test_reading_only(local: TestClient, method: str) -> None:
    for path in ("/", PLACE, f"{PLACE}/stays", "/static/page.css", "/nowhere"):
        answer = local.request(method, path)
        assert answer.status_code == 405, (method, path)
        assert answer.headers["allow"] == "GET, HEAD"
        assert (
            answer.request.url.path not in answer.text.replace("This page is for reading: GET and HEAD only.", "")
            or path == "/"
        )


def test_head_says_what_get_would(local: TestClient) -> None:
    for path in ("/", PLACE, f"{PLACE}/stays", "/nowhere", f"{PLACE}/hospital.json"):
        got, headed = local.get(path), local.head(path)
        assert (headed.status_code, headed.content) == (got.status_code, b"")
        assert headed.headers["content-security-policy"] == got.headers["content-security-policy"]


def test_every_answer_carries_the_policy_and_no_cookie(proxied: TestClient) -> None:
    user = as_user(PATIENT_USER)
    answers = [
        proxied.get(path, headers=user)
        for path in (*OPEN_VIEWS, *PATIENT_VIEWS, "/nowhere", "/static/page.css", "/static/x")
    ]
    answers += [
        proxied.post("/"),
        proxied.get("/", headers={"Host": "evil.test"}),
        proxied.get("/"),
        proxied.get("/?" + "a" * 5000),
    ]
    answers.append(proxied.get(f"{PLACE}/what-if?avoid-HF=much", headers=user))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy == HEADERS["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy and "data:" not in policy
        assert "set-cookie" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        if not str(answer.request.url.path).startswith("/static/page"):
            assert answer.headers["cache-control"] == "no-store", answer.request.url
        assert "server" not in answer.headers
        # What the policy forbids is not written in the first place.
        if "html" in answer.headers["content-type"]:
            assert not re.search(
                r"<script(?! src=\"/static/)|<style| style=| on[a-z]+=\"|javascript:|https?://", answer.text
            )


@pytest.mark.parametrize(
    "path",
    [
        "/static/../page.py",
        "/static/..%2fpage.py",
        "/static/%2e%2e/%2e%2e/settings.py",
        "/static/%2e%2e%2f%2e%2e%2fpage.py",
        "/static/....//page.py",
        "/static//etc/passwd",
        "/static/page.css%00.py",
        "/hospitals/..%2f..%2fetc/2029",
        "/hospitals/%2e%2e/2029",
        f"/hospitals/{OTHER}/2029/measures/..%2f..%2fstays",
        f"/hospitals/{OTHER}/2029/stays/..%2f/1",
        "/review.duckdb",
        "/../review_patients.duckdb",
        "/audit.log",
        "/\\evil.test",
        f"/hospitals/{OTHER}/" + "9" * 3000,
        f"/hospitals/{OTHER}/-2029",
        f"/hospitals/{OTHER}'--/2029",
    ],
)
def test_paths_lead_nowhere_else(local: TestClient, path: str) -> None:
    answer = local.get(path)
    assert answer.status_code in {404, 403}, (path, answer.status_code)
    assert "import" not in answer.text and "root:" not in answer.text
    assert "location" not in answer.headers


def test_enormous_addresses(local: TestClient) -> None:
    assert local.get("/?name=" + "x" * LONGEST_ADDRESS).status_code == 414
    assert local.get("/" + "x" * LONGEST_ADDRESS).status_code == 414
    assert local.get("/?" + "&".join(f"a{k}=1" for k in range(500))).status_code == 200


def test_messages_do_not_repeat_what_was_asked(local: TestClient) -> None:
    word = "zebra<b>"
    for path in (f"/{word}", f"/hospitals/{word}/2029", f"{PLACE}/measures/{word}", f"{PLACE}/stays?find={word}"):
        answer = local.get(path)
        assert answer.status_code in {403, 404}
        assert "zebra" not in answer.text
    answer = local.get(f"{PLACE}/what-if", params={"avoid-HF": word})
    assert answer.status_code == 400
    assert "<b>" not in answer.text


def test_the_folder_of_the_page_is_its_owners(site: Site, local: TestClient) -> None:
    """Links to the published files of single stays lie in a folder that nobody else may enter."""
    folders = list(site.out.glob(".serve-*"))
    assert folders
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in folders)
    assert (site.out / "review_patients.duckdb").stat().st_mode & 0o077 == 0


def test_an_unexpected_failure_shows_no_trace(
    local: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **values: Any) -> None:
        raise ValueError(f"{CANARY}S000000001")

    monkeypatch.setattr("hrrp.review.views.system_view", fail)
    answer = local.get("/?name=never-asked-before")
    assert answer.status_code == 500
    assert CANARY not in answer.text + caplog.text
    assert "Traceback" not in answer.text
    assert "ValueError in system" in caplog.text


# ---- over the wire ----


@pytest.fixture(scope="module")
def address(site: Site) -> Iterator[tuple[str, int]]:
    from hrrp.review.server import page_config

    app = make_app(site.local)
    server = uvicorn.Server(page_config(app))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listener.getsockname()[:2]
    server.should_exit = True
    thread.join(10)
    app.state.published.close()


def exchange(address: tuple[str, int], request: bytes) -> bytes:
    with socket.create_connection(address, timeout=10) as wire:
        wire.sendall(request)
        received = b""
        while part := wire.recv(65536):
            received += part
    return received


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        (b"GET / HTTP/1.1", b"Host: localhost\r\n", 200),
        (b"GET / HTTP/1.1", b"", 400),
        (b"GET / HTTP/1.1", b"Host: localhost\r\nHost: evil.test\r\n", 400),
        (b"GET / HTTP/1.0", b"", 400),
        (b"GET http://evil.test/ HTTP/1.1", b"Host: evil.test\r\n", 400),
        (b"TRACE / HTTP/1.1", b"Host: localhost\r\n", 405),
        (b"GET //evil.test/ HTTP/1.1", b"Host: localhost\r\n", 404),
        (b"GET /../../../etc/passwd HTTP/1.1", b"Host: localhost\r\n", 404),
        (b"GET / HTTP/1.1", b"Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", 200),
        (b"GET /\xff\xfe HTTP/1.1", b"Host: localhost\r\n", 400),
        (b"GET / HTTP/1.1", b"Host: localhost\r\nX-Forwarded-User: nora\x00patient\r\n", 400),
        (b"GET / HTTP/1.1", b"Host: localhost\r\nX-Long: " + b"x" * 30_000 + b"\r\n", 431),
    ],
)  # fmt: skip
def test_raw_requests(address: tuple[str, int], request_line: bytes, headers: bytes, status: int) -> None:
    answer = exchange(address, request_line + b"\r\n" + headers.replace(b"Connection: Upgrade", b"Connection: close, Upgrade")
                      + (b"" if b"Upgrade" in headers else b"Connection: close\r\n") + b"\r\n")  # fmt: skip
    assert answer.split(b" ", 2)[1] == str(status).encode(), answer[:200]
    assert b"Traceback" not in answer
    assert b"\r\nserver:" not in answer.lower()


def test_measures_are_the_programs_own(local: TestClient) -> None:
    for measure in (*MEASURES, "hf", "SEPSIS", "HF%20"):
        status = local.get(f"{PLACE}/measures/{measure}").status_code
        assert status == (200 if measure in MEASURES else 404)


def test_nothing_beside_the_page_is_written(site: Site, local: TestClient) -> None:
    def seen(folder: Path) -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.duckdb")}

    before = seen(site.out)
    for path in OPEN_VIEWS:
        local.get(path)
    assert seen(site.out) == before


def test_several_processes_answer_and_end_together(site: Site, tmp_path: Path) -> None:
    served = subprocess.Popen(
        [sys.executable, "-m", "hrrp", "serve", "--out", str(site.out), "--port", "0", "--workers", "2", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HRRP_SETTINGS": str(tmp_path / "hrrp.toml")},
    )
    try:
        assert served.stdout is not None
        text = ""
        while '"url"' not in text or "}" not in text:
            text += served.stdout.readline()
        address = json.loads(text)["url"]
        children = [int(each) for each in Path(f"/proc/{served.pid}/task/{served.pid}/children").read_text().split()]
        assert len(children) == 1
        for _ in range(10):
            # A connection each, so that either process may take it.
            assert httpx.get(f"{address}/help").status_code == 200
    finally:
        served.send_signal(signal.SIGTERM)
        assert served.wait(30) in {0, -signal.SIGTERM}
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert not list(site.out.glob(f".serve-{served.pid}-*"))
