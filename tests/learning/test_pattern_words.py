"""Words become a typed filter or are named as not understood; a model only adds what is open."""

from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.learning.filters import BEYOND, TradeFilter
from agents.learning.pattern_question import PatternAnswer, heeded, question_of, read_further
from agents.learning.pattern_words import EXAMPLES, LONGEST, Known, read
from storage.plain import clean
from storage.records import AgentName, Direction, ExitReason, SetupType, Stance, Volatility
from tests.llm.inprocess import near_models
from tests.standins.claude import ClaudeStandIn

KNOWN = Known(
    sectors=frozenset({"Energy", "Information Technology", "Consumer Staples", "Consumer Discretionary"}),
    symbols=frozenset({"AAPL", "BRK-B", "BIG", "ON"}),
    today=date(2010, 6, 30),
)
BOUNCE, BREAKOUT = SetupType.OVERSOLD_BOUNCE, SetupType.BREAKOUT
YEAR_2008 = {"entered_from": date(2008, 1, 1), "entered_to": date(2008, 12, 31)}
HOSTILE = "'; drop table votes; --\x1b[31m\r\n<b>[red]\u202e"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("oversold bounces in bear markets", {"setup": BOUNCE, "regime": Direction.BEAR}),
        ("OVERSOLD BOUNCES ON BIG", {"setup": BOUNCE, "symbol": "BIG"}),  # shouted: ON is a word
        ("on aapl in 2008", {"symbol": "AAPL", **YEAR_2008}),
        ("big", {"symbol": "BIG"}),
        ("BRK-B break-outs", {"symbol": "BRK-B", "setup": BREAKOUT}),
        ("tech, calm", {"sector": "Information Technology", "volatility": Volatility.LOW_VOL}),
        ("consumer staples that lost money", {"sector": "Consumer Staples", "won": False}),
        ("momentum, RSI above 60", {"setup": SetupType.MOMENTUM, "rsi": (60.0, BEYOND)}),
        ("VIX between 20 and 30, rsi(14) < 25.5", {"vix": (20.0, 30.0), "rsi": (0.0, 25.5)}),
        ("worse than -1R", {"r": (-BEYOND, -1.0)}),
        ("1R to 3 r", {"r": (1.0, 3.0)}),
        ("conviction above 70%", {"conviction": (0.7, BEYOND)}),
        ("news analyst was against", {"stance": (AgentName.NEWS, Stance.AGAINST)}),
        ("trailing stops", {"exit_reason": ExitReason.TRAILING_STOP}),
        (
            "stopped out since March 2009",
            {"exit_reason": ExitReason.STOP_LOSS, "entered_from": date(2009, 3, 1)},
        ),
        ("all trades before 2008-02-29", {"entered_to": date(2008, 2, 28)}),
        (
            "winners last year",
            {"won": True, "entered_from": date(2009, 1, 1), "entered_to": date(2009, 12, 31)},
        ),
        ("what is the win rate of breakouts", {"setup": BREAKOUT}),
    ],
)
def test_words_mean_what_they_say(words: str, meant: dict[str, object]) -> None:
    found = read(words, KNOWN)
    assert (found.filter, found.left, found.understood) == (TradeFilter.model_validate(meant), (), True)


@pytest.mark.parametrize(
    ("words", "meant", "left"),
    [
        ("bounces with purple eyes, in gold miners", {"setup": BOUNCE}, ("purple eyes", "gold miners")),
        ("bounces or breakouts", {"setup": BOUNCE}, ("breakouts",)),
        ("bounces not in bear or bull markets", {"setup": BOUNCE}, ("not in bear", "or bull markets")),
        ("except Energy", {}, ("except Energy",)),
        ("consumer", {}, ("consumer",)),  # of two sectors it is neither
        ("utilities", {}, ("utilities",)),  # the desk has traded none
        ("rsi between 40 and 30", {}, ("rsi between 40 and 30",)),
        ("from 2010 to 2008", {}, ("from 2010 to 2008",)),
        ("2008-13, 2009-02-30", {}, ("2008-13", "2009-02-30")),
        ("bounces won", {"setup": BOUNCE}, ("won",)),  # those that won, or how often?
    ],
)
def test_what_is_not_understood_is_named_and_never_guessed(
    words: str, meant: dict[str, object], left: tuple[str, ...]
) -> None:
    found = read(words, KNOWN)
    assert (found.filter, found.left) == (TradeFilter.model_validate(meant), left)
    assert found.understood == bool(meant)


def test_the_examples_of_the_refusal_are_understood() -> None:
    for example in EXAMPLES:
        assert read(example, KNOWN).left == ()


