"""The drawdown ladder: the deeper the account has fallen, the smaller the entries, until a human is needed.

It stands on time-weighted returns, so that neither a deposit nor a withdrawal moves it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

from agents.trading.limits.config import Limits, exact
from agents.trading.limits.trades import ClosedTrade
from storage.records import Rung

PROBATION_SCALE = Decimal("0.25")

# Decimals that are kept: fewer of the drawdown than of the index, so that a fall of exactly 5% reads as one.
_INDEX_DECIMALS = 18
_DRAWDOWN_DECIMALS = 12
_DIGITS = 50  # while reckoning the index


SCALES = {
    Rung.FULL: Decimal(1),
    Rung.HALF: Decimal("0.5"),
    Rung.QUARTER: Decimal("0.25"),
    Rung.NO_ENTRIES: Decimal(0),
    Rung.HALT: Decimal(0),
}


@dataclass(frozen=True, kw_only=True)
class EquityPoint:
    """The account at the close of a session; dollars."""

    session: date
    equity: Decimal  # after the flow
    flow: Decimal = Decimal(0)  # deposits less withdrawals of the session


@dataclass(frozen=True, kw_only=True)
class IndexPoint:
    """What one dollar of the first close has become, without any flow."""

    session: date
    index: Decimal


@dataclass(frozen=True, kw_only=True)
class Rearm:
    """A human has re-armed the desk; `session` is the last one whose close was known then."""

    session: date


@dataclass(frozen=True, kw_only=True)
class LadderState:
    """Drawdown from the high-water mark (a fraction from 0 on), the latch, and the probation after it."""

    drawdown: Decimal
    high: Decimal  # of the index
    halted_since: date | None = None
    probation_left: int = 0  # trades still to be entered and closed at quarter size

    def rung(self, limits: Limits) -> Rung:
        """The rung under these limits; a halt stays one however far the account has recovered."""
        if self.halted_since is not None or self.drawdown >= exact(limits.ladder_halt):
            return Rung.HALT
        if self.drawdown >= exact(limits.ladder_stop):
            return Rung.NO_ENTRIES
        if self.drawdown >= exact(limits.ladder_quarter):
            return Rung.QUARTER
        return Rung.HALF if self.drawdown >= exact(limits.ladder_half) else Rung.FULL

    def scale(self, limits: Limits) -> Decimal:
        """What the shares of an entry are multiplied with."""
        scale = SCALES[self.rung(limits)]
        return min(scale, PROBATION_SCALE) if self.probation_left else scale


AT_THE_TOP = LadderState(drawdown=Decimal(0), high=Decimal(1))


def time_weighted(points: Sequence[EquityPoint]) -> tuple[IndexPoint, ...]:
    """The index of time-weighted returns, oldest first; ValueError unless the sessions increase.

    A flow counts at the end of its session: what was earned that day was earned on yesterday's equity. After
    an account without equity there is no return to speak of, and the index stands still.
    """
    index, last, result = Decimal(1), None, []
    with localcontext() as context:
        context.prec = _DIGITS
        for point in points:
            if last is not None:
                if point.session <= last.session:
                    raise ValueError(
                        f"expected sessions to increase, was {point.session} after {last.session}"
                    )
                if last.equity > 0:
                    index *= max((point.equity - point.flow) / last.equity, Decimal(0))
            result.append(IndexPoint(session=point.session, index=round(index, _INDEX_DECIMALS)))
            last = point
    return tuple(result)


def ladder_state(
    history: Sequence[IndexPoint], rearms: Iterable[Rearm], trades: Iterable[ClosedTrade], limits: Limits
) -> LadderState:
    """Where the ladder stands at the end of `history`, oldest first.

    A drawdown of `ladder_halt` latches. A human then re-arms: the high-water mark starts again at the last
    close known then, and `probation_trades` trades entered after it must be closed at quarter size. A desk
    without entries (`ladder_stop`) may be re-armed too, because in cash it could never recover; on a better
    rung a re-arm changes nothing, or it would be a way off the ladder.
    """
    pending = sorted(rearms, key=lambda rearm: rearm.session)
    state, since = AT_THE_TOP, None
    if history:
        state = LadderState(drawdown=Decimal(0), high=history[0].index)
    for position, point in enumerate(history):
        high = max(state.high, point.index)
        drawdown = round(1 - point.index / high, _DRAWDOWN_DECIMALS) if high > 0 else Decimal(0)
        halted = state.halted_since
        if halted is None and drawdown >= exact(limits.ladder_halt):
            halted = point.session
        state = LadderState(drawdown=drawdown, high=high, halted_since=halted)
        following = history[position + 1].session if position + 1 < len(history) else date.max
        while pending and pending[0].session < following:
            rearm = pending.pop(0)
            if rearm.session >= point.session and state.rung(limits) in (Rung.HALT, Rung.NO_ENTRIES):
                state = LadderState(drawdown=Decimal(0), high=point.index)
                since = rearm.session
    if since is None:
        return state
    served = sum(trade.entry_session > since for trade in trades)
    return LadderState(
        drawdown=state.drawdown,
        high=state.high,
        halted_since=state.halted_since,
        probation_left=max(limits.probation_trades - served, 0),
    )
