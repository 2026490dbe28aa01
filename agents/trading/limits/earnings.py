"""Earnings: when nothing is entered, and what becomes of what is held."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from agents.market.calendar import sessions_between
from agents.trading.limits.config import EarningsHold, Limits
from storage.records import DeskKind

# Companies report about 63 sessions apart, and an estimated date moves by days.
SAME_ANNOUNCEMENT = 20


class EarningsStatus(StrEnum):
    """How well the next date is known."""

    CONFIRMED = "confirmed"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"
    NOT_SIMULATED = "not simulated"


class HoldAction(StrEnum):
    """What to do with a held position today."""

    KEEP = "keep"
    HALVE = "halve"
    EXIT = "exit"


@dataclass(frozen=True, kw_only=True)
class EarningsDate:
    """The nearest announcement of one symbol, past or to come. ValueError when status and date do not fit."""

    status: EarningsStatus
    session: date | None = None

    def __post_init__(self) -> None:
        dated = self.status in (EarningsStatus.CONFIRMED, EarningsStatus.ESTIMATED)
        if dated != (self.session is not None):
            raise ValueError(f"expected a date with a confirmed or estimated one only, was {self}")


NOT_SIMULATED = EarningsDate(status=EarningsStatus.NOT_SIMULATED)
UNKNOWN = EarningsDate(status=EarningsStatus.UNKNOWN)


def earnings_of(desk: DeskKind, session: date | None, *, confirmed: bool) -> EarningsDate:
    """What a desk knows; without a date a history does not simulate them, and any other desk lacks one."""
    if session is None:
        return NOT_SIMULATED if desk is DeskKind.HISTORY else UNKNOWN
    status = EarningsStatus.CONFIRMED if confirmed else EarningsStatus.ESTIMATED
    return EarningsDate(status=status, session=session)


def sessions_to_wait(earnings: EarningsDate, entry_session: date, limits: Limits) -> int:
    """How many sessions the window around the announcement still lasts; 0 outside it.

    The window is the announcement's own session and `earnings_sessions` before it; an estimated date widens
    it by `earnings_margin` on each side. Whether it comes before the open or after the close is not asked.
    """
    if earnings.session is None:
        return 0
    margin = _margin(earnings, limits)
    ahead = sessions_between(entry_session, earnings.session)
    return ahead + margin + 1 if -margin <= ahead <= limits.earnings_sessions + margin else 0


def held_into_earnings(
    earnings: EarningsDate, session: date, limits: Limits, *, halved: bool = False
) -> HoldAction:
    """What the policy does at the close of `session` with a position held then.

    The last close before the announcement can be known is the one of the session before it, earlier by the
    margin when the date is an estimate; a position still there afterwards, inside the window, is acted on as
    late as that. `halved` says that it was halved for this announcement already. Without a date it is kept.
    """
    if earnings.session is None or limits.earnings_hold is EarningsHold.HOLD:
        return HoldAction.KEEP
    margin = _margin(earnings, limits)
    ahead = sessions_between(session, earnings.session)
    if not -margin <= ahead <= 1 + margin:
        return HoldAction.KEEP
    if limits.earnings_hold is EarningsHold.EXIT_BEFORE:
        return HoldAction.EXIT
    return HoldAction.KEEP if halved else HoldAction.HALVE


def halved_for(earnings: EarningsDate, sold: date | None) -> bool:
    """Whether a part sold on the session `sold` was sold for this announcement and not for an earlier one."""
    if sold is None or earnings.session is None:
        return False
    return abs(sessions_between(sold, earnings.session)) <= SAME_ANNOUNCEMENT


def _margin(earnings: EarningsDate, limits: Limits) -> int:
    return limits.earnings_margin if earnings.status is EarningsStatus.ESTIMATED else 0
