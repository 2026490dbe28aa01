"""The outbox of what is to be told: written once for each subject and step, sent at least once, then marked.

Whoever leads plans and sends; `quorum notify check` may do the same beside it, from a timer. Two of them
write one row, since subject and step are unique, and send it once, since a row that is claimed is not due
again for a while. A process killed between sending and marking leaves a row that is sent again: on the wire
nothing better than "at least once" can be had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from storage.records import NoticeKind, Severity, uuid7
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]

TOGETHER = 20  # notices in one message
FIRST_RETRY = timedelta(minutes=1)
LAST_RETRY = timedelta(hours=1)
ENDED = "it ended"  # seen_by where the cause went away before anybody looked


class NotifySettings(BaseModel):
    """Who is told, and how often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: SecretStr | None = Field(
        None,
        description="Whom the desk tells when nobody looks, as Apprise addresses with blanks between them "
        "(mailto://..., tgram://..., ntfys://...); without any it tells nobody",
    )
    escalation_urls: SecretStr | None = Field(
        None, description="Told besides, once something has been told before and nobody has seen to it"
    )
    again_after_min: int = Field(
        30,
        ge=1,
        le=10_080,
        description="Minutes after which what nobody has seen is told again, then 4 times that",
    )
    most_again: int = Field(3, ge=0, le=6, description="How often the same is told again")
    gap_s: int = Field(
        60,
        ge=0,
        le=86_400,
        description="Seconds between two messages, unless one is critical; what waits goes together",
    )
    most_an_hour: int = Field(20, ge=1, le=1_000, description="Messages an hour, whatever happens")

    def addresses(self, *, escalated: bool) -> tuple[str, ...]:
        """Whom to tell, secrets included."""
        texts = (self.urls, self.escalation_urls if escalated else None)
        return tuple(url for text in texts if text for url in text.get_secret_value().split())

    def due_again(self, step: int) -> timedelta:
        """How long after the first telling a step comes; step 0 at once."""
        return timedelta(minutes=self.again_after_min * 4 ** (step - 1)) if step else timedelta()


@dataclass(frozen=True, kw_only=True)
class Told:
    """A subject nobody has seen yet: its highest step, and when it was first written down."""

    subject: str
    step: int
    since: datetime


@dataclass(frozen=True, kw_only=True)
class NewNotice:
    kind: NoticeKind
    subject: str
    step: int
    severity: Severity
    text: str


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A row of the outbox."""

    id: UUID
    kind: NoticeKind
    subject: str
    step: int
    severity: Severity
    text: str
    created_at: datetime
    attempts: int
    sent_at: datetime | None
    last_error: str | None
    seen_at: datetime | None
    seen_by: str | None


_COLUMNS = """id, kind, subject, step, severity, text, created_at, attempts, sent_at, last_error,
              seen_at, seen_by"""
_UNSEEN = """
    select subject, max(step)::int as step, min(created_at) as since
      from notifications group by subject having count(seen_at) = 0
"""
_INSERT = """
    insert into notifications (id, kind, subject, step, severity, text, created_at, next_try_at)
    values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (subject, step) do nothing
"""
_PACE = """
    select max(sent_at) as last, count(distinct sent_at)
             filter (where sent_at > %(now)s::timestamptz - interval '1 hour')::int as hour
      from notifications
"""
_DUE = f"""
    select {_COLUMNS} from notifications
     where sent_at is null and seen_at is null and next_try_at <= %(now)s
     order by severity = 'critical' desc, severity = 'warning' desc, created_at, id
     limit %(most)s for update skip locked
"""  # noqa: S608 - our own text
_CLAIM = """
    update notifications set attempts = attempts + 1, next_try_at = %s + least(%s * 2 ^ attempts, %s)
     where id = any(%s)
"""
_LIST = f"select {_COLUMNS} from notifications order by created_at desc, id desc limit %s"  # noqa: S608


@dataclass(frozen=True)
class _Pace:
    last: datetime | None
    hour: int


def unseen(connection: Connection) -> tuple[Told, ...]:
    """What was written down and neither seen by anybody nor ended."""
    return fetch_all(connection, Told, _UNSEEN)


def known_subjects(connection: Connection, subjects: Sequence[str]) -> frozenset[str]:
    """Which of these were ever written down."""
    rows = connection.execute(
        "select distinct subject from notifications where subject = any(%s)", [list(subjects)]
    )
    return frozenset(str(row[0]) for row in rows)


def write_down(connection: Connection, notices: Sequence[NewNotice], now: datetime) -> int:
    """Put them into the outbox; how many were not there yet."""
    count = 0
    for new in notices:
        values = [uuid7(), new.kind, new.subject, new.step, new.severity, new.text, now, now]
        count += connection.execute(_INSERT, values).rowcount
    return count


def mark_seen(connection: Connection, subjects: Sequence[str] | None, who: str, now: datetime) -> int:
    """Nobody needs to be told any more; None: of anything. How many rows it was."""
    return connection.execute(
        "update notifications set seen_at = %s, seen_by = %s"
        " where seen_at is null and (%s::text[] is null or subject = any(%s))",
        [now, who, None if subjects is None else list(subjects), list(subjects or ())],
    ).rowcount


def claim(connection: Connection, settings: NotifySettings, now: datetime) -> tuple[Notice, ...]:
    """What is to be sent now in one message; it is not due again before its next try."""
    with connection.transaction():
        pace = fetch_one(connection, _Pace, _PACE, {"now": now})
        assert pace is not None
        if pace.hour >= settings.most_an_hour:
            return ()
        due = fetch_all(connection, Notice, _DUE, {"now": now, "most": TOGETHER})
        soon = pace.last is not None and now - pace.last < timedelta(seconds=settings.gap_s)
        if soon and not any(row.severity is Severity.CRITICAL for row in due):
            return ()
        connection.execute(_CLAIM, [now, FIRST_RETRY, LAST_RETRY, [row.id for row in due]])
        return due


def mark_sent(connection: Connection, notices: Sequence[Notice], now: datetime, missed: str | None) -> None:
    """`missed`: which addresses did not take it, though another did."""
    connection.execute(
        "update notifications set sent_at = %s, last_error = %s where id = any(%s)",
        [now, missed, [row.id for row in notices]],
    )


def mark_failed(connection: Connection, notices: Sequence[Notice], why: str) -> None:
    connection.execute(
        "update notifications set last_error = %s where id = any(%s)", [why, [row.id for row in notices]]
    )


def latest(connection: Connection, most: int) -> tuple[Notice, ...]:
    """The outbox, latest first."""
    return fetch_all(connection, Notice, _LIST, [most])
