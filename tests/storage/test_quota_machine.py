"""Whatever calls, reservations and hours come in whatever order, the limit and every promise hold."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from storage.calls import CallEnd, Priority, QuotaRefused, VendorCall
from storage.engine import open_engine
from storage.quota import QuotaLedger, Reservation
from storage.quota_rules import WINDOW, QuotaRules
from tests.storage.desk_builder import execute
from tests.storage.test_quota import AGES, KEY, pass_time

RULES = QuotaRules(daily_calls=12, exits_reserve=3, bandwidth_bytes=500_000_000)
jobs = st.sampled_from(("settle", "screen"))
priorities = st.sampled_from((Priority.EXITS, Priority.POSITIONS, Priority.WATCHLIST))


@dataclass
class Made:
    """A call that was admitted, and how long ago."""

    priority: Priority
    others: int  # calls in its window when it was admitted, itself included
    ago: timedelta = timedelta()


@dataclass
class Promise:
    """Calls a job was promised, and whether anything more urgent came since."""

    reservation: Reservation
    left: int
    undisturbed: bool = True
    ago: timedelta = field(default_factory=timedelta)


class LedgerMachine(RuleBasedStateMachine):
    """The ledger on a real database beside a plain account of what it said."""

    conninfo: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        execute(self.conninfo, f"truncate vendor_keys, {', '.join(AGES)}")
        self.runner = asyncio.Runner()
        self.engine = open_engine(self.conninfo)
        self.ledger = QuotaLedger(self.engine, KEY, RULES)
        self.made: list[Made] = []
        self.promises: dict[tuple[str, Priority], Promise] = {}

    @rule(job=jobs, priority=priorities, count=st.integers(1, 5), settled=st.booleans())
    def call(self, job: str, priority: Priority, count: int, settled: bool) -> None:
        for _ in range(count):
            self.call_once(job, priority, settled)

    def call_once(self, job: str, priority: Priority, settled: bool) -> None:
        promise = self.promises.get((job, priority))
        used = self.used()
        try:
            ticket = self.runner.run(
                self.ledger.admit(VendorCall(endpoint="quote", symbol="AAPL", priority=priority, job=job))
            )
        except QuotaRefused:
            assert promise is None or not promise.left or not promise.undisturbed
            held = sum(other.left for other in self.promises.values() if other is not promise)
            assert used + held >= RULES.calls_for(priority)
            return
        self.made.append(Made(priority=priority, others=used + 1))
        if promise is not None:
            promise.left = max(promise.left - 1, 0)
        self.disturb(priority)
        if settled:
            end = CallEnd(status=200, fault=None, received_bytes=1, latency_ms=1.0)
            self.runner.run(self.ledger.settle(ticket, end))

    @rule(job=jobs, priority=priorities, calls=st.integers(1, 15))
    def reserve(self, job: str, priority: Priority, calls: int) -> None:
        try:
            reservation = self.runner.run(self.ledger.reserve(job, priority, calls))
        except QuotaRefused:
            return  # what the job held it still holds
        assert 1 <= reservation.calls <= calls
        self.promises[job, priority] = Promise(reservation=reservation, left=reservation.calls)
        self.disturb(priority)

    @rule(job=jobs, priority=priorities)
    def release(self, job: str, priority: Priority) -> None:
        promise = self.promises.pop((job, priority), None)
        if promise is not None:
            self.runner.run(self.ledger.release(promise.reservation))

    @rule(minutes=st.sampled_from((5, 10, 15, 20 * 60)))
    def time_passes(self, minutes: int) -> None:
        span = timedelta(minutes=minutes)
        pass_time(self.conninfo, span)
        for made in self.made:
            made.ago += span
        for key, promise in list(self.promises.items()):
            promise.ago += span
            if promise.ago >= timedelta(minutes=30):
                del self.promises[key]

    @invariant()
    def no_window_is_above_the_limit(self) -> None:
        assert self.used() <= RULES.daily_calls
        assert all(made.others <= RULES.calls_for(made.priority) for made in self.made)

    def used(self) -> int:
        return sum(made.ago < WINDOW for made in self.made)

    def disturb(self, priority: Priority) -> None:
        for (_, promised), promise in self.promises.items():
            promise.undisturbed = promise.undisturbed and priority >= promised

    def teardown(self) -> None:
        self.runner.run(self.engine.dispose())
        self.runner.close()


def test_the_ledger_keeps_its_limit_its_reserve_and_its_promises(database: str) -> None:
    LedgerMachine.conninfo = database
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=16,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # to shrink a failure takes minutes on a database
        ),
    )
