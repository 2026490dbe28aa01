"""What the limits remember of a closed trade."""

from dataclasses import dataclass
from datetime import date

from storage.records import ExitReason


@dataclass(frozen=True, kw_only=True)
class ClosedTrade:
    """A closed trade; `r` is its result net of costs, in R."""

    symbol: str
    entry_session: date
    exit_session: date
    reason: ExitReason
    r: float
