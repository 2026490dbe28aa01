"""The client against a server on loopback: what is sent, counted, tried again and believed."""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from agents.market.bars import AssetType, Instrument
from agents.market.fmp import queries
from agents.market.fmp.caller import MOST_RETRIES, Errand
from agents.market.fmp.client import FMPClient
from agents.market.fmp.config import FMPConfig
from agents.market.fmp.errors import FmpError
from agents.market.fmp.models import Quote
from agents.market.fmp.queries import Movers, Query, Screener, StatementPeriod
from storage.calls import CallFault, Priority, QuotaRefused, VendorCall
from storage.errors import OperatorError
from tests.market.fmp.kit import EVENING, KEY, Bench, CountingLedger, Pauses, client_of
from tests.standins.fmp import FmpStandIn
from tests.standins.fmp_words import Fault, FaultKind

RETRIED = 1 + MOST_RETRIES


async def test_a_profile_is_a_line_of_the_universe(bench: Bench) -> None:
    stock, fund = await bench.client.get_profile("AAPL"), await bench.client.get_profile("SPY")
    assert stock is not None and fund is not None
    assert stock.instrument == Instrument(
        "AAPL", "AAPL Corporation", stock.sector, "Software", AssetType.STOCK
    )
    assert fund.instrument.asset_type is AssetType.ETF


async def test_every_endpoint_of_the_free_plan_answers_in_its_type(bench: Bench) -> None:
    client = bench.client
    assert (await client.get_quote("AAPL", Errand())) is not None
    assert (await client.get_aftermarket_quote("AAPL")) is not None
    assert (await client.get_profile("AVGO")) is not None  # not in the plan, but profiles are
    assert (await client.get_key_metrics("AAPL")) is not None
    assert (await client.get_financial_ratios("AAPL")) is not None
    assert len(await client.get_key_metrics_by_period("AAPL")) == 5
    assert len(await client.get_financial_ratios_by_period("AAPL")) == 5
    assert len(await client.get_income_statement("AAPL", StatementPeriod.ANNUAL)) == 5
    bars = await client.get_bars("AAPL")
    assert 1250 < len(bars) < 1265 and bars[0].date > bars[-1].date
    assert (await client.get_closes("^VIX", date(2026, 3, 1)))[-1].date == date(2026, 3, 2)
    assert any(row.eps_actual is None for row in await client.get_earnings("AAPL"))
    bench.vendor.market.splits["AAPL"] = [(date(2026, 3, 2), 4.0)]
    assert [row.action.ratio for row in await client.get_splits("AAPL")] == [4]
    dividends = [await client.get_dividends(symbol) for symbol in ("AAPL", "MSFT", "KO", "JNJ")]
    assert any(row.action.amount > 0 for rows in dividends for row in rows)
    assert (await client.get_articles(3))[0].content.startswith("Analysts of the stand-in looked at")
    assert len(await client.get_movers(Movers.LOSERS)) == 20
    assert len(await client.get_sectors(date(2026, 3, 9))) == 6
    assert (await client.search("AAPL"))[0].symbol == "AAPL"
    assert bench.ledger.faults == [None] * bench.calls


async def test_the_paid_endpoints_answer_on_a_larger_plan(bench: Bench) -> None:
    bench.vendor.allowed = None
    assert len(await bench.client.get_screener(Screener(sector="Energy", limit=7))) == 7
    assert bench.vendor.served[-1].params["isActivelyTrading"] == "true"
    assert (await bench.client.get_stock_news("GOOG"))[0].symbol == "GOOG"
    assert await bench.client.get_quote("NOSUCH1") is None


