"""The vendor's stand-in keeps to what is known of the vendor."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.market.fmp.kit import EVENING, IN_SESSION, KEY
from tests.standins import fmp_words as words
from tests.standins.fmp import FmpStandIn


@pytest.fixture
def vendor() -> Iterator[FmpStandIn]:
    with FmpStandIn(now=lambda: IN_SESSION) as running:
        yield running


@pytest.fixture
def http(vendor: FmpStandIn) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=vendor.root, headers={"apikey": KEY}, trust_env=False) as client:
        yield client


def test_a_key_is_asked_for_in_the_header_or_the_address(vendor: FmpStandIn, http: httpx.Client) -> None:
    with httpx.Client(base_url=vendor.root, trust_env=False) as bare:
        refused = bare.get("/stable/quote?symbol=AAPL")
        assert (refused.status_code, refused.json()) == (401, {"Error Message": words.WRONG_KEY})
        assert bare.get(f"/stable/quote?symbol=AAPL&apikey={KEY}").status_code == 200
    assert http.get("/stable/quote?symbol=AAPL").json()[0]["symbol"] == "AAPL"


def test_old_unknown_and_path_style_addresses(http: httpx.Client) -> None:
    assert http.get("/api/v3/quote/AAPL").status_code == 403
    for path in ("/stable/quote/AAPL", "/stable/nothing"):
        answer = http.get(path)
        assert (answer.status_code, answer.json()) == (404, [])


def test_a_day_has_250_calls_refused_ones_too(vendor: FmpStandIn, http: httpx.Client) -> None:
    for symbol in ("AAPL", "GOOG") * 125:
        assert http.get(f"/stable/splits?symbol={symbol}").status_code in (200, 402)
    over = http.get("/stable/splits?symbol=AAPL")
    assert (over.status_code, over.json()["Error Message"]) == (429, words.DAILY_LIMIT)
    assert vendor.calls_today() == 250
    vendor.now = lambda: IN_SESSION.replace(hour=0) + timedelta(days=1)
    assert http.get("/stable/splits?symbol=AAPL").status_code == 200


def test_the_months_bytes_run_out_and_come_back(vendor: FmpStandIn, http: httpx.Client) -> None:
    vendor.bytes_in_30_days = 1000
    assert http.get("/stable/historical-price-eod/full?symbol=AAPL&from=2026-03-01").status_code == 200
    assert http.get("/stable/quote?symbol=AAPL").json()["Error Message"] == words.BANDWIDTH_LIMIT
    vendor.now = lambda: IN_SESSION + timedelta(days=31)
    assert http.get("/stable/quote?symbol=AAPL").status_code == 200


def test_the_free_plan_refuses_in_the_vendors_words(http: httpx.Client) -> None:
    for question, said in (
        ("quote?symbol=GOOG", words.value_set("symbol")),
        ("quote?symbol=AAPL,MSFT", words.value_set("symbol")),
        ("ratios?symbol=AAPL&limit=6", words.LIMIT_OVER_5),
        ("ratios?symbol=AAPL&period=quarter", words.value_set("period")),
        ("company-screener", words.RESTRICTED),
    ):
        answer = http.get(f"/stable/{question}")
        assert (answer.status_code, answer.text) == (402, said)
    assert http.get("/stable/profile?symbol=GOOG").status_code == 200


def test_bars_come_newest_first_of_sessions_alone_and_an_unknown_parameter_is_passed_over(
    http: httpx.Client,
) -> None:
    rows = http.get("/stable/historical-price-eod/full?symbol=AAPL&nonsense=1").json()
    days = [row["date"] for row in rows]
    assert days == sorted(days, reverse=True) and 1250 < len(days) < 1265
    assert days[0] == "2026-03-09"  # the session of the 10th still trades
    some = http.get("/stable/historical-price-eod/full?symbol=AAPL&from=2026-02-13&to=2026-02-17").json()
    assert [row["date"] for row in some] == ["2026-02-17", "2026-02-13"]  # a holiday between
    assert some[0] == next(row for row in rows if row["date"] == "2026-02-17") | {
        "change": some[0]["change"],
        "changePercent": some[0]["changePercent"],
    }
    assert http.get("/stable/quote").json()[0]["symbol"] == "AAPL"


def test_a_quote_moves_within_its_bar_and_ends_at_the_close(vendor: FmpStandIn) -> None:
    opened, top, bottom, close, _ = vendor.market.bar("AAPL", IN_SESSION.date(), EVENING)
    prices = [vendor.market.price("AAPL", IN_SESSION + timedelta(minutes=10 * n))[0] for n in range(25)]
    assert len(set(prices)) > 20 and all(bottom <= price <= top for price in prices)
    assert vendor.market.price("AAPL", EVENING) == (close, datetime(2026, 3, 10, 20, 0, 1, tzinfo=UTC))
    assert opened != close


def test_an_answer_may_be_asked_for_by_its_tag(http: httpx.Client) -> None:
    first = http.get("/stable/quote?symbol=AAPL")
    assert first.headers["content-encoding"] == "gzip"
    assert not any("limit" in name.lower() or "retry" in name.lower() for name in first.headers)
    again = http.get("/stable/quote?symbol=AAPL", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_as_a_process_it_is_driven_over_http() -> None:
    command = [
        sys.executable,
        "-m",
        "tests.standins.fmp",
        "--port",
        "0",
        "--start",
        "2026-03-10T15:00:00+00:00",
    ]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        base = process.stdout.readline().strip()
        try:
            with httpx.Client(headers={"apikey": KEY}, trust_env=False) as http:
                control = base.removesuffix("/stable") + "/_standin"
                http.post(f"{control}/faults", content=json.dumps([{"kind": "bad_gateway"}]))
                assert http.get(f"{base}/quote?symbol=AAPL").status_code == 502
                http.post(f"{control}/clock", content=json.dumps({"now": "2026-03-11T22:00:00+00:00"}))
                split = [{"symbol": "AAPL", "ex_date": "2026-03-11", "ratio": 4}]
                http.post(f"{control}/splits", content=json.dumps(split))
                assert http.get(f"{base}/splits?symbol=AAPL").json()[0]["numerator"] == 4
                state = http.get(f"{control}/state").json()
                assert state["by_endpoint"] == {"quote 502": 1, "splits 200": 1}
                assert state["now"].startswith("2026-03-11T22:00")
        finally:
            process.terminate()
