"""Every row of the behaviour table, through the real SDK, against a real server and a real ledger."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from agents.gateway import NO_KEY, Gateway
from agents.llm.claude import Claude
from agents.llm.models import ModelSettings, Provider, RoleModel
from agents.llm.outcome import Answer, NoAnswer, Why
from agents.llm.pricing import PriceOverride
from storage.engine import open_engine
from storage.records import AgentName
from storage.spend import PostgresSpendLedger
from tests.standins.claude import ERRORS, ClaudeStandIn

from .desk import KEY, View, asking, budget, counted, question, rows, utc_now

HAIKU, SONNET = "claude-haiku-5-5", "claude-sonnet-5-5"


@pytest.mark.parametrize(
    ("scenarios", "calls"),
    [
        (["ok"], 1),
        (["thinking"], 1),
        (["fenced"], 1),
        (["plain usage"], 1),
        (["429 1 s", "ok"], 2),
        (["429", "ok"], 2),
        (["529", "529", "ok"], 3),
        (["500", "ok"], 2),
        (["502 HTML", "ok"], 2),
        (["504", "ok"], 2),
        (["bad JSON", "ok"], 2),
        (["wrong JSON", "ok"], 2),
        (["cut", "ok"], 2),
        (["cut", "bad JSON", "ok"], 3),
        (["529", "bad JSON", "529", "ok"], 4),
        (["more than bound"], 1),
    ],
)
async def test_an_answer_comes_and_the_ledger_holds_the_servers_bill(
    database: str, scenarios: list[str], calls: int
) -> None:
    with ClaudeStandIn() as claude:
        claude.play(*scenarios)
        async with asking(database, claude.url) as desk:
            answer = await desk.gateway.ask(question())
    assert isinstance(answer, Answer), answer
    assert isinstance(answer.value, View)
    assert answer.model == HAIKU
    assert len(claude.asked) == len(answer.interactions) == calls
    assert answer.cost_usd == counted(database) == counted(database, "settled")
    assert 0 <= answer.cost_usd - claude.bill < Decimal("0.000001")
    assert len(desk.waits) == len(desk.slept) == sum(name[:1].isdigit() for name in scenarios)
    kept = {row["id"]: row for row in rows(database)}
    assert list(kept) == list(answer.interactions)
    last = kept[answer.interaction_id]
    assert (last["success"], last["stop_reason"], last["prompt_id"]) == (True, "end_turn", None)
    assert last["over_reported"] is ("more than bound" in scenarios)


@pytest.mark.parametrize(
    ("scenarios", "why", "states", "parks"),
    [
        (["429"] * 3, Why.THROTTLED, ["released"] * 3, "model"),
        (["429 3600 s"], Why.THROTTLED, ["released"], "model"),
        (["429 never"], Why.THROTTLED, ["released"], "model"),
        (["429 limit"], Why.SPEND_LIMIT, ["released"], "key"),
        (["400 limit"], Why.SPEND_LIMIT, ["released"], "key"),
        (["529"] * 3, Why.OVERLOADED, ["released"] * 3, "model"),
        (["500"] * 3, Why.OVERLOADED, ["released"] * 3, "model"),
        (["502 HTML"] * 3, Why.OVERLOADED, ["released"] * 3, "model"),
        (["504"] * 3, Why.OVERLOADED, ["released"] * 3, "model"),
        (["400"], Why.BAD_REQUEST, ["released"], None),
        (["401"], Why.KEY_REFUSED, ["released"], "key"),
        (["402"], Why.SPEND_LIMIT, ["released"], "key"),
        (["403"], Why.KEY_REFUSED, ["released"], "key"),
        (["404"], Why.NO_MODEL, ["released"], "model"),
        (["413"], Why.BAD_REQUEST, ["released"], None),
        (["not JSON"], Why.GARBLED, ["uncertain"], None),
        (["text"], Why.GARBLED, ["uncertain"], None),
        (["array"], Why.GARBLED, ["uncertain"], None),
        (["no usage"], Why.GARBLED, ["uncertain"], None),
        (["null usage"], Why.GARBLED, ["uncertain"], None),
        (["negative usage"], Why.GARBLED, ["uncertain"], None),
        (["connection cut"], Why.UNREACHABLE, ["uncertain"], "key"),
        (["hang"], Why.TIMEOUT, ["uncertain"], "model"),
        (["refusal"], Why.REFUSED, ["settled"], None),
        (["refusal in words"], Why.REFUSED, ["settled"], None),
        (["new stop"], Why.INVALID, ["settled"], None),
        (["tool use"], Why.INVALID, ["settled"], None),
        (["pause"], Why.INVALID, ["settled"], None),
        (["cut", "cut"], Why.TRUNCATED, ["settled"] * 2, None),
        (["bad JSON", "wrong JSON"], Why.INVALID, ["settled"] * 2, None),
    ],
)
async def test_no_answer_is_a_value_and_what_may_have_been_billed_counts(
    database: str, scenarios: list[str], why: Why, states: list[str], parks: str | None
) -> None:
    timeout_s = 1.0 if scenarios == ["hang"] else 60.0
    with ClaudeStandIn() as claude:
        claude.play(*scenarios)
        async with asking(database, claude.url, ModelSettings(budget=budget(), timeout_s=timeout_s)) as desk:
            outcome = await desk.gateway.ask(question())
            again = await desk.gateway.ask(question())
    assert isinstance(outcome, NoAnswer)
    assert outcome.why is why, outcome
    assert outcome.reason
    kept = rows(database)[: len(states)]
    assert [row["state"] for row in kept] == states
    assert outcome.interactions == tuple(row["id"] for row in kept)
    assert not any(row["success"] for row in kept)
    assert all(row["error_message"] for row in kept)
    assert kept[-1]["park_scope"] == parks
    assert outcome.cost_usd == sum(Decimal(str(row["cost_usd"])) for row in kept)
    assert counted(database) >= claude.bill + claude.lost
    if parks is None:
        assert isinstance(again, Answer)
        assert outcome.resumes_at is None
    else:
        assert isinstance(again, NoAnswer)
        assert (again.why, again.resumes_at) == (Why.PARKED, outcome.resumes_at)
        assert outcome.resumes_at is not None
        assert outcome.resumes_at > utc_now()


async def test_a_refusal_without_a_word_costs_nothing(database: str) -> None:
    with ClaudeStandIn(scenario="refusal") as claude:
        async with asking(database, claude.url) as desk:
            outcome = await desk.gateway.ask(question())
    assert outcome.cost_usd == counted(database) == 0


async def test_an_hours_retry_after_is_not_slept_but_named(database: str) -> None:
    with ClaudeStandIn(scenario="429 3600 s") as claude:
        async with asking(database, claude.url) as desk:
            outcome = await desk.gateway.ask(question())
    assert isinstance(outcome, NoAnswer)
    assert outcome.resumes_at is not None
    assert 3500 < (outcome.resumes_at - utc_now()).total_seconds() <= 3600
    assert desk.slept == []


async def test_a_wait_says_until_when_and_why(database: str) -> None:
    with ClaudeStandIn() as claude:
        claude.play("429 1 s", "529")
        async with asking(database, claude.url) as desk:
            await desk.gateway.ask(question())
    assert desk.slept == [1.0, 0.875]
    until = desk.waits[0].until
    assert str(desk.waits[0]) == f"news waits until {until:%H:%M:%S}Z for {HAIKU}: HTTP 429: slow down"


async def test_nobody_there_is_a_value(database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with asking(database, f"http://127.0.0.1:{port}") as desk:
        outcome = await desk.gateway.ask(question())
    assert isinstance(outcome, NoAnswer)
    assert outcome.why is Why.UNREACHABLE
    assert [row["state"] for row in rows(database)] == ["released"] * 3


async def test_a_park_binds_other_processes_and_a_new_start_but_no_new_key(database: str) -> None:
    with ClaudeStandIn() as claude:
        claude.play("401")
        async with asking(database, claude.url) as desk:
            await desk.gateway.ask(question())
        async with asking(database, claude.url) as restarted:
            parked = await restarted.gateway.ask(question(AgentName.RESEARCH))
        async with asking(database, claude.url, key="sk-ant-new") as renewed:
            answer = await renewed.gateway.ask(question())
    assert isinstance(parked, NoAnswer)
    assert (parked.why, len(claude.asked)) == (Why.PARKED, 2)
    assert isinstance(answer, Answer)


async def test_a_cancelled_question_is_uncertain_and_the_gateway_goes_on(database: str) -> None:
    with ClaudeStandIn() as claude:
        claude.play("hang")
        async with asking(database, claude.url) as desk:
            task = asyncio.create_task(desk.gateway.ask(question()))
            while not claude.asked:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            answer = await desk.gateway.ask(question())
    assert isinstance(answer, Answer)
    assert [row["state"] for row in rows(database)] == ["uncertain", "settled"]


@pytest.mark.parametrize("scenario", ["ok", "529", "bad JSON", "hang"])
async def test_cancelled_at_any_moment_nothing_stays_open(database: str, scenario: str) -> None:
    """Wherever a question is cut off, its row ends, and counts what the server may have billed."""
    with ClaudeStandIn(scenario=scenario) as claude:
        async with asking(database, claude.url) as desk:
            await desk.gateway.check_models()  # what is slow at first is done
            for steps in range(0, 400, 25):
                task = asyncio.create_task(desk.gateway.ask(question()))
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task})
    assert {row["state"] for row in rows(database)} <= {"settled", "uncertain", "released"}
    assert counted(database) >= claude.bill


async def test_the_repair_shows_the_wrong_answer_as_data(database: str) -> None:
    with ClaudeStandIn() as claude:
        claude.play("wrong JSON")
        async with asking(database, claude.url) as desk:
            await desk.gateway.ask(question())
    first, second = claude.asked
    assert second["system"] == first["system"]
    assert second["messages"][0] == first["messages"][0]
    *blocks, closing = second["messages"][2]["content"]
    assert closing["type"] == "text"
    shown = json.loads(blocks[-1]["content"])
    assert shown["name"] == "previous_answer"
    assert "moon" in shown["content"]["answer"]
    assert any("stance" in problem for problem in shown["content"]["problems"])
    assert [row["success"] for row in rows(database)] == [False, True]


async def test_a_longer_try_has_twice_the_tokens(database: str) -> None:
    with ClaudeStandIn() as claude:
        claude.play("cut")
        async with asking(database, claude.url) as desk:
            await desk.gateway.ask(question())
    assert [body["max_tokens"] for body in claude.asked] == [3_000, 6_000]


async def test_the_longest_answer_of_all_needs_no_stream(database: str) -> None:
    settings = ModelSettings(budget=budget(), news=RoleModel(max_tokens=16_000))
    with ClaudeStandIn() as claude:
        claude.play("cut")
        async with asking(database, claude.url, settings) as desk:
            assert isinstance(await desk.gateway.ask(question()), Answer)
    assert claude.asked[-1]["max_tokens"] == 32_000


async def test_each_role_asks_its_own_model_with_its_own_effort(database: str) -> None:
    settings = ModelSettings(budget=budget(), risk=RoleModel(model=SONNET, effort="medium"))
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url, settings) as desk:
            for agent in AgentName:
                await desk.gateway.ask(question(agent))
    asked = {
        agent: (body["model"], body["output_config"]["effort"])
        for agent, body in zip(AgentName, claude.asked, strict=True)
    }
    assert asked == {
        AgentName.REGIME: (HAIKU, "low"),
        AgentName.NEWS: (HAIKU, "low"),
        AgentName.RESEARCH: (SONNET, "low"),
        AgentName.STRATEGY: (SONNET, "low"),
        AgentName.LEARNING: (SONNET, "low"),
        AgentName.RISK: (SONNET, "medium"),
    }


async def test_a_long_prefix_is_cached_and_the_cache_is_paid_to_the_last_digit(database: str) -> None:
    system = "Look at the figures, then at the figures again. " * 200
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url) as desk:
            for _ in range(3):
                await desk.gateway.ask(question(AgentName.RESEARCH, system=system))
    kept = rows(database)
    assert [bool(row["cache_write_tokens"]) for row in kept] == [True, False, False]
    assert [bool(row["cache_read_tokens"]) for row in kept] == [False, True, True]
    assert counted(database) == claude.bill > 0


async def test_the_same_question_for_the_same_work_is_paid_once(database: str) -> None:
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url) as desk:
            first = await desk.gateway.ask(question(key="2026-11-25 deliberate ACME"))
        async with asking(database, claude.url) as restarted:
            second = await restarted.gateway.ask(question(key="2026-11-25 deliberate ACME"))
            other = await restarted.gateway.ask(question(key="2026-11-26 deliberate ACME"))
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert (second.value, second.interaction_id) == (first.value, first.interaction_id)
    assert second.cost_usd == len(second.interactions) == 0
    assert isinstance(other, Answer)
    assert other.interaction_id != first.interaction_id
    assert len(claude.asked) == 2


async def test_a_compatible_server_works_through_validation_and_a_price_of_ones_own(database: str) -> None:
    free = PriceOverride.model_validate(
        dict.fromkeys(("input", "output", "cache_write_5m", "cache_write_1h", "cache_read"), 0)
        | {"as_of": "2026-11-01", "source": "own machine"}
    )
    settings = ModelSettings(
        provider=Provider.COMPATIBLE,
        cheaper_model="qwen3",
        news=RoleModel(model="qwen3"),
        budget=budget(),
        prices={"qwen3": free},
    )
    with ClaudeStandIn(models=("qwen3",), compatible=True) as server:
        server.play("bad JSON", "fenced")
        async with asking(database, server.url, settings) as desk:
            answer = await desk.gateway.ask(question())
            checks = {check.model: check for check in await desk.gateway.check_models()}
    assert isinstance(answer, Answer)
    body = server.asked[0]
    assert "effort" not in body["output_config"]
    assert "cache_control" not in body["system"][0]
    assert '"stance"' in body["system"][0]["text"]
    assert (rows(database)[0]["price_source"], str(rows(database)[0]["price_date"])) == (
        "own machine",
        "2026-11-01",
    )
    assert checks["qwen3"].usable is None


async def test_what_has_no_price_is_not_asked(database: str) -> None:
    settings = ModelSettings(budget=budget(), news=RoleModel(model="claude-haiku-4-20250514"))
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url, settings) as desk:
            outcome = await desk.gateway.ask(question())
    assert isinstance(outcome, NoAnswer)
    assert (outcome.why, claude.asked, rows(database)) == (Why.NO_PRICE, [], [])
    assert "QUORUM_LLM__PRICES" in outcome.reason


async def test_without_a_key_the_reason_says_what_to_do(database: str) -> None:
    engine = open_engine(database)
    settings = ModelSettings()
    gateway = Gateway(None, PostgresSpendLedger(engine, settings.budget.limits), settings)
    outcome = await gateway.ask(question())
    checks = await gateway.check_models()
    await engine.dispose()
    assert isinstance(outcome, NoAnswer)
    assert (outcome.why, outcome.reason) == (Why.NO_KEY, NO_KEY)
    assert {check.usable for check in checks} == {None}


# -- the models ----------------------------------------------------------------------------------------------


async def test_configured_models_are_checked_with_their_retirement(database: str) -> None:
    settings = ModelSettings(budget=budget(), news=RoleModel(model="claude-haiku-4-20250514"))
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url, settings) as desk:
            checks = {check.model: check for check in await desk.gateway.check_models()}
    assert checks[HAIKU].usable
    assert checks[HAIKU].retires_at == datetime(2027, 10, 7, tzinfo=UTC)
    assert checks[HAIKU].agents == (AgentName.REGIME, AgentName.RISK)
    wrong = checks["claude-haiku-4-20250514"]
    assert (wrong.usable, wrong.price_source) == (False, "")
    assert wrong.note == f"no such model; there are {HAIKU}, {SONNET}"


async def test_a_server_that_is_away_fails_no_check(database: str) -> None:
    async with asking(database, "http://127.0.0.1:9") as desk:
        checks = await desk.gateway.check_models()
    assert {check.usable for check in checks} == {None}
    assert all("Connect" in check.note for check in checks)


# -- the key -------------------------------------------------------------------------------------------------


async def test_the_key_is_in_no_reason_no_log_and_no_picture_of_an_object(
    database: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setitem(ERRORS, "401", (401, "authentication_error", f"invalid key {KEY}"))
    with ClaudeStandIn() as claude:
        claude.play("401")
        async with asking(database, claude.url) as desk:
            outcome = await desk.gateway.ask(question())
        told = repr([outcome, desk.gateway, desk.ledger, rows(database)])
    assert isinstance(outcome, NoAnswer)
    assert "[key]" in outcome.reason
    assert KEY not in told
    assert KEY not in caplog.text
    assert KEY not in repr(
        Claude(__import__("pydantic").SecretStr(KEY), base_url=None, provider=Provider.ANTHROPIC)
    )
    assert claude.requests[0].headers["authorization"] == f"Bearer {KEY}"
