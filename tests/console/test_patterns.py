"""Asking about past trades in the console: the words, the filter they came to, the figures under it."""

from __future__ import annotations

from dataclasses import replace

from app.console.messages import PatternsRead
from app.console.patterns import Analogue, Figures, PatternTold
from app.console.screens.patterns import PatternsScreen, pattern_lines
from app.console.text import width_of

from .desks import FakeDesk, a_desk
from .running import Console, running

HOSTILE = "[/x] [red]\x1b[2J\u202e" + "w" * 60
WORDS = "bounces with purple eyes"
FIGURES = Figures(
    n=41,
    wins=10,
    win_rate=0.253,
    interval=(0.138, 0.393),
    expected_rate=0.271,
    mean_r=-0.529,
    mean_r_interval=(-0.757, -0.3),
    expected_r=-0.489,
)
TOLD = PatternTold(
    filter="oversold bounce, in BEAR",
    left=("purple eyes",),
    read_by="the grammar",
    note="no model was asked: a replay asks none",
    cost_usd=0.0,
    as_of="2008-12-31T23:45:00+00:00",
    chosen_by_outcome=False,
    figures=FIGURES,
    by_regime=(("BULL", replace(FIGURES, n=0, wins=0, mean_r_interval=None)), ("BEAR", FIGURES)),
    like="AXP as it was on 2008-12-30",
    analogues=(
        Analogue(
            symbol="AZO",
            entered="2008-10-01",
            closed="2008-10-07",
            setup="oversold bounce",
            regime="BEAR",
            r=-1.09,
            exit_reason="stop loss",
            distance=2.1,
        ),
    ),
)


async def asked(console: Console, words: str) -> PatternsScreen:
    """The screen with its question put; the answer is the test's to give."""
    await console.press("P")
    await console.until(
        lambda: isinstance(console.app.screen, PatternsScreen) and "plain words" in console.text
    )
    screen = console.app.screen
    assert isinstance(screen, PatternsScreen)
    screen._words = words
    return screen


async def test_words_are_typed_and_the_filter_stands_above_its_figures() -> None:
    async with running(FakeDesk(a_desk())) as console:
        screen = await asked(console, WORDS)
        screen.post_message(PatternsRead("what was asked before", replace(TOLD, filter="AN OLD ANSWER")))
        screen.post_message(PatternsRead(WORDS, TOLD))
        await console.until(lambda: "oversold bounce, in BEAR" in console.text)
        assert "AN OLD ANSWER" not in console.text
        assert "not read   purple eyes" in console.text
        assert "no model was asked: a replay asks none" in console.text
        assert "25.3% shrunk, expected 27.1%  95% of the bare rate 13.8% to 39.3%" in console.text
        assert "nearest to AXP as it was on 2008-12-30" in console.text and "2.10 away" in console.text
        screen.post_message(PatternsRead(WORDS, None, "nothing is understood"))
        await console.until(lambda: "nothing is understood" in console.text)
        assert "oversold bounce, in BEAR" not in console.text
        await console.press("escape")
        await console.until(lambda: not isinstance(console.app.screen, PatternsScreen))


async def test_hostile_words_in_an_answer_are_drawn_and_obeyed_by_nobody() -> None:
    hostile = replace(
        TOLD,
        filter=HOSTILE,
        left=(HOSTILE,),
        note=HOSTILE,
        read_by=HOSTILE,
        chosen_by_outcome=True,
        like=HOSTILE,
        analogues=(replace(TOLD.analogues[0], symbol=HOSTILE[:20], distance=None),),
    )
    assert all(width_of(row) <= 100 for row in pattern_lines(hostile, 100))
    async with running(FakeDesk(a_desk())) as console:
        screen = await asked(console, HOSTILE)
        screen.post_message(PatternsRead(HOSTILE, hostile))
        await console.until(lambda: "foretell nothing" in console.text)
        assert "[/x]" in console.text
        assert "\x1b" not in console.text and "\u202e" not in console.text