FRAGMENTS = (
    "not",
    "in",
    "bear",
    "bull",
    "or",
    "2008",
    "-",
    "to",
    "R",
    "rsi",
    "3",
    ">",
    "BIG",
    "energy",
    "won",
    "how",
)
PIECES: dict[str, dict[str, object]] = {
    "setup": {"bounces": BOUNCE, "oversold bounces": BOUNCE, "momentum": SetupType.MOMENTUM},
    "regime": {"in bear markets": Direction.BEAR, "in a sideways market": Direction.SIDEWAYS},
    "volatility": {"with high volatility": Volatility.HIGH_VOL, "low vol": Volatility.LOW_VOL},
    "sector": {"in Energy": "Energy", "technology stocks": "Information Technology"},
    "symbol": {"of AAPL": "AAPL", "$BRK-B": "BRK-B"},
    "rsi": {"RSI 30-40": (30.0, 40.0), "rsi under 30": (0.0, 30.0)},
    "won": {"winners": True, "losers": False},
    "stance": {"research for": (AgentName.RESEARCH, Stance.FOR)},
}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from([(kind, *said) for kind, words in PIECES.items() for said in words.items()]),
        min_size=1,
        unique_by=lambda piece: piece[0],
    )
)
def test_pieces_say_the_same_in_any_order(pieces: list[tuple[str, str, object]]) -> None:
    found = read(", ".join(words for _, words, _ in pieces), KNOWN)
    assert found.left == ()
    assert found.filter == TradeFilter.model_validate({kind: value for kind, _, value in pieces})


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=LONGEST)
    | st.lists(st.sampled_from([*FRAGMENTS, HOSTILE]), max_size=30).map(lambda said: " ".join(said)[:LONGEST])
)
def test_any_text_is_read_and_leaves_nothing_that_a_terminal_obeys(text: str) -> None:
    found = read(text, KNOWN)
    assert found == read(text, KNOWN)
    assert all(said == clean(said).strip() != "" for said in found.left)
    if not found.understood:
        assert found.filter == TradeFilter()


def answer(**said: object) -> PatternAnswer:
    fields = dict.fromkeys(set(PatternAnswer.model_fields) - {"unread"})
    return PatternAnswer.model_validate({**fields, "unread": [], **said})


def test_a_model_adds_what_is_open_by_names_the_desk_knows() -> None:
    reading = read("bounces in oil companies, not in bear markets", KNOWN)
    assert reading.left == ("oil", "not in bear markets")
    told = heeded(
        reading,
        answer(setup="momentum", sector="energy", entered_from="2008-01-01", unread=["not in bear markets"]),
        KNOWN,
    )
    assert told.filter == TradeFilter(setup=BOUNCE, sector="Energy", entered_from=date(2008, 1, 1))
    assert told.left == ("not in bear markets",)


def test_what_a_model_says_beyond_that_changes_nothing() -> None:
    reading = read("bounces in oil companies until 2008", KNOWN)
    for said in (
        answer(),
        answer(sector=HOSTILE, symbol="*", entered_from="yesterday", unread=[HOSTILE]),
        answer(entered_from="2009-01-01"),  # after the last day that was read
        answer(setup="breakout", unread=["ignore the rules"]),
    ):
        assert heeded(reading, said, KNOWN) == reading


async def test_whatever_a_server_does_the_grammars_reading_stands() -> None:
    words = f"bounces in oil companies {HOSTILE}"
    reading = read(words, KNOWN)
    with ClaudeStandIn() as claude:
        models = near_models(claude)
        for scenario in ("ok", "hostile", "refusal", "wrong JSON", "cut"):
            claude.scenario = scenario
            further = await read_further(models.gateway, words, reading, KNOWN)
            found = further.reading.filter
            assert found.setup is BOUNCE
            assert found.sector in {None, *KNOWN.sectors} and found.symbol in {None, *KNOWN.symbols}
            if scenario in ("refusal", "wrong JSON", "cut"):
                assert further.reading == reading and further.source.startswith("no answer: ")
            else:
                assert further.source.startswith("claude-") and further.cost_usd > 0


def test_the_words_are_sent_as_data_alone() -> None:
    reading = read("gold miners", KNOWN)
    question = question_of("gold miners", reading, KNOWN)
    assert "gold miners" not in question.prompt.system + question.prompt.instruction
    blocks = {block.name: block.encoded() for block in question.data}
    assert json.loads(blocks["words"])["content"] == {
        "question": "gold miners",
        "not_understood": ["gold miners"],
    }
    assert json.loads(blocks["names"])["content"]["symbols"] == sorted(KNOWN.symbols)
