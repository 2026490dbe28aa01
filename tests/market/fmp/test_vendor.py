"""Values from the cache while they are good, and what happens when the vendor gives nothing better."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta

import numpy as np
import pytest

from agents.market.bars import Bars
from agents.market.calendar import NEW_YORK, close_time
from agents.market.fmp import lifetimes, queries
from agents.market.fmp.caller import Errand
from agents.market.fmp.errors import FmpError
from agents.market.fmp.free_plan import FREE_UNIVERSE
from agents.market.fmp.fundamentals import FinancialRatiosTtm, KeyMetricsTtm
from agents.market.fmp.models import next_report
from agents.market.fmp.queries import Movers, Screener, StatementPeriod
from agents.market.fmp.series import COLUMNS
from storage.calls import CallFault, NotEntitled, Priority, QuotaRefused
from tests.market.fmp.kit import EVENING, Bench, fixture
from tests.market.fmp.test_series import same
from tests.standins.fmp_words import Fault, FaultKind

ERRAND = Errand(priority=Priority.WATCHLIST, job="test")


async def test_a_quote_is_asked_for_once_while_it_is_good(bench: Bench) -> None:
    first = await bench.market.get_quote("AAPL", ERRAND)
    bench.clock.pass_by(minutes=9)
    second = await bench.market.get_quote("AAPL", ERRAND)
    assert (first.from_cache, second.from_cache, bench.calls) == (False, True, 1)
    assert second.value == first.value and second.as_of == first.as_of == bench.clock.now() - timedelta(
        minutes=9
    )
    assert (second.source, second.stale, second.note) == ("fmp", False, "")
    bench.clock.pass_by(minutes=2)
    third = await bench.market.get_quote("AAPL", ERRAND)
    assert (third.from_cache, bench.calls) == (False, 2) and third.as_of > second.as_of


async def test_eight_who_ask_at_once_cost_one_call(bench: Bench) -> None:
    quotes = await asyncio.gather(*(bench.market.get_quote("AAPL", ERRAND) for _ in range(8)))
    assert bench.calls == 1 and len({quote.value.price for quote in quotes if quote.value}) == 1


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (FaultKind.TRUNCATED, "makes no sense"),
        (FaultKind.HTML_200, "a page of HTML"),
        (FaultKind.BAD_GATEWAY, "a page of HTML"),
        (FaultKind.EMPTY_200, "an empty answer"),
        (FaultKind.EMPTY_ROWS, "no rows for quote AAPL any more"),
        (FaultKind.ERROR_200, "used up"),
        (FaultKind.DAILY_LIMIT, "used up"),
        (FaultKind.WRONG_SYMBOL, "a row of ZZZZ"),
        (FaultKind.STALE, "its last trade is old"),
        (FaultKind.NEGATIVE, "greater than 0"),
    ],
)
async def test_a_bad_answer_leaves_the_last_good_one_which_says_its_age(
    bench: Bench, kind: FaultKind, words: str
) -> None:
    good = await bench.market.get_quote("AAPL", ERRAND)
    bench.clock.pass_by(minutes=11)
    bench.vendor.faults.append(Fault(kind, times=3))
    kept = await bench.market.get_quote("AAPL", ERRAND)
    assert (kept.value, kept.as_of, kept.fetched_at) == (good.value, good.as_of, good.fetched_at)
    assert kept.stale and kept.from_cache and words in kept.note
    if kind is not FaultKind.EMPTY_ROWS:
        assert bench.ledger.faults[-1] is not None
    bench.vendor.faults.clear()
    assert not (await bench.market.get_quote("AAPL", ERRAND)).stale


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATED, FaultKind.STALE, FaultKind.WRONG_SYMBOL])
async def test_a_bad_first_answer_is_no_value(bench: Bench, kind: FaultKind) -> None:
    bench.vendor.faults.append(Fault(kind))
    with pytest.raises(FmpError):
        await bench.market.get_quote("AAPL", ERRAND)
    assert not bench.store.kept


async def test_when_the_quota_is_gone_what_is_kept_is_served(bench: Bench) -> None:
    await bench.market.get_profile("AAPL", ERRAND)
    bench.ledger.most = 1
    bench.clock.pass_by(days=40)
    kept = await bench.market.get_profile("AAPL", ERRAND)
    assert kept.stale and kept.value is not None and "used up" in kept.note
    assert bench.clock.now() - kept.fetched_at == timedelta(days=40)
    with pytest.raises(QuotaRefused):
        await bench.market.get_profile("MSFT", ERRAND)
    assert bench.calls == 1


async def test_a_parameter_the_plan_forbids_is_not_asked_again_for_a_week(bench: Bench) -> None:
    with pytest.raises(FmpError):
        await bench.market.get_income_statement("AAPL", StatementPeriod.QUARTER, ERRAND)
    with pytest.raises(NotEntitled) as refused:
        await bench.market.get_income_statement("AAPL", StatementPeriod.QUARTER, ERRAND)
    assert refused.value.fault is CallFault.PARAMETER_NOT_IN_PLAN
    assert refused.value.until == bench.clock.now() + timedelta(days=7)
    assert bench.calls == 1
    assert len((await bench.market.get_income_statement("AAPL", errand=ERRAND)).value) == 5
    bench.clock.pass_by(days=8)
    bench.vendor.allowed = None
    assert (await bench.market.get_income_statement("AAPL", StatementPeriod.QUARTER, ERRAND)).value


async def test_our_own_fault_is_never_covered_by_an_old_value(bench: Bench) -> None:
    await bench.market.get_profile("AAPL", ERRAND)
    bench.clock.pass_by(days=40)
    bench.client._wire._config = bench.client._wire._config.model_copy(
        update={"base_url": f"{bench.vendor.root}/api/v3"}
    )
    with pytest.raises(FmpError) as refused:
        await bench.market.get_profile("AAPL", ERRAND)
    assert refused.value.fault is CallFault.LEGACY_ENDPOINT


async def test_an_unknown_symbol_is_nothing_for_a_day(bench: Bench) -> None:
    bench.vendor.allowed = None
    assert (await bench.market.get_quote("NOSUCH1", ERRAND)).value is None
    bench.clock.pass_by(hours=23)
    assert (await bench.market.get_quote("NOSUCH1", ERRAND)).value is None
    assert bench.calls == 1
    bench.clock.pass_by(hours=2)
    await bench.market.get_quote("NOSUCH1", ERRAND)
    assert bench.calls == 2


async def test_in_session_an_old_trade_is_called_stale(bench: Bench) -> None:
    bench.vendor.now = lambda: bench.clock.now() - timedelta(minutes=45)
    quote = await bench.market.get_quote("AAPL", ERRAND)
    assert quote.stale and "45 minutes ago" in quote.note


async def test_a_quote_is_never_older_than_the_one_held(bench: Bench) -> None:
    good = await bench.market.get_quote("AAPL", ERRAND)
    bench.clock.pass_by(minutes=12)
    bench.vendor.now = lambda: bench.clock.now() - timedelta(minutes=20)
    kept = await bench.market.get_quote("AAPL", ERRAND)
    assert kept.as_of == good.as_of and kept.stale


async def test_a_trade_that_lies_ahead_is_not_believed(bench: Bench) -> None:
    bench.vendor.now = lambda: bench.clock.now() + timedelta(hours=1)
    with pytest.raises(FmpError, match="lies ahead"):
        await bench.market.get_quote("AAPL", ERRAND)


async def test_figures_are_fetched_once_a_week_and_brought_to_todays_price(bench: Bench) -> None:
    first = (await bench.market.get_financial_ratios("AAPL", errand=ERRAND)).value
    assert first is not None and first.price is not None
    bench.clock.pass_by(hours=8)
    moved = await bench.market.get_financial_ratios("AAPL", first.price * 1.1, ERRAND)
    assert bench.calls == 1 and moved.value is not None and moved.from_cache
    assert moved.value.price_to_earnings_ratio == pytest.approx(20 * 1.1)
    assert moved.value.dividend_yield == pytest.approx(0.02 / 1.1)
    assert moved.value.net_profit_margin == first.net_profit_margin
    halved = await bench.market.get_financial_ratios("AAPL", first.price / 2, ERRAND)
    assert halved.value == first and "not brought" in halved.note
    metrics = (await bench.market.get_key_metrics("AAPL", errand=ERRAND)).value
    assert metrics is not None and metrics.market_cap
    dearer = (await bench.market.get_key_metrics("AAPL", metrics.market_cap * 1.2, ERRAND)).value
    assert dearer is not None and dearer.ev_to_ebitda == pytest.approx(12.5 * 1.3 / 1.1)
    assert bench.calls == 2


def test_recorded_ratios_are_repriced_as_their_definitions_say() -> None:
    body = json.loads(fixture("fmp_recorded/ratios-ttm__symbol=AAPL.json"))
    ratios = FinancialRatiosTtm.model_validate(body[0])
    at_300 = ratios.at_price(300.0)
    assert at_300 is not None and ratios.price_to_sales_ratio
    assert ratios.net_income_per_share and ratios.book_value_per_share
    assert at_300.price_to_earnings_ratio == pytest.approx(300 / ratios.net_income_per_share)
    assert at_300.price_to_book_ratio == pytest.approx(300 / ratios.book_value_per_share)
    assert at_300.price_to_sales_ratio == pytest.approx(ratios.price_to_sales_ratio * 300 / 256.08)
    metrics = KeyMetricsTtm.model_validate(
        json.loads(fixture("fmp_recorded/key-metrics-ttm__symbol=AAPL.json"))[0]
    )
    assert metrics.market_cap and metrics.enterprise_value and metrics.at_market_cap(4e12)
    repriced = metrics.at_market_cap(4e12)
    assert repriced is not None and repriced.enterprise_value == pytest.approx(
        metrics.enterprise_value - metrics.market_cap + 4e12
    )


async def test_a_known_report_brings_the_figures_in_sooner(bench: Bench) -> None:
    for symbol in FREE_UNIVERSE:
        name, now = f"key-metrics-ttm {symbol}", bench.clock.now()
        report = next_report((await bench.market.get_earnings(symbol, ERRAND)).value, now.date())
        assert report is not None
        due = lifetimes.metrics(name, now, report)
        if due < lifetimes.turn(name, now, lifetimes.METRICS_EVERY):
            break
    await bench.market.get_key_metrics(symbol, errand=ERRAND)
    kept = bench.store.kept["key-metrics-ttm", symbol, ""]
    assert kept.expires_at == due and report is not None
    assert kept.expires_at.astimezone(NEW_YORK).date() == report + timedelta(days=1)


async def full(bench: Bench, symbol: str) -> Bars:
    return (await bench.market.update_bars(symbol, Bars.empty(symbol), ERRAND)).value.bars


async def test_bars_cost_one_small_call_a_session_and_none_in_between(bench: Bench) -> None:
    bench.clock.shown = EVENING
    stored = await full(bench, "AAPL")
    assert len(stored) > 1250 and stored.last is not None and stored.last.session == date(2026, 3, 10)
    idle = await bench.market.update_bars("AAPL", stored, ERRAND)
    bench.clock.pass_by(hours=20)  # the next session runs
    still = await bench.market.update_bars("AAPL", stored, ERRAND)
    assert bench.calls == 1 and idle.value.bars is stored is still.value.bars and not still.stale
    bench.clock.pass_by(hours=4)
    added = await bench.market.update_bars("AAPL", stored, ERRAND)
    assert bench.calls == 2 and not added.value.rewritten and not added.stale
    assert added.as_of == close_time(date(2026, 3, 11))
    assert bench.vendor.served[-1].params == {"symbol": "AAPL", "from": "2026-03-03"}
    whole = await full(bench, "AAPL")
    for name in COLUMNS:
        kept, fetched = getattr(added.value.bars, name), getattr(whole, name)
        assert len(kept) == len(fetched) + 1 and np.array_equal(kept[1:], fetched)


async def test_a_split_fetches_everything_anew(bench: Bench) -> None:
    bench.clock.shown = EVENING
    stored = await full(bench, "AAPL")
    bench.vendor.market.splits["AAPL"] = [(date(2026, 3, 11), 4.0)]
    bench.clock.pass_by(days=1)
    updated = await bench.market.update_bars("AAPL", stored, ERRAND)
    assert updated.value.rewritten and bench.calls == 3
    assert same(updated.value.bars, await full(bench, "AAPL"))
    assert updated.value.bars.close[0] == pytest.approx(stored.close[1] / 4, abs=1e-4)


async def test_a_split_that_cannot_be_fetched_leaves_the_stored_bars_alone(bench: Bench) -> None:
    bench.clock.shown = EVENING
    stored = await full(bench, "AAPL")
    bench.vendor.market.splits["AAPL"] = [(date(2026, 3, 11), 4.0)]
    bench.clock.pass_by(days=1)
    bench.ledger.most = 2
    updated = await bench.market.update_bars("AAPL", stored, ERRAND)
    assert updated.value.bars is stored and updated.stale and not updated.value.rewritten
    assert "was" in updated.note and "used up" in updated.note


async def test_a_late_bar_is_waited_for_without_asking_all_the_time(bench: Bench) -> None:
    bench.clock.shown = EVENING
    stored = await full(bench, "AAPL")
    bench.clock.pass_by(days=1)
    bench.vendor.now = lambda: EVENING  # the vendor is a session behind
    for _ in range(3):
        late = await bench.market.update_bars("AAPL", stored, ERRAND)
        assert late.stale and "the bar of 2026-03-11 is not there yet" in late.note
    assert bench.calls == 2
    bench.vendor.now = bench.clock.now
    bench.clock.pass_by(minutes=46)
    assert not (await bench.market.update_bars("AAPL", stored, ERRAND)).stale
    assert bench.calls == 3


async def test_the_bar_of_the_running_session_is_never_used(bench: Bench) -> None:
    bench.vendor.market.partial_bars = True
    bars = await full(bench, "AAPL")
    assert bars.sessions[-1].item() == date(2026, 3, 9)
    assert (await bench.client.get_bars("AAPL", date(2026, 3, 9)))[0].date == date(2026, 3, 10)
    closes = await bench.market.get_closes("^VIX", date(2026, 3, 1), ERRAND)
    assert closes.value[0].date == date(2026, 3, 9) and closes.as_of == close_time(date(2026, 3, 9))


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATED, FaultKind.NEGATIVE, FaultKind.WRONG_SYMBOL])
async def test_bad_bars_change_nothing(bench: Bench, kind: FaultKind) -> None:
    bench.clock.shown = EVENING
    stored = await full(bench, "AAPL")
    bench.clock.pass_by(days=1)
    bench.vendor.faults.append(Fault(kind))
    kept = await bench.market.update_bars("AAPL", stored, ERRAND)
    assert kept.value.bars is stored and kept.stale and kept.note


async def test_the_rest_of_the_market_is_kept_too(bench: Bench) -> None:
    for _ in range(2):
        await bench.market.get_articles(errand=ERRAND)
        await bench.market.get_movers(Movers.ACTIVE, ERRAND)
        await bench.market.get_sectors(date(2026, 3, 9), ERRAND)
        await bench.market.search("AAPL", errand=ERRAND)
        await bench.market.get_dividends("AAPL", ERRAND)
        await bench.market.get_splits("AAPL", ERRAND)
        await bench.market.get_aftermarket_quote("AAPL", ERRAND)
    assert bench.calls == 7
    bench.vendor.allowed = None
    assert len((await bench.market.get_screener(Screener(limit=3), ERRAND)).value) == 3
    assert (await bench.market.get_stock_news("AAPL", errand=ERRAND)).value[0].symbol == "AAPL"


async def test_a_kept_answer_of_another_shape_is_asked_for_anew(bench: Bench) -> None:
    await bench.market.get_profile("AAPL", ERRAND)
    name = ("profile", "AAPL", "")
    answer = bench.store.kept[name]
    bench.store.kept[name] = type(answer)(*name, [{"sym": 1}], answer.fetched_at, answer.expires_at)
    assert (await bench.market.get_profile("AAPL", ERRAND)).value is not None
    assert bench.calls == 2


def test_what_is_kept_can_be_read_back_from_json() -> None:
    body = json.loads(fixture("fmp_recorded/quote__symbol=AAPL.json"))
    assert queries.quote("AAPL").rows(json.loads(json.dumps(body)))[0].price == 256.08
