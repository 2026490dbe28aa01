"""What follows a fault: another attempt after a wait, or none and a rest for all who would ask the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agents.llm.outcome import Fault, Why
from storage.spending import ParkScope

FIRST_WAIT_S = 0.5
BUSY_PARK_S = 120.0  # attempts used up: ask again soon
REFUSED_PARK_S = 3_600.0  # a key, an account or a name that must be put right: look again each hour
LONGEST_PARK_S = 86_400.0  # whatever a server says, it is asked again tomorrow

_REFUSED = frozenset({Why.SPEND_LIMIT, Why.KEY_REFUSED, Why.NO_MODEL})


@dataclass(frozen=True)
class Again:
    wait_s: float


@dataclass(frozen=True)
class GiveUp:
    """`park_s` is how long nobody in `scope` asks again; None where only this request was wrong."""

    park_s: float | None
    scope: ParkScope | None


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """At most `tries` attempts, `max_wait_s` seconds between two; `jitter` gives numbers in [0, 1)."""

    tries: int
    max_wait_s: float
    jitter: Callable[[], float]

    def after(self, fault: Fault, *, tried: int, left_s: float) -> Again | GiveUp:
        """What to do after `tried` attempts with `left_s` seconds of the question's time left.

        The wait doubles from half a second, times 0.75 to 1; what the server asks for is waited for in full.
        """
        wait = fault.retry_after_s
        if wait is None:
            wait = FIRST_WAIT_S * 2 ** (tried - 1) * (0.75 + 0.25 * self.jitter())
        if fault.again and tried < self.tries and wait <= self.max_wait_s and wait < left_s:
            return Again(wait)
        if fault.scope is None:
            return GiveUp(None, None)
        rest = REFUSED_PARK_S if fault.why in _REFUSED else BUSY_PARK_S
        return GiveUp(min(max(fault.retry_after_s or 0.0, rest), LONGEST_PARK_S), fault.scope)
