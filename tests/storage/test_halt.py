"""A halt: one stands at a time, nothing is approved meanwhile, either half holds, a human lifts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import psycopg
import pytest

from storage.desk import Desk
from storage.halt import halt, lift, new_halt, standing_halt
from storage.halt_file import bring_together, halt_path, read_halt, write_halt
from storage.records import ApprovalState, CommandReceipt, HaltRow, Operator
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, scalar, terms, writing

AT = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
ASKED = new_halt("flash crash", ADA, AT)


@pytest.fixture
def paper(database: str) -> str:
    with writing(database) as session:
        build.found_paper(session)
    return database


def stands(conninfo: str) -> HaltRow | None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return standing_halt(connection)


def together(conninfo: str, path: Path) -> HaltRow | None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return bring_together(connection, path)


def lifting(conninfo: str, reason: str = "checked", operator: Operator = ADA) -> CommandReceipt:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return lift(connection, reason, operator)


def test_a_halted_desk_takes_no_approval_but_a_rejection(paper: str) -> None:
    with writing(paper) as session:
        asked = build.propose(session, terms())
    with Desk(paper) as desk:
        assert desk.halt(ASKED).accepted
        refused = desk.approve(asked.id, digest=asked.digest, typed_id="", operator=ADA)
        assert not refused.accepted and "halted by ada at 2026-03-02 14:30Z: flash crash" in refused.message
        snapshot = desk.snapshot()
        assert snapshot is not None and snapshot.halt is not None and snapshot.halt.id == ASKED.id
        assert desk.reject(asked.id, digest=asked.digest, reason="event", operator=ADA).accepted
        assert desk.lift("checked", operator=ADA).accepted
    assert stands(paper) is None


def test_a_second_halt_changes_nothing(paper: str) -> None:
    barrier = Barrier(4)

    def ask(number: int) -> bool:
        with psycopg.connect(paper, autocommit=True) as connection:
            barrier.wait(10)
            return halt(connection, new_halt(f"number {number}", ADA, AT)).accepted

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(4))) == [False, False, False, True]
    assert scalar(paper, "select count(*) from halts") == 1


@pytest.mark.parametrize(("reason", "name"), [("", "ada"), ("  ", "ada"), ("checked", ""), ("checked", " ")])
def test_nobody_lifts_it_without_a_name_and_a_reason(paper: str, reason: str, name: str) -> None:
    with Desk(paper) as desk:
        desk.halt(ASKED)
    assert not lifting(paper, reason, Operator(name=name)).accepted
    assert stands(paper) is not None


def test_a_verdict_and_a_halt_that_collide_leave_a_verdict_from_before_it_or_none(paper: str) -> None:
    for turn in range(6):
        with writing(paper) as session:
            morning = build.SESSIONS[1] + timedelta(days=turn)
            asked = build.propose(session, terms(entry_session=morning), short_id=f"T-{turn}")
        barrier = Barrier(2)

        def approve(asked: object = asked, barrier: Barrier = barrier) -> bool:
            with Desk(paper) as desk:
                barrier.wait(10)
                return desk.approve(asked.id, digest=asked.digest, typed_id="", operator=ADA).accepted  # type: ignore[attr-defined]

        def stop(barrier: Barrier = barrier) -> bool:
            with Desk(paper) as desk:
                barrier.wait(10)
                return desk.halt(new_halt("now", ADA, AT)).accepted

        with ThreadPoolExecutor(2) as pool:
            verdict, halted = pool.submit(approve), pool.submit(stop)
            assert halted.result()
            state = scalar(paper, "select state from approvals where id = %s", asked.id)
            assert (state == ApprovalState.APPROVED) is verdict.result()
        assert lifting(paper).accepted


def test_a_lost_file_comes_back_and_a_lost_row_too(paper: str, tmp_path: Path) -> None:
    path = halt_path(tmp_path, "paper")
    write_halt(path, ASKED)
    assert read_halt(path) == ASKED
    found = together(paper, path)
    assert found == ASKED and scalar(paper, "select who from operations where kind = 'halt'") == "ada"
    path.unlink()
    assert together(paper, path) == ASKED and read_halt(path) == ASKED


def test_what_was_lifted_does_not_come_back_from_its_file(paper: str, tmp_path: Path) -> None:
    """As when it was lifted from another machine."""
    path = halt_path(tmp_path, "paper")
    write_halt(path, ASKED)
    together(paper, path)
    assert lifting(paper).accepted
    assert together(paper, path) is None and not path.exists() and stands(paper) is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"id": "x"}', "\x00\xff"])
def test_a_file_that_says_nothing_halts_all_the_same(paper: str, tmp_path: Path, text: str) -> None:
    path = halt_path(tmp_path, "paper")
    path.parent.mkdir()
    path.write_text(text)
    assert together(paper, path) is not None and stands(paper) is not None
    assert lifting(paper).accepted  # by hand the file goes with it; here the next look halts again
    assert together(paper, path) is not None


def test_killed_between_file_and_row_it_is_halted(paper: str, tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from datetime import UTC, datetime; from pathlib import Path;"
        "from storage.halt import new_halt; from storage.halt_file import write_halt;"
        "from storage.records import Operator;"
        "write_halt(Path(sys.argv[1]), new_halt('x', Operator(name='ada'), datetime.now(UTC)));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = halt_path(tmp_path, "paper")
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": "."},
    )
    assert done.returncode == -signal.SIGKILL
    assert stands(paper) is None and together(paper, path) is not None and stands(paper) is not None


def test_the_table_itself_holds_one_and_wants_a_name(paper: str) -> None:
    with Desk(paper) as desk:
        desk.halt(ASKED)
    with psycopg.connect(paper, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(
                "insert into halts (id, at, halted_by, halted_from, reason)"
                " values (gen_random_uuid(), now(), 'x', '', '')"
            )
        with pytest.raises(psycopg.errors.CheckViolation, match="ck_halts_lifted"):
            connection.execute("update halts set lifted_at = now(), lifted_by = '', lift_reason = 'x'")
