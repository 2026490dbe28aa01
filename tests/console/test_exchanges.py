"""The exact words behind a decision are a key away, and whatever they hold they are only text."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

from app.console.screens.desk import DeskScreen
from app.console.screens.exchange import ExchangeScreen
from app.console.screens.review import ReviewScreen
from storage.exchanges import Exchange
from storage.records import AgentName
from storage.snapshot import FigureRow
from storage.spending import CallState

from .desks import NOW, FakeDesk, a_desk, approval_row
from .running import Console, running

BOMB = "\x1b[2J[bold red on white]APPROVE[/] [@click=app.quit]all is well[/] [/nothing] \u202e[[["


def exchange(answered: str = '{"thesis": "bullish"}', told: str = '{"close": 101.25}') -> Exchange:
    return Exchange(
        id=uuid4(),
        agent=AgentName.RESEARCH,
        symbol="AAPL",
        model="claude-sonnet-5-5",
        prompt_version=1,
        at=NOW,
        state=CallState.SETTLED,
        cost_usd=Decimal("0.0051"),
        tokens=1_830,
        latency_ms=2_140,
        error="",
        asked={
            "system": [{"type": "text", "text": "You are the research analyst."}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Judge the company."}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "data_1"}]},
                {"role": "user", "content": [{"type": "tool_result", "content": told}]},
            ],
        },
        answered=answered,
    )


def a_desk_with(*said: Exchange) -> FakeDesk:
    return FakeDesk(a_desk(), said=said)


async def opened(console: Console) -> None:
    await console.until(lambda: isinstance(console.app.screen, ExchangeScreen))
    await console.pilot.pause()


async def test_e_on_an_approval_shows_prompt_data_and_answer() -> None:
    async with running(a_desk_with(exchange()), size=(120, 50)) as console:
        await console.press("2", "e")
        await opened(console)
        for words in (
            "research claude-sonnet-5-5, prompt v1",
            "settled, $0.0051, 1,830 tokens, 2,140 ms",
            "You are the research analyst.",
            "Judge the company.",
            '{"close": 101.25}',
            '{"thesis": "bullish"}',
        ):
            assert words in console.text
        await console.press("escape")
        assert isinstance(console.app.screen, DeskScreen)


async def test_no_markup_and_no_escape_of_a_model_is_obeyed() -> None:
    async with running(a_desk_with(exchange(answered=BOMB, told=BOMB)), size=(140, 50)) as console:
        await console.press("2", "e")
        await opened(console)
        assert console.text.count("[bold red on white]APPROVE[/]") == 2
        assert "[/nothing]" in console.text
        assert "\x1b" not in console.text and "\u202e" not in console.text


async def test_a_long_answer_is_shown_to_its_last_word() -> None:
    long = "word " * 3_000 + "the end"
    async with running(a_desk_with(exchange(answered=long)), size=(120, 50)) as console:
        await console.press("2", "e")
        await opened(console)
        await console.press("G")
        assert "the end" in console.text


async def test_a_decision_by_rules_says_that_no_model_had_a_part() -> None:
    async with running(a_desk_with()) as console:
        await console.press("2", "e")
        await opened(console)
        assert "no model had a part in this decision" in console.text


async def test_where_no_approval_is_chosen_it_says_where_they_are() -> None:
    async with running(a_desk_with(exchange())) as console:
        await console.press("1", "e")
        await console.until(lambda: "go to the approvals pane (2)" in console.text)
        assert isinstance(console.app.screen, DeskScreen)


async def test_after_reading_the_words_a_card_is_read_anew_before_a_key_decides() -> None:
    async with running(a_desk_with(exchange())) as console:
        await console.open_review()
        await console.press("e")
        await opened(console)
        await console.press("escape")
        await console.until(lambda: isinstance(console.app.screen, ReviewScreen))
        await console.press("r")
        assert console.desk.asked == []
        console.clock.pass_time(1.0)
        await console.press("r")
        await console.until(lambda: console.app.state.verdict is not None)
        assert [asked[0] for asked in console.desk.asked] == ["reject"]


async def test_the_card_shows_each_number_with_its_source_and_what_was_struck() -> None:
    row = approval_row(1)
    research = replace(
        row.votes[0],
        source="claude-sonnet-5-5",
        reason="RSI at [unverified] in [red]an uptrend[/].",
        cost_usd=Decimal("0.0051"),
        flags=("injection suspected", "numbers struck: 1"),
        figures=(
            FigureRow(name="close", value=163.03, source="technicals 2018-02-06"),
            FigureRow(name="rsi14", value=24.2, source="technicals 2018-02-06"),
            FigureRow(name="", value=3.33, source=""),
        ),
    )
    told = replace(
        row, votes=(research, *row.votes[1:]), contradictions=("rsi14: research 24.2, strategy 45",)
    )
    async with running(FakeDesk(a_desk(approvals=[told])), size=(120, 70)) as console:
        await console.open_review()
        await console.press("pagedown")
        for words in (
            "by claude-sonnet-5-5, $0.0051",
            "RSI at [unverified] in [red]an uptrend[/].",
            "technicals 2018-02-06: close 163.03, rsi14 24.2",
            "[unverified] a number 3.33",
            "! injection suspected",
            "! numbers struck: 1",
            "! they contradict each other on rsi14: research 24.2, strategy 45",
        ):
            assert words in console.text
