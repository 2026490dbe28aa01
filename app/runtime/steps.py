"""What is done in each slot. A slot without a step here is one whose need no desk can meet yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from app.runtime import actions, evening, housekeeping, learn, looks, morning, settle
from app.runtime.step import Step, StepResult
from storage.records import Slot

STEPS: Mapping[Slot, Callable[[Step], Awaitable[StepResult]]] = {
    Slot.CORPORATE_ACTIONS: actions.corporate_actions,
    Slot.NEWS: looks.read_news,
    Slot.RECHECK: looks.recheck,
    Slot.CUTOFF: morning.cutoff,
    Slot.OPEN: morning.open_session,
    Slot.MARK_NOON: looks.mark,
    Slot.MARK_LATE: looks.mark,
    Slot.SETTLE: settle.settle,
    Slot.REGIME: evening.read_regime,
    Slot.SCREEN: evening.screen_universe,
    Slot.DELIBERATE: evening.deliberate,
    Slot.DIGEST: evening.digest,
    Slot.SETTLE_EVENING: settle.settle_evening,
    Slot.LEARN: learn.learn,
    Slot.HOUSEKEEPING: housekeeping.tidy_up,
    Slot.SETTLE_MORNING: settle.settle_late,
}
