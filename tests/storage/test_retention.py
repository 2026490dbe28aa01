"""Text that is too old goes, unless something still needs it; no figure, row or link changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trials
from hypothesis import strategies as st
from pydantic import ValidationError

from storage.audit import verify
from storage.exchanges import read_exchange
from storage.memory import Adjustment, AgentMemory, ToldNews
from storage.models import Approval, FrozenQuestion
from storage.quota_query import read_quota
from storage.records import AgentName, OrderState, PositionState, uuid7
from storage.retention import RetentionSettings, remove_old_text
from storage.snapshot_spend import read_spend
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, CLOSE, SESSIONS, execute, scalar, terms, writing
from tests.storage.test_proposals import change

Connection = psycopg.Connection[tuple[object, ...]]

RAW = {"llm_interactions": ("input_context", "output_result"), "news_items": ("title", "body")}
ASKED, ANSWERED = {"messages": [{"role": "user"}]}, {"text": "{}"}
# AAPL is proposed, MSFT is held, KO was traded, PEP was ordered and not bought, each of its evening.
EVENINGS = {"AAPL": SESSIONS[0], "MSFT": SESSIONS[1], "KO": SESSIONS[2], "PEP": SESSIONS[3]}
OPEN = ("AAPL", "MSFT")


@pytest.fixture
async def desk(database: str) -> str:
    """A desk with a trade in each state there is, and a change that waits since the fifth session."""
    with writing(database) as session:
        build.found_paper(session)
        approvals: dict[str, Approval] = {}
        for symbol, evening in EVENINGS.items():
            bound = terms(symbol=symbol, entry_session=evening + timedelta(days=1))
            decided = {} if symbol == "AAPL" else build.approved(decided_digest=bound.digest)
            approvals[symbol] = build.propose(session, bound, **decided)
        closed = {"state": PositionState.CLOSED, "closed_session": SESSIONS[5]}
        traded = build.position(approvals["KO"], **closed)
        session.add_all([build.position(approvals["MSFT"]), traded])
        session.add(build.order(approvals["PEP"], state=OrderState.SKIPPED))
        session.flush()
        session.add(build.outcome(traded, "50.00"))
    async with build.transaction(database) as session:
        waiting: Adjustment = change(session=SESSIONS[4])
        await AgentMemory(session).store_adjustment(waiting, now=CLOSE)
    return database


# -- what goes, and that nothing else does -------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A call to a model so many days and a minute ago."""

    agent: AgentName
    age: int
    about: str | None
    session: date | None
    voted: str | None  # it answered a vote on this symbol
    state: str
    answered: bool
    frozen: bool

    def goes(self, limits: RetentionSettings) -> bool:
        days = [limits.llm_text_days, limits.news_text_days if self.agent is AgentName.NEWS else 0]
        old = any(limit and self.age >= limit for limit in days)
        evening = any(self.session == EVENINGS[name] and self.about in (name, None) for name in OPEN)
        waits = self.agent is AgentName.LEARNING and self.session == SESSIONS[4]
        needed = self.frozen or self.voted in OPEN or evening or waits or self.state == "reserved"
        return old and not needed


@dataclass(frozen=True)
class Piece:
    """News of so many days and a minute ago, told before a session."""

    age: int
    about: tuple[str, ...]
    session: date

    def goes(self, limits: RetentionSettings) -> bool:
        needed = any(
            name in self.about and self.session >= EVENINGS[name] - timedelta(days=14) for name in OPEN
        )
        return 0 < limits.news_text_days <= self.age and not needed


SYMBOLS = st.sampled_from(tuple(EVENINGS))
AGES = st.integers(0, 120)
CALLS = st.builds(
    Call,
    agent=st.sampled_from(AgentName),
    age=AGES,
    about=st.none() | SYMBOLS,
    session=st.none() | st.sampled_from(SESSIONS),
    voted=st.none() | SYMBOLS,
    state=st.sampled_from(["settled", "released", "uncertain", "reserved"]),
    answered=st.booleans(),
    frozen=st.sampled_from([False, False, True]),
)
PIECES = st.builds(
    Piece,
    age=AGES,
    about=st.lists(SYMBOLS, max_size=2, unique=True).map(tuple),
    session=st.sampled_from([SESSIONS[0] - timedelta(days=20), *SESSIONS]),
)
DAYS = st.sampled_from([0, 0, 30, 31, 60, 119])
LIMITS = st.builds(RetentionSettings, llm_text_days=DAYS, news_text_days=DAYS)


