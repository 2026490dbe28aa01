"""The ledger of calls to the market-data vendor: counted and committed before each is made.

Whoever admits or settles a call holds the row of the key, so all processes take turns; the windows move by
the database's clock. A crash loses nothing: a call that was admitted and never settled stays counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.calls import CallEnd, Priority, QuotaRefused, VendorCall
from storage.plain import shortened
from storage.quota_gates import check_entitled, make_probe, pass_blocks
from storage.quota_lessons import SettledCall, learn
from storage.quota_rules import (
    BANDWIDTH_WINDOW,
    DATABASE_NOW,
    DESK_NOW,
    WINDOW,
    QuotaRules,
    key_fingerprint,
)
from storage.records import uuid7

NOTE_KEPT = 200  # characters of the vendor's own words
RESERVED_FOR = timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """Calls a job holds until it releases them or they expire; `calls` may be fewer than it asked for."""

    id: UUID
    job: str
    priority: Priority
    calls: int
    expires_at: datetime


@dataclass(frozen=True)
class _State:
    """A key's window as one priority of one job sees it."""

    rules: QuotaRules
    now: datetime
    used: int
    received_bytes: int
    held: int  # by other jobs of this priority or a higher one, exits aside
    held_for_exits: int  # by other jobs
    held_until: datetime | None  # when the first of those reservations expires

    def room(self, priority: Priority) -> int:
        """The calls it may make now. What exits have reserved is taken from their reserve first."""
        if priority is Priority.EXITS:
            return self.rules.daily_calls - self.used - self.held_for_exits
        kept = max(self.rules.exits_reserve, self.held_for_exits)
        return self.rules.daily_calls - kept - self.used - self.held


