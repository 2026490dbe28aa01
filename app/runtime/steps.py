"""What is done in each slot. A slot without a step here is one whose need no desk can meet yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps

from app.runtime import actions, evening, housekeeping, learn, looks, morning, settle
from app.runtime.step import Step, StepResult
from storage.records import Slot

Work = Callable[[Step], Awaitable[StepResult]]


def at_the_broker(work: Work) -> Work:
    """Of all that deal with the broker one at a time does: a step, another worker's, the leader's watch."""

    @wraps(work)
    async def alone(step: Step) -> StepResult:
        await step.ledger.hold_account()
        return await work(step)

    return alone


STEPS: Mapping[Slot, Work] = {
    Slot.CORPORATE_ACTIONS: at_the_broker(actions.corporate_actions),
    Slot.NEWS: looks.read_news,
    Slot.RECHECK: at_the_broker(looks.recheck),
    Slot.CUTOFF: at_the_broker(morning.cutoff),
    Slot.OPEN: at_the_broker(morning.open_session),
    Slot.MARK_NOON: at_the_broker(looks.mark),
    Slot.MARK_LATE: at_the_broker(looks.mark),
    Slot.SETTLE: at_the_broker(settle.settle),
    Slot.REGIME: at_the_broker(evening.read_regime),
    Slot.SCREEN: evening.screen_universe,
    Slot.DELIBERATE: evening.deliberate,
    Slot.DIGEST: evening.digest,
    Slot.SETTLE_EVENING: at_the_broker(settle.settle_evening),
    Slot.LEARN: learn.learn,
    Slot.HOUSEKEEPING: housekeeping.tidy_up,
    Slot.SETTLE_MORNING: settle.settle_late,
}
