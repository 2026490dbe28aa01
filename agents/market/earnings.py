"""When companies report: what any source of such dates must be able to say."""

from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """A company reports on `session`, before the open or after the close; `confirmed` by itself."""

    session: date
    confirmed: bool


class EarningsCalendar(Protocol):
    """The dates a desk's source knows."""

    def of(self, symbol: str) -> Announcement | None:
        """The announcement nearest to today, past or to come; None where the source knows of none."""