class QuotaLedger:
    """A CallLedger of one key of one desk, with the reservations of its jobs.

    `accelerated`: count by the desk's own clock. Only for a rehearsal against a stand-in: the real vendor's
    day does not run faster. Every method raises sqlalchemy.exc.OperationalError while the server is away.
    """

    def __init__(
        self, engine: AsyncEngine, key: str, rules: QuotaRules, *, accelerated: bool = False
    ) -> None:
        self._engine = engine
        self._rules = rules
        self._clock = DESK_NOW if accelerated else DATABASE_NOW
        self.fingerprint = key_fingerprint(key)

    async def put_in_force(self) -> None:
        """Make this the key in use, and its rules those of every process; for whoever leads the desk."""
        async with self._engine.begin() as connection:
            await connection.execute(text(_KEY + _KEY_ANEW), self._key_values(await self._now(connection)))

    async def admit(self, call: VendorCall) -> UUID:
        """Count the call. Raises QuotaRefused or NotEntitled; then it must not be made."""
        async with self._engine.begin() as connection:
            rules = await self._hold_key(connection)
            state = await self._state(connection, rules, call.priority, call.job)
            await check_entitled(connection, self.fingerprint, call, state.now)
            probed = await pass_blocks(connection, self.fingerprint, state.now)
            if state.room(call.priority) < 1:
                raise await self._no_room(connection, state, call.priority)
            if state.received_bytes >= rules.bytes_for(call.priority):
                raise await self._no_bytes(connection, state, call.priority)
            ticket = uuid7()
            await connection.execute(
                text(_ADMIT),
                {
                    "id": ticket,
                    "key": self.fingerprint,
                    "endpoint": call.endpoint,
                    "symbol": call.symbol,
                    "priority": int(call.priority),
                    "job": call.job,
                    "now": state.now,
                },
            )
            await make_probe(connection, probed, ticket)
        return ticket

    async def settle(self, ticket: UUID, end: CallEnd) -> None:
        """Write down how an admitted call ended, and what it taught; a second time changes nothing.

        Raises LookupError for a ticket of no call of this key.
        """
        async with self._engine.begin() as connection:
            await self._hold_key(connection)
            now = await self._now(connection)
            values = {
                "id": ticket,
                "key": self.fingerprint,
                "now": now,
                "status": end.status,
                "fault": end.fault,
                "received": end.received_bytes,
                "latency": end.latency_ms,
                "note": shortened(end.note, NOTE_KEPT),
            }
            ended = (await connection.execute(text(_SETTLE), values)).one_or_none()
            if ended is None:
                known = await connection.execute(text(_KNOWN), {"id": ticket, "key": self.fingerprint})
                if known.one_or_none() is None:
                    raise LookupError(f"no call {ticket} was admitted for this key")
                return
            call = SettledCall(
                id=ticket,
                key_fingerprint=self.fingerprint,
                endpoint=ended.endpoint,
                symbol=ended.symbol,
                fault=end.fault,
                note=str(values["note"]),
            )
            await learn(connection, call, now)
            await connection.execute(text("select pg_notify('quorum', 'desk')"))

    async def reserve(
        self, job: str, priority: Priority, calls: int, *, lasts: timedelta = RESERVED_FOR
    ) -> Reservation:
        """Hold calls for a job before it begins, as many of them as there is room for.

        No other job of this priority or a lower one can use them until they are released or expire; a higher
        one can. A job that reserves again, after a crash, replaces what it held. Raises QuotaRefused when
        there is no room at all.
        """
        if calls < 1:
            raise ValueError(f"expected at least one call, was {calls}")
        async with self._engine.begin() as connection:
            rules = await self._hold_key(connection)
            state = await self._state(connection, rules, priority, job)
            await pass_blocks(connection, self.fingerprint, state.now)
            granted = min(calls, state.room(priority))
            if granted < 1:
                raise await self._no_room(connection, state, priority)
            reservation = Reservation(
                id=uuid7(), job=job, priority=priority, calls=granted, expires_at=state.now + lasts
            )
            whose = {"key": self.fingerprint, "job": job, "priority": int(priority), "now": state.now}
            await connection.execute(text(_REPLACE), whose)
            await connection.execute(
                text(_RESERVE),
                {**whose, "id": reservation.id, "calls": granted, "expires_at": reservation.expires_at},
            )
        return reservation

    async def release(self, reservation: Reservation) -> None:
        """Give back what a job has not used; of no effect on what has been released."""
        async with self._engine.begin() as connection:
            await self._hold_key(connection)
            now = await self._now(connection)
            await connection.execute(text(_RELEASE), {"id": reservation.id, "now": now})

    # -- the key's row ---------------------------------------------------------------------------------------

    async def _hold_key(self, connection: AsyncConnection) -> QuotaRules:
        """Wait for this key's turn and keep it to the end of the transaction; the rules in force."""
        for _ in range(2):
            row = (await connection.execute(text(_HOLD), {"key": self.fingerprint})).one_or_none()
            if row is not None:
                return QuotaRules(
                    daily_calls=row.daily_calls,
                    exits_reserve=row.exits_reserve,
                    bandwidth_bytes=row.bandwidth_bytes,
                )
            values = self._key_values(await self._now(connection))
            await connection.execute(text(_KEY + " do nothing"), values)
        raise RuntimeError("the row of the key was removed while it was taken")

    def _key_values(self, now: datetime) -> dict[str, object]:
        return {
            "key": self.fingerprint,
            "daily": self._rules.daily_calls,
            "reserve": self._rules.exits_reserve,
            "bandwidth": self._rules.bandwidth_bytes,
            "now": now,
        }

    async def _now(self, connection: AsyncConnection) -> datetime:
        now = (await connection.execute(text(f"select {self._clock}"))).scalar_one()
        assert isinstance(now, datetime)
        return now

    async def _state(
        self, connection: AsyncConnection, rules: QuotaRules, priority: Priority, job: str
    ) -> _State:
        # The clock is read after the wait for the key, or a call could leave the window before its time.
        values = {
            "now": await self._now(connection),
            "key": self.fingerprint,
            "window": WINDOW,
            "bandwidth_window": BANDWIDTH_WINDOW,
            "priority": int(priority),
            "job": job,
        }
        row = (await connection.execute(text(_STATE), values)).one()
        return _State(rules=rules, now=values["now"], **row._mapping)  # type: ignore[arg-type]

    # -- why there is no room --------------------------------------------------------------------------------

    async def _no_room(self, connection: AsyncConnection, state: _State, priority: Priority) -> QuotaRefused:
        """Why there is no room, and when a call leaves the window or a reservation ends."""
        missing = 1 - state.room(priority)
        values = {"key": self.fingerprint, "since": state.now - WINDOW, "skipped": missing - 1}
        oldest = (await connection.execute(text(_LEAVES), values)).scalar_one_or_none()
        chances = [oldest + WINDOW] if isinstance(oldest, datetime) else []
        chances += [state.held_until] if state.held_until is not None else []
        parts = [f"{state.used} of {state.rules.daily_calls} calls of 24 h are made"]
        held = state.held + state.held_for_exits
        parts += [f"{held} held for jobs that go first"] if held else []
        parts += [] if priority is Priority.EXITS else [f"the last {state.rules.exits_reserve} are for exits"]
        until = min(chances)
        return QuotaRefused(f"{', '.join(parts)}; next at {until:%Y-%m-%d %H:%M}Z", until)

    async def _no_bytes(self, connection: AsyncConnection, state: _State, priority: Priority) -> QuotaRefused:
        allowed = state.rules.bytes_for(priority)
        values = {
            "key": self.fingerprint,
            "since": state.now - BANDWIDTH_WINDOW,
            "over": state.received_bytes - allowed,
        }
        oldest = (await connection.execute(text(_BYTES_LEAVE), values)).scalar_one()
        until = oldest + BANDWIDTH_WINDOW
        return QuotaRefused(
            f"{state.received_bytes / 1e6:,.0f} of {allowed / 1e6:,.0f} MB of 30 days are received; "
            f"next at {until:%Y-%m-%d %H:%M}Z",
            until,
        )


