"""What an operator does to the machine: taken whole with its trace, or refused and nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.desk import Desk
from storage.records import AgentName, CommandReceipt, OperationKind, Operator, RunState, Slot
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, CLOSE, SESSIONS, execute, scalar, writing

BOB = Operator(name="bob")
MANY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DUE = datetime(2026, 3, 3, 21, 20, tzinfo=UTC)

Rows = list[tuple[object, ...]]
Act = Callable[[Desk, Operator], CommandReceipt]


@pytest.fixture
def paper(database: str) -> str:
    """A paper desk with all its agents at rest; regime and research have slots, the others none."""
    with writing(database) as session:
        build.found_paper(session)
        session.add_all(build.agent_state(agent) for agent in AgentName)
        session.add(build.scheduled(Slot.REGIME, DUE, AgentName.REGIME))
        session.add(build.scheduled(Slot.SCREEN, DUE, AgentName.RESEARCH))
        session.add(build.scheduled(Slot.DELIBERATE, DUE + timedelta(minutes=5), AgentName.RESEARCH))
    return database


def everything(conninfo: str) -> dict[str, Rows]:
    """Every row a command may touch."""
    with psycopg.connect(conninfo) as connection:
        return {
            table: connection.execute(f"select * from {table} order by 1".encode()).fetchall()
            for table in ("agent_states", "leadership", "operations", "runs", "schedule", "workers", "desk")
        }


def operations(conninfo: str) -> Rows:
    with psycopg.connect(conninfo) as connection:
        return connection.execute("select kind, who, text from operations order by id").fetchall()


def doing(conninfo: str, act: Act, operator: Operator = ADA) -> CommandReceipt:
    with Desk(conninfo) as desk:
        return act(desk, operator)


def refused(conninfo: str, act: Act) -> str:
    """Why the command was refused; nothing may have changed."""
    before = everything(conninfo)
    receipt = doing(conninfo, act)
    assert not receipt.accepted
    assert everything(conninfo) == before
    return receipt.message


def accepted(conninfo: str, act: Act) -> str:
    """What the command's receipt says; it must have left one operation of that operator."""
    before = operations(conninfo)
    receipt = doing(conninfo, act)
    assert receipt.accepted, receipt.message
    (new,) = operations(conninfo)[len(before) :]
    assert new[1:] == (ADA.name, receipt.message)
    return receipt.message


def pause(agent: AgentName) -> Act:
    return lambda desk, operator: desk.pause_agent(agent, operator=operator)


def resume(agent: AgentName) -> Act:
    return lambda desk, operator: desk.resume_agent(agent, operator=operator)


def run_now(agent: AgentName) -> Act:
    return lambda desk, operator: desk.run_agent_now(agent, operator=operator)


def stop(desk: Desk, operator: Operator) -> CommandReceipt:
    return desk.stop_runtimes(operator=operator)


# -- pause and resume ----------------------------------------------------------------------------------------


def test_an_agent_is_paused_once_and_resumed_once(paper: str) -> None:
    assert accepted(paper, pause(AgentName.NEWS)) == "news paused"
    query = "select paused_by, abs(extract(epoch from now() - paused_at)) < 10, agent_name from agent_states"
    with psycopg.connect(paper) as connection:
        assert connection.execute(query + " where paused_by is not null").fetchall() == [
            ("ada", True, "news")
        ]
    assert refused(paper, pause(AgentName.NEWS)) == "news is paused already, by ada"
    assert accepted(paper, resume(AgentName.NEWS)) == "news resumed"
    assert (
        scalar(paper, "select count(*) from agent_states where paused_by is null and paused_at is null") == 6
    )
    assert refused(paper, resume(AgentName.NEWS)) == "news is not paused"
    assert [row[0] for row in operations(paper)] == [OperationKind.PAUSE, OperationKind.RESUME]


def test_an_agent_the_desk_does_not_have_is_neither_paused_nor_resumed(paper: str) -> None:
    execute(paper, "delete from agent_states where agent_name = 'learning'")
    assert refused(paper, pause(AgentName.LEARNING)) == "there is no agent learning on this desk"
    assert refused(paper, resume(AgentName.LEARNING)) == "learning is not paused"


# -- run now -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", RunState)
def test_only_what_was_skipped_or_failed_is_run_again(paper: str, state: RunState) -> None:
    with writing(paper) as session:
        session.add(build.run(SESSIONS[0], Slot.REGIME, state=state, summary="as it went"))
    if state in (RunState.SKIPPED, RunState.FAILED):
        said = accepted(paper, run_now(AgentName.REGIME))
        assert said == f"regime of {SESSIONS[0]} asked to run now, for regime"
        with psycopg.connect(paper) as connection:
            again = connection.execute("select state, asked_by, finished_at, seconds from runs").fetchone()
        assert again == (RunState.QUEUED, "ada", None, None)
        assert refused(paper, run_now(AgentName.REGIME)) == f"regime of {SESSIONS[0]} is queued already"
    elif state is RunState.DONE:
        said = refused(paper, run_now(AgentName.REGIME))
        assert said == (
            f"regime of {SESSIONS[0]} is done, and nothing is done twice; next at 2026-03-03 21:20Z"
        )
    else:
        assert refused(paper, run_now(AgentName.REGIME)) == f"regime of {SESSIONS[0]} is {state} already"


