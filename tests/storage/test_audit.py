"""The chain: everything with consequence is in it, and whoever alters, removes or adds anything is seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import schema
from storage.anchors import anchors_path, read_anchors, write_anchor
from storage.audit import AuditHead, AuditReport, DamageKind, read_head, read_log, verify
from storage.desk import Desk
from storage.errors import OperatorError
from storage.records import AgentName
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, execute, scalar, terms, writing
from tests.storage.test_schema import migrate

FORGE = """
    insert into audit_log (seq, at, event, subject, subject_id, payload, prev_hash, hash)
    select seq + 1, at, event, subject, subject_id, payload, hash, repeat('f', 64)
      from audit_log order by seq desc limit 1
"""


@pytest.fixture
def audited(database: str) -> str:
    """A desk that was founded, asked for a verdict, got it and took it back, and had an agent paused."""
    with writing(database) as session:
        build.found_desk(session)
        session.add(build.agent_state(AgentName.NEWS))
        approval = build.propose(session, terms())
        session.add(build.deposit("100000.00"))
    with Desk(database) as desk:
        assert desk.approve(approval.id, digest=approval.digest, typed_id="", operator=ADA).accepted
        assert desk.undo(approval.id, operator=ADA).accepted
        assert desk.pause_agent(AgentName.NEWS, operator=ADA).accepted
    return database


def look(conninfo: str, *anchors: AuditHead) -> AuditReport:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return verify(connection, anchors)


def head_of(conninfo: str) -> AuditHead:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        head = read_head(connection)
    assert head is not None
    return head


def past_the_guard(conninfo: str, statement: str, *values: object) -> None:
    """As somebody who owns the database and does not care."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(statement.encode(), values)


def test_what_was_done_is_in_the_chain_with_who_and_from_where(audited: str) -> None:
    report = look(audited, head_of(audited))
    assert report.is_whole and report.head is not None and report.rows == report.head.seq
    with psycopg.connect(audited, autocommit=True) as connection:
        verdicts = read_log(connection, subject="verdicts", most=5)
        (paused, *_) = read_log(connection, subject="operations", most=1)
        told = {row.subject for row in read_log(connection, most=100)}
    assert [row.event for row in verdicts] == ["insert", "insert"]
    assert all('"given_by": "ada"' in row.payload and "10.0.0.7" in row.payload for row in verdicts)
    assert '"origin": "/dev/pts/3 10.0.0.7"' in paused.payload
    assert told == {"desk", "approvals", "verdicts", "operations", "cash_events", "parameter_versions"}


@pytest.mark.parametrize(
    "statement",
    ["update audit_log set payload = '{}'", "delete from audit_log where seq = 1", "truncate audit_log"],
)
def test_the_chain_is_only_added_to(audited: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="only ever added to"):
        execute(audited, statement)
    assert look(audited).is_whole


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_column_of_any_row_that_is_altered_is_seen(audited: str, data: st.DataObject) -> None:
    last = head_of(audited).seq
    seq = data.draw(st.integers(1, last))
    column, value = data.draw(
        st.sampled_from(
            [
                ("payload", "payload || ' '"),
                ("event", "event || 'x'"),
                ("subject", "'fills'"),
                ("subject_id", "subject_id || '0'"),
                ("at", "at + interval '1 microsecond'"),
                ("prev_hash", "repeat('0', 63) || '1'"),
                ("hash", "repeat('0', 64)"),
                ("seq", f"{last + 5}"),
            ]
        )
    )
    before = scalar(audited, "select to_jsonb(a)::text from audit_log a where seq = %s", seq)
    past_the_guard(audited, f"update audit_log set {column} = {value} where seq = %s", seq)
    try:
        assert not look(audited).is_whole
    finally:
        past_the_guard(audited, "delete from audit_log where seq in (%s, %s)", seq, last + 5)
        past_the_guard(
            audited, "insert into audit_log select * from jsonb_populate_record(null::audit_log, %s)", before
        )
    assert look(audited).is_whole


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        ("delete from audit_log where seq = 2", DamageKind.REMOVED),
        ("delete from audit_log where seq = 1", DamageKind.REMOVED),
        (FORGE, DamageKind.ALTERED),
        ("delete from audit_log where seq > 3", DamageKind.CUT_OFF),
        ("delete from audit_log", DamageKind.CUT_OFF),
        ("delete from verdicts where verb = 'undone'", DamageKind.DIFFERS),
        ("update verdicts set given_by = 'bob'", DamageKind.DIFFERS),
        ("update cash_events set amount = amount + 0.01", DamageKind.DIFFERS),
        ("update operations set text = text || '.'", DamageKind.DIFFERS),
        (
            "insert into operations (id, at, kind, who, text)"
            " values (gen_random_uuid(), now(), 'stop', 'x', '')",
            DamageKind.DIFFERS,
        ),
    ],
)
def test_every_harm_has_its_name(audited: str, harm: str, kind: DamageKind) -> None:
    anchor = head_of(audited)
    past_the_guard(audited, harm)
    assert kind in {one.kind for one in look(audited, anchor).damage}


