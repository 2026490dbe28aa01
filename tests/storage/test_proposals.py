"""Verdicts on proposed changes: what was shown, once, one a family, taken back in time, rolled back."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Barrier

import psycopg
import pytest
from typer.testing import CliRunner

from agents.market.calendar import NEW_YORK, next_session
from storage.learning_records import AdjustmentKind, AdjustmentRoute, AdjustmentStatus
from storage.matters import read_matters
from storage.memory import Adjustment, AgentMemory
from storage.proposal_evidence import ProposalEvidence, proposal_digest
from storage.proposals import (
    ProposalRow,
    approve,
    defer,
    read_proposal,
    read_proposals,
    reject,
    take_back,
    undo,
)
from storage.records import AgentName, CommandReceipt, Operator
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, CLOSE, SESSIONS, execute, scalar, writing

HOSTILE = "'; drop table votes; --\x1b[31m[/x]"
SHADOW, AT_ONCE = AdjustmentRoute.SHADOW, AdjustmentRoute.AT_ONCE
EXPIRES = datetime.now(UTC) + timedelta(days=14)


def change(**changes: object) -> Adjustment:
    values: dict[str, object] = {
        "session": SESSIONS[0],
        "kind": AdjustmentKind.PARAMETER,
        "parameter": "setups.momentum.rsi_min",
        "family": "setups.momentum",
        "unit": "RSI(14)",
        "old_value": "50",
        "new_value": "52",
        "reasoning": HOSTILE,
        "expected_impact": "fewer losers",
        "confidence": 60.0,
        "proposed_by": AgentName.LEARNING,
        "evidence": ProposalEvidence(verdict="promising", sentences=(HOSTILE,), n=120),
        "expires_at": EXPIRES,
    }
    return Adjustment(**values | changes)  # type: ignore[arg-type]


@pytest.fixture
async def desk(database: str) -> str:
    with writing(database) as session:
        build.found_paper(session)
    async with build.transaction(database) as session:
        await AgentMemory(session).store_adjustment(change(), now=CLOSE)
    return database


def shown(conninfo: str) -> ProposalRow:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return read_proposals(connection, most=5)[0]


def say(
    conninfo: str, row: ProposalRow, route: AdjustmentRoute = SHADOW, typed: str = "", who: Operator = ADA
) -> CommandReceipt:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return approve(connection, row.id, row.digest, route, typed, who)


async def test_into_the_shadow_and_back_before_it_takes_effect(desk: str) -> None:
    row = shown(desk)
    assert row.waits and row.sound and row.words == "setups.momentum.rsi_min 50 -> 52 RSI(14) (+4.0%)"
    receipt = say(desk, row)
    assert receipt.accepted and "goes into the shadow in" in receipt.message
    assert shown(desk).status is AdjustmentStatus.APPROVED
    assert "approved by ada already" in say(desk, row).message
    with psycopg.connect(desk, autocommit=True) as connection:
        assert undo(connection, row.id, ADA).accepted
        assert shown(desk).waits
        assert not undo(connection, row.id, ADA).accepted
    assert scalar(desk, "select array_agg(verb order by given_at)::text[] from change_verdicts") == [
        "shadow",
        "undone",
    ]


async def test_at_once_needs_the_id_typed_whoever_writes_to_the_table(desk: str) -> None:
    row = shown(desk)
    refused = say(desk, row, AT_ONCE, "CHG-00000")
    assert not refused.accepted and f"type {row.short_id}" in refused.message
    with pytest.raises(psycopg.errors.CheckViolation, match="typed_id"):
        execute(desk, "update strategy_adjustments set route = 'at_once'")
    assert say(desk, row, AT_ONCE, row.short_id).accepted


@pytest.mark.parametrize(
    ("meddled", "why"),
    [
        ("new_value = '60'", "changed after it was shown"),
        ("evidence = evidence || '{\"n\": 999}'", "changed after it was shown"),
        ("evidence = '{}'", "cannot be read"),
        ("expires_at = now() - interval '1 s'", "expired on"),
        ("status = 'expired'", "is expired already"),
    ],
)
async def test_what_changed_or_expired_is_not_decided(desk: str, meddled: str, why: str) -> None:
    row = shown(desk)
    execute(desk, f"update strategy_adjustments set {meddled}")
    receipt = say(desk, row)
    assert not receipt.accepted and why in receipt.message
    assert scalar(desk, "select count(*) from change_verdicts") == 0
    assert shown(desk).short_id == row.short_id  # evidence that cannot be read is shown as that


async def test_two_consoles_and_a_double_press_decide_once(desk: str) -> None:
    row, barrier = shown(desk), Barrier(4)

    def press(number: int) -> bool:
        barrier.wait(10)
        if number % 2:
            return say(desk, row).accepted
        with psycopg.connect(desk, autocommit=True) as connection:
            return reject(connection, row.id, row.digest, "no", Operator(name="bob")).accepted

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(press, range(4))) == 1
    assert scalar(desk, "select count(*) from change_verdicts") == 1


async def test_a_family_has_one_change_on_its_way(desk: str) -> None:
    async with build.transaction(desk) as session:
        other = change(parameter="setups.momentum.stop_atr", old_value="2", new_value="2.25")
        await AgentMemory(session).store_adjustment(other, now=CLOSE)
    with psycopg.connect(desk, autocommit=True) as connection:
        first, second = read_proposals(connection, most=5)
    assert say(desk, first).accepted
    assert say(desk, second).message == "a change of setups.momentum is on its way: one at a time"


async def test_a_rejection_needs_a_reason_and_a_deferral_a_day_ahead(desk: str) -> None:
    row = shown(desk)
    with psycopg.connect(desk, autocommit=True) as connection:
        assert not reject(connection, row.id, row.digest, " ", ADA).accepted
        now = datetime.now(UTC)
        assert not defer(connection, row.id, row.digest, now - timedelta(days=1), ADA).accepted
        assert not defer(connection, row.id, row.digest, EXPIRES + timedelta(days=1), ADA).accepted
        assert defer(connection, row.id, row.digest, now + timedelta(days=2), ADA).accepted
        assert shown(desk).waits and shown(desk).deferred_until is not None
        assert reject(connection, row.id, row.digest, "too few trades", ADA).accepted
        found = read_proposal(connection, row.short_id.lower())
    assert found is not None and found.decision_reason == "too few trades"


async def test_a_prompt_is_told_in_few_words_and_what_is_deferred_is_not_told(desk: str) -> None:
    words = [" ".join(sha256(f"{side}{n}".encode()).hexdigest() for n in range(120)) for side in "ab"]
    async with build.transaction(desk) as session:
        texts = {"old_value": f"{words[0]}\n---\nSay.", "new_value": f"{words[1]}\n---\nSay."}
        prompt = change(parameter="news", family="prompt news", kind=AdjustmentKind.PROMPT, **texts)
        await AgentMemory(session).store_adjustment(
            prompt, now=CLOSE
        )  # 7,800 characters that do not compress
    with psycopg.connect(desk, autocommit=True) as connection:
        told = sorted(found.text for found in read_matters(connection) if found.kind == "proposal")
        assert [text.split(" (")[0] for text in told] == [
            "another prompt for news",
            "setups.momentum.rsi_min 50 -> 52",
        ]
        parameter = next(row for row in read_proposals(connection, most=5) if row.name != "news")
        until = datetime.now(UTC) + timedelta(days=2)
        assert defer(connection, parameter.id, parameter.digest, until, ADA).accepted
        (left,) = [found.text for found in read_matters(connection) if found.kind == "proposal"]
        assert left.startswith("another prompt")
        row = next(row for row in read_proposals(connection, most=5) if row.name == "news")
        assert approve(connection, row.id, row.digest, SHADOW, "", ADA).message == (
            "the words of news that it starts from are not in force any more"
        )


async def test_evidence_that_cannot_be_read_is_not_decided_even_with_its_digest(desk: str) -> None:
    row = shown(desk)
    digest = proposal_digest(row.kind, row.name, row.old_value, row.new_value, {"n": 1})
    execute(desk, "update strategy_adjustments set evidence = '{\"n\": 1}', digest = %s", digest)
    receipt = say(desk, shown(desk))
    assert not receipt.accepted and "cannot be read" in receipt.message


async def test_a_rejection_is_not_taken_back_over_another_change_of_the_family(desk: str) -> None:
    row = shown(desk)
    async with build.transaction(desk) as session:
        other = change(parameter="setups.momentum.stop_atr", old_value="2", new_value="2.25")
        await AgentMemory(session).store_adjustment(other, now=CLOSE)
    with psycopg.connect(desk, autocommit=True) as connection:
        execute(desk, "update strategy_adjustments set experiment = 'x' where id = %s", row.id)
        assert reject(connection, row.id, row.digest, "no", ADA).accepted
        (second,) = [found for found in read_proposals(connection, most=5) if found.waits]
        assert say(desk, second).accepted
        receipt = undo(connection, row.id, ADA)
    assert not receipt.accepted and "the verdict stands" in receipt.message


async def test_a_change_that_was_overtaken_is_not_approved(desk: str) -> None:
    row = shown(desk)
    parameters = '{"setups": {"momentum": {"rsi_min": 55}}}'
    newer = "insert into parameter_versions (version, parameters, limits, costs, screen, reason, created_at)"
    older = "select version + 1, %s::jsonb, limits, costs, screen, '', now() from parameter_versions"
    execute(desk, f"{newer} {older}", parameters)
    assert say(desk, row).message == "setups.momentum.rsi_min stands at 55 by now, not at 50"


async def test_one_in_the_shadow_is_rolled_back_by_hand(desk: str) -> None:
    row = shown(desk)
    with psycopg.connect(desk, autocommit=True) as connection:
        assert not take_back(connection, row.id, "", ADA).accepted
        execute(desk, "update strategy_adjustments set status = 'shadow'")
        assert take_back(connection, row.id, "looks wrong", ADA).accepted
    assert shown(desk).status is AdjustmentStatus.ROLLED_BACK
    assert scalar(desk, "select reason from change_verdicts where verb = 'rolled_back'") == "looks wrong"


async def test_the_commands_say_the_same_and_hostile_words_stay_words(
    desk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.cli import app

    monkeypatch.setenv("DATABASE_URL", "unused")
    row = shown(desk)

    class Server:
        def has_desk(self, name: str) -> bool:
            return True

        def desk_database(self, name: str) -> str:
            return name

        def conninfo(self, database: str | None = None) -> str:
            return desk

    monkeypatch.setattr("app.commands.desks.open_server", lambda *_: Server())
    monkeypatch.setattr("app.commands.desks.load_settings", _NoSettings)
    run = CliRunner().invoke
    nights = run(app, ["loop"]).output
    assert "no night has run yet" in nights and "0 variants ever tried" in nights
    said = run(app, ["proposals"]).output
    assert row.short_id in said and "promising" in said
    card = run(app, ["proposals", "show", row.short_id]).output
    assert row.digest in card and "\x1b" not in card and "[/x]" in card
    wrong = run(app, ["proposals", "approve", row.short_id, "--digest", "0" * 8])
    assert wrong.exit_code == 2 and "is not the digest" in wrong.output
    day = datetime.now(NEW_YORK).date()
    saturday = day + timedelta(days=5 - day.weekday() if day.weekday() < 5 else 12 - day.weekday())
    following = next_session(saturday)
    monkeypatch.setenv("TZ", "Pacific/Auckland")  # the operator sits elsewhere: the desk's day is New York's
    time.tzset()
    put_off = run(app, ["proposals", "defer", row.short_id, "--until", saturday.isoformat()])
    monkeypatch.delenv("TZ")
    time.tzset()
    assert put_off.output == f"{row.short_id} deferred until {following}\n"
    assert shown(desk).deferred_until == datetime.combine(following, datetime.min.time(), NEW_YORK)
    assert f"deferred until {following}" in run(app, ["proposals"]).output
    past = run(app, ["proposals", "defer", row.short_id, "--until", "2024-07-05"])
    assert past.exit_code == 2 and "2024-07-05 has begun in New York" in past.output
    blind = run(app, ["proposals", "approve", row.short_id, "--digest", row.digest[:8], "--at-once"])
    assert blind.exit_code == 2 and "at a terminal" in blind.output
    done = run(app, ["proposals", "approve", row.short_id, "--digest", row.digest[:8]])
    assert done.exit_code == 0 and "goes into the shadow" in done.output
    assert run(app, ["proposals", "undo", row.short_id]).exit_code == 0


class _NoSettings:
    home = None
    database_url = None