@pytest.mark.parametrize(
    ("kind", "fault", "calls"),
    [
        (FaultKind.DAILY_LIMIT, CallFault.DAILY_LIMIT, 1),
        (FaultKind.BANDWIDTH_LIMIT, CallFault.BANDWIDTH_LIMIT, 1),
        (FaultKind.ERROR_200, CallFault.DAILY_LIMIT, 1),
        (FaultKind.EMPTY_200, CallFault.GARBLED, 1),
        (FaultKind.TRUNCATED, CallFault.GARBLED, 1),
        (FaultKind.REDIRECT, CallFault.GARBLED, 1),
        (FaultKind.WRONG_SYMBOL, CallFault.WRONG_SYMBOL, 1),
        (FaultKind.NEGATIVE, CallFault.GARBLED, 1),
        (FaultKind.SERVER_ERROR, CallFault.UNAVAILABLE, RETRIED),
        (FaultKind.BAD_GATEWAY, CallFault.UNAVAILABLE, RETRIED),
        (FaultKind.HTML_200, CallFault.UNAVAILABLE, RETRIED),
        (FaultKind.CUT, CallFault.UNAVAILABLE, RETRIED),
    ],
)
async def test_a_spoiled_answer_is_its_fault_and_tried_again_only_where_that_helps(
    bench: Bench, kind: FaultKind, fault: CallFault, calls: int
) -> None:
    bench.vendor.faults.append(Fault(kind, times=100))
    with pytest.raises(FmpError) as refused:
        await bench.client.get_quote("AAPL")
    assert refused.value.fault is fault
    assert bench.calls == len(bench.ledger.admitted) == calls
    assert bench.ledger.faults == [fault] * calls
    assert all(end.note for end in bench.ledger.ends.values())


@pytest.mark.parametrize("kind", [FaultKind.NULLS, FaultKind.MIXED])
async def test_nulls_and_mixed_numbers_are_borne(bench: Bench, kind: FaultKind) -> None:
    bench.vendor.faults.append(Fault(kind, times=6))
    assert (await bench.client.get_quote("AAPL")) is not None
    assert (await bench.client.get_profile("AAPL")) is not None
    assert (await bench.client.get_key_metrics("AAPL")) is not None
    assert (await bench.client.get_income_statement("AAPL"))[0].symbol == "AAPL"
    assert (await bench.client.get_earnings("AAPL"))[0].symbol == "AAPL"
    assert len(await bench.client.get_bars("AAPL", date(2026, 3, 1))) > 3


async def test_the_vendor_away_for_a_moment_costs_a_call_and_a_pause(bench: Bench) -> None:
    bench.vendor.faults.append(Fault(FaultKind.BAD_GATEWAY, times=2))
    assert (await bench.client.get_quote("AAPL")) is not None
    assert bench.ledger.faults == [CallFault.UNAVAILABLE, CallFault.UNAVAILABLE, None]
    first, second = [pause for pause in bench.pauses.asked if pause >= 0.5]
    assert 1 <= first <= 1.5 and 2 <= second <= 3


async def test_a_slow_answer_is_given_up(vendor: FmpStandIn) -> None:
    vendor.faults.append(Fault(FaultKind.SLOW))
    ledger = CountingLedger()
    async with client_of(vendor.base_url, ledger, Pauses(), timeout_s=0.2) as client:
        with pytest.raises(FmpError, match=r"within 0\.2 s"):
            await client.ask(queries.quote("AAPL"), retries=0)
    assert [end.status for end in ledger.ends.values()] == [None]


async def test_a_limit_beyond_the_plan_is_lowered_once(bench: Bench) -> None:
    rows = await bench.client.get_income_statement("AAPL", limit=40)
    assert len(rows) == 5
    assert [call.params["limit"] for call in bench.vendor.served] == ["40", "5"]
    assert bench.ledger.faults == [CallFault.PARAMETER_NOT_IN_PLAN, None]


async def test_what_the_plan_forbids_says_so(bench: Bench) -> None:
    with pytest.raises(FmpError, match=r"FMP answered 402 for quote GOOG \(not in the key's plan") as symbol:
        await bench.client.get_quote("GOOG")
    assert symbol.value.fault is CallFault.SYMBOL_NOT_IN_PLAN
    with pytest.raises(FmpError) as endpoint:
        await bench.client.get_screener()
    assert endpoint.value.fault is CallFault.ENDPOINT_NOT_IN_PLAN
    with pytest.raises(FmpError) as period:
        await bench.client.get_income_statement("AAPL", StatementPeriod.QUARTER)
    assert (period.value.fault, period.value.parameter) == (CallFault.PARAMETER_NOT_IN_PLAN, "period")
    with pytest.raises(FmpError) as path:
        await bench.client.ask(Query(endpoint="quote/AAPL", row=Quote))
    assert path.value.fault is CallFault.NOT_FOUND
    assert bench.calls == 4


async def test_the_vendors_own_daily_limit_ends_it(bench: Bench) -> None:
    bench.vendor.calls_a_day = 2
    await bench.client.get_quote("AAPL")
    await bench.client.get_quote("MSFT")
    with pytest.raises(FmpError) as refused:
        await bench.client.get_quote("KO")
    assert refused.value.fault is CallFault.DAILY_LIMIT
    assert bench.calls == 3


