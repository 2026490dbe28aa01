"""What the desk has to say outside the console, from its snapshot: pure, so that a test can hold every case.

A key names a matter and a step of it. What nobody has answered is told again, urgently, an hour before it is
too late; what is answered is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from agents.market.calendar import NEW_YORK
from storage.notices import Notice
from storage.plain import clean, shortened
from storage.records import AgentName, OperationKind, RunState, Slot
from storage.snapshot import DeskSnapshot

LAST_HOUR = timedelta(hours=1)
FAILURES = 3  # runs of an agent in a row
LONGEST = 400  # characters of a text
NAMES = 8
LOUD = (OperationKind.UNPROTECTED, OperationKind.FAULT, OperationKind.LOOP, OperationKind.ALERT)


def notices_of(taken: DeskSnapshot, *, audit_head: str, digests: bool) -> tuple[Notice, ...]:
    """Everything worth telling now; what was told already goes by the same keys."""
    found = [*_standing(taken), *_approvals(taken), *_troubles(taken), *_operations(taken)]
    if digests:
        found += _digest(taken, audit_head)
    return tuple(found)


def _standing(taken: DeskSnapshot) -> Iterator[Notice]:
    name = taken.header.name
    if (halt := taken.halt) is not None:
        yield _notice(f"halt:{halt.id}", f"{name} halted", halt.words, urgent=True)
    ladder = taken.ladder
    if ladder is not None and ladder.stopped:
        key = f"ladder:{ladder.rung}:{ladder.halted_since or ladder.session}"
        yield _notice(key, f"{name}: no entries", ladder.words, urgent=True)
    for row in taken.differences:
        yield _notice(f"differ:{row.number}", f"{name}: book and broker differ", row.words, urgent=True)


def _approvals(taken: DeskSnapshot) -> Iterator[Notice]:
    """Once when they come, and once more in the last hour; while the operator is away nobody is called."""
    waiting = taken.pending
    if not waiting or taken.absence is not None:
        return
    name, session = taken.header.name, waiting[0].terms.entry_session
    symbols = ", ".join(row.terms.symbol for row in waiting[:NAMES])
    until = min((row.expires_at for row in waiting if row.expires_at is not None), default=None)
    by = f" until {_new_york(until)} New York" if until else ""
    text = f"{len(waiting)} wait{by}: {symbols}; unanswered they are rejected"
    yield _notice(f"approvals:{session}", f"{name}: proposals wait", text)
    if until is not None and timedelta(0) < until - taken.taken_at <= LAST_HOUR:
        yield _notice(f"approvals:{session}:last-hour", f"{name}: proposals expire soon", text, urgent=True)


def _troubles(taken: DeskSnapshot) -> Iterator[Notice]:
    name, day = taken.header.name, taken.taken_at.date()
    if taken.quota is not None:
        for block in taken.quota.blocks:
            said = f"{block.fault}: {block.note}"
            yield _notice(f"quota:{block.fault}:{day}", f"{name}: FMP blocked", said)
        if taken.quota.used >= taken.quota.limit:
            used = f"{taken.quota.used} of {taken.quota.limit} calls of 24 hours are used"
            yield _notice(f"quota:used:{day}", f"{name}: FMP quota used up", used)
    standing = taken.spend.standing
    if standing is not None and taken.spend.today_usd >= standing.caps.day_usd:
        cap = f"{taken.spend.today_usd:.2f} of {standing.caps.day_usd:.2f} dollars; agents go by rules"
        yield _notice(f"spend:{day}", f"{name}: today's budget is spent", cap)
    for agent in taken.agents:
        if agent.failures >= FAILURES:
            what = f"{agent.failures} runs failed in a row: {agent.last_result}"
            key = f"agent:{agent.agent}:{agent.last_session}"
            yield _notice(key, f"{name}: {agent.agent} fails", what, urgent=agent.agent is AgentName.RISK)


def _operations(taken: DeskSnapshot) -> Iterator[Notice]:
    for row in taken.operations:
        failed_backup = row.kind is OperationKind.BACKUP and row.text.startswith("FAILED")
        if row.kind in LOUD or failed_backup:
            urgent = row.kind is OperationKind.UNPROTECTED
            key = f"operation:{row.kind}:{row.at.isoformat()}"
            yield _notice(key, f"{taken.header.name}: {row.kind}", row.text, urgent=urgent)


def _digest(taken: DeskSnapshot, audit_head: str) -> Iterator[Notice]:
    """The evening's digest with the head of the audit chain: a copy that no owner of the database changes."""
    run = next((run for run in taken.runs if run.slot is Slot.DIGEST and run.state is RunState.DONE), None)
    if run is not None:
        chain = f"; audit {audit_head}" if audit_head else ""
        yield _notice(f"digest:{run.session}", f"{taken.header.name} {run.session}", f"{run.summary}{chain}")


def _notice(key: str, title: str, text: str, *, urgent: bool = False) -> Notice:
    return Notice(key=clean(key), title=clean(title), text=shortened(clean(text), LONGEST), urgent=urgent)


def _new_york(at: datetime) -> str:
    return f"{at.astimezone(NEW_YORK):%H:%M}"
