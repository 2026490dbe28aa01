"""The injected clock: nothing in the desk asks the machine for the time but `SystemClock`."""

from abc import ABC, abstractmethod
from datetime import UTC, datetime


class Clock(ABC):
    """Where the desk reads the time."""

    speed: float = 1.0  # times the machine's clock

    @abstractmethod
    def now(self) -> datetime:
        """The present instant, timezone-aware, in UTC."""

    @abstractmethod
    def real(self, shown: datetime) -> datetime:
        """The machine's instant at which this clock shows `shown`."""


class SystemClock(Clock):
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def real(self, shown: datetime) -> datetime:
        return shown


class ScaledClock(Clock):
    """A clock that showed `start` when the machine's showed `anchor` and runs `speed` times as fast.

    Every process that is told the three numbers reads the same time, and a restart loses none.
    """

    def __init__(self, start: datetime, anchor: datetime, speed: float, machine: Clock | None = None) -> None:
        if speed <= 0:
            raise ValueError(f"expected a speed above 0, was {speed}")
        self.speed = speed
        self._start = _in_utc(start)
        self._anchor = _in_utc(anchor)
        self._machine = machine or SystemClock()

    def now(self) -> datetime:
        return self._start + (self._machine.now() - self._anchor) * self.speed

    def real(self, shown: datetime) -> datetime:
        return self._anchor + (_in_utc(shown) - self._start) / self.speed


def _in_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"expected a timezone-aware instant, was {instant.isoformat()}")
    return instant.astimezone(UTC)
