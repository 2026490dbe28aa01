"""`quorum status`, `stop`, `agents`: what they tell of a desk, what they do to it, what they refuse."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.trading.limits import Limits
from app import cli
from storage.models import LadderReading
from storage.plain import clean, shortened, span
from storage.records import (
    AgentName,
    LimitInForce,
    LimitSource,
    OperationKind,
    Queue,
    Rung,
    RunState,
    Slot,
)
from storage.schema import known_revisions
from tests.databases import TemplateDatabases
from tests.forks import Said
from tests.storage import desk_builder as build
from tests.storage.desk_builder import execute, scalar, terms, writing
from tests.storage.test_schema import migrate

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\nleader     nobody\u202e\x9b5mend"
TODAY = datetime.now(UTC).date()  # only ever the name of a session


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Here:
    """Commands run in this process, on the test server's home."""

    databases: TemplateDatabases
    template: str
    run: Callable[..., Said]

    def refused(self, *arguments: str) -> str:
        """The one line a command is refused with; no desk may come of it."""
        before = self.databases.desks()
        said = self.run(*arguments)
        assert (said.code, said.out) == (2, ""), said.err
        lines = said.err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("quorum: ")
        assert self.databases.desks() == before
        return lines[0].removeprefix("quorum: ")

    def desk(self, name: str = "paper") -> str:
        """The connection string of a new database at the newest schema."""
        database = self.databases.desk_database(name)
        self.databases.copy(self.template, database)
        return self.databases.conninfo(database)


@pytest.fixture
def here(
    shared_home: Path,
    databases: TemplateDatabases,
    template: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Here]:
    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["quorum", *arguments])
        capsys.readouterr()
        code = cli.main()
        printed = capsys.readouterr()
        return Said(code, printed.out, printed.err)

    monkeypatch.setenv("QUORUM_HOME", str(shared_home))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    yield Here(databases, template, run)
    for desk in databases.desks():
        databases.drop_desk(desk)


@pytest.fixture
def paper(here: Here) -> str:
    """The desk `paper`, which nobody has led yet."""
    conninfo = here.desk()
    with writing(conninfo) as session:
        build.found_paper(session)
        session.add_all(build.agent_state(agent) for agent in AgentName)
    return conninfo


def lead(conninfo: str, **changes: object) -> None:
    """A leader that beats, also while a slow machine takes its time over the test."""
    beating: dict[str, object] = {"heartbeat_at": now() + timedelta(minutes=1)}
    with writing(conninfo) as session:
        session.add(build.leader(**beating | changes))


def work(conninfo: str) -> None:
    """An evening with a bit of everything, an hour ago."""
    hour_ago = now() - timedelta(hours=1)
    ended: dict[str, Any] = {"desk_time": hour_ago, "finished_at": hour_ago}
    no_quotes: dict[str, Any] = {**ended, "state": RunState.SKIPPED, "summary": "no quotes without a vendor"}
    with writing(conninfo) as session:
        session.add_all(
            [
                build.scheduled(Slot.REGIME, now() + timedelta(hours=3, minutes=5), AgentName.REGIME),
                build.scheduled(Slot.NEWS, now() + timedelta(hours=2), AgentName.NEWS, lacks="no news"),
                build.scheduled(Slot.SETTLE, now() - timedelta(minutes=10)),
            ]
        )
        session.add_all(
            [
                build.run(TODAY, Slot.REGIME, summary="BULL", late_s=300.0, **ended),
                build.run(TODAY, Slot.SCREEN, state=RunState.FAILED, summary="hung up", attempts=3, **ended),
                build.run(TODAY, Slot.OPEN, **no_quotes),
                build.run(TODAY, Slot.MARK_NOON, **no_quotes | {"desk_time": hour_ago - timedelta(hours=3)}),
                build.run(TODAY, Slot.DIGEST, asked_by="ada", **queued(hour_ago)),
                build.run(TODAY - timedelta(days=9), Slot.OPEN, summary="long ago"),
            ]
        )
        build.propose(session, terms(), risky=True, expires_at=now() + timedelta(minutes=30))
        session.add(build.position(build.propose(session, terms(symbol="MSFT"), **build.approved())))
        session.add(build.equity(TODAY, "100200.25"))
        session.add(build.worker(Queue.IO))
    build.job(conninfo, "compute")


