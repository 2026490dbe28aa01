"""What the leader does when a slot is due: a run and its job, in one transaction only a leader can commit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date, datetime
from itertools import groupby
from uuid import UUID

from procrastinate import App

from agents.market.calendar import next_session
from agents.market.clock import Clock
from app.runtime.plan import Planned, due_slots, next_due
from app.runtime.slots import SLOTS, due_at, owner_of, slots_of
from storage.leadership import Connection, Term, record
from storage.queue import defer_run, rescue
from storage.records import OperationKind, RunState, Slot, uuid7

AGAIN_AFTER_S = 900.0  # a failed run of a slot that must not stay undone is tried again after this
MUST = tuple(slot for slot, rule in SLOTS.items() if rule.until is None)
SLACK_S = 2.0  # of the machine's time: what queueing may take before an accelerated clock calls it a delay


class Dispatcher:
    """Turns what is due into runs and jobs, once each, whoever leads."""

    def __init__(
        self,
        *,
        term: Term,
        queue_app: App,
        clock: Clock,
        founded: datetime,
        first_session: date,
        lacks: Mapping[Slot, str],
        who: str,
    ) -> None:
        """`founded` by the desk's clock: what was due before is not missed. `lacks`: what will be skipped."""
        self._term = term
        self._queue_app = queue_app
        self._clock = clock
        self._founded = founded
        self._first = first_session
        self._lacks = lacks
        self._who = who
        self._known: set[tuple[date, Slot]] | None = None
        self._turn = asyncio.Lock()

    async def tick(self) -> None:
        """See to everything that is due and has no run yet. Raises SteppedDown, psycopg.Error."""
        async with self._turn:
            if self._known is None:
                self._known = await self._runs()
                self._forget()
                await self._post_schedule()
            planned = list(
                due_slots(
                    self._clock.now(),
                    since=self._founded,
                    known=self._known,
                    first=self._first,
                    slack_s=SLACK_S * self._clock.speed if self._clock.speed > 1 else 0.0,
                )
            )
            # One transaction a session: after a long absence the heart must beat between them.
            for _, of_session in groupby(planned, key=lambda slot: slot.session):
                await self._queue(list(of_session))
            if planned:
                self._forget()
                await self._report(planned)
                await self._post_schedule()

    async def run_asked(self) -> None:
        """Queue every run that waits and has no job: a human asked for it, or its job was lost."""
        async with self._term.write() as connection:
            cursor = await connection.execute(_WITHOUT_JOB, [self._term.epoch])
            for run_id, slot in await cursor.fetchall():
                await self._defer(connection, UUID(str(run_id)), Slot(str(slot)))

    async def rescue(self) -> None:
        """Give the jobs of dead workers to living ones, and what must not stay undone another chance."""
        async with self._term.write() as connection:
            if count := await rescue(connection):
                text = f"{count} job{'s' if count > 1 else ''} of a worker that died, given to another"
                await record(connection, OperationKind.RESCUED, self._who, text)
            await connection.execute(_NOT_TO_STAY_UNDONE, [[slot.value for slot in MUST], AGAIN_AFTER_S])
        await self.run_asked()

    async def _queue(self, planned: list[Planned]) -> None:
        async with self._term.write() as connection:
            for slot in planned:
                run_id = await self._insert(connection, slot)
                if run_id is not None and not slot.too_late:
                    await self._defer(connection, run_id, slot.slot)
            await connection.execute("select pg_notify('quorum', 'run')")
        assert self._known is not None
        self._known |= {(slot.session, slot.slot) for slot in planned}

    async def _insert(self, connection: Connection, planned: Planned) -> UUID | None:
        """The id of the new run; None where a former leader was faster."""
        skipped = bool(planned.too_late)
        cursor = await connection.execute(
            _INSERT,
            {
                "id": uuid7(),
                "agent": owner_of(planned.slot),
                "session": planned.session,
                "slot": planned.slot,
                "state": RunState.SKIPPED if skipped else RunState.QUEUED,
                "summary": f"missed: {planned.too_late}" if skipped else "",
                "due": planned.due,
                "late_s": planned.late_s,
                "epoch": self._term.epoch,
                "skipped": skipped,
            },
        )
        row = await cursor.fetchone()
        return UUID(str(row[0])) if row else None

    async def _defer(self, connection: Connection, run_id: UUID, slot: Slot) -> None:
        rule = SLOTS[slot]
        await defer_run(self._queue_app, connection, run_id, rule.queue, rule.lane)

    async def _runs(self) -> set[tuple[date, Slot]]:
        async with self._term.write() as connection:
            cursor = await connection.execute("select session, slot from runs")
            return {(row[0], Slot(str(row[1]))) for row in await cursor.fetchall()}  # type: ignore[misc]

    def _forget(self) -> None:
        """Sessions that are through need not be looked at again."""
        assert self._known is not None
        while all(
            (self._first, slot) in self._known or due_at(self._first, slot) < self._founded
            for slot in slots_of(self._first)
        ):
            self._known -= {(self._first, slot) for slot in Slot}
            self._first = next_session(self._first)

    async def _report(self, planned: list[Planned]) -> None:
        """After an absence: one operation that sums up what was missed."""
        late = [slot for slot in planned if slot.late and not slot.too_late]
        skipped = [slot for slot in planned if slot.too_late]
        if late or skipped:
            first = min(slot.due for slot in (*late, *skipped))
            text = (
                f"since {first:%Y-%m-%d %H:%M}Z: {len(late)} slots run late, {len(skipped)} too late, skipped"
            )
            await self._term.note(OperationKind.CAUGHT_UP, text)

    async def _post_schedule(self) -> None:
        """Write down when each slot is due next, for whoever looks at the desk."""
        now = self._clock.now()
        async with self._term.write() as connection:
            for slot, rule in SLOTS.items():
                session, due = next_due(slot, now)
                await connection.execute(
                    _POST, [slot, list(rule.agents), session, due, self._lacks.get(slot, "")]
                )
            await connection.execute("select pg_notify('quorum', 'desk')")


_INSERT = """
    insert into runs (id, agent, session, slot, state, summary, result, desk_time, late_s, attempts, epoch,
                      queued_at, finished_at, seconds)
    values (%(id)s, %(agent)s, %(session)s, %(slot)s, %(state)s, %(summary)s, '{}', %(due)s, %(late_s)s, 0,
            %(epoch)s, clock_timestamp(), case when %(skipped)s then clock_timestamp() end,
            case when %(skipped)s then 0 end)
        on conflict (agent, session, slot) do nothing
    returning id
"""

_WITHOUT_JOB = """
    update runs r set state = 'queued', queued_at = clock_timestamp(), epoch = %s
     where state in ('queued', 'running')
       and not exists (select 1 from procrastinate_jobs j
                        where j.status in ('todo', 'doing') and j.args ->> 'run_id' = r.id::text)
    returning id, slot
"""

_NOT_TO_STAY_UNDONE = """
    update runs set state = 'queued', failures = 0, finished_at = null, seconds = null, queued_at = null
     where state = 'failed' and slot = any(%s)
       and finished_at < clock_timestamp() - make_interval(secs => %s)
"""

_POST = """
    insert into schedule (slot, agents, session, due_at, lacks) values (%s, %s, %s, %s, %s)
        on conflict (slot) do update
       set agents = excluded.agents, session = excluded.session, due_at = excluded.due_at,
           lacks = excluded.lacks
"""
