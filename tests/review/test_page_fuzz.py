"""10,000 requests that nobody would write by hand: no failure of the program, and no patient in any answer to who may not see one.

The requests are drawn from a seed, so a failing one can be asked again; HRRP_FUZZ_SEED and HRRP_FUZZ_REQUESTS try others.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from typing import Any

import pytest
from page_site import AGGREGATE_USER, CANARY, HEADER, MY_HOSPITAL, ONE_HOSPITAL_USER, PATIENT_USER, PROXY, Site

from hrrp.program import MEASURES
from hrrp.review.page import make_app

REQUESTS = int(os.environ.get("HRRP_FUZZ_REQUESTS", "10000"))
SEED = int(os.environ.get("HRRP_FUZZ_SEED", "20261125"))
HOSPITALS = ("010873", "010875", "010879", "999999", "01087", "0108799", "", "a", "..", "%00", "é", "0")
YEARS = ("2028", "2029", "2030", "2027", "0", "-1", "99999999999", "2029.0", "x", "２０２９")
WORDS = (
    "", "0", "1", "-1", "6", "1e3", "1e309", "-1e309", "nan", "inf", "-0", "0x10", "1_000", "٣", "NULL", "'", '"', "' or 1=1 --",
    "<script>alert(1)</script>", "{{7*7}}", "${7*7}", "%s%s%n", "\x00", "\ud7ff", "😀", "../../etc/passwd", "..\\..", "a" * 200, "%",
    "HF", "AMI", "hf", "likely", "-likely", "-name", "name", "discharge", "-risk", "AL", "9" * 30, "true", "[]", "{}", "\r\nx: y",
    ";", "&&", CANARY[:2],
)  # fmt: skip
NAMES = (
    "year", "sort", "page", "state", "name", "measure", "show", "reason", "find", "compare", "dual", "b-dual", "v", "q", "",
    *(f"{prefix}{kind}-{measure}" for prefix in ("", "b-") for kind in ("avoid", "volume", "median") for measure in (*MEASURES, "X")),
)  # fmt: skip
ENDS = (
    "", "/", "/hospital.json", "/what-if", "/what-if.json", "/worth", "/stays", "/stays.csv", "/stays/HF/1", "/stays/HF/12345",
    "/stays/X/1",    "/stays/HF/99999999999999999999",
    "/measures/HF", "/measures/AMI/measure.json", "/measures/..", "/measures/%2e%2e", "//", "/nowhere",
)  # fmt: skip
STARTS = (
    "/",
    "/system.json",
    "/method",
    "/proof",
    "/help",
    "/static/page.css",
    "/static/page.js",
    "/static/../page.py",
    "/favicon.ico",
    "/hospitals",
)
METHODS = ("GET",) * 17 + ("HEAD", "POST", "TRACE")
HOSTS = ("localhost",) * 18 + ("evil.test", "localhost:99999")
# Whoever has no patient level, by every way in; the last two have it, for one hospital and for all.
PEERS: tuple[tuple[str, list[tuple[str, str]]], ...] = (
    (PROXY, [(HEADER, AGGREGATE_USER)]),
    (PROXY, [(HEADER, AGGREGATE_USER)]),
    (PROXY, []),
    (PROXY, [(HEADER, PATIENT_USER), (HEADER, AGGREGATE_USER)]),
    (PROXY, [(HEADER, "stranger")]),
    ("127.0.0.1", [(HEADER, PATIENT_USER)]),
    ("203.0.113.9", [(HEADER, PATIENT_USER), ("X-Forwarded-For", PROXY), ("Forwarded", f"for={PROXY}")]),
    (PROXY, [(HEADER, ONE_HOSPITAL_USER)]),
    (PROXY, [(HEADER, PATIENT_USER)]),
)


def quoted(text: str, draw: random.Random) -> bytes:
    """As a client would send it, or half of it raw."""
    raw = text.encode("utf-8", "surrogatepass")
    if draw.random() < 0.1:
        return raw
    return b"".join(bytes([each]) if chr(each).isalnum() or each in b"-_./" else b"%%%02X" % each for each in raw)


def a_request(draw: random.Random) -> dict[str, Any]:
    if draw.random() < 0.75:
        path = f"/hospitals/{draw.choice(HOSPITALS[:3] if draw.random() < 0.7 else HOSPITALS)}"
        path += f"/{draw.choice(YEARS[:3] if draw.random() < 0.8 else YEARS)}{draw.choice(ENDS)}"
    elif draw.random() < 0.8:
        path = draw.choice(STARTS)
    else:
        path = "/" + "/".join(draw.choice(WORDS) for _ in range(draw.randint(1, 5)))
    pairs = []
    for _ in range(draw.choice((0, 1, 1, 2, 3, 8))):
        pairs.append(
            quoted(draw.choice(NAMES), draw)
            + draw.choice((b"=", b"=", b"=", b"", b"=="))
            + quoted(draw.choice(WORDS), draw)
        )
    query = draw.choice((b"&", b"&", b";")).join(pairs)
    if draw.random() < 0.01:
        query += b"a=" + b"x" * draw.randint(3000, 9000)
    peer, headers = draw.choice(PEERS)
    if draw.random() < 0.1:
        headers = [
            *headers,
            (
                draw.choice(("accept", "cookie", "range", "x-http-method-override", "if-none-match")),
                draw.choice(WORDS[:20]),
            ),
        ]
    return {
        "method": draw.choice(METHODS),
        "path": path,
        "raw_path": quoted(path, draw),
        "query_string": query,
        "peer": peer,
        "headers": [("host", draw.choice(HOSTS)), *headers],
    }


async def ask(app: Any, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """One request through the application, as a server would hand it on."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "server": ("127.0.0.1", 8501),
        "client": (request["peer"], 50000),
        **{name: request[name] for name in ("method", "path", "raw_path", "query_string")},
        "headers": [
            (n.lower().encode("latin-1", "replace"), v.encode("latin-1", "replace")) for n, v in request["headers"]
        ],
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


