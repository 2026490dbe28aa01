"""`quorum quota` and `quorum fmp`: every number told, refusals lifted, one line where there is nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.market.planner import Ask, SlotWant, plan_calls
from agents.market.quota import FmpQuota
from app.settings import load_settings
from storage.calls import CallFault, Priority
from storage.engine import open_engine
from storage.errors import OperatorError
from storage.quota import QuotaLedger
from storage.quota_plans import keep_plan
from tests.app.test_runtime_commands import HOSTILE, Here, block, here, paper
from tests.storage.test_quota import DONE, end, failed

__all__ = ["here", "paper"]

KEY = "geheim-3"


def told_by(conninfo: str, act: Callable[[QuotaLedger, AsyncEngine], Awaitable[None]]) -> None:
    """What a runtime does with the vendor's key."""

    async def work() -> None:
        engine = open_engine(conninfo)
        try:
            ledger = QuotaLedger(engine, KEY, FmpQuota().rules)
            await ledger.put_in_force()
            await act(ledger, engine)
        finally:
            await engine.dispose()

    asyncio.run(work())


async def a_day(ledger: QuotaLedger, _: AsyncEngine) -> None:
    """Two good calls, a refused symbol, a refused endpoint."""
    await end(ledger, DONE, job="settle of 2026-03-02")
    await end(ledger, DONE, symbol="MSFT", job="settle of 2026-03-02")
    await end(ledger, failed(CallFault.SYMBOL_NOT_IN_PLAN, note=HOSTILE), symbol="QQQ")
    await end(ledger, failed(CallFault.ENDPOINT_NOT_IN_PLAN), endpoint="batch-quote")


async def a_plan(ledger: QuotaLedger, engine: AsyncEngine) -> None:
    now = datetime.now(UTC)
    asks = (
        Ask(endpoint="quote", symbol="AAPL", typical_bytes=500),
        Ask(
            endpoint="profile",
            symbol="KO",
            typical_bytes=3_000,
            cached_at=now,
            expires_at=now + timedelta(days=9),
        ),
    )
    wants = [
        SlotWant(
            slot="settle",
            job=f"settle {days}",
            due_at=now + timedelta(days=days),
            priority=Priority.WATCHLIST,
            asks=asks,
        )
        for days in (2, 3)
    ]
    plan = plan_calls(now, [], wants, FmpQuota().rules)
    await keep_plan(engine, ledger.fingerprint, made_at=now, dry_at=plan.dry_at, slots=plan.rows())


def test_a_desk_that_has_asked_no_vendor_says_so_in_one_line(here: Here, paper: str) -> None:
    for words in (("quota",), ("quota", "--json"), ("fmp", "entitlements")):
        assert here.refused(*words) == (
            "desk paper has asked no vendor yet; set FMP_API_KEY and start its runtime: quorum run"
        )
    assert "there is no desk nowhere" in here.refused("quota", "--desk", "nowhere")


def test_what_was_used_and_what_is_left_is_told_with_whose_it_was(here: Here, paper: str) -> None:
    told_by(paper, a_day)
    said = here.run("quota")
    assert (said.code, said.err) == (0, "")
    assert block(said.out, "used") == ["4 of 250 calls in 24 h, 4 in the last hour"]
    assert block(said.out, "left") == ["231, besides 15 that only exits may use"]
    assert block(said.out, "forecast") == ["nothing is planned yet"]
    assert block(said.out, "reset") == ["at an hour not found out yet"]
    assert "   2  settle of 2026-03-02" in said.out
    assert "   1  batch-quote" in said.out
    assert block(here.run("status").out, "quota") == ["4 of 250 calls in 24 h, 231 left"]


