"""The budget holds: under concurrency, across processes, through kills, whatever a server reports."""

from __future__ import annotations

import asyncio
import signal
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from agents.llm.models import Budget, ModelSettings
from agents.llm.outcome import Answer, NoAnswer, Why
from agents.llm.pricing import Prices
from agents.llm.questions import request_for
from storage.engine import open_engine
from storage.records import AgentName, uuid7
from storage.spend import CallNotOpen, PostgresSpendLedger, put_into_force
from storage.spending import (
    CallEnd,
    Caps,
    PlannedCall,
    Rung,
    SpendRefused,
    Standing,
    TokenCount,
    day_end,
    month_end,
    month_start,
)
from tests.forks import FORK, ended, forked
from tests.standins.claude import ClaudeStandIn

from .child import ask
from .desk import asking, budget, counted, question, rows

HAIKU = "claude-haiku-5-5"


def worst(agent: AgentName = AgentName.NEWS, model: str | None = None) -> Decimal:
    """The reservation of one test question."""
    models = ModelSettings()
    role = models.of(agent)
    request = request_for(
        question(agent),
        model=model or role.model,
        role=role,
        provider=models.provider,
        cache_prefix=Prices({}).worth_caching(model or role.model),
    )
    return Prices({}).worst(
        request.model, input_bytes=request.most_input_tokens, max_tokens=request.max_tokens
    )


def planned(
    dollars: str, *, agent: AgentName = AgentName.NEWS, key: str = "k", batched: bool = False
) -> PlannedCall:
    return PlannedCall(
        agent=agent,
        prompt_id=None,
        provider="anthropic",
        key_fingerprint=key,
        model=HAIKU,
        attempt=1,
        question="q",
        idempotency_key=None,
        batched=batched,
        symbol=None,
        session=None,
        input_context={},
        worst_usd=Decimal(dollars),
        price_source="test",
        price_date=None,
    )


DONE = CallEnd(error=None)
LOST = CallEnd(error="lost")


# -- under concurrency ---------------------------------------------------------------------------------------


async def test_two_hundred_at_once_under_a_cap_for_fifty_stay_under_it(database: str) -> None:
    day = worst() * 50
    options = ModelSettings(budget=budget(day_usd=f"{day:.4f}"), concurrency=32)
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url, options) as desk:
            outcomes = await asyncio.gather(*(desk.gateway.ask(question()) for _ in range(200)))
    answered = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    refused = {outcome.why for outcome in outcomes if isinstance(outcome, NoAnswer)}
    assert len(answered) == len(claude.asked) >= 50
    assert refused <= {Why.BUDGET}
    assert counted(database) <= day
    assert counted(database, "reserved", "uncertain") == 0
    assert abs(counted(database) - claude.bill) < Decimal("0.000001") * len(answered)


def test_processes_share_one_cap(database: str) -> None:
    day = f"{worst() * 10:.4f}"
    with ClaudeStandIn(scenario="not JSON") as claude:  # each call counts its worst case for good
        both = FORK.Barrier(2)
        children = [forked(ask, database, claude.url, 12, day, both) for _ in range(2)]
        assert [ended(child) for child in children] == [0, 0]
    kept = rows(database)
    assert [row["state"] for row in kept] == ["uncertain"] * len(claude.asked)
    assert len(kept) in (8, 9, 10)  # the ladder stops before the cap does
    assert counted(database) <= Decimal(day)


def test_a_call_whose_process_is_killed_counts_its_worst_case(database: str) -> None:
    with ClaudeStandIn(scenario="hang") as claude:
        child = forked(ask, database, claude.url, 3, "1", FORK.Barrier(1))
        while len(claude.asked) < 3:
            assert child.exitcode is None
            time.sleep(0.01)
        child.kill()
        assert ended(child) == -signal.SIGKILL
    assert counted(database) == 3 * worst()
    assert [row["state"] for row in rows(database)] == ["reserved"] * 3
    with psycopg.connect(database) as connection:
        connection.execute("update llm_interactions set created_at = created_at - interval '2 hours'")
    asyncio.run(_reserve_once(database))
    assert [row["state"] for row in rows(database)] == ["uncertain"] * 3 + ["reserved"]
    assert {row["error_message"] for row in rows(database)[:3]} == {"nobody came back to say what it cost"}


