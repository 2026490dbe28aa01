"""Telling somebody who is not at the console: what is to be told is put down, then sent through apprise."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import psycopg

from app.runtime.notices import notices_of
from storage.audit import read_head
from storage.control import taken
from storage.desk import Desk
from storage.notices import NotifySettings, mark_failed, mark_sent, next_due, put
from storage.records import OperationKind, Operator

log = logging.getLogger(__name__)

LOOK_S = 20.0
AT_ONCE = 5  # notices sent at one look

Connection = psycopg.Connection[tuple[object, ...]]


class Notifier:
    """Of one desk, on the machine that leads it."""

    def __init__(self, conninfo: str, settings: NotifySettings) -> None:
        self._conninfo = conninfo
        self._settings = settings

    async def keep(self) -> None:
        """Look every twenty seconds, until cancelled. A database that is away is the leader's to notice."""
        while self._settings.addresses:
            await asyncio.sleep(LOOK_S)
            try:
                await asyncio.to_thread(self.look)
            except psycopg.Error as away:
                log.info("nobody is told while the database is away: %s", away)
        await asyncio.Event().wait()

    def look(self) -> int:
        """Put down what is new and send what is due; how many were sent. Raises psycopg.Error."""
        with psycopg.connect(
            self._conninfo, autocommit=True, connect_timeout=5, application_name="quorum notices"
        ) as connection:
            self._put_down(connection)
            return sum(self._send_one(connection) for _ in range(AT_ONCE))

    def _put_down(self, connection: Connection) -> None:
        with Desk(self._conninfo) as desk:
            snapshot = desk.snapshot()
        if snapshot is None:
            return
        head = read_head(connection)
        told = notices_of(snapshot, audit_head=head.short if head else "", digests=self._settings.digests)
        put(connection, told)

    def _send_one(self, connection: Connection) -> bool:
        """A crash between sending and writing that down sends once more: a wire gives nothing better."""
        with connection.transaction():
            notice = next_due(connection, an_hour=self._settings.an_hour)
            if notice is None:
                return False
            why = send(self._settings.addresses, notice.title, notice.text, urgent=notice.urgent)
            if not why:
                mark_sent(connection, notice)
                return True
            if mark_failed(connection, notice, why):
                said = f"given up: {notice.title}: {why}"
                taken(connection, OperationKind.NOTIFY, Operator(name="the runtime"), said)
            return False


def send(addresses: Sequence[str], title: str, text: str, *, urgent: bool) -> str:
    """Tell every address; why one could not be told, without any part of it, or nothing."""
    import apprise  # a tenth of a second that a desk without addresses does not pay

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it writes addresses into its log
    failed = []
    for number, address in enumerate(addresses, 1):
        service = apprise.Apprise()
        kind = apprise.NotifyType.WARNING if urgent else apprise.NotifyType.INFO
        if not service.add(address):
            failed.append(f"address {number} is none that apprise knows")
        elif not service.notify(body=text, title=title, notify_type=kind):
            failed.append(f"address {number} did not take it")
    return "; ".join(failed)
