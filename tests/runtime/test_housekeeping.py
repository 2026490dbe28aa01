"""At night the queue forgets what is long done, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from app.runtime.slots import due_at
from storage.records import RunState, Slot
from tests.runtime.stage import FIRST, SECOND, Stage, with_parts
from tests.storage.desk_builder import execute

OLD = "now() - interval '8 days'"


async def test_jobs_and_workers_long_done_are_forgotten(stage: Stage) -> None:
    await asyncio.to_thread(_a_queue_of_all_ages, stage)
    stage.clock.shown = due_at(FIRST, Slot.HOUSEKEEPING)
    run = await stage.play(FIRST, Slot.HOUSEKEEPING)
    assert run.state is RunState.DONE
    assert run.summary == "1 finished jobs forgotten"
    assert await stage.rows("select task_name from procrastinate.procrastinate_jobs order by 1") == [
        ("done just now",),
        ("old and waiting",),
    ]
    assert await stage.rows("select host from workers") == [("here",)]


async def test_the_last_night_of_a_week_writes_its_report_where_it_can(stage: Stage, tmp_path: Path) -> None:
    await stage.play(FIRST, Slot.SETTLE)  # a Friday
    stage.clock.shown = due_at(FIRST, Slot.HOUSEKEEPING)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    for home, said in (
        (blocked, "the weekly report could not be written"),
        (tmp_path, "the week is told in"),
    ):
        await stage.do("delete from runs where slot = 'housekeeping'")
        run_id = await stage.queue(FIRST, Slot.HOUSEKEEPING)
        await stage.executor(bench=with_parts(stage.bench, home=home)).carry_out(run_id)
        run = await stage.run(run_id)
        assert run.state is RunState.DONE and said in run.summary
    written = list((tmp_path / "reports").iterdir())
    assert len(written) == 1 and written[0].name.endswith("-2007-01-01.html")
    run = await stage.play(SECOND, Slot.SETTLE, Slot.HOUSEKEEPING)  # a Monday
    assert "week" not in run.summary


async def test_answers_about_a_day_long_past_are_forgotten_and_last_good_ones_are_kept(stage: Stage) -> None:
    stage.clock.shown = due_at(FIRST, Slot.HOUSEKEEPING)
    for endpoint, params, days in (
        ("historical-price-eod/full", "from=2026-01-05", 8),
        ("historical-price-eod/full", "from=2026-03-05", 6),
        ("sector-performance-snapshot", "date=2026-01-05", 8),
        ("quote", "", 400),
        ("income-statement", "limit=5&period=annual", 400),
    ):
        expired = stage.clock.shown - timedelta(days=days)
        execute(
            stage.conninfo,
            "insert into vendor_cache (endpoint, symbol, params, body, fetched_at, expires_at)"
            " values (%s, 'KO', %s, '[]', %s, %s)",
            endpoint,
            params,
            expired - timedelta(days=1),
            expired,
        )
    run = await stage.play(FIRST, Slot.HOUSEKEEPING)
    assert run.state is RunState.DONE and "2 overtaken answers forgotten" in run.summary
    left = await stage.rows("select endpoint, params from vendor_cache order by 1")
    assert left == [
        ("historical-price-eod/full", "from=2026-03-05"),
        ("income-statement", "limit=5&period=annual"),
        ("quote", ""),
    ]


def _a_queue_of_all_ages(stage: Stage) -> None:
    execute(
        stage.conninfo,
        "set search_path = public, procrastinate;"
        "insert into procrastinate_jobs (queue_name, task_name, status) values"
        " ('io', 'done long ago', 'succeeded'), ('io', 'done just now', 'succeeded'),"
        " ('io', 'old and waiting', 'todo');"
        "delete from procrastinate_events;"
        f"insert into procrastinate_events (job_id, type, at) select id, 'deferred', {OLD}"
        " from procrastinate_jobs where task_name <> 'done just now';"
        "insert into procrastinate_events (job_id, type, at) select id, 'succeeded', now()"
        " from procrastinate_jobs where task_name = 'done just now';"
        "insert into workers (id, host, pid, queues, started_at, seen_at) values"
        f" (gen_random_uuid(), 'gone', 1, '{{io}}', {OLD}, {OLD}),"
        " (gen_random_uuid(), 'here', 2, '{io}', now(), now())",
    )