def test_killed_among_answers_the_ledger_counts_at_least_the_servers_bill(database: str) -> None:
    with ClaudeStandIn() as claude:
        child = forked(ask, database, claude.url, 40, "5", FORK.Barrier(1))
        while len(claude.asked) < 5:
            assert child.exitcode is None
            time.sleep(0.01)
        child.kill()
        assert ended(child) == -signal.SIGKILL
    assert claude.bill > 0
    assert counted(database, "settled") <= claude.bill <= counted(database, "settled", "reserved")


async def _reserve_once(database: str) -> None:
    engine = open_engine(database)
    await PostgresSpendLedger(engine, budget().limits).reserve(planned("0.01"), uuid7())
    await engine.dispose()


# -- whatever happens ----------------------------------------------------------------------------------------

AGENTS = (AgentName.NEWS, AgentName.RESEARCH)
Act = tuple[str, AgentName, int, int]
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["settle", "over", "release", "keep", "crash"]),
        st.sampled_from(AGENTS),
        st.integers(1, 40),  # the worst case, cents
        st.integers(0, 100),  # percent of it that it comes to
    ),
    min_size=1,
    max_size=25,
)


@given(acts=ACTS, together=st.integers(1, 8))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_order_of_calls_and_ends_takes_more_than_the_caps(
    database: str, acts: list[Act], together: int
) -> None:
    """Only what a server reports beyond the bound may pass a cap, and then it is flagged."""
    with psycopg.connect(database) as connection:
        connection.execute("truncate llm_interactions cascade")
    made, over = asyncio.run(_play(database, acts, together))
    kept = rows(database)
    assert {row["id"] for row in kept} == made  # none is lost, none is made up
    beyond = sum((over.values()), Decimal(0))
    assert counted(database) - beyond <= Decimal("1.00")
    for agent in AGENTS:
        own = [row for row in kept if row["agent_name"] == agent]
        extra = sum((over.get(row["id"], Decimal(0)) for row in own), Decimal(0))
        assert sum(Decimal(str(row["cost_usd"])) for row in own) - extra <= Decimal("0.60")
    assert {row["id"] for row in kept if row["over_reported"]} == set(over)
    assert all(Decimal(str(row["reserved_usd"])) <= Decimal("0.30") for row in kept)


async def _play(database: str, acts: list[Act], together: int) -> tuple[set[object], dict[object, Decimal]]:
    caps = budget(call_usd="0.30", agent_day_usd="0.60", day_usd="1.00", month_usd="1.50")
    engine = open_engine(database)
    ledger = PostgresSpendLedger(engine, caps.limits)
    turns = asyncio.Semaphore(together)
    made: set[object] = set()
    over: dict[object, Decimal] = {}

    async def one(act: Act) -> None:
        end, agent, cents, percent = act
        call = planned(f"{cents / 100}", agent=agent)
        interaction = uuid7()
        async with turns:
            try:
                await ledger.reserve(call, interaction)
            except SpendRefused:
                return
            made.add(interaction)
            match end:
                case "settle":
                    cost = call.worst_usd * percent / 100
                    await ledger.settle(interaction, DONE, cost=cost, tokens=TokenCount(input=1))
                case "over":
                    over[interaction] = Decimal("0.05")
                    cost = call.worst_usd + over[interaction]
                    await ledger.settle(interaction, DONE, cost=cost, tokens=TokenCount(input=9))
                case "release":
                    await ledger.release(interaction, LOST)
                case "keep":
                    await ledger.keep(interaction, LOST)

    await asyncio.gather(*(one(act) for act in acts))
    await engine.dispose()
    return made, over


