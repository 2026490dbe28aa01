"""Migrations: to the newest schema from anywhere, by anyone, and back; or a refusal that changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from storage import schema
from storage.desk import Desk
from storage.errors import OperatorError
from storage.models import Base, CorporateActionRow, LadderReading
from storage.records import (
    ActionKind,
    AgentName,
    CashKind,
    DeskKind,
    Direction,
    ExitReason,
    OperationKind,
    PositionState,
    Queue,
    Rung,
    RunState,
    SetupType,
    Slot,
)
from storage.server import MAIN_DESK, EmbeddedDatabases
from tests.databases import TemplateDatabases
from tests.forks import ended, forked
from tests.storage import desk_builder as build
from tests.storage.desk_builder import CLOSE, SESSIONS, approved, execute, scalar, terms, writing

ROOT = Path(__file__).resolve().parents[2]
NEWEST = schema.known_revisions()[-1]
UNFINISHED = (RunState.QUEUED, RunState.RUNNING)

DUMP = """
    select 'column', table_name, column_name, data_type, is_nullable, column_default, numeric_precision::text,
           numeric_scale::text, character_maximum_length::text, udt_name
      from information_schema.columns where table_schema = 'public' and table_name <> 'alembic_version'
    union all
    select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), contype::text,
           null, null, null, null, null
      from pg_constraint where connamespace = 'public'::regnamespace
       and conrelid::regclass::text <> 'alembic_version'
    union all
    select 'index', tablename, indexname, indexdef, null, null, null, null, null, null
      from pg_indexes where schemaname = 'public' and tablename <> 'alembic_version'
    union all
    select 'type', typname, typtype::text, null, null, null, null, null, null, null
      from pg_type where typnamespace = 'public'::regnamespace and typtype in ('e', 'd')
    order by 1, 2, 3, 4