@trials(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(st.lists(CALLS, max_size=12), st.lists(PIECES, max_size=6), LIMITS)
def test_retention_changes_no_figure_and_removes_only_old_text_nothing_needs(
    desk: str, calls: list[Call], pieces: list[Piece], limits: RetentionSettings
) -> None:
    with psycopg.connect(desk) as connection, connection.transaction(force_rollback=True):
        expected: dict[UUID, bool] = {}
        voted: set[tuple[AgentName, str]] = set()
        for call in calls:
            vote = call.voted if (call.agent, call.voted or "") not in voted else None
            voted.add((call.agent, vote or ""))
            stored = Call(**{**vars(call), "voted": vote})
            expected[_store(connection, stored)] = stored.goes(limits)
        expected |= {_tell(connection, piece): piece.goes(limits) for piece in pieces}
        before, figures = _everything(connection), _figures(connection)
        removed = remove_old_text(connection, limits, ADA)
        after = _everything(connection)
        assert _figures(connection) == figures
        assert _without_text(after) == _without_text(before)
        gone = {}
        for table, raw in RAW.items():
            for key, row in after[table].items():
                gone[UUID(key)] = row["text_removed_at"] is not None
                if gone[UUID(key)]:
                    assert not any(row[column] for column in raw)
                else:
                    assert row == before[table][key]
        assert gone == expected
        assert removed.calls + removed.news == sum(expected.values())
        # A second night finds nothing, and only the first has left a trace.
        assert remove_old_text(connection, limits, ADA).words.count(" 0 ") == 2
        traces = connection.execute("select text from operations where kind = 'retention'").fetchall()
        assert traces == ([(removed.words,)] if any(expected.values()) else [])


def _store(connection: Connection, call: Call) -> UUID:
    key = uuid7()
    connection.execute(
        "insert into llm_interactions (id, agent_name, symbol, session, input_context, output_result, model,"
        " tokens_used, input_tokens, output_tokens, cache_write_tokens, cache_read_tokens, thinking_tokens,"
        " cost_usd, reserved_usd, state, latency_ms, success, price_source, question, created_at)"
        " values (%(id)s, %(agent)s, %(about)s, %(session)s, %(asked)s, %(answer)s, 'm', 30, 20, 10, 0, 0, 0,"
        " case when %(state)s = 'released' then 0 else 0.02 end, 0.02, %(state)s, 700, %(answered)s, 'list',"
        " 'digest', now() - make_interval(days => %(age)s, mins => 1))",
        {
            **vars(call),
            "id": key,
            "asked": json.dumps(ASKED),
            "answer": json.dumps(ANSWERED) if call.answered else None,
        },
    )
    if call.voted:
        connection.execute(
            "insert into votes (id, deliberation_id, agent_name, stance, conviction, source, reason,"
            " veto_only, latency_ms, interaction_id)"
            " select gen_random_uuid(), id, %s, 'for', 0.7, 'm', 'r', false, 1, %s from deliberations"
            " where symbol = %s on conflict (deliberation_id, agent_name)"
            " do update set interaction_id = excluded.interaction_id",
            [call.agent, key, call.voted],
        )
    if call.frozen:
        connection.execute(
            "insert into frozen_questions (id, agent_name, interaction_id, session, decision, frozen_at)"
            " values (gen_random_uuid(), %s, %s, %s, 'for', now())",
            [call.agent, key, SESSIONS[0]],
        )
    return key


def _tell(connection: Connection, piece: Piece) -> UUID:
    key = uuid7()
    connection.execute(
        "insert into news_items (id, digest, session, source, title, body, fetched_at, symbols)"
        " values (%s, %s, %s, 'wire', 'A title', 'A text', now() - make_interval(days => %s, mins => 1), %s)",
        [key, str(key), piece.session, piece.age, list(piece.about)],
    )
    return key


def _everything(connection: Connection) -> dict[str, dict[str, dict[str, object]]]:
    """Every row of every table but the traces of the night itself."""
    tables = connection.execute(
        "select tablename from pg_tables where schemaname = 'public'"
        " and tablename not in ('operations', 'audit_log') order by 1"
    ).fetchall()
    found = {}
    for (table,) in tables:
        rows = connection.execute(f"select to_jsonb(t) from {table} t".encode()).fetchall()
        found[str(table)] = {_key(row): row for (row,) in rows if isinstance(row, dict)}
    return found


def _key(row: Mapping[str, object]) -> str:
    return str(row["id"]) if "id" in row else json.dumps(row, sort_keys=True)


def _without_text(
    tables: Mapping[str, Mapping[str, Mapping[str, object]]],
) -> dict[str, dict[str, dict[str, object]]]:
    return {
        table: {
            key: {
                name: value
                for name, value in row.items()
                if name not in (*RAW.get(table, ()), "text_removed_at")
            }
            for key, row in rows.items()
        }
        for table, rows in tables.items()
    }


def _figures(connection: Connection) -> tuple[object, ...]:
    spend = read_spend(connection)
    return spend.total_usd, spend.calls, spend.agents, spend.models, read_quota(connection)


# -- beside others -------------------------------------------------------------------------------------------


async def test_a_question_being_frozen_keeps_its_text_and_one_without_text_is_not_frozen(desk: str) -> None:
    old = Call(AgentName.RESEARCH, 90, "KO", EVENINGS["KO"], "KO", "settled", True, False)
    with psycopg.connect(desk) as connection:
        key = _store(connection, old)
    limits = RetentionSettings(llm_text_days=30)
    async with build.transaction(desk) as session:
        await AgentMemory(session).freeze_questions(AgentName.RESEARCH, most=40, now=CLOSE)
        with psycopg.connect(desk) as connection:  # not committed yet, and waited for by nobody
            assert remove_old_text(connection, limits, ADA).calls == 0
    with psycopg.connect(desk) as connection:
        assert remove_old_text(connection, limits, ADA).calls == 0
        connection.execute("delete from frozen_questions")
        assert remove_old_text(connection, limits, ADA).calls == 1
        found = read_exchange(connection, key)
        assert found is not None and found.text_removed_at is not None
        today = f"{found.text_removed_at:%Y-%m-%d}"
        assert found.parts == (("text", f"text removed on {today} by retention"),)
        assert (found.tokens, found.answered, dict(found.asked)) == (30, "", {})
    async with build.transaction(desk) as session:
        await AgentMemory(session).freeze_questions(AgentName.RESEARCH, most=40, now=CLOSE)
        assert await session.get(FrozenQuestion, key) is None
    assert scalar(desk, "select count(*) from frozen_questions") == 0
    with psycopg.connect(desk, autocommit=True) as connection:
        assert verify(connection).is_whole
        (trace,) = connection.execute("select payload from audit_log where payload like '%retention%'")
    assert "1 calls to models" in str(trace)


async def test_news_without_words_are_told_to_nobody_and_are_not_kept_a_second_time(desk: str) -> None:
    piece = ToldNews(
        digest="d",
        source="wire",
        title="Up",
        body="It rose.",
        published_at=None,
        fetched_at=CLOSE,
        symbols=("KO",),
    )
    async with build.transaction(desk) as session:
        assert await AgentMemory(session).store_news(SESSIONS[0], [piece]) == 1
    execute(
        desk,
        "insert into vendor_cache (endpoint, symbol, params, body, fetched_at, expires_at)"
        " values ('feed', '', 'x', '[{\"title\": \"Up\"}]', %s, %s)",
        CLOSE,
        CLOSE,
    )
    with psycopg.connect(desk) as connection:
        assert remove_old_text(connection, RetentionSettings(news_text_days=30), ADA).news == 1
    assert scalar(desk, "select body from vendor_cache") == []
    async with build.transaction(desk) as session:
        memory = AgentMemory(session)
        assert await memory.news_about("KO", SESSIONS[0]) == ()
        assert await memory.store_news(SESSIONS[0], [piece]) == 0


def test_a_limit_of_a_few_days_is_refused() -> None:
    for days in (1, 29, -1):
        with pytest.raises(ValidationError, match=r"30 days|greater than"):
            RetentionSettings(llm_text_days=days)
    assert not RetentionSettings().removes
