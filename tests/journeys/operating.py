"""A human at a console in an emulated terminal: reads what waits, answers by keys, checks what came of it."""

from __future__ import annotations

import time

from storage.desk import Desk
from storage.records import ApprovalState
from storage.snapshot import ApprovalRow
from tests.journeys.processes import Console, wait_until

REJECT_FOR_EVENT = "2"


def pending(conninfo: str) -> tuple[ApprovalRow, ...]:
    """What waits for a verdict now."""
    with Desk(conninfo) as desk:
        snapshot = desk.snapshot()
    return snapshot.pending if snapshot else ()


def answer_everything(console: Console, conninfo: str, *, most: int) -> tuple[int, int]:
    """Approve up to `most` cards by keys and reject the rest for an event: how many of each.

    Every key is pressed once ahead of its time and twice when it counts: none of that may decide more.
    """
    approved = rejected = 0
    while rows := pending(conninfo):
        _open_review(console, rows[0].terms.symbol)
        shown = next((row for row in rows if f"BUY {row.terms.symbol} " in console.picture), None)
        if shown is None:
            continue
        if approved < most:
            _approve(console, conninfo, shown)
            approved += 1
        else:
            _press_until_decided(console, conninfo, shown, REJECT_FOR_EVENT)
            rejected += 1
    return approved, rejected


def _open_review(console: Console, symbol: str) -> None:
    """A card may have opened by itself after the last verdict."""
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        if "Review" in console.picture:
            return
        time.sleep(0.05)
    console.press("n\r")
    wait_until(lambda: "Review" in console.picture, saw=lambda: f"{symbol}\n{console.picture}")


def _approve(console: Console, conninfo: str, shown: ApprovalRow) -> None:
    if not shown.risky:
        console.press("aa")  # typed ahead: the card is not armed yet
        _press_until_decided(console, conninfo, shown, "a")
        return
    console.press("a")
    time.sleep(1.0)
    console.press("a")
    console.press(f"{shown.short_id}\r")
    time.sleep(1.0)
    _press_until_decided(console, conninfo, shown, "\r")


def _press_until_decided(console: Console, conninfo: str, shown: ApprovalRow, key: str) -> None:
    def decided() -> bool:
        console.press(key)
        time.sleep(0.4)
        return _state(conninfo, shown) is not ApprovalState.PENDING

    wait_until(decided, timeout_s=20, saw=lambda: console.picture)


def _state(conninfo: str, shown: ApprovalRow) -> ApprovalState | None:
    with Desk(conninfo) as desk:
        snapshot = desk.snapshot()
    found = [row.state for row in snapshot.approvals if row.id == shown.id] if snapshot else []
    return found[0] if found else None
