"""The outbox: what is to be told outside the console, put down once, sent at least once. psycopg only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from storage.records import uuid7
from storage.rows import fetch_all

Connection = psycopg.Connection[tuple[object, ...]]

ATTEMPTS = 12
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)

_PUT = """
    insert into notices (id, key, urgent, title, text, created_at, due_at)
    values (%s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp())
    on conflict (key) do nothing
"""
_DUE = """
    select id, key, urgent, title, text, attempts from notices
     where sent_at is null and given_up_at is null and due_at <= clock_timestamp()
       and (urgent or (select count(*) from notices
                        where sent_at > clock_timestamp() - interval '1 hour') < %s)
     order by urgent desc, created_at, key limit 1
       for update skip locked
"""


class NotifySettings(BaseModel):
    """Whom to tell, and how often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: SecretStr | None = Field(
        None,
        description="Apprise addresses separated by spaces, as `ntfys://ntfy.sh/topic mailto://...`; "
        "they hold secrets, and without any nobody is told",
    )
    an_hour: int = Field(12, ge=1, le=1000, description="Most notices an hour that are not urgent")
    digests: bool = Field(True, description="Whether the evening's digest is sent, with the audit's head")

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses one by one; none where nobody is to be told."""
        return tuple(self.urls.get_secret_value().split()) if self.urls else ()


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What is to be told. The key names the matter and the step: the same key is told once."""

    key: str
    title: str
    text: str
    urgent: bool = False


@dataclass(frozen=True, kw_only=True)
class DueNotice:
    """One whose time has come, held by the transaction that reads it."""

    id: UUID
    key: str
    urgent: bool
    title: str
    text: str
    attempts: int


@dataclass(frozen=True, kw_only=True)
class SentNotice:
    """One as it stands."""

    key: str
    urgent: bool
    title: str
    created_at: datetime
    sent_at: datetime | None
    given_up_at: datetime | None
    attempts: int
    last_error: str


def put(connection: Connection, notices: Iterable[Notice]) -> int:
    """Put down what is not there yet; how many that were."""
    added = 0
    for notice in notices:
        done = connection.execute(_PUT, [uuid7(), notice.key, notice.urgent, notice.title, notice.text])
        added += done.rowcount
    return added


def next_due(connection: Connection, *, an_hour: int) -> DueNotice | None:
    """The next to be sent: what is urgent at once, of the rest so many an hour. Call it in a transaction."""
    return next(iter(fetch_all(connection, DueNotice, _DUE, [an_hour])), None)


def mark_sent(connection: Connection, notice: DueNotice) -> None:
    connection.execute(
        "update notices set sent_at = clock_timestamp(), attempts = attempts + 1, last_error = ''"
        " where id = %s",
        [notice.id],
    )


def mark_failed(connection: Connection, notice: DueNotice, why: str) -> bool:
    """Wait twice as long each time, and give up in the end; whether it was given up."""
    attempts = notice.attempts + 1
    over = attempts >= ATTEMPTS
    wait = min(FIRST_WAIT * 2 ** (attempts - 1), LONGEST_WAIT)
    connection.execute(
        """update notices set attempts = %s, last_error = %s, due_at = clock_timestamp() + %s,
                  given_up_at = case when %s then clock_timestamp() end
            where id = %s""",
        [attempts, why, wait, over, notice.id],
    )
    return over


def read_notices(connection: Connection, *, most: int) -> tuple[SentNotice, ...]:
    """The last ones, latest first."""
    return fetch_all(
        connection,
        SentNotice,
        """select key, urgent, title, created_at, sent_at, given_up_at, attempts, last_error
             from notices order by created_at desc, key limit %s""",
        [most],
    )
