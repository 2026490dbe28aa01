"""A whole desk without a database: whatever it lives through, no limit, no exit and no cent fails."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.market.actions import ActionKey, ActionKind, CorporateAction
from agents.market.bars import Bar
from agents.market.calendar import add_sessions, next_session, sessions_between
from agents.trading.book import OpenPosition, mark
from agents.trading.broker import (
    EntryFill,
    ExitFill,
    SizedEntry,
    exit_on_bar,
    fill_entry,
    sale_at_close,
    size_entry_order,
    sold_before_earnings,
)
from agents.trading.corporate import Applied, Refused, live_through, pending_after
from agents.trading.costs import Costs
from agents.trading.limits import (
    BookView,
    ClosedTrade,
    EquityPoint,
    Exposure,
    HoldAction,
    Limits,
    Protections,
    Rearm,
    Sized,
    cash_on,
    ladder_state,
    locks_on,
    proceeds,
    size_entry,
    time_weighted,
)
from agents.trading.limits.portfolio import in_sector
from agents.trading.limits.settlement import CashFlow
from agents.trading.outcomes import outcome, realised_by
from agents.trading.policy import tightened_stop
from agents.trading.setups import OversoldBounceParameters, SetupPlan, plan_oversold_bounce
from storage.records import ExitReason, Rung, TradeTerms, to_cents, to_price
from tests.trading.builders import PULLBACK, UNRELATED, any_limits, candidate

SECTORS = {"AAA": "Technology", "BBB": "Technology", "CCC": "Energy", "DDD": "Energy", "EEE": None}
START = Decimal("100000.00")
COSTS = Costs()
STOPPED = (Rung.NO_ENTRIES, Rung.HALT)


@dataclass(frozen=True)
class Day:
    """What one session brings; every number is in per mille of the close before, or a share of something."""

    jump: int  # sessions since the last one the desk was awake on
    moves: tuple[tuple[int, int, int, int], ...]  # open, down, up and close of each symbol
    actions: tuple[str | None, ...]  # of each symbol: a split's ratio, or d and dollars
    proposed: tuple[bool, ...]
    halved: bool  # everything held reports tomorrow
    tightened: bool  # the regime has become tighter
    rearmed: bool


MOVES = st.tuples(
    st.integers(992, 1008) | st.integers(820, 1150),
    st.integers(0, 90),
    st.integers(0, 90),
    st.integers(-60, 60),
)
EACH = len(SECTORS)
DAYS = st.builds(
    Day,
    jump=st.integers(1, 4),
    moves=st.tuples(*[MOVES] * EACH),
    actions=st.tuples(*[st.sampled_from([None, None, None, "2", "0.5", "1.5", "d0.37", "d9"])] * EACH),
    proposed=st.tuples(*[st.booleans()] * EACH),
    halved=st.booleans(),
    tightened=st.booleans(),
    rearmed=st.booleans(),
)


@dataclass
class PureDesk:
    """Everything a desk remembers; each figure below is worked out of it anew, as after a restart."""

    limits: Limits
    session: date = date(2024, 3, 7)
    cash: Decimal = START
    earned: Decimal = Decimal(0)  # by closed trades, and dividends
    positions: dict[str, OpenPosition] = field(default_factory=dict)
    realised: dict[str, Decimal] = field(default_factory=dict)
    applied: set[ActionKey] = field(default_factory=set)
    pending: list[TradeTerms] = field(default_factory=list)
    closes: list[EquityPoint] = field(
        default_factory=lambda: [EquityPoint(session=date(2024, 3, 7), equity=START)]
    )
    trades: list[ClosedTrade] = field(default_factory=list)
    rearms: list[Rearm] = field(default_factory=list)
    sales: list[CashFlow] = field(default_factory=list)
    prices: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(SECTORS, Decimal(100)))
    bought: int = 0

    def book(self, entry: date) -> BookView:
        marked = mark(self.positions.values(), self.cash, self.prices)
        index = time_weighted(self.closes)
        return BookView(
            equity=marked.equity,
            cash=self.cash,
            unsettled=cash_on(self.sales, entry).unsettled,
            exposures=tuple(
                Exposure(
                    symbol=held.symbol,
                    sector=SECTORS[held.symbol],
                    value=held.shares * self.prices[held.symbol],
                    risk=held.heat,
                )
                for held in self.positions.values()
            ),
            day_return=float(index[-1].index / index[-2].index - 1) if len(index) > 1 else 0.0,
            week_return=float(index[-1].index / index[max(len(index) - 6, 0)].index - 1),
            ladder=ladder_state(index, self.rearms, self.trades, self.limits),
            locks=locks_on(self.trades, entry, Protections()),
            correlations=UNRELATED,
        )

    def sold(self, held: OpenPosition, leaving: ExitFill) -> None:
        self.cash += leaving.amount - leaving.fee
        self.sales.append(proceeds(leaving.amount, self.session))
        if leaving.shares < held.shares:
            self.realised[held.symbol] += realised_by(held, leaving)
            self.positions[held.symbol] = held.without(leaving.shares, leaving.fee)
            return
        made = outcome(held, leaving, realised=self.realised[held.symbol])
        self.over(held, made.pnl, leaving.reason, made.r_multiple)

    def over(self, held: OpenPosition, pnl: Decimal, reason: ExitReason, r: float) -> None:
        self.earned += pnl
        self.trades.append(
            ClosedTrade(
                symbol=held.symbol,
                entry_session=held.entry_session,
                exit_session=self.session,
                reason=reason,
                r=r,
            )
        )
        del self.positions[held.symbol], self.realised[held.symbol]


def live(desk: PureDesk, day: Day) -> None:
    desk.session = add_sessions(desk.session, day.jump)
    told = [
        _told(symbol, text, desk.session) for symbol, text in zip(SECTORS, day.actions, strict=True) if text
    ]
    _through_actions(desk, told)
    bars = {
        symbol: _bar(symbol, desk.session, desk.prices[symbol], move)
        for symbol, move in zip(SECTORS, day.moves, strict=True)
    }
    _open(desk, told, bars)
    _close(desk, day, bars)
    _evening(desk, day)


def _told(symbol: str, text: str, session: date) -> CorporateAction:
    kind = ActionKind.DIVIDEND if text.startswith("d") else ActionKind.SPLIT
    return CorporateAction(
        symbol=symbol, ex_date=session, kind=kind, source="test", value=Decimal(text.removeprefix("d"))
    )


def _bar(symbol: str, session: date, close: Decimal, move: tuple[int, int, int, int]) -> Bar:
    opened = float(close) * move[0] / 1000
    closed = opened * (1000 + move[3]) / 1000
    low, high = min(opened, closed) * (1000 - move[1]) / 1000, max(opened, closed) * (1000 + move[2]) / 1000
    first, top, bottom, last = (round(price, 4) for price in (opened, high, low, closed))
    return Bar(symbol, session, first, top, bottom, last, 1_000_000)


def _through_actions(desk: PureDesk, told: list[CorporateAction]) -> None:
    for symbol, held in list(desk.positions.items()):
        mine = [action for action in told if action.symbol == symbol]
        after, results = live_through(held, mine, today=desk.session, applied=desk.applied)
        for result in results:
            assert isinstance(result, Applied), result
            desk.cash += result.cash
            desk.applied.add(result.action.key)
            if result.is_income:
                desk.earned += result.cash
            else:
                desk.realised[symbol] += result.realised
        if after is None:
            left = desk.realised[symbol] - held.entry_fee - held.sold_fees
            desk.over(held, left, ExitReason.CORPORATE_ACTION, 0.0)
            continue
        desk.positions[symbol] = after
        again, refused = live_through(after, mine, today=desk.session, applied=desk.applied)
        assert again == after
        assert all(isinstance(result, Refused) for result in refused)  # a restart tells them twice
    for action in told:
        if action.kind is ActionKind.SPLIT:
            ratio = action.ratio
            desk.prices[action.symbol] = to_price(
                desk.prices[action.symbol] * ratio.denominator / ratio.numerator
            )


def _open(desk: PureDesk, told: list[CorporateAction], bars: dict[str, Bar]) -> None:
    """Approved entries fill or are skipped; who slept through the open has missed it."""
    due = [terms for terms in desk.pending if terms.entry_session == desk.session]
    desk.pending.clear()
    before = room = desk.book(desk.session)
    orders: list[tuple[TradeTerms, SizedEntry]] = []
    for terms in due:
        if not pending_after(terms.symbol, told, desk.prices[terms.symbol]).keep:
            continue
        sector = SECTORS[terms.symbol]
        facts = candidate(terms.symbol, entry_session=desk.session, sector=sector)
        sized = size_entry_order(terms, facts, room, desk.limits, COSTS)
        if isinstance(sized, SizedEntry):
            orders.append((terms, sized))
            room = room.reserve(terms.symbol, sized.cost, sized.risk, sector=sector)
    for terms, sized in orders:
        answer = fill_entry(sized.order, bars[terms.symbol], COSTS)
        if isinstance(answer, EntryFill):
            _buy(desk, terms, answer)
            _no_limit_is_exceeded(desk, terms, answer, before)
    desk.prices = {symbol: to_price(bar.open) for symbol, bar in bars.items()}


def _buy(desk: PureDesk, terms: TradeTerms, answer: EntryFill) -> None:
    desk.bought += 1
    desk.cash -= answer.amount + answer.fee
    desk.realised[terms.symbol] = Decimal(0)
    desk.positions[terms.symbol] = OpenPosition(
        id=UUID(int=desk.bought),
        symbol=terms.symbol,
        setup_type=terms.setup_type,
        shares=answer.shares,
        entry_session=desk.session,
        entry_price=answer.price,
        entry_fee=answer.fee,
        stop=terms.stop,
        initial_stop=terms.stop,
        target=terms.target,
        max_hold=terms.max_hold,
        low_since=answer.price,
        high_since=answer.price,
        last_close=answer.price,
        last_session=desk.session,
    )


def _no_limit_is_exceeded(desk: PureDesk, terms: TradeTerms, answer: EntryFill, before: BookView) -> None:
    limits, equity, after = desk.limits, before.equity, desk.book(desk.session)
    assert terms.min_entry <= answer.price <= terms.max_entry
    assert answer.shares <= terms.max_shares
    risk = answer.shares * (answer.price - terms.stop)
    assert risk <= terms.max_risk
    assert risk <= equity * Decimal(str(limits.risk_per_trade))
    # Whatever has become of what was held: this trade added nothing beyond a limit.
    assert after.heat_usd <= equity * Decimal(str(limits.heat))
    sector = in_sector(after.exposures, SECTORS[terms.symbol])
    assert sector <= equity * Decimal(str(limits.sector))
    assert len(desk.positions) <= limits.max_positions
    assert desk.cash >= 0
    assert limits.margin_mode.value == "margin" or after.settled >= 0
    assert before.ladder.rung(limits) not in STOPPED
    assert not any(lock.holds(terms.symbol, desk.session) for lock in before.locks)
    assert -before.day_return <= limits.daily_loss
    assert -before.week_return <= limits.weekly_loss


def _close(desk: PureDesk, day: Day, bars: dict[str, Bar]) -> None:
    desk.prices = {symbol: to_price(bar.close) for symbol, bar in bars.items()}
    for symbol, held in list(desk.positions.items()):
        bar, held_for = bars[symbol], sessions_between(held.entry_session, desk.session)
        entered_today = held.entry_session == desk.session
        leaving = exit_on_bar(held, bar, entered_today=entered_today, sessions_held=held_for, costs=COSTS)
        if to_price(bar.low) <= held.stop or held_for >= held.max_hold:
            assert leaving is not None  # no limit, lock or rung stands in the way of an exit
        if leaving is None and day.halved:
            shares = sold_before_earnings(held.shares, HoldAction.HALVE)
            leaving = sale_at_close(held, bar, ExitReason.EARNINGS, shares, COSTS)
        if leaving is not None:
            desk.sold(held, leaving)
        if symbol in desk.positions:
            kept = desk.positions[symbol].survive(bar)
            if day.tightened:
                stop = tightened_stop(kept.stop, kept.last_close, kept.last_close / 50)
                assert kept.stop <= stop
                kept = replace(kept, stop=stop)
            desk.positions[symbol] = kept
    marked = mark(desk.positions.values(), desk.cash, {})
    desk.closes.append(EquityPoint(session=desk.session, equity=marked.equity))
    _reconciles(desk)


def _reconciles(desk: PureDesk) -> None:
    """Cash is the start, what trades and dividends earned, and what is tied up in what is held."""
    tied_up = sum(
        (
            held.cost + held.entry_fee + held.sold_fees - desk.realised[held.symbol]
            for held in desk.positions.values()
        ),
        Decimal(0),
    )
    assert desk.cash == START + desk.earned - tied_up
    assert desk.cash == to_cents(desk.cash)


def _evening(desk: PureDesk, day: Day) -> None:
    if day.rearmed:
        desk.rearms.append(Rearm(session=desk.session))
    entry = next_session(desk.session)
    book = desk.book(entry)
    for symbol, wanted in zip(SECTORS, day.proposed, strict=True):
        close = float(desk.prices[symbol])
        readings = replace(PULLBACK, session=desk.session, close=close, atr14=close / 50)
        plan = plan_oversold_bounce(symbol, readings, OversoldBounceParameters())
        if not wanted or symbol in desk.positions or not isinstance(plan, SetupPlan):
            continue
        facts = candidate(symbol, entry_session=entry, sector=SECTORS[symbol])
        sized = size_entry(plan, facts, book, desk.limits, COSTS)
        if not isinstance(sized, Sized):
            continue
        book = book.reserve(symbol, sized.cost, sized.max_risk, sector=SECTORS[symbol])
        desk.pending.append(_terms(plan, sized, entry, desk.limits))


def _terms(plan: SetupPlan, sized: Sized, entry: date, limits: Limits) -> TradeTerms:
    return TradeTerms(
        symbol=plan.symbol,
        setup_type=plan.setup_type,
        entry_session=entry,
        min_entry=plan.min_entry,
        max_entry=plan.max_entry,
        stop=plan.stop,
        target=plan.target,
        max_shares=sized.shares,
        max_risk=sized.max_risk,
        max_hold=plan.max_hold,
        parameters_version=1,
        limits=limits.in_force(),
    )


@settings(max_examples=60, deadline=None)
@given(limits=st.just(Limits()) | any_limits(), days=st.lists(DAYS, min_size=2, max_size=14))
def test_whatever_a_desk_lives_through_no_limit_no_exit_and_no_cent_fails(
    limits: Limits, days: list[Day]
) -> None:
    desk = PureDesk(limits=limits)
    for day in days:
        live(desk, day)


def test_the_days_of_that_desk_do_bring_trades() -> None:
    """So that the property above is about something: quiet days on which everything is proposed."""
    calm = Day(
        jump=1,
        moves=((1000, 5, 5, -10),) * EACH,
        actions=("2", None, "d0.37", None, None),
        proposed=(True,) * EACH,
        halved=False,
        tightened=False,
        rearmed=False,
    )
    desk = PureDesk(limits=Limits())
    for _ in range(8):
        live(desk, calm)
    assert desk.bought >= 4
    assert any(trade.reason is ExitReason.STOP_LOSS for trade in desk.trades)
