"""How a desk that lives in the present does, as items of the strip: what is wrong first, then what comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.console.figures import age
from app.console.items import Item
from app.console.machine import (
    desk_now,
    failed_lately,
    late,
    next_words,
    running,
    silent_s,
    slot_words,
    stopping,
)
from app.console.state import HostHealth, Link, View
from app.console.text import Line, Piece, Tone, line
from storage.plain import clean

if TYPE_CHECKING:
    from storage.snapshot import DeskSnapshot


def vitals(view: View, snapshot: DeskSnapshot) -> list[Item]:
    """What is wrong gives way last, what merely comes gives way first."""
    return [
        *_clock(view, snapshot),
        *_failed(view, snapshot),
        *_late(view, snapshot),
        _schedule(view, snapshot),
        Item(0, leader_lines(view, snapshot)),
        *_queues(snapshot),
        *_agents(snapshot),
    ]


def _clock(view: View, snapshot: DeskSnapshot) -> list[Item]:
    """A rehearsal's own time: nobody may take it for the wall's."""
    speed = snapshot.header.clock_speed
    if speed == 1:
        return []
    now = desk_now(view, snapshot)
    faster = Piece(f" {speed:g}x", Tone.WARN)
    return [
        Item(
            1,
            (
                line(f"desk clock {now:%Y-%m-%d %H:%M}Z", faster),
                line(f"desk {now:%m-%d %H:%M}Z", faster),
                line(f"{now:%H:%M}Z", faster),
            ),
        )
    ]


def _failed(view: View, snapshot: DeskSnapshot) -> list[Item]:
    failed = failed_lately(view, snapshot)
    if not failed:
        return []
    short = line(Piece(f"! {len(failed)} failed", Tone.BAD))
    if len(failed) == 1:
        return [Item(0, (line(Piece(f"! {slot_words(failed[0].slot)} failed", Tone.BAD)), short))]
    return [Item(0, (line(Piece(f"! {len(failed)} runs failed", Tone.BAD)), short))]


def _late(view: View, snapshot: DeskSnapshot) -> list[Item]:
    found = late(view, snapshot)
    if not found:
        return []
    more = f" +{len(found) - 1}" if len(found) > 1 else ""
    return [Item(1, (line(Piece(f"! {found[0].words}{more}", Tone.BAD)),))]


def _schedule(view: View, snapshot: DeskSnapshot) -> Item:
    coming = next_words(view, snapshot)
    short = coming.replace(" (will be skipped)", " (skipped)")
    now = running(snapshot)
    if now:
        works = Piece(f"{view.glyphs.working} {slot_words(now[0].slot)} runs", Tone.ACCENT)
        return Item(2, (line(works, f", then {coming}"), line(works)))
    return Item(2, (line(f"next {coming}"), line(coming), line(short)))


def leader_lines(view: View, snapshot: DeskSnapshot) -> tuple[Line, ...]:
    """Whether a runtime leads the desk, in wordings from long to short."""
    if view.state.link is Link.AWAY:
        return (line(Piece(f"{view.glyphs.stale} desk out of sight", Tone.WARN)),)
    leader = snapshot.leader
    if leader is not None and snapshot.led:
        if stopping(snapshot):
            by = f" for {clean(leader.stop_asked_by)}" if leader.stop_asked_by else ""
            return (line(Piece(f"desk stopping{by}", Tone.WARN)), line(Piece("stopping", Tone.WARN)))
        return (line(Piece("desk ok", Tone.GOOD)),)
    if view.state.host is HostHealth.STARTING:
        return (line(Piece("desk starting", Tone.WARN)),)
    since = f" {age(silent_s(view, snapshot))}" if leader is not None else ""
    return (line(Piece(f"! nobody leads{since}", Tone.BAD)),)


def _queues(snapshot: DeskSnapshot) -> list[Item]:
    """Queues nobody works for; where nobody leads that goes without saying."""
    idle = [queue for queue in snapshot.queues if not queue.workers and snapshot.led]
    if not idle:
        return []
    names = " and ".join(queue.queue.value for queue in idle)
    waiting = sum(queue.waiting for queue in idle)
    wait = f", {waiting} waiting" if waiting else ""
    return [
        Item(
            1,
            (
                line(Piece(f"! nobody serves {names}{wait}", Tone.BAD)),
                line(Piece(f"! nobody serves {names}", Tone.BAD)),
                line(Piece(f"! no {names}", Tone.BAD)),
            ),
        )
    ]


def _agents(snapshot: DeskSnapshot) -> list[Item]:
    """The agents' worst: one that fails before one that is paused."""
    failing = [row for row in snapshot.agents if row.failures]
    paused = [row for row in snapshot.agents if row.paused_by is not None]
    if failing:
        worst = max(failing, key=lambda row: row.failures)
        more = f" +{len(failing) - 1}" if len(failing) > 1 else ""
        text = f"! {worst.agent.value} failed {worst.failures}x{more}"
        return [Item(3, (line(Piece(text, Tone.BAD)), line(Piece(f"! {worst.agent.value} fails", Tone.BAD))))]
    if paused:
        who = paused[0].agent.value if len(paused) == 1 else f"{len(paused)} agents"
        return [Item(3, (line(Piece(f"{who} paused", Tone.WARN)),))]
    return []