def queued(desk_time: datetime) -> dict[str, Any]:
    return {**build.unfinished(RunState.QUEUED), "desk_time": desk_time}


def block(out: str, label: str) -> list[str]:
    """The rows of one block of the screen."""
    rows: list[str] = []
    inside = False
    for line in out.splitlines()[1:]:
        if line[:11].strip():
            inside = line[:11].strip() == label
        if inside:
            rows.append(line[11:])
    return rows


# -- status --------------------------------------------------------------------------------------------------


def test_a_led_desk_fits_on_one_screen(here: Here, paper: str) -> None:
    lead(paper)
    work(paper)
    said = here.run("status")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == "desk paper: paper, running"
    (leader,) = block(said.out, "leader")
    assert leader.startswith("pid 4711 on desk-1, number 3, for 2h00m since ")
    assert leader.endswith(", heartbeat 0.0 s ago")
    settle, news, regime = block(said.out, "next")
    assert settle.endswith("settle LATE 10m")
    assert news.endswith(" New York  news in 1h59m, will be skipped: no news")
    assert regime.endswith(" New York  regime in 3h04m")
    assert (
        block(said.out, "runs")
        == [
            "1 queued, 1 done, 2 skipped, 1 failed in the last 24 h",
            f"FAILED screen of {TODAY}, 3 attempts: hung up",
            f"queued digest of {TODAY}, asked for by ada",
            f"late regime of {TODAY}, 5m late: BULL",
            "skipped 2 (open, mark_noon): no quotes without a vendor",
        ]
        or "mark_noon, open" in said.out
    )
    assert block(said.out, "queues") == [
        "io: 0 waiting, 0 running, 1 worker",
        "compute: 1 waiting, 0 running; nobody serves compute: `quorum worker --queues compute`",
    ]
    assert [row.split()[0] for row in block(said.out, "agents")] == list(AgentName)
    pending, proposal = block(said.out, "approvals")
    assert pending == "1 pending"
    assert ": at most 100 AAPL on 2018-01-30 for 160.00 to 164.00 dollars, RISKY, expires in 29m" in proposal
    assert block(said.out, "positions") == ["1 open: MSFT not protected yet"]
    assert block(said.out, "equity") == [f"100,200.25 dollars as of the close of {TODAY}"]
    assert block(said.out, "quota") == ["no vendor"]
    assert block(said.out, "spend") == ["0.00 dollars today, 0.00 this month, 0 calls in all"]
    assert len(said.out.splitlines()) <= 30


def test_nobody_leads_and_what_to_do_about_it(here: Here, paper: str) -> None:
    said = here.run("status")
    assert (said.code, said.err) == (3, "")
    assert block(said.out, "leader") == ["nobody leads: `quorum run` or `./quorum --desk paper`"]
    assert block(said.out, "next") == ["nothing is scheduled: no runtime has led this desk yet"]
    assert block(said.out, "runs") == ["none in the last 24 h"]
    assert block(said.out, "equity") == ["100,000.00 dollars to begin with, no session settled yet"]
    lead(paper, ended_at=now() - timedelta(minutes=3))
    said = here.run("status")
    assert said.code == 3
    (leader,) = block(said.out, "leader")
    assert leader.startswith("nobody leads (last: pid 4711 on desk-1, left 3m ago): `quorum run` or")


def test_a_leader_that_fell_silent_is_called_frozen(here: Here, paper: str) -> None:
    lead(paper, heartbeat_at=now() - timedelta(minutes=2))
    said = here.run("status", "--desk", "paper")
    assert said.code == 3
    frozen, remedy = block(said.out, "leader")
    assert frozen == "pid 4711 on desk-1 is frozen or dead: silent for 2m"
    assert remedy == "`quorum run --standby` takes over; `kill -9 4711` is safe"


def test_remedies_name_the_desk_that_is_not_the_main_one(here: Here) -> None:
    conninfo = here.desk("other")
    with writing(conninfo) as session:
        build.found_paper(session, name="other")
    said = here.run("status", "--desk", "other")
    assert block(said.out, "leader") == ["nobody leads: `quorum run --desk other` or `./quorum --desk other`"]
    assert "`quorum worker --queues io --desk other`" in said.out