"""


def dump(conninfo: str) -> list[tuple[object, ...]]:
    """Everything the migrations made, down to each constraint and index."""
    with psycopg.connect(conninfo) as connection:
        return connection.execute(DUMP).fetchall()


@pytest.fixture
def bare(databases: EmbeddedDatabases) -> Iterator[str]:
    """The connection string of a database no migration has seen."""
    name = f"bare_{uuid4().hex[:12]}"
    with psycopg.connect(databases.conninfo(), autocommit=True) as connection:
        connection.execute(f"create database {name}")
    yield databases.conninfo(name)
    with psycopg.connect(databases.conninfo(), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


def migrate(conninfo: str, action: str, *target: str) -> None:
    """An alembic command over a connection of ours."""
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=NullPool
    )
    configuration: Config = schema.alembic_config()
    with engine.connect() as connection:
        configuration.attributes["connection"] = connection
        getattr(command, action)(configuration, *target)


def test_an_empty_database_is_brought_to_the_newest_schema_and_then_left_alone(bare: str) -> None:
    assert schema.current_revision(bare) is None
    schema.upgrade(bare)
    assert schema.current_revision(bare) == NEWEST
    made = dump(bare)
    assert {row[1] for row in made if row[0] == "column"} == set(Base.metadata.tables)
    before = scalar(bare, "select xmin::text from alembic_version")
    schema.upgrade(bare)
    assert dump(bare) == made
    assert scalar(bare, "select xmin::text from alembic_version") == before


def test_the_models_and_the_migrations_agree(database: str) -> None:
    migrate(database, "check")


def test_every_rule_of_the_models_has_reached_the_database(database: str) -> None:
    tables = Base.metadata.tables.values()
    named = {str(rule.name) for table in tables for rule in table.constraints}
    named |= {str(index.name) for table in tables for index in table.indexes}
    there = {str(row[2]) for row in dump(database) if row[0] in ("constraint", "index")}
    assert named <= there


def test_up_down_and_up_again_give_the_same_schema(database: str) -> None:
    made = dump(database)
    migrate(database, "downgrade", "base")
    assert dump(database) == []
    assert schema.current_revision(database) is None
    migrate(database, "upgrade", "head")
    assert dump(database) == made
    assert len(made) > 200


# -- desks that hold something -------------------------------------------------------------------------------

Rows = dict[str, list[dict[str, object]]]


def rows(conninfo: str) -> Rows:
    """Every row of every table of ours, each as a mapping of its columns."""
    tables = "select tablename from pg_tables where schemaname = 'public' and tablename <> 'alembic_version'"
    with psycopg.connect(conninfo) as connection:
        return {
            str(table): [
                row
                for (row,) in connection.execute(
                    f"select to_jsonb(t) from {table} t order by to_jsonb(t)::text".encode()
                ).fetchall()
            ]
            for (table,) in connection.execute(tables.encode()).fetchall()
        }


def narrowed(wide: Rows, to: Rows) -> Rows:
    """The rows with only the tables and columns of the other."""
    return {
        table: [{name: row[name] for name in to[table][0]} for row in wide[table]] if to[table] else []
        for table in to
    }


@pytest.fixture
def history(database: str) -> str:
    """A desk of history in the middle of its work, with something in most tables."""
    with writing(database) as session:
        build.found_desk(session)
        session.add_all([*build.bars("AAPL", ["160", "161", None]), build.deposit("100000.00")])
        session.add_all([build.run(day, slot) for day in SESSIONS[:3] for slot in (Slot.SETTLE, Slot.DIGEST)])
        session.add(build.run(SESSIONS[3], Slot.SCREEN, state=RunState.SKIPPED))
        session.add_all([build.reading(SESSIONS[0], Direction.BULL), build.equity(SESSIONS[0], "100000.00")])
        session.add(build.screened(SESSIONS[0], "AAPL", "87.5"))
        made = build.propose(session, terms(), **approved())
        entry = build.order(made)
        held = build.position(made, state=PositionState.CLOSED, closed_session=SESSIONS[3])
        session.add_all([entry, held])
        session.flush()
        session.add_all([build.fill(entry, held, "162.0000"), build.outcome(held, "120.50")])
        build.propose(session, terms(symbol="MSFT"))
    return database


def but_the_brokers(tables: Rows) -> Rows:
    """Without the paper account and the audit chain, which a desk without begins when it is upgraded."""
    begun = ("paper_", "audit_log")
    return {name: found for name, found in tables.items() if not name.startswith(begun)}


def test_a_desk_made_by_the_first_schema_keeps_every_row(history: str) -> None:
    written = rows(history)
    migrate(history, "downgrade", "0001")
    old = rows(history)
    assert sum(len(kept) for kept in old.values()) > 25
    assert old == narrowed(written, old)
    schema.upgrade(history)
    new = rows(history)
    assert narrowed(new, old) == old
    assert but_the_brokers(new) == but_the_brokers(written)
    (desk,) = new["desk"]
    assert (desk["clock_speed"], desk["clock_from"], desk["clock_anchor"]) == (1, None, None)
    fresh = {"late_s": 0, "attempts": 1, "worker": "", "epoch": None, "asked_by": None, "queued_at": None}
    assert all({name: run[name] for name in fresh} == fresh for run in new["runs"])
    begun = {table for table in new if table not in old}
    assert begun == set(Base.metadata.tables) - set(old)
    carried = {"paper_actions", "paper_holdings", "paper_orders", "audit_log"}
    assert {table for table in begun if new[table]} <= carried
    with Desk(history) as read:
        taken = read.snapshot()
    assert taken is not None
    assert (taken.header.sessions_done, len(taken.pending), taken.leader) == (3, 1, None)


def test_the_first_schema_takes_back_what_it_can_hold_of_a_desk_at_work(database: str) -> None:
    made = dump(database)
    old_slots = [Slot.CUTOFF, Slot.SETTLE, Slot.DIGEST]
    with writing(database) as session:
        build.found_paper(session)
        session.add_all([build.leader(), build.worker(Queue.IO), build.operation("leads", CLOSE)])
        session.add_all(build.agent_state(agent) for agent in AgentName)
        session.add_all(build.scheduled(slot, CLOSE) for slot in Slot)
        session.add_all(build.run(SESSIONS[0], slot) for slot in Slot)
        for number, state in enumerate(RunState, start=1):
            ended = {"seconds": 0.25, "finished_at": CLOSE} if state not in UNFINISHED else {}
            changes = {**build.unfinished(state), **ended}
            session.add_all(build.run(SESSIONS[number], slot, **changes) for slot in old_slots)
    for queue in Queue:
        build.job(database, queue)
    migrate(database, "downgrade", "0001")
    kept = "select count(*), count(*) filter (where state = 'skipped'), count(distinct slot) from runs"
    with psycopg.connect(database) as connection:
        assert connection.execute(kept.encode()).fetchone() == (7 + 3 + 3, 3, 7)
        columns = "select last_session = first_session, sessions_total, kind from desk"
        assert connection.execute(columns.encode()).fetchone() == (True, 0, DeskKind.PAPER)
    assert scalar(database, "select to_regnamespace('procrastinate') is null")
    migrate(database, "upgrade", "head")
    assert dump(database) == made
    assert scalar(database, "select count(*) from runs") == 13
    assert scalar(database, "select count(*) from procrastinate.procrastinate_jobs") == 0
    build.job(database, Queue.IO)
    with Desk(database) as read:
        taken = read.snapshot()
    assert taken is not None
    assert (len(taken.runs), taken.queues[0].waiting, taken.agents) == (13, 1, ())


def test_a_desk_made_by_the_second_schema_keeps_every_row(history: str) -> None:
    written = rows(history)
    migrate(history, "downgrade", "0002")
    old = rows(history)
    assert "corporate_actions" not in old
    assert "realised" not in old["positions"][0]
    assert old == narrowed(written, old)
    schema.upgrade(history)
    assert but_the_brokers(rows(history)) == but_the_brokers(written)
    assert [held["realised"] for held in written["positions"]] == [0]
    assert {(event["position_id"], event["action_id"]) for event in written["cash_events"]} == {(None, None)}


def test_the_second_schema_keeps_the_money_of_what_it_has_no_words_for(history: str) -> None:
    made = dump(history)
    with writing(history) as session:
        paid = CorporateActionRow(
            symbol="AAPL",
            ex_date=SESSIONS[2],
            kind=ActionKind.DIVIDEND,
            value=Decimal("0.63"),
            source="test",
            applied_session=SESSIONS[2],
            late=False,
            note="dividend",
            created_at=CLOSE,
        )
        session.add(paid)
        session.flush()
        event = build.deposit("63.00")
        event.kind, event.action_id = CashKind.DIVIDEND, paid.id
        session.add(event)
        breakout = build.propose(session, terms(symbol="MSFT", entry_session=SESSIONS[6]), **approved())
        breakout.setup_type = SetupType.BREAKOUT
        held = build.position(breakout, setup_type=SetupType.MOMENTUM, state=PositionState.CLOSED)
        session.add(held)
        session.flush()
        session.add(build.outcome(held, "1.00", exit_reason=ExitReason.CORPORATE_ACTION))
    money = "select sum(amount), count(*) from cash_events"
    with psycopg.connect(history) as connection:
        before = connection.execute(money.encode()).fetchone()
    migrate(history, "downgrade", "0002")
    with psycopg.connect(history) as connection:
        assert connection.execute(money.encode()).fetchone() == before
        words = "select distinct setup_type, exit_reason from trade_outcomes order by 2"
        assert connection.execute(words.encode()).fetchall() == [
            ("oversold_bounce", "manual"),
            ("oversold_bounce", "take_profit"),
        ]
    migrate(history, "upgrade", "head")
    assert dump(history) == made
    assert scalar(history, "select count(*) from corporate_actions") == 0


def test_a_desk_made_by_the_third_schema_keeps_every_row(history: str) -> None:
    written = rows(history)
    migrate(history, "downgrade", "0003")
    old = rows(history)
    assert old == narrowed(written, old)
    schema.upgrade(history)
    assert but_the_brokers(rows(history)) == but_the_brokers(written)
    assert {(held["sold_shares"], held["sold_fees"]) for held in written["positions"]} == {(0, 0)}
    assert {(close["unsettled"], close["settles_on"]) for close in written["equity"]} == {(0, None)}


def test_the_third_schema_keeps_what_it_has_no_words_for_under_the_nearest(history: str) -> None:
    made = dump(history)
    with writing(history) as session:
        session.add(build.operation("re-armed", CLOSE, kind=OperationKind.REARM))
        session.add(LadderReading(session=SESSIONS[0], rung=Rung.HALT, drawdown=0.16, probation_left=0))
    execute(history, "update trade_outcomes set exit_reason = 'earnings'")
    migrate(history, "downgrade", "0003")
    assert scalar(history, "select string_agg(kind, ' ') from operations") == "resume"
    assert scalar(history, "select exit_reason from trade_outcomes") == "manual"
    migrate(history, "upgrade", "head")
    assert dump(history) == made


def test_a_desk_made_before_consensus_was_kept_says_so(history: str) -> None:
    written = rows(history)
    migrate(history, "downgrade", "0004")
    old = rows(history)
    assert "agent_measurements" not in old
    assert {"pooled", "dissent"}.isdisjoint(old["deliberations"][0])
    assert old == narrowed(written, old)
    schema.upgrade(history)
    assert narrowed(rows(history), old) == old
    (kept, *_) = rows(history)["deliberations"]
    assert (kept["consensus"], kept["base_rate"], kept["dissent"]) == (None, None, [])


@pytest.mark.parametrize("setup", SetupType)
def test_every_setup_can_be_stored(history: str, setup: SetupType) -> None:
    for table in ("deliberations", "approvals", "positions", "trade_outcomes"):
        execute(history, f"update {table} set setup_type = %s", setup)


def test_an_action_is_known_once_and_pays_once(history: str) -> None:
    action = """
        insert into corporate_actions (id, symbol, ex_date, kind, value, source, late, note, created_at)
        values (gen_random_uuid(), 'AAPL', '2018-02-01', 'dividend', 0.63, 'test', false, '', now())
    """
    execute(history, action)
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(history, action)
    paid = """insert into cash_events (id, kind, amount, position_id, action_id, session, note, created_at)
              select gen_random_uuid(), 'dividend', 63, p.id, a.id, '2018-02-01', '', now()
                from positions p, corporate_actions a"""
    execute(history, paid)
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(history, paid)


def test_the_queue_lives_in_a_schema_of_its_own(database: str) -> None:
    where = (
        "select array_agg(distinct schemaname::text) from pg_tables where tablename like 'procrastinate%%'"
    )
    assert scalar(database, where) == ["procrastinate"]


def test_a_database_of_a_newer_version_is_named_and_not_touched(database: str) -> None:
    execute(database, "update alembic_version set version_num = '9999'")
    execute(database, "create table of_the_future (id int)")
    before = dump(database)
    with pytest.raises(OperatorError, match="schema 9999, newer than this Quorum knows") as refused:
        schema.upgrade(database)
    assert "update Quorum" in refused.value.remedy
    assert schema.current_revision(database) == "9999"
    assert dump(database) == before


def test_four_starters_at_once_all_find_the_schema(bare: str) -> None:
    started = [forked(schema.upgrade, bare) for _ in range(4)]
    assert [ended(process) for process in started] == [0] * 4
    assert schema.current_revision(bare) == NEWEST
    assert scalar(bare, "select count(*) from alembic_version") == 1


def test_a_migration_that_fails_leaves_nothing_behind(bare: str) -> None:
    execute(bare, "create table votes (surprise int)")
    with pytest.raises(Exception, match="votes"):
        schema.upgrade(bare)
    tables = "select array_agg(table_name::text) from information_schema.tables where table_schema = 'public'"
    assert scalar(bare, tables) == ["votes"]


def test_revisions_form_one_line_in_the_order_of_their_numbers() -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(schema.alembic_config())
    assert [one.revision for one in script.walk_revisions()][::-1] == schema.known_revisions()
    assert script.get_heads() == [NEWEST]


@pytest.mark.long
def test_alembic_itself_goes_down_and_up_from_the_shell(
    shared_home: Path, databases: TemplateDatabases
) -> None:
    def alembic(*arguments: str) -> list[tuple[object, ...]]:
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=ROOT,
            env=os.environ | {"QUORUM_HOME": str(shared_home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return dump(paper)

    databases.make_desk(MAIN_DESK)
    try:
        paper = databases.conninfo(databases.desk_database(MAIN_DESK))
        made = dump(paper)
        assert alembic("downgrade", "base") == []
        assert alembic("upgrade", "head") == made
    finally:
        databases.drop_desk(MAIN_DESK)


CALL = """
    insert into llm_interactions (id, agent_name, input_context, model, tokens_used, input_tokens,
        output_tokens, cache_write_tokens, cache_read_tokens, thinking_tokens, cost_usd, reserved_usd, state,
        price_source, created_at)
    values (gen_random_uuid(), 'news', '{}', 'm', 0, 0, 0, 0, 0, 0, %s, 0.02, %s, 'list', now())
"""


def test_calls_of_an_older_schema_count_their_worst_case_from_now_on(history: str) -> None:
    migrate(history, "downgrade", "0003")
    for state in ("reserved", "settled", "released", "uncertain"):
        execute(history, CALL, Decimal("0.01"), state)
    schema.upgrade(history)
    with psycopg.connect(history) as connection:
        counted = connection.execute("select state, cost_usd from llm_interactions").fetchall()
    assert dict(counted) == {
        "reserved": Decimal("0.02"),
        "settled": Decimal("0.01"),
        "released": 0,
        "uncertain": Decimal("0.02"),
    }


@pytest.mark.parametrize(
    ("cost", "state"), [("-0.01", "settled"), ("0.01", "released"), ("0.01", "uncertain"), ("0", "reserved")]
)
def test_a_call_counts_for_what_its_state_says(history: str, cost: str, state: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="ck_llm_interactions_cost"):
        execute(history, CALL, Decimal(cost), state)
