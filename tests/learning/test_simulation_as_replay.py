"""The simulation is evidence only because it trades as the desk's own replay does, price by price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import psycopg
import pytest

from agents.learning.runs import Key, SimulatedTrade
from agents.learning.simulation import HistorySimulator
from agents.learning.space import DeskRules
from agents.market.actions import CorporateAction
from agents.market.history import HistoryPack
from agents.trading.costs import Costs
from app.settings import Settings
from storage.records import ActionKind, to_cents
from storage.rows import fetch_all
from storage.server import EmbeddedDatabases
from tests.app.books import run_through

FIRST, LAST = date(2007, 5, 15), date(2007, 11, 30)  # four times the regime becomes tighter

# What the account as a whole denies; a trade on its own knows nothing of it.
OF_THE_ACCOUNT = {
    "held",
    "heat",
    "heat_adjusted",
    "sector",
    "cash",
    "settled_cash",
    "max_positions",
    "correlation",
    "protections",
    "drawdown",
    "daily_loss",
    "weekly_loss",
    "risk_manager",  # vetoes a trade that the account left so little room for that its costs would eat it
}


@dataclass(frozen=True)
class Replayed:
    """A trade as a replay stored it."""

    signal: date
    symbol: str
    setup: str
    regime: str
    volatility: str
    entered: date
    exited: date
    shares: int
    entry_price: Decimal
    stop: Decimal
    target: Decimal
    exit_price: Decimal
    reason: str
    r: float


_TRADES = """
    select a.created_session as signal, t.symbol, t.setup_type as setup, t.market_regime as regime,
           t.volatility, p.entry_session as entered, p.closed_session as exited, p.shares, t.entry_price,
           p.initial_stop as stop, p.target, t.exit_price, t.exit_reason as reason, t.r_multiple as r
      from trade_outcomes t
      join positions p on p.id = t.position_id
      join approvals a on a.id = p.approval_id
"""


@dataclass(frozen=True)
class Denied:
    session: date
    symbol: str
    denied_by: str | None


_DENIED = """
    select session, symbol, denied_by from deliberations where not proposed
    union all
    select a.created_session, o.symbol, o.denied_by from orders o join approvals a on a.id = o.approval_id
     where o.side = 'buy' and o.state = 'skipped'
"""


def rules_of(settings: Settings) -> DeskRules:
    return DeskRules(
        setups=settings.setups,
        screen=settings.screen,
        regime_policy=settings.regime_policy,
        limits=settings.limits,
    )


def splits_of(pack: HistoryPack, symbol: str) -> list[CorporateAction]:
    return [action for action in pack.actions.of(symbol) if action.kind is ActionKind.SPLIT]


def r_of(trade: SimulatedTrade, shares: int, costs: Costs) -> float:
    """The result had it been so many shares: only commissions and cents are spread otherwise."""
    paid, got = to_cents(shares * trade.entry_price), to_cents(shares * trade.exit_price)
    return float((got - paid - 2 * costs.commission_usd) / (shares * (trade.entry_price - trade.stop)))


@pytest.mark.long
async def test_every_trade_of_a_replay_is_found_and_every_other_was_denied_by_the_account(
    databases: EmbeddedDatabases, sample: HistoryPack
) -> None:
    trades = await assert_alike(databases, sample, FIRST, LAST)
    reasons = {trade.reason for trade in trades}
    assert reasons == {"stop_loss", "take_profit", "time_exit", "regime_change"}


@pytest.mark.pack
@pytest.mark.long
async def test_so_it_is_among_many_symbols_with_their_dividends_and_splits(
    databases: EmbeddedDatabases, market_pack: HistoryPack
) -> None:
    await assert_alike(databases, market_pack, date(2014, 4, 1), date(2014, 8, 29))


async def assert_alike(
    databases: EmbeddedDatabases, pack: HistoryPack, first: date, last: date
) -> tuple[Replayed, ...]:
    """The trades of the replay, after each was compared."""
    settings = Settings(_env_file=None)
    conninfo = await run_through(databases, pack, first, last)
    with psycopg.connect(conninfo) as connection:
        trades = fetch_all(connection, Replayed, _TRADES)
        denied = {Key(row.session, row.symbol): row for row in fetch_all(connection, Denied, _DENIED)}
        open_now = {row[0] for row in connection.execute("select symbol from positions where state = 'open'")}

    simulator = HistorySimulator(pack, first, last, equity=settings.start_equity)
    run = await simulator.run(rules_of(settings), settings.costs, every=True)

    assert len(trades) > 15
    for trade in trades:
        same = run.trades[Key(trade.signal, trade.symbol)]
        assert (same.setup, same.direction, same.volatility) == (trade.setup, trade.regime, trade.volatility)
        assert (same.entered, same.exited) == (trade.entered, trade.exited)
        assert (same.exit_price, same.exit_reason) == (trade.exit_price, trade.reason)
        if any(same.entered < split.ex_date <= same.exited for split in splits_of(pack, trade.symbol)):
            # The replay's row shows prices and shares after the split, the simulation's those of the fill.
            assert same.r == pytest.approx(trade.r, abs=0.02)
            continue
        assert (same.entry_price, same.stop, same.target) == (trade.entry_price, trade.stop, trade.target)
        assert r_of(same, trade.shares, settings.costs) == pytest.approx(trade.r, abs=1e-9)
        assert r_of(same, same.shares, settings.costs) == pytest.approx(same.r, abs=1e-9)
    traded = {Key(trade.signal, trade.symbol) for trade in trades}
    for key in set(run.trades) - traded:
        assert denied[key].denied_by in OF_THE_ACCOUNT
    assert run.open_ended >= len(open_now)
    return trades