def test_a_stop_that_was_asked_for_is_shown_until_the_next_leader(here: Here, paper: str) -> None:
    lead(paper, stop_asked_at=now() - timedelta(minutes=2), stop_asked_by="ada")
    assert block(here.run("status").out, "leader")[1] == "asked to stop by ada 2m ago"
    execute(paper, "update leadership set since = now()")
    assert len(block(here.run("status").out, "leader")) == 1


def test_the_clock_is_shown_where_it_is_not_the_walls(here: Here, paper: str) -> None:
    assert block(here.run("status").out, "clock") == []
    anchored = "clock_from = '2026-01-05 15:00Z', clock_anchor = now() - interval '60 s'"
    execute(paper, f"update desk set clock_speed = 60, {anchored}")
    (clock,) = block(here.run("status").out, "clock")
    assert clock.startswith("2026-01-05 11:")
    assert clock.endswith(" New York, 60 times the wall's speed")


def test_a_replay_is_driven_not_led(here: Here) -> None:
    conninfo = here.desk("history")
    with writing(conninfo) as session:
        build.found_desk(session, name="history")
    said = here.run("status", "--desk", "history")
    assert said.code == 3
    assert said.out.startswith("desk history: history, running, A small history\n")
    assert "nobody replays it; the command that began it resumes, 0 sessions done" in said.out
    assert block(said.out, "queues") == []
    with psycopg.connect(conninfo, autocommit=True) as driver:
        driver.execute("select pg_advisory_lock(%s)", [0x51554F53])
        assert here.run("status", "--desk", "history").code == 0


def test_every_number_is_in_the_json(here: Here, paper: str) -> None:
    lead(paper)
    work(paper)
    said = here.run("status", "--json")
    assert (said.code, said.err, said.out.count("\n")) == (0, "", 1)
    told = json.loads(said.out)
    assert (told["desk"], told["led"], told["header"]["clock_speed"]) == ("paper", True, 1.0)
    assert told["leader"]["pid"] == 4711
    assert -60 <= told["heartbeat_age_s"] < 10
    assert datetime.fromisoformat(told["taken_at"]).utcoffset() == timedelta(0)
    assert told["run_counts"] == {"queued": 1, "running": 0, "done": 1, "skipped": 2, "failed": 1}
    assert {run["slot"] for run in told["runs"]} == {"regime", "screen", "open", "mark_noon", "digest"}
    assert [row["slot"] for row in told["schedule"]] == ["settle", "news", "regime"]
    assert told["due_in_s"]["news"] == pytest.approx(7200, abs=60)
    assert told["queues"][1] == {"queue": "compute", "waiting": 1, "running": 0, "workers": 0}
    assert [row["agent"] for row in told["agents"]] == list(AgentName)
    assert told["equity"] == {
        "session": str(TODAY),
        "equity": 100200.25,
        "cash": 83600.0,
        "heat": 0.0035,
        "drawdown": 0.0,
        "day_return": 0.001,
        "unsettled": 0.0,
        "settles_on": None,
    }
    (pending,) = told["pending"]
    assert (pending["terms"]["max_risk"], pending["risky"]) == (550.0, True)
    assert (told["quota"], told["spend"]["calls"]) == (None, 0)
    execute(paper, "delete from leadership")
    unled = here.run("status", "--json")
    assert (unled.code, json.loads(unled.out)["leader"]) == (3, None)


