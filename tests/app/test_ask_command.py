"""`quorum research` and `quorum ask`: one agent by hand, by rules or by a model, on a desk's own bars."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from agents.market.history import HistoryPack
from app.runtime.market.reading import series_of
from storage.engine import open_engine
from storage.records import VerdictMode
from storage.vendor_series import VendorSeries
from tests.app.books import prepare
from tests.app.test_runtime_commands import Here, here, paper
from tests.databases import TemplateDatabases
from tests.llm.desk import counted
from tests.standins.claude import ClaudeStandIn

__all__ = ["here", "paper"]
FIRST, LAST = date(2007, 1, 3), date(2007, 1, 5)


@pytest.fixture(scope="module")
def three_sessions(databases: TemplateDatabases, sample: HistoryPack) -> str:
    """The database of a HISTORY desk of three sessions; on the last evening MSFT shows a setup."""

    async def replay() -> None:
        _, run = await prepare(databases, sample, FIRST, LAST, desk="asked", verdicts=VerdictMode.REJECT)
        assert await run.run(asyncio.Event())

    asyncio.run(replay())
    return databases.keep_as_template("asked")


@pytest.fixture
def replayed(here: Here, databases: TemplateDatabases, three_sessions: str) -> str:
    """That desk, the test's own."""
    database = databases.desk_database("asked")
    databases.copy(three_sessions, database)
    return databases.conninfo(database)


def told(here: Here, *words: str) -> dict[str, Any]:
    said = here.run(*words, "--desk", "asked", "--json")
    assert (said.err, said.code) == ("", 0)
    found = json.loads(said.out)
    assert isinstance(found, dict)
    return found


def test_by_hand_every_role_answers_by_rules_on_history_and_nothing_is_spent(
    here: Here, replayed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ClaudeStandIn() as claude:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
        thesis = told(here, "research", "msft")
        assert {"symbol", "thesis", "confidence", "key_metrics", "reasoning", "cost_usd"} <= thesis.keys()
        assert (thesis["symbol"], thesis["source"], thesis["cost_usd"]) == ("MSFT", "rules", 0)
        assert thesis["thesis"] in ("bullish", "bearish", "neutral")
        assert thesis["key_metrics"]["points"] and all(figure["grounded"] for figure in thesis["figures"])
        assert told(here, "ask", "research", "MSFT")["reasoning"] == thesis["reasoning"]
        assert "no news source" in told(here, "ask", "news", "MSFT")["reasoning"]
        assert told(here, "ask", "regime")["direction"] == "BULL"
        strategy = told(here, "ask", "strategy", "MSFT")
        assert strategy["plan"]["stop"] < strategy["plan"]["min_entry"] <= strategy["plan"]["max_entry"]
        assert told(here, "ask", "risk", "MSFT")["veto"] is False
        assert claude.asked == []
    assert counted(replayed) == 0


def test_with_a_model_the_answer_names_it_and_its_price(
    here: Here, replayed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ClaudeStandIn() as claude:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
        monkeypatch.setenv("QUORUM_REHEARSAL__MODELS", "true")
        thesis = told(here, "research", "MSFT")
        assert (thesis["source"], thesis["flags"] == []) == ("claude-sonnet-5-5", thesis["figures"] == [])
        assert 0 < thesis["cost_usd"] == pytest.approx(float(claude.bill))
        assert thesis["interaction"]
        for asked in (("ask", "regime"), ("ask", "strategy", "MSFT"), ("ask", "risk", "MSFT")):
            assert told(here, *asked)["source"].startswith("claude-")
        assert len(claude.asked) == 4
        text = here.run("research", "MSFT", "--desk", "asked").out
        assert text.splitlines()[0] == "research on MSFT, close of 2007-01-05: by claude-sonnet-5-5"
        assert counted(replayed) == claude.bill
        shown = told(here, "interactions", "--show", thesis["interaction"])
        assert shown["asked"] == claude.asked[0]
        assert json.loads(shown["answered"])["thesis"] == thesis["thesis"]
        words = here.run("interactions", "--show", thesis["interaction"], "--desk", "asked").out
        assert "SYSTEM" in words and "rsi14" in words and "ANSWER" in words
    assert "there is no model call 'x'" in here.refused("interactions", "--show", "x", "--desk", "asked")


def test_without_a_key_the_first_line_says_so(
    here: Here, replayed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUORUM_REHEARSAL__MODELS", "true")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "")
    said = here.run("research", "MSFT", "--desk", "asked").out.splitlines()
    assert said[0].endswith("by rules: no key")
    assert "ANTHROPIC_API_KEY is not set: put it into .env" in said[1]


def test_what_is_lacking_is_one_line(here: Here, replayed: str) -> None:
    assert here.refused("research", "NOPE", "--desk", "asked") == (
        "the desk has no usable bars of NOPE by 2007-01-05; `quorum screens` names symbols it knows"
    )
    assert "there is no trade in AAPL: " in here.refused("ask", "risk", "AAPL", "--desk", "asked")


def test_what_the_vendor_told_of_a_symbol_is_read_where_the_desk_itself_is_young(
    here: Here, replayed: str, sample: HistoryPack
) -> None:
    bars = replace(sample.view(LAST).bars("MSFT"), symbol="KO")

    async def told_of(last: date) -> None:
        engine = open_engine(replayed)
        series = series_of(bars.upto(last), "fmp", datetime.now(UTC))
        await VendorSeries(engine).put(series)
        await engine.dispose()

    asyncio.run(told_of(LAST - timedelta(days=1)))  # a series that ends before the close tells nothing of it
    assert "no usable bars of KO" in here.refused("research", "KO", "--desk", "asked")
    asyncio.run(told_of(LAST))
    ours, vendors = (told(here, "research", symbol)["key_metrics"] for symbol in ("MSFT", "KO"))
    assert vendors == pytest.approx(ours, rel=1e-3)


def test_a_desk_that_has_settled_nothing_cannot_be_asked(here: Here, paper: str) -> None:
    assert here.refused("research", "AAPL") == (
        "desk paper has no settled session yet; ask after its first close"
    )