def test_every_number_is_in_the_json_and_the_key_is_not(here: Here, paper: str) -> None:
    told_by(paper, a_day)
    told_by(paper, a_plan)
    said = here.run("quota", "--json")
    assert (said.code, said.err, said.out.count("\n")) == (0, "", 1)
    assert KEY not in said.out
    told = json.loads(said.out)
    assert (told["limit"], told["used"], told["remaining"], told["reserve"]) == (250, 4, 231, 15)
    assert told["by_job"] == {"mark_noon": 2, "settle of 2026-03-02": 2}
    assert told["by_endpoint"] == {"quote": 3, "batch-quote": 1}
    assert told["by_priority"] == {"watchlist": 4}
    assert told["forecast"] == "never today"
    (tomorrow,) = told["tomorrow"]
    assert (tomorrow["job"], tomorrow["calls"], tomorrow["served"]) == ("settle 2", 1, 1)
    assert (tomorrow["symbols"], tomorrow["endpoints"]) == (["AAPL"], ["quote"])


def test_tomorrows_plan_is_told_slot_by_slot(here: Here, paper: str) -> None:
    told_by(paper, a_plan)
    (slot,) = block(here.run("quota").out, "tomorrow")
    assert slot.endswith("settle (watchlist): 1 calls; 1 from the cache, the oldest 2d00h old; quote; AAPL")


def test_a_blocked_key_is_told_and_lifted(here: Here, paper: str) -> None:
    async def refused(ledger: QuotaLedger, _: AsyncEngine) -> None:
        await end(ledger, failed(CallFault.INVALID_KEY, 401))

    told_by(paper, refused)
    (blocked,) = block(here.run("quota").out, "BLOCKED")
    assert blocked.startswith("FMP refused the key ")
    assert block(here.run("status").out, "quota") == ["1 of 250 calls in 24 h, 234 left; FMP refused the key"]
    assert here.run("fmp", "unblock").out == "the vendor's key is tried again\n"
    assert here.refused("fmp", "unblock") == "no key is blocked; `quorum quota` shows how the key stands"
    assert block(here.run("quota").out, "BLOCKED") == []


def test_refusals_are_listed_and_forgotten(here: Here, paper: str) -> None:
    told_by(paper, a_day)
    lines = here.run("fmp", "entitlements").out.splitlines()
    assert lines[0].startswith("refused  batch-quote for every symbol: endpoint_not_in_plan since ")
    assert lines[1].startswith("refused  quote for QQQ: symbol_not_in_plan since ")
    assert lines[2:] == ["allowed  quote for 2: AAPL MSFT"]
    told = json.loads(here.run("fmp", "entitlements", "--json").out)
    assert [row["state"] for row in told["entitlements"]] == ["refused", "refused", "allowed", "allowed"]
    assert here.run("fmp", "forget", "qqq").out == "1 refused for qqq forgotten\n"
    assert here.refused("fmp", "forget", "qqq") == (
        "no refusal of qqq is remembered; `quorum fmp entitlements` lists them"
    )


def test_outside_text_cannot_touch_the_terminal(here: Here, paper: str) -> None:
    told_by(paper, a_day)
    for words in (("quota",), ("fmp", "entitlements"), ("fmp", "forget", HOSTILE)):
        said = here.run(*words)
        assert "\x1b" not in said.out + said.err
        assert "\u202e" not in said.out + said.err


# -- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"DAILY_CALLS": "251"}, "QUORUM_FMP__DAILY_CALLS is refused: .*the free plan allows at most 250"),
        ({"DAILY_CALLS": "0"}, "QUORUM_FMP__DAILY_CALLS is refused"),
        ({"BANDWIDTH_MB": "501"}, "QUORUM_FMP__BANDWIDTH_MB is refused: .*the free plan allows at most 500"),
        ({"EXITS_RESERVE": "4"}, "QUORUM_FMP__EXITS_RESERVE is refused"),
        ({"DAILY_CALLS": "20", "EXITS_RESERVE": "20"}, "it leaves none of the 20 calls a day"),
    ],
)
def test_the_free_plan_can_only_be_made_smaller(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str], problem: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"QUORUM_FMP__{name}", value)
    with pytest.raises(OperatorError, match=problem):
        load_settings(tmp_path / ".env")


def test_a_paid_plan_allows_what_it_was_paid_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QUORUM_FMP__PLAN", "paid")
    monkeypatch.setenv("QUORUM_FMP__DAILY_CALLS", "5000")
    rules = load_settings(tmp_path / ".env").fmp.rules
    assert (rules.daily_calls, rules.exits_reserve) == (5000, 15)