def test_outside_text_cannot_touch_the_terminal(here: Here, paper: str) -> None:
    lead(paper, host=HOSTILE, stop_asked_at=now() + timedelta(seconds=1), stop_asked_by=HOSTILE)
    with writing(paper) as session:
        session.add_all(
            [
                build.scheduled(Slot.REGIME, now() + timedelta(hours=1), AgentName.REGIME, lacks=HOSTILE),
                build.run(TODAY, Slot.REGIME, state=RunState.FAILED, summary=HOSTILE, desk_time=now()),
                build.run(TODAY, Slot.SCREEN, state=RunState.SKIPPED, summary=HOSTILE * 99, desk_time=now()),
                build.run(TODAY, Slot.DIGEST, asked_by=HOSTILE, **queued(now())),
            ]
        )
    execute(
        paper, "update agent_states set paused_by = %s, symbol = %s, working_since = now()", HOSTILE, HOSTILE
    )
    execute(paper, "update desk set history_title = %s", HOSTILE)
    for arguments in (["status"], ["agents"], ["desks", "list"]):
        said = here.run(*arguments)
        assert said.code == 0
        assert_harmless(said.out)
        assert "owned" not in said.out
        assert sum(line.startswith("leader") for line in said.out.splitlines()) == (arguments == ["status"])
        assert max(map(len, said.out.splitlines())) < 400
    for arguments in (["status", "--json"], ["agents", "--json"]):
        said = here.run(*arguments)
        assert_harmless(said.out)
        assert said.out.isascii()
    refused = here.refused("agents", "pause", "regime")
    assert_harmless(refused)
    assert "regime is paused already, by" in refused


def assert_harmless(out: str) -> None:
    """Lines of printable text, and nothing that moves a cursor or turns the writing round."""
    found = {character for character in out if unicodedata.category(character) in ("Cc", "Cf")}
    assert found <= {"\n"}, found


# -- stop ----------------------------------------------------------------------------------------------------


@contextmanager
def leader_that(conninfo: str, answers: str) -> Iterator[None]:
    """Somebody who carries out a statement once a stop has been asked for."""
    asked = "select stop_asked_at is not null from leadership"

    def wait_and_answer() -> None:
        give_up = time.monotonic() + 20
        while not scalar(conninfo, asked) and time.monotonic() < give_up:
            time.sleep(0.02)
        execute(conninfo, answers)

    thread = threading.Thread(target=wait_and_answer)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.long
def test_a_leader_that_leaves_is_seen_leaving(here: Here, paper: str) -> None:
    lead(paper)
    with leader_that(paper, "update leadership set ended_at = clock_timestamp()"):
        said = here.run("stop")
    assert said.code == 0
    assert said.out == "pid 4711 on desk-1 has stopped; nobody leads desk paper\n"
    assert said.err == "asked pid 4711 on desk-1 to stop\n"
    row = "select array[kind, who, text] from operations"
    assert scalar(paper, row) == [OperationKind.STOP, getpass.getuser(), "stop asked for"]
    assert here.run("status").code == 3


def test_a_leader_that_does_not_react_may_be_killed(here: Here, paper: str) -> None:
    lead(paper)
    said = here.run("stop", "--wait", "0.3")
    assert (said.code, said.out) == (2, "")
    asked, problem = said.err.splitlines()
    assert asked == "asked pid 4711 on desk-1 to stop"
    assert problem.startswith("quorum: pid 4711 on desk-1 still leads desk paper after 0.3 s; ")
    assert "`kill -9 4711` on desk-1 is safe" in problem


def test_a_leader_that_falls_silent_is_told_from_one_that_left(here: Here, paper: str) -> None:
    lead(paper, heartbeat_at=now())
    with leader_that(paper, "update leadership set heartbeat_at = now() - interval '6 s'"):
        said = here.run("stop")
    assert said.code == 0
    assert (
        "pid 4711 on desk-1 fell silent without taking leave; if it is still there, `kill -9 4711`"
        in said.out
    )


@pytest.mark.parametrize("pause", ["", "update leadership set ended_at = now(); select pg_sleep(0.7);"])
def test_a_successor_is_not_taken_for_the_end(here: Here, paper: str, pause: str) -> None:
    lead(paper)
    with leader_that(paper, f"{pause} update leadership set epoch = 4, pid = 5000, ended_at = null"):
        said = here.run("stop")
    assert said.code == 2
    assert "pid 4711 on desk-1 has stopped, but pid 5000 on desk-1 leads desk paper now" in said.err


