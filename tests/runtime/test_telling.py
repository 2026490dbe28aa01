"""A human who is not looking is told once of each thing, again while nobody sees it, and never too often."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.runtime.postman import Undelivered, deliver, harmless, spoken
from app.runtime.telling import look, plan, send
from storage.matters import Matter, read_matters
from storage.notices import NotifySettings, Told, claim, latest, mark_seen
from storage.records import NoticeKind, OperationKind, RunState, Severity, Slot, uuid7
from tests.standins.letterbox import Letterbox, letterbox
from tests.storage import desk_builder as build
from tests.storage.desk_builder import SESSIONS, execute, writing

Connection = psycopg.Connection[tuple[object, ...]]
NOW = datetime.now(UTC)


@pytest.fixture
def box() -> Iterator[Letterbox]:
    with letterbox() as opened:
        yield opened


@pytest.fixture
def desk(database: str) -> str:
    """A paper desk with one approval that waits, by its connection string."""
    with writing(database) as session:
        build.found_paper(session)
        build.propose(session, build.terms())
    return database


@pytest.fixture
def connection(desk: str) -> Iterator[Connection]:
    with psycopg.connect(desk, autocommit=True) as opened:
        yield opened


def told(box: Letterbox, **changes: object) -> NotifySettings:
    return NotifySettings.model_validate({"urls": SecretStr(box.url), "gap_s": 0} | changes)


def after(**span: float) -> datetime:
    return NOW + timedelta(**span)


def test_a_pending_approval_is_told_once_and_again_until_it_is_seen(
    connection: Connection, box: Letterbox
) -> None:
    settings = told(box)
    for minute in (0, 1, 29):
        look(connection, settings, after(minutes=minute))
        send(connection, "paper", settings, after(minutes=minute))
    assert [letter.title for letter in box.letters] == ["Quorum paper: 1 to see to"]
    assert "AAPL" in box.letters[0].message and "waits for a verdict" in box.letters[0].message
    for hour in (0.5, 1.0, 2.0, 2.1):
        look(connection, settings, after(hours=hour))
        send(connection, "paper", settings, after(hours=hour))
    assert [letter.title[-6:] for letter in box.letters] == ["see to", "see to", "URGENT"]
    assert "STILL after 2.0 h" in box.letters[-1].message
    assert mark_seen(connection, None, "ada", after(hours=3)) == 3
    look(connection, settings, after(days=3))
    assert send(connection, "paper", settings, after(days=3)) == 0


def test_what_ended_before_it_could_be_sent_is_not_told(
    connection: Connection, desk: str, box: Letterbox
) -> None:
    settings = told(box)
    look(connection, settings, NOW)
    execute(desk, "update approvals set state = 'rejected', decided_by = 'ada', decided_at = now()")
    look(connection, settings, after(seconds=5))
    assert send(connection, "paper", settings, after(seconds=5)) == 0 and not box.letters
    assert latest(connection, 5)[0].seen_by == "it ended"


def test_every_kind_of_trouble_is_read_from_the_rows(connection: Connection, desk: str) -> None:
    lately = datetime.now(UTC) - timedelta(minutes=20)
    with writing(desk) as session:
        session.add(build.operation("FAILED: no room", lately, kind=OperationKind.BACKUP))
        session.add(build.operation("the loop is stuck", lately, kind=OperationKind.LOOP))
        session.add(
            build.run(SESSIONS[0], Slot.SETTLE, state=RunState.FAILED, summary="no bars", desk_time=lately)
        )
        session.add(build.run(SESSIONS[0], Slot.DIGEST, summary="all well", desk_time=lately))
        session.add(
            build.run(SESSIONS[0], Slot.REGIME, **build.unfinished(RunState.QUEUED) | {"queued_at": lately})
        )
        session.add(build.leader(heartbeat_at=lately))
    execute(
        desk,
        "insert into halts (id, at, halted_by, halted_from, reason) values (%s, now(), 'ada', '', 'too odd')",
        uuid7(),
    )
    said = {matter.subject.split(":")[0]: matter for matter in read_matters(connection)}
    assert set(said) == {"approval", "backup", "loop", "run", "digest", "waits", "leader", "halt"}
    assert said["halt"].severity is said["run"].severity is said["leader"].severity is Severity.CRITICAL
    assert "audit head" in said["digest"].text and "FAILED: no room" in said["backup"].text
    execute(
        desk,
        "insert into absences (id, since, until, reason, told_by, told_from)"
        " values (%s, now(), now() + interval '1 day', 'sailing', 'ada', '')",
        uuid7(),
    )
    away = {matter.subject.split(":")[0] for matter in read_matters(connection)}
    assert away == set(said) - {"approval"}  # troubles are still told
    execute(desk, "update desk set kind = 'history', history_title = 'x', history_digest = 'x'")
    assert read_matters(connection) == ()


def test_messages_keep_their_pace_and_what_waits_goes_together(
    connection: Connection, desk: str, box: Letterbox
) -> None:
    settings = told(box, gap_s=60, most_an_hour=3)
    look(connection, settings, NOW)
    assert send(connection, "paper", settings, NOW) == 1
    lately = datetime.now(UTC)
    with writing(desk) as session:
        for slot in (Slot.REGIME, Slot.SCREEN):
            session.add(build.run(SESSIONS[0], slot, state=RunState.FAILED, summary="x", desk_time=lately))
    look(connection, settings, after(seconds=10))
    assert send(connection, "paper", settings, after(seconds=10)) == 0
    assert send(connection, "paper", settings, after(seconds=61)) == 2
    with writing(desk) as session:  # critical: at once
        session.add(build.run(SESSIONS[0], Slot.OPEN, state=RunState.FAILED, summary="x", desk_time=lately))
    look(connection, settings, after(seconds=62))
    assert send(connection, "paper", settings, after(seconds=62)) == 1
    with writing(desk) as session:
        session.add(build.run(SESSIONS[0], Slot.SETTLE, state=RunState.FAILED, summary="x", desk_time=lately))
    look(connection, settings, after(seconds=63))
    assert send(connection, "paper", settings, after(seconds=63)) == 0  # three this hour
    assert send(connection, "paper", settings, after(seconds=3663)) > 0
    assert len(box.letters) == 4


def test_what_is_not_taken_is_tried_again_later_and_later_and_says_nothing_secret(
    connection: Connection, box: Letterbox
) -> None:
    settings = told(box, urls=SecretStr(f"json://ada:hunter2@127.0.0.1:{box.port}/hunter3"))
    box.status = 503
    look(connection, settings, NOW)
    for minutes in (0, 0.5, 1, 2, 3, 5, 7):
        send(connection, "paper", settings, after(minutes=minutes))
    assert box.refused == 4  # at 0, 1, 3 and 7
    row = latest(connection, 1)[0]
    assert (row.attempts, row.sent_at) == (4, None) and row.last_error is not None
    assert "127.0.0.1" in row.last_error and "hunter" not in row.last_error
    box.status = 200
    assert send(connection, "paper", settings, after(hours=1)) == 1


def test_one_address_that_fails_does_not_make_the_other_be_told_twice(
    connection: Connection, box: Letterbox
) -> None:
    settings = told(box, urls=SecretStr(f"nonsense://x {box.url}"))
    look(connection, settings, NOW)
    assert send(connection, "paper", settings, NOW) == 1
    assert send(connection, "paper", settings, after(hours=1)) == 0 and len(box.letters) == 1
    assert "nonsense" in (latest(connection, 1)[0].last_error or "")


def test_without_addresses_nothing_is_written_and_nothing_sent(connection: Connection) -> None:
    assert look(connection, NotifySettings(), NOW) == send(connection, "paper", NotifySettings(), NOW) == 0
    assert latest(connection, 5) == ()


def test_two_that_look_and_send_at_once_tell_it_once(
    connection: Connection, desk: str, box: Letterbox
) -> None:
    settings = told(box)
    with psycopg.connect(desk, autocommit=True) as other:
        assert look(connection, settings, NOW) + look(other, settings, NOW) == 1
        claimed = claim(connection, settings, NOW)
        assert len(claimed) == 1 and claim(other, settings, NOW) == ()


@pytest.mark.long
def test_killed_after_sending_it_is_told_again_and_once_written(
    connection: Connection, desk: str, box: Letterbox
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, desk, box.url], check=False)
    assert killed.returncode == -9 and len(box.letters) == 1
    settings = told(box)
    look(connection, settings, datetime.now(UTC))
    assert len(latest(connection, 5)) == 1
    assert send(connection, "paper", settings, datetime.now(UTC) + timedelta(minutes=2)) == 1
    assert len(box.letters) == 2  # on the wire: at least once
    assert send(connection, "paper", settings, datetime.now(UTC) + timedelta(minutes=9)) == 0


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
import psycopg
from pydantic import SecretStr
from app.runtime import telling
from storage.notices import NotifySettings
settings = NotifySettings(urls=SecretStr(sys.argv[2]))
telling.mark_sent = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    telling.look(connection, settings, datetime.now(UTC))
    telling.send(connection, "paper", settings, datetime.now(UTC))
"""