def may_see_patients(request: dict[str, Any]) -> bool:
    users = [value for name, value in request["headers"] if name == HEADER]
    return request["peer"] == PROXY and (
        users == [PATIENT_USER] or (users == [ONE_HOSPITAL_USER] and f"/hospitals/{MY_HOSPITAL}/" in request["path"])
    )


def test_no_failure_and_no_leak(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(site.behind_proxy.model_copy(update={"draws": 200}))
    draw = random.Random(SEED)
    seen: Counter[int] = Counter()
    with_canary = 0

    async def all_of_them() -> None:
        nonlocal with_canary
        for number in range(REQUESTS):
            request = a_request(draw)
            status, headers, body = await ask(app, request)
            seen[status] += 1
            said = (number, request, status)
            assert status in {200, 400, 403, 404, 405, 414}, said
            assert headers["content-security-policy"].startswith("default-src 'none'"), said
            assert "set-cookie" not in headers and "location" not in headers, said
            assert "x: y" not in str(headers), said
            # What was asked for may be shown again as text, never as an element or an instruction.
            assert b"<script>alert" not in body, said
            assert b"Traceback" not in body and b"site-packages" not in body, said
            leaked = CANARY.encode() in body
            if may_see_patients(request):
                with_canary += leaked
            else:
                assert not leaked, said

    try:
        asyncio.run(all_of_them())
    finally:
        app.state.published.close()
    assert CANARY not in caplog.text
    assert not [record for record in caplog.records if record.name == "hrrp.page"], caplog.text
    # The requests reach what they should: pages, refusals, and the stays of those who may see them.
    if REQUESTS >= 10_000:
        assert (
            seen[200] > 1000 and seen[403] > 1000 and seen[404] > 500 and min(seen[400], seen[405], seen[414]) > 10
        ), seen
        assert with_canary > 20
