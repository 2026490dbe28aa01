"""One holding and one settled bar: whether it leaves, and what it has lived through if it does not."""

from dataclasses import dataclass
from datetime import date

from agents.market.actions import Actions
from agents.market.bars import Bar
from agents.market.calendar import sessions_between
from agents.trading.book import OpenPosition
from agents.trading.broker import ExitFill, exit_on_bar, exit_without_bar
from agents.trading.corporate import StopHold, release, suspected_split
from agents.trading.costs import Costs
from storage.records import to_price


@dataclass(frozen=True, kw_only=True)
class Met:
    """What came of it. `position` is the very one that was given where it did not live through the bar.

    `hold` says whether the stop was held back, where the open suggested another basis of prices.
    """

    position: OpenPosition
    leaving: ExitFill | None
    hold: StopHold | None


def meet_bar(
    position: OpenPosition, bar: Bar | None, session: date, *, actions: Actions | None, costs: Costs
) -> Met:
    """Let the bar of `session` meet the position; None where its symbol shows none.

    `actions` are all its source tells of, of which the position has lived through those up to `session`; None
    without a source.
    """
    hold = _split_check(position, bar, session, actions)
    if hold is not None and not hold.is_released:
        return Met(position=position, leaving=_exit_in_doubt(position, bar, session, costs), hold=hold)
    leaving = _exit_of(position, bar, session, costs)
    if leaving is None and bar is not None:
        return Met(position=position.survive(bar), leaving=None, hold=hold)
    return Met(position=position, leaving=leaving, hold=hold)


def _exit_of(position: OpenPosition, bar: Bar | None, session: date, costs: Costs) -> ExitFill | None:
    held_for = sessions_between(position.entry_session, session)
    if bar is None:
        return exit_without_bar(position, session, sessions_held=held_for, costs=costs)
    entered_today = position.entry_session == session
    return exit_on_bar(position, bar, entered_today=entered_today, sessions_held=held_for, costs=costs)


def _split_check(
    position: OpenPosition, bar: Bar | None, session: date, actions: Actions | None
) -> StopHold | None:
    """Whether the bar may meet the stop, where its open suggests that it is on another basis; else None.

    What was lived through is in the position's last close already. A source of actions answers at once.
    """
    if bar is None or position.entry_session == session:
        return None
    suspicion = suspected_split(position.last_close, to_price(bar.open), ())
    if suspicion is None:
        return None
    if actions is None:
        return release(suspicion, None)
    since = [
        action for action in actions.of(position.symbol) if position.last_session < action.ex_date <= session
    ]
    return release(suspicion, since)


def _exit_in_doubt(position: OpenPosition, bar: Bar | None, session: date, costs: Costs) -> ExitFill | None:
    """No exit by a price nobody believes. When its time is up, the worse of the bar and the last close."""
    without = _exit_of(position, None, session, costs)
    on_bar = _exit_of(position, bar, session, costs)
    if without is None or on_bar is None:
        return None
    return min(on_bar, without, key=lambda leaving: leaving.price)
