"""A live desk on the days on which something was missed, refused or nonsense."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

import pytest

from agents.market.calendar import next_session
from agents.market.fmp import queries
from agents.market.fmp.cache import Aged
from agents.market.fmp.caller import Answer, Errand
from agents.market.fmp.errors import FmpError
from agents.market.fmp.models import Earnings, next_report
from agents.market.fmp.queries import Query, RowT
from agents.market.planner import Ask, PlannedSlot
from app.runtime.jobs import TryAgain
from app.runtime.market.fetching import Fetching, NotingAsker
from app.runtime.market.reading import announcement_of
from storage.calls import CallFault, Priority
from storage.records import Slot
from tests.databases import TemplateDatabases
from tests.runtime.live_stage import MONDAY, LiveStage, live_stage
from tests.storage.desk_builder import execute, writing

TUESDAY = next_session(MONDAY)
AAPL, MSFT, KO = "AAPL", "MSFT", "KO"


@pytest.fixture
async def stage(databases: TemplateDatabases) -> AsyncIterator[LiveStage]:
    """A desk that watches three names and holds the first of them."""
    async with live_stage(databases, watched=(AAPL, KO, MSFT), held=(AAPL,)) as opened:
        yield opened


@pytest.mark.long
async def test_a_split_nobody_saw_in_the_morning_is_lived_through_before_the_stop(stage: LiveStage) -> None:
    await stage.day(MONDAY)
    execute(stage.conninfo, "update positions set stop = round(last_close * 0.85, 2)")
    stage.vendor.market.splits[AAPL] = [(TUESDAY, 1.25)]  # a fall of 20%: no suspicion by itself
    state, summary, _ = await stage.slot(TUESDAY, Slot.SETTLE)
    assert state == "done", summary
    (after,) = await stage.rows("select shares, state, last_session from positions")
    assert after == (125, "open", TUESDAY)


@pytest.mark.long
@pytest.mark.parametrize(
    "refusal",
    [
        "insert into vendor_blocks (id, key_fingerprint, fault, note, since, refused_at)"
        " values (gen_random_uuid(), %(key)s, 'invalid_key', '', %(now)s, %(now)s)",
        "insert into entitlements (key_fingerprint, endpoint, symbol, state, fault, note, learned_at,"
        " ask_again_at, times) values (%(key)s, 'historical-price-eod/full', '', 'refused',"
        " 'endpoint_not_in_plan', '', %(now)s, %(now)s + interval '7 days', 1)",
    ],
    ids=["key", "endpoint"],
)
async def test_exits_wait_for_a_refusal_to_pass_and_are_never_skipped(stage: LiveStage, refusal: str) -> None:
    await stage.day(MONDAY)
    source = stage.bench.sources.market
    values = {"key": source._ledger.fingerprint, "now": stage.clock.now()}  # type: ignore[union-attr]
    with writing(stage.conninfo) as session:
        session.connection().exec_driver_sql(refusal, values)
    with pytest.raises(TryAgain, match="FMP refuse"):
        await stage.slot(TUESDAY, Slot.SETTLE)
    assert await stage.rows("select last_session, state from positions") == [(MONDAY, "open")]


class TwoBroken:
    """A vendor that never answers for two symbols."""

    async def ask(self, query: Query[RowT], errand: Errand) -> Answer[RowT]:
        if query.symbol in (AAPL, KO):
            raise FmpError(CallFault.UNAVAILABLE, query.asked)
        return Answer(query=query, rows=(), body=[])


async def test_two_symbols_without_an_answer_keep_no_other_from_being_asked(stage: LiveStage) -> None:
    now = stage.clock.now()
    ledger = stage.bench.sources.market._ledger  # type: ignore[union-attr]
    asker = NotingAsker(TwoBroken())

    async def fetch(ask: Ask, errand: Errand) -> Aged[object]:
        answer = await asker.ask(queries.quote(ask.symbol), errand)
        return Aged(value=answer, as_of=now, fetched_at=now, stale=False, from_cache=False, source="fmp")

    asks = tuple(
        Ask(endpoint="quote", symbol=symbol, typical_bytes=1) for symbol in (AAPL, MSFT, KO, "SPY", "T")
    )
    slot = PlannedSlot(
        slot="settle",
        job="settle",
        due_at=now,
        priority=Priority.WATCHLIST,
        calls=asks,
        served=(),
        deferred=(),
    )
    failures = await Fetching(ledger, asker, fetch, stage.clock).fetch("settle", [slot])
    assert set(failures) == {("quote", AAPL), ("quote", KO)}


@pytest.mark.parametrize("day", [date(2999, 12, 31), date.max, date(1985, 9, 30)])
def test_a_report_on_no_day_of_the_calendar_is_none(day: date) -> None:
    rows = (Earnings(symbol=AAPL, date=day),)
    assert announcement_of(rows, MONDAY) is None
    assert next_report(rows, MONDAY) is None
    known = (*rows, Earnings(symbol=AAPL, date=TUESDAY))
    assert announcement_of(known, MONDAY).session == TUESDAY  # type: ignore[union-attr]
    assert next_report(known, MONDAY) == TUESDAY
