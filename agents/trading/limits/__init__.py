"""Hard limits and sizing. No agent and no model can widen anything here: they may only make a trade smaller.

Every limit binds entries alone, by the name used in denials (see checks.py); no exit asks for one. Money is
Decimal throughout; fractions appear only in the checks shown to people and in settings. Nothing here does any
I/O: the account comes as a BookView, the symbol as a Candidate, both with what is unknown taken at its worst.
"""

from agents.trading.limits.book import BookView, Candidate
from agents.trading.limits.checks import risky_reasons
from agents.trading.limits.config import EarningsHold, Limits, MarginMode, risk_policy
from agents.trading.limits.earnings import (
    EarningsDate,
    EarningsStatus,
    HoldAction,
    earnings_of,
    halved_for,
    held_into_earnings,
)
from agents.trading.limits.force import limits_in_force
from agents.trading.limits.kelly import KellyCap, TrackRecord, kelly_cap, record_of
from agents.trading.limits.ladder import (
    AT_THE_TOP,
    EquityPoint,
    LadderState,
    Rearm,
    ladder_state,
    time_weighted,
)
from agents.trading.limits.portfolio import Correlations, Exposure, adjusted_heat
from agents.trading.limits.protections import Lock, Protections, locks_on
from agents.trading.limits.settlement import CashFlow, CashPosition, cash_on, payment, proceeds
from agents.trading.limits.sizing import Denied, Sized, highest_that_pays, recheck_entry, size_entry
from agents.trading.limits.trades import ClosedTrade

__all__ = [
    "AT_THE_TOP",
    "BookView",
    "Candidate",
    "CashFlow",
    "CashPosition",
    "ClosedTrade",
    "Correlations",
    "Denied",
    "EarningsDate",
    "EarningsHold",
    "EarningsStatus",
    "EquityPoint",
    "Exposure",
    "HoldAction",
    "KellyCap",
    "LadderState",
    "Limits",
    "Lock",
    "MarginMode",
    "Protections",
    "Rearm",
    "Sized",
    "TrackRecord",
    "adjusted_heat",
    "cash_on",
    "earnings_of",
    "halved_for",
    "held_into_earnings",
    "highest_that_pays",
    "kelly_cap",
    "ladder_state",
    "limits_in_force",
    "locks_on",
    "payment",
    "proceeds",
    "recheck_entry",
    "record_of",
    "risk_policy",
    "risky_reasons",
    "size_entry",
    "time_weighted",
]