async def test_a_refusal_of_the_ledger_sends_nothing(bench: Bench) -> None:
    bench.ledger.most = 1
    await bench.client.get_quote("AAPL")
    with pytest.raises(QuotaRefused):
        await bench.client.get_quote("MSFT")
    assert bench.calls == 1


async def test_the_ledger_hears_who_asks_for_what(bench: Bench) -> None:
    await bench.client.get_quote("AAPL", Errand(priority=Priority.EXITS, job="marks"))
    (call,) = bench.ledger.admitted.values()
    assert (call.endpoint, call.symbol, call.priority, call.job) == ("quote", "AAPL", Priority.EXITS, "marks")
    (end,) = bench.ledger.ends.values()
    assert end.status == 200 and 0 < end.received_bytes < 500 and end.latency_ms > 0


async def test_a_call_whose_asker_is_cancelled_is_settled(bench: Bench) -> None:
    bench.vendor.faults.append(Fault(FaultKind.SLOW))
    asking = asyncio.create_task(bench.client.get_quote("AAPL"))
    while not bench.vendor.served:
        await asyncio.sleep(0.005)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert bench.ledger.faults == [CallFault.UNAVAILABLE]
    assert [end.note for end in bench.ledger.ends.values()] == ["broken off by the desk"]


async def test_no_more_than_two_calls_are_in_flight(vendor: FmpStandIn) -> None:
    class Watching(CountingLedger):
        most_at_once = 0

        async def admit(self, call: VendorCall) -> UUID:
            ticket = await super().admit(call)
            self.most_at_once = max(self.most_at_once, len(self.admitted) - len(self.ends))
            return ticket

    ledger = Watching()
    async with client_of(vendor.base_url, ledger, Pauses()) as client:
        await asyncio.gather(*(client.get_profile(symbol) for symbol in ("AAPL", "MSFT", "KO", "T", "F")))
    assert (len(ledger.ends), ledger.most_at_once) == (5, 2)


async def test_calls_begin_evenly_apart(vendor: FmpStandIn) -> None:
    pauses = Pauses()
    config = FMPConfig(base_url=vendor.base_url, per_second=0.01)
    async with FMPClient(config, SecretStr(KEY), CountingLedger(), pause=pauses) as client:
        for _ in range(3):
            await client.get_profile("AAPL")
    assert len(pauses.asked) == 2 and 90 < pauses.asked[0] <= 100 and 190 < pauses.asked[1] <= 200


async def test_a_batch_keeps_to_its_calls_and_says_what_it_left_out(bench: Bench) -> None:
    batch = await bench.client.batch_enrich_symbols(["AAPL", "GOOG", "MSFT", "KO", "T"], 6)
    assert list(batch.found) == ["AAPL", "MSFT"]
    assert "not in the key's plan" in batch.skipped["GOOG"]
    assert batch.skipped["KO"] == batch.skipped["T"] == "the 6 calls allowed are used"
    assert batch.calls == bench.calls == 5


@pytest.mark.parametrize("most", range(8))
async def test_no_batch_makes_more_calls_than_it_may(bench: Bench, most: int) -> None:
    bench.vendor.faults += [
        Fault(FaultKind.BAD_GATEWAY, symbol="MSFT"),
        Fault(FaultKind.TRUNCATED, symbol="T"),
    ]
    batch = await bench.client.batch_enrich_symbols(["AAPL", "MSFT", "T", "KO"], most)
    assert batch.calls == bench.calls <= most
    assert set(batch.found) | set(batch.skipped) == {"AAPL", "MSFT", "T", "KO"}


async def test_a_batch_ends_with_the_day(bench: Bench) -> None:
    bench.vendor.calls_a_day = 3
    batch = await bench.client.batch_enrich_symbols(["AAPL", "MSFT", "KO", "T"], 100)
    assert (list(batch.found), batch.calls) == (["AAPL"], 4)
    assert "used up" in batch.skipped["T"]


@pytest.mark.parametrize(
    "symbol", ["", "aapl", "AAPL,MSFT", "A B", "../quote", "AAPL&limit=9", "A" * 20, "\x1b[2J"]
)
async def test_what_is_no_symbol_costs_no_call(bench: Bench, symbol: str) -> None:
    with pytest.raises(FmpError) as refused:
        await bench.client.get_quote(symbol)
    assert refused.value.fault is CallFault.BAD_REQUEST and "\x1b" not in str(refused.value)
    assert bench.calls == 0