def test_the_next_time_is_told_in_utc_whatever_the_session_speaks(paper: str) -> None:
    with writing(paper) as session:
        session.add(build.run(SESSIONS[0], Slot.REGIME))
    said = refused(f"{paper} options='-c TimeZone=Asia/Tokyo'", run_now(AgentName.REGIME))
    assert said.endswith("; next at 2026-03-03 21:20Z")


def test_an_agent_that_was_never_due_has_nothing_to_run(paper: str) -> None:
    with writing(paper) as session:
        session.add(build.run(SESSIONS[0], Slot.SETTLE, state=RunState.FAILED))  # nobody's slot
    never = "has not been due yet: there is no run to do again"
    assert refused(paper, run_now(AgentName.RESEARCH)) == f"research {never}"
    assert refused(paper, run_now(AgentName.LEARNING)) == f"learning {never}"


RUNS = st.lists(
    st.tuples(st.sampled_from([Slot.REGIME, Slot.SCREEN, Slot.DELIBERATE]), st.sampled_from(RunState)),
    max_size=8,
)


@given(runs=RUNS)
@MANY
def test_run_now_touches_the_last_run_alone_and_never_one_that_is_done(
    paper: str, runs: list[tuple[Slot, RunState]]
) -> None:
    with writing(paper) as session:
        for number, (slot, state) in enumerate(runs):
            session.add(build.run(SESSIONS[0] + timedelta(days=number), slot, state=state))
    mine = [number for number, (slot, _) in enumerate(runs) if slot is not Slot.REGIME]
    last = runs[mine[-1]][1] if mine else None
    before = [state for _, state in runs]
    receipt = doing(paper, run_now(AgentName.RESEARCH))
    with psycopg.connect(paper) as connection:
        rows = connection.execute("select state from runs order by session").fetchall()
        left = connection.execute("select count(*) from operations").fetchone()
    execute(paper, "delete from runs; delete from operations")
    assert receipt.accepted == (last in (RunState.SKIPPED, RunState.FAILED))
    assert left == (int(receipt.accepted),)
    expected = [
        RunState.QUEUED if receipt.accepted and number == mine[-1] else state
        for number, state in enumerate(before)
    ]
    assert [row[0] for row in rows] == expected


# -- stop ----------------------------------------------------------------------------------------------------


def test_a_desk_nobody_ever_led_is_not_stopped(paper: str) -> None:
    assert refused(paper, stop) == "no runtime has ever led this desk"


def test_a_stop_is_left_for_the_leader_to_find(paper: str) -> None:
    with writing(paper) as session:
        session.add(build.leader())
    before = everything(paper)["leadership"]
    assert accepted(paper, stop) == "stop asked for"
    with psycopg.connect(paper) as connection:
        asked = connection.execute(
            "select stop_asked_by, abs(extract(epoch from now() - stop_asked_at)) < 10 from leadership"
        ).fetchall()
    assert asked == [("ada", True)]
    execute(paper, "update leadership set stops = 0, stop_asked_by = null, stop_asked_at = null")
    assert everything(paper)["leadership"] == before
    assert operations(paper) == [(OperationKind.STOP, "ada", "stop asked for")]


# -- announced -----------------------------------------------------------------------------------------------


def test_what_is_taken_is_announced_and_what_is_refused_is_not(paper: str) -> None:
    with Desk(paper) as watcher:
        assert not watcher.wait(0.01)
        doing(paper, pause(AgentName.RISK))
        assert watcher.wait(5)
        doing(paper, pause(AgentName.RISK))
        assert not watcher.wait(0.2)


# -- two at once ---------------------------------------------------------------------------------------------


def failed_run(conninfo: str) -> None:
    with writing(conninfo) as session:
        session.add(build.run(SESSIONS[0], Slot.REGIME, state=RunState.FAILED))


def paused(conninfo: str) -> None:
    execute(conninfo, "update agent_states set paused_by = 'eve', paused_at = now()")


@pytest.mark.parametrize(
    ("act", "prepare"),
    [
        (pause(AgentName.REGIME), None),
        (resume(AgentName.REGIME), paused),
        (run_now(AgentName.REGIME), failed_run),
    ],
    ids=["pause", "resume", "run now"],
)
def test_of_many_operators_at_once_exactly_one_wins(
    paper: str, act: Act, prepare: Callable[[str], None] | None
) -> None:
    if prepare is not None:
        prepare(paper)
    crowd = [Operator(name=f"operator {number}") for number in range(6)]
    ready = Barrier(len(crowd))

    def press(operator: Operator) -> CommandReceipt:
        with Desk(paper) as desk:
            assert desk.snapshot() is not None  # connected before the race begins
            ready.wait(timeout=20)
            return act(desk, operator)

    with ThreadPoolExecutor(len(crowd)) as pool:
        receipts = list(pool.map(press, crowd))
    winners = [operator.name for operator, receipt in zip(crowd, receipts, strict=True) if receipt.accepted]
    assert len(winners) == 1
    assert [row[1] for row in operations(paper)] == winners


