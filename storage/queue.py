"""The queue of jobs: procrastinate in a PostgreSQL schema of its own. A job names a run and its queue."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException

from storage.connecting import KEEPALIVE, SERVER_KEEPALIVE
from storage.records import Queue

RUN_SLOT = "run_slot"  # the one task there is: carry out a row of `runs`
SEARCH_PATH = f"-c search_path=public,procrastinate {SERVER_KEEPALIVE}"
DEAD_AFTER_S = 10.0  # a worker that has not said for so long that it lives has lost its jobs
FINISHED_KEPT_DAYS = 7


def open_queue(conninfo: str, application: str = "quorum queue") -> App:
    """The queue of one desk, not yet connected; `async with app.open_async()` connects it."""
    connector = PsycopgConnector(
        conninfo=conninfo,
        kwargs={
            "application_name": application,
            "options": SEARCH_PATH,
            "connect_timeout": 10,
            **KEEPALIVE,
        },
        min_size=1,
        max_size=2,
        timeout=10,
    )
    return App(connector=connector)


async def defer_run(
    queue_app: App,
    connection: psycopg.AsyncConnection[tuple[object, ...]],
    run_id: UUID,
    queue: Queue,
    lane: str,
) -> None:
    """Queue a run in the transaction of `connection`; jobs of a lane are taken one by one, in this order."""
    deferrer = queue_app.configure_task(RUN_SLOT, queue=queue, lock=lane, connection=connection)
    try:
        await deferrer.defer_async(run_id=str(run_id))
    except ConnectorException as wrapped:
        # On our connection it is our error: whoever leads must see that the connection is gone.
        raise wrapped.__cause__ or wrapped from wrapped


async def rescue(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> int:
    """Give back the jobs of workers that died; how many. In the transaction of `connection`.

    What a dead or frozen worker still holds in the database is taken from it. What a living one has lost is
    its own to give back: `give_back_unheard`.
    """
    await connection.execute(_TAKE_FROM_THE_DEAD, [DEAD_AFTER_S])
    return (await connection.execute(_GIVE_BACK, [DEAD_AFTER_S])).rowcount


async def give_back_unheard(queue_app: App, ended: Mapping[int, int]) -> int:
    """Give back jobs that ended without the queue having heard of it; how many.

    `ended` are ids of jobs and the attempts that were counted when they were taken: the queue counts one more
    with each end it hears of. A job whose run is over is taken once more, and the run found done.
    """
    rows = await queue_app.connector.execute_query_all_async(
        _UNHEARD, ids=list(ended), attempts=list(ended.values())
    )
    return len(rows)


async def forget_finished(connection: psycopg.AsyncConnection[object]) -> int:
    """Drop what the queue remembers of jobs long done, and workers long gone; how many jobs."""
    await connection.execute("set local search_path = public, procrastinate")  # its triggers want it
    await connection.execute("delete from workers where seen_at < now() - interval '1 day'")
    cursor = await connection.execute(
        "delete from procrastinate_jobs j where j.status not in ('todo', 'doing')"
        " and not exists (select 1 from procrastinate_events e"
        " where e.job_id = j.id and e.at > now() - make_interval(days => %s))",
        [FINISHED_KEPT_DAYS],
    )
    return cursor.rowcount


_TAKE_FROM_THE_DEAD = """
    select pg_terminate_backend(a.pid)
      from procrastinate_jobs j
      left join procrastinate_workers w on w.id = j.worker_id
      join runs r on r.id::text = j.args ->> 'run_id'
      join pg_stat_activity a on a.application_name like '%% ' || replace(r.worker, ':', ' ') || ' %%'
     where j.status = 'doing' and r.worker <> '' and a.datname = current_database()
       and (w.id is null or w.last_heartbeat < now() - make_interval(secs => %s))
"""

_GIVE_BACK = """
    select procrastinate_retry_job_v2(lost.id, now(), null, null, null)
      from (select j.id from procrastinate_jobs j
              left join procrastinate_workers w on w.id = j.worker_id
             where j.status = 'doing'
               and (w.id is null or w.last_heartbeat < now() - make_interval(secs => %s))
               for update of j skip locked) lost
"""

_UNHEARD = """
    select procrastinate_retry_job_v2(lost.id, now(), null, null, null)
      from (select j.id from procrastinate_jobs j
              join unnest(%(ids)s::bigint[], %(attempts)s::int[]) as ended (id, attempts)
                on ended.id = j.id and ended.attempts = j.attempts
             where j.status = 'doing'
               for update of j skip locked) lost
"""