async def test_a_caret_arrives_as_one(bench: Bench) -> None:
    await bench.client.get_quote("^VIX")
    assert bench.vendor.served[0].params == {"symbol": "^VIX"}


async def test_the_key_is_in_no_url_log_error_or_repr(
    vendor: FmpStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    """Also not when the vendor repeats it."""
    secret = "wrong-key-0123456789"
    caplog.set_level(logging.DEBUG)
    vendor.redirect_to = f"http://127.0.0.1:9/?apikey={secret}"
    seen: list[str] = []
    ledger = CountingLedger()
    async with client_of(vendor.base_url, ledger, Pauses(), key=secret) as client:
        for base, kind in ((vendor.base_url, FaultKind.REDIRECT), ("http://127.0.0.1:1/stable", None)):
            async with client_of(base, ledger, Pauses(), key=secret) as other:
                if kind:
                    vendor.faults.append(Fault(kind))
                    vendor.key = secret
                with pytest.raises(FmpError) as refused:
                    await other.get_quote("AAPL")
                seen += traceback.format_exception(refused.value)
                seen += [repr(refused.value.__context__), repr(vars(other)), repr(vars(other._wire))]
        vendor.key = KEY
        with pytest.raises(FmpError) as refused:
            await client.get_quote("AAPL")
        assert refused.value.fault is CallFault.INVALID_KEY
        seen += traceback.format_exception(refused.value)
    seen += [record.getMessage() for record in caplog.records]
    seen += [repr(ledger), repr([call.params for call in vendor.served])]
    assert not caplog.records  # addresses are not logged at all
    assert secret not in "\n".join(seen)


async def test_a_key_the_vendor_repeats_is_struck_out(bench: Bench) -> None:
    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"who is {self.headers['apikey']}?".encode()
            self.send_response(401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        ledger = CountingLedger()
        async with client_of(f"http://127.0.0.1:{server.server_port}", ledger, Pauses()) as client:
            with pytest.raises(FmpError, match=r"who is \[key\]\?") as refused:
                await client.get_quote("AAPL")
        server.shutdown()
        thread.join()
    assert KEY not in str(refused.value) + repr(ledger)


async def test_an_answer_that_unpacks_beyond_all_measure_is_refused(vendor: FmpStandIn) -> None:
    ledger = CountingLedger()
    config = FMPConfig(base_url=vendor.base_url, per_second=1000, max_bytes=10_000)
    async with FMPClient(config, SecretStr(KEY), ledger, pause=Pauses()) as client:
        with pytest.raises(FmpError, match=r"does not end|beyond all measure"):
            await client.get_bars("AAPL")
    assert ledger.faults == [CallFault.GARBLED]


@pytest.mark.parametrize("key", ["", "two words", "line\nfeed", "ключ"])
def test_a_key_no_header_carries_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(OperatorError, match="FMP_API_KEY is no key") as refused:
        FMPClient(FMPConfig(), SecretStr(key), CountingLedger())
    assert not key or key not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://example.com/stable", "ftp://x", "https://user:pw@example.com", "https://x/?apikey=1", ""]
)
def test_an_address_that_would_give_the_key_away_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        FMPConfig(base_url=url)


async def test_the_evenings_bars_end_with_the_session(bench: Bench) -> None:
    bench.clock.shown = EVENING
    assert (await bench.client.get_bars("AAPL", date(2026, 3, 9)))[0].date == date(2026, 3, 10)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_fails_or_is_cancelled_every_call_sent_was_counted_and_is_settled(
    bench: Bench, seed: int
) -> None:
    dice = random.Random(seed)
    bench.vendor.slow_s = 0.05
    kinds = [FaultKind.SLOW, FaultKind.CUT, FaultKind.BAD_GATEWAY, FaultKind.TRUNCATED, FaultKind.EMPTY_200]
    for _ in range(8):
        bench.vendor.faults.append(
            Fault(dice.choice(kinds), symbol=dice.choice(["AAPL", "MSFT", "KO", None]))
        )
    asking = [
        asyncio.create_task(bench.client.get_quote(dice.choice(["AAPL", "MSFT", "KO"]))) for _ in range(12)
    ]
    for task in asking:
        if dice.random() < 0.4:
            await asyncio.sleep(dice.random() / 50)
            task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await bench.client.aclose()
    assert bench.calls <= len(bench.ledger.admitted)
    assert set(bench.ledger.ends) == set(bench.ledger.admitted)
