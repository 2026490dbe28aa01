"""The injected clock: nothing in the desk asks the machine for the time but `SystemClock`."""

from abc import ABC, abstractmethod
from datetime import UTC, datetime


class Clock(ABC):
    """Where the desk reads the time."""

    @abstractmethod
    def now(self) -> datetime:
        """The present instant, timezone-aware, in UTC."""


class SystemClock(Clock):
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SimulatedClock(Clock):
    """A clock that stands still until it is set: replays and tests."""

    def __init__(self, start: datetime) -> None:
        self._now = _in_utc(start)

    def now(self) -> datetime:
        return self._now

    def set(self, instant: datetime) -> None:
        """Move to `instant`; ValueError when it is naive or before now: simulated time never runs back."""
        moved = _in_utc(instant)
        if moved < self._now:
            raise ValueError(f"expected {self._now.isoformat()} or later, was {moved.isoformat()}")
        self._now = moved


def _in_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"expected a timezone-aware instant, was {instant.isoformat()}")
    return instant.astimezone(UTC)
