"""The first minute of a new user: `quorum` alone, a proposal, a verdict by keys, a fill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from storage.desk import Desk
from storage.records import ApprovalState, OrderState
from storage.snapshot import DeskSnapshot
from tests.app.books import assert_books_balance
from tests.journeys.processes import Console, home_of_its_own, wait_until

CTRL_Q = "\x11"
ENTER = "\r"


@pytest.mark.long
def test_a_trade_is_approved_by_keys_and_fills_and_the_replay_resumes_with_the_next_start() -> None:
    with home_of_its_own() as home:
        with Console(home) as console:
            asked = wait_until(lambda: seen(home, lambda desk: bool(desk.pending)))
            waiting = f"{len(asked.pending)} waiting"
            wait_until(lambda: waiting in console.picture, saw=lambda: console.picture)
            for left in reversed(range(len(asked.pending))):
                approve_the_next(console, home, left)
            filled = wait_until(lambda: seen(home, lambda desk: bool(desk.positions)))
            console.press(CTRL_Q)
            assert console.end() == 0
        proposal = asked.pending[0]
        answered = next(row for row in filled.approvals if row.id == proposal.id)
        assert (answered.state, answered.order_state) == (ApprovalState.APPROVED, OrderState.FILLED)
        assert proposal.terms.symbol in {position.symbol for position in filled.positions}
        assert filled.header.session is not None

        with Console(home) as console:
            resumed = wait_until(lambda: seen(home, lambda desk: True))
            assert resumed.header.session is not None
            assert resumed.header.session >= filled.header.session
            assert_books_balance(conninfo(home))
            console.press(CTRL_Q)
            assert console.end() == 0


def test_a_wrong_setting_is_one_line_and_exit_code_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.journeys.processes.environment", _with_unknown_limit)
    with home_of_its_own() as home, Console(home) as console:
        assert console.end() == 2
    said = " ".join(console.picture.split())
    assert "unknown limit QUORUM_LIMITS__HEET in the environment; did you mean QUORUM_LIMITS__HEAT?" in said


def approve_the_next(console: Console, home: Path, left: int) -> None:
    """Approve a proposal by keys, so that `left` wait; after the first the next card opens by itself."""
    if "Review" not in console.picture:
        console.press("n")
        console.press(ENTER)
        wait_until(lambda: "Review" in console.picture)
    console.press("a")  # typed ahead: the card is not armed yet
    assert not seen(home, lambda desk: len(desk.pending) <= left)
    wait_until(lambda: press_until(console, "a", home, lambda desk: len(desk.pending) <= left))


def conninfo(home: Path) -> str:
    return f"host={home}/postgres/socket user=postgres dbname=quorum_history"


def seen(home: Path, wanted: Callable[[DeskSnapshot], bool]) -> DeskSnapshot | None:
    """The desk if it is there and as wanted; asked over the socket, so as to start nothing."""
    try:
        with Desk(conninfo(home)) as desk:
            snapshot = desk.snapshot()
    except psycopg.Error:
        return None
    return snapshot if snapshot is not None and wanted(snapshot) else None


def press_until(
    console: Console, key: str, home: Path, wanted: Callable[[DeskSnapshot], bool]
) -> DeskSnapshot | None:
    console.press(key)
    return seen(home, wanted)


def _with_unknown_limit(home: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "TERM": "xterm", "QUORUM_HOME": str(home), "QUORUM_LIMITS__HEET": "0.05"}
