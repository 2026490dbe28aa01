"""Notices: each matter once and once more in its last hour, over a real wire, waiting when it is dead."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg
import pytest
from pydantic import SecretStr

from app.runtime.notices import notices_of
from app.runtime.notifying import Notifier, send
from storage.notices import Notice, NotifySettings, put, read_notices
from storage.records import OperationKind, uuid7
from storage.snapshot import DeskSnapshot, OperationRow
from storage.standstill import AbsenceRow, HaltRow
from tests.console.desks import NOW, approval_row
from tests.console.paper import a_paper_desk, a_troubled_desk
from tests.storage import desk_builder as build
from tests.storage.desk_builder import execute, scalar, writing

HOSTILE = "[/x] \x1b[31m<b>\r\nTO: x"


def keys(taken: DeskSnapshot, **changes: object) -> set[str]:
    told = notices_of(replace(taken, **changes), audit_head="7:abc", digests=True)  # type: ignore[arg-type]
    assert len({notice.key for notice in told}) == len(told)
    return {notice.key for notice in told}


def test_proposals_are_told_when_they_come_and_again_in_their_last_hour() -> None:
    quiet = replace(a_paper_desk(), approvals=())
    base = keys(quiet)
    later = approval_row(1, expires_at=NOW + timedelta(hours=14))
    soon = approval_row(1, expires_at=NOW + timedelta(minutes=59))
    late = approval_row(1, expires_at=NOW - timedelta(seconds=1))
    session = later.terms.entry_session
    assert keys(quiet, approvals=(later,)) - base == {f"approvals:{session}"}
    assert keys(quiet, approvals=(soon,)) - base == {f"approvals:{session}", f"approvals:{session}:last-hour"}
    assert keys(quiet, approvals=(late,)) - base == {f"approvals:{session}"}
    absence = AbsenceRow(id=uuid7(), since=NOW, until=NOW + timedelta(days=3), reason="x", told_by="ada")
    assert keys(quiet, approvals=(soon,), absence=absence) - base == set()


def test_a_halt_and_an_alarm_are_urgent_and_hostile_words_are_clean() -> None:
    halt = HaltRow(id=uuid7(), at=NOW, halted_by=HOSTILE, halted_from="", reason=HOSTILE)
    alarm = OperationRow(at=NOW, kind=OperationKind.UNPROTECTED, who="x", text=HOSTILE * 50)
    broken = OperationRow(at=NOW, kind=OperationKind.BACKUP, who="x", text="FAILED: no room")
    fine = OperationRow(at=NOW, kind=OperationKind.BACKUP, who="x", text="made")
    taken = replace(a_paper_desk(), halt=halt, operations=(alarm, broken, fine))
    told = {one.key: one for one in notices_of(taken, audit_head="", digests=False)}
    assert told[f"halt:{halt.id}"].urgent
    assert told[f"operation:unprotected:{NOW.isoformat()}"].urgent
    assert f"operation:backup:{NOW.isoformat()}" in told and len(told) >= 3
    assert all(text.isprintable() for one in told.values() for text in (one.title, one.text))
    assert all(len(one.text) <= 400 for one in told.values())


def test_a_troubled_desk_has_something_to_say() -> None:
    assert keys(a_troubled_desk())


@dataclass
class Receiver:
    """An HTTP server on loopback that takes what apprise posts, or does not."""

    got: list[dict[str, str]] = field(default_factory=list)
    takes: bool = True
    url: str = ""


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if receiver.takes:
                receiver.got.append(json.loads(body))
            self.send_response(200 if receiver.takes else 503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver.url = f"json://127.0.0.1:{server.server_port}/"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def paper(database: str) -> str:
    with writing(database) as session:
        build.found_paper(session)
    return database


def notifier(conninfo: str, url: str, **changes: object) -> Notifier:
    return Notifier(conninfo, NotifySettings(urls=SecretStr(url), **changes))


def test_what_happens_on_a_desk_arrives_once(paper: str) -> None:
    with receiving() as receiver:
        teller = notifier(paper, receiver.url)
        assert teller.look() == 0 and receiver.got == []
        execute(
            paper,
            "insert into halts (id, at, halted_by, halted_from, reason)"
            " values (gen_random_uuid(), now(), 'ada', '', 'flash crash')",
        )
        assert teller.look() == 1 and teller.look() == 0
        (told,) = receiver.got
        assert told["type"] == "warning" and "flash crash" in told["message"]
        assert scalar(paper, "select count(*) from notices where sent_at is not null") == 1


def test_a_dead_wire_waits_longer_each_time_and_is_given_up_and_noted(paper: str) -> None:
    with psycopg.connect(paper, autocommit=True) as connection:
        put(connection, [Notice(key="k", title="t", text="x")])
    with receiving() as receiver:
        receiver.takes = False
        teller = notifier(paper, receiver.url)
        assert teller.look() == 0
        wait = "select extract(epoch from due_at - clock_timestamp()) from notices"
        assert 50 < scalar(paper, wait) <= 60
        assert teller.look() == 0 and scalar(paper, "select attempts from notices") == 1
        for _ in range(11):
            execute(paper, "update notices set due_at = now()")
            teller.look()
        assert scalar(paper, "select given_up_at is not null from notices")
        said = scalar(paper, "select text from operations where kind = 'notify'")
        assert said == "given up: t: address 1 did not take it" and receiver.url not in said
        receiver.takes = True
        assert teller.look() == 0


def test_so_many_an_hour_and_what_is_urgent_at_once(paper: str) -> None:
    with psycopg.connect(paper, autocommit=True) as connection:
        added = put(connection, [Notice(key=f"k{n}", title=f"t{n}", text="x") for n in range(6)])
        assert added == 6 and put(connection, [Notice(key="k0", title="again", text="x")]) == 0
    with receiving() as receiver:
        teller = notifier(paper, receiver.url, an_hour=2)
        assert teller.look() == 2 and teller.look() == 0
        with psycopg.connect(paper, autocommit=True) as connection:
            put(connection, [Notice(key="u", title="now", text="x", urgent=True)])
        assert teller.look() == 1
        assert [told["title"] for told in receiver.got] == ["t0", "t1", "now"]
        with psycopg.connect(paper, autocommit=True) as connection:
            assert len(read_notices(connection, most=10)) == 7


def test_what_died_after_sending_sends_once_more_and_never_loses(
    paper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(paper, autocommit=True) as connection:
        put(connection, [Notice(key="k", title="t", text="x")])
    with receiving() as receiver:
        teller = notifier(paper, receiver.url)
        with monkeypatch.context() as broken:
            broken.setattr("app.runtime.notifying.mark_sent", _die)
            with pytest.raises(RuntimeError):
                teller.look()
        assert teller.look() == 1 and len(receiver.got) == 2


def _die(*_: object) -> None:
    raise RuntimeError("killed")


def test_an_address_is_never_said(caplog: pytest.LogCaptureFixture) -> None:
    secret = "json://user:hunter2@127.0.0.1:1/"
    said = send((secret, "nonsense://hunter2"), "t", "x", urgent=False)
    assert said == "address 1 did not take it; address 2 is none that apprise knows"
    assert "hunter2" not in caplog.text
    assert "hunter2" not in repr(NotifySettings(urls=SecretStr(secret)))
