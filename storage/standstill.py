"""What holds all entries back: a halt, or that nobody is there. Records alone; the console imports them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

# As a funnel and an order name what denied them.
HALTED = "halt"
AWAY = "away"


@dataclass(frozen=True, kw_only=True)
class HaltRow:
    """A halt that stands: by whom, since when (wall clock), why."""

    id: UUID
    at: datetime
    halted_by: str
    halted_from: str
    reason: str

    @property
    def words(self) -> str:
        return f"halted by {self.halted_by} at {self.at.astimezone(UTC):%Y-%m-%d %H:%M}Z: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class MissedRow:
    """What was not traded: unanswered in the last week, and of the last month's rejections what is known.

    R is what the desk's own rules would have made of it, after costs; `running` have not ended yet.
    """

    expired: int
    running: int
    expired_r: float
    rejected: int
    rejected_r: float

    @property
    def words(self) -> str:
        """In a strip or a digest; nothing where nothing was missed."""
        if not self.expired:
            return ""
        if self.running == self.expired:
            return f"{self.expired} missed this week, still running"
        still = f", {self.running} still running" if self.running else ""
        return f"{self.expired} missed this week = {self.expired_r:+.1f}R{still}"


@dataclass(frozen=True, kw_only=True)
class AbsenceRow:
    """The operator is away: since when and until when by the desk's clock, and why."""

    id: UUID
    since: datetime
    until: datetime
    reason: str
    told_by: str

    @property
    def words(self) -> str:
        return f"{self.told_by} is away until {self.until.astimezone(UTC):%Y-%m-%d %H:%M}Z: {self.reason}"
