"""The volatility index from the best source that has the session, and why the others were passed over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta

import numpy as np
import pytest
import pytest_asyncio

from agents.market.bars import Bars
from agents.market.calendar import close_time
from agents.market.fmp.caller import Errand
from agents.market.volatility import (
    VolatilityReading,
    VolatilitySource,
    VolatilitySources,
    parse_cboe,
    parse_fred,
)
from agents.market.volatility_config import VolatilityConfig
from tests.market.fmp.kit import EVENING, Bench
from tests.market.series import bars_of

SESSION = date(2026, 3, 10)
NOWHERE = "http://127.0.0.1:1/nothing.csv"
SPY = bars_of(100 * np.exp(np.cumsum(np.tile([0.01, -0.01], 40))), symbol="SPY", first=date(2025, 11, 13))


class Files:
    """The sources over a stand-in whose two public files may be moved away."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.cboe = f"{bench.vendor.root}/public/VIX_History.csv"
        self.fred = f"{bench.vendor.root}/public/VIXCLS.csv"
        self.opened: list[VolatilitySources] = []

    async def read(self, session: date = SESSION, index: Bars = SPY) -> VolatilityReading:
        config = VolatilityConfig(cboe_url=self.cboe, fred_url=self.fred)
        sources = VolatilitySources(config, self.bench.market, self.bench.store, self.bench.clock)
        self.opened.append(sources)
        return await sources.read(session, index, Errand(job="regime"))


@pytest_asyncio.fixture
async def files(bench: Bench) -> AsyncIterator[Files]:
    bench.clock.shown = EVENING
    found = Files(bench)
    yield found
    for sources in found.opened:
        await sources.aclose()


def why(reading: VolatilityReading) -> dict[VolatilitySource, str]:
    return {one.source: one.why for one in reading.passed_over}


async def test_cboe_comes_first_and_costs_no_call_of_the_vendor(files: Files) -> None:
    reading = await files.read()
    assert (reading.source, reading.as_of, reading.behind) == (VolatilitySource.CBOE, SESSION, 0)
    expected = files.bench.vendor.market.bar("^VIX", SESSION, EVENING)
    assert reading.value == expected[3] and reading.bars.open[-1] == expected[0]
    assert len(reading.bars) == 300 and reading.passed_over == () and files.bench.calls == 0


async def test_a_file_is_fetched_once_a_session(files: Files) -> None:
    first = await files.read()
    files.cboe = NOWHERE
    again = await files.read()
    assert again.source is VolatilitySource.CBOE and again.value == first.value
    assert again.bars.close.tolist() == first.bars.close.tolist()
    files.bench.clock.pass_by(days=1)
    assert (await files.read(date(2026, 3, 11))).source is VolatilitySource.FRED


async def test_each_step_down_says_why(files: Files) -> None:
    files.cboe = NOWHERE
    reading = await files.read()
    assert reading.source is VolatilitySource.FRED and "ConnectError" in why(reading)[VolatilitySource.CBOE]
    assert np.isnan(reading.bars.open[-1]) and reading.value == reading.bars.close[-1]
    files.bench.store.kept.clear()
    files.fred = f"{files.bench.vendor.root}/public/nothing"
    reading = await files.read()
    assert reading.source is VolatilitySource.FMP and why(reading)[VolatilitySource.FRED] == "it answered 404"
    assert files.bench.calls == 1 and reading.as_of == SESSION and len(reading.bars) > 60
    files.bench.store.kept.clear()
    files.bench.vendor.allowed = frozenset({"AAPL"})
    reading = await files.read()
    assert (reading.source, reading.as_of) == (VolatilitySource.REALISED, SESSION)
    assert "not in the key's plan" in why(reading)[VolatilitySource.FMP]
    assert reading.value is not None and 15 < reading.value < 17 and not len(reading.bars)


async def test_with_nothing_at_all_there_is_no_value(files: Files) -> None:
    files.cboe = files.fred = NOWHERE
    files.bench.ledger.most = 0
    reading = await files.read(index=Bars.empty("SPY"))
    assert reading.value is None and len(reading.passed_over) == 3
    assert "used up" in why(reading)[VolatilitySource.FMP]


async def test_a_file_of_yesterday_gives_way_to_whoever_has_today(files: Files) -> None:
    files.fred = NOWHERE
    files.bench.clock.shown = close_time(SESSION) + timedelta(minutes=5)  # nobody has the bar yet
    early = await files.read()
    assert (early.as_of, early.behind, early.source) == (date(2026, 3, 9), 1, VolatilitySource.CBOE)
    assert set(why(early)) == {VolatilitySource.FRED, VolatilitySource.FMP}
    files.bench.clock.shown = EVENING
    files.cboe = NOWHERE
    assert (await files.read()).source is VolatilitySource.FMP


async def test_a_source_far_behind_is_no_reading(files: Files) -> None:
    files.fred = NOWHERE
    files.bench.vendor.now = lambda: EVENING - timedelta(days=14)
    assert (await files.read()).source is VolatilitySource.REALISED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "<html>\r<p>\n",
        '"' + "x" * 140_000,
        "DATE,OPEN,HIGH,LOW,CLOSE\n",
        "DATE,OPEN,HIGH,LOW,CLOSE\n03/10/2026,1,2",
        "DATE,OPEN,HIGH,LOW,CLOSE\n03/10/2026,20,21,19,-20\n",
        "DATE,OPEN,HIGH,LOW,CLOSE\n03/10/2026,20,21,19,nan\n",
        "DATE,OPEN,HIGH,LOW,CLOSE\n2026-03-10,20,21,19,20\n",
        "DATE,OPEN,HIGH,LOW,CLOSE\n03/10/2026,20,21,19,1e999\n",
        "date,close\n03/10/2026,20\n",
    ],
)
def test_what_is_not_the_file_expected_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_cboe(text)


def test_both_files_are_read_as_they_are_published() -> None:
    cboe = parse_cboe("DATE,OPEN,HIGH,LOW,CLOSE\n03/09/2026,20.1,22.5,19.9,21.3\n03/10/2026,21,22,20,20.5\n")
    assert cboe.sessions.tolist() == [date(2026, 3, 9), SESSION] and cboe.close.tolist() == [21.3, 20.5]
    fred = parse_fred("observation_date,VIXCLS\n2026-03-06,18.2\n2026-03-09,.\n2026-03-10,\n2026-03-11,19\n")
    assert fred.sessions.tolist() == [date(2026, 3, 6), date(2026, 3, 11)]