async def test_a_call_ends_once(database: str) -> None:
    engine = open_engine(database)
    ledger = PostgresSpendLedger(engine, budget().limits)
    interaction = uuid7()
    with pytest.raises(CallNotOpen):
        await ledger.release(interaction, LOST)
    await ledger.reserve(planned("0.10"), interaction)
    await ledger.keep(interaction, LOST)
    await ledger.settle(
        interaction, DONE, cost=Decimal("0.04"), tokens=TokenCount()
    )  # it came back after all
    for end in (ledger.release, ledger.keep):
        with pytest.raises(CallNotOpen):
            await end(interaction, LOST)
    await engine.dispose()
    assert counted(database, "settled") == Decimal("0.04")


# -- caps, days and months -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caps", "spent", "says"),
    [
        ({"call_usd": "0.05"}, {}, "the call has $0.0500 left of $0.05"),
        ({"agent_day_usd": "0.15"}, {"news": "0.10"}, "news's day has $0.0500 left of $0.15"),
        ({"day_usd": "0.15"}, {"risk": "0.10"}, "the day has $0.0500 left of $0.15"),
        ({"month_usd": "0.15"}, {"risk": "0.10"}, "the month has $0.0500 left of $0.15"),
    ],
)
async def test_the_refusal_names_the_cap(
    database: str, caps: dict[str, str], spent: dict[str, str], says: str
) -> None:
    engine = open_engine(database)
    ledger = PostgresSpendLedger(engine, budget(**caps).limits)
    for agent, dollars in spent.items():
        await ledger.reserve(planned(dollars, agent=AgentName(agent)), uuid7())
    with pytest.raises(SpendRefused) as refused:
        await ledger.reserve(planned("0.1"), uuid7())
    await engine.dispose()
    assert str(refused.value) == f"may cost $0.1000, {says}"


async def test_yesterday_counts_for_the_month_alone_and_last_month_not_at_all(database: str) -> None:
    engine = open_engine(database)
    ledger = PostgresSpendLedger(engine, budget(day_usd="0.20", month_usd="0.35").limits)
    for moment in ("date_trunc('month', now(), 'UTC') - interval '1 s'", "date_trunc('month', now(), 'UTC')"):
        interaction = uuid7()
        await ledger.reserve(planned("0.10"), interaction)
        with psycopg.connect(database) as connection:
            connection.execute(
                f"update llm_interactions set created_at = {moment} where id = %s".encode(), [interaction]
            )
    standing = await ledger.standing()
    await ledger.reserve(planned("0.10"), uuid7())
    await engine.dispose()
    assert standing.month_usd == 0  # both are merely held
    assert counted(database) == Decimal("0.30")


async def test_other_processes_caps_are_those_in_force(database: str) -> None:
    engine = open_engine(database)
    async with AsyncSession(engine) as session, session.begin():
        await put_into_force(session, budget(day_usd="0.05").limits)
    generous = PostgresSpendLedger(engine, budget(day_usd="100").limits)
    with pytest.raises(SpendRefused):
        await generous.reserve(planned("0.10"), uuid7())
    async with AsyncSession(engine) as session, session.begin():
        await put_into_force(session, budget(day_usd="100").limits)
    await generous.reserve(planned("0.10"), uuid7())
    await engine.dispose()


@given(equity=st.decimals(-1000, 10_000_000, places=2))
def test_a_small_desk_spends_at_most_a_hundredth_of_itself_a_year(equity: Decimal) -> None:
    caps = Budget().limits.caps(equity)
    assert caps.day_usd <= 2
    assert caps.day_usd * 365 <= max(equity, Decimal(0)) / 100 + Decimal("0.000001")
    assert caps.agent_day_usd <= caps.day_usd
    assert caps.month_usd * 12 <= max(equity, Decimal(0)) / 100 + Decimal("0.000001")


