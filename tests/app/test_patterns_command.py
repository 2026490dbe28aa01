"""`quorum patterns`: what it tells, and that nothing from after the moment asked about has a part in it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from textual.message import Message

from agents.learning.pattern_words import Known, Reading
from agents.market.indicators import Technicals
from agents.trading.outcomes import state_vector
from app.commands.pattern_lookup import Asked, Helped, look_up
from app.commands.patterns import told
from app.console.messages import PatternsRead
from app.console.patterns import PatternTold
from app.console.readings import Readings
from app.runtime.step import technicals_json
from storage.engine import open_engine
from storage.errors import OperatorError
from storage.memory import AgentMemory
from storage.models import Deliberation, Instrument, Position
from storage.records import Direction, PositionState, SetupType, Volatility, uuid7
from tests.app.test_runtime_commands import HOSTILE, Here, here
from tests.llm.desk import counted
from tests.standins.claude import ClaudeStandIn
from tests.storage import desk_builder as build
from tests.storage.desk_builder import CLOSE, terms, writing
from tests.trading.builders import CRASH, PULLBACK

__all__ = ["here"]
QUICK = (Phase.explicit, Phase.reuse, Phase.generate)  # to make an example smaller takes minutes here
MOMENT = CLOSE + timedelta(days=30)
FIRST = date(2018, 1, 2)
QUESTIONS = (
    "",
    "oversold bounces in bear markets",
    "breakouts since 2017 that lost money",
    "technology",
    "S1",
    "S77 momentum",  # traded later alone, if at all
    "winners in Elsewhere",  # a sector of later
    "calm research for, conviction above 0.5",
)


@dataclass(frozen=True, kw_only=True)
class Traded:
    """A trade to put on a desk; days are counted from CLOSE."""

    number: int
    symbol: str = "S1"
    setup: SetupType = SetupType.OVERSOLD_BOUNCE
    regime: Direction = Direction.BEAR
    sector: str | None = "Technology"
    r: float = 1.0
    argued: float = 0.0
    closed: float = 3.0
    learned: float = 3.0

    @property
    def readings(self) -> Technicals:
        return PULLBACK if self.number % 2 else CRASH


def argue(session: Session, trade: Traded) -> Position:
    """Its argument with the votes, its approval, and the position while it is open."""
    made = build.propose(
        session,
        terms(
            symbol=trade.symbol,
            setup_type=trade.setup,
            entry_session=FIRST + timedelta(days=trade.number),
        ),
        **build.approved(),
    )
    argued = session.get_one(Deliberation, made.deliberation_id)
    argued.technical_snapshot = technicals_json(trade.readings)
    argued.setup_type = trade.setup
    argued.created_at = CLOSE + timedelta(days=trade.argued)
    held = build.position(made, id=uuid7())
    session.add(held)
    session.flush()
    return held


def close(session: Session, held: Position, trade: Traded) -> None:
    """The end of it."""
    held.state = PositionState.CLOSED
    held.closed_session = held.entry_session + timedelta(days=3)
    session.add(
        build.outcome(
            held,
            f"{trade.r * 100:.2f}",
            r_multiple=trade.r,
            market_regime=trade.regime,
            volatility=Volatility.LOW_VOL,
            sector=trade.sector,
            exit_time=CLOSE + timedelta(days=trade.closed),
            created_at=CLOSE + timedelta(days=trade.learned),
            state_vector=list(state_vector(trade.readings)),
        )
    )
    session.flush()


def twelve(session: Session) -> None:
    """A desk's trades known by MOMENT: wins and losses of every setup, in bull and bear markets."""
    for number in range(12):
        trade = Traded(
            number=number,
            symbol=f"S{number % 4}",
            setup=list(SetupType)[number % 3],
            regime=list(Direction)[number % 2],
            r=(-1.0, 2.0, 0.5)[number % 3] + number / 100,
            argued=number / 10,
            closed=number / 5 + 3,
            learned=number / 5 + 3,
        )
        close(session, argue(session, trade), trade)
    session.add(build.reading(FIRST + timedelta(days=9), Direction.BEAR))


async def alone(words: str, reading: Reading, known: Known) -> Helped:
    """No model."""
    return Helped(reading=reading, by="the grammar")


async def answers(memory: AgentMemory) -> list[str]:
    """Every question's answer at MOMENT, to the last digit; a refusal is one too."""
    found = []
    for words in QUESTIONS:
        try:
            said = told(await look_up(memory, Asked(words=words), MOMENT, alone))
        except OperatorError as refused:
            said = {"refused": str(refused)}
        found.append(json.dumps(said))
    return found


LATER = st.builds(
    Traded,
    number=st.just(0),  # each gets its own
    symbol=st.sampled_from(["S1", "S77", "'; --[/]"]),
    setup=st.sampled_from(SetupType),
    regime=st.sampled_from(Direction),
    sector=st.sampled_from(["Technology", "Elsewhere", None]),
    r=st.floats(-3, 9).map(lambda r: round(r, 2)),
).flatmap(
    lambda trade: st.sampled_from(
        [
            replace(trade, argued=30.1, closed=33.0, learned=33.0),  # all of it is later
            replace(trade, argued=2.0, closed=30.0, learned=30.0),  # held then, closed later
            replace(trade, argued=2.0, closed=29.0, learned=30.1),  # closed then, known later
        ]
    )
)
Answers = tuple[list[str], list[str]]
SECTORS = st.sampled_from(["Elsewhere", "Technology", None])


