"""What the desk throws away at night: the queue's memory of finished jobs, workers long gone."""

from __future__ import annotations

from typing import cast

import psycopg

from app.runtime.step import Step, StepResult
from storage.queue import forget_finished


async def tidy_up(step: Step) -> StepResult:
    pooled = await (await step.database.connection()).get_raw_connection()
    connection = cast("psycopg.AsyncConnection[object]", pooled.driver_connection)
    jobs = await forget_finished(connection)
    return StepResult(f"{jobs} finished jobs forgotten", {"jobs": jobs})
