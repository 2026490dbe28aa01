"""Why there was no trade: the funnel behind a key, every rung opening what stopped candidates there."""

from __future__ import annotations

from dataclasses import replace

from app.console.screens.desk import DeskScreen
from app.console.screens.why import WhyScreen
from storage.evening import ArguedRow
from storage.records import Stance

from .desks import FakeDesk, a_desk, an_evening, approval_row
from .running import Console, running

HOSTILE = "\x1b[31m[bold red]buy now[/]\u202e"


async def opened(console: Console) -> WhyScreen:
    await console.press("w")
    await console.until(lambda: isinstance(console.app.screen, WhyScreen))
    await console.pilot.pause()
    screen = console.app.screen
    assert isinstance(screen, WhyScreen)
    return screen


async def test_the_funnel_opens_on_the_rung_where_the_last_candidate_fell() -> None:
    async with running(FakeDesk(a_desk())) as console:
        await opened(console)
        text = console.text
        assert "No trade: the last candidate of 16 stopped at 'within limits' (sector: GS)." in text
        for rung in ("universe", "fresh", "screened", "thesis", "voted", "approved", "filled"):
            assert rung in text
        assert "WITHIN LIMITS  1 came, 0 went on" in text
        assert "Denied: sector has no room for one share." in text
        assert "CVX" not in text.partition("WITHIN LIMITS")[2]


async def test_every_rung_opens_its_denials() -> None:
    async with running(FakeDesk(a_desk())) as console:
        await opened(console)
        await console.press("k")
        assert "VOTED  2 came, 1 went on" in console.text
        assert "Energy falls while the market rises." in console.text
        assert "the pool says 48%, base rate 54%" in console.text
        assert "dissent: strategy; abstained: news" in console.text
        await console.press("g", "j")
        assert "FRESH  16 came, 15 went on" in console.text
        await console.press("escape")
        assert isinstance(console.app.screen, DeskScreen)


async def test_before_the_first_screen_it_says_so() -> None:
    async with running(FakeDesk(replace(a_desk(), evening=None))) as console:
        await opened(console)
        assert "no evening has been screened yet" in console.text


async def test_a_hostile_reason_is_only_text() -> None:
    evening = an_evening()
    worse: list[ArguedRow] = [replace(row, reasoning=HOSTILE) for row in evening.argued]
    desk = FakeDesk(replace(a_desk(), evening=replace(evening, argued=tuple(worse))))
    async with running(desk) as console:
        await opened(console)
        assert "[bold red]buy now[/]" in console.text
        assert "\x1b" not in console.text and "\u202e" not in console.text


async def test_an_empty_list_of_approvals_says_why_and_which_key_tells_more() -> None:
    async with running(FakeDesk(a_desk(approvals=[]))) as console:
        await console.press("2")
        assert "stopped at 'within limits'" in console.text.replace("\n", " ")
        assert "(w opens it)" in console.text


async def test_the_card_shows_the_chance_the_dissent_and_a_pool_without_skill() -> None:
    row = approval_row(1)
    assert row.consensus is not None
    pooled = replace(row.consensus, rule="pool", probability=0.54, stance=Stance.FOR)
    async with running(FakeDesk(a_desk(approvals=[replace(row, consensus=pooled)]))) as console:
        await console.open_review()
        await console.press("pagedown")
        assert "pool: for, chance of a win 54%, base rate 54%" in console.text
        assert "dissent: regime" in console.text
        assert "pool has no skill (-0.021): base rate used" in console.text