def test_where_there_is_nobody_to_stop_nothing_is_asked(here: Here, paper: str) -> None:
    assert here.refused("stop") == "desk paper: nobody leads; there is nothing to stop"
    lead(paper, ended_at=now() - timedelta(minutes=3))
    assert here.refused("stop").startswith(
        "desk paper: nobody leads (last: pid 4711 on desk-1, left 3m ago);"
    )
    execute(paper, "update leadership set ended_at = null, heartbeat_at = now() - interval '1 min'")
    silent = here.refused("stop")
    assert silent.startswith("pid 4711 on desk-1 has been silent for 60s and would not hear of it; ")
    assert "`kill -9 4711` on desk-1 is safe" in silent
    execute(paper, "delete from leadership; update desk set kind = 'history', sessions_total = 10")
    assert here.refused("stop") == "desk paper is a replay, which no runtime leads; end the replay itself"
    assert scalar(paper, "select count(*) from operations") == 0


# -- agents --------------------------------------------------------------------------------------------------


def test_the_agents_are_listed_with_what_they_did_and_do_next(here: Here, paper: str) -> None:
    work(paper)
    execute(
        paper,
        "update agent_states set symbol = 'AAPL', working_since = now() - interval '30 s',"
        " paused_by = 'ada', paused_at = now() - interval '2 h' where agent_name = 'research'",
    )
    said = here.run("agents")
    assert (said.code, said.err) == (0, "")
    regime, research, news, *_ = said.out.splitlines()
    assert regime.startswith(f"regime    {TODAY}: BULL in 250 ms; next regime ")
    assert research == "research  PAUSED by ada for 2h00m; working on AAPL for 30s"
    assert news.startswith("news      has not worked yet; next news ")
    told = json.loads(here.run("agents", "--json").out)
    assert told["desk"] == "paper"
    assert (told["agents"][1]["paused_by"], told["agents"][0]["latency_ms"]) == ("ada", 250.0)


def test_failures_in_a_row_stand_out(here: Here, paper: str) -> None:
    with writing(paper) as session:
        session.add(build.scheduled(Slot.LEARN, now(), AgentName.LEARNING))
        for days in (1, 2, 3):
            failed: dict[str, Any] = {"state": RunState.FAILED, "summary": "no model", "seconds": None}
            session.add(build.run(TODAY - timedelta(days=days), Slot.LEARN, **failed))
    learning = here.run("agents").out.splitlines()[-1]
    assert learning.startswith(
        f"learning  FAILED 3 in a row; {TODAY - timedelta(days=1)}: no model; next learn "
    )
    assert learning.endswith(", due now")


def test_a_desk_no_runtime_has_led_has_no_agents_yet(here: Here) -> None:
    with writing(here.desk()) as session:
        build.found_paper(session)
    said = here.run("agents")
    assert (said.code, said.out) == (
        0,
        "no agent has worked on desk paper yet; `quorum status` tells what it lacks\n",
    )
    assert here.refused("agents", "pause", "news") == (
        "there is no agent news on this desk; nothing was changed; `quorum agents` tells how each stands"
    )


def test_an_agent_is_paused_resumed_and_hurried(here: Here, paper: str) -> None:
    work(paper)
    with writing(paper) as session:
        session.add(build.scheduled(Slot.SCREEN, now(), AgentName.RESEARCH))
    receipts = {
        ("agents", "pause", "risk"): "risk paused\n",
        ("agents", "resume", "risk", "--desk", "paper"): "risk resumed\n",
        ("agents", "--desk", "paper", "run-now", "research"): (
            f"screen of {TODAY} asked to run now, for research\n"
        ),
    }
    for arguments, receipt in receipts.items():
        said = here.run(*arguments)
        assert (said.code, said.out, said.err) == (0, receipt, "")
    who = "select array_agg(kind || ' ' || who order by id) from operations"
    me = getpass.getuser()
    assert scalar(paper, who) == [f"pause {me}", f"resume {me}", f"run_now {me}"]
    assert here.refused("agents", "run-now", "research").startswith(f"screen of {TODAY} is queued already; ")
    assert "regime of" in here.refused("agents", "run-now", "regime")
    assert here.refused("agents", "resume", "risk").startswith("risk is not paused; nothing was changed; ")
    assert scalar(paper, "select count(*) from operations") == 3


