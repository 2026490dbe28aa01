"""The account and the symbols as the limits see them, in the evening and again at the open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from agents.market.bars import Bars
from agents.market.calendar import previous_session
from agents.trading.book import OpenPosition, mark
from agents.trading.limits import (
    BookView,
    Candidate,
    ClosedTrade,
    Correlations,
    EarningsDate,
    EquityPoint,
    Exposure,
    KellyCap,
    LadderState,
    Protections,
    Rearm,
    cash_on,
    earnings_of,
    ladder_state,
    locks_on,
    proceeds,
    time_weighted,
)
from agents.trading.limits import facts as measured
from agents.trading.limits.ladder import IndexPoint
from app.runtime.step import Step, held
from storage.records import to_price

WEEK = 5  # sessions
CORRELATED = 126  # bars looked at for the 60 daily returns that two symbols have in common


async def book_tonight(step: Step, entry_session: date, names: Iterable[str]) -> BookView:
    """The account as just settled, for entries at the next open.

    Nothing is reserved, as this morning's cutoff answered every approval. `names` are the symbols that may be
    bought.
    """
    equity = await step.ledger.last_equity()
    assert equity is not None  # settle has marked this session
    positions = [held(position) for position in await step.ledger.open_positions()]
    points = await _closes(step, step.session)
    return await _book(
        step,
        entry_session,
        equity=equity.equity,
        cash=equity.cash,
        exposures=tuple(_exposure(step, position, position.last_close) for position in positions),
        closes=len(points),
        index=time_weighted(points),
        names=names,
        known=step.session,
    )


async def book_before_open(step: Step, names: Iterable[str]) -> BookView:
    """The account marked at the close before, with what has happened to it since."""
    positions = [held(position) for position in await step.ledger.open_positions()]
    return await _book_of_morning(step, positions, {}, names)


async def book_at_open(step: Step, names: Iterable[str]) -> BookView:
    """The account marked at this session's opens; everything else is as of the close before."""
    await step.ledger.hold_ladder()  # what is paid in meanwhile is in the cash and the index or in neither
    positions = [held(position) for position in await step.ledger.open_positions()]
    opens = {
        position.symbol: to_price(bar.open)
        for position in positions
        if (bar := step.view.bars(position.symbol).on(step.session)) is not None
    }
    return await _book_of_morning(step, positions, opens, names)


async def _book_of_morning(
    step: Step, positions: Sequence[OpenPosition], opens: Mapping[str, Decimal], names: Iterable[str]
) -> BookView:
    marked = mark(positions, await step.ledger.cash(), opens)
    index = await index_now(step, marked.equity)
    return await _book(
        step,
        step.session,
        equity=marked.equity,
        cash=marked.cash,
        exposures=tuple(
            _exposure(step, position, opens.get(position.symbol, position.last_close))
            for position in positions
        ),
        closes=len(index) - 1,
        index=index,
        names=names,
        known=previous_session(step.session),
    )


def facts_tonight(step: Step, symbol: str, entry_session: date) -> Candidate:
    """What tonight's close knows of a symbol."""
    return _facts(step, symbol, entry_session, step.session)


def facts_at_open(step: Step, symbol: str, kelly: KellyCap | None) -> Candidate:
    """What the close before this open knew of a symbol; `kelly` is what its setup's record allows."""
    return replace(_facts(step, symbol, step.session, previous_session(step.session)), kelly=kelly)


def earnings_date(step: Step, symbol: str) -> EarningsDate:
    """What the desk knows of a company's next or latest report."""
    known = step.earnings.of(symbol) if step.earnings is not None else None
    if known is None:
        return earnings_of(step.parts.kind, None, confirmed=False)
    return earnings_of(step.parts.kind, known.session, confirmed=known.confirmed)


async def index_now(step: Step, equity: Decimal) -> tuple[IndexPoint, ...]:
    """The account at every close before this session and now, when it is worth `equity`; time-weighted."""
    points = await _closes(step, previous_session(step.session))
    flows = await step.ledger.deposits()
    last = points[-1].session if points else date.min
    arrived = sum((amount for session, amount in flows if session > last), Decimal(0))
    return time_weighted([*points, EquityPoint(session=step.session, equity=equity, flow=arrived)])


