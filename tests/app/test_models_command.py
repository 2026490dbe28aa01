"""The door to Claude as it is wired, and `quorum models`."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from agents.llm.models import ModelCheck
from agents.llm.outcome import Answer, NoAnswer, Why
from agents.market.clock import SystemClock
from app.commands.models import line_of, print_models, tell_models
from app.runtime.live import LiveDesk
from app.settings import load_settings
from app.wiring import desk_parts, open_gateway
from storage.records import AgentName, DeskKind
from tests.llm.desk import KEY, question
from tests.standins.claude import ClaudeStandIn


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def a_desk(conninfo: str, kind: DeskKind = DeskKind.PAPER) -> LiveDesk:
    return LiveDesk(
        name="paper",
        kind=kind,
        conninfo=conninfo,
        clock=SystemClock(),
        founded=datetime(2026, 11, 25, tzinfo=UTC),
        first_session=date(2026, 11, 25),
        history_digest="",
    )


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


async def test_a_desk_of_history_asks_nobody(
    database: str, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    settings = load_settings(env_file)
    async with open_gateway(settings, a_desk(database, DeskKind.HISTORY)) as gateway:
        assert gateway is None
        assert desk_parts(settings, DeskKind.HISTORY, gateway).gateway is None


async def test_a_paper_desk_asks_the_server_of_its_settings(
    database: str, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with ClaudeStandIn() as claude:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
        async with open_gateway(load_settings(env_file), a_desk(database)) as gateway:
            assert gateway is not None
            answer = await gateway.ask(question())
    assert isinstance(answer, Answer)
    assert len(claude.asked) == 1


async def test_a_paper_desk_without_a_key_says_how_to_set_one(
    database: str, env_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_gateway(load_settings(env_file), a_desk(database)) as gateway:
        assert gateway is not None
        outcome = await gateway.ask(question())
        await tell_models(gateway)
    assert isinstance(outcome, NoAnswer)
    assert outcome.why is Why.NO_KEY
    assert "ANTHROPIC_API_KEY is not set: put it into .env" in caplog.text


def test_the_command_tells_each_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("QUORUM_LLM__NEWS__MODEL", "claude-haiku-4-20250514")
    with ClaudeStandIn() as claude:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
        print_models(as_object=False)
        lines = capsys.readouterr().out.splitlines()
        print_models(as_object=True)
        told = json.loads(capsys.readouterr().out)["models"]
    by_model = {line.split()[0]: line for line in lines}
    assert (
        "can be asked, by regime risk, retires on 2027-10-07, priced by genai-prices"
        in (by_model["claude-haiku-5-5"])
    )
    assert "CANNOT be asked, by news, no price, no such model" in by_model["claude-haiku-4-20250514"]
    assert {row["model"]: row["usable"] for row in told} == {
        "claude-haiku-5-5": True,
        "claude-sonnet-5-5": True,
        "claude-haiku-4-20250514": False,
    }


async def test_a_runtimes_start_warns_of_a_model_that_goes_soon(caplog: pytest.LogCaptureFixture) -> None:
    check = ModelCheck(
        model="claude-haiku-5-5",
        agents=(AgentName.NEWS,),
        usable=True,
        lifecycle="deprecated",
        retires_at=datetime.now(UTC) + timedelta(days=8),
        price_source="list",
        note="",
    )
    later = replace(check, lifecycle="active", retires_at=datetime.now(UTC) + timedelta(days=300))
    assert "DEPRECATED, retires SOON, on" in line_of(check)
    assert "SOON" not in line_of(later)
    caplog.set_level(logging.INFO)
    await tell_models(None)
    assert caplog.text == ""
