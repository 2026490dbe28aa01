"""What the desk does at night: it forgets finished jobs and overtaken answers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
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
        f"the week is told in {report}" if report else "",
    ]
    return StepResult(", ".join(filter(None, told)), {"jobs": jobs, "answers": answers})


async def _week_told(step: Step) -> Path | None:
    """Write the weekly report after the last session of a week, on the night to Saturday at the latest."""
    if monday_of(next_session(step.session)) == monday_of(step.session):
        return None
    week = await beside(step, lambda connection: read_week(connection, step.session))
    path = report_path(step.parts.home, week.desk, week.monday)
    await asyncio.to_thread(write_report, path, week)
    return path