def test_a_large_desk_has_two_dollars_a_day() -> None:
    caps = Budget().limits.caps(Decimal(100_000))
    assert (caps.day_usd, caps.month_usd) == (Decimal("2.00"), Decimal("40.00"))


# -- the ladder ----------------------------------------------------------------------------------------------

AT = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)


def standing(today: str, month: str) -> Standing:
    caps = Caps(call_usd=Decimal(1), agent_day_usd=Decimal(1), day_usd=Decimal(2), month_usd=Decimal(40))
    return Standing(at=AT, caps=caps, today_usd=Decimal(today), month_usd=Decimal(month))


@pytest.mark.parametrize(
    ("today", "month", "rung", "resumes"),
    [
        ("0", "0", Rung.FULL, day_end(AT)),
        ("1.20", "24", Rung.FULL, day_end(AT)),
        ("1.21", "2", Rung.CHEAPER, day_end(AT)),
        ("0.1", "24.1", Rung.CHEAPER, day_end(AT)),
        ("1.81", "2", Rung.RULES, day_end(AT)),
        ("0", "36.1", Rung.RULES, month_end(AT)),
        ("2.5", "3", Rung.RULES, day_end(AT)),
        ("0", "40", Rung.STOP, month_end(AT)),
        ("9", "41", Rung.STOP, month_end(AT)),
    ],
)
def test_the_ladder_is_what_is_left(today: str, month: str, rung: Rung, resumes: datetime) -> None:
    assert (standing(today, month).rung, standing(today, month).resumes_at) == (rung, resumes)


@given(st.lists(st.decimals(0, 100, places=2), min_size=2, max_size=2).map(sorted))
def test_more_spent_is_never_a_higher_rung(spent: list[Decimal]) -> None:
    order = list(Rung)
    less, more = (order.index(standing(str(dollars), str(dollars)).rung) for dollars in spent)
    assert less <= more


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001 - made aware below
def test_an_instant_lies_in_its_own_day_and_month(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    assert day_end(at) - timedelta(days=1) <= at < day_end(at)
    assert month_start(at) <= at < month_end(at)
    assert month_end(at).day == 1


async def test_short_of_money_the_cheaper_model_is_asked_and_then_nobody(database: str) -> None:
    options = ModelSettings(budget=budget(day_usd="1.00"))
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url, options) as desk:
            models = []
            for spent in ("0.00", "0.61", "0.30"):
                interaction = uuid7()
                await desk.ledger.reserve(planned(spent), interaction)
                await desk.ledger.keep(interaction, LOST)
                outcome = await desk.gateway.ask(question(AgentName.RESEARCH))
                models.append(outcome.model if isinstance(outcome, Answer) else outcome.why)
    assert models == ["claude-sonnet-5-5", HAIKU, Why.BUDGET]
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason.startswith("rules: $0.9")
    assert outcome.resumes_at is not None
    assert outcome.resumes_at.hour == 0


async def test_a_question_too_dear_for_its_model_goes_to_the_cheaper_one(database: str) -> None:
    call = worst(AgentName.RESEARCH, HAIKU) * 2
    options = ModelSettings(budget=budget(call_usd=f"{call:.4f}"))
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url, options) as desk:
            outcome = await desk.gateway.ask(question(AgentName.RESEARCH))
    assert isinstance(outcome, Answer)
    assert outcome.model == HAIKU


async def test_a_park_ends_by_itself(database: str) -> None:
    with ClaudeStandIn() as claude:
        claude.play("402")
        async with asking(database, claude.url) as desk:
            await desk.gateway.ask(question())
            with psycopg.connect(database) as connection:
                connection.execute("update llm_interactions set parked_until = now() - interval '1 s'")
            assert isinstance(await desk.gateway.ask(question()), Answer)
