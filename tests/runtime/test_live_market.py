"""A paper desk and its vendor: what a slot asks, what it does without, what is never believed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from agents.market.calendar import next_session, previous_session
from app.runtime.jobs import TryAgain
from storage.desk import Desk
from storage.records import Slot, to_price
from tests.databases import TemplateDatabases
from tests.runtime.live_stage import MONDAY, LiveStage, live_stage
from tests.runtime.stage import read
from tests.standins.fmp_words import Fault, FaultKind
from tests.storage.desk_builder import approved, execute, propose, terms, writing

KEY = "a-key-nobody-may-read-0123456789"
TUESDAY = next_session(MONDAY)
AAPL, MSFT, KO = "AAPL", "MSFT", "KO"
EVENING = (Slot.SETTLE, Slot.REGIME, Slot.SCREEN, Slot.DELIBERATE, Slot.DIGEST)


@pytest.fixture
async def stage(databases: TemplateDatabases) -> AsyncIterator[LiveStage]:
    """A desk that watches three names and holds the first of them."""
    async with live_stage(databases, watched=(AAPL, KO, MSFT), held=(AAPL,), key=KEY) as opened:
        yield opened


async def newest(stage: LiveStage, symbol: str) -> date:
    (row,) = await stage.rows(
        "select sessions[cardinality(sessions)] from vendor_series where symbol = %s", symbol
    )
    return row[0]  # type: ignore[no-any-return]


async def positions(stage: LiveStage) -> list[tuple[object, ...]]:
    return await stage.rows("select symbol, shares, last_session, state from positions order by 1")


@pytest.mark.long
async def test_an_evening_reads_the_regime_by_a_volatility_index_that_says_who_told_it(
    stage: LiveStage,
) -> None:
    for slot in EVENING:
        state, summary, _ = await stage.slot(MONDAY, slot)
        assert state == "done", summary
    reading = await stage.rows("select volatility_source, session from regime_readings")
    assert reading == [("VIX 10-day mean (Cboe)", MONDAY)]
    assert await positions(stage) == [(AAPL, 100, MONDAY, "open")]
    names = await stage.rows("select name, sector is not null from instruments where symbol = 'KO'")
    assert names == [("KO Corporation", True)]
    rows = await stage.rows("select symbol from bars where session = %s order by 1", MONDAY)
    assert [row[0] for row in rows] == [AAPL, KO, MSFT, "SPY"]


async def test_when_cboe_is_away_the_next_source_tells_and_the_run_says_so(
    databases: TemplateDatabases,
) -> None:
    async with live_stage(databases, watched=(KO,), held=(), key=KEY, cboe="/public/gone.csv") as stage:
        await stage.slot(MONDAY, Slot.SETTLE)
        state, summary, _ = await stage.slot(MONDAY, Slot.REGIME)
        told_by = await stage.rows("select volatility_source from regime_readings")
    assert state == "done" and "VIX Cboe: it answered 404" in summary
    assert told_by == [("VIX 10-day mean (FRED)",)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (FaultKind.TRUNCATED, "garbled"),
        (FaultKind.HTML_200, "unavailable"),
        (FaultKind.WRONG_SYMBOL, "wrong_symbol"),
        (FaultKind.NEGATIVE, "garbled"),
        (FaultKind.EMPTY_200, "garbled"),
    ],
)
async def test_a_bad_answer_is_refused_with_its_reason_and_the_last_good_bars_stay(
    stage: LiveStage, kind: FaultKind, fault: str
) -> None:
    await stage.slot(MONDAY, Slot.SETTLE)
    stage.vendor.faults.append(Fault(kind=kind, endpoint="historical-price-eod/full", symbol=KO, times=9))
    state, summary, result = await stage.slot(TUESDAY, Slot.SETTLE)
    assert state == "done" and f"no bar of {TUESDAY}: KO" in summary
    assert await newest(stage, KO) == MONDAY and await newest(stage, MSFT) == TUESDAY
    stored = await stage.rows("select distinct fault, note <> '' from vendor_calls where fault is not null")
    assert stored == [(fault, True)]
    with Desk(stage.conninfo) as desk:
        shown = desk.snapshot()
    assert shown is not None and shown.quota is not None
    assert (shown.quota.faults[0].symbol, shown.quota.faults[0].fault) == (KO, fault)
    assert any("KO" in what for what in result["market"]["missing"])  # type: ignore[index]
    assert not await stage.rows("select 1 from bars where symbol = 'KO' and session = %s", TUESDAY)
    stage.vendor.faults.clear()
    state, summary, _ = await stage.slot(TUESDAY, Slot.SETTLE_EVENING)
    assert state == "done" and summary.startswith("1 late bars")
    assert await newest(stage, KO) == TUESDAY


async def test_a_200_with_the_daily_limit_in_it_stops_the_calls_and_the_pane_says_so(
    stage: LiveStage,
) -> None:
    await stage.slot(MONDAY, Slot.SETTLE)
    stage.vendor.faults.append(Fault(kind=FaultKind.ERROR_200, endpoint="fmp-articles"))
    state, summary, _ = await stage.slot(TUESDAY, Slot.NEWS)
    assert state == "done" and "the day's calls are used up" in summary
    with Desk(stage.conninfo) as desk:
        snapshot = desk.snapshot()
    assert snapshot is not None and snapshot.quota is not None
    assert [block.fault for block in snapshot.quota.blocks] == ["daily_limit"]
    sent = len(stage.vendor.served)
    state, summary, _ = await stage.slot(TUESDAY, Slot.MARK_NOON)
    assert state == "done" and summary.startswith("0 marked") and "no price of now: AAPL" in summary
    assert len(stage.vendor.served) == sent


async def test_a_trade_of_last_month_is_no_price_of_now(stage: LiveStage) -> None:
    stage.vendor.faults.append(Fault(kind=FaultKind.STALE, endpoint="quote", times=9))
    state, summary, result = await stage.slot(MONDAY, Slot.MARK_NOON)
    assert state == "done" and result["marks"] == {} and "no price of now: AAPL" in summary


@pytest.mark.long
async def test_what_is_held_is_not_settled_without_its_bar_while_the_vendor_gives_none(
    stage: LiveStage,
) -> None:
    await stage.slot(MONDAY, Slot.SETTLE)
    stage.vendor.faults.append(Fault(kind=FaultKind.SERVER_ERROR, times=99))
    sent = len(stage.vendor.served)
    await stage.at(datetime(2026, 3, 10, 21, 30, tzinfo=UTC))
    run_id = await stage.queue(TUESDAY, Slot.SETTLE)
    for _ in range(2):
        with pytest.raises(TryAgain, match="the exits wait for bars of AAPL"):
            await stage.executor().carry_out(run_id)
    await stage.executor().carry_out(run_id)
    run = await stage.run(run_id)
    assert run.state == "failed" and "the exits wait for bars of AAPL" in run.summary
    assert len(stage.vendor.served) - sent <= 12  # an outage must not use up the day's calls
    assert await positions(stage) == [(AAPL, 100, MONDAY, "open")]


@pytest.mark.long
async def test_a_split_is_lived_through_before_its_bar_meets_the_stop(stage: LiveStage) -> None:
    await stage.day(MONDAY)
    (before,) = await stage.rows("select shares, stop, last_close from positions")
    stage.vendor.market.splits[AAPL] = [(TUESDAY, 4.0)]
    await stage.day(TUESDAY)
    (after,) = await stage.rows("select shares, stop, last_close from positions where state = 'open'")
    assert after[0] == before[0] * 4 and abs(after[1] * 4 - before[1]) < Decimal("0.01")
    assert abs(float(after[2]) * 4 / float(before[2]) - 1) < 0.25
    (basis,) = await stage.rows(
        "select close[cardinality(close) - 1] from vendor_series where symbol = 'AAPL'"
    )
    assert basis[0] == pytest.approx(float(before[2]) / 4, rel=1e-3)


async def test_splits_are_asked_for_every_morning_where_there_never_was_one(stage: LiveStage) -> None:
    for day in (MONDAY, TUESDAY):
        state, _, _ = await stage.slot(day, Slot.CORPORATE_ACTIONS)
        assert state == "done"
    asked = "select count(*) from vendor_calls where endpoint = 'splits' and symbol = 'AAPL'"
    assert await stage.rows(asked) == [(2,)]


@pytest.mark.long
async def test_an_entry_is_filled_at_the_open_that_a_quote_tells(stage: LiveStage) -> None:
    opened = stage.vendor.market.bar(KO, TUESDAY, stage.clock.now())[0]
    await stage.day(MONDAY)
    wait_for(stage, KO, opened)
    for slot in (Slot.CORPORATE_ACTIONS, Slot.RECHECK, Slot.CUTOFF, Slot.OPEN):
        state, summary, _ = await stage.slot(TUESDAY, slot)
        assert state == "done", summary
    assert "bought KO" in summary
    ((reference,),) = await stage.rows("select reference_price from fills where symbol = 'KO'")
    assert reference == to_price(opened)
    await stage.slot(TUESDAY, Slot.SETTLE)
    assert (KO, TUESDAY) in [(row[0], row[2]) for row in await positions(stage)]


@pytest.mark.long
async def test_entries_wait_for_an_open_that_nobody_tells(stage: LiveStage) -> None:
    opened = stage.vendor.market.bar(KO, TUESDAY, stage.clock.now())[0]
    await stage.day(MONDAY)
    wait_for(stage, KO, opened)
    await stage.slot(TUESDAY, Slot.CUTOFF)
    stage.vendor.faults.append(Fault(kind=FaultKind.STALE, endpoint="quote", times=99))
    with pytest.raises(TryAgain, match="the entries wait for the open of KO"):
        await stage.slot(TUESDAY, Slot.OPEN)
    assert await stage.rows("select state from orders where symbol = 'KO'") == [("resting",)]


@pytest.mark.parametrize(("share", "why"), [(0.5, "above the band"), (3.0, "through its stop")])
async def test_before_the_open_an_entry_far_from_its_band_is_void(
    stage: LiveStage, share: float, why: str
) -> None:
    close = stage.vendor.market.bar(KO, previous_session(MONDAY), stage.clock.now())[3]
    wait_for(stage, KO, close * share, entry=MONDAY)
    state, summary, result = await stage.slot(MONDAY, Slot.RECHECK)
    assert state == "done" and why in summary and len(result["void"]) == 1  # type: ignore[arg-type]
    assert await stage.rows("select state from approvals where symbol = 'KO'") == [("expired",)]
    told = await stage.rows("select given_by, reason from verdicts where verb = 'expired'")
    assert told[0][0] == "the desk" and why in told[0][1]


async def test_a_mark_below_the_stop_is_told_and_nothing_is_sold(stage: LiveStage) -> None:
    execute(stage.conninfo, "update positions set stop = last_close * 2")
    state, summary, _ = await stage.slot(MONDAY, Slot.MARK_LATE)
    assert state == "done" and "at or below its stop" in summary
    alerts = await stage.rows("select who, text from operations where kind = 'alert'")
    assert len(alerts) == 1 and alerts[0][0] == "the marks" and AAPL in alerts[0][1]
    assert await positions(stage) == [(AAPL, 100, previous_session(MONDAY), "open")]
    assert await stage.rows("select count(*) from orders") == [(0,)]


async def test_news_is_kept_once(databases: TemplateDatabases) -> None:
    async with live_stage(databases, watched=(AAPL, KO), held=(), key=KEY) as stage:
        await stage.slot(MONDAY, Slot.NEWS)
        count = "select count(*), count(distinct digest) from news_items"
        (first,) = await stage.rows(count)
        assert first[0] == first[1] > 0
        state, _, _ = await stage.slot(TUESDAY, Slot.NEWS)
        (second,) = await stage.rows(count)
        assert state == "done" and second[0] == second[1]


async def test_an_endpoint_the_key_may_not_ask_is_what_the_slot_lacks(stage: LiveStage) -> None:
    source = stage.bench.sources.market
    assert source is not None and await source.gap(Slot.MARK_NOON) == ""
    key = source._ledger.fingerprint  # type: ignore[attr-defined]
    execute(
        stage.conninfo,
        "insert into entitlements (key_fingerprint, endpoint, symbol, state, fault, note, learned_at,"
        " ask_again_at, times) values (%s, 'quote', '', 'refused', 'endpoint_not_in_plan', '', %s, %s, 1)",
        key,
        stage.clock.now(),
        stage.clock.now() + timedelta(days=7),
    )
    state, summary, _ = await stage.slot(MONDAY, Slot.MARK_NOON)
    assert state == "skipped" and summary.startswith("lacks quotes: FMP refuses quote to this key")
    assert len(stage.vendor.served) == 0


@pytest.mark.long
async def test_the_key_is_written_nowhere(stage: LiveStage, caplog: pytest.LogCaptureFixture) -> None:
    stage.vendor.faults.append(Fault(kind=FaultKind.SERVER_ERROR, symbol=KO, times=9))
    await stage.day(MONDAY)
    tables = await stage.rows(
        "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables"
        " where schemaname in ('public', 'procrastinate')"
    )
    written = [row for (name,) in tables for row in read(stage.conninfo, f"select t::text from {name} t")]
    assert len(written) > 100
    assert not [row for row in written if KEY in row[0]]
    assert KEY not in caplog.text


def wait_for(stage: LiveStage, symbol: str, price: float, *, entry: date = TUESDAY) -> None:
    """An approved entry around a price, for the open of a session."""
    middle = Decimal(str(round(price, 2)))
    bound = terms(
        symbol=symbol,
        entry_session=entry,
        min_entry=to_price(middle * Decimal("0.97")),
        max_entry=to_price(middle * Decimal("1.03")),
        stop=to_price(middle * Decimal("0.9")),
        target=to_price(middle * Decimal("1.4")),
        max_shares=10,
        max_risk=Decimal("500.00"),
    )
    with writing(stage.conninfo) as session:
        propose(session, bound, **approved(decided_digest=bound.digest))