@pytest.mark.parametrize("word", ["pause", "resume", "run-now"])
def test_an_unknown_agent_is_refused_with_the_ones_there_are(here: Here, paper: str, word: str) -> None:
    assert here.refused("agents", word, "trader\x1b[2J") == (
        "there is no agent 'trader\\x1b[2J'; name one of: regime, research, news, strategy, risk, learning"
    )


# -- what cannot be told -------------------------------------------------------------------------------------

NEWEST = known_revisions()[-1]
EVERY = (["status"], ["stop"], ["agents"], ["agents", "pause", "news"], ["agents", "run-now", "news"])


@pytest.mark.parametrize("arguments", EVERY, ids=" ".join)
def test_a_desk_that_is_not_there_is_not_made(here: Here, arguments: list[str]) -> None:
    assert here.refused(*arguments) == "there is no desk paper; `quorum desks list` names those there are"
    assert "there is no desk other; " in here.refused(*arguments, "--desk", "other")
    assert "'../paper' is not a desk's name; " in here.refused(*arguments, "--desk", "../paper")


@pytest.mark.parametrize("arguments", EVERY, ids=" ".join)
def test_a_desk_of_another_schema_is_neither_read_nor_migrated(here: Here, arguments: list[str]) -> None:
    conninfo = here.desk()
    migrate(conninfo, "downgrade", "0001")
    assert here.refused(*arguments) == (
        f"desk paper is at schema 0001, older than this Quorum's {NEWEST}; "
        "bring it up with `quorum db upgrade --desk paper`"
    )
    assert scalar(conninfo, "select version_num from alembic_version") == "0001"
    execute(conninfo, "update alembic_version set version_num = '9999'")
    assert f"is at schema 9999, newer than this Quorum knows ({NEWEST}); update Quorum" in here.refused(
        *arguments
    )


@pytest.mark.parametrize("arguments", EVERY, ids=" ".join)
def test_a_database_that_is_not_a_desk_yet_is_called_empty(here: Here, arguments: list[str]) -> None:
    here.databases.create_desk("bare")
    empty = "desk bare is empty; `quorum run --desk bare` founds it"
    assert here.refused(*arguments, "--desk", "bare") == empty
    here.desk("unfounded")
    assert here.refused(*arguments, "--desk", "unfounded") == empty.replace("bare", "unfounded")


