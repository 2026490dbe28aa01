"""What a replay is asked for, apart from what carries it out: to read an order costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from storage.records import VerdictMode


@dataclass(frozen=True, kw_only=True)
class ReplayOrder:
    """A replay as asked for on the command line."""

    history: str
    first: date | None
    last: date | None
    desk: str | None
    verdicts: VerdictMode
    speed: float | None
    ask_timeout_s: float
    fresh: bool
    loop: bool = False


# What `quorum` alone opens: the bundled history, from where the first proposals are a few sessions away.
FIRST_DESK = ReplayOrder(
    history="sample",
    first=date(2007, 1, 3),
    last=None,
    desk="history",
    verdicts=VerdictMode.ASK,
    speed=0.5,
    ask_timeout_s=600.0,
    fresh=False,
)
