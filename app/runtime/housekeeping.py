"""What the desk does at night: it forgets finished jobs and overtaken answers."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import psycopg

from app.runtime.step import Step, StepResult
from storage.queue import forget_finished
from storage.vendor_cache import forget_overtaken

OVERTAKEN = timedelta(days=7)  # after its time, an answer about one day serves nobody


async def tidy_up(step: Step) -> StepResult:
    """Forget what is done with."""
    pooled = await (await step.database.connection()).get_raw_connection()
    connection = cast("psycopg.AsyncConnection[object]", pooled.driver_connection)
    jobs = await forget_finished(connection)
    answers = await forget_overtaken(await step.database.connection(), step.now - OVERTAKEN)
    told = [
        f"{jobs} finished jobs forgotten",
        f"{answers} overtaken answers forgotten" if answers else "",
    ]
    return StepResult(", ".join(filter(None, told)), {"jobs": jobs, "answers": answers})
