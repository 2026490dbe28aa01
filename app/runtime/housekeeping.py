"""What the desk does at night: it forgets finished jobs and overtaken answers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import cast

import psycopg

from agents.market.calendar import next_session
from app.runtime.beside import beside
from app.runtime.step import Step, StepResult
from app.runtime.weekly import monday_of, read_week
from app.runtime.weekly_file import report_path, write_report
from storage.queue import forget_finished
from storage.vendor_cache import forget_overtaken

OVERTAKEN = timedelta(days=7)  # after its time, an answer about one day serves nobody


async def tidy_up(step: Step) -> StepResult:
    """Forget what is done with."""
    pooled = await (await step.database.connection()).get_raw_connection()
    connection = cast("psycopg.AsyncConnection[object]", pooled.driver_connection)
    jobs = await forget_finished(connection)
    answers = await forget_overtaken(await step.database.connection(), step.now - OVERTAKEN)
    report = await _week_told(step)
    told = [
        f"{jobs} finished jobs forgotten",
        f"{answers} overtaken answers forgotten" if answers else "",
        report,
    ]
    return StepResult(", ".join(filter(None, told)), {"jobs": jobs, "answers": answers})


async def _week_told(step: Step) -> str:
    """Write the weekly report after the last session of a week that settled anything, and say where it is."""
    if monday_of(next_session(step.session)) == monday_of(step.session):
        return ""
    week = await beside(step, lambda connection: read_week(connection, step.session))
    if not week.sessions:
        return ""
    path = report_path(step.parts.home, week.desk, week.monday)
    try:
        await asyncio.to_thread(write_report, path, week)
    except OSError as fault:  # the rest of the night is not given up for it: `quorum report` writes it again
        return f"the weekly report could not be written: {fault}"
    return f"the week is told in {path}"
