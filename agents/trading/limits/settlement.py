"""Which cash has settled: what a sale brings in may be spent from the next session on.

US equities settle one session after the trade (SEC Rule 15c6-1 as of 28 May 2024), and every desk counts so,
history before that date included. Buying with unsettled proceeds and selling before they settle would be a
good-faith violation; a desk in cash mode never buys with them, so it cannot commit one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from agents.market.calendar import next_session


@dataclass(frozen=True, kw_only=True)
class CashFlow:
    """Dollars in (positive) or out, and the session from which they count as settled."""

    amount: Decimal
    settles: date


@dataclass(frozen=True, kw_only=True)
class CashPosition:
    """Cash by whether it has settled; together it is all there is."""

    settled: Decimal  # below zero when unsettled proceeds were spent, which only margin mode allows
    unsettled: Decimal  # from zero on
    next_settles: date | None = None  # when the first of the unsettled does

    @property
    def total(self) -> Decimal:
        return self.settled + self.unsettled


def proceeds(amount: Decimal, session: date) -> CashFlow:
    """What a sale on `session` brings in, its fees taken off or not: it settles a session later."""
    return CashFlow(amount=amount, settles=next_session(session))


def payment(amount: Decimal, session: date) -> CashFlow:
    """Anything else: purchases, fees, deposits, withdrawals, dividends. It counts at once."""
    return CashFlow(amount=amount, settles=session)


def cash_on(flows: Iterable[CashFlow], session: date) -> CashPosition:
    """The cash of an account on `session`. Money that leaves has left, whenever its trade settles."""
    settled = unsettled = Decimal(0)
    upcoming: date | None = None
    for flow in flows:
        if flow.amount > 0 and flow.settles > session:
            unsettled += flow.amount
            upcoming = flow.settles if upcoming is None else min(upcoming, flow.settles)
        else:
            settled += flow.amount
    return CashPosition(settled=settled, unsettled=unsettled, next_settles=upcoming)
