"""What a screened symbol did afterwards, bought at the next open whether or not anybody bought it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from agents.market.bars import Bar, MarketView
from agents.market.calendar import add_sessions, previous_session

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

    @property
    def longest(self) -> int:
        """Sessions that lie in it at most."""
        return self.sessions or self.days


def ended(span: Span, tonight: date) -> Iterator[date]:
    """The evenings whose span ended with this session, or at most CATCH_UP sessions ago; latest first."""
    evening, oldest = tonight, add_sessions(tonight, -CATCH_UP)
    for _ in range(span.longest + CATCH_UP):
        evening = previous_session(evening)
        if oldest < span.exit_session(evening) <= tonight:
            yield evening


def outcome_after(view: MarketView, symbol: str, screened: date, span: Span) -> float | None:
    """From the next open to the end of the span, as a fraction; None while a price of it is missing.

    Both prices are on the view's basis, so a split between them is no loss. Dividends are left out, those of
    the index too.
    """
    own = _change(view, symbol, screened, span)
    if own is None or not span.excess:
        return own
    index = view.index_symbol
    market = None if index is None else _change(view, index, screened, span)
    return None if market is None else own - market


def _change(view: MarketView, symbol: str, screened: date, span: Span) -> float | None:
    bars = view.bars(symbol)
    entry: Bar | None = bars.on(add_sessions(screened, 1))
    leaving = bars.on(span.exit_session(screened))
    if entry is None or leaving is None or entry.open <= 0:
        return None
    return leaving.close / entry.open - 1