async def ladder_at(step: Step, closes: Sequence[IndexPoint]) -> LadderState:
    """Where the ladder stands at the last of these closes, with every re-arm there has been."""
    rearms = [Rearm(session=session) for session in await step.ledger.rearms()]
    trades = await _trades(step, rearms[-1].session) if rearms else []
    return ladder_state(closes, rearms, trades, step.parts.limits)


def _facts(step: Step, symbol: str, entry_session: date, known: date) -> Candidate:
    return measured.candidate(
        step.view.bars(symbol).upto(known),
        entry_session=entry_session,
        sector=_sector(step, symbol),
        earnings=earnings_date(step, symbol),
    )


async def _book(
    step: Step,
    entry_session: date,
    *,
    equity: Decimal,
    cash: Decimal,
    exposures: tuple[Exposure, ...],
    closes: int,
    index: Sequence[IndexPoint],
    names: Iterable[str],
    known: date,
) -> BookView:
    """The ladder stands on the first `closes` of `index` alone; no bar after the session `known` is read."""
    protections = step.parts.protections
    trades = await _trades(step, _first_that_counts(protections, entry_session))
    sales = await step.ledger.sales_since(previous_session(entry_session))
    unsettled = cash_on([proceeds(amount, session) for session, amount in sales], entry_session).unsettled
    together = {*names, *(exposure.symbol for exposure in exposures)}
    return BookView(
        equity=equity,
        cash=cash,
        unsettled=unsettled,
        exposures=exposures,
        day_return=return_over(index, 1),
        week_return=return_over(index, WEEK),
        ladder=await ladder_at(step, index[:closes]),
        locks=locks_on(trades, entry_session, protections),
        correlations=_correlations(step, together, known),
    )


async def _closes(step: Step, last: date) -> list[EquityPoint]:
    """The account at every close up to `last`; what was paid in since the close before counts as its flow."""
    flows = await step.ledger.deposits()
    points: list[EquityPoint] = []
    before = date.min
    for session, equity in await step.ledger.closing_equity(last):
        flow = sum((amount for day, amount in flows if before < day <= session), Decimal(0))
        points.append(EquityPoint(session=session, equity=equity, flow=flow))
        before = session
    return points


async def _trades(step: Step, first: date) -> list[ClosedTrade]:
    return [
        ClosedTrade(
            symbol=trade.symbol,
            entry_session=trade.entry_session,
            exit_session=trade.exit_session,
            reason=trade.reason,
            r=trade.r,
        )
        for trade in await step.memory.trades_closed_since(first)
    ]


def return_over(index: Sequence[IndexPoint], sessions: int) -> float:
    """Over the last so many sessions, or as many as there are."""
    if len(index) < 2:
        return 0.0
    start = index[max(len(index) - 1 - sessions, 0)].index
    return float(index[-1].index / start - 1) if start > 0 else -1.0


def _exposure(step: Step, position: OpenPosition, price: Decimal) -> Exposure:
    return Exposure(
        symbol=position.symbol,
        sector=_sector(step, position.symbol),
        value=position.shares * price,
        risk=position.heat,
    )


def _sector(step: Step, symbol: str) -> str | None:
    instrument = step.view.instruments.get(symbol)
    return instrument.sector if instrument is not None else None


def _correlations(step: Step, symbols: Iterable[str], known: date) -> Correlations:
    return measured.correlations({symbol: _recent(step.view.bars(symbol).upto(known)) for symbol in symbols})


def _recent(bars: Bars) -> Bars:
    """The last bars alone: matching the sessions of whole histories pair by pair takes too long."""
    prices = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return Bars(bars.symbol, bars.sessions[-CORRELATED:], *(column[-CORRELATED:] for column in prices))


def _first_that_counts(protections: Protections, session: date) -> date:
    """A day no exit before which may still be part of a lock; weekends and holidays are counted amply."""
    windows = (
        protections.stoploss_guard.window,
        protections.stoploss_guard.symbol_window,
        protections.max_drawdown.window,
        protections.low_profit_pairs.window,
    )
    return session - timedelta(days=2 * (protections.longest + max(windows)) + 7)
