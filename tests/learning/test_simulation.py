"""The simulation looks at nothing later, forgets nothing earlier, and gives the same trades every time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from agents.learning.readings import Readings
from agents.learning.runs import doubled, longest_hold
from agents.learning.simulation import HistorySimulator
from agents.learning.space import DeskRules, ParameterChange, changed
from agents.market.actions import Actions, CorporateAction
from agents.market.bars import Bars
from agents.market.history import HistoryPack
from agents.market.indicators import technicals
from agents.trading.costs import Costs
from storage.records import ActionKind, ExitReason
from tests.learning.worlds import World, world

RULES = DeskRules()
HOLD = "setups.oversold_bounce.max_hold"
SCREEN = "screen.rsi_max"


@pytest.fixture(scope="module")
def made() -> World:
    return world(5, pull=0.08, stocks=6, length=500)


def simulator_of(some: World) -> HistorySimulator:
    return HistorySimulator(some, some.days[210], some.days[-1])


async def test_later_bars_change_no_trade_that_was_over_before_them(made: World) -> None:
    cut = made.days[380]
    later = {symbol: _doubled_after(series, cut) for symbol, series in made.bars.items()}
    before = await simulator_of(made).run(RULES, Costs())
    after = await simulator_of(World(later)).run(RULES, Costs())

    over = {key: trade for key, trade in before.trades.items() if trade.exited <= cut}
    assert len(over) > 10
    assert {key: trade for key, trade in after.trades.items() if trade.exited <= cut} == over
    assert after.trades != before.trades


async def test_what_is_kept_between_variants_changes_no_trade(made: World) -> None:
    shared = simulator_of(made)
    for name, value in ((HOLD, "10"), (SCREEN, "36"), (SCREEN, "42"), (HOLD, "14"), (SCREEN, "36")):
        rules = changed(RULES, [ParameterChange(name, Decimal(10), Decimal(value))])
        assert await shared.run(rules, Costs()) == await simulator_of(made).run(rules, Costs())
    assert await shared.run(RULES, doubled(Costs())) == await simulator_of(made).run(RULES, doubled(Costs()))


@pytest.mark.long
async def test_what_is_kept_between_spans_changes_no_trade(made: World, sample: HistoryPack) -> None:
    days = made.days
    spans = [(days[210], days[400]), (days[215], days[405]), (days[230], days[398]), (days[210], days[-1])]
    raised = [  # four times the regime becomes tighter
        (date(2007, 7, 2), date(2007, 11, 30)),
        (date(2007, 7, 2), date(2007, 8, 15)),
        (date(2007, 7, 20), date(2007, 10, 31)),
    ]
    for history, some in ((made, spans), (sample, raised)):
        shared = HistorySimulator(history, *some[0])
        ends = set()
        for span in some:
            shared = shared.over(*span)
            run = await shared.run(RULES, Costs())
            assert run == await HistorySimulator(history, *span).run(RULES, Costs())
            ends.add(run.open_ended)
        assert len(ends) > 1  # some trade was open at the end of a span and not at that of another


async def test_where_stops_are_raised_to_decides_trades_and_what_is_kept_of_them(sample: HistoryPack) -> None:
    first, last = date(2007, 7, 2), date(2007, 11, 30)  # four times the regime becomes tighter
    shared = HistorySimulator(sample, first, last)
    champion = await shared.run(RULES, Costs())
    raised = {key: one for key, one in champion.trades.items() if one.exit_reason is ExitReason.REGIME_CHANGE}
    assert raised
    assert all(one.exit_price > one.stop for one in raised.values())

    nearer = changed(RULES, [ParameterChange("regime_policy.stop_atr", Decimal("1.5"), Decimal("0.5"))])
    challenger = await shared.run(nearer, Costs())
    assert challenger == await HistorySimulator(sample, first, last).run(nearer, Costs())
    assert all(challenger.trades[key].exited <= one.exited for key, one in raised.items())
    assert challenger.trades != champion.trades


async def test_a_symbol_is_held_once_at_a_time(made: World) -> None:
    run = await simulator_of(made).run(RULES, Costs())
    free: dict[str, date] = {}
    for key, trade in run.trades.items():
        assert key.session >= free.get(key.symbol, date.min)
        assert key.session < trade.entered <= trade.exited
        free[key.symbol] = trade.exited
    every = await simulator_of(made).run(RULES, Costs(), every=True)
    assert run.trades.items() <= every.trades.items()


async def test_dearer_costs_make_the_same_trades_worse(made: World) -> None:
    simulator = simulator_of(made)
    cheap = await simulator.run(RULES, Costs())
    dear = await simulator.run(RULES, doubled(Costs()))
    assert doubled(Costs(stop_bps=150, commission_usd=Decimal(30))) == Costs(
        market_bps=10, stop_bps=200, commission_usd=Decimal(50)
    )
    both = cheap.trades.keys() & dear.trades.keys()
    assert len(both) > 10
    assert np.mean([dear.trades[key].r - cheap.trades[key].r for key in both]) < 0


async def test_a_spin_off_on_the_way_is_lived_through(made: World) -> None:
    run = await simulator_of(made).run(RULES, Costs())
    trade = next(one for one in run.trades.values() if (one.exited - one.entered).days >= 4)
    day = made.days[made.days.index(trade.entered) + 1]
    paid = CorporateAction(
        symbol=trade.key.symbol,
        ex_date=day,
        kind=ActionKind.DIVIDEND,
        value=(trade.entry_price * Decimal("0.2")).quantize(Decimal("0.01")),
        source="test",
    )
    told = await simulator_of(replace(made, actions=Actions([paid]))).run(RULES, Costs())
    # Prices here do not fall by what was paid: the lowered target is passed at the next open.
    assert told.trades[trade.key].exited == day
    assert told.trades[trade.key].r > trade.r


def test_the_longest_hold_is_that_of_any_setup_and_the_night_before() -> None:
    assert longest_hold(RULES) == 21
    assert longest_hold(RULES, changed(RULES, [ParameterChange(HOLD, Decimal(10), Decimal(30))])) == 31


def test_readings_come_out_as_they_went_in(sample: HistoryPack) -> None:
    for session in sample.sessions(date(2004, 8, 16), date(2004, 9, 3)):  # GOOG begins to trade
        view = sample.view(session)
        read = {symbol: technicals(view.bars(symbol)) for symbol in view.symbols}
        fresh = {
            symbol: one if one is not None and one.session == session else None
            for symbol, one in read.items()
        }
        assert Readings.of(session, read).unpacked() == fresh


def test_a_history_without_sessions_is_refused(made: World) -> None:
    with pytest.raises(ValueError, match="there are none"):
        HistorySimulator(made, date(2030, 1, 1), date(2030, 2, 1))


def _doubled_after(series: Bars, cut: date) -> Bars:
    factor = np.where(series.sessions > np.datetime64(cut, "D"), 1.7, 1.0)
    opened, high, low, close = (
        price * factor for price in (series.open, series.high, series.low, series.close)
    )
    return Bars(series.symbol, series.sessions, opened, high, low, close, series.volume)
