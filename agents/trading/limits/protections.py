"""Protections after a run of bad trades, by the names freqtrade gave them.

They lock entries, of one symbol or of all, and never an exit. Locks are worked out from the closed trades
alone, so a restart neither forgets nor prolongs one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from agents.market.calendar import add_sessions, sessions_between
from agents.trading.limits.trades import ClosedTrade
from storage.records import ExitReason

STOPS = frozenset({ExitReason.STOP_LOSS, ExitReason.TRAILING_STOP, ExitReason.REGIME_CHANGE})


class StoplossGuard(BaseModel):
    """So many losing stops within so many sessions lock all entries, fewer in one symbol that symbol."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stops: int = Field(4, ge=1, le=10, description="Losing stops of the desk that lock all entries")
    window: int = Field(10, ge=1, le=60, description="Sessions they are counted over")
    lock: int = Field(5, ge=1, le=60, description="Sessions all entries stay locked")
    symbol_stops: int = Field(2, ge=1, le=5, description="Losing stops of a symbol that lock it")
    symbol_window: int = Field(20, ge=1, le=120, description="Sessions those are counted over")
    symbol_lock: int = Field(10, ge=1, le=120, description="Sessions the symbol stays locked")


class MaxDrawdown(BaseModel):
    """A fall of the sum of R over the trades of a window locks all entries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drawdown_r: float = Field(6.0, gt=0, le=10, description="Fall of the cumulative result that locks, R")
    trades: int = Field(5, ge=1, le=20, description="Fewest trades that are judged")
    window: int = Field(20, ge=1, le=120, description="Sessions they are counted over")
    lock: int = Field(5, ge=1, le=60, description="Sessions all entries stay locked")


class LowProfitPairs(BaseModel):
    """A symbol whose trades of a window add up to too little is locked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_r: float = Field(-1.0, ge=-3, le=1, description="Sum of results below which it is locked, R")
    trades: int = Field(2, ge=1, le=10, description="Fewest trades that are judged")
    window: int = Field(60, ge=1, le=252, description="Sessions they are counted over")
    lock: int = Field(20, ge=1, le=252, description="Sessions the symbol stays locked")


class CooldownPeriod(BaseModel):
    """After any exit the symbol rests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lock: int = Field(2, ge=1, le=60, description="Sessions after an exit without an entry in the symbol")


class Protections(BaseModel):
    """The four protections. All defaults are engineering defaults without evidence claimed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stoploss_guard: StoplossGuard = StoplossGuard()
    max_drawdown: MaxDrawdown = MaxDrawdown()
    low_profit_pairs: LowProfitPairs = LowProfitPairs()
    cooldown_period: CooldownPeriod = CooldownPeriod()

    @property
    def longest(self) -> int:
        """Sessions of the longest lock there is."""
        guard = self.stoploss_guard
        others = (self.max_drawdown.lock, self.low_profit_pairs.lock, self.cooldown_period.lock)
        return max(guard.lock, guard.symbol_lock, *others)


@dataclass(frozen=True, kw_only=True)
class Lock:
    """No entry in `symbol` (None: in any) up to and including the session `until`."""

    protection: str
    symbol: str | None
    until: date
    reason: str

    def holds(self, symbol: str, session: date) -> bool:
        """Whether it stands in the way of an entry in `symbol` on `session`."""
        return self.symbol in (None, symbol) and session <= self.until


def locks_on(trades: Iterable[ClosedTrade], session: date, protections: Protections) -> tuple[Lock, ...]:
    """The locks on entries on `session`, the longest of each protection and symbol, those on all first.

    Each exit is judged with the exits of its window up to it, so a lock lasts as long as it was first given
    even when its trades have left the window. Trades closed after `session` are not looked at.
    """
    closed = sorted(
        (trade for trade in trades if trade.exit_session <= session),
        key=lambda trade: (trade.exit_session, trade.symbol, trade.entry_session),
    )
    longest: dict[tuple[str, str | None], Lock] = {}
    for end in sorted({trade.exit_session for trade in closed}):
        if sessions_between(end, session) > protections.longest:
            continue
        known = [trade for trade in closed if trade.exit_session <= end]
        for lock in _locks_given(known, end, protections):
            if lock.until >= session:
                longest[lock.protection, lock.symbol] = lock  # ends increase, and so does `until`
    return tuple(sorted(longest.values(), key=lambda lock: (lock.symbol or "", lock.protection)))


def _locks_given(known: Sequence[ClosedTrade], end: date, protections: Protections) -> list[Lock]:
    """What the exits of session `end` lead to."""
    guard, drawdown = protections.stoploss_guard, protections.max_drawdown
    low, cooldown = protections.low_profit_pairs, protections.cooldown_period
    given = []

    def give(protection: str, symbol: str | None, sessions: int, reason: str) -> None:
        given.append(
            Lock(protection=protection, symbol=symbol, until=add_sessions(end, sessions), reason=reason)
        )

    today = [trade for trade in known if trade.exit_session == end]
    stops = _recent(known, end, guard.window, _is_losing_stop)
    if any(map(_is_losing_stop, today)) and len(stops) >= guard.stops:
        give("StoplossGuard", None, guard.lock, f"{len(stops)} stops within {guard.window} sessions")
    judged = _recent(known, end, drawdown.window, lambda _: True)
    fall = _fall(judged)
    if len(judged) >= drawdown.trades and fall >= drawdown.drawdown_r:
        give(
            "MaxDrawdown",
            None,
            drawdown.lock,
            f"{len(judged)} trades within {drawdown.window} sessions fell by {fall:.1f} R",
        )
    for symbol in sorted({trade.symbol for trade in today}):
        own = [trade for trade in known if trade.symbol == symbol]
        stops = _recent(own, end, guard.symbol_window, _is_losing_stop)
        if len(stops) >= guard.symbol_stops and any(
            _is_losing_stop(trade) for trade in today if trade.symbol == symbol
        ):
            said = f"{len(stops)} stops of {symbol} within {guard.symbol_window} sessions"
            give("StoplossGuard", symbol, guard.symbol_lock, said)
        judged = _recent(own, end, low.window, lambda _: True)
        total = sum(trade.r for trade in judged)
        if len(judged) >= low.trades and total < low.least_r:
            said = f"{len(judged)} trades of {symbol} within {low.window} sessions made {total:+.1f} R"
            give("LowProfitPairs", symbol, low.lock, said)
        give("CooldownPeriod", symbol, cooldown.lock, f"{symbol} was sold on {end.isoformat()}")
    return given


def _recent(
    trades: Iterable[ClosedTrade], end: date, window: int, wanted: Callable[[ClosedTrade], bool]
) -> list[ClosedTrade]:
    """Those closed in the `window` sessions up to `end`, this one included."""
    return [trade for trade in trades if sessions_between(trade.exit_session, end) < window and wanted(trade)]


def _is_losing_stop(trade: ClosedTrade) -> bool:
    return trade.reason in STOPS and trade.r < 0


def _fall(trades: Iterable[ClosedTrade]) -> float:
    """The deepest fall of the cumulative R from its highest point, in order of exit; from 0 on."""
    total = high = deepest = 0.0
    for trade in trades:
        total += trade.r
        high = max(high, total)
        deepest = max(deepest, high - total)
    return deepest