@pytest.mark.parametrize("arguments", EVERY, ids=" ".join)
def test_a_server_that_does_not_answer_is_named_without_its_password(
    here: Here, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:geheim@127.0.0.1:1/d")
    said = here.refused(*arguments)
    assert said.startswith("no database answers: ")
    assert said.endswith("; check DATABASE_URL and that the server runs")
    assert "geheim" not in said


# -- as processes --------------------------------------------------------------------------------------------


def stopped(conninfo: str) -> None:
    """The ladder has halted the desk after the first session."""
    with writing(conninfo) as session:
        session.add(build.version(2, limits=Limits().model_dump(mode="json")))
        session.add(
            LadderReading(
                session=build.SESSIONS[0],
                rung=Rung.HALT,
                drawdown=0.163,
                halted_since=build.SESSIONS[0],
                probation_left=0,
            )
        )


class Keyboard(StringIO):
    """A terminal at which these lines are typed."""

    def isatty(self) -> bool:
        return True


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr(sys, "stdin", Keyboard(typed))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def test_a_halted_desk_is_rearmed_by_typing_its_name(
    here: Here, paper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(paper)
    status = here.run("status").out
    assert (
        "ladder     HALTED since 2018-01-29, 16.3% below its high; `quorum rearm --reason ...` re-arms it"
        in status
    )
    at_a_terminal(monkeypatch, "papa\n")
    said = here.run("rearm", "--reason", "feed was wrong")
    assert (said.code, "quorum: 'papa' is not paper" in said.err) == (2, True)
    assert scalar(paper, "select count(*) from rearms") == 0
    at_a_terminal(monkeypatch, "paper\n")
    said = here.run("rearm", "--reason", "feed was wrong")
    assert said.code == 0, said.err
    assert said.out == (
        "re-armed (halted since 2018-01-29, 16.3% below its high): the close of 2018-01-29 is the new high, "
        "20 trades at quarter size; feed was wrong\n"
    )
    assert "HALTED since 2018-01-29" in said.err
    told = json.loads(here.run("status", "--json").out)
    assert told["ladder"] == {
        "session": "2018-01-29",
        "rung": "full",
        "drawdown": 0.0,
        "halted_since": None,
        "probation_left": 20,
    }
    assert here.run("agents").code == 0


def test_nobody_rearms_without_a_terminal_or_a_reason_or_a_halt(
    here: Here, paper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert here.refused("rearm", "--reason", "why not") == (
        "desk paper: nothing is halted; there is nothing to re-arm; see `quorum status`"
    )
    stopped(paper)
    assert here.refused("rearm", "--reason", "why not") == (
        "a desk is re-armed by typing its name at a terminal, and this is none; "
        "run the same command in a terminal"
    )
    at_a_terminal(monkeypatch, "paper\n")
    assert here.refused("rearm", "--reason", " \x1b[2J ").startswith("--reason says nothing")
    assert scalar(paper, "select count(*) from rearms") == 0


def test_the_limits_in_force_are_listed_with_who_set_them(here: Here, paper: str) -> None:
    assert here.refused("limits").startswith("desk paper has not reckoned its limits yet; ")
    heat = LimitInForce(name="heat", limit=0.03, bound=0.06, used=0.0123, source=LimitSource.POLICY)
    cash = LimitInForce(
        name="settled_cash",
        limit=0,
        bound=0,
        used=81_000.5,
        unit="usd",
        floor=True,
        source=LimitSource.DEFAULT,
    )
    with writing(paper) as session:
        figures = {"limits": [asdict(heat), asdict(cash)]}
        session.add(build.run(build.SESSIONS[0], Slot.DELIBERATE, result=figures))
    lines = here.run("limits").out.splitlines()
    assert lines[0] == "as of the evening of 2018-01-29"
    assert lines[2].split() == ["heat", "3.00%", "6.00%", "1.23%", "1.77%", "regime", "policy"]
    assert lines[3].split() == ["settled_cash", ">=", "0", "0", "81,000", "81,000", "default"]
    told = json.loads(here.run("limits", "--json").out)
    assert (told["desk"], told["session"], told["slot"]) == ("paper", "2018-01-29", "deliberate")
    assert told["limits"][0] == asdict(heat) | {"left": pytest.approx(0.0177)}


def test_settled_cash_is_told_from_what_is_still_to_come(here: Here, paper: str) -> None:
    with writing(paper) as session:
        session.add(
            build.equity(
                build.SESSIONS[0],
                "100000.00",
                unsettled=Decimal("3600.00"),
                settles_on=build.SESSIONS[1],
            )
        )
    out = here.run("status").out
    assert "cash       80,000.00 dollars settled, 3,600.00 settles on 2018-01-30" in out


@pytest.mark.long
def test_the_exit_codes_reach_the_shell(here: Here, paper: str) -> None:
    nobody = in_a_shell("status")
    assert (nobody.returncode, nobody.stderr) == (3, "")
    lead(paper, heartbeat_at=now() + timedelta(minutes=1))
    assert here.run("status", "--json").code == 0
    refused = in_a_shell("agents", "pause", "nobody")
    assert refused.returncode == 2
    assert refused.stderr.startswith("quorum: there is no agent 'nobody'; ")
    told = " ".join(here.run("status", "--help").out.split())
    assert "Exit code 0: it is led (or replayed). 3: nobody leads it." in told


def in_a_shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`quorum` as a shell starts it."""
    command = [sys.executable, "-m", "app.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


# -- plain words ---------------------------------------------------------------------------------------------


@given(st.text(), st.integers(4, 50))
def test_clean_text_is_one_harmless_line(text: str, longest: int) -> None:
    for safe in (clean(text), shortened(text, longest)):
        assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in safe)
        assert clean(safe) == safe
    assert len(shortened(text, longest)) <= longest


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0s"),
        (0, "0s"),
        (99.9, "99s"),
        (100, "1m"),
        (3_600, "1h00m"),
        (7_020, "1h57m"),
        (187_200, "2d04h"),
    ],
)
def test_a_span_is_no_finer_than_it_must_be(seconds: float, words: str) -> None:
    assert span(seconds) == words