_KEY = """
    insert into vendor_keys (key_fingerprint, daily_calls, exits_reserve, bandwidth_bytes, in_force_at)
    values (:key, :daily, :reserve, :bandwidth, :now)
        on conflict (key_fingerprint)
"""
_KEY_ANEW = """
        do update set daily_calls = excluded.daily_calls, exits_reserve = excluded.exits_reserve,
                      bandwidth_bytes = excluded.bandwidth_bytes, in_force_at = excluded.in_force_at
"""

# Counted means on the disk, also where the engine's other commits do not wait for it. And a process that
# freezes while it holds the key is cut off, or nobody could ask for an exit any more.
_HOLD = """
    select set_config('synchronous_commit', 'on', true),
           set_config('idle_in_transaction_session_timeout', '5s', true),
           daily_calls, exits_reserve, bandwidth_bytes
      from vendor_keys where key_fingerprint = :key for update
"""

_STATE = """
    select (select count(*) from vendor_calls
             where key_fingerprint = :key and admitted_at > :now - cast(:window as interval)) as used,
           (select coalesce(sum(received_bytes), 0)::bigint from vendor_calls
             where key_fingerprint = :key
               and admitted_at > :now - cast(:bandwidth_window as interval)) as received_bytes,
           coalesce(sum(calls - used) filter (where priority > 0), 0)::int as held,
           coalesce(sum(calls - used) filter (where priority = 0), 0)::int as held_for_exits,
           min(expires_at) as held_until
      from call_reservations
     where key_fingerprint = :key and released_at is null and expires_at > :now and used < calls
       and priority <= :priority and not (job = :job and priority = :priority)
"""

_ADMIT = """
    with charged as (
        update call_reservations set used = used + 1
         where key_fingerprint = :key and job = :job and priority = :priority
           and released_at is null and expires_at > :now and used < calls
    )
    insert into vendor_calls (id, key_fingerprint, endpoint, symbol, priority, job, admitted_at)
    values (:id, :key, :endpoint, :symbol, :priority, :job, :now)
"""

_LEAVES = """
    select admitted_at from vendor_calls
     where key_fingerprint = :key and admitted_at > :since
     order by admitted_at offset :skipped limit 1
"""

_BYTES_LEAVE = """
    select admitted_at
      from (select admitted_at, sum(received_bytes) over (order by admitted_at, id) as gone
              from vendor_calls where key_fingerprint = :key and admitted_at > :since) leaving
     where gone > :over order by gone limit 1
"""

_SETTLE = """
    update vendor_calls
       set settled_at = :now, status = :status, fault = :fault, received_bytes = :received,
           latency_ms = :latency, note = :note
     where id = :id and key_fingerprint = :key and settled_at is null
    returning endpoint, symbol
"""

_KNOWN = "select 1 from vendor_calls where id = :id and key_fingerprint = :key"

_REPLACE = """
    update call_reservations set released_at = :now
     where key_fingerprint = :key and job = :job and priority = :priority and released_at is null
"""

_RESERVE = """
    insert into call_reservations (id, key_fingerprint, job, priority, calls, used, reserved_at, expires_at)
    values (:id, :key, :job, :priority, :calls, 0, :now, :expires_at)
"""

_RELEASE = """
    update call_reservations set released_at = :now where id = :id and released_at is null
"""
