"""One holding and one settled bar: whether it leaves, what it lived through, and where its stop goes."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from agents.market.actions import Actions
from agents.market.bars import Bar
from agents.market.calendar import sessions_between
from agents.market.indicators import Technicals
from agents.trading.book import OpenPosition
from agents.trading.broker import ExitFill, exit_on_bar, exit_without_bar
from agents.trading.corporate import StopHold, release, suspected_split
from agents.trading.costs import Costs
from agents.trading.policy import tightened_stop
from storage.records import to_price


class Seen(Protocol):
    """What somebody holds and has last seen of its prices: the desk's position, or the broker's holding."""

    @property
    def symbol(self) -> str: ...

    @property
    def entry_session(self) -> date: ...

    @property
    def last_close(self) -> Decimal: ...

    @property
    def last_session(self) -> date: ...


@dataclass(frozen=True, kw_only=True)
class Met:
    """What came of it: it leaves, or it lives through the bar, or neither, where the bar is no bar for it.

    `hold` says whether the stop was held back, where the open suggested another basis of prices.
    """

    position: OpenPosition  # after the bar where it lived through it, else as it was
    leaving: ExitFill | None
    lived_through: bool
    hold: StopHold | None


def meet_bar(
    position: OpenPosition, bar: Bar | None, session: date, *, actions: Actions | None, costs: Costs
) -> Met:
    """Let the bar of `session` meet the position; None where its symbol shows none.

    `actions` are all its source tells of, of which the position has lived through those up to `session`; None
    without a source.
    """
    hold = split_check(position, bar, session, actions)
    is_held_back = hold is not None and not hold.is_released
    leaving = (_exit_in_doubt if is_held_back else _exit_of)(position, bar, session, costs)
    if leaving is None and not is_held_back and bar is not None:
        return Met(position=position.survive(bar), leaving=None, lived_through=True, hold=hold)
    return Met(position=position, leaving=leaving, lived_through=False, hold=hold)


def split_check(seen: Seen, bar: Bar | None, session: date, actions: Actions | None) -> StopHold | None:
    """Whether the bar may meet the stop, where its open suggests that it is on another basis; else None.

    What was lived through is in the last close already. A source of actions answers at once.
    """
    if bar is None or seen.entry_session == session:
        return None
    suspicion = suspected_split(seen.last_close, to_price(bar.open), ())
    if suspicion is None:
        return None
    if actions is None:
        return release(suspicion, None)
    since = [action for action in actions.of(seen.symbol) if seen.last_session < action.ex_date <= session]
    return release(suspicion, since)


def raised_stop(
    position: OpenPosition, readings: Technicals | None, session: date, *, stop_atr: float
) -> Decimal:
    """Where the stop belongs once the regime read at the close of `session` is tighter than the one before.

    A position that has not lived through this session's bar keeps its stop: the bar is missing, or nobody
    knows yet on which basis its prices are.
    """
    if readings is None or not readings.session == position.last_session == session:
        return position.stop
    return tightened_stop(position.stop, readings.close, readings.atr14, stop_atr=stop_atr)


def _exit_of(position: OpenPosition, bar: Bar | None, session: date, costs: Costs) -> ExitFill | None:
    held_for = sessions_between(position.entry_session, session)
    if bar is None:
        return exit_without_bar(position, session, sessions_held=held_for, costs=costs)
    entered_today = position.entry_session == session
    return exit_on_bar(position, bar, entered_today=entered_today, sessions_held=held_for, costs=costs)


def _exit_in_doubt(position: OpenPosition, bar: Bar | None, session: date, costs: Costs) -> ExitFill | None:
    """No exit by a price nobody believes. When its time is up, the worse of the bar and the last close."""
    without = _exit_of(position, None, session, costs)
    on_bar = _exit_of(position, bar, session, costs)
    if without is None or on_bar is None:
        return None
    return min(on_bar, without, key=lambda leaving: leaving.price)
