"""What a screened symbol did afterwards, bought at the next open whether or not anybody bought it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from agents.market.bars import Bars, FloatArray, MarketView
from agents.market.calendar import add_sessions, previous_session, sessions

CATCH_UP = 10  # sessions a bar that is missing is waited for


@dataclass(frozen=True, kw_only=True)
class Span:
    """How long after the screen is looked: to the close of the n-th session, or of the last within n days."""

    sessions: int = 0
    days: int = 0
    excess: bool = False  # of the index over the same span

    def exit_session(self, screened: date) -> date:
        """The session at whose close it ends."""
        if self.sessions:
            return add_sessions(screened, self.sessions)
        return previous_session(screened + timedelta(days=self.days + 1))


def ended(span: Span, tonight: date) -> list[date]:
    """The evenings whose span ended with this session, or less than CATCH_UP sessions ago; latest first."""
    oldest = add_sessions(tonight, -CATCH_UP)
    if span.sessions:
        return [add_sessions(tonight, -span.sessions - late) for late in range(CATCH_UP)]
    near = sessions(oldest - timedelta(days=span.days), tonight - timedelta(days=1))
    return [evening for evening in reversed(near) if oldest < span.exit_session(evening) <= tonight]


def outcomes_after(view: MarketView, symbols: Iterable[str], screened: date, span: Span) -> dict[str, float]:
    """From the next open to the end of the span, as fractions; without symbols that lack a price of it.

    Both prices are on the view's basis, so a split between them is no loss. Dividends are left out, those of
    the index too.
    """
    entry, leaving = add_sessions(screened, 1), span.exit_session(screened)
    index: float | None = 0.0
    if span.excess:
        index = _change(view, view.index_symbol, entry, leaving) if view.index_symbol else None
    if index is None:
        return {}
    own = {symbol: _change(view, symbol, entry, leaving) for symbol in symbols}
    return {symbol: change - index for symbol, change in own.items() if change is not None}


def _change(view: MarketView, symbol: str, entry: date, leaving: date) -> float | None:
    bars = view.bars(symbol)
    bought, sold = _price(bars, bars.open, entry), _price(bars, bars.close, leaving)
    return sold / bought - 1 if bought > 0 and sold > 0 else None


def _price(bars: Bars, column: FloatArray, session: date) -> float:
    """A price of a session; not a number where there is none."""
    day = np.datetime64(session, "D")
    index = int(np.searchsorted(bars.sessions, day))
    return float(column[index]) if index < len(bars) and bars.sessions[index] == day else math.nan
