"""Where a process's log goes: lines for people on stderr, JSON lines that rotate below QUORUM_HOME.

Everything is written through the standard library's `logging`; structlog only shapes it. No secret of the
settings reaches either place.
"""

from __future__ import annotations

import fcntl
import logging
import sys
from collections.abc import Iterator, MutableMapping
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO
from urllib.parse import unquote, urlsplit

import structlog
from pydantic import BaseModel, SecretStr

from app.settings import Settings
from app.shared_log import cut, is_shared
from storage.redaction import Redaction

FOLDER = "log"
MOST_BYTES = 5_000_000  # of one file
KEPT = 5  # files beside the one being written
# What they have to say about a database that is away, our own lines say in words.
CHATTY = ("alembic", "apscheduler", "procrastinate", "psycopg", "apprise", "httpx", "httpx2")

Event = MutableMapping[str, object]


def log_to(settings: Settings, process: str) -> None:
    """Log this process to stderr and to `log/PROCESS.jsonl`, a number behind it where another has that.

    A folder that cannot be written is said once on stderr; the process goes on.
    """
    redaction = Redaction(secrets_of(settings))

    def hide(_: object, __: str, event: Event) -> Event:
        return {name: redaction.value(value) for name, value in event.items()}

    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
    ]

    def formatter(*last: structlog.typing.Processor) -> logging.Formatter:
        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, hide, *last],
        )

    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for old in root.handlers[:]:
        root.removeHandler(old)
    lines = _Lines(sys.stderr)
    lines.setFormatter(formatter(_for_people))
    root.addHandler(lines)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        kept = _OwnFile(settings.home / FOLDER, process)
    except OSError as failed:
        logging.getLogger(__name__).warning("no log is kept: %s", failed)
        return
    kept.setFormatter(formatter(structlog.processors.JSONRenderer()))
    root.addHandler(kept)


def secrets_of(settings: BaseModel) -> Iterator[str]:
    """Every secret of the settings, and the passwords within addresses."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from secrets_of(value)
        elif isinstance(value, SecretStr):
            for word in value.get_secret_value().split():
                yield word
                yield from _password(word)
        elif isinstance(value, str):
            yield from _password(value)


def _password(address: str) -> Iterator[str]:
    try:
        password = urlsplit(address).password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)


def _for_people(_: object, __: str, event: Event) -> str:
    level, name = str(event.get("level", "")).upper(), event.get("logger", "")
    line = f"{event.get('at', '')} {level} {name}: {event.get('event', '')}"
    return f"{line}\n{event['exception']}" if "exception" in event else line


class _Lines(logging.StreamHandler[TextIO]):
    """Lines for people; where they go into a file that processes share, it stays of a bounded length."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        try:
            self._shared = is_shared(stream.fileno())
        except OSError:  # no file at all, as under a test
            self._shared = False

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        if self._shared:
            try:
                cut(self.stream.fileno())
            except OSError:
                self.handleError(record)


class _OwnFile(RotatingFileHandler):
    """A file no other process writes: two that rotate one file would lose each other's lines."""

    def __init__(self, folder: Path, process: str) -> None:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        number = 1
        while True:
            stem = process if number == 1 else f"{process}-{number}"
            lock = (folder / f".{stem}.lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                lock.close()
                number += 1
        self._lock = lock  # for as long as this process lives
        self._failed = False
        super().__init__(folder / f"{stem}.jsonl", maxBytes=MOST_BYTES, backupCount=KEPT, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        opened = super()._open()
        Path(self.baseFilename).chmod(0o640)
        return opened

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """A full disk takes no log, and must not take the desk: said once, on the other way."""
        if not self._failed:
            self._failed = True
            sys.stderr.write(f"quorum: {self.baseFilename} takes no more lines: {sys.exc_info()[1]}\n")
