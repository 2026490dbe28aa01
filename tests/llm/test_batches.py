"""Overnight work: half the price, its name stored before it is asked about, nothing lost by a crash."""

from __future__ import annotations

from decimal import Decimal

import psycopg

from agents.llm.answers import Misfit
from agents.llm.batches import Progress, Submitted
from agents.llm.models import ModelSettings, Provider
from agents.llm.outcome import NoAnswer, Why
from storage.records import AgentName
from tests.standins.claude import ClaudeStandIn

from .desk import Asking, View, asking, budget, counted, question, rows


async def collected(desk: Asking) -> Progress:
    """Ask until the batches have ended."""
    while (progress := await desk.batches.collect()).waiting:
        assert not progress.collected
    return progress


async def test_a_batch_costs_half_and_each_result_is_settled(database: str) -> None:
    asked = [question(AgentName.LEARNING, key=f"night {number}") for number in range(4)]
    with ClaudeStandIn(polls=3) as claude:
        claude.batch_results.extend(["succeeded", "errored", "expired", "canceled"])
        async with asking(database, claude.url) as desk:
            submitted = await desk.batches.submit(asked)
            assert isinstance(submitted, Submitted)
            stored = {row["batch_id"] for row in rows(database)}
            polled_before = [request.method for request in claude.requests]
            progress = await collected(desk)
            answers = [await desk.batches.read(one, View) for one in progress.collected]
            nothing_left = await desk.batches.collect()
    assert stored == {submitted.batch_id}
    assert polled_before == ["POST"]
    assert [isinstance(answer, View) for answer in answers].count(True) == 1
    kept = rows(database)
    assert sorted(str(row["state"]) for row in kept) == ["released"] * 3 + ["settled"]
    assert {row["batched"] for row in kept} == {True}
    assert 0 <= counted(database) - claude.bill < Decimal("0.000001")
    assert {one.interaction_id for one in progress.collected} == set(submitted.interactions)
    assert {one.idempotency_key for one in progress.collected} == {f"night {number}" for number in range(4)}
    assert nothing_left == Progress(collected=(), waiting=0, faults=())


async def test_a_batch_is_reserved_at_half_the_price_of_a_call(database: str) -> None:
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url) as desk:
            await desk.gateway.ask(question())
            await desk.batches.submit([question()])
    call, batched = (Decimal(str(row["reserved_usd"])) for row in rows(database))
    assert 0 <= batched - call / 2 < Decimal("0.00000001")


async def test_a_new_process_collects_what_another_handed_in(database: str) -> None:
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url) as desk:
            submitted = await desk.batches.submit([question()])
        async with asking(database, claude.url) as restarted:
            progress = await collected(restarted)
    assert isinstance(submitted, Submitted)
    assert [one.interaction_id for one in progress.collected] == list(submitted.interactions)
    assert [row["state"] for row in rows(database)] == ["settled"]


async def test_a_batch_whose_name_was_never_stored_is_found_by_our_ids(database: str) -> None:
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url) as desk:
            await desk.batches.submit([question(), question(AgentName.RISK)])
            with psycopg.connect(database) as connection:
                connection.execute("update llm_interactions set batch_id = null")  # as a kill leaves it
            first = await desk.batches.collect()  # it has not ended yet
            claude.polls = 0
            progress = await desk.batches.collect()
    assert first.collected == ()
    assert len(progress.collected) == 2
    assert [row["state"] for row in rows(database)] == ["settled"] * 2
    assert 0 <= counted(database) - claude.bill < Decimal("0.000001")


async def test_what_a_batch_answers_is_held_against_the_schema(database: str) -> None:
    with ClaudeStandIn(scenario="wrong JSON") as claude:
        async with asking(database, claude.url) as desk:
            await desk.batches.submit([question()])
            progress = await collected(desk)
            read = await desk.batches.read(progress.collected[0], View)
    assert isinstance(read, Misfit)
    row = rows(database)[0]
    assert (row["state"], row["success"]) == ("settled", False)


async def test_a_batch_that_does_not_fit_is_not_handed_in(database: str) -> None:
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url, ModelSettings(budget=budget(call_usd="0.0001"))) as desk:
            outcome = await desk.batches.submit([question()])
    assert isinstance(outcome, NoAnswer)
    assert (outcome.why, claude.requests) == (Why.BUDGET, [])


async def test_a_batch_that_is_refused_is_released(database: str) -> None:
    with ClaudeStandIn() as claude:
        async with asking(database, f"{claude.url}/s/ok/nowhere") as desk:
            outcome = await desk.batches.submit([question()])
    assert isinstance(outcome, NoAnswer)
    assert [row["state"] for row in rows(database)] == ["released"]


async def test_other_servers_take_no_batches(database: str) -> None:
    settings = ModelSettings(provider=Provider.COMPATIBLE, budget=budget())
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url, settings) as desk:
            outcome = await desk.batches.submit([question()])
    assert isinstance(outcome, NoAnswer)
    assert claude.requests == []
