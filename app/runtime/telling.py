"""Telling a human who is not looking: what is new or still unseen is written down, then sent with Apprise."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from app.runtime.postman import Undelivered, deliver
from storage.matters import Matter, read_matters
from storage.notices import (
    ENDED,
    NewNotice,
    Notice,
    NotifySettings,
    Told,
    claim,
    known_subjects,
    mark_failed,
    mark_seen,
    mark_sent,
    unseen,
    write_down,
)
from storage.plain import shortened
from storage.records import Severity

log = logging.getLogger(__name__)

Connection = psycopg.Connection[tuple[object, ...]]

LOOK_S = 5.0
LONGEST = 500  # characters of one notice


@dataclass(frozen=True)
class Plan:
    """What is to be written down, and the subjects that are no more."""

    new: tuple[NewNotice, ...]
    ended: tuple[str, ...]


def plan(
    matters: Sequence[Matter],
    told: Sequence[Told],
    known: frozenset[str],
    settings: NotifySettings,
    now: datetime,
) -> Plan:
    """Say each matter once, and what stands unseen again at each of its times; one step at a time at most.

    `told` holds what nobody has seen, `known` every subject ever written down.
    """
    by_subject = {row.subject: row for row in told}
    new = []
    for matter in matters:
        before = by_subject.get(matter.subject)
        if before is None:
            if matter.subject not in known:
                new.append(_notice(matter, 0, None, now))
        elif matter.stands:
            step = max(
                n
                for n in range(settings.most_again + 1)
                if settings.due_again(n) <= now - before.since or not n
            )
            if step > before.step:
                new.append(_notice(matter, step, before.since, now))
    here = {matter.subject for matter in matters}
    return Plan(tuple(new), tuple(subject for subject in by_subject if subject not in here))


def _notice(matter: Matter, step: int, since: datetime | None, now: datetime) -> NewNotice:
    text, severity = shortened(matter.text, LONGEST), matter.severity
    if since is not None:
        hours = (now - since).total_seconds() / 3600
        text = f"STILL after {hours:.1f} h: {text}"
        severity = Severity.CRITICAL if severity is Severity.WARNING and step > 1 else severity
    return NewNotice(kind=matter.kind, subject=matter.subject, step=step, severity=severity, text=text)


def look(connection: Connection, settings: NotifySettings, now: datetime) -> int:
    """Write down what is to be told; how much is new. Without addresses nothing is written."""
    if not settings.addresses(escalated=True):
        return 0
    matters = read_matters(connection)
    with connection.transaction():
        known = known_subjects(connection, [matter.subject for matter in matters])
        planned = plan(matters, unseen(connection), known, settings, now)
        if planned.ended:
            mark_seen(connection, planned.ended, ENDED, now)
        return write_down(connection, planned.new, now)


def send(connection: Connection, desk: str, settings: NotifySettings, now: datetime) -> int:
    """Send what is due in one message; how many notices went. A failure is kept with them and tried again."""
    if not settings.addresses(escalated=True):
        return 0
    notices = claim(connection, settings, now)
    if not notices:
        return 0
    escalated = any(row.step for row in notices)
    try:
        missed = deliver(
            settings.addresses(escalated=escalated),
            title=_title(desk, notices),
            body="\n".join(_lines(notices)),
            severity=_loudest(notices),
        )
    except Undelivered as failed:
        mark_failed(connection, notices, str(failed))
        log.warning("%d notices could not be sent: %s", len(notices), failed)
        return 0
    mark_sent(connection, notices, now, missed or None)
    return len(notices)


class Teller:
    """Of one desk, on the machine that leads it."""

    def __init__(self, conninfo: str, desk: str, settings: NotifySettings) -> None:
        self._conninfo = conninfo
        self._desk = desk
        self._settings = settings

    async def keep(self) -> None:
        """Look and send every few seconds, until cancelled. The leader notices a database that is away."""
        if not self._settings.addresses(escalated=True):
            await asyncio.Event().wait()
        while True:
            try:
                await asyncio.to_thread(self.once)
            except psycopg.Error as away:
                log.info("nothing could be told: %s", " ".join(str(away).split()))
            await asyncio.sleep(LOOK_S)

    def once(self) -> int:
        """Look once and send what is due; how many notices went. Raises psycopg.Error."""
        now = datetime.now(UTC)
        with psycopg.connect(
            self._conninfo, autocommit=True, connect_timeout=5, application_name="quorum notices"
        ) as connection:
            look(connection, self._settings, now)
            return send(connection, self._desk, self._settings, now)


def _title(desk: str, notices: Sequence[Notice]) -> str:
    most = {Severity.INFO: "to read", Severity.WARNING: "to see to", Severity.CRITICAL: "URGENT"}
    return f"Quorum {desk}: {len(notices)} {most[_loudest(notices)]}"


def _lines(notices: Sequence[Notice]) -> Iterator[str]:
    for row in notices:
        yield f"- {row.text}"


def _loudest(notices: Sequence[Notice]) -> Severity:
    order = list(Severity)
    return max((row.severity for row in notices), key=order.index)
