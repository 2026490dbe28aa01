"""The console's clock, injected so that tests can freeze it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for what is shown, monotonic time for what is measured."""

    def now(self) -> datetime:
        """The instant, in UTC with its zone."""

    def monotonic(self) -> float:
        """Seconds that never jump."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
