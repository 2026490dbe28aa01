"""What the desk does at night: the queue forgets finished jobs, applied changes are measured again."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import psycopg

from agents.patterns import measured
from app.runtime.step import Step, StepResult
from storage.memory.adjustments import APPLIED
from storage.queue import forget_finished

MEASURED_FOR = timedelta(days=60)  # after a change, and as long before it
MOST_CHANGES = 100


async def tidy_up(step: Step) -> StepResult:
    """Forget what is done with, and say what applied changes have come to so far."""
    pooled = await (await step.database.connection()).get_raw_connection()
    connection = cast("psycopg.AsyncConnection[object]", pooled.driver_connection)
    jobs = await forget_finished(connection)
    changes = await _measure_changes(step)
    said = f"{jobs} finished jobs forgotten" + (f", {changes} changes measured" if changes else "")
    return StepResult(said, {"jobs": jobs, "measured": changes})


async def _measure_changes(step: Step) -> int:
    """Compare the trades and closes before and after each applied change, until its time is up."""
    count = 0
    for change in await step.memory.adjustments(status=APPLIED, most=MOST_CHANGES):
        since = change.effective_at
        if since is None or not since <= step.now <= since + MEASURED_FOR:
            continue
        before = await step.memory.span(since - MEASURED_FOR, since)
        after = await step.memory.span(since, step.now)
        await step.memory.store_adjustment_outcome(change.id, measured(before, after), now=step.now)
        count += 1
    return count
