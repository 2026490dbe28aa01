"""What the console knows at one instant, frozen: the only thing screens and panes are shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from app.console.glyphs import UNICODE, Glyphs

if TYPE_CHECKING:
    from uuid import UUID

    from storage.records import VerdictReceipt
    from storage.snapshot import ApprovalRow, DeskSnapshot

EVENTS_KEPT = 50
SILENT_AFTER_S = 10.0  # a host beats every few seconds; after this the strip says how long it has been silent


class Link(StrEnum):
    """Between the console and the database."""

    WAITING = "waiting"  # nobody has said yet where the desk is
    UP = "up"
    AWAY = "away"


class HostHealth(StrEnum):
    """The process that drives the desk."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"


def lives(snapshot: DeskSnapshot) -> bool:
    """Whether the desk lives in the present, led by a runtime; a replay is driven by the console's host."""
    header = snapshot.header
    return header.kind.value != "history" or header.sessions_total is None


@dataclass(frozen=True, kw_only=True)
class ConsoleEvent:
    """Something that happened to the console itself."""

    at: datetime
    text: str
    bad: bool = False

    @property
    def key(self) -> str:
        """What names it in a list."""
        return f"{self.at.isoformat()} {self.text}"


@dataclass(frozen=True, kw_only=True)
class LastVerdict:
    """The verdict given last from this console, and how it was received."""

    approval_id: UUID
    symbol: str
    verb: str
    receipt: VerdictReceipt


@dataclass(frozen=True, kw_only=True)
class ConsoleState:
    snapshot: DeskSnapshot | None = None
    link: Link = Link.WAITING
    link_reason: str = ""
    host: HostHealth = HostHealth.STARTING
    host_note: str = "starting the desk"
    desk: str = ""
    events: tuple[ConsoleEvent, ...] = ()  # latest first
    verdict: LastVerdict | None = None

    @property
    def closed_because(self) -> str:
        """Why no verdict can be given now, or nothing."""
        if self.snapshot is None:
            return "the desk has not been read yet"
        if self.link is not Link.UP:
            return f"the database is away: {self.link_reason}" if self.link_reason else "the database is away"
        # A replay is driven by the console's own host; a desk in the present takes verdicts by itself.
        if self.host is not HostHealth.RUNNING and not lives(self.snapshot):
            return f"the desk's host is away: {self.host_note}"
        return ""

    def approval(self, approval_id: UUID) -> ApprovalRow | None:
        rows = self.snapshot.approvals if self.snapshot else ()
        return next((row for row in rows if row.id == approval_id), None)

    def with_event(self, event: ConsoleEvent) -> ConsoleState:
        return replace(self, events=(event, *self.events)[:EVENTS_KEPT])


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The row the operator looks at: its kind and its key."""

    kind: str  # the pane it was chosen in
    key: str


@dataclass(frozen=True, kw_only=True)
class View:
    """What a pane is shown: the state, the instant, and how to draw."""

    state: ConsoleState
    now: datetime
    glyphs: Glyphs = UNICODE
    selection: Selection | None = None
    needle: str = ""  # the watchlist's filter