def test_two_rows_that_changed_places_are_seen(audited: str) -> None:
    for was, becomes in ((2, -1), (3, 2), (-1, 3)):
        past_the_guard(audited, "update audit_log set seq = %s where seq = %s", becomes, was)
    assert {one.seq for one in look(audited).damage} >= {2, 3}


def test_a_chain_rewritten_as_a_whole_is_not_the_one_that_was_anchored(audited: str) -> None:
    anchor = head_of(audited)
    past_the_guard(audited, "delete from audit_log where seq = %s", anchor.seq)
    execute(audited, "update desk set undo_s = undo_s + 1")  # the next event takes the number that is free
    assert look(audited).damage == () or look(audited).damage[0].kind is DamageKind.DIFFERS
    (damage,) = look(audited, anchor).damage
    assert damage.kind is DamageKind.REWRITTEN and damage.seq == anchor.seq


def test_writers_who_collide_make_one_chain_without_a_gap(audited: str) -> None:
    before = head_of(audited).seq

    def work(number: int) -> None:
        with psycopg.connect(audited) as connection:
            for turn in range(5):
                with connection.transaction(force_rollback=(number + turn) % 3 == 0):
                    connection.execute("update desk set undo_s = undo_s + 1")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    report = look(audited)
    assert report.is_whole and report.head is not None and report.head.seq == before + 20


def test_a_step_at_work_is_in_nobodys_way(audited: str) -> None:
    """The chain's lock is taken at commit: a long transaction that has written already holds it not yet."""
    with psycopg.connect(audited) as slow:
        slow.execute("update cash_events set note = note || '!'")
        with psycopg.connect(audited, autocommit=True) as quick:
            quick.execute("set lock_timeout = '5s'")
            quick.execute("update orders set note = 'x'")
            quick.execute("update desk set undo_s = undo_s + 1")
    assert look(audited).is_whole


def test_anchors_are_kept_once_each_and_a_half_written_one_is_none(audited: str, tmp_path: Path) -> None:
    path = anchors_path(tmp_path, "paper")
    assert read_anchors(path) == ()
    first = head_of(audited)
    assert write_anchor(path, first) and not write_anchor(path, first)
    with path.open("a") as file:
        file.write('{"at": "2026-0')
    assert read_anchors(path) == (first,)
    execute(audited, "update desk set undo_s = undo_s + 1")
    second = head_of(audited)
    assert write_anchor(path, second)
    assert read_anchors(path) == (first, second)
    assert look(audited, *read_anchors(path)).is_whole
    assert path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["{}", "[]", '{"seq": "x", "hash": "y", "at": "z"}', "\x00"])
def test_a_file_somebody_has_written_to_is_refused(audited: str, tmp_path: Path, damage: str) -> None:
    path = anchors_path(tmp_path, "paper")
    write_anchor(path, head_of(audited))
    path.write_text(f"{damage}\n{path.read_text()}")
    with pytest.raises(OperatorError, match="line 1 of"):
        read_anchors(path)


def test_a_desk_from_before_the_chain_begins_it_with_what_it_did(database: str) -> None:
    with writing(database) as session:
        build.found_desk(session)
        session.add(build.deposit("100000.00"))
    migrate(database, "downgrade", "0010")
    schema.upgrade(database)
    report = look(database)
    assert report.is_whole and report.rows >= 3