def test_pause_and_resume_at_once_leave_as_many_operations_as_were_taken(paper: str) -> None:
    ready = Barrier(4)

    def press(number: int) -> int:
        act = (pause, resume)[number % 2](AgentName.NEWS)
        with Desk(paper) as desk:
            assert desk.snapshot() is not None
            ready.wait(timeout=20)
            return sum(act(desk, ADA).accepted for _ in range(15))

    with ThreadPoolExecutor(4) as pool:
        taken = sum(pool.map(press, range(4)))
    kinds = [row[0] for row in operations(paper)]
    assert len(kinds) == taken
    difference = kinds.count(OperationKind.PAUSE) - kinds.count(OperationKind.RESUME)
    assert difference == scalar(paper, "select count(*) from agent_states where paused_by is not null")


# -- who -----------------------------------------------------------------------------------------------------

HOSTILE = st.sampled_from(
    [
        "'; drop table operations; --",
        "\x1b[2J\x1b]0;owned\x07",
        "%s %(agent)s",
        "ada\nbob",
        "",
        "🦊" * 50,
        "\\",
    ]
) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@given(name=HOSTILE)
@MANY
def test_a_hostile_name_is_stored_as_it_is(paper: str, name: str) -> None:
    with writing(paper) as session:
        session.add_all([build.leader(), build.run(SESSIONS[0], Slot.REGIME, state=RunState.SKIPPED)])
    operator = Operator(name=name)
    for act in (pause(AgentName.RISK), resume(AgentName.RISK), run_now(AgentName.REGIME), stop):
        assert doing(paper, act, operator).accepted
    doing(paper, pause(AgentName.RISK), operator)
    names = [row[1] for row in operations(paper)]
    stored = scalar(
        paper,
        "select array[(select paused_by from agent_states where agent_name = 'risk'),"
        " (select asked_by from runs), (select stop_asked_by from leadership)]",
    )
    execute(
        paper,
        "delete from leadership; delete from runs; delete from operations;"
        "update agent_states set paused_by = null, paused_at = null",
    )
    assert names == [name] * 5
    assert stored == [name] * 3


# -- any order -----------------------------------------------------------------------------------------------

COMMANDS = st.lists(
    st.tuples(
        st.sampled_from([pause, resume, run_now]),
        st.sampled_from([AgentName.REGIME, AgentName.RESEARCH, AgentName.LEARNING]),
        st.sampled_from([ADA, BOB]),
        st.sampled_from([None, *RunState]),  # how the desk's last regime run stands by then
    ),
    max_size=12,
)


@given(commands=COMMANDS)
@MANY
def test_there_is_one_operation_for_each_command_taken_in_any_order(
    paper: str,
    commands: list[tuple[Callable[[AgentName], Act], AgentName, Operator, RunState | None]],
) -> None:
    with writing(paper) as session:
        session.add(build.run(SESSIONS[0], Slot.REGIME, state=RunState.FAILED))
    expected: list[tuple[str, str]] = []
    paused_now: set[AgentName] = set()
    state = RunState.FAILED
    with Desk(paper) as desk:
        for command, agent, operator, becomes in commands:
            if becomes is not None:
                state = becomes
                execute(paper, "update runs set state = %s", state)
            receipt = command(agent)(desk, operator)
            if command is run_now:
                may = (
                    agent is AgentName.REGIME
                    and agent not in paused_now
                    and state in (RunState.SKIPPED, RunState.FAILED)
                )
                state = RunState.QUEUED if may else state
            else:
                may = (agent in paused_now) == (command is resume)
                paused_now = paused_now ^ {agent} if may else paused_now
            assert receipt.accepted == may, receipt.message
            if may:
                expected.append((operator.name, receipt.message))
    left = [(str(who), str(text)) for _, who, text in operations(paper)]
    execute(
        paper,
        "delete from runs; delete from operations;update agent_states set paused_by = null, paused_at = null",
    )
    assert left == expected


def test_a_command_that_breaks_half_way_leaves_nothing(paper: str) -> None:
    execute(paper, "alter table operations add constraint no_pause check (kind <> 'pause')")
    before = everything(paper)
    with pytest.raises(psycopg.errors.CheckViolation):
        doing(paper, pause(AgentName.NEWS))
    assert everything(paper) == before


def test_history_has_no_agents_to_pause(database: str) -> None:
    with writing(database) as session:
        build.found_desk(session)
        session.add(build.run(SESSIONS[0], Slot.REGIME, desk_time=CLOSE))
    assert refused(database, pause(AgentName.REGIME)) == "there is no agent regime on this desk"
    assert "has not been due yet" in refused(database, run_now(AgentName.REGIME))
