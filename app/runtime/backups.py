"""The nightly backup: made by whoever leads the desk, once a day, and said loudly when it fails.

Once it came back whole, and only then, raw text that is too old is removed: tonight's backup holds it still.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import psycopg

from storage.backup import BackupSettings, back_up, backups_in, forget_old
from storage.control import taken
from storage.errors import OperatorError
from storage.records import OperationKind, Operator
from storage.retention import RetentionSettings, remove_old_text
from storage.server import Server

log = logging.getLogger(__name__)

LOOK_S = 60.0
RETRY = timedelta(hours=1)
BY_ITSELF = Operator(name="the runtime")
DAY = timedelta(hours=23, minutes=30)  # so that a late night does not push the next one later and later
_OWN_LAST = "select max(at) from operations where kind = %s and who = %s and text not like 'FAILED%%'"


class NightlyBackup:
    """Of one desk, on the machine that leads it."""

    def __init__(
        self,
        server: Server,
        desk: str,
        home: Path,
        settings: BackupSettings,
        retention: RetentionSettings | None = None,
    ) -> None:
        """Without a `retention` all text is kept."""
        self._server = server
        self._desk = desk
        self._folder = settings.folder_in(home)
        self._settings = settings
        self._retention = retention or RetentionSettings()
        self._failed_at: datetime | None = None

    async def keep(self) -> None:
        """Look every minute whether it is time, until cancelled."""
        while self._settings.nightly:
            await asyncio.sleep(LOOK_S)
            now = datetime.now(UTC)
            await asyncio.to_thread(self._make_if_due, now)
        await asyncio.Event().wait()

    def _make_if_due(self, now: datetime) -> None:
        try:
            due = self.is_due(now)
        except psycopg.Error as away:
            log.warning("whether a backup is due cannot be read: %s", away)
            return
        if due:
            self.make(now)

    def is_due(self, now: datetime) -> bool:
        """Whether the hour has come, the newest backup is a day old, and the last failure an hour.

        Where text is removed after it, the newest counts that was made here: one that somebody makes by hand
        every day must not keep the text for ever. psycopg.Error while the database is away.
        """
        if now.hour < self._settings.hour_utc:
            return False
        if self._failed_at is not None and now - self._failed_at < RETRY:
            return False
        made = self._own_last() if self._retention.removes else self._newest()
        return made is None or now - made >= DAY

    def _newest(self) -> datetime | None:
        known = backups_in(self._folder, self._desk)
        return datetime.fromtimestamp(known[-1].stat().st_mtime, UTC) if known else None

    def _own_last(self) -> datetime | None:
        with self._connected() as connection:
            found = connection.execute(_OWN_LAST, [OperationKind.BACKUP, BY_ITSELF.name]).fetchone()
        return cast("datetime | None", found[0]) if found else None

    def make(self, now: datetime) -> None:
        """Back the desk up and remove what is too old; a failure is an operation that is seen."""
        try:
            path, manifest = back_up(self._server, self._desk, self._folder, now=now)
            gone = forget_old(self._folder, self._desk, keep=self._settings.keep)
        except (OperatorError, psycopg.Error) as failed:
            self._failed_at = now
            said = f"FAILED: {' '.join(str(failed).split())}"
        else:
            self._failed_at = None
            rows = sum(manifest.rows.values())
            said = f"{path.name}: {rows:,} rows, came back whole" + (
                f"; {gone} older removed" if gone else ""
            )
        log.info("backup %s", said)
        try:
            self._note(said)
            if self._failed_at is None and self._retention.removes:
                self._remove_old_text()
        except psycopg.Error as away:
            log.warning("the night's work could not be noted or ended: %s", away)

    def _note(self, said: str) -> None:
        with self._connected() as connection:
            taken(connection, OperationKind.BACKUP, BY_ITSELF, said)

    def _remove_old_text(self) -> None:
        with self._connected() as connection:
            log.info("%s", remove_old_text(connection, self._retention, BY_ITSELF).words)

    def _connected(self) -> psycopg.Connection[tuple[object, ...]]:
        conninfo = self._server.conninfo(self._server.desk_database(self._desk))
        return psycopg.connect(conninfo, autocommit=True, connect_timeout=5)