def change(
    session: Session, later: list[Traded], held: dict[int, Position], renamed: str | None, turned: Direction
) -> None:
    """Rows of after MOMENT: trades, ends of trades, states, another name for a sector, another market."""
    for trade in later:
        close(session, held.get(trade.number) or argue(session, trade), trade)
    for name in ("S1", "S2"):
        session.add(
            Instrument(symbol=name, name=HOSTILE, sector=renamed, industry=HOSTILE, asset_type="stock")
        )
    session.add(build.reading(FIRST + timedelta(days=60), turned))
    session.flush()


@pytest.mark.long
def test_an_answer_at_a_moment_is_unchanged_by_any_later_row(database: str) -> None:
    with writing(database) as session:
        build.found_desk(session)
        twelve(session)

    async def asked(drawn: list[Traded], renamed: str | None, turned: Direction) -> Answers:
        later = [replace(trade, number=number) for number, trade in enumerate(drawn, start=20)]
        engine = open_engine(database)
        try:
            async with AsyncSession(engine) as written:
                open_then = [trade for trade in later if trade.argued < 30]
                held = {trade.number: await written.run_sync(argue, trade) for trade in open_then}
                first = await answers(AgentMemory(written))
                await written.run_sync(change, later, held, renamed, turned)
                return first, await answers(AgentMemory(written))  # nothing of it is ever committed
        finally:
            await engine.dispose()

    @settings(max_examples=15, deadline=None, phases=QUICK)
    @given(
        st.lists(LATER, min_size=1, max_size=3, unique_by=lambda trade: trade.symbol),
        SECTORS,
        st.sampled_from(Direction),
    )
    def unchanged(drawn: list[Traded], renamed: str | None, turned: Direction) -> None:
        before, after = asyncio.run(asked(drawn, renamed, turned))
        assert before == after

    unchanged()
    # It is the moment alone that keeps them out: what was known by then does change the answers.
    known = Traded(number=0, symbol="S1", argued=29.0, closed=29.5, learned=29.9)
    before, after = asyncio.run(asked([known], None, Direction.BULL))
    assert sum(one != other for one, other in zip(before, after, strict=True)) >= 4


def told_by(here: Here, *words: str) -> dict[str, object]:
    said = here.run("patterns", *words, "--json")
    assert (said.err, said.code) == ("", 0)
    found = json.loads(said.out)
    assert isinstance(found, dict)
    return found


@pytest.mark.long
def test_a_model_helps_where_the_grammar_is_at_a_loss_and_its_price_is_told(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    conninfo = here.desk()
    with writing(conninfo) as session:
        build.found_paper(session)
        twelve(session)
    hostile = f"bounces of the S1 {HOSTILE}"
    with ClaudeStandIn() as claude:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "")
        alone = told_by(here, hostile)
        assert (alone["read_by"], alone["cost_usd"]) == ("the grammar", 0)
        assert alone["note"] == "no model was asked: ANTHROPIC_API_KEY is not set"
        assert alone["filter"] == {"setup": "oversold_bounce", "symbol": "S1"} and alone["not_understood"]
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
        assert told_by(here, "bounces of the S1")["read_by"] == "the grammar" and claude.asked == []
        helped = told_by(here, hostile)
        assert str(helped["read_by"]).startswith("the grammar and claude-")
        assert helped["cost_usd"] == pytest.approx(float(claude.bill)) and counted(conninfo) == claude.bill
        assert {"setup": "oversold_bounce", "symbol": "S1"}.items() <= dict(helped["filter"]).items()  # type: ignore[call-overload]
        assert HOSTILE not in json.dumps(claude.asked[0]["system"])
        claude.scenario = "refusal"
        refused = told_by(here, hostile)
        assert (refused["filter"], refused["n"]) == (alone["filter"], alone["n"])
        assert refused["note"] == "the model gave no answer: refused"
    assert PatternTold.of(helped).figures.n == helped["n"]  # as the console reads it
    plain = here.run("patterns", hostile).out
    assert plain.startswith("filter: S1, oversold bounce\n") and "  not understood: " in plain
    assert not {"\x1b", "\x9b", "\u202e", "\r"} & set(plain)


@pytest.mark.long
def test_the_console_asks_the_command_and_words_are_never_options(here: Here) -> None:
    with writing(here.desk()) as session:
        build.found_paper(session)
        twelve(session)
    heard: list[Message] = []

    def hear(message: Message) -> bool:
        heard.append(message)
        return True

    readings = Readings(
        open_desk=lambda _: pytest.fail("a screen's own connection is not needed"),
        operator=lambda: pytest.fail("nobody has to be named"),
        post=hear,
        run=lambda work: work(),
    )
    readings.read_patterns(hear, "paper", "--losers in Technology")
    (answered,) = heard
    assert isinstance(answered, PatternsRead) and answered.problem == ""
    assert answered.words == "--losers in Technology" and answered.told is not None
    assert (answered.told.filter, answered.told.figures.wins) == ("in Technology, that did not win", 0)
    assert answered.told.figures.n == len(answered.told.analogues) > 0