def test_outside_text_neither_calls_everybody_nor_moves_a_cursor(box: Letterbox) -> None:
    deliver(
        [box.url], title="\x1b[2J@here", body="line\nand \x1b]0;x\x07@everyone \\n", severity=Severity.INFO
    )
    letter = box.letters[0]
    assert (letter.title, letter.message) == ("(at)here", "line\nand (at)everyone \\n")
    with pytest.raises(Undelivered, match="no Apprise address"):
        deliver(["nothing at all"], title="x", body="x", severity=Severity.INFO)
    assert harmless("a\nb") == "a b"


@given(
    st.text(min_size=1, alphabet=st.characters(codec="ascii")),
    st.sampled_from(["tgram", "slack", "json", "x"]),
)
def test_an_address_is_spoken_without_what_is_secret(secret: str, scheme: str) -> None:
    said = spoken(f"{scheme}://user:S3CRET{secret}@h/S3CRET")
    assert "S3CRET" not in said and "s3cret" not in said


KINDS = st.builds(
    Matter,
    kind=st.sampled_from(NoticeKind),
    subject=st.sampled_from(["a", "b", "c", "d"]),
    severity=st.sampled_from(Severity),
    text=st.text(max_size=900),
    stands=st.booleans(),
)


@given(
    st.lists(st.lists(KINDS, max_size=5, unique_by=lambda m: m.subject), min_size=1, max_size=12),
    st.lists(st.integers(1, 600), min_size=12, max_size=12),
    st.integers(0, 4),
)
def test_however_often_one_looks_no_step_of_a_subject_is_planned_twice(
    looks: list[list[Matter]], minutes: list[int], most_again: int
) -> None:
    settings = NotifySettings(most_again=most_again)
    now, rows, open_rows = NOW, set[tuple[str, int]](), dict[str, Told]()
    for matters, passed in zip(looks, minutes, strict=False):
        now += timedelta(minutes=passed)
        planned = plan(matters, list(open_rows.values()), frozenset(s for s, _ in rows), settings, now)
        for new in planned.new:
            assert (new.subject, new.step) not in rows
            assert 0 <= new.step <= most_again and len(new.text) <= 600
            rows.add((new.subject, new.step))
            before = open_rows.get(new.subject)
            since = before.since if before else now
            open_rows[new.subject] = Told(subject=new.subject, step=new.step, since=since)
        for subject in planned.ended:
            del open_rows[subject]
