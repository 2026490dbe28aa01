"""What a proposal nobody traded would have come to, by the rules the paper account fills by."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from agents.market.bars import MarketView
from agents.market.calendar import next_session, sessions_between
from agents.trading.book import OpenPosition
from agents.trading.broker import EntryFill, EntryOrder, fill_entry
from agents.trading.costs import Costs
from agents.trading.holding import meet_bar
from storage.records import TradeTerms

NOBODY = UUID(int=0)
ANOTHER_BASIS = Decimal("0.02")  # how far the close of the proposal may be from what the view now shows


@dataclass(frozen=True)
class WhatIf:
    """R after costs; None where it cannot be known, and `note` says why. 0 where it had not filled."""

    r: float | None
    note: str


def what_if(terms: TradeTerms, close: Decimal, shown: date, view: MarketView, costs: Costs) -> WhatIf | None:
    """The result of the approved size held by the stop, target and time of its terms; None while it runs.

    `close` is the one of `shown` it was proposed on: where the view shows another, prices have another basis
    since and nothing is said. Dividends and stops a regime would have raised are left out.
    """
    bars = view.bars(terms.symbol)
    before = bars.on(shown)
    if before is None or abs(Decimal(str(before.close)) / close - 1) > ANOTHER_BASIS:
        return WhatIf(None, "its prices are of another basis since")
    order = EntryOrder(
        symbol=terms.symbol,
        session=terms.entry_session,
        shares=terms.max_shares,
        limit=terms.max_entry,
        floor=terms.min_entry,
    )
    fill = fill_entry(order, bars.on(terms.entry_session), costs)
    if not isinstance(fill, EntryFill):
        return WhatIf(0.0, f"would not have filled: {fill.reason}")
    held = OpenPosition(
        id=NOBODY,
        symbol=terms.symbol,
        setup_type=terms.setup_type,
        shares=fill.shares,
        entry_session=terms.entry_session,
        entry_price=fill.price,
        entry_fee=fill.fee,
        stop=terms.stop,
        initial_stop=terms.stop,
        target=terms.target,
        max_hold=terms.max_hold,
        low_since=fill.price,
        high_since=fill.price,
        last_close=fill.price,
        last_session=terms.entry_session,
    )
    session = terms.entry_session
    while sessions_between(session, view.session) >= 0:
        met = meet_bar(held, bars.on(session), session, actions=None, costs=costs)
        if met.leaving is not None:
            gain = met.leaving.amount - met.leaving.fee - fill.amount - fill.fee
            r = float(gain / (held.initial_risk * fill.shares))
            return WhatIf(r, f"{met.leaving.reason.replace('_', ' ')} on {session}")
        held, session = met.position, next_session(session)
    return None
